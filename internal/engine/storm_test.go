package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
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
