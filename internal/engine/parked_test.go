package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

const (
	yPhoneLeft  = "+5511900000001"
	yPhoneRight = "+5511900000002"
)

// yTurns drains and moves the clock without insisting on an empty inbox.
func yTurns(b *bench, n int) {
	for range n {
		result := b.drain()
		if result.Pending == 0 {
			return
		}
		if wait := result.NextDue.Sub(b.clock.now()); wait > 0 {
			b.clock.advance(wait + time.Millisecond)
		}
	}
}

// yKill abandons the worker at a step, and lets its lease end.
func yKill(b *bench, step string) {
	hit := false
	b.crash = func(at string) error {
		if at == step || hit {
			hit = true
			return engine.Killed()
		}
		return nil
	}
	b.drain()
	b.crash = nil
	require.True(b.t, hit, "step %s is reached", step)
	b.restart()
	b.clock.advance(11 * time.Second)
}

// yAmend edits the integration of the running connection.
func yAmend(b *bench, pairs ...string) {
	connection, err := b.store.Connection(b.ctx, b.key)
	require.NoError(b.t, err)
	text := strings.NewReplacer(pairs...).Replace(connection.Integration)
	require.NotEqual(b.t, connection.Integration, text)
	connection.Integration = text
	connection.Version++
	require.NoError(b.t, b.store.UpdateConnection(b.ctx, connection))
	b.clock.advance(2 * time.Second)
}

// yReject makes the right server refuse a value of a field.
func yReject(b *bench, field, value string) {
	require.NoError(b.t, b.right.RejectField(b.ctx, wire.Rejection{Object: "contacts", Field: field, Value: value}))
}

func yPhoneConflict(b *bench) (lead, contact string, open ledger.Conflict) {
	lead, contact = b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"phone": yPhoneLeft})
	b.edit(record.Right, contact, map[string]any{"phone": yPhoneRight})
	b.quiet()
	conflicts := b.openConflicts()
	require.Len(b.t, conflicts, 1)
	return lead, contact, conflicts[0]
}

func yDecide(b *bench, id string, choose ledger.Choice) {
	require.NoError(b.t, b.engine.Decide(b.ctx, b.key, id, ledger.Decision{Choose: choose}, nil))
}

func yDecided(b *bench) []ledger.Conflict {
	decided, _, err := b.store.ListConflicts(b.ctx, b.key, ledger.ConflictDecided, ledger.ListOptions{Limit: 200})
	require.NoError(b.t, err)
	return decided
}

func TestLetterClearsWhenTheValueIsPutBack(t *testing.T) {
	b := start(t, setup{})
	lead, _ := b.pair("ana@x.com")
	yReject(b, "company_name", "BAD")
	b.edit(record.Left, lead, map[string]any{"company": "BAD"})
	b.quiet()
	require.Len(t, b.letters(), 1)
	b.edit(record.Left, lead, map[string]any{"company": ""})
	b.quiet()
	require.Empty(t, b.letters(), "put back: nothing is refused any more")
}

func TestLetterOfARecordThatLeftTheScopeClears(t *testing.T) {
	b := start(t, replaced("left: {object: leads}", "left: {object: leads, where: \"status != 'unqualified'\"}"))
	yReject(b, "company_name", "BAD")
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "company": "BAD", "status": "new"})
	b.quiet()
	require.Len(t, b.letters(), 1)
	b.edit(record.Left, lead, map[string]any{"status": "unqualified"})
	b.quiet()
	require.Empty(t, b.letters())
	require.Empty(t, b.live(record.Right))
}

func TestLetterOfADeletedRecordClearsAtTheNextCompare(t *testing.T) {
	b := start(t, setup{})
	b.pair("bia@x.com")
	yReject(b, "company_name", "BAD")
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "company": "BAD"})
	kept := b.create(record.Left, map[string]any{"name": "Cia", "email": "cia@x.com", "company": "BAD"})
	b.quiet()
	require.Len(t, b.letters(), 2)
	b.remove(record.Left, lead)
	b.run(ledger.RunCompare)
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, kept, letters[0].Ref.ID)
}

func TestLettersOfBothRecordsClearWhenTheyAreLinked(t *testing.T) {
	b := start(t, setup{})
	require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"search_lag_ms": 40000, "existing_id": false, "visible_late_ms": 40000}))
	contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com", "job_title": "CTO"})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "Ana@X.com"})
	b.hint(record.Left, lead)
	yTurns(b, 40)
	require.Len(t, b.letters(), 1, "a 409 whose record nobody can find is parked")
	b.clock.advance(time.Minute)
	b.hint(record.Right, contact)
	b.settle()
	require.Equal(t, contact, b.other(record.Left, lead))
	require.Empty(t, b.letters())
}

func TestDuplicateWaitsForTheSearchOfItsServer(t *testing.T) {
	b := start(t, setup{variables: map[string]string{"ACME_SEARCH_LAG": "40s"}})
	require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"search_lag_ms": 40000, "existing_id": false, "visible_late_ms": 40000}))
	contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "Ana@X.com"})
	b.hint(record.Left, lead)
	for range 60 {
		yTurns(b, 1)
		require.Empty(t, b.letters(), "its search may not show the record yet")
	}
	b.settle()
	require.Equal(t, contact, b.other(record.Left, lead))
}

func TestDecisionIsCarriedOutOnAParkedPair(t *testing.T) {
	b := start(t, setup{})
	lead, contact, open := yPhoneConflict(b)
	yReject(b, "company_name", "BAD")
	b.edit(record.Left, lead, map[string]any{"company": "BAD"})
	b.quiet()
	require.Len(t, b.letters(), 1)
	yDecide(b, open.ID, ledger.ChooseRight)
	b.quiet()
	require.Equal(t, yPhoneRight, text(b.get(record.Left, lead), "phone"))
	require.Empty(t, b.openConflicts())
	require.Empty(t, yDecided(b))
	require.Len(t, b.letters(), 1, "the company is refused as before")
	b.edit(record.Left, lead, map[string]any{"company": "GOOD"})
	b.quiet()
	require.Empty(t, b.letters())
	require.Equal(t, "GOOD", text(b.get(record.Right, contact), "company_name"))
}

func TestDecisionIsNotLostWhenAnotherFieldIsRefusedWithIt(t *testing.T) {
	b := start(t, setup{})
	lead, _, open := yPhoneConflict(b)
	yReject(b, "company_name", "BAD")
	yDecide(b, open.ID, ledger.ChooseRight)
	b.edit(record.Left, lead, map[string]any{"company": "BAD"})
	b.quiet()
	require.Len(t, b.letters(), 1)
	require.Equal(t, yPhoneRight, text(b.get(record.Left, lead), "phone"))
	require.Empty(t, yDecided(b))
}

func TestRefusedDecisionCanBeMadeAgain(t *testing.T) {
	b := start(t, setup{})
	lead, _, open := yPhoneConflict(b)
	yReject(b, "phone", yPhoneLeft)
	yDecide(b, open.ID, ledger.ChooseLeft)
	b.quiet()
	require.Len(t, b.openConflicts(), 1, "a decision that was refused leaves the conflict open")
	require.Len(t, b.letters(), 1)
	yDecide(b, open.ID, ledger.ChooseLeft)
	b.quiet()
	require.Len(t, b.openConflicts(), 1, "also if it is tried alone on a parked pair")
	yDecide(b, open.ID, ledger.ChooseRight)
	b.quiet()
	require.Equal(t, yPhoneRight, text(b.get(record.Left, lead), "phone"))
	require.Empty(t, b.letters())
	require.Empty(t, b.openConflicts())
	require.Empty(t, yDecided(b))
}

func TestDecisionForAnUnmappableValueLeavesTheConflictOpen(t *testing.T) {
	b := start(t, replaced("fields: {phone: manual}", "fields: {stage: manual}"))
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"status": "qualified"})
	b.edit(record.Right, contact, map[string]any{"lifecycle": "customer"})
	b.quiet()
	open := b.openConflicts()
	require.Len(t, open, 1)
	require.NoError(t, b.engine.Decide(b.ctx, b.key, open[0].ID, ledger.Decision{Choose: ledger.ChooseValue, Value: "nonsense"}, nil))
	b.quiet()
	require.Len(t, b.openConflicts(), 1)
	yDecide(b, open[0].ID, ledger.ChooseRight)
	b.quiet()
	require.Equal(t, "converted", text(b.get(record.Left, lead), "status"))
	require.Empty(t, b.letters())
}

func TestFieldConflictEndsWithItsRecord(t *testing.T) {
	b := start(t, setup{})
	b.pair("bia@x.com")
	lead, _, phone := yPhoneConflict(b)
	b.remove(record.Left, lead)
	b.hint(record.Left, lead)
	b.quiet()
	open := b.openConflicts()
	require.Len(t, open, 1)
	require.Empty(t, open[0].Field, "what is left to decide is the delete")
	_, closed, err := b.store.FindConflict(b.ctx, phone.ID)
	require.NoError(t, err)
	require.Equal(t, "gone", closed.ClosedBy)
}

func TestConflictClosesWhenItsFieldIsUnmapped(t *testing.T) {
	b := start(t, setup{})
	yPhoneConflict(b)
	yAmend(b, "phone: {left: phone, right: phone, as: {phone: BR}}", "", "fields: {phone: manual}", "fields: {}")
	b.run(ledger.RunCompare)
	require.Empty(t, b.openConflicts())
}

func TestConflictClosesWhenItsPolicyIsNotManualAnyMore(t *testing.T) {
	b := start(t, setup{})
	lead, contact, _ := yPhoneConflict(b)
	yAmend(b, "fields: {phone: manual}", "fields: {phone: left}")
	b.run(ledger.RunCompare)
	require.Empty(t, b.openConflicts())
	require.Equal(t, yPhoneLeft, text(b.get(record.Right, contact), "phone"))
	require.Equal(t, yPhoneLeft, text(b.get(record.Left, lead), "phone"))
}

// yHeld makes a pair whose lead is deleted and whose contact the guard keeps.
func yHeld(b *bench) (lead, contact string) {
	b.pair("cia@x.com")
	first, _ := b.pair("bia@x.com")
	lead, contact = b.pair("ana@x.com")
	for _, id := range []string{first, lead} {
		b.remove(record.Left, id)
		b.hint(record.Left, id)
		b.settle()
	}
	require.Len(b.t, yHeldRows(b), 1)
	return lead, contact
}

func yHeldRows(b *bench) []ledger.Held {
	held, _, err := b.store.ListHeld(b.ctx, b.key, ledger.HeldWaiting, ledger.ListOptions{})
	require.NoError(b.t, err)
	return held
}

func TestHeldDeleteEndsWhenTheSurvivorIsEdited(t *testing.T) {
	for _, policy := range []string{"keep", "recreate"} {
		t.Run(policy, func(t *testing.T) {
			with := replaced("edited: keep", "edited: "+policy)
			with.variables = map[string]string{"GUARD_MAX": "1"}
			b := start(t, with)
			_, contact := yHeld(b)
			b.edit(record.Right, contact, map[string]any{"job_title": "CTO"})
			b.quiet()
			require.Empty(t, yHeldRows(b))
			require.Nil(t, b.get(record.Right, contact).DeletedAt)
		})
	}
}

func TestHeldDeleteEndsWhenTheRecordAnswersAgain(t *testing.T) {
	b := start(t, setup{variables: map[string]string{"GUARD_MAX": "1"}})
	b.pair("cia@x.com")
	first, _ := b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	b.remove(record.Left, first)
	b.hint(record.Left, first)
	b.settle()
	_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 404, Times: 100, Method: "GET", Path: "/v1/leads/" + lead})
	require.NoError(t, err)
	b.look(record.Left, lead)
	b.settle()
	require.Len(t, yHeldRows(b), 1)
	require.NoError(t, b.left.ClearFaults(b.ctx))
	b.hint(record.Left, lead)
	b.quiet()
	require.Empty(t, yHeldRows(b))
	require.Nil(t, b.get(record.Right, contact).DeletedAt)
}

func TestMergedPairLeavesNoIntentOpen(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	_, other := b.pair("bia@x.com")
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.hint(record.Left, lead)
	yKill(b, "before update")
	_, err := b.right.MergeRecords(b.ctx, "contacts", other, contact)
	require.NoError(t, err)
	b.quiet()
	pending, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Zero(t, pending.Intents)
	require.NotEmpty(t, b.letters())
}

func TestTwinThatNoListingShowedIsNoGuess(t *testing.T) {
	for _, hinted := range []int{1, 2} {
		b := start(t, setup{})
		contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
		leads := []string{
			b.create(record.Left, map[string]any{"name": "Ana One", "email": "ana@x.com"}),
			b.create(record.Left, map[string]any{"name": "Ana Two", "email": "ANA@x.com"}),
		}
		for _, lead := range leads[:hinted] {
			b.hint(record.Left, lead)
		}
		b.settle()
		links, _, err := b.store.Links(b.ctx, b.key, ledger.LinkFilter{Stream: "leads", Side: record.Right, ID: contact}, ledger.ListOptions{})
		require.NoError(t, err)
		require.Empty(t, links)
		require.NotEmpty(t, b.letters())
	}
}

func TestOwnerWithoutCounterpartIsUnset(t *testing.T) {
	b := start(t, setup{})
	user := func(side record.Side, email string) string {
		client, _ := b.client(side)
		made, err := client.CreateRecord(b.ctx, "users", map[string]any{"name": email, "email": email})
		require.NoError(t, err)
		return made.ID
	}
	rep, lonely := user(record.Left, "rep@x.com"), user(record.Left, "lonely@x.com")
	user(record.Right, "rep@x.com")
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "owner_id": rep})
	b.run(ledger.RunBackfill)
	contact := b.other(record.Left, lead)
	require.NotEmpty(t, text(b.get(record.Right, contact), "owner_id"))
	b.edit(record.Left, lead, map[string]any{"owner_id": lonely})
	b.quiet()
	require.Empty(t, text(b.get(record.Right, contact), "owner_id"), "the owner of before is nobody's any more")
	require.Equal(t, lonely, text(b.get(record.Left, lead), "owner_id"))
	before := b.writes(record.Left) + b.writes(record.Right)
	b.run(ledger.RunCompare)
	b.quiet()
	require.Equal(t, before, b.writes(record.Left)+b.writes(record.Right), "it is quiet")
	appeared := user(record.Right, "lonely@x.com")
	b.clock.advance(10 * time.Minute)
	b.quiet()
	b.run(ledger.RunCompare)
	require.Equal(t, appeared, text(b.get(record.Right, contact), "owner_id"), "a counterpart that appears later is filled in")
}

func TestDeleteConflictShowsTheSurvivorAsItIs(t *testing.T) {
	b := start(t, setup{})
	b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Right, contact, map[string]any{"job_title": "CTO"})
	b.remove(record.Left, lead)
	b.quiet()
	open := b.openConflicts()
	require.Len(t, open, 1)
	// Decided about the CTO; by the time it is applied there is a CEO.
	yDecide(b, open[0].ID, ledger.ChooseLeft)
	b.edit(record.Right, contact, map[string]any{"job_title": "CEO"})
	b.quiet()
	require.Nil(t, b.get(record.Right, contact).DeletedAt, "a decision about other values is void")
	open = b.openConflicts()
	require.Len(t, open, 1)
	require.Equal(t, "CEO", open[0].Right.(map[string]any)["position"])
	yDecide(b, open[0].ID, ledger.ChooseLeft)
	b.quiet()
	require.NotNil(t, b.get(record.Right, contact).DeletedAt)
}
