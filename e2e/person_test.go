//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// person is what a server says about one lead, in one spelling, read by rules of
// these tests and not by the service's mapping.
type person map[string]string

func fields() []string {
	return []string{"name", "email", "phone", "company", "position", "stage", "tags", "score", "note", "owner"}
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(v))
}

func set(v any) string {
	list, _ := v.([]any)
	words := []string{}
	for _, one := range list {
		words = append(words, text(one))
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}

// person reads a record of this server.
func (on *system) person(found wire.Record) person {
	f := found.Fields
	if on.side == "left" {
		custom, _ := f["custom_fields"].(map[string]any)
		return person{
			"name": text(f["name"]), "email": strings.ToLower(text(f["email"])), "phone": text(f["phone"]), "company": text(f["company"]),
			"position": text(f["position"]), "stage": text(f["status"]), "tags": set(f["tags"]), "score": text(custom["score"]),
			"note": text(custom["note"]), "owner": on.users[text(f["owner_id"])],
		}
	}
	return person{
		"name": strings.TrimSpace(text(f["first_name"]) + " " + text(f["last_name"])), "email": strings.ToLower(text(f["email"])),
		"phone": text(f["phone"]), "company": text(f["company_name"]), "position": text(f["job_title"]), "stage": stages()[text(f["lifecycle"])],
		"tags": set(f["labels"]), "score": text(f["score"]), "note": text(f["note"]), "owner": on.users[text(f["owner_id"])],
	}
}

// stages are SalesOS' words for those of Acme.
func stages() map[string]string {
	return map[string]string{"lead": "new", "contacted": "contacted", "qualified": "qualified", "disqualified": "unqualified", "customer": "converted"}
}

// pair is one lead on both servers.
type pair struct{ left, right string }

func (p pair) on(side *system) string {
	if side.side == "left" {
		return p.left
	}
	return p.right
}

// people reads all live records of a server by e-mail; twice the same e-mail is a duplicate.
func (on *system) people(ctx context.Context) (people map[string]person, ids map[string]string, err error) {
	found, err := on.admin.Records(ctx, on.object)
	people, ids = map[string]person{}, map[string]string{}
	for _, one := range found {
		who := on.person(one)
		if other, twice := ids[who["email"]]; twice {
			return nil, nil, fmt.Errorf("%s and %s of %s are duplicates", other, one.ID, on.object)
		}
		people[who["email"]], ids[who["email"]] = who, one.ID
	}
	return people, ids, err
}

// differences compares everything on both servers; empty when all agree.
func (w *world) differences(ctx context.Context, want int) string {
	left, _, err := w.left.people(ctx)
	if err != nil {
		return err.Error()
	}
	right, _, err := w.right.people(ctx)
	if err != nil {
		return err.Error()
	}
	if len(left) != want || len(right) != want {
		return fmt.Sprintf("%d leads and %d contacts, %d wanted", len(left), len(right), want)
	}
	for email, one := range left {
		other, ok := right[email]
		if !ok {
			return email + " is in SalesOS only"
		}
		for _, field := range fields() {
			if one[field] != other[field] {
				return fmt.Sprintf("%s of %s: SalesOS %q, Acme %q", field, email, one[field], other[field])
			}
		}
	}
	return ""
}

// awaitAgreement waits until both servers hold the same want records.
func (w *world) awaitAgreement(t testing.TB, want int) {
	t.Helper()
	eventually(t, "both servers agree", func(ctx context.Context) (bool, string) {
		seen := w.differences(ctx, want)
		if seen != "" {
			if now, err := w.status(ctx); err == nil {
				return false, fmt.Sprintf("%s; status %+v; %s", seen, now, w.parked(ctx))
			}
		}
		return seen == "", seen
	})
}

// parked tells the open dead letters.
func (w *world) parked(ctx context.Context) string {
	found, err := all[deadLetter](ctx, w.s.api, w.path("/dead-letters"), nil)
	return fmt.Sprintf("dead letters %+v, error %v", found[:min(len(found), 5)], err)
}

// pair is record n, which is on both servers.
func (w *world) pair(t testing.TB, n int) pair {
	t.Helper()
	_, left, err := w.left.people(t.Context())
	require.NoError(t, err)
	_, right, err := w.right.people(t.Context())
	require.NoError(t, err)
	found := pair{left[w.email(n)], right[w.email(n)]}
	require.True(t, found.left != "" && found.right != "", "record %d is on one server only: %+v", n, found)
	return found
}

// edit changes a record as a user.
func (w *world) edit(t testing.TB, on *system, who pair, values map[string]any) {
	t.Helper()
	_, err := on.admin.EditRecord(t.Context(), on.object, who.on(on), values)
	require.NoError(t, err)
}

// awaitBoth waits until both servers hold these values of one lead.
func (w *world) awaitBoth(t testing.TB, who pair, want person) {
	t.Helper()
	eventually(t, fmt.Sprintf("both servers hold %v", want), func(ctx context.Context) (bool, string) {
		for _, on := range w.systems() {
			found, err := on.admin.Record(ctx, on.object, who.on(on))
			if err != nil {
				return false, err.Error()
			}
			have := on.person(found)
			for field, value := range want {
				if have[field] != value {
					return false, fmt.Sprintf("%s on the %s is %q", field, on.side, have[field])
				}
			}
		}
		return true, ""
	})
}

// holds reads one record now.
func (w *world) holds(t testing.TB, on *system, who pair) person {
	t.Helper()
	found, err := on.admin.Record(t.Context(), on.object, who.on(on))
	require.NoError(t, err)
	return on.person(found)
}

// created is how many records the service has created on a server; twice the
// same record cannot be, so it fails if one create was repeated.
func (w *world) created(t testing.TB, on *system) int {
	t.Helper()
	calls, effects, err := on.admin.WriteTotals(t.Context(), sandboxclient.Filter{Actor: service, Object: on.object, Op: "create"})
	require.NoError(t, err)
	require.Equal(t, effects, calls)
	return effects
}

// writes is how many changes the service has made on a server, of all kinds.
func (w *world) writes(t testing.TB, on *system) int {
	t.Helper()
	calls, _, err := on.admin.WriteTotals(t.Context(), sandboxclient.Filter{Actor: service})
	require.NoError(t, err)
	return calls
}

// quiet runs a full comparison and checks that it writes nothing.
func (w *world) quiet(t *testing.T) {
	t.Helper()
	w.awaitIdle(t)
	before := [2]int{w.writes(t, w.left), w.writes(t, w.right)}
	run := w.startRun(t, "compare")
	require.Equal(t, "succeeded", run.State)
	w.awaitIdle(t)
	require.Equal(t, before, [2]int{w.writes(t, w.left), w.writes(t, w.right)}, "writes on the left and right although nothing happened")
	t.Logf("compared %d records: nothing was written; the service's writes so far: %d and %d", run.Counts.Read, before[0], before[1])
}
