package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// guarding sets the guard on edits of the leads.
func guarding(yaml string) setup {
	return replaced(`guard: {clears: {max: "${CLEARS_MAX:-500}", per: 1h}}`, "guard: "+yaml)
}

// crowd makes n pairs and returns the contact of each lead.
func (b *bench) crowd(n int, fields map[string]any) map[string]string {
	b.t.Helper()
	for i := range n {
		lead := map[string]any{"name": "Ana Lima", "email": fmt.Sprintf("u%d@x.com", i), "phone": fmt.Sprintf("+55119123456%02d", i), "company": "Acme"}
		maps.Copy(lead, fields)
		b.create(record.Left, lead)
	}
	b.quiet()
	pairs := map[string]string{}
	for _, lead := range b.live(record.Left) {
		pairs[lead.ID] = b.other(record.Left, lead.ID)
	}
	require.Len(b.t, pairs, n)
	return pairs
}

// editAll makes the same edit in every lead, and lets the service follow.
func (b *bench) editAll(pairs map[string]string, fields map[string]any) {
	b.t.Helper()
	for _, lead := range slices.Sorted(maps.Keys(pairs)) {
		b.edit(record.Left, lead, fields)
		b.hint(record.Left, lead)
	}
	b.quiet()
}

// filled counts the contacts that have a value.
func (b *bench) filled(path string) int {
	b.t.Helper()
	n := 0
	for _, contact := range b.live(record.Right) {
		if text(contact, path) != "" {
			n++
		}
	}
	return n
}

func (b *bench) decide(state ledger.HeldState, ids ...string) {
	b.t.Helper()
	_, err := b.store.DecideHeld(b.ctx, b.key, ids, state)
	require.NoError(b.t, err)
	b.quiet()
}

func TestTheGuardHoldsMassClears(t *testing.T) {
	b := start(t, guarding("{clears: {max: 3, per: 1h}}"))
	pairs := b.crowd(8, nil)
	b.editAll(pairs, map[string]any{"phone": nil, "company": "New name"})
	require.Equal(t, 5, b.filled("phone"), "three pass, the rest is held")
	held := b.heldNow()
	require.Len(t, held, 5)
	for _, one := range held {
		require.Equal(t, ledger.GuardClear, one.Op)
		require.Equal(t, record.Right, one.Ref.Side)
		require.Equal(t, []string{"phone"}, one.Fields)
	}
	for _, contact := range b.live(record.Right) {
		require.Equal(t, "New name", text(contact, "company_name"), "other fields flow")
	}
	for _, lead := range b.live(record.Left) {
		require.Nil(t, field(lead, "phone"), "the source is left as it is")
	}
	pending, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Zero(t, pending.Changes, "held operations are not pending")
	used, err := b.store.GuardUsed(b.ctx, b.key, "leads", ledger.GuardClear, time.Hour)
	require.NoError(t, err)
	require.Equal(t, 3, used)

	left, right := b.writes(record.Left), b.writes(record.Right)
	b.run(ledger.RunCompare)
	b.clock.advance(2 * time.Hour)
	b.quiet()
	require.Equal(t, left, b.writes(record.Left), "nothing is written while they wait")
	require.Equal(t, right, b.writes(record.Right), "nothing is written while they wait")
	require.Len(t, b.heldNow(), 5, "time alone releases nothing")
	require.Equal(t, held, b.heldNow())

	b.decide(ledger.HeldApproved, held[0].ID, held[1].ID)
	require.Equal(t, 3, b.filled("phone"))
	require.Len(t, b.heldNow(), 3)
	b.decide(ledger.HeldApproved)
	require.Zero(t, b.filled("phone"))
	require.Empty(t, b.heldNow())
	for _, contact := range b.live(record.Right) {
		history, _, err := b.store.ListHistory(b.ctx, b.key, ledger.HistoryFilter{ID: contact.ID, Field: "phone"}, ledger.ListOptions{})
		require.NoError(t, err)
		require.Len(t, history, 1, "the value that was cleared can be found")
		require.NotEmpty(t, history[0].Old)
		require.Equal(t, ledger.CauseChange, history[0].Cause.Kind)
	}
}

func TestARejectedClearPutsTheValueBack(t *testing.T) {
	b := start(t, guarding("{clears: {max: 1, per: 1h}}"))
	pairs := b.crowd(4, nil)
	b.editAll(pairs, map[string]any{"phone": ""})
	require.Len(t, b.heldNow(), 3)
	b.decide(ledger.HeldRejected)
	require.Empty(t, b.heldNow())
	back := 0
	for lead, contact := range pairs {
		found, other := b.get(record.Left, lead), b.get(record.Right, contact)
		require.Equal(t, text(other, "phone") == "", text(found, "phone") == "", "both sides agree")
		if text(found, "phone") == "" {
			continue
		}
		back++
		history, _, err := b.store.ListHistory(b.ctx, b.key, ledger.HistoryFilter{Side: record.Left, ID: lead, Field: "phone"}, ledger.ListOptions{})
		require.NoError(t, err)
		require.Len(t, history, 1)
		require.Equal(t, ledger.CauseDecision, history[0].Cause.Kind)
	}
	require.Equal(t, 3, back)
	left, right := b.writes(record.Left), b.writes(record.Right)
	b.run(ledger.RunCompare)
	require.Equal(t, left, b.writes(record.Left))
	require.Equal(t, right, b.writes(record.Right))
}

func TestAClearThatIsUndoneIsNotHeld(t *testing.T) {
	b := start(t, guarding("{clears: {max: 0, per: 1h}}"))
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"phone": ""})
	b.quiet()
	require.Len(t, b.heldNow(), 1)
	b.edit(record.Left, lead, map[string]any{"position": "CTO"})
	b.edit(record.Right, contact, map[string]any{"company_name": "Acme"})
	b.quiet()
	require.Len(t, b.heldNow(), 1)
	require.Equal(t, "CTO", text(b.get(record.Right, contact), "job_title"), "other fields flow both ways")
	require.Equal(t, "Acme", text(b.get(record.Left, lead), "company"))

	b.edit(record.Left, lead, map[string]any{"phone": "+5511987654321"})
	b.quiet()
	require.Empty(t, b.heldNow())
	require.Equal(t, "+5511987654321", text(b.get(record.Right, contact), "phone"), "a new value is an ordinary edit")

	b.edit(record.Left, lead, map[string]any{"phone": ""})
	b.quiet()
	require.Len(t, b.heldNow(), 1)
	b.edit(record.Right, contact, map[string]any{"phone": ""})
	b.quiet()
	require.Empty(t, b.heldNow(), "both sides are blank: there is nothing to hold")
}

func TestOrdinaryClearsPass(t *testing.T) {
	b := start(t, setup{})
	pairs := b.crowd(12, map[string]any{"position": "CTO"})
	for range 3 {
		b.editAll(pairs, map[string]any{"phone": "", "position": "", "company": ""})
		b.editAll(pairs, map[string]any{"phone": "+5511912345678", "position": "CFO", "company": "B"})
	}
	require.Empty(t, b.heldNow())
	used, err := b.store.GuardUsed(b.ctx, b.key, "leads", ledger.GuardClear, time.Hour)
	require.NoError(t, err)
	require.Equal(t, 12, used, "a record counts once for a field, however often it is cleared")
	require.Equal(t, 12, b.filled("phone"))
}

func TestAFirstLoadClearsAndRewritesNothing(t *testing.T) {
	b := start(t, guarding("{clears: {max: 0}, rewrites: {max: 0}}"))
	for n := range 3 {
		b.create(record.Left, map[string]any{"name": "Ana", "email": fmt.Sprintf("u%d@x.com", n), "company": "L"})
		b.create(record.Right, map[string]any{"first_name": "Ana", "email": fmt.Sprintf("u%d@x.com", n), "company_name": "R", "phone": "+5511912345678"})
	}
	b.run(ledger.RunBackfill)
	b.quiet()
	require.Empty(t, b.heldNow())
	for _, lead := range b.live(record.Left) {
		require.Equal(t, text(b.get(record.Right, b.other(record.Left, lead.ID)), "company_name"), text(lead, "company"))
		require.Equal(t, "+5511912345678", text(lead, "phone"))
	}
}

func TestTheGuardHoldsMassRewrites(t *testing.T) {
	b := start(t, guarding("{rewrites: {max: 2, per: 1h}}"))
	pairs := b.crowd(5, map[string]any{"position": ""})
	b.editAll(pairs, map[string]any{"company": "SAME", "position": "CTO", "tags": []any{"hot"}})
	held := b.heldNow()
	require.Len(t, held, 3)
	require.Equal(t, ledger.GuardRewrite, held[0].Op)
	require.Equal(t, []string{"company"}, held[0].Fields, "filling a blank and adding to a set take nothing away")
	require.Equal(t, 5, b.filled("job_title"))

	// An answer is about the values that were there: a later edit makes it void.
	leadOf := func(one ledger.Held) string { return b.other(record.Right, one.Ref.ID) }
	b.edit(record.Left, leadOf(held[0]), map[string]any{"company": "LATER"})
	b.decide(ledger.HeldRejected, held[0].ID)
	require.Equal(t, "LATER", text(b.get(record.Left, leadOf(held[0])), "company"), "nobody rejected this value")
	require.Len(t, b.heldNow(), 3)
	b.decide(ledger.HeldRejected, held[0].ID)
	require.Equal(t, "Acme", text(b.get(record.Left, leadOf(held[0])), "company"), "the other side's value is put back")
	b.decide(ledger.HeldApproved)
	require.Empty(t, b.heldNow())
	require.Equal(t, "SAME", text(b.get(record.Right, held[1].Ref.ID), "company_name"))
}

func TestWhereNothingMayBeWrittenBackARejectionLeavesBothSides(t *testing.T) {
	with := guarding("{clears: {max: 0}}")
	edit := with.edit
	with.edit = func(yaml string) string {
		return replaced("company: {left: company, right: company_name}", "company: {left: company, right: company_name, direction: left_to_right}").edit(edit(yaml))
	}
	b := start(t, with)
	pairs := b.crowd(1, nil)
	b.editAll(pairs, map[string]any{"company": ""})
	require.Len(t, b.heldNow(), 1)
	b.decide(ledger.HeldRejected)
	require.Empty(t, b.heldNow())
	for lead, contact := range pairs {
		require.Empty(t, text(b.get(record.Left, lead), "company"))
		require.Equal(t, "Acme", text(b.get(record.Right, contact), "company_name"))
	}
	b.run(ledger.RunCompare)
	b.quiet()
	require.Empty(t, b.heldNow())
}

func TestTheGuardIsCrashSafe(t *testing.T) {
	for _, decision := range []ledger.HeldState{ledger.HeldApproved, ledger.HeldRejected} {
		for _, step := range []string{"before commit", "after commit", "before update", "after update"} {
			t.Run(string(decision)+" "+step, func(t *testing.T) {
				b := start(t, guarding("{clears: {max: 0}}"))
				lead, contact := b.pair("ana@x.com")
				b.edit(record.Left, lead, map[string]any{"phone": ""})
				b.hint(record.Left, lead)
				b.killOn("before commit")
				b.quiet()
				require.Len(t, b.heldNow(), 1)
				_, err := b.store.DecideHeld(b.ctx, b.key, nil, decision)
				require.NoError(t, err)
				b.killOn(step)
				b.quiet()
				require.Empty(t, b.heldNow())
				want := ""
				if decision == ledger.HeldRejected {
					want = "+5511912345678"
				}
				require.Equal(t, want, text(b.get(record.Left, lead), "phone"))
				require.Equal(t, want, text(b.get(record.Right, contact), "phone"))
			})
		}
	}
}

func TestADeleteEndsAHeldClear(t *testing.T) {
	b := start(t, guarding("{clears: {max: 0}}"))
	b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"phone": ""})
	b.quiet()
	require.Len(t, b.heldNow(), 1)
	b.remove(record.Left, lead)
	b.hint(record.Left, lead)
	b.quiet()
	require.Empty(t, b.heldNow())
	require.NotNil(t, b.get(record.Right, contact).DeletedAt)
}

// A record that is parked for another field keeps what the guard holds, and an
// answer about that is carried out beside it.
func TestAnAnswerIsCarriedOutOnAParkedRecord(t *testing.T) {
	b := start(t, guarding("{clears: {max: 0}}"))
	lead, contact := b.pair("ana@x.com")
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 422, Times: -1, Method: "PATCH", Contains: "refused"})
	require.NoError(t, err)
	b.edit(record.Left, lead, map[string]any{"phone": "", "company": "refused"})
	b.hint(record.Left, lead)
	b.settle()
	require.Len(t, b.letters(), 1)
	require.Len(t, b.heldNow(), 1)
	b.decide(ledger.HeldApproved)
	require.Empty(t, text(b.get(record.Right, contact), "phone"))
	require.Len(t, b.letters(), 1, "the other field stays parked")
	require.Empty(t, b.heldNow())
}

func TestSwitchingTheGuardOffReleasesWhatItHolds(t *testing.T) {
	b := start(t, guarding("{clears: {max: 0}}"))
	pairs := b.crowd(3, nil)
	b.editAll(pairs, map[string]any{"phone": ""})
	require.Len(t, b.heldNow(), 3)
	connection, err := b.store.Connection(b.ctx, b.key)
	require.NoError(t, err)
	connection.Integration = replaced("clears: {max: 0}", "clears: off").edit(connection.Integration)
	connection.Version++
	require.NoError(t, b.store.UpdateConnection(b.ctx, connection))
	b.run(ledger.RunCompare)
	b.quiet()
	require.Empty(t, b.heldNow())
	require.Zero(t, b.filled("phone"))
}
