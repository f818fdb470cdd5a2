package ledgertest

import (
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func listingTests() []test {
	return []test{
		{"a page is stored whole", listingPage},
		{"a run tells its listing and its pace", listingPace},
		{"cursors of scopes", listingCursors},
		{"what was found about shapes", listingShapes},
		{"unseen records are enqueued", listingUnseen},
		{"schedules", listingStreams},
		{"changes of a schedule undo nothing", listingStreamRace},
		{"a due poll is taken by one", listingPollRace},
	}
}

func listingPage(w *world) {
	w.startRun("run", ledger.RunBackfill, "")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	page := ledger.PageCommit{
		Stream: "leads", Side: record.Left, Scope: "poll", NudgeFor: time.Minute, RunID: "run", RunDone: 1,
		Cursor:  ledger.Cursor{Since: at, Page: "p2", HighWater: at.Add(time.Nanosecond), PendingHighWater: at, Done: true},
		Seen:    []ledger.Seen{{Stream: "leads", Ref: left("1"), Print: "p"}},
		Changes: []ledger.Change{change(left("1"))}, Counts: ledger.Counts{Read: 2, Unchanged: 1},
	}
	need, err := w.store.CommitPage(w.ctx, w.key, page)
	w.ok(err)
	require.True(w, need)
	cursor, err := w.store.Cursor(w.ctx, w.key, "leads", record.Left, "poll")
	w.ok(err)
	require.Equal(w, page.Cursor, cursor)
	require.Equal(w, 1, w.pending().Changes)
	run, err := w.store.Run(w.ctx, "run")
	w.ok(err)
	require.Equal(w, page.Counts, run.Counts)
	require.Equal(w, 1, run.Done)
	// A bad row takes everything back, the cursor too.
	bad := page
	bad.Cursor.Page, bad.Changes = "p3", []ledger.Change{change(left("2")), {}}
	_, err = w.store.CommitPage(w.ctx, w.key, bad)
	w.code(fault.Usage, err)
	cursor, err = w.store.Cursor(w.ctx, w.key, "leads", record.Left, "poll")
	w.ok(err)
	require.Equal(w, "p2", cursor.Page)
	require.Equal(w, 1, w.pending().Changes)
	page.Changes = nil
	w.ok(w.store.ClearNudge(w.ctx, w.key))
	need, err = w.store.CommitPage(w.ctx, w.key, page)
	w.ok(err)
	require.False(w, need, "nothing to wake anybody for")
}

func listingPace(w *world) {
	w.startRun("run", ledger.RunBackfill, "")
	look := func() ledger.Run {
		run, err := w.store.Run(w.ctx, "run")
		w.ok(err)
		return run
	}
	require.Nil(w, look().Listing)
	read := 0
	page := func(after time.Duration, rows, done int) {
		w.clock.Advance(after)
		read += rows
		_, err := w.store.CommitPage(w.ctx, w.key, ledger.PageCommit{
			Stream: "leads", Side: record.Left, Scope: "run", RunID: "run", RunDone: done, Counts: ledger.Counts{Read: rows},
			Cursor: ledger.Cursor{Page: "p", Read: read, Total: 10_000},
		})
		w.ok(err)
	}
	page(0, 100, 0)
	require.Equal(w, &ledger.ListingProgress{Stream: "leads", Side: record.Left, Done: 100, Total: 10_000}, look().Listing)
	for range 12 {
		page(10*time.Second, 100, 0)
	}
	require.InDelta(w, 600, look().PerMinute, 60, "rows while the total is unknown")
	require.InDelta(w, float64(10_000-1300)/10, look().Left().Seconds(), 90)
	// Another kind of work, another pace: nothing is known of it yet.
	w.ok(w.store.SetRunTotal(w.ctx, "run", 2000))
	page(0, 0, 10)
	require.Zero(w, look().PerMinute)
	for range 12 {
		page(10*time.Second, 0, 20)
	}
	require.InDelta(w, 120, look().PerMinute, 12, "records once it is known")
	require.InDelta(w, float64(2000-250)/2, look().Left().Seconds(), 90)
	w.clock.Advance(10 * time.Minute)
	require.Zero(w, look().PerMinute, "it stands still")
	require.Zero(w, look().Left())
	page(0, 0, 1)
	page(10*time.Second, 0, 20)
	require.InDelta(w, 120, look().PerMinute, 12, "a standstill does not count")
	_, err := w.store.EndRun(w.ctx, "run", ledger.RunSucceeded, "")
	w.ok(err)
	require.Zero(w, look().PerMinute)
}

func listingCursors(w *world) {
	put := func(scope string, side record.Side) {
		_, err := w.store.CommitPage(w.ctx, w.key, ledger.PageCommit{Stream: "leads", Side: side, Scope: scope, Cursor: ledger.Cursor{Page: scope}})
		w.ok(err)
	}
	get := func(scope string, side record.Side) string {
		c, err := w.store.Cursor(w.ctx, w.key, "leads", side, scope)
		w.ok(err)
		return c.Page
	}
	put("poll", record.Left)
	put("run", record.Left)
	put("run", record.Right)
	require.Empty(w, get("poll", record.Right))
	w.ok(w.store.DeleteCursors(w.ctx, w.key, "run"))
	require.Empty(w, get("run", record.Left)+get("run", record.Right))
	require.Equal(w, "poll", get("poll", record.Left))
}

func listingShapes(w *world) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	state := ledger.ShapeState{
		Stream: "leads", Side: record.Right, CheckedAt: at, Version: 3, Types: map[string]string{"score": "number"},
		Findings: []ledger.ShapeFinding{{Code: "missing_field", Field: "position", Text: "there is no field", Since: at}},
	}
	w.ok(w.store.PutShapeState(w.ctx, w.key, state))
	w.ok(w.store.PutShapeState(w.ctx, w.key, ledger.ShapeState{Stream: "leads", Side: record.Left, CheckedAt: at}))
	found, err := w.store.ShapeStates(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, []ledger.ShapeState{{Stream: "leads", Side: record.Left, CheckedAt: at}, state}, found)
	state.Findings = nil
	w.ok(w.store.PutShapeState(w.ctx, w.key, state))
	found, err = w.store.ShapeStates(w.ctx, w.key)
	w.ok(err)
	require.Empty(w, found[1].Findings)
	w.code(fault.Usage, w.store.PutShapeState(w.ctx, w.key, ledger.ShapeState{}))
	w.code(fault.NotFound, w.store.PutShapeState(w.ctx, ledger.Key{Tenant: "t", Connection: "none"}, state))
}

func listingUnseen(w *world) {
	tombstone, detached := link("t"), link("d")
	tombstone.State, detached.State = ledger.LinkTombstone, ledger.LinkDetached
	commit := ledger.Commit{PutLinks: []ledger.Link{tombstone, detached}}
	for _, name := range numbered("", 7) {
		commit.PutLinks = append(commit.PutLinks, link(name))
	}
	commit.PutSeen = []ledger.Seen{
		{Stream: "leads", Ref: left("l000"), ScanID: "scan"}, {Stream: "leads", Ref: left("l001"), ScanID: "earlier"},
		{Stream: "leads", Ref: right("r002"), ScanID: "scan"},
	}
	w.commit(commit)
	total := 0
	for range 10 {
		n, err := w.store.EnqueueUnseen(w.ctx, w.key, "leads", record.Left, "scan", ledger.LanePoll, 4)
		w.ok(err)
		require.LessOrEqual(w, n, 4)
		if n == 0 {
			break
		}
		total += n
	}
	require.Equal(w, 6, total)
	work := w.claim(20)
	require.ElementsMatch(w, []string{"l001", "l002", "l003", "l004", "l005", "l006"}, ids(work))
	require.Equal(w, ledger.LanePoll, work[0].Lane)
	n, err := w.store.EnqueueUnseen(w.ctx, w.key, "leads", record.Left, "scan", ledger.LanePoll, 4)
	w.ok(err)
	require.Zero(w, n, "0 stays 0")
	seen, err := w.store.SeenMany(w.ctx, w.key, "leads", record.Left, []string{"l001"})
	w.ok(err)
	require.Equal(w, "earlier", seen["l001"].ScanID)
	w.ok(w.store.DeleteCursors(w.ctx, w.key, "scan"))
}

func listingStreams(w *world) {
	at := w.now().Truncate(time.Second)
	want := []ledger.StreamState{
		{Stream: "deals", NextPollAt: at.Add(-time.Second)},
		{Stream: "leads", NextPollAt: at.Add(time.Hour), NextCompareAt: at, LastPollAt: at, LastCompareAt: at, IdlePolls: 3},
	}
	for _, state := range want {
		w.ok(w.store.PutStreamState(w.ctx, w.key, ledger.StreamState{Stream: state.Stream, IdlePolls: 9}))
		w.ok(w.store.PutStreamState(w.ctx, w.key, state))
	}
	got, err := w.store.StreamStates(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, want, got)
	due := func() []string {
		polls, err := w.store.ClaimDuePolls(w.ctx, time.Minute, 10)
		w.ok(err)
		var names []string
		for _, poll := range polls {
			require.Equal(w, w.key, poll.Key)
			w.near(w.now().Add(time.Minute), poll.State.NextPollAt)
			names = append(names, poll.State.Stream)
		}
		return names
	}
	w.ok(w.store.SetConnectionState(w.ctx, w.key, ledger.Paused, ""))
	require.Empty(w, due())
	w.ok(w.store.SetConnectionState(w.ctx, w.key, ledger.Active, ""))
	require.Equal(w, []string{"deals"}, due())
	require.Empty(w, due())
	w.clock.Advance(61 * time.Second)
	require.Equal(w, []string{"deals"}, due())
	w.clock.Advance(2 * time.Hour)
	require.ElementsMatch(w, []string{"deals", "leads"}, due())
}

// Who makes a poll due and who makes a comparison due do not undo each other's work.
func listingStreamRace(w *world) {
	w.ok(w.store.PutStreamState(w.ctx, w.key, ledger.StreamState{Stream: "leads"}))
	var group sync.WaitGroup
	for range 3 {
		store := w.db.Open(w.T, w.clock)
		group.Go(func() {
			for range 20 {
				if err := store.ChangeStreamState(w.ctx, w.key, "leads", func(state *ledger.StreamState) { state.IdlePolls++ }); err != nil {
					w.Errorf("change: %v", err)
				}
			}
		})
	}
	group.Wait()
	w.ok(w.store.ChangeStreamState(w.ctx, w.key, "deals", func(state *ledger.StreamState) { state.IdlePolls = 7 }))
	got, err := w.store.StreamStates(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, []ledger.StreamState{{Stream: "deals", IdlePolls: 7}, {Stream: "leads", IdlePolls: 60}}, got)
}

func listingPollRace(w *world) {
	for _, stream := range numbered("s", 30) {
		w.ok(w.store.PutStreamState(w.ctx, w.key, ledger.StreamState{Stream: stream}))
	}
	var mutex sync.Mutex
	taken := map[string]int{}
	var group sync.WaitGroup
	for range 3 {
		store := w.db.Open(w.T, w.clock)
		group.Go(func() {
			for range 30 {
				polls, err := store.ClaimDuePolls(w.ctx, time.Hour, 4)
				if err != nil {
					w.Errorf("claim: %v", err)
				}
				mutex.Lock()
				for _, poll := range polls {
					taken[poll.State.Stream]++
				}
				mutex.Unlock()
			}
		})
	}
	group.Wait()
	require.Len(w, taken, 30)
	for stream, times := range taken {
		require.Equal(w, 1, times, stream)
	}
}
