package ledgertest

import (
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func bookTests() []test {
	return []test{
		{"history tells what was replaced", historyList},
		{"guard counts a window", guardWindow},
		{"guard lets no more than its number through at once", guardRace},
		{"held operations are decided", heldDecide},
		{"a second run joins the first", runJoin},
		{"a run goes on when it was asked for again", runAgain},
		{"runs are listed newest first", runList},
		{"one of many starts at once wins", runRace},
	}
}

func historyList(w *world) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	full := ledger.HistoryEntry{
		ID: "a", At: at, Stream: "leads", LinkID: "link-1", Ref: left("1"), Field: "name", Op: ledger.OpUpdate,
		Old: "x", New: number("1.0"), Cause: ledger.Cause{Kind: ledger.CauseChange, Side: record.Right, EventID: "e"},
		RunID: "run", WorkflowID: "w", RequestID: "r", IntentID: "i",
	}
	entries := []ledger.HistoryEntry{full}
	for i, id := range []string{"b", "c", "d", "e"} {
		entries = append(entries, ledger.HistoryEntry{
			ID: id, At: at.Add(time.Duration(i/2) * time.Second), Stream: "leads", Ref: right("2"), Field: "f" + id, Op: ledger.OpDelete,
			Old: map[string]any{"name": "x"},
		})
	}
	w.commit(ledger.Commit{History: entries})
	list := func(filter ledger.HistoryFilter) []string {
		return pages(w, func(o ledger.ListOptions) ([]ledger.HistoryEntry, string, error) {
			return w.store.ListHistory(w.ctx, w.key, filter, o)
		}, func(h ledger.HistoryEntry) string { return h.ID })
	}
	require.Equal(w, []string{"e", "d", "c", "b", "a"}, list(ledger.HistoryFilter{}))
	require.Equal(w, []string{"a"}, list(ledger.HistoryFilter{Side: record.Left, ID: "1"}))
	require.Empty(w, list(ledger.HistoryFilter{Side: record.Left, ID: "2"}))
	require.Equal(w, []string{"a"}, list(ledger.HistoryFilter{RunID: "run", Stream: "leads"}))
	require.Equal(w, []string{"c"}, list(ledger.HistoryFilter{ID: "2", Field: "fc"}))
	require.Empty(w, list(ledger.HistoryFilter{Stream: "deals"}))
	items, _, err := w.store.ListHistory(w.ctx, w.key, ledger.HistoryFilter{RunID: "run"}, ledger.ListOptions{})
	w.ok(err)
	require.Equal(w, []ledger.HistoryEntry{full}, items)
	// Repeating an entry changes nothing.
	full.New = "else"
	w.commit(ledger.Commit{History: []ledger.HistoryEntry{full}})
	require.Len(w, list(ledger.HistoryFilter{}), 5)
}

func guardWindow(w *world) {
	take := func(stream string, max int) bool {
		within, err := w.store.TakeGuard(w.ctx, w.key, stream, "delete", max, time.Hour)
		w.ok(err)
		return within
	}
	used := func() int {
		n, err := w.store.GuardUsed(w.ctx, w.key, "leads", time.Hour)
		w.ok(err)
		return n
	}
	require.True(w, take("leads", 2))
	w.clock.Advance(30 * time.Minute)
	require.True(w, take("leads", 2))
	require.False(w, take("leads", 2))
	require.Equal(w, 2, used(), "a refused operation is not counted")
	require.True(w, take("deals", 1))
	w.clock.Advance(31 * time.Minute)
	require.Equal(w, 1, used())
	require.True(w, take("leads", 2))
	require.False(w, take("leads", 0))
}

func guardRace(w *world) {
	var mutex sync.Mutex
	taken := 0
	var group sync.WaitGroup
	for i := range 3 {
		store := w.db.Open(w.T, w.clock)
		group.Go(func() {
			for range 5 {
				within, err := store.TakeGuard(w.ctx, w.key, "leads", fmt.Sprint("op", i), 7, time.Hour)
				if err != nil {
					w.Errorf("take: %v", err)
				}
				mutex.Lock()
				if within {
					taken++
				}
				mutex.Unlock()
			}
		})
	}
	group.Wait()
	require.Equal(w, 7, taken)
}

func heldDecide(w *world) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var commit ledger.Commit
	for i, id := range []string{"c", "b", "a"} {
		commit.PutHeld = append(commit.PutHeld, ledger.Held{
			ID: id, Stream: "leads", LinkID: "link", Ref: right(id), Op: "delete", Since: at.Add(time.Duration(i) * time.Second), State: ledger.HeldWaiting,
		})
	}
	w.commit(commit)
	list := func(state ledger.HeldState) []string {
		return pages(w, func(o ledger.ListOptions) ([]ledger.Held, string, error) {
			return w.store.ListHeld(w.ctx, w.key, state, o)
		}, func(h ledger.Held) string { return h.ID })
	}
	require.Equal(w, []string{"c", "b", "a"}, list(""))
	items, _, err := w.store.ListHeld(w.ctx, w.key, "", ledger.ListOptions{})
	w.ok(err)
	require.Equal(w, commit.PutHeld, items)
	decide := func(ids []string, state ledger.HeldState) int {
		n, err := w.store.DecideHeld(w.ctx, w.key, ids, state)
		w.ok(err)
		return n
	}
	require.Equal(w, 1, decide([]string{"c", "none"}, ledger.HeldRejected))
	require.Equal(w, "c", w.claimOne().Ref.ID)
	require.Equal(w, 0, decide([]string{"c"}, ledger.HeldApproved), "decided is decided")
	require.Equal(w, 2, decide(nil, ledger.HeldApproved))
	require.Len(w, w.claim(10), 2)
	require.Equal(w, []string{"b", "a"}, list(ledger.HeldApproved))
	_, err = w.store.DecideHeld(w.ctx, w.key, nil, ledger.HeldDone)
	w.code(fault.Usage, err)
}

func (w *world) startRun(id string, kind ledger.RunKind, stream string) (ledger.Run, bool) {
	w.Helper()
	run, joined, err := w.store.StartRun(w.ctx, ledger.Run{ID: id, Key: w.key, Kind: kind, Stream: stream, Total: -1, WorkflowID: "w-" + id})
	w.ok(err)
	return run, joined
}

func runJoin(w *world) {
	first, joined := w.startRun("a", ledger.RunPoll, "leads")
	require.False(w, joined)
	require.Equal(w, ledger.RunRunning, first.State)
	w.near(w.now(), first.StartedAt)
	require.Equal(w, -1, first.Total)
	got, err := w.store.Run(w.ctx, "a")
	w.ok(err)
	require.Equal(w, first, got)
	second, joined := w.startRun("b", ledger.RunPoll, "leads")
	require.True(w, joined)
	require.Equal(w, "a", second.ID)
	require.True(w, second.Again)
	for i, other := range []ledger.Run{{Kind: ledger.RunPoll}, {Kind: ledger.RunPoll, Stream: "deals"}, {Kind: ledger.RunCompare, Stream: "leads"}} {
		_, joined = w.startRun(fmt.Sprint("other-", i), other.Kind, other.Stream)
		require.False(w, joined)
	}
	// The same call repeated asks for nothing new.
	_, err = w.store.TakeAgain(w.ctx, "a")
	w.ok(err)
	repeated, joined := w.startRun("a", ledger.RunPoll, "leads")
	require.False(w, joined)
	require.Equal(w, first, repeated)
	_, _, err = w.store.StartRun(w.ctx, ledger.Run{ID: "x", Key: ledger.Key{Tenant: "t", Connection: "none"}, Kind: ledger.RunPoll})
	w.code(fault.NotFound, err)
}

func runAgain(w *world) {
	w.startRun("a", ledger.RunPoll, "")
	w.startRun("b", ledger.RunPoll, "")
	ended, err := w.store.EndRun(w.ctx, "a", ledger.RunSucceeded, "")
	w.ok(err)
	require.False(w, ended)
	take := func() bool {
		again, err := w.store.TakeAgain(w.ctx, "a")
		w.ok(err)
		return again
	}
	require.True(w, take())
	require.False(w, take())
	w.ok(w.store.SetRunTotal(w.ctx, "a", 12))
	for range 2 {
		ended, err = w.store.EndRun(w.ctx, "a", ledger.RunFailed, "auth")
		w.ok(err)
		require.True(w, ended)
	}
	run, err := w.store.Run(w.ctx, "a")
	w.ok(err)
	require.Equal(w, ledger.RunFailed, run.State)
	require.Equal(w, "auth", run.Error)
	require.Equal(w, 12, run.Total)
	w.near(w.now(), run.EndedAt)
	_, joined := w.startRun("c", ledger.RunPoll, "")
	require.False(w, joined)
	_, err = w.store.EndRun(w.ctx, "none", ledger.RunFailed, "")
	w.code(fault.NotFound, err)
	_, err = w.store.TakeAgain(w.ctx, "none")
	w.code(fault.NotFound, err)
	w.code(fault.NotFound, w.store.SetRunTotal(w.ctx, "none", 1))
	_, err = w.store.Run(w.ctx, "none")
	w.code(fault.NotFound, err)
}

func runList(w *world) {
	for _, id := range numbered("run", 5) {
		w.startRun(id, ledger.RunReplay, id)
		w.clock.Advance(time.Second)
	}
	got := pages(w, func(o ledger.ListOptions) ([]ledger.Run, string, error) {
		return w.store.ListRuns(w.ctx, w.key, o)
	}, func(r ledger.Run) string { return r.ID })
	require.Equal(w, []string{"run004", "run003", "run002", "run001", "run000"}, got)
}

func runRace(w *world) {
	var mutex sync.Mutex
	started, begun := map[string]bool{}, 0
	var group sync.WaitGroup
	for i := range 6 {
		store := w.store
		if i%2 == 1 {
			store = w.db.Open(w.T, w.clock)
		}
		group.Go(func() {
			run, joined, err := store.StartRun(w.ctx, ledger.Run{ID: fmt.Sprint("run-", i), Key: w.key, Kind: ledger.RunPoll})
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				w.Errorf("start: %v", err)
			}
			started[run.ID] = true
			if !joined {
				begun++
			}
		})
	}
	group.Wait()
	require.Len(w, started, 1)
	require.Equal(w, 1, begun)
}
