package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// sale is a deal that both systems have, and their ids of it.
func (b trade) sale() (left, right string) {
	b.t.Helper()
	left = b.put(record.Left, "deals", map[string]any{"name": "House", "value": 100, "stage": map[string]any{"id": "stage_proposal"}})
	b.rest()
	return left, b.twin(record.Left, "deals", left)
}

// sent are the calls, one line each, that changed a deal in SalesOS since.
func (b trade) sent(since int64) []string {
	b.t.Helper()
	calls, err := b.left.Calls(b.ctx, since)
	require.NoError(b.t, err)
	var lines []string
	for _, call := range calls {
		if call.Object == "deals" && call.Method != "GET" {
			lines = append(lines, call.Method+call.Path[len("/v1/deals/")+len(call.ID):])
		}
	}
	return lines
}

func (b trade) lastCall() int64 {
	b.t.Helper()
	calls, err := b.left.Calls(b.ctx, 0)
	require.NoError(b.t, err)
	return calls[len(calls)-1].Seq
}

// TestADealsStageHasItsOwnCall: what a person changed at once takes as many
// calls as the system has for it, and no more.
func TestADealsStageHasItsOwnCall(t *testing.T) {
	b := startTrade(t, setup{})
	left, right := b.sale()
	for _, step := range []struct {
		name   string
		edit   map[string]any
		calls  []string
		stage  string
		status string
	}{
		{"moved", map[string]any{"stage": "negotiation"}, []string{"POST/move"}, "Negotiation", "open"},
		{"renamed", map[string]any{"title": "Villa"}, []string{"PATCH"}, "Negotiation", "open"},
		{"both", map[string]any{"title": "Castle", "stage": "new"}, []string{"PATCH", "POST/move"}, "New", "open"},
		{"won with another amount", map[string]any{"amount": map[string]any{"value": 7}, "stage": "won"}, []string{"PATCH", "POST/close"}, "New", "won"},
		{"lost after all", map[string]any{"stage": "lost"}, []string{"POST/close"}, "New", "lost"},
		{"opened again", map[string]any{"stage": "proposal", "title": "House"}, []string{"PATCH", "POST/move"}, "Proposal", "open"},
	} {
		since := b.lastCall()
		b.set(record.Right, "deals", right, step.edit)
		b.rest()
		require.Equal(t, step.calls, b.sent(since), step.name)
		require.Equal(t, step.stage, b.held(record.Left, "deals", left, "stage.name"), step.name)
		require.Equal(t, step.status, b.held(record.Left, "deals", left, "status"), step.name)
	}
	require.Equal(t, "House", b.held(record.Left, "deals", left, "name"))
	require.Empty(t, b.letters())
	b.silent()
}

// TestADealKilledBetweenItsCalls kills the process at every step of an edit that
// takes two calls: neither half is ever taken for a person's edit.
func TestADealKilledBetweenItsCalls(t *testing.T) {
	for name, edit := range map[string]map[string]any{
		"moved": {"title": "Villa", "stage": "negotiation"}, "won": {"title": "Villa", "stage": "won"},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 0; ; n++ {
				b := trade{newBench(t, t.TempDir(), setup{})}
				left, right := b.sale()
				since := b.lastCall()
				b.set(record.Right, "deals", right, edit)
				b.tell(record.Right, "deals", right)
				reached := b.killAt(n)
				b.clock.advance(80e9)
				b.rest()
				require.Equal(t, "Villa", b.held(record.Left, "deals", left, "name"), n)
				require.Equal(t, "Villa", b.held(record.Right, "deals", right, "title"), n)
				require.Equal(t, edit["stage"], b.held(record.Right, "deals", right, "stage"), n)
				require.Equal(t, name == "won", b.held(record.Left, "deals", left, "status") == "won", n)
				require.Equal(t, name == "moved", b.held(record.Left, "deals", left, "stage.id") == "stage_negotiation", n)
				require.LessOrEqual(t, len(b.sent(since)), 3, "killed at step %d: at most one is repeated", n)
				require.Empty(t, b.letters())
				require.Empty(t, b.openConflicts())
				b.end()
				if !reached {
					require.Greater(t, n, 8, "there are steps to be killed at")
					return
				}
			}
		})
	}
}

// TestADealsSecondCallFails: an answer that is lost, and one that is a failure.
func TestADealsSecondCallFails(t *testing.T) {
	for name, fault := range map[string]wire.Fault{
		"refused for now":           {Kind: wire.FaultStatus, Status: 503},
		"throttled":                 {Kind: wire.FaultStatus, Status: 429},
		"done, and told as failed":  {Kind: wire.FaultStatus, Status: 500, When: wire.After},
		"done, and the answer lost": {Kind: wire.FaultReset, When: wire.After},
		"cut off before":            {Kind: wire.FaultReset},
	} {
		t.Run(name, func(t *testing.T) {
			b := startTrade(t, setup{})
			left, right := b.sale()
			fault.Method, fault.PathRegexp = "POST", "/move$"
			_, err := b.left.InjectFault(b.ctx, fault)
			require.NoError(t, err)
			b.set(record.Right, "deals", right, map[string]any{"title": "Villa", "stage": "negotiation"})
			b.rest()
			b.clock.advance(80e9)
			b.rest()
			require.Equal(t, "Villa", b.held(record.Left, "deals", left, "name"))
			require.Equal(t, "stage_negotiation", b.held(record.Left, "deals", left, "stage.id"))
			require.Equal(t, "negotiation", b.held(record.Right, "deals", right, "stage"))
			require.Empty(t, b.letters())
			b.silent()
		})
	}
}

// TestARefusedStageParksTheDeal: what was written before stays, the field is named.
func TestARefusedStageParksTheDeal(t *testing.T) {
	b := startTrade(t, setup{})
	left, right := b.sale()
	require.NoError(t, b.left.RejectField(b.ctx, wire.Rejection{Object: "deals", Field: "status", Value: "won"}))
	b.set(record.Right, "deals", right, map[string]any{"title": "Villa", "stage": "won"})
	b.rest()
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, "stage", letters[0].Reason.Field)
	require.Equal(t, "Villa", b.held(record.Left, "deals", left, "name"))
	require.Equal(t, "open", b.held(record.Left, "deals", left, "status"))
	require.Equal(t, "won", b.held(record.Right, "deals", right, "stage"))
	require.NoError(t, b.left.ClearRejections(b.ctx))
	b.set(record.Right, "deals", right, map[string]any{"stage": "lost"})
	b.rest()
	require.Empty(t, b.letters())
	require.Equal(t, "lost", b.held(record.Left, "deals", left, "status"))
	b.silent()
}

// TestTheLaterEditWinsAllOfADeal: both sides edited all, and the first of two
// calls hides when the other side was edited.
func TestTheLaterEditWinsAllOfADeal(t *testing.T) {
	for _, later := range record.Sides() {
		b := startTrade(t, setup{})
		left, right := b.sale()
		edits := map[record.Side]map[string]any{
			record.Left:  {"name": "Left", "stage": map[string]any{"id": "stage_new"}, "expected_close_date": "2027-01-01"},
			record.Right: {"title": "Right", "stage": "won", "close_date": "2027-02-02"},
		}
		ids := map[record.Side]string{record.Left: left, record.Right: right}
		b.set(later.Other(), "deals", ids[later.Other()], edits[later.Other()])
		b.clock.advance(60e9)
		b.set(later, "deals", ids[later], edits[later])
		b.rest()
		want := map[record.Side][2]string{record.Left: {"Left", "new"}, record.Right: {"Right", "won"}}[later]
		require.Equal(t, want[0], b.held(record.Left, "deals", left, "name"))
		require.Equal(t, want[0], b.held(record.Right, "deals", right, "title"))
		require.Equal(t, want[1], b.held(record.Right, "deals", right, "stage"))
		require.Equal(t, want[1] == "won", b.held(record.Left, "deals", left, "status") == "won")
		b.silent()
	}
}

// TestADealBornOpenIsClosedAfter: a system that makes every deal open gets its
// stage by the calls for that, and its own beginning never flows back.
func TestADealBornOpenIsClosedAfter(t *testing.T) {
	for n := 0; ; n++ {
		b := trade{newBench(t, t.TempDir(), setup{})}
		require.NoError(t, b.left.SetSwitches(b.ctx, map[string]any{"deal_writes": wire.DealBornOpen}))
		right := b.put(record.Right, "deals", map[string]any{"title": "Flat", "stage": "won"})
		b.tell(record.Right, "deals", right)
		reached := b.killAt(n)
		b.clock.advance(80e9)
		b.rest()
		require.Equal(t, "won", b.held(record.Right, "deals", right, "stage"), n)
		left := b.twin(record.Right, "deals", right)
		require.Equal(t, "won", b.held(record.Left, "deals", left, "status"), n)
		require.Len(t, b.alive(record.Left, "deals"), 1)
		require.Empty(t, b.letters())
		b.silent()
		b.end()
		if !reached {
			require.Greater(t, n, 3)
			return
		}
	}
}

// TestAPersonDecidesAmountAndStageAtOnce: two open conflicts of one deal whose
// answers take two calls.
func TestAPersonDecidesAmountAndStageAtOnce(t *testing.T) {
	b := startTrade(t, setup{edit: func(yaml string) string {
		return replaceOnce(t, yaml, "fields: {amount: manual}", "fields: {amount: manual, stage: manual}")
	}})
	left, right := b.sale()
	b.set(record.Left, "deals", left, map[string]any{"value": 1, "stage": map[string]any{"id": "stage_new"}})
	b.set(record.Right, "deals", right, map[string]any{"amount": map[string]any{"value": 2}, "stage": "won"})
	b.rest()
	conflicts := b.openConflicts()
	require.Len(t, conflicts, 2)
	since := b.lastCall()
	for _, conflict := range conflicts {
		require.NoError(t, b.engine.Decide(b.ctx, b.key, conflict.ID, ledger.Decision{Choose: ledger.ChooseRight}, nil))
	}
	b.rest()
	require.Empty(t, b.openConflicts())
	require.EqualValues(t, "2", b.held(record.Left, "deals", left, "value"))
	require.Equal(t, "won", b.held(record.Left, "deals", left, "status"))
	require.Equal(t, []string{"PATCH", "POST/close"}, b.sent(since))
	b.silent()
}

// TestSeveralEventsOfOneEditAreOneChange: a deal that is moved, renamed and won
// at once is told three times, and read and written as one.
func TestSeveralEventsOfOneEditAreOneChange(t *testing.T) {
	b := startTrade(t, setup{})
	left, right := b.sale()
	b.set(record.Left, "deals", left, map[string]any{"name": "Villa", "status": "won", "stage": map[string]any{"id": "stage_new"}})
	since, before := b.lastCall(), b.writes(record.Right)
	ref := record.Ref{Side: record.Left, Object: "deals", ID: left}
	for _, kind := range []string{"deal.updated", "deal.stage_changed", "deal.won"} {
		_, err := b.store.Enqueue(b.ctx, b.key, []ledger.Change{{Stream: "deals", Ref: ref, Lane: ledger.LaneLive, EventID: kind}}, time.Second)
		require.NoError(t, err)
	}
	pending, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Equal(t, 1, pending.Changes)
	b.settle()
	calls, err := b.left.Calls(b.ctx, since)
	require.NoError(t, err)
	require.Len(t, calls, 1, "one read of the deal")
	require.Equal(t, before+1, b.writes(record.Right))
	require.Equal(t, "won", b.held(record.Right, "deals", right, "stage"))
	require.Equal(t, "Villa", b.held(record.Right, "deals", right, "title"))
	b.silent()
}

// TestADealIsHeldOnceBetweenItsCalls: what the guard holds of a deal that takes
// two calls is counted once, and goes through when it is approved.
func TestADealIsHeldOnceBetweenItsCalls(t *testing.T) {
	b := startTrade(t, setup{edit: func(yaml string) string {
		return replaceOnce(t, yaml, "    # The later edit of a field wins; about amounts", "    guard: {clears: {max: 0, per: 1h}}\n    # The later edit of a field wins; about amounts")
	}})
	left, right := b.sale()
	b.set(record.Right, "deals", right, map[string]any{"title": "Villa", "stage": "won", "amount": map[string]any{"value": nil}})
	run := b.run(ledger.RunCompare)
	require.Equal(t, 1, run.Counts.Held)
	require.Equal(t, "Villa", b.held(record.Left, "deals", left, "name"))
	require.Equal(t, "won", b.held(record.Left, "deals", left, "status"))
	require.EqualValues(t, "100", b.held(record.Left, "deals", left, "value"))
	rows, _, err := b.store.ListHeld(b.ctx, b.key, "", ledger.ListOptions{Limit: 10})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, []string{"amount"}, rows[0].Fields)
	b.set(record.Right, "deals", right, map[string]any{"title": "Castle", "stage": "proposal"})
	b.rest()
	b.decide(ledger.HeldApproved)
	b.rest()
	require.Nil(t, b.held(record.Left, "deals", left, "value"))
	require.Equal(t, "open", b.held(record.Left, "deals", left, "status"))
	require.Empty(t, b.heldNow())
	b.silent()
}
