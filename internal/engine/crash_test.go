package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// killAt kills the process at the nth step of one drain, and restarts it.
func (b *bench) killAt(n int) (reached bool) {
	left := n
	b.crash = func(string) error {
		if left == 0 {
			return engine.Killed()
		}
		left--
		return nil
	}
	b.drain()
	b.crash = nil
	b.restart()
	return left == 0
}

// TestKilledAnywhere kills the process at every single step of a create, an
// edit both ways and a delete: the end state and the number of records and
// writes never differ from those of an undisturbed run.
func TestKilledAnywhere(t *testing.T) {
	type scene struct {
		name   string
		before func(b *bench) (side record.Side, id string)
		check  func(t *testing.T, b *bench, id string)
	}
	scenes := []scene{
		{"create right", func(b *bench) (record.Side, string) {
			return record.Left, b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
		}, func(t *testing.T, b *bench, id string) {
			require.Len(t, b.live(record.Right), 1)
			require.Equal(t, "Lima", text(b.get(record.Right, b.other(record.Left, id)), "last_name"))
		}},
		{"create left", func(b *bench) (record.Side, string) {
			return record.Right, b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
		}, func(t *testing.T, b *bench, id string) {
			require.Len(t, b.live(record.Left), 1)
			require.Equal(t, "Ana", text(b.get(record.Left, b.other(record.Right, id)), "name"))
		}},
		{"first link", func(b *bench) (record.Side, string) {
			b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ANA@x.com", "job_title": "CTO"})
			return record.Left, b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "company": "X"})
		}, func(t *testing.T, b *bench, id string) {
			require.Len(t, b.live(record.Right), 1)
			require.Len(t, b.live(record.Left), 1)
			require.Equal(t, "X", text(b.get(record.Right, b.other(record.Left, id)), "company_name"))
			require.Equal(t, "CTO", text(b.get(record.Left, id), "position"))
		}},
		{"edits both ways", func(b *bench) (record.Side, string) {
			id := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
			b.quiet()
			b.edit(record.Left, id, map[string]any{"company": "X"})
			b.edit(record.Right, b.other(record.Left, id), map[string]any{"job_title": "CTO"})
			return record.Left, id
		}, func(t *testing.T, b *bench, id string) {
			require.Equal(t, "X", text(b.get(record.Right, b.other(record.Left, id)), "company_name"))
			require.Equal(t, "CTO", text(b.get(record.Left, id), "position"))
		}},
		{"delete", func(b *bench) (record.Side, string) {
			b.create(record.Left, map[string]any{"name": "Bia", "email": "bia@x.com"})
			id := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
			b.quiet()
			b.remove(record.Left, id)
			b.hint(record.Left, id)
			b.drain()
			b.clock.advance(2e9)
			return record.Left, id
		}, func(t *testing.T, b *bench, id string) {
			require.Len(t, b.live(record.Right), 1)
			links, _, err := b.store.Links(b.ctx, b.key, ledger.LinkFilter{Side: record.Left, ID: id}, ledger.ListOptions{})
			require.NoError(t, err)
			require.Len(t, links, 1)
			require.Equal(t, ledger.LinkTombstone, links[0].State)
		}},
	}
	for _, one := range scenes {
		t.Run(one.name, func(t *testing.T) {
			writes := -1
			step := 1
			if testing.Short() {
				step = 4
			}
			for n := 0; ; n += step {
				b := newBench(t, t.TempDir(), setup{})
				side, id := one.before(b)
				b.hint(side, id)
				reached := b.killAt(n)
				b.clock.advance(80e9)
				b.quiet()
				one.check(t, b, id)
				require.Empty(t, b.letters())
				total := b.writes(record.Left) + b.writes(record.Right)
				if writes < 0 {
					writes = total
				}
				// One call may be repeated where the server makes it safe to.
				require.LessOrEqual(t, total, writes+1, "killed at step %d", n)
				pending, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
				require.NoError(t, err)
				require.Zero(t, pending.Changes+pending.Intents)
				b.end()
				if !reached {
					require.Greater(t, n, 3, "the scene has steps to be killed at")
					return
				}
			}
		})
	}
}

func TestRefusedRecordIsParkedCorrectedAndReplayed(t *testing.T) {
	b := start(t, setup{})
	require.NoError(t, b.right.RejectField(b.ctx, wire.Rejection{Object: "contacts", Field: "job_title", Value: "bad", Message: "is not allowed"}))
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "position": "bad"})
	other := b.create(record.Left, map[string]any{"name": "Bia", "email": "bia@x.com"})
	b.quiet()
	b.other(record.Left, other)
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, lead, letters[0].Ref.ID)
	require.Equal(t, "position", letters[0].Reason.Field)
	require.Equal(t, 422, letters[0].Reason.Status)
	writes := b.writes(record.Right)
	b.quiet()
	b.run(ledger.RunCompare)
	require.Equal(t, writes, b.writes(record.Right), "a refused record is not tried again and again")

	_, err := b.store.PatchDeadLetter(b.ctx, b.key, letters[0].ID, ledger.Values{"position": "good"})
	require.NoError(t, err)
	count, err := b.store.ReplayDeadLetters(b.ctx, b.key, nil, "")
	require.NoError(t, err)
	require.Equal(t, 1, count)
	b.quiet()
	require.Empty(t, b.letters())
	require.Equal(t, "good", text(b.get(record.Right, b.other(record.Left, lead)), "job_title"))
	require.Equal(t, "good", text(b.get(record.Left, lead), "position"), "the correction reaches the source too")
}

func TestALaterGoodEditClearsADeadLetter(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
	b.quiet()
	require.NoError(t, b.right.RejectField(b.ctx, wire.Rejection{Object: "contacts", Field: "job_title", Value: "bad"}))
	b.edit(record.Left, lead, map[string]any{"position": "bad"})
	b.quiet()
	require.Len(t, b.letters(), 1)
	require.Equal(t, "bad", text(b.get(record.Left, lead), "position"), "the source stays as it is")
	b.edit(record.Left, lead, map[string]any{"position": "good"})
	b.quiet()
	require.Empty(t, b.letters())
	require.Equal(t, "good", text(b.get(record.Right, b.other(record.Left, lead)), "job_title"))
}

// TestAClearAfterACrashIsAnEdit: a lossy field that a user clears while the
// outcome of our write is unknown was cleared, not cut by its server.
func TestAClearAfterACrashIsAnEdit(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"custom_fields": map[string]any{"note": "a long note"}})
	b.hint(record.Left, lead)
	b.killOn("after update")
	require.Equal(t, "a long note", text(b.get(record.Right, contact), "note"))
	b.edit(record.Right, contact, map[string]any{"note": ""})
	b.quiet()
	require.Equal(t, text(b.get(record.Left, lead), "custom_fields.note"), text(b.get(record.Right, contact), "note"))
}

// TestATagTakenAwayAfterACrashIsAnEdit: a set that is shorter than what was
// sent, while the outcome of the write is unknown, was edited by somebody.
func TestATagTakenAwayAfterACrashIsAnEdit(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"tags": []any{"a", "b"}})
	b.hint(record.Left, lead)
	b.killOn("before update")
	b.edit(record.Right, contact, map[string]any{"labels": []any{"a"}})
	b.quiet()
	require.ElementsMatch(t, field(b.get(record.Left, lead), "tags"), field(b.get(record.Right, contact), "labels"))
}
