package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func TestTheLeadOfADealGoesFirst(t *testing.T) {
	for _, order := range []string{"deal first", "deal alone"} {
		t.Run(order, func(t *testing.T) {
			b := startTrade(t, setup{})
			lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": "ana@x.com"})
			deal := b.put(record.Left, "deals", map[string]any{"name": "House", "lead_id": lead})
			b.tell(record.Left, "deals", deal)
			if order == "deal first" {
				b.tell(record.Left, "leads", lead)
			}
			b.settle()
			made := b.twin(record.Left, "deals", deal)
			require.Equal(t, b.twin(record.Left, "leads", lead), b.held(record.Right, "deals", made, "contact_id"))
			require.Equal(t, 2, b.written(), "one create each, nothing afterwards")
			b.silent()
		})
	}
}

// A backlog makes rows old before they are looked at first: that is no reason
// to create a deal before its lead.
func TestTheLeadOfADealGoesFirstInABacklog(t *testing.T) {
	b := startTrade(t, setup{})
	lead := b.put(record.Right, "leads", map[string]any{"first_name": "Ana", "email": "ana@x.com"})
	deal := b.put(record.Right, "deals", map[string]any{"title": "House", "contact_id": lead})
	b.tell(record.Right, "deals", deal)
	b.clock.advance(30e9)
	b.tell(record.Right, "leads", lead)
	b.settle()
	made := b.twin(record.Right, "deals", deal)
	require.Equal(t, b.twin(record.Right, "leads", lead), b.held(record.Left, "deals", made, "lead_id"))
	require.Equal(t, 2, b.written(), "one create each, nothing afterwards")
}

// A lead that is known but not on the other side yet goes first, too.
func TestALeadThatIsUnderWayGoesFirst(t *testing.T) {
	b := startTrade(t, setup{})
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 503, Times: 3, Method: "POST", Path: "/api/2/contacts"})
	require.NoError(t, err)
	lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": "ana@x.com"})
	b.tell(record.Left, "leads", lead)
	b.drain()
	deal := b.put(record.Left, "deals", map[string]any{"name": "House", "lead_id": lead})
	b.tell(record.Left, "deals", deal)
	b.settle()
	made := b.twin(record.Left, "deals", deal)
	require.Equal(t, b.twin(record.Left, "leads", lead), b.held(record.Right, "deals", made, "contact_id"))
	require.Equal(t, 2, b.written(), "one create each, nothing afterwards")
	b.silent()
}

// A lead that is parked leaves its deals without one; as soon as it goes
// through they get it, however long ago they were touched, and without a compare.
func TestDealsOfAParkedLeadGetItLater(t *testing.T) {
	b := startTrade(t, setup{})
	require.NoError(t, b.right.RejectField(b.ctx, wire.Rejection{Object: "contacts", Field: "company_name", Value: "Bad"}))
	lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": "ana@x.com", "company": "Bad"})
	var deals []string
	for _, name := range []string{"House", "Flat"} {
		deals = append(deals, b.put(record.Left, "deals", map[string]any{"name": name, "lead_id": lead}))
	}
	run := b.run(ledger.RunBackfill)
	require.Equal(t, 2, run.Counts.Created)
	require.Len(t, b.letters(), 1, "the lead is parked, and says why")
	for _, deal := range deals {
		require.Nil(t, b.held(record.Right, "deals", b.twin(record.Left, "deals", deal), "contact_id"), "never a raw or a wrong id")
	}
	b.silent()
	b.clock.advance(48 * 3600e9)
	b.set(record.Left, "leads", lead, map[string]any{"company": "Good"})
	b.tell(record.Left, "leads", lead)
	b.settle()
	require.Empty(t, b.letters())
	for _, deal := range deals {
		require.Equal(t, b.twin(record.Left, "leads", lead), b.held(record.Right, "deals", b.twin(record.Left, "deals", deal), "contact_id"))
		require.Equal(t, lead, b.held(record.Left, "deals", deal, "lead_id"))
	}
	require.Equal(t, 5, b.written(), "two deals, the lead, and each deal once more")
	b.silent()
}

// Whatever step the worker dies at that links the lead, its deal gets it.
func TestAKilledWorkerWakesTheDealsOfALead(t *testing.T) {
	for n := 0; ; n++ {
		b := startTrade(t, setup{})
		require.NoError(t, b.right.RejectField(b.ctx, wire.Rejection{Object: "contacts", Field: "company_name", Value: "Bad"}))
		lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": "ana@x.com", "company": "Bad"})
		deal := b.put(record.Left, "deals", map[string]any{"name": "House", "lead_id": lead})
		b.run(ledger.RunBackfill)
		b.set(record.Left, "leads", lead, map[string]any{"company": "Good"})
		b.tell(record.Left, "leads", lead)
		reached := b.killAt(n)
		b.clock.advance(11e9)
		b.settle()
		require.Equal(t, b.twin(record.Left, "leads", lead), b.held(record.Right, "deals", b.twin(record.Left, "deals", deal), "contact_id"), "killed at step %d", n)
		require.Len(t, b.alive(record.Right, "leads"), 1)
		require.Len(t, b.alive(record.Right, "deals"), 1)
		if !reached {
			return
		}
	}
}

// A chain within one stream: each deal follows another.
func TestRecordsOfOneStreamMayReferToEachOther(t *testing.T) {
	b := startTrade(t, setup{edit: func(yaml string) string {
		return replaceOnce(t, yaml, "      lead: {left: lead_id, right: contact_id, as: {ref: leads}}\n",
			"      lead: {left: lead_id, right: contact_id, as: {ref: leads}}\n      after: {left: custom_fields.after, right: properties.after, as: {ref: deals}}\n")
	}})
	var deals []string
	for _, name := range []string{"one", "two", "three"} {
		fields := map[string]any{"name": name}
		if len(deals) > 0 {
			fields["custom_fields"] = map[string]any{"after": deals[len(deals)-1]}
		}
		deals = append(deals, b.put(record.Left, "deals", fields))
	}
	for i := len(deals) - 1; i >= 0; i-- {
		b.tell(record.Left, "deals", deals[i])
	}
	b.settle()
	for i := 1; i < len(deals); i++ {
		require.Equal(t, b.twin(record.Left, "deals", deals[i-1]), b.held(record.Right, "deals", b.twin(record.Left, "deals", deals[i]), "properties.after"))
	}
	b.silent()
}

func TestAnOwnerThatAppearsLaterIsFilledIn(t *testing.T) {
	b := startTrade(t, setup{})
	lonely := b.put(record.Left, "users", map[string]any{"name": "Rep", "email": "rep@x.com"})
	lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": "ana@x.com", "owner_id": lonely})
	deal := b.put(record.Left, "deals", map[string]any{"name": "House", "lead_id": lead, "owner_id": lonely})
	b.run(ledger.RunBackfill)
	made, contact := b.twin(record.Left, "deals", deal), b.twin(record.Left, "leads", lead)
	require.Nil(t, b.held(record.Right, "deals", made, "owner_id"))
	b.set(record.Right, "deals", made, map[string]any{"title": "Big house"})
	b.rest()
	require.Equal(t, lonely, b.held(record.Left, "deals", deal, "owner_id"), "what has no counterpart is not cleared")
	b.silent()
	b.clock.advance(48 * 3600e9)
	rep := b.put(record.Right, "users", map[string]any{"name": "Rep", "email": "REP@x.com"})
	b.rest()
	require.Equal(t, rep, b.held(record.Right, "deals", made, "owner_id"), "no compare is needed")
	require.Equal(t, rep, b.held(record.Right, "leads", contact, "owner_id"))
	b.silent()
	require.Equal(t, []string{lonely}, b.alive(record.Left, "users"), "users are never made")
	require.Equal(t, []string{rep}, b.alive(record.Right, "users"))
}

// More records may wait for one user than fit into one step.
func TestAllRecordsThatWaitForAnOwnerGetIt(t *testing.T) {
	b := startTrade(t, setup{})
	lonely := b.put(record.Left, "users", map[string]any{"name": "Rep", "email": "rep@x.com"})
	const many = 230
	_, err := b.left.Seed(b.ctx, wire.Seed{Object: "deals", Count: many, Template: map[string]any{"name": "Deal {n}", "owner_id": lonely}})
	require.NoError(t, err)
	b.run(ledger.RunBackfill)
	b.clock.advance(48 * 3600e9)
	b.rest()
	rep := b.put(record.Right, "users", map[string]any{"name": "Rep", "email": "rep@x.com"})
	b.tell(record.Right, "users", rep)
	b.settle()
	deals := b.alive(record.Right, "deals")
	require.Len(t, deals, many)
	for _, deal := range deals {
		require.Equal(t, rep, b.held(record.Right, "deals", deal, "owner_id"))
	}
}

func TestRecordsThatReferToEachOtherDoNotWaitForEver(t *testing.T) {
	b := startTrade(t, setup{edit: func(yaml string) string {
		return replaceOnce(t, yaml, "      note: {left: custom_fields.note, right: note, lossy: right}\n",
			"      note: {left: custom_fields.note, right: note, lossy: right}\n      main: {left: custom_fields.main_deal, right: properties.main_deal, as: {ref: deals}}\n")
	}})
	lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": "ana@x.com"})
	deal := b.put(record.Left, "deals", map[string]any{"name": "House", "lead_id": lead})
	b.set(record.Left, "leads", lead, map[string]any{"custom_fields": map[string]any{"main_deal": deal}})
	b.tell(record.Left, "leads", lead)
	b.settle()
	made, contact := b.twin(record.Left, "deals", deal), b.twin(record.Left, "leads", lead)
	require.Equal(t, contact, b.held(record.Right, "deals", made, "contact_id"))
	require.Equal(t, made, b.held(record.Right, "leads", contact, "properties.main_deal"))
	b.silent()
}
