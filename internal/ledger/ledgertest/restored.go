package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func restoredTests() []test {
	return []test{
		{"the mark only ever grows", markGrows},
		{"a ledger that was put back stops everything", markBehind},
		{"a ledger that begins anew is noticed too", markUnknown},
		{"accepting a restored ledger", restoredAccept},
		{"a return that was not noticed", restoredByHand},
		{"two returns of the ledger", restoredTwice},
	}
}

func (w *world) witness(remembered ...ledger.Mark) (ledger.Mark, *ledger.Restored, int) {
	w.Helper()
	mark, found, count, err := w.store.Witness(w.ctx, remembered...)
	w.ok(err)
	return mark, found, count
}

// ahead is a mark of a later state of the ledger than the one it has.
func ahead(mark ledger.Mark, by time.Duration) ledger.Mark {
	mark.Count += 1000
	mark.At = mark.At.Add(by)
	return mark
}

func markGrows(w *world) {
	first, found, _ := w.witness()
	require.Nil(w, found)
	require.NotEmpty(w, first.Epoch)
	again, found, _ := w.witness(first)
	require.Nil(w, found)
	require.Equal(w, first.Count, again.Count, "not at every look")
	w.clock.Advance(5 * time.Second)
	later, found, _ := w.witness(first, again, ledger.Mark{})
	require.Nil(w, found)
	require.Equal(w, first.Epoch, later.Epoch)
	require.Greater(w, later.Count, first.Count)
	require.True(w, later.At.After(first.At))
	standing, err := w.store.Standing(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, later, standing.Mark)
	require.Equal(w, ledger.Active, standing.State)
	require.Zero(w, standing.Restored)
}

func markBehind(w *world) {
	paused := ledger.Key{Tenant: "t", Connection: "paused"}
	w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: paused, Name: "p", State: ledger.Paused}))
	old, _, _ := w.witness()
	lost := ahead(old, time.Hour)
	w.clock.Advance(2 * time.Hour)
	fresh, found, count := w.witness(lost)
	require.NotNil(w, found)
	require.Equal(w, 2, count)
	require.NotEqual(w, old.Epoch, fresh.Epoch)
	require.Equal(w, old.At, found.From)
	require.Equal(w, lost.At, found.To)
	standing, err := w.store.Standing(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, ledger.Failing, standing.State)
	require.True(w, standing.Restored.Waiting())
	require.Equal(w, ledger.Active, standing.Restored.State)
	w.code(fault.Conflict, w.store.SetConnectionState(w.ctx, w.key, ledger.Active, ""))
	got, err := w.store.Connection(w.ctx, w.key)
	w.ok(err)
	require.Contains(w, got.StateReason, "put back")
	require.Equal(w, standing.Restored, got.Restored)
	other, err := w.store.Standing(w.ctx, paused)
	w.ok(err)
	require.Equal(w, ledger.Paused, other.Restored.State)

	// Whoever still remembers the lost state raises no second alarm.
	for _, remembered := range []ledger.Mark{lost, old, ahead(lost, time.Minute)} {
		_, found, _ = w.witness(remembered)
		require.Nil(w, found)
	}
}

func markUnknown(w *world) {
	_, found, count := w.witness(ledger.Mark{Epoch: "of another life", Count: 7, At: w.now()})
	require.NotNil(w, found)
	require.Equal(w, 1, count)
	require.True(w, found.From.IsZero(), "nothing tells how old it is")
	_, found, _ = w.witness(ledger.Mark{Epoch: "of another life", Count: 9})
	require.Nil(w, found)
}

func restoredAccept(w *world) {
	old, _, _ := w.witness()
	_, found, _ := w.witness(ahead(old, time.Hour))
	w.code(fault.NotFound, func() error {
		_, err := w.store.AcceptRestored(w.ctx, ledger.Key{Tenant: "x", Connection: "y"}, time.Time{})
		return err
	}())
	accepted, err := w.store.AcceptRestored(w.ctx, w.key, time.Time{})
	w.ok(err)
	require.True(w, accepted.Comparing())
	require.Equal(w, found.From, accepted.From)
	standing, err := w.store.Standing(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, ledger.Active, standing.State)
	again, err := w.store.AcceptRestored(w.ctx, w.key, time.Time{})
	w.ok(err)
	require.Equal(w, accepted, again, "a command that is repeated changes nothing")
	w.ok(w.store.EndRestored(w.ctx, w.key, "another"))
	standing, err = w.store.Standing(w.ctx, w.key)
	w.ok(err)
	require.True(w, standing.Restored.Comparing())
	w.ok(w.store.EndRestored(w.ctx, w.key, accepted.Epoch))
	standing, err = w.store.Standing(w.ctx, w.key)
	w.ok(err)
	require.False(w, standing.Restored.Comparing())
	_, err = w.store.AcceptRestored(w.ctx, w.key, time.Time{})
	w.code(fault.Conflict, err)
}

func restoredByHand(w *world) {
	w.ok(w.store.SetConnectionState(w.ctx, w.key, ledger.Paused, ""))
	_, err := w.store.AcceptRestored(w.ctx, w.key, time.Time{})
	w.code(fault.Conflict, err)
	_, err = w.store.AcceptRestored(w.ctx, w.key, w.now().Add(time.Hour))
	w.code(fault.Usage, err)
	from := w.now().Add(-time.Hour)
	accepted, err := w.store.AcceptRestored(w.ctx, w.key, from)
	w.ok(err)
	require.True(w, accepted.From.Equal(from))
	require.True(w, accepted.Comparing())
	standing, err := w.store.Standing(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, ledger.Paused, standing.State, "it is as it was")
}

func restoredTwice(w *world) {
	old, _, _ := w.witness()
	second, first, _ := w.witness(ahead(old, time.Hour))
	w.clock.Advance(time.Hour)
	_, found, _ := w.witness(ahead(second, 2*time.Hour))
	require.NotNil(w, found)
	standing, err := w.store.Standing(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, first.From, standing.Restored.From, "what is not known begins with the first")
	require.Equal(w, ledger.Active, standing.Restored.State)
}
