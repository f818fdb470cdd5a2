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
		{"guard counts each side and field apart", guardFields},
		{"guard lets no more than its number through at once", guardRace},
		{"held operations are decided", heldDecide},
		{"a second run joins the first", runJoin},
		{"a run goes on when it was asked for again", runAgain},
		{"a run tells why it does not get on", runProblem},
		{"runs are listed newest first", runList},
		{"running runs are found behind many that ended", runsRunning},
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
	next := 0
	takeAs := func(stream, subject string, max int) bool {
		refused, err := w.store.TakeGuard(w.ctx, w.key, []ledger.GuardTake{{Stream: stream, Op: ledger.GuardDelete, Subject: subject}}, max, time.Hour)
		w.ok(err)
		return len(refused) == 0
	}
	take := func(stream string, max int) bool {
		next++
		return takeAs(stream, fmt.Sprint("link", next), max)
	}
	used := func() int {
		n, err := w.store.GuardUsed(w.ctx, w.key, "leads", ledger.GuardDelete, time.Hour)
		w.ok(err)
		return n
	}
	require.Zero(w, used())
	require.True(w, take("leads", 2))
	w.clock.Advance(30 * time.Minute)
	require.True(w, take("leads", 2))
	require.False(w, take("leads", 2))
	require.Equal(w, 2, used(), "a refused operation is not counted")
	require.True(w, takeAs("leads", "link1", 2), "what was counted passes again")
	require.Equal(w, 2, used(), "and is counted once")
	require.True(w, take("deals", 1))
	w.clock.Advance(31 * time.Minute)
	require.Equal(w, 1, used())
	require.True(w, takeAs("leads", "link1", 2), "its time is over: it counts again")
	require.Equal(w, 2, used())
	require.False(w, take("leads", 2))
	require.False(w, take("leads", 0))
	_, err := w.store.TakeGuard(w.ctx, w.key, []ledger.GuardTake{{Stream: "leads", Op: ledger.GuardDelete}}, 1, time.Hour)
	w.code(fault.Usage, err)
}

func guardFields(w *world) {
	of := func(op ledger.GuardOp, subject string, side record.Side, fields ...string) []ledger.GuardTake {
		var takes []ledger.GuardTake
		for _, field := range fields {
			takes = append(takes, ledger.GuardTake{Stream: "leads", Op: op, Side: side, Field: field, Subject: subject})
		}
		return takes
	}
	take := func(takes []ledger.GuardTake, max int) []ledger.GuardTake {
		refused, err := w.store.TakeGuard(w.ctx, w.key, takes, max, time.Hour)
		w.ok(err)
		return refused
	}
	require.Empty(w, take(of(ledger.GuardClear, "a", record.Left, "phone", "name"), 2))
	require.Empty(w, take(of(ledger.GuardClear, "b", record.Left, "phone"), 2))
	require.Equal(w, of(ledger.GuardClear, "c", record.Left, "phone"), take(of(ledger.GuardClear, "c", record.Left, "name", "phone"), 2),
		"each field has a count of its own")
	require.Empty(w, take(of(ledger.GuardClear, "c", record.Right, "phone"), 2), "so has each side")
	require.Empty(w, take(of(ledger.GuardRewrite, "c", record.Left, "phone"), 1), "and each operation")
	used := func(op ledger.GuardOp) int {
		n, err := w.store.GuardUsed(w.ctx, w.key, "leads", op, time.Hour)
		w.ok(err)
		return n
	}
	require.Equal(w, 2, used(ledger.GuardClear))
	require.Equal(w, 1, used(ledger.GuardRewrite))
	require.Zero(w, used(ledger.GuardDelete))
}

func guardRace(w *world) {
	var mutex sync.Mutex
	taken := 0
	var group sync.WaitGroup
	for i := range 3 {
		store := w.db.Open(w.T, w.clock)
		group.Go(func() {
			for n := range 5 {
				refused, err := store.TakeGuard(w.ctx, w.key,
					[]ledger.GuardTake{{Stream: "leads", Op: ledger.GuardDelete, Subject: fmt.Sprint(i, "-", n)}}, 7, time.Hour)
				if err != nil {
					w.Errorf("take: %v", err)
				}
				mutex.Lock()
				if err == nil && len(refused) == 0 {
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
	commit.PutHeld[1].Op, commit.PutHeld[1].Fields = ledger.GuardClear, []string{"name", "phone"}
	commit.PutHeld[1].LeftPrint, commit.PutHeld[1].RightPrint = "l", "r"
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

func runProblem(w *world) {
	w.startRun("a", ledger.RunPoll, "leads")
	began := w.now()
	put := func(code, message string, next time.Time) ledger.Run {
		w.ok(w.store.PutRunProblem(w.ctx, "a", ledger.RunProblem{Code: code, Message: message, NextTry: next}))
		run, err := w.store.Run(w.ctx, "a")
		w.ok(err)
		return run
	}
	run := put("transient", "the left side does not answer", began.Add(time.Minute))
	require.Equal(w, "transient", run.Problem.Code)
	w.near(began, run.Problem.Since)
	w.clock.Advance(time.Hour)
	run = put("auth", "the left side refuses the credentials", time.Time{})
	require.Equal(w, "the left side refuses the credentials", run.Problem.Message)
	require.Equal(w, 2, run.Problem.Tries)
	w.near(began, run.Problem.Since)
	require.True(w, run.Problem.NextTry.IsZero())

	_, err := w.store.CommitPage(w.ctx, w.key, ledger.PageCommit{Stream: "leads", Side: record.Left, Scope: "a", RunID: "a", Counts: ledger.Counts{Read: 1}})
	w.ok(err)
	run, err = w.store.Run(w.ctx, "a")
	w.ok(err)
	require.Nil(w, run.Problem, "it has moved")
	run = put("transient", "again", time.Time{})
	require.Equal(w, 1, run.Problem.Tries)
	_, err = w.store.EndRun(w.ctx, "a", ledger.RunCancelled, "it was cancelled")
	w.ok(err)
	require.Nil(w, put("transient", "too late", time.Time{}).Problem)
	w.code(fault.NotFound, w.store.PutRunProblem(w.ctx, "none", ledger.RunProblem{Code: "transient"}))
	w.code(fault.Usage, w.store.PutRunProblem(w.ctx, "a", ledger.RunProblem{}))
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

func runsRunning(w *world) {
	w.startRun("long", ledger.RunBackfill, "")
	for _, id := range numbered("poll", 60) {
		w.clock.Advance(time.Second)
		w.startRun(id, ledger.RunPoll, "leads")
		_, err := w.store.EndRun(w.ctx, id, ledger.RunSucceeded, "")
		w.ok(err)
	}
	w.startRun("poll", ledger.RunPoll, "leads")
	running, err := w.store.RunningRuns(w.ctx, w.key)
	w.ok(err)
	var ids []string
	for _, run := range running {
		ids = append(ids, run.ID)
	}
	require.Equal(w, []string{"poll", "long"}, ids)
	none, err := w.store.RunningRuns(w.ctx, ledger.Key{Tenant: "another", Connection: w.key.Connection})
	w.ok(err)
	require.Empty(w, none)
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
