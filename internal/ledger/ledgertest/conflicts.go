package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func conflictTests() []test {
	return []test{
		{"a conflict comes back as it was", conflictRoundTrip},
		{"listed oldest first", conflictList},
		{"a decision is bound to what was seen", conflictDecide},
		{"those without a workflow or past their deadline", conflictDue},
	}
}

func conflict(id, field string) ledger.Conflict {
	return ledger.Conflict{
		ID: id, Stream: "leads", LinkID: "link-1", LeftRef: left("l1"), RightRef: right("r1"), Field: field,
		Base: "old", Left: number("75000.00"), Right: map[string]any{"a": nil}, State: ledger.ConflictOpen,
	}
}

func conflictRoundTrip(w *world) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := conflict("c", "amount")
	want.FirstLink, want.OpenedAt, want.Deadline = true, at, at.Add(time.Hour)
	want.WorkflowID, want.Started = "w", true
	w.commit(ledger.Commit{PutConflicts: []ledger.Conflict{want}})
	key, got, err := w.store.FindConflict(w.ctx, "c")
	w.ok(err)
	require.Equal(w, w.key, key)
	require.Equal(w, want, got)
	want.State, want.ClosedBy, want.ClosedAt = ledger.ConflictClosed, "agreed", at.Add(time.Minute)
	w.commit(ledger.Commit{PutConflicts: []ledger.Conflict{want}})
	_, got, err = w.store.FindConflict(w.ctx, "c")
	w.ok(err)
	require.Equal(w, want, got)
	_, _, err = w.store.FindConflict(w.ctx, "none")
	w.code(fault.NotFound, err)
}

func conflictList(w *world) {
	at := w.now()
	var commit ledger.Commit
	for i, id := range []string{"e", "d", "c", "b", "a"} {
		c := conflict(id, id)
		c.OpenedAt = at.Add(time.Duration(i/2) * time.Second)
		commit.PutConflicts = append(commit.PutConflicts, c)
	}
	commit.PutConflicts[4].State = ledger.ConflictClosed
	w.commit(commit)
	list := func(state ledger.ConflictState) []string {
		return pages(w, func(o ledger.ListOptions) ([]ledger.Conflict, string, error) {
			return w.store.ListConflicts(w.ctx, w.key, state, o)
		}, func(c ledger.Conflict) string { return c.ID })
	}
	require.Equal(w, []string{"d", "e", "b", "c", "a"}, list(""))
	require.Equal(w, []string{"d", "e", "b", "c"}, list(ledger.ConflictOpen))
	require.Equal(w, []string{"a"}, list(ledger.ConflictClosed))
}

func conflictDecide(w *world) {
	c := conflict("c", "amount")
	w.commit(ledger.Commit{PutConflicts: []ledger.Conflict{c}})
	decision := ledger.Decision{Choose: ledger.ChooseValue, Value: number("1.50"), By: "me"}
	decide := func(d ledger.Decision, l, r any) error { return w.store.DecideConflict(w.ctx, w.key, "c", d, l, r) }
	w.code(fault.Conflict, decide(decision, number("75000.01"), c.Right))
	w.code(fault.Conflict, decide(decision, c.Left, map[string]any{}))
	w.code(fault.Conflict, decide(decision, "75000.00", c.Right))
	w.code(fault.NotFound, w.store.DecideConflict(w.ctx, w.key, "none", decision, nil, nil))
	require.Zero(w, w.pending().Changes)
	w.ok(decide(decision, 75000.0, map[string]any{"a": nil}))
	require.Equal(w, "l1", w.claimOne().Ref.ID)
	_, got, err := w.store.FindConflict(w.ctx, "c")
	w.ok(err)
	require.Equal(w, ledger.ConflictDecided, got.State)
	require.Equal(w, number("1.50"), got.Decision.Value)
	require.Equal(w, "me", got.Decision.By)
	w.near(w.now(), got.Decision.At)
	w.ok(decide(decision, c.Left, c.Right))
	decision.Choose = ledger.ChooseLeft
	w.code(fault.Conflict, decide(decision, c.Left, c.Right))
}

func conflictDue(w *world) {
	due := func() []string {
		var names []string
		all, err := w.store.ConflictsDue(w.ctx, 10)
		w.ok(err)
		for _, c := range all {
			require.Equal(w, w.key, c.Key)
			names = append(names, c.Conflict.ID)
		}
		return names
	}
	a, b := conflict("a", "a"), conflict("b", "b")
	b.Deadline = w.now().Add(time.Hour)
	w.commit(ledger.Commit{PutConflicts: []ledger.Conflict{a, b}})
	require.ElementsMatch(w, []string{"a", "b"}, due())
	w.ok(w.store.MarkConflictStarted(w.ctx, w.key, "a", "workflow-a"))
	w.ok(w.store.MarkConflictStarted(w.ctx, w.key, "b", "workflow-b"))
	w.code(fault.NotFound, w.store.MarkConflictStarted(w.ctx, w.key, "none", ""))
	require.Empty(w, due())
	_, got, err := w.store.FindConflict(w.ctx, "a")
	w.ok(err)
	require.True(w, got.Started)
	require.Equal(w, "workflow-a", got.WorkflowID)
	w.clock.Advance(2 * time.Hour)
	require.Equal(w, []string{"b"}, due())
}
