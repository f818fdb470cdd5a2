package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// calls counts what the service asked of both servers while do ran: "GET left" or
// "POST right" of records, "list left" of listings.
func (b *bench) calls(do func()) map[string]int {
	b.t.Helper()
	counted := map[string]int{}
	for _, side := range record.Sides() {
		client, _ := b.client(side)
		require.NoError(b.t, client.ResetLog(b.ctx))
	}
	do()
	for _, side := range record.Sides() {
		client, _ := b.client(side)
		calls, err := client.Calls(b.ctx, 0)
		require.NoError(b.t, err)
		for _, call := range calls {
			switch {
			case call.Actor != "app:accord" || strings.HasPrefix(call.Path, "/oauth/"):
			case call.Method == "GET" && call.ID == "":
				counted["list "+string(side)]++
			default:
				counted[call.Method+" "+string(side)]++
			}
		}
	}
	return counted
}

// lead makes a lead on the left, brings it over, and lets its echo pass.
func (b *bench) lead() (left, right string) {
	b.t.Helper()
	left = b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com", "phone": "+5511987654321", "custom_fields": map[string]any{"own": "kept"}})
	b.hint(record.Left, left)
	b.settle()
	right = b.other(record.Left, left)
	b.hint(record.Right, right)
	b.settle()
	return left, right
}

func TestCallsOfALiveEdit(t *testing.T) {
	b := start(t, setup{})
	left, right := b.lead()
	t.Run("to a side with versions: one read, one write", func(t *testing.T) {
		seen := b.calls(func() {
			b.edit(record.Left, left, map[string]any{"phone": "+5511911112222"})
			b.hint(record.Left, left)
			b.settle()
			b.hint(record.Right, right)
			b.settle()
		})
		require.Equal(t, map[string]int{"GET left": 1, "PATCH right": 1}, seen)
		require.Equal(t, "+5511911112222", field(b.get(record.Right, right), "phone"))
	})
	t.Run("to a side without: two reads, one write", func(t *testing.T) {
		seen := b.calls(func() {
			b.edit(record.Right, right, map[string]any{"phone": "+5511933334444"})
			b.hint(record.Right, right)
			b.settle()
			b.hint(record.Left, left)
			b.settle()
		})
		require.Equal(t, map[string]int{"GET left": 1, "GET right": 1, "PATCH left": 1}, seen)
		require.Equal(t, "+5511933334444", field(b.get(record.Left, left), "phone"))
	})
	t.Run("and again to the side with versions", func(t *testing.T) {
		seen := b.calls(func() {
			b.edit(record.Left, left, map[string]any{"name": "Ana Souza"})
			b.hint(record.Left, left)
			b.settle()
		})
		require.Equal(t, map[string]int{"GET left": 1, "PATCH right": 1}, seen)
		require.Equal(t, "Souza", field(b.get(record.Right, right), "last_name"))
	})
}

// TestUnreadTargetWasEdited: the other side was edited and nobody told. If-Match
// refuses the write that was made without a read, and both edits go through.
func TestUnreadTargetWasEdited(t *testing.T) {
	b := start(t, setup{})
	left, right := b.lead()
	b.edit(record.Right, right, map[string]any{"job_title": "CTO", "last_name": "Prado"})
	b.edit(record.Left, left, map[string]any{"phone": "+5511911112222"})
	b.hint(record.Left, left)
	seen := b.calls(b.settle)
	require.Equal(t, 2, seen["PATCH right"], "refused once, then written: %v", seen)
	require.Equal(t, "+5511911112222", field(b.get(record.Right, right), "phone"))
	require.Equal(t, "Ana Prado", field(b.get(record.Left, left), "name"))
	require.Equal(t, "Prado", field(b.get(record.Right, right), "last_name"))
}

// TestUnreadTargetIsGone: the record that is written without a read was deleted.
func TestUnreadTargetIsGone(t *testing.T) {
	b := start(t, setup{})
	left, right := b.lead()
	b.remove(record.Right, right)
	b.edit(record.Left, left, map[string]any{"phone": "+5511911112222"})
	b.hint(record.Left, left)
	b.quiet()
	require.Len(t, b.live(record.Left), 1, "deleted against edited: kept")
	require.Len(t, b.openConflicts(), 1, "and flagged")
}

func TestEventsThatTellNothingNew(t *testing.T) {
	b := start(t, setup{})
	left, right := b.lead()
	none := func(what string, do func()) {
		t.Helper()
		require.Empty(t, b.calls(do), what)
	}
	none("echoes told again", func() {
		for range 3 {
			b.hint(record.Left, left)
			b.hint(record.Right, right)
			b.settle()
		}
	})
	// An event that leaves a field out says nothing of it.
	partial := b.shown(record.Left, left)
	delete(partial.Fields, "company")
	b.edit(record.Left, left, map[string]any{"company": "Acme"})
	b.enqueue(ledger.Change{Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: left}, Shown: partial})
	b.settle()
	require.Equal(t, "Acme", field(b.get(record.Right, right), "company_name"))
	// Two events that differ are one look, whatever the later one shows.
	b.edit(record.Left, left, map[string]any{"company": "Beta"})
	b.hint(record.Left, left)
	stale := b.shown(record.Left, left)
	stale.Fields["company"] = "Acme"
	b.enqueue(ledger.Change{Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: left}, Shown: stale})
	b.settle()
	require.Equal(t, "Beta", field(b.get(record.Right, right), "company_name"))
}

// TestCallsOfAFirstLoad: a listed record is created on the other side with one
// call, and what its creation fires costs none.
func TestCallsOfAFirstLoad(t *testing.T) {
	b := start(t, setup{})
	records := make([]map[string]any, 0, 40)
	for i := range 40 {
		records = append(records, map[string]any{"name": fmt.Sprintf("Person %d", i), "email": fmt.Sprintf("p%d@x.com", i)})
	}
	_, err := b.left.Seed(b.ctx, wire.Seed{Object: "leads", Records: records})
	require.NoError(t, err)
	seen := b.calls(func() { b.run(ledger.RunBackfill) })
	require.Equal(t, 40, seen["POST right"])
	require.Zero(t, seen["GET left"]+seen["GET right"]+seen["PATCH left"]+seen["PATCH right"], "%v", seen)
	require.Empty(t, b.calls(func() {
		for _, one := range b.live(record.Right) {
			b.hint(record.Right, one.ID)
		}
		b.settle()
	}), "the events of our own creates")
	require.Empty(t, b.calls(func() {
		for _, one := range b.live(record.Left) {
			b.hint(record.Left, one.ID)
		}
		b.settle()
	}))
}

// TestListedThenEdited: what was listed is created, and an edit between the
// listing and the create comes after it.
func TestListedThenEdited(t *testing.T) {
	b := start(t, setup{})
	left := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
	edited := false
	b.crash = func(step string) error {
		if step == "before create" && !edited {
			edited = true
			b.edit(record.Left, left, map[string]any{"phone": "+5511911112222", "name": "Ana Souza"})
		}
		return nil
	}
	b.run(ledger.RunBackfill)
	b.crash = nil
	b.quiet()
	right := b.other(record.Left, left)
	require.Equal(t, "+5511911112222", field(b.get(record.Right, right), "phone"))
	require.Equal(t, "Souza", field(b.get(record.Right, right), "last_name"))
	require.Equal(t, "Ana Souza", field(b.get(record.Left, left), "name"))
}

// TestListedThenDeleted: a record that is deleted between its listing and its
// create does not stay on the other side.
func TestListedThenDeleted(t *testing.T) {
	b := start(t, setup{})
	left := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
	killed := false
	b.crash = func(step string) error {
		if step == "loaded" && !killed {
			killed = true
			b.remove(record.Left, left)
			b.hint(record.Left, left)
		}
		return nil
	}
	b.run(ledger.RunBackfill)
	b.crash = nil
	b.quiet()
	b.run(ledger.RunCompare)
	b.settle()
	require.Empty(t, b.live(record.Right))
}

// TestCallsOfACreateWhoseWebhookIsFaster: the webhook of a create comes before its
// answer has been worked on, and somebody looks at the new record just then.
func TestCallsOfACreateWhoseWebhookIsFaster(t *testing.T) {
	for _, side := range record.Sides() {
		t.Run(string(side), func(t *testing.T) {
			b := start(t, setup{})
			shown := map[record.Side]map[string]any{
				record.Left:  {"name": "Ana Lima", "email": "ana@x.com"},
				record.Right: {"first_name": "Ana", "last_name": "Lima", "email": "ana@x.com"},
			}
			source := b.create(side.Other(), shown[side.Other()])
			b.hint(side.Other(), source)
			looked := false
			b.crash = func(step string) error {
				if step == "after create" && !looked {
					looked = true
					_, object := b.client(side)
					made := record.Ref{Side: side, Object: object, ID: b.live(side)[0].ID}
					_, err := b.store.Acquire(b.ctx, b.key, []string{ledger.RefKey(made)}, 70*time.Millisecond)
					require.NoError(t, err)
				}
				return nil
			}
			seen := b.calls(b.settle)
			b.crash = nil
			require.True(t, looked)
			require.Equal(t, 1, seen["POST "+string(side)], "%v", seen)
			require.Equal(t, 1, seen["GET "+string(side.Other())], "%v", seen)
			require.Zero(t, seen["GET "+string(side)], "%v", seen)
			require.NotEmpty(t, b.other(side.Other(), source))
		})
	}
}
