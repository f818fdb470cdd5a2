package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestAnEditInTheSecondOfOurWriteIsNotTheNewest edits a record in the very tick in
// which it was written by us: its time says nothing but that the edit is not later.
// An edit of the other side five minutes after that is newer.
func TestAnEditInTheSecondOfOurWriteIsNotTheNewest(t *testing.T) {
	b := start(t, replaced("granularity: 1s", "granularity: 60s"))
	require.NoError(t, b.left.SetSwitches(b.ctx, map[string]any{"granularity_ms": 60_000}))
	lead, contact := b.pair("ana@x.com")
	b.clock.advance(b.clock.now().Truncate(time.Minute).Add(time.Minute + time.Second).Sub(b.clock.now()))
	b.edit(record.Right, contact, map[string]any{"company_name": "Casa"})
	b.hint(record.Right, contact)
	b.settle()
	wrote := b.get(record.Left, lead).UpdatedAt
	b.edit(record.Left, lead, map[string]any{"position": "older"})
	require.Equal(t, wrote, b.get(record.Left, lead).UpdatedAt, "one tick for both")
	b.clock.advance(5 * time.Minute)
	b.edit(record.Right, contact, map[string]any{"job_title": "newer"})
	b.quiet()
	require.Equal(t, "newer", text(b.get(record.Left, lead), "position"))
	require.Equal(t, "newer", text(b.get(record.Right, contact), "job_title"))
}

// TestWhatAWriteToADeletedRecordReplacedIsTold: a kill after a write, and then its
// record is deleted. What the write replaced is found in the history all the same.
func TestWhatAWriteToADeletedRecordReplacedIsTold(t *testing.T) {
	for name, test := range map[string]struct{ both bool }{"one side": {}, "both sides": {true}} {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{})
			b.pair("bia@x.com")
			lead, contact := b.pair("ana@x.com")
			b.edit(record.Right, contact, map[string]any{"job_title": "by a person"})
			b.quiet()
			b.edit(record.Left, lead, map[string]any{"position": "by another"})
			b.hint(record.Left, lead)
			b.killOn("after update")
			require.Equal(t, "by another", text(b.get(record.Right, contact), "job_title"))
			b.remove(record.Right, contact)
			if test.both {
				b.remove(record.Left, lead)
			}
			b.quiet()
			entries, _, err := b.store.ListHistory(b.ctx, b.key, ledger.HistoryFilter{Side: record.Right, ID: contact, Field: "position"}, ledger.ListOptions{})
			require.NoError(t, err)
			require.NotEmpty(t, entries)
			require.Equal(t, "by a person", entries[0].Old)
			require.Equal(t, "by another", entries[0].New)
		})
	}
}

// TestAnotherFieldTouchedWhileAWriteWasNeverMade: a kill before a write whose value
// begins like the one that stands there, and a user's edit of another field at that
// moment. The record was touched, but not by us: the write is made after all.
func TestAnotherFieldTouchedWhileAWriteWasNeverMade(t *testing.T) {
	for _, side := range record.Sides() {
		t.Run(string(side), func(t *testing.T) {
			b := start(t, setup{})
			lead, contact := b.pair("ana@x.com")
			b.edit(record.Left, lead, map[string]any{"company": "Casa", "custom_fields": map[string]any{"score": 1_000_000_001}})
			b.quiet()
			if side == record.Left {
				b.edit(record.Right, contact, map[string]any{"company_name": "Casa Nova", "score": 1_000_000_002})
				b.hint(record.Right, contact)
			} else {
				b.edit(record.Left, lead, map[string]any{"company": "Casa Nova", "custom_fields": map[string]any{"score": 1_000_000_002}})
				b.hint(record.Left, lead)
			}
			hit := false
			b.crash = func(step string) error {
				if step == "before update" && !hit {
					hit = true
					if side == record.Left {
						b.edit(record.Left, lead, map[string]any{"position": "Chefe"})
					} else {
						b.edit(record.Right, contact, map[string]any{"job_title": "Chefe"})
					}
				}
				if hit {
					return engine.Killed()
				}
				return nil
			}
			b.drain()
			b.crash = nil
			require.True(t, hit)
			b.restart()
			b.clock.advance(11 * time.Second)
			b.quiet()
			for _, path := range [][2]string{{"company", "company_name"}, {"custom_fields.score", "score"}, {"position", "job_title"}} {
				want := map[string]any{"company": "Casa Nova", "custom_fields.score": "1000000002", "position": "Chefe"}[path[0]]
				require.Equal(t, want, fmt.Sprint(field(b.get(record.Left, lead), path[0])))
				require.Equal(t, want, fmt.Sprint(field(b.get(record.Right, contact), path[1])))
			}
		})
	}
}

// TestAMergedSetReachesTheSecondSideAfterALostAnswer: both sides changed a set, and
// the answer to the first of the two writes is lost. The second is made later.
func TestAMergedSetReachesTheSecondSideAfterALostAnswer(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"tags": []any{"a", "b"}})
	b.quiet()
	b.edit(record.Left, lead, map[string]any{"tags": []any{"a", "b", "l"}})
	b.edit(record.Right, contact, map[string]any{"labels": []any{"a"}})
	_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultReset, When: wire.After, Method: "PATCH"})
	require.NoError(t, err)
	b.quiet()
	require.ElementsMatch(t, []any{"a", "l"}, field(b.get(record.Left, lead), "tags"))
	require.ElementsMatch(t, []any{"a", "l"}, field(b.get(record.Right, contact), "labels"))
}
