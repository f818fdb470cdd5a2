package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// idle makes sure that nothing waits, in whatever lane.
func (b *bench) idle() {
	b.t.Helper()
	pending, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(b.t, err)
	require.Zero(b.t, pending.Changes)
	require.Zero(b.t, pending.Intents)
}

// TestTwinsAreTakenWhenTheOtherHasAnotherKey: a record that was parked because another
// one has its key goes on as soon as that other one has been edited.
func TestTwinsAreTakenWhenTheOtherHasAnotherKey(t *testing.T) {
	t.Run("parked with it", func(t *testing.T) {
		b := start(t, setup{})
		first := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
		second := b.create(record.Left, map[string]any{"name": "Ana", "email": "Ana@x.com"})
		contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
		b.quiet()
		require.Len(t, b.letters(), 3)
		b.clock.advance(time.Hour)
		b.edit(record.Left, second, map[string]any{"email": "ana2@x.com"})
		b.hint(record.Left, second)
		b.settle()
		require.Empty(t, b.letters())
		require.Equal(t, contact, b.other(record.Left, first))
		require.NotEmpty(t, b.other(record.Left, second))
		require.Len(t, b.live(record.Right), 2)
		b.idle()
	})
	t.Run("deleted", func(t *testing.T) {
		b := start(t, setup{})
		first := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
		second := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
		b.quiet()
		require.Len(t, b.letters(), 2)
		b.clock.advance(time.Hour)
		b.remove(record.Left, second)
		b.hint(record.Left, second)
		b.settle()
		require.Empty(t, b.letters())
		require.NotEmpty(t, b.other(record.Left, first))
		b.idle()
	})
	t.Run("linked", func(t *testing.T) {
		b := start(t, setup{})
		lead, contact := b.pair("ana@x.com")
		second := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
		b.quiet()
		require.Len(t, b.letters(), 1)
		b.clock.advance(time.Hour)
		b.edit(record.Left, lead, map[string]any{"email": "ana2@x.com"})
		b.hint(record.Left, lead)
		b.settle()
		require.Empty(t, b.letters())
		require.Equal(t, "ana2@x.com", text(b.get(record.Right, contact), "email"))
		require.NotEqual(t, contact, b.other(record.Left, second))
		b.idle()
	})
}

// TestWhatACompareFindsOnItsWay is worked on by it: the record that shared its key with
// one of a pair of which only the compare learns that it was deleted.
func TestWhatACompareFindsOnItsWay(t *testing.T) {
	b := start(t, setup{})
	require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"unique": false}))
	b.pair("cia@x.com")
	lead, contact := b.pair("ana@x.com")
	second := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
	b.quiet()
	require.Len(t, b.letters(), 1)
	b.clock.advance(time.Hour)
	b.remove(record.Left, lead)
	b.run(ledger.RunCompare)
	b.idle()
	require.NotNil(t, b.get(record.Right, contact).DeletedAt)
	require.NotEmpty(t, b.other(record.Right, second))
	require.Empty(t, b.letters())
}
