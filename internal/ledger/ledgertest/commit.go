package ledgertest

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func commitTests() []test {
	return []test{
		{"a stale lease writes nothing at all", commitFenced},
		{"one link per stream, side and id", commitLinkUnique},
		{"one open conflict per link and field", commitConflictUnique},
		{"one open dead letter per ref", commitDeadLetterUnique},
		{"a failing call takes back only itself", commitIsolation},
		{"a failing part takes back the whole call", commitAtomic},
		{"run counts add up", commitRunCounts},
		{"seen rows are put and dropped", commitSeen},
	}
}

// everything is a commit that writes to every table.
func everything(name string) ledger.Commit {
	return ledger.Commit{
		PutLinks:       []ledger.Link{link(name)},
		OpenIntents:    []ledger.Intent{{ID: "intent-" + name, Stream: "leads", Source: left("l" + name)}},
		History:        []ledger.HistoryEntry{{ID: "history-" + name, Stream: "leads", Ref: left("l" + name), Field: "f"}},
		PutConflicts:   []ledger.Conflict{{ID: "conflict-" + name, Stream: "leads", LinkID: "link-" + name, Field: "f", State: ledger.ConflictOpen}},
		PutDeadLetters: []ledger.DeadLetter{{ID: "letter-" + name, Stream: "leads", Ref: left("l" + name), State: ledger.DeadLetterOpen}},
		PutHeld:        []ledger.Held{{ID: "held-" + name, Stream: "leads", LinkID: "link-" + name, Ref: left("l" + name), State: ledger.HeldWaiting}},
		PutSeen:        []ledger.Seen{{Stream: "leads", Ref: left("l" + name), MatchHash: "m"}},
		Enqueue:        []ledger.Change{change(right("r" + name))},
	}
}

// expect says whether everything(name) is there or nothing of it.
func (w *world) expect(name string, there bool) {
	w.Helper()
	state := w.load(left("l" + name))
	history, _, err := w.store.ListHistory(w.ctx, w.key, ledger.HistoryFilter{ID: "l" + name}, ledger.ListOptions{})
	w.ok(err)
	seen, err := w.store.SeenMany(w.ctx, w.key, "leads", record.Left, []string{"l" + name})
	w.ok(err)
	count := 0
	if there {
		count = 1
	}
	require.Equal(w, there, state.Link != nil)
	require.Len(w, state.Intents, count)
	require.Len(w, state.Conflicts, count)
	require.Len(w, state.DeadLetters, count)
	require.Len(w, state.Held, count)
	require.Len(w, history, count)
	require.Len(w, seen, count)
}

func commitFenced(w *world) {
	w.enqueue(change(left("l1")))
	stale := w.claimOne()
	w.clock.Advance(31 * time.Second)
	w.claimOne()
	commit := everything("1")
	commit.Lease, commit.Done = stale.Lease, &stale
	w.code(fault.Stale, w.store.Commit(w.ctx, w.key, commit))
	w.expect("1", false)
	require.Equal(w, 1, w.pending().Changes)
	commit.Lease, commit.Done = ledger.Lease{}, nil
	w.commit(commit)
	w.expect("1", true)
	require.Equal(w, 2, w.pending().Changes)
}

func commitLinkUnique(w *world) {
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1")}})
	clash := link("1")
	clash.ID, clash.Right = "other", right("r2")
	w.code(fault.Conflict, w.store.Commit(w.ctx, w.key, ledger.Commit{PutLinks: []ledger.Link{clash}}))
	clash.Left, clash.Right = left("l2"), right("r1")
	w.code(fault.Conflict, w.store.Commit(w.ctx, w.key, ledger.Commit{PutLinks: []ledger.Link{clash}}))
	clash.Stream = "deals"
	w.commit(ledger.Commit{PutLinks: []ledger.Link{clash}})
	// A detached link keeps its place, a tombstone gives it up, also within one
	// commit and in whatever order.
	gone := link("1")
	gone.State = ledger.LinkDetached
	w.commit(ledger.Commit{PutLinks: []ledger.Link{gone}})
	next := link("1")
	next.ID = "next"
	w.code(fault.Conflict, w.store.Commit(w.ctx, w.key, ledger.Commit{PutLinks: []ledger.Link{next}}))
	gone.State = ledger.LinkTombstone
	w.commit(ledger.Commit{PutLinks: []ledger.Link{next, gone}})
	require.Equal(w, "next", w.load(left("l1")).Link.ID)
}

func commitConflictUnique(w *world) {
	c := ledger.Conflict{ID: "c1", Stream: "leads", LinkID: "link-1", Field: "f", State: ledger.ConflictOpen}
	w.commit(ledger.Commit{PutConflicts: []ledger.Conflict{c}})
	second := c
	second.ID, second.State = "c2", ledger.ConflictDecided
	w.code(fault.Conflict, w.store.Commit(w.ctx, w.key, ledger.Commit{PutConflicts: []ledger.Conflict{second}}))
	other := second
	other.ID, other.Field = "c3", "g"
	c.State = ledger.ConflictClosed
	w.commit(ledger.Commit{PutConflicts: []ledger.Conflict{other, second, c}})
	_, got, err := w.store.FindConflict(w.ctx, "c1")
	w.ok(err)
	w.near(w.now(), got.ClosedAt)
}

func commitDeadLetterUnique(w *world) {
	d := ledger.DeadLetter{ID: "d1", Stream: "leads", Ref: left("1"), State: ledger.DeadLetterOpen}
	w.commit(ledger.Commit{PutDeadLetters: []ledger.DeadLetter{d}})
	second := d
	second.ID = "d2"
	w.code(fault.Conflict, w.store.Commit(w.ctx, w.key, ledger.Commit{PutDeadLetters: []ledger.DeadLetter{second}}))
	d.State = ledger.DeadLetterResolved
	w.commit(ledger.Commit{PutDeadLetters: []ledger.DeadLetter{second, d}})
}

// commitIsolation lets good and bad calls come at the same time, so that a store
// which commits calls together is shown to keep them apart.
func commitIsolation(w *world) {
	const calls = 40
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("taken")}})
	errs := make([]error, calls)
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() {
			commit := everything(fmt.Sprint(i))
			if i%2 == 1 {
				clash := link("taken")
				clash.ID = fmt.Sprint("clash-", i)
				// The failing row comes late: the rows before it must vanish too.
				commit.PutLinks = append(commit.PutLinks, clash)
			}
			errs[i] = w.store.Commit(w.ctx, w.key, commit)
		})
	}
	group.Wait()
	for i, err := range errs {
		if i%2 == 1 {
			w.code(fault.Conflict, err)
		} else {
			w.ok(err)
		}
		w.expect(fmt.Sprint(i), i%2 == 0)
	}
	require.Equal(w, calls/2, w.pending().Changes)
}

func commitAtomic(w *world) {
	commit := everything("1")
	commit.Enqueue = append(commit.Enqueue, ledger.Change{Stream: "leads"})
	w.code(fault.Usage, w.store.Commit(w.ctx, w.key, commit))
	w.expect("1", false)
	require.Zero(w, w.pending().Changes)
}

func commitRunCounts(w *world) {
	_, _, err := w.store.StartRun(w.ctx, ledger.Run{ID: "run", Key: w.key, Kind: ledger.RunBackfill, Total: -1})
	w.ok(err)
	counts := ledger.Counts{Read: 1, Created: 2, Updated: 3, Deleted: 4, Linked: 5, Unchanged: 6, Conflicts: 7, Parked: 8, Held: 9}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if err := w.store.Commit(w.ctx, w.key, ledger.Commit{RunID: "run", Counts: counts, RunDone: 2}); err != nil {
				w.Errorf("commit: %v", err)
			}
		})
	}
	group.Wait()
	run, err := w.store.Run(w.ctx, "run")
	w.ok(err)
	want := ledger.Counts{}
	for range 10 {
		want = want.Add(counts)
	}
	require.Equal(w, want, run.Counts)
	require.Equal(w, 20, run.Done)
}

func commitSeen(w *world) {
	row := ledger.Seen{
		Stream: "leads", Ref: left("1"), Print: "p", MatchHash: "m", InScope: true,
		UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), ScanID: "scan",
	}
	w.commit(ledger.Commit{PutSeen: []ledger.Seen{row}})
	row.Print, row.ScanID = "p2", ""
	w.commit(ledger.Commit{PutSeen: []ledger.Seen{row}})
	seen, err := w.store.SeenMany(w.ctx, w.key, "leads", record.Left, []string{"1", "2"})
	w.ok(err)
	row.ScanID = "scan"
	require.Equal(w, map[string]ledger.Seen{"1": row}, seen)
	w.commit(ledger.Commit{DropStream: "leads", DropSeen: []record.Ref{left("1")}})
	seen, err = w.store.SeenMany(w.ctx, w.key, "leads", record.Left, []string{"1"})
	w.ok(err)
	require.Empty(w, seen)
}

func number(text string) json.Number { return json.Number(text) }
