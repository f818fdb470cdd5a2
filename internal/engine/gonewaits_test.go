package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// polled is how many changes a poll finds.
func (b *bench) polled() int {
	b.t.Helper()
	result, err := b.engine.Poll(b.ctx, b.key, "leads")
	require.NoError(b.t, err)
	return result.Enqueued
}

// What waits for a person is no change that waits: polls leave the survivor of a delete
// alone until somebody does something to it.
func TestPollsLeaveWhatWaitsForAPersonAlone(t *testing.T) {
	for _, waits := range []string{"conflict", "guard"} {
		t.Run(waits, func(t *testing.T) {
			b := start(t, setup{variables: map[string]string{"GUARD_MAX": map[string]string{"conflict": "1000", "guard": "0"}[waits]}})
			b.pair("bia@x.com")
			lead, contact := b.pair("ana@x.com")
			if waits == "conflict" {
				b.edit(record.Left, lead, map[string]any{"company": "X"})
			}
			b.remove(record.Right, contact)
			b.look(record.Right, contact)
			b.turns(40)
			require.Len(t, b.openConflicts(), map[string]int{"conflict": 1}[waits])
			require.Len(t, b.heldNow(), map[string]int{"guard": 1}[waits])
			b.clock.advance(2 * time.Second)
			require.Zero(t, b.polled())

			b.edit(record.Left, lead, map[string]any{"company": "Y"})
			b.clock.advance(2 * time.Second)
			require.Equal(t, 1, b.polled(), "an edit is news")
			b.settle()
			require.Len(t, b.openConflicts(), 1)
			require.Equal(t, "Y", b.openConflicts()[0].Left.(map[string]any)["company"])
			require.Nil(t, b.get(record.Left, lead).DeletedAt)
			b.clock.advance(2 * time.Second)
			require.Zero(t, b.polled())
			b.run(ledger.RunCompare)
			require.Len(t, b.openConflicts(), 1)
		})
	}
}
