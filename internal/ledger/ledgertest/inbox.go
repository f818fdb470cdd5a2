package ledgertest

import (
	"hash/fnv"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func inboxTests() []test {
	return []test{
		{"a change goes in and out", inboxRoundTrip},
		{"a second arrival hastens the first", inboxMerge},
		{"an arrival during the work survives it", inboxGeneration},
		{"retry waits, a fresh event does not", inboxRetry},
		{"an arrival during a failed try does not wait", inboxRetryMoved},
		{"a failed try leaves its run", inboxRetryLeavesRun},
		{"what waits of a run is read in order, and claimed by stream", inboxOfRun},
		{"order of claims", inboxOrder},
		{"shards part the refs", inboxShards},
		{"claims by run", inboxRun},
		{"what a change shows", inboxShown},
		{"the work of a dead worker is taken over", inboxCrash},
		{"a row that kills workers is put off", inboxPoison},
		{"a patient change waits for the back-off", inboxPatient},
		{"a claim holds the counterpart", inboxCounterpart},
		{"held leases are passed over", inboxPassedOver},
		{"two stores compete and share nothing", inboxCompete},
		{"nudges", inboxNudge},
		{"pending", inboxPending},
		{"pending of a part", inboxPendingFilter},
		{"connections with due rows", inboxSweep},
		{"bad changes are refused whole", inboxUsage},
	}
}

func inboxRoundTrip(w *world) {
	given := ledger.Change{
		Stream: "leads", Ref: left("a/b c"), Lane: ledger.LanePoll, RunID: "run", EventID: "event",
		Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	w.enqueue(given)
	got := w.claimOne()
	w.near(w.now(), got.DueAt)
	w.near(w.now(), got.FirstAt)
	got.DueAt = time.Time{}
	require.Equal(w, given, got.Change)
	require.EqualValues(w, 1, got.Generation)
	require.Equal(w, 0, got.Tries)
	require.Equal(w, 1, got.Claims)
	require.Equal(w, []string{ledger.RefKey(given.Ref)}, got.Lease.Keys)
	require.NotEmpty(w, got.Lease.Token)
	w.near(w.now().Add(30*time.Second), got.Lease.Expires)
	require.Empty(w, w.claim(10))
	w.commit(ledger.Commit{Lease: got.Lease, Done: &got})
	require.Zero(w, w.pending())
	w.clock.Advance(time.Hour)
	require.Empty(w, w.claim(10))
}

func inboxMerge(w *world) {
	first := change(left("1"))
	first.DueAt, first.Lane, first.EventID, first.RunID = w.now().Add(time.Hour), ledger.LaneBackfill, "e1", "run"
	w.enqueue(first)
	require.Empty(w, w.claim(10))
	second := change(left("1"))
	second.EventID = "e2"
	w.enqueue(second)
	later := change(left("1"))
	later.DueAt, later.Lane = w.now().Add(time.Hour), ledger.LanePoll
	w.enqueue(later)
	got := w.claimOne()
	require.EqualValues(w, 3, got.Generation)
	require.Equal(w, ledger.LaneLive, got.Lane)
	require.Equal(w, "e2", got.EventID)
	require.Equal(w, "run", got.RunID)
	w.near(w.now(), got.DueAt)
	// The same ref in another stream is another row.
	w.commit(ledger.Commit{Lease: got.Lease, Done: &got})
	other := change(left("1"))
	other.Stream = "deals"
	w.enqueue(other, change(left("1")))
	require.Equal(w, 2, w.pending().Changes)
	require.Len(w, w.claim(10), 1, "one lease per ref, whatever the stream")
}

func inboxGeneration(w *world) {
	w.enqueue(change(left("1")))
	work := w.claimOne()
	later := change(left("1"))
	later.DueAt = w.now().Add(time.Hour)
	w.enqueue(later)
	require.Empty(w, w.claim(10))
	w.commit(ledger.Commit{Lease: work.Lease, Done: &work})
	again := w.claimOne()
	require.EqualValues(w, 2, again.Generation)
	require.Equal(w, 0, again.Tries)
	w.commit(ledger.Commit{Lease: again.Lease, Done: &again})
	require.Zero(w, w.pending().Changes)
	// Done and another look in one commit: the new row keeps its due time.
	w.enqueue(change(left("1")))
	work = w.claimOne()
	w.commit(ledger.Commit{Lease: work.Lease, Done: &work, Enqueue: []ledger.Change{later}})
	require.Empty(w, w.claim(10))
	require.Equal(w, 1, w.pending().Changes)
}

func inboxRetry(w *world) {
	w.enqueue(change(left("1")))
	work := w.claimOne()
	w.commit(ledger.Commit{Lease: work.Lease, Retry: &work, RetryAt: w.now().Add(time.Hour), CountTry: true})
	require.Empty(w, w.claim(10))
	w.clock.Advance(time.Hour + time.Second)
	work = w.claimOne()
	require.Equal(w, 1, work.Tries)
	require.Equal(w, 2, work.Claims)
	require.EqualValues(w, 1, work.Generation)
	w.commit(ledger.Commit{Lease: work.Lease, Retry: &work, RetryAt: w.now().Add(time.Hour)})
	require.Empty(w, w.claim(10))
	w.enqueue(change(left("1")))
	work = w.claimOne()
	require.Equal(w, 1, work.Tries, "a throttled try was not counted")
	_ = work
}

// inboxRetryLeavesRun: a row of a run whose try failed is live work from then on.
func inboxRetryLeavesRun(w *world) {
	found := change(left("1"))
	found.Lane, found.RunID = ledger.LaneBackfill, "run"
	w.enqueue(found)
	ofRun := ledger.ClaimRequest{RunID: "run", MaxLane: ledger.LaneBackfill, Limit: 1, TTL: time.Minute}
	live := ledger.ClaimRequest{MaxLane: ledger.LanePoll, Limit: 1, TTL: time.Minute}
	claim := func(request ledger.ClaimRequest) []ledger.Work {
		work, err := w.store.Claim(w.ctx, w.key, request)
		w.ok(err)
		return work
	}
	work := claim(ofRun)
	require.Len(w, work, 1)
	w.commit(ledger.Commit{Lease: work[0].Lease, Retry: &work[0]})
	require.Empty(w, claim(live), "a try that does not count keeps the row in its run")
	work = claim(ofRun)
	require.Len(w, work, 1)
	w.commit(ledger.Commit{Lease: work[0].Lease, Retry: &work[0], CountTry: true})
	require.Empty(w, claim(ofRun))
	work = claim(live)
	require.Len(w, work, 1)
	require.Equal(w, ledger.LanePoll, work[0].Lane)
	require.Empty(w, work[0].RunID)
	// Another run finds it while it is tried: that one keeps it.
	found.RunID = "next"
	w.enqueue(found)
	w.commit(ledger.Commit{Lease: work[0].Lease, Retry: &work[0], CountTry: true})
	p, err := w.store.Pending(w.ctx, w.key, ledger.PendingFilter{RunID: "next"})
	w.ok(err)
	require.Equal(w, []int{1, 0}, []int{p.Changes, p.Untried})
}

func inboxRetryMoved(w *world) {
	w.enqueue(change(left("1")))
	work := w.claimOne()
	w.enqueue(change(left("1")))
	w.commit(ledger.Commit{Lease: work.Lease, Retry: &work, RetryAt: w.now().Add(time.Hour), CountTry: true})
	require.EqualValues(w, 2, w.claimOne().Generation)
}

func inboxOrder(w *world) {
	base := w.now().Add(-time.Hour)
	at := func(id string, lane ledger.Lane, minutes int) ledger.Change {
		c := change(left(id))
		c.Lane, c.DueAt = lane, base.Add(time.Duration(minutes)*time.Minute)
		return c
	}
	w.enqueue(at("f", 2, 0), at("d", 1, 1), at("b", 0, 3), at("a", 0, 2), at("c", 1, 0), at("e", 1, 2), at("later", 0, 120))
	live, err := w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{Limit: 1, TTL: time.Hour})
	w.ok(err)
	require.Equal(w, []string{"a"}, ids(live))
	polls, err := w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{Limit: 3, TTL: time.Hour, MaxLane: ledger.LanePoll})
	w.ok(err)
	require.Equal(w, []string{"b", "c", "d"}, ids(polls))
	require.Equal(w, []string{"e", "f"}, ids(w.claim(10)))
}

func inboxShards(w *world) {
	names := numbered("id", 60)
	for _, id := range names {
		w.enqueue(change(left(id)))
	}
	var all []string
	for shard := range 4 {
		work, err := w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{Shard: shard, Shards: 4, Limit: 100, TTL: time.Hour})
		w.ok(err)
		for _, item := range work {
			hash := fnv.New32a()
			_, _ = hash.Write([]byte(item.Ref.String())) // never fails
			require.EqualValues(w, shard, hash.Sum32()%4)
		}
		all = append(all, ids(work)...)
	}
	require.ElementsMatch(w, names, all)
	_, err := w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{Shards: 3, Limit: 1, TTL: time.Hour})
	w.code(fault.Usage, err)
}

func inboxRun(w *world) {
	mine := change(left("mine"))
	mine.RunID, mine.Lane = "run", ledger.LaneBackfill
	w.enqueue(change(left("other")), mine)
	work, err := w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{RunID: "run", Limit: 10, TTL: time.Hour, MaxLane: ledger.LaneBackfill})
	w.ok(err)
	require.Equal(w, []string{"mine"}, ids(work))
}

func inboxCrash(w *world) {
	w.enqueue(change(left("1")))
	dead := w.claimOne()
	w.clock.Advance(29 * time.Second)
	require.Empty(w, w.claim(10))
	require.Equal(w, 0, w.pending().DueNow)
	w.clock.Advance(2 * time.Second)
	require.Equal(w, 1, w.pending().DueNow)
	taken := w.claimOne()
	require.Equal(w, 2, taken.Claims)
	require.NotEqual(w, dead.Lease.Token, taken.Lease.Token)
	// The sleeper wakes up: nothing of it is written.
	w.code(fault.Stale, w.store.Commit(w.ctx, w.key, ledger.Commit{Lease: dead.Lease, Done: &dead, PutLinks: []ledger.Link{link("1")}}))
	require.Nil(w, w.load(left("l1")).Link)
	w.ok(w.store.Release(w.ctx, w.key, dead.Lease))
	require.Empty(w, w.claim(10), "the sleeper's release took nothing from the new owner")
	w.commit(ledger.Commit{Lease: taken.Lease, Done: &taken})
	require.Zero(w, w.pending().Changes)
}

func inboxCounterpart(w *world) {
	tombstone, detached := link("2"), link("3")
	tombstone.State, detached.State = ledger.LinkTombstone, ledger.LinkDetached
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1"), tombstone, detached}})
	w.enqueue(change(left("l1")), change(left("l2")), change(left("l3")))
	keys := map[string][]string{}
	for _, work := range w.claim(10) {
		keys[work.Ref.ID] = work.Lease.Keys
	}
	require.Equal(w, map[string][]string{
		"l1": {ledger.RefKey(left("l1")), ledger.RefKey(right("r1"))},
		"l2": {ledger.RefKey(left("l2"))},
		"l3": {ledger.RefKey(left("l3")), ledger.RefKey(right("r3"))},
	}, keys)
	w.enqueue(change(right("r1")), change(right("r2")))
	require.Equal(w, []string{"r2"}, ids(w.claim(10)))
}

func inboxPassedOver(w *world) {
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1"), link("2")}})
	// r1 is held, so l1 cannot be worked on; both ends of link 2 are due.
	lease, err := w.store.Acquire(w.ctx, w.key, []string{ledger.RefKey(right("r1"))}, time.Hour)
	w.ok(err)
	w.enqueue(change(left("l1")), change(left("l2")), change(right("r2")), change(left("l7")))
	got := w.claim(1)
	got = append(got, w.claim(1)...)
	got = append(got, w.claim(1)...)
	require.Len(w, got, 2)
	require.Contains(w, ids(got), "l7")
	pending := w.pending()
	require.Equal(w, 4, pending.Changes)
	require.Equal(w, 0, pending.DueNow)
	w.near(w.now().Add(30*time.Second), pending.NextDue)
	w.ok(w.store.Release(w.ctx, w.key, lease))
	require.Equal(w, []string{"l1"}, ids(w.claim(10)))
}

func inboxCompete(w *world) {
	const rows = 120
	for _, id := range numbered("id", rows/2) {
		w.enqueue(change(left("l"+id)), change(right("r"+id)))
	}
	var mutex sync.Mutex
	claimed := map[string]int{}
	var group sync.WaitGroup
	for range 4 {
		store := w.db.Open(w.T, w.clock)
		group.Go(func() {
			for range 100 {
				work, err := store.Claim(w.ctx, w.key, ledger.ClaimRequest{Limit: 7, TTL: time.Hour})
				if err != nil {
					w.Errorf("claim: %v", err)
					return
				}
				mutex.Lock()
				for _, item := range work {
					claimed[item.Ref.String()]++
				}
				done := len(claimed) == rows
				mutex.Unlock()
				if done {
					return
				}
			}
		})
	}
	group.Wait()
	require.Len(w, claimed, rows)
	for ref, times := range claimed {
		require.Equal(w, 1, times, ref)
	}
}

func inboxNudge(w *world) {
	nudge := func() bool {
		need, err := w.store.Enqueue(w.ctx, w.key, []ledger.Change{change(left("1"))}, time.Minute)
		w.ok(err)
		return need
	}
	require.True(w, nudge())
	require.False(w, nudge())
	w.clock.Advance(61 * time.Second)
	require.True(w, nudge(), "a nudge that got lost expires")
	w.ok(w.store.ClearNudge(w.ctx, w.key))
	require.True(w, nudge())
	need, err := w.store.Enqueue(w.ctx, w.key, nil, time.Minute)
	w.ok(err)
	require.False(w, need)
	_, err = w.store.Enqueue(w.ctx, ledger.Key{Tenant: "x", Connection: "y"}, []ledger.Change{change(left("1"))}, time.Minute)
	w.code(fault.NotFound, err)
}

func inboxPending(w *world) {
	require.Zero(w, w.pending())
	start := w.now()
	w.enqueue(change(left("1")), change(left("2")))
	later := change(left("3"))
	later.DueAt = start.Add(time.Hour)
	w.enqueue(later)
	p := w.pending()
	require.Equal(w, []int{3, 2, 3}, []int{p.Changes, p.DueNow, p.Untried})
	w.near(start.Add(time.Hour), p.NextDue)
	w.near(start, p.Oldest)
	work := w.claim(1)
	require.Len(w, work, 1)
	p = w.pending()
	require.Equal(w, []int{3, 1}, []int{p.Changes, p.DueNow})
	w.near(start.Add(30*time.Second), p.NextDue)
	w.commit(ledger.Commit{
		Lease: work[0].Lease, Retry: &work[0], RetryAt: start.Add(2 * time.Hour), CountTry: true,
		OpenIntents: []ledger.Intent{{ID: "i", Stream: "leads", Source: work[0].Ref}},
	})
	p = w.pending()
	require.Equal(w, []int{3, 1, 2, 1}, []int{p.Changes, p.DueNow, p.Untried, p.Intents})
	w.near(start.Add(time.Hour), p.NextDue)
}

func inboxPendingFilter(w *world) {
	backfill := change(left("1"))
	backfill.Lane, backfill.RunID = ledger.LaneBackfill, "run"
	deal := change(left("2"))
	deal.Stream = "deals"
	w.enqueue(backfill, deal, change(left("3")))
	count := func(filter ledger.PendingFilter) int {
		p, err := w.store.Pending(w.ctx, w.key, filter)
		w.ok(err)
		require.Equal(w, p.Changes, p.DueNow)
		return p.Changes
	}
	require.Equal(w, 3, count(ledger.PendingFilter{}))
	require.Equal(w, 1, count(ledger.PendingFilter{RunID: "run"}))
	require.Equal(w, 1, count(ledger.PendingFilter{Stream: "deals"}))
	require.Equal(w, 2, count(ledger.PendingFilter{SkipBackfill: true}))
	require.Equal(w, 0, count(ledger.PendingFilter{RunID: "other"}))
}

func inboxSweep(w *world) {
	due := func() []ledger.Key {
		keys, err := w.store.ConnectionsWithDue(w.ctx, 10)
		w.ok(err)
		return keys
	}
	require.Empty(w, due())
	w.enqueue(change(left("1")))
	require.Empty(w, due(), "a nudge is pending")
	w.clock.Advance(61 * time.Second)
	require.Equal(w, []ledger.Key{w.key}, due())
	work := w.claimOne()
	require.Empty(w, due(), "a worker has it")
	w.ok(w.store.Release(w.ctx, w.key, work.Lease))
	w.ok(w.store.SetConnectionState(w.ctx, w.key, ledger.Paused, ""))
	require.Empty(w, due())
}

func inboxUsage(w *world) {
	_, err := w.store.Enqueue(w.ctx, w.key, []ledger.Change{change(left("1")), change(left(""))}, time.Minute)
	w.code(fault.Usage, err)
	require.Zero(w, w.pending().Changes)
	_, err = w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{TTL: time.Hour})
	w.code(fault.Usage, err)
}
