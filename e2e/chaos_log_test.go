//go:build e2e

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/e2e/oracle"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// question is an open conflict as the API lists it.
type question struct {
	ID, Field, Link string
}

func (w *world) questions(ctx context.Context) ([]question, error) {
	return all[question](ctx, w.s.api, w.path("/conflicts"), map[string][]string{"state": {"open"}})
}

// written is one line of the service's own history.
type written struct {
	Side, Field string
	Ref         struct{ ID string }
	Op          string
	Old, New    any
	Cause       struct{ Kind string }
}

// log gathers what the oracle wants to know.
func (w *world) log(t *testing.T, o *storm) oracle.Log {
	t.Helper()
	log := oracle.Log{Parked: map[string]bool{}, Versioned: map[string]bool{oracle.Right: true}, Tie: oracle.Left}
	for _, on := range w.systems() {
		versions, err := on.admin.Versions(t.Context(), on.object, 0)
		require.NoError(t, err)
		for _, one := range versions {
			log.States = append(log.States, on.state(one))
		}
		calls, err := on.admin.Calls(t.Context(), 0)
		require.NoError(t, err)
		for _, call := range calls {
			if call.Actor == service && call.Method == "GET" && call.Object == on.object && call.ID != "" {
				log.Reads = append(log.Reads, oracle.Read{Side: on.side, ID: call.ID, At: call.At})
			}
		}
	}
	w.ownLog(t, &log)
	for _, one := range o.sleeps {
		log.Sleeps = append(log.Sleeps, oracle.Sleep{From: one.from, To: one.to})
	}
	return log
}

// ownLog adds what the service says of itself.
func (w *world) ownLog(t *testing.T, log *oracle.Log) {
	t.Helper()
	ctx := t.Context()
	history, err := all[written](ctx, w.s.api, w.path("/history"), map[string][]string{"stream": {"leads"}})
	require.NoError(t, err)
	slices.Reverse(history) // oldest first
	for _, one := range history {
		if one.Op == "update" {
			log.History = append(log.History, w.entries(one)...)
		}
	}
	links, err := all[link](ctx, w.s.api, w.path("/links"), map[string][]string{"stream": {"leads"}})
	require.NoError(t, err)
	pairs := map[string]link{}
	for _, one := range links {
		pairs[one.ID] = one
		log.Pairs = append(log.Pairs, oracle.Pair{Left: one.Left.ID, Right: one.Right.ID, Active: one.State == "active"})
	}
	open, err := w.questions(ctx)
	require.NoError(t, err)
	for _, one := range open {
		of := pairs[one.Link]
		log.Questions = append(log.Questions, oracle.Question{Left: of.Left.ID, Right: of.Right.ID, Field: one.Field})
	}
	letters, err := all[deadLetter](ctx, w.s.api, w.path("/dead-letters"), map[string][]string{"state": {"open"}})
	require.NoError(t, err)
	for _, one := range letters {
		log.Parked[one.Side+" "+one.Ref.ID] = true
	}
}

// state is a version of a record in the oracle's words.
func (on *system) state(one wire.Version) oracle.State {
	who := on.person(one.Record)
	fields := map[string]string{}
	for field, value := range who {
		if field != "tags" {
			fields[field] = value
		}
	}
	for _, element := range strings.Split(who["tags"], ",") {
		if element != "" {
			fields["tags/"+element] = "yes"
		}
	}
	origin := text(one.Fields["external_ref"])
	if custom, ok := one.Fields["custom_fields"].(map[string]any); ok {
		origin = text(custom["external_id"])
	}
	return oracle.State{
		Side: on.side, ID: one.ID, At: one.At, Service: one.UpdatedBy == service, Gone: one.DeletedAt != nil,
		Key: who["email"], Origin: origin, Fields: fields,
	}
}

// entries are the lines of one write; a set has one for each element that changed.
func (w *world) entries(one written) []oracle.Entry {
	on := w.left
	if one.Side == "right" {
		on = w.right
	}
	entry := oracle.Entry{Side: one.Side, ID: one.Ref.ID, Field: one.Field, Cause: one.Cause.Kind}
	if one.Field != "tags" {
		entry.Old, entry.New = on.spelled(one.Field, one.Old), on.spelled(one.Field, one.New)
		return []oracle.Entry{entry}
	}
	old, now := strings.Split(set(one.Old), ","), strings.Split(set(one.New), ",")
	var list []oracle.Entry
	add := func(element, from, to string) {
		if element != "" {
			entry.Field, entry.Old, entry.New = "tags/"+element, from, to
			list = append(list, entry)
		}
	}
	for _, element := range old {
		if !slices.Contains(now, element) {
			add(element, "yes", "")
		}
	}
	for _, element := range now {
		if !slices.Contains(old, element) {
			add(element, "", "yes")
		}
	}
	return list
}

// spelled is a value of this server in the one spelling of a person.
func (on *system) spelled(field string, value any) string {
	switch field {
	case "email":
		return strings.ToLower(text(value))
	case "owner":
		return on.users[text(value)]
	case "stage":
		if on.side == "right" {
			return stages()[text(value)]
		}
	}
	return text(value)
}
