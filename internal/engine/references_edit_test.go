package engine_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// sale is a deal of one of two leads, in step, with one of two owners.
type sale struct {
	trade
	leads, contacts [2]string
	reps, sellers   [2]string
	deal, made      string
}

func startSale(t *testing.T, with setup) sale {
	t.Helper()
	s := sale{trade: startTrade(t, with)}
	for i, name := range []string{"ana", "bia"} {
		s.leads[i] = s.put(record.Left, "leads", map[string]any{"name": name, "email": name + "@x.com"})
		s.reps[i] = s.put(record.Left, "users", map[string]any{"name": name, "email": name + "@rep.com"})
		s.sellers[i] = s.put(record.Right, "users", map[string]any{"name": name, "email": name + "@rep.com"})
	}
	s.deal = s.put(record.Left, "deals", map[string]any{"name": "House", "lead_id": s.leads[0], "owner_id": s.reps[0]})
	s.run(ledger.RunBackfill)
	for i, lead := range s.leads {
		s.contacts[i] = s.twin(record.Left, "leads", lead)
	}
	s.made = s.twin(record.Left, "deals", s.deal)
	s.is(s.leads[0], s.contacts[0])
	return s
}

// is tells what the two sides hold as the lead of the deal; "" is none.
func (s sale) is(lead, contact string) {
	s.t.Helper()
	left, _ := s.held(record.Left, "deals", s.deal, "lead_id").(string)
	right, _ := s.held(record.Right, "deals", s.made, "contact_id").(string)
	require.Equal(s.t, lead, left, "the lead in SalesOS")
	require.Equal(s.t, contact, right, "the contact in Acme")
}

func TestAReferenceIsEditedLikeAnyField(t *testing.T) {
	s := startSale(t, setup{})
	before := s.written()
	s.set(record.Left, "deals", s.deal, map[string]any{"lead_id": s.leads[1]})
	s.rest()
	s.is(s.leads[1], s.contacts[1])
	s.set(record.Right, "deals", s.made, map[string]any{"contact_id": s.contacts[0], "owner_id": s.sellers[1]})
	s.rest()
	s.is(s.leads[0], s.contacts[0])
	require.Equal(t, s.reps[1], s.held(record.Left, "deals", s.deal, "owner_id"))
	s.set(record.Right, "deals", s.made, map[string]any{"contact_id": nil})
	s.rest()
	s.is("", "")
	s.set(record.Left, "deals", s.deal, map[string]any{"lead_id": s.leads[0]})
	s.rest()
	s.is(s.leads[0], s.contacts[0])
	s.set(record.Left, "deals", s.deal, map[string]any{"lead_id": nil, "owner_id": nil})
	s.rest()
	s.is("", "")
	require.Nil(t, s.held(record.Right, "deals", s.made, "owner_id"))
	require.Equal(t, before+5, s.written(), "one write for each edit")
	s.silent()
	history, _, err := s.store.ListHistory(s.ctx, s.key, ledger.HistoryFilter{Stream: "deals", Side: record.Right, ID: s.made, Field: "lead"}, ledger.ListOptions{})
	require.NoError(t, err)
	require.Len(t, history, 3)
	require.Equal(t, []any{s.contacts[0], nil}, []any{history[0].Old, history[0].New}, "in the words of that side")
}

func TestAReferenceWithoutCounterpartIsUnsetAndStaysWhereItIs(t *testing.T) {
	s := startSale(t, setup{})
	lonely := s.put(record.Right, "users", map[string]any{"name": "Lonely", "email": "lonely@x.com"})
	s.set(record.Right, "deals", s.made, map[string]any{"owner_id": lonely})
	s.rest()
	require.Nil(t, s.held(record.Left, "deals", s.deal, "owner_id"), "the owner of before is nobody's any more")
	require.Equal(t, lonely, s.held(record.Right, "deals", s.made, "owner_id"), "and that does not come back")
	s.set(record.Left, "deals", s.deal, map[string]any{"name": "Big house"})
	s.rest()
	require.Equal(t, lonely, s.held(record.Right, "deals", s.made, "owner_id"))
	require.Equal(t, "Big house", s.held(record.Right, "deals", s.made, "title"))
	s.silent()
	rep := s.put(record.Left, "users", map[string]any{"name": "Lonely", "email": "Lonely@X.com"})
	s.rest()
	require.Equal(t, rep, s.held(record.Left, "deals", s.deal, "owner_id"))
	s.silent()
	require.Empty(t, s.letters())
	require.Len(t, s.alive(record.Left, "users"), 3, "users are only matched")
	require.Len(t, s.alive(record.Right, "users"), 3)
	for _, client := range []*sandboxclient.Client{s.left, s.right} {
		calls, _, err := client.WriteTotals(s.ctx, sandboxclient.Filter{Actor: "app:accord", Object: "users"})
		require.NoError(t, err)
		require.Zero(t, calls, "and never written")
	}
}

// A deal was made without the owner whom Acme does not know: an owner that
// somebody gives it there is an edit, and no conflict with what was never there.
func TestAnOwnerGivenToADealWithoutOneIsAnEdit(t *testing.T) {
	s := startSale(t, setup{})
	lonely := s.put(record.Left, "users", map[string]any{"name": "Lonely", "email": "lonely@x.com"})
	deal := s.put(record.Left, "deals", map[string]any{"name": "Flat", "owner_id": lonely})
	s.rest()
	made := s.twin(record.Left, "deals", deal)
	s.set(record.Right, "deals", made, map[string]any{"owner_id": s.sellers[0]})
	s.set(record.Left, "deals", deal, map[string]any{"value": 5})
	s.rest()
	require.Equal(t, s.reps[0], s.held(record.Left, "deals", deal, "owner_id"))
	require.Equal(t, s.sellers[0], s.held(record.Right, "deals", made, "owner_id"))
	s.silent()
}

func TestTwoValuesOfAReferenceAreAConflict(t *testing.T) {
	for choose, want := range map[ledger.Choice]int{ledger.ChooseLeft: 1, ledger.ChooseRight: 0, ledger.ChooseValue: 1} {
		t.Run(string(choose), func(t *testing.T) {
			s := startSale(t, setup{edit: func(yaml string) string {
				return replaceOnce(t, yaml, "fields: {amount: manual}", "fields: {amount: manual, lead: manual}")
			}})
			third := s.put(record.Left, "leads", map[string]any{"name": "cia", "email": "cia@x.com"})
			s.rest()
			s.set(record.Left, "deals", s.deal, map[string]any{"lead_id": s.leads[1]})
			s.set(record.Right, "deals", s.made, map[string]any{"contact_id": s.twin(record.Left, "leads", third)})
			s.rest()
			open := s.openConflicts()
			require.Len(t, open, 1)
			require.Equal(t, "lead", open[0].Field)
			require.Equal(t, []any{s.leads[1], s.twin(record.Left, "leads", third)}, []any{open[0].Left, open[0].Right}, "each in its own side's ids")
			decision := ledger.Decision{Choose: choose, By: "me", At: s.clock.now()}
			if choose == ledger.ChooseValue {
				decision.Value = s.leads[1]
			}
			require.NoError(t, s.engine.Decide(s.ctx, s.key, open[0].ID, decision, nil))
			s.rest()
			chosen := []string{third, s.leads[1]}[want]
			s.is(chosen, s.twin(record.Left, "leads", chosen))
			require.Empty(t, s.openConflicts())
			s.silent()
		})
	}
}

// A decision for a lead that has no counterpart, or that is not there at all,
// cannot be carried out: the conflict stays open, and both values stay.
func TestADecisionForAnUnknownReferenceLeavesTheConflictOpen(t *testing.T) {
	s := startSale(t, setup{edit: func(yaml string) string {
		return replaceOnce(t, yaml, "fields: {amount: manual}", "fields: {amount: manual, lead: manual}")
	}})
	third := s.put(record.Left, "leads", map[string]any{"name": "cia", "email": "cia@x.com"})
	s.rest()
	s.set(record.Left, "deals", s.deal, map[string]any{"lead_id": s.leads[1]})
	s.set(record.Right, "deals", s.made, map[string]any{"contact_id": s.twin(record.Left, "leads", third)})
	s.rest()
	require.Len(t, s.openConflicts(), 1)
	require.NoError(t, s.engine.Decide(s.ctx, s.key, s.openConflicts()[0].ID, ledger.Decision{Choose: ledger.ChooseValue, Value: "nobody", By: "me", At: s.clock.now()}, nil))
	s.rest()
	s.is(s.leads[1], s.twin(record.Left, "leads", third))
	require.Len(t, s.openConflicts(), 1)
	require.Len(t, s.letters(), 1, "and says why")
	require.Equal(t, "lead", s.letters()[0].Reason.Field)
	require.NoError(t, s.engine.Decide(s.ctx, s.key, s.openConflicts()[0].ID, ledger.Decision{Choose: ledger.ChooseRight, By: "me", At: s.clock.now()}, nil))
	s.rest()
	s.is(third, s.twin(record.Left, "leads", third))
	require.Empty(t, s.openConflicts())
}

// Choosing the side whose lead has no counterpart unsets the other side.
func TestADecisionForAReferenceWithoutCounterpart(t *testing.T) {
	s := startSale(t, setup{edit: func(yaml string) string {
		yaml = replaceOnce(t, yaml, "    left: {object: leads}\n", "    left: {object: leads, where: \"status != 'unqualified'\"}\n")
		return replaceOnce(t, yaml, "fields: {amount: manual}", "fields: {amount: manual, lead: manual}")
	}})
	outside := s.put(record.Left, "leads", map[string]any{"name": "out", "email": "out@x.com", "status": "unqualified"})
	s.set(record.Left, "deals", s.deal, map[string]any{"lead_id": outside})
	s.set(record.Right, "deals", s.made, map[string]any{"contact_id": s.contacts[1]})
	s.rest()
	open := s.openConflicts()
	require.Len(t, open, 1)
	require.NoError(t, s.engine.Decide(s.ctx, s.key, open[0].ID, ledger.Decision{Choose: ledger.ChooseLeft, By: "me", At: s.clock.now()}, nil))
	s.rest()
	s.is(outside, "")
	require.Empty(t, s.openConflicts())
	s.silent()
}

func TestADeletedLeadLeavesItsDealAlone(t *testing.T) {
	s := startSale(t, setup{})
	s.drop(record.Left, "leads", s.leads[0])
	s.tell(record.Left, "leads", s.leads[0])
	s.rest()
	require.Equal(t, []string{s.contacts[1]}, s.alive(record.Right, "leads"))
	s.is(s.leads[0], s.contacts[0])
	s.silent()
	s.set(record.Left, "deals", s.deal, map[string]any{"value": 7})
	s.rest()
	require.EqualValues(t, "7", s.held(record.Right, "deals", s.made, "amount.value"), "its other fields go on")
	s.is(s.leads[0], s.contacts[0])
	s.set(record.Right, "deals", s.made, map[string]any{"contact_id": s.contacts[1]})
	s.rest()
	s.is(s.leads[1], s.contacts[1])
	require.Empty(t, s.letters())
	s.silent()
}

// A lead made anew from its edited contact has a new id: deals follow.
func TestDealsFollowALeadThatIsMadeAnew(t *testing.T) {
	s := startSale(t, setup{edit: func(yaml string) string {
		return replaceAll(t, yaml, "edited: keep", "edited: recreate")
	}})
	s.drop(record.Left, "leads", s.leads[0])
	s.set(record.Right, "leads", s.contacts[0], map[string]any{"job_title": "CTO"})
	s.rest()
	anew := s.twin(record.Right, "leads", s.contacts[0])
	require.NotEqual(t, s.leads[0], anew)
	s.run(ledger.RunCompare)
	s.is(anew, s.contacts[0])
	s.silent()
}

func TestDealsFollowAMergedContact(t *testing.T) {
	s := startSale(t, setup{})
	// The survivor is not linked, so the link follows it.
	survivor := s.put(record.Right, "leads", map[string]any{"first_name": "Ana", "email": "ana.new@x.com"})
	_, err := s.right.MergeRecords(s.ctx, "contacts", survivor, s.contacts[0])
	require.NoError(t, err)
	s.tell(record.Left, "leads", s.leads[0])
	s.settle()
	require.Equal(t, survivor, s.twin(record.Left, "leads", s.leads[0]))
	s.run(ledger.RunCompare)
	s.rest()
	s.is(s.leads[0], survivor)
	s.silent()
}

func TestLostDeletesOfDealsAreFoundByACompare(t *testing.T) {
	s := startSale(t, setup{variables: map[string]string{"GUARD_MAX": "2"}})
	var deals []string
	for i := range 3 {
		deals = append(deals, s.put(record.Left, "deals", map[string]any{"name": fmt.Sprint("Deal ", i), "lead_id": s.leads[1]}))
	}
	s.rest()
	s.drop(record.Left, "leads", s.leads[0])
	for _, deal := range deals {
		s.drop(record.Left, "deals", deal)
	}
	s.rest()
	require.Len(t, s.alive(record.Right, "deals"), 4, "SalesOS tells nobody")
	s.run(ledger.RunCompare)
	s.clock.advance(2e9)
	s.settle()
	require.Len(t, s.alive(record.Right, "leads"), 1, "the guard of leads is its own")
	require.Len(t, s.alive(record.Right, "deals"), 2, "and that of deals holds the third")
	require.Len(t, s.heldNow(), 1)
	require.Equal(t, "deals", s.heldNow()[0].Stream)
	_, err := s.store.DecideHeld(s.ctx, s.key, nil, ledger.HeldApproved)
	require.NoError(t, err)
	s.settle()
	require.Equal(t, []string{s.made}, s.alive(record.Right, "deals"))
	s.silent()
}
