package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func clockTests() []test {
	return []test{
		{"what one store tells to wait, another waits for as long", clockShared},
		{"a machine's clock that jumps", clockMachine},
		{"due work stays due when the clock is set back", clockSetBack},
		{"set back while nobody was there", clockSetBackUnseen},
		{"a back-off and a row that kills workers keep their pause", clockSetBackPauses},
		{"set back with polls and pauses of sides", clockSetBackSchedules},
	}
}

// wrong is another machine whose clock is off by d, unless the clock of the
// machine is the ledger's, where it would be the ledger's that is wrong.
func (w *world) wrong(d time.Duration) ledger.Store {
	w.Helper()
	off := &Clock{}
	off.SetMachine(d)
	store := w.db.Open(w.T, off)
	now, err := store.Now(w.ctx)
	w.ok(err)
	if now.Sub(w.now()).Abs() > time.Minute {
		w.Skip("this ledger goes by the clock of the machine, which all its processes share")
	}
	return store
}

// tells expects a store to know the ledger's clock without asking.
func (w *world) tells(store ledger.Store) {
	w.Helper()
	now, err := store.Now(w.ctx)
	w.ok(err)
	w.near(now, store.Clock())
}

func clockShared(w *world) {
	w.tells(w.store)
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		other := w.wrong(off)
		w.tells(other)
		waits := change(left("1"))
		waits.DueAt = other.Clock().Add(time.Minute)
		_, err := other.Enqueue(w.ctx, w.key, []ledger.Change{waits}, time.Minute)
		w.ok(err)
		require.Empty(w, w.claim(1), "it waits")
		w.near(w.now().Add(time.Minute), w.pending().NextDue)
		w.clock.Advance(2 * time.Minute)
		got := w.claimOne()
		w.commit(ledger.Commit{Lease: got.Lease, Done: &got})
		w.clock.Advance(-2 * time.Minute)
	}
}

func clockMachine(w *world) {
	for _, off := range []time.Duration{time.Hour, -time.Hour, 0} {
		w.clock.SetMachine(off)
		w.tells(w.store)
	}
}

func clockSetBack(w *world) {
	w.clock.Advance(time.Hour)
	w.enqueue(change(left("new")), change(left("tried")), change(left("held")))
	for _, work := range w.claim(3) {
		switch work.Ref.ID {
		case "tried":
			w.commit(ledger.Commit{Lease: work.Lease, Retry: &work, CountTry: true, RetryAt: w.now().Add(time.Second)})
		case "new":
			w.commit(ledger.Commit{Lease: work.Lease, Retry: &work})
		}
	}
	w.clock.Advance(-time.Hour)
	w.tells(w.store)
	require.ElementsMatch(w, []string{"new", "tried"}, ids(w.claim(3)), "what was due is due")
	w.clock.Advance(15 * time.Minute)
	need, err := w.store.Enqueue(w.ctx, w.key, []ledger.Change{change(left("more"))}, time.Minute)
	w.ok(err)
	require.True(w, need, "the nudge of before the jump does not count for an hour")
	require.Contains(w, ids(w.claim(9)), "held", "nobody can hold a record for an hour")
}

func clockSetBackUnseen(w *world) {
	w.clock.Advance(time.Hour)
	w.enqueue(change(left("1")))
	late := w.db.Open(w.T, &Clock{})
	w.ok(late.Migrate(w.ctx))
	work, err := late.Claim(w.ctx, w.key, ledger.ClaimRequest{Limit: 1, TTL: time.Minute, MaxLane: ledger.LaneBackfill})
	w.ok(err)
	require.Len(w, work, 1)
	now, err := late.Now(w.ctx)
	w.ok(err)
	require.False(w, work[0].FirstAt.After(now), "nothing arrived in a time to come")
}

func clockSetBackPauses(w *world) {
	w.enqueue(change(left("1")))
	w.clock.Advance(time.Hour)
	got := w.claimOne()
	w.commit(ledger.Commit{Lease: got.Lease, Retry: &got, CountTry: true, RetryAt: w.now().Add(10 * time.Minute)})
	w.clock.Advance(-10 * time.Second)
	require.Empty(w, w.claim(1), "a small step moves no pause")
	w.clock.Advance(-time.Hour + 20*time.Second)
	require.Empty(w, w.claim(1), "how long it was to wait cannot be told any more; it waits the longest pause at most")
	w.clock.Advance(21 * time.Minute)
	require.Equal(w, 1, w.claimOne().Tries)
}

func clockSetBackSchedules(w *world) {
	start := w.now()
	w.clock.Advance(time.Hour)
	w.ok(w.store.PutStreamState(w.ctx, w.key, ledger.StreamState{
		Stream: "leads", LastPollAt: w.now(), NextPollAt: w.now().Add(time.Minute), LastCompareAt: start, NextCompareAt: start.Add(24 * time.Hour),
	}))
	_, err := w.store.UpdateSideState(w.ctx, w.key, record.Left, func(state *ledger.SideState) {
		state.LastOKAt, state.PausedUntil, state.BrokenUntil = w.store.Clock(), w.store.Clock().Add(time.Minute), w.store.Clock().Add(time.Minute)
	})
	w.ok(err)
	w.clock.Advance(-time.Hour)
	w.now()
	polls, err := w.store.ClaimDuePolls(w.ctx, time.Minute, 5)
	w.ok(err)
	require.Len(w, polls, 1, "the poll is due")
	w.near(start.Add(24*time.Hour), polls[0].State.NextCompareAt)
	state, err := w.store.SideState(w.ctx, w.key, record.Left)
	w.ok(err)
	require.Zero(w, state.PausedUntil)
	require.Zero(w, state.BrokenUntil)
	granted, _, err := w.store.TakeQuota(w.ctx, w.key, record.Left, "live", 1, ledger.QuotaSpec{})
	w.ok(err)
	require.Equal(w, 1, granted)
}
