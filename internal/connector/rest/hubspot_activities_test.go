package rest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestAcmeHubSpotActivities: meetings, calls and e-mails by the shipped integration, made on
// either side with their contact and owner, edited and deleted, and then left alone.
func TestAcmeHubSpotActivities(t *testing.T) {
	var owner, user, contact, visit, call string
	p := newPairing(t, func(p *pairing) {
		p.file, p.names = "acme-hubspot.yaml", []string{"users", "contacts", "meetings", "calls", "emails"}
		owner = p.made(p.hub, "owners", map[string]any{"email": "owner@example.com"})
		user = p.made(p.acme, "users", map[string]any{"name": "Owner", "email": "owner@example.com"})
		contact = p.made(p.acme, "contacts", map[string]any{"first_name": "Ana", "last_name": "Lima", "email": "ana@example.com"})
		visit = p.made(p.acme, "appointments", map[string]any{"title": "Visit", "contact_id": contact, "owner_id": user, "location": "Room 7",
			"starts_at": "2026-12-07T09:00:00-03:00", "ends_at": "2026-12-07T10:00:00-03:00", "time_zone": "America/Sao_Paulo"})
		p.made(p.acme, "appointments", map[string]any{"title": "Series", "starts_at": "2026-12-07T09:00:00Z", "ends_at": "2026-12-07T10:00:00Z", "recurrence": "FREQ=WEEKLY"})
		call = p.made(p.acme, "calls", map[string]any{"at": "2026-12-01T12:00:00Z", "contact_id": contact, "owner_id": user, "direction": "in", "duration_s": 95, "outcome": "wants a roof"})
		p.made(p.acme, "emails", map[string]any{"at": "2026-12-01T13:00:00Z", "contact_id": contact, "subject": "Offer"})
	})
	on := func(client *sandboxclient.Client, object, field string, value any) func() *wire.Record {
		return func() *wire.Record { return p.find(client, object, field, value) }
	}
	meeting := on(p.hub, "meetings", "hs_meeting_title", "Visit")
	logged, mail := on(p.hub, "calls", "hs_call_body", "wants a roof"), on(p.hub, "emails", "hs_email_subject", "Offer")
	p.until("all are in HubSpot", func() bool { return meeting() != nil && logged() != nil && mail() != nil })
	ana := p.find(p.hub, "contacts", "email", "ana@example.com")
	made := meeting().Fields
	require.Equal(t, []any{"2026-12-07T12:00:00.000Z", "2026-12-07T12:00:00.000Z", "2026-12-07T13:00:00.000Z", "Room 7", "SCHEDULED", owner, visit, []any{ana.ID}},
		[]any{made["hs_timestamp"], made["hs_meeting_start_time"], made["hs_meeting_end_time"], made["hs_meeting_location"], made["hs_meeting_outcome"], made["hubspot_owner_id"], made["accord_ref"], made["associated_contacts"]})
	require.Equal(t, []any{"2026-12-01T12:00:00.000Z", "INBOUND", "95000", owner, call}, []any{logged().Fields["hs_timestamp"], logged().Fields["hs_call_direction"],
		logged().Fields["hs_call_duration"], logged().Fields["hubspot_owner_id"], logged().Fields["accord_ref"]})
	require.Equal(t, []any{"EMAIL", []any{ana.ID}}, []any{mail().Fields["hs_email_direction"], mail().Fields["associated_contacts"]})
	require.Nil(t, p.find(p.hub, "meetings", "hs_meeting_title", "Series"), "a series stays in Acme")

	// Made in HubSpot, with no more than HubSpot asks for, and edited on both sides.
	p.made(p.hub, "meetings", map[string]any{"hs_timestamp": "2026-12-09T09:00:00Z", "hs_meeting_outcome": "NO_SHOW", "hs_meeting_location": "Hall"})
	p.made(p.hub, "calls", map[string]any{"hs_timestamp": "2026-12-02T12:00:00Z", "hs_call_duration": "1499", "hs_call_body": "engaged", "associated_contacts": []any{ana.ID}})
	p.made(p.hub, "emails", map[string]any{"hs_timestamp": "2026-12-02T12:00:00Z", "hs_email_subject": "Re: Offer", "hs_email_direction": "FORWARDED_EMAIL"})
	hall, engaged, answer := on(p.acme, "appointments", "location", "Hall"), on(p.acme, "calls", "outcome", "engaged"), on(p.acme, "emails", "subject", "Re: Offer")
	p.until("all are in Acme", func() bool { return hall() != nil && engaged() != nil && answer() != nil })
	require.Equal(t, []any{"(no title)", "cancelled"}, []any{hall().Fields["title"], hall().Fields["status"]})
	require.Equal(t, []any{"out", json.Number("1"), contact}, []any{engaged().Fields["direction"], engaged().Fields["duration_s"], engaged().Fields["contact_id"]})
	require.Equal(t, "out", answer().Fields["direction"])
	p.edit(p.hub, "meetings", meeting().ID, map[string]any{"hs_meeting_outcome": "COMPLETED"})
	p.edit(p.acme, "calls", call, map[string]any{"duration_s": 120})
	p.until("edits of both sides", func() bool {
		return p.fields(p.acme, "appointments", visit)["status"] == "done" && logged().Fields["hs_call_duration"] == "120000"
	})
	_, err := p.acme.DeleteRecord(t.Context(), "emails", p.find(p.acme, "emails", "subject", "Offer").ID)
	require.NoError(t, err)
	p.until("a delete", func() bool { return mail() == nil })
	require.Equal(t, []any{"NO_SHOW", "FORWARDED_EMAIL", "1499"}, []any{p.find(p.hub, "meetings", "hs_meeting_location", "Hall").Fields["hs_meeting_outcome"],
		p.find(p.hub, "emails", "hs_email_subject", "Re: Offer").Fields["hs_email_direction"], p.find(p.hub, "calls", "hs_call_body", "engaged").Fields["hs_call_duration"]},
		"what HubSpot says more exactly stays")

	before := p.writes()
	for range 2 {
		p.run(ledger.RunCompare)
		p.drain("")
	}
	require.Equal(t, before, p.writes(), "when nothing happens, nothing is written")
	require.Equal(t, "parked:", p.parked())
}

// writes counts what the service has written to Acme and HubSpot.
func (p *pairing) writes() int {
	p.Helper()
	total := 0
	for _, on := range []*sandboxclient.Client{p.acme, p.hub} {
		calls, _, err := on.WriteTotals(p.Context(), sandboxclient.Filter{Actor: "app:accord"})
		require.NoError(p, err)
		total += calls
	}
	return total
}
