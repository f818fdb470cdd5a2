package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// pairing is SalesOS and HubSpot kept in step by the shipped integration, turn by turn.
type pairing struct {
	*testing.T
	// file is installed, and names are its streams.
	file               string
	salesos, acme, hub *sandboxclient.Client
	engine             *engine.Engine
	store              *sqlstore.Store
	key                ledger.Key
	runs               int
	names              []string
}

// newPairing starts both sandboxes, with what setup puts into them, and loads them.
func newPairing(t *testing.T, setup func(p *pairing)) *pairing {
	t.Helper()
	running, err := sandbox.Listen(context.WithoutCancel(t.Context()), sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	p := &pairing{T: t, salesos: sandboxclient.New(running.SalesOSURL), acme: sandboxclient.New(running.AcmeURL), hub: sandboxclient.New(running.HubSpotURL),
		key: ledger.Key{Tenant: "default", Connection: "cn_hub"}, file: "salesos-hubspot.yaml", names: []string{"users", "leads", "deals"}}
	setup(p)
	p.install(running)
	p.run(ledger.RunBackfill)
	return p
}

func (p *pairing) install(servers *sandbox.Running) {
	p.Helper()
	text, err := integrations.Read(p.file)
	require.NoError(p, err)
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	p.store, err = sqlstore.Open(p.Context(), "sqlite:"+filepath.Join(p.TempDir(), "ledger.db"), sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32), Log: log})
	require.NoError(p, err)
	p.Cleanup(func() { require.NoError(p, p.store.Close()) })
	require.NoError(p, p.store.Migrate(p.Context()))
	require.NoError(p, p.store.CreateConnection(p.Context(), ledger.Connection{
		Key: p.key, Name: "salesos-hubspot", State: ledger.Active, Version: 1, Integration: string(text),
		Variables: map[string]string{"SALESOS_URL": servers.SalesOSURL + "/v1", "SALESOS_TOKEN_URL": servers.SalesOSURL + "/oauth/token", "SALESOS_CLIENT_ID": sandbox.DefaultClientID,
			"ACME_URL": servers.AcmeURL + "/api/2", "ACME_TOKEN_URL": servers.AcmeURL + "/oauth/token", "ACME_CLIENT_ID": sandbox.DefaultClientID, "ACME_SEARCH_LAG": "0s", "ACME_REQUESTS_PER_MINUTE": "60000",
			"HUBSPOT_URL": servers.HubSpotURL, "HUBSPOT_SEARCH_LAG": "0s", "VERIFY_AFTER": "1s", "HUBSPOT_REQUESTS_PER_MINUTE": "60000", "SALESOS_REQUESTS_PER_MINUTE": "60000"},
		Secrets: map[string]string{"salesos_client_secret": sandbox.DefaultClientSecret, "salesos_webhook": "s", "acme_client_secret": sandbox.DefaultClientSecret, "acme_webhook": "a", "hubspot_token": sandbox.DefaultPrivateToken, "hubspot_client_secret": "h"},
	}))
	opener := app.NewOpener(app.OpenerOptions{Store: p.store, Installer: app.NewInstaller(app.Drivers()), AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Lease: 10 * time.Second, Log: log, Now: time.Now})
	p.engine = engine.New(engine.Options{Store: p.store, Open: opener.Open, Log: log, Now: time.Now, NewID: app.NewID, Lease: 10 * time.Second})
}

func (p *pairing) drain(run string) {
	_, err := p.engine.Drain(p.Context(), p.key, engine.DrainRequest{RunID: run})
	require.NoError(p, err)
}

func (p *pairing) run(kind ledger.RunKind) {
	p.Helper()
	p.runs++
	run, _, err := p.store.StartRun(p.Context(), ledger.Run{ID: string(kind) + strconv.Itoa(p.runs), Key: p.key, Kind: kind, State: ledger.RunRunning, Total: -1})
	require.NoError(p, err)
	require.Eventually(p, func() bool {
		listed, err := p.engine.ListStep(p.Context(), p.key, engine.ListRequest{RunID: run.ID, Kind: kind})
		require.NoError(p, err)
		return listed.Finished
	}, time.Minute, time.Millisecond)
	p.drain(run.ID)
	_, err = p.store.EndRun(p.Context(), run.ID, ledger.RunSucceeded, "")
	require.NoError(p, err)
}

// until polls and compares until something holds.
func (p *pairing) until(what string, holds func() bool) {
	p.Helper()
	for end := time.Now().Add(time.Minute); !holds(); {
		require.Less(p, time.Now(), end, "%s; %s", what, p.parked())
		for _, stream := range p.streams() {
			_, err := p.engine.Poll(p.Context(), p.key, stream)
			require.NoError(p, err)
		}
		p.run(ledger.RunCompare)
		p.drain("")
	}
}

// parked says what became of records that did not go through.
func (p *pairing) parked() string {
	letters, _, err := p.store.ListDeadLetters(p.Context(), p.key, ledger.DeadLetterFilter{State: ledger.DeadLetterOpen}, ledger.ListOptions{Limit: 10})
	require.NoError(p, err)
	text := "parked:"
	for _, letter := range letters {
		text += fmt.Sprintf(" %+v", letter)
	}
	conflicts, _, err := p.store.ListConflicts(p.Context(), p.key, ledger.ConflictOpen, ledger.ListOptions{Limit: 10})
	require.NoError(p, err)
	for _, one := range conflicts {
		text += fmt.Sprintf(" conflict %+v", one)
	}
	return text
}

func (p *pairing) streams() []string { return p.names }

// made is a record that a person has made.
func (p *pairing) made(on *sandboxclient.Client, object string, fields map[string]any) string {
	p.Helper()
	record, err := on.CreateRecord(p.Context(), object, fields)
	require.NoError(p, err)
	return record.ID
}

func (p *pairing) edit(on *sandboxclient.Client, object, id string, fields map[string]any) {
	p.Helper()
	_, err := on.EditRecord(p.Context(), object, id, fields)
	require.NoError(p, err)
}

// fields are those of a record now.
func (p *pairing) fields(on *sandboxclient.Client, object, id string) map[string]any {
	p.Helper()
	held, err := on.Record(p.Context(), object, id)
	require.NoError(p, err)
	return held.Fields
}

// find is the live record with a value; nil: there is none.
func (p *pairing) find(on *sandboxclient.Client, object, field string, value any) *wire.Record {
	p.Helper()
	held, err := on.Records(p.Context(), object)
	require.NoError(p, err)
	for _, one := range held {
		if one.DeletedAt == nil && one.Fields[field] == value {
			return &one
		}
	}
	return nil
}

// TestSalesOSHubSpot runs the shipped integration through the engine.
func TestSalesOSHubSpot(t *testing.T) {
	var owner, user, lead string
	p := newPairing(t, func(p *pairing) {
		owner = p.made(p.hub, "owners", map[string]any{"email": "owner@example.com"})
		user = p.made(p.salesos, "users", map[string]any{"name": "Owner", "email": "owner@example.com"})
		lead = p.made(p.salesos, "leads", map[string]any{"name": "Ana Lima", "email": "ana@example.com", "status": "new", "owner_id": user, "company": "Lima"})
		p.made(p.hub, "contacts", map[string]any{"email": "bruno@example.com", "firstname": "Bruno", "hs_lead_status": "ATTEMPTED_TO_CONTACT"})
	})
	contact := func() *wire.Record { return p.find(p.hub, "contacts", "email", "ana@example.com") }
	p.until("the lead is made", func() bool { return contact() != nil })
	made := contact().Fields
	require.Equal(t, []any{"Ana", "Lima", "NEW", owner, lead}, []any{made["firstname"], made["lastname"], made["hs_lead_status"], made["hubspot_owner_id"], made["accord_ref"]})
	p.until("the contact is made", func() bool { return p.find(p.salesos, "leads", "email", "bruno@example.com") != nil })
	bruno := p.find(p.salesos, "leads", "email", "bruno@example.com")
	require.Equal(t, "contacted", bruno.Fields["status"], "a status that SalesOS has no word for counts as another one")
	id := contact().ID
	p.edit(p.hub, "contacts", id, map[string]any{"jobtitle": "CTO", "firstname": "Ana Maria"})
	p.until("the edit of a contact arrives", func() bool {
		held := p.fields(p.salesos, "leads", lead)
		return held["position"] == "CTO" && held["name"] == "Ana Maria Lima"
	})
	p.edit(p.salesos, "leads", lead, map[string]any{"company": nil, "status": "qualified"})
	p.until("a value is cleared", func() bool {
		held := contact().Fields
		return held["company"] == "" && held["hs_lead_status"] == "IN_PROGRESS"
	})
	p.edit(p.salesos, "leads", bruno.ID, map[string]any{"company": "Reis"})
	p.until("another field of such a contact", func() bool { return p.find(p.hub, "contacts", "company", "Reis") != nil })
	require.Equal(t, "ATTEMPTED_TO_CONTACT", p.find(p.hub, "contacts", "company", "Reis").Fields["hs_lead_status"], "and stays what it is")
	p.edit(p.salesos, "leads", bruno.ID, map[string]any{"status": "new"})
	p.until("until it is edited", func() bool { return p.find(p.hub, "contacts", "company", "Reis").Fields["hs_lead_status"] == "NEW" })
	_, err := p.hub.MergeRecords(t.Context(), "contacts", id, p.find(p.hub, "contacts", "email", "bruno@example.com").ID)
	require.NoError(t, err)
	p.until("which of the two leads of a merged contact stays is asked", func() bool { return strings.Contains(p.parked(), "the vendor merged") })
	require.Equal(t, "Bruno", p.fields(p.salesos, "leads", bruno.ID)["name"], "left as it is")
	require.NotNil(t, contact())
	_, err = p.hub.DeleteRecord(t.Context(), "contacts", id)
	require.NoError(t, err)
	p.until("a delete arrives", func() bool { return p.find(p.salesos, "leads", "name", "Ana Maria Lima") == nil })
}

// TestSalesOSHubSpotDeals: deals both ways, with their lead, their owner and their stage.
func TestSalesOSHubSpotDeals(t *testing.T) {
	var owner, user, lead, other, deal string
	p := newPairing(t, func(p *pairing) {
		owner = p.made(p.hub, "owners", map[string]any{"email": "owner@example.com"})
		user = p.made(p.salesos, "users", map[string]any{"name": "Owner", "email": "owner@example.com"})
		lead = p.made(p.salesos, "leads", map[string]any{"name": "Ana Lima", "email": "ana@example.com"})
		other = p.made(p.hub, "contacts", map[string]any{"email": "bruno@example.com", "firstname": "Bruno"})
		deal = p.made(p.salesos, "deals", map[string]any{"name": "Roof", "value": 1250.5, "lead_id": lead, "owner_id": user, "expected_close_date": "2026-12-24"})
		p.made(p.hub, "deals", map[string]any{"dealname": "Door", "amount": "80", "dealstage": "contractsent", "associated_contacts": []any{other}})
	})
	hubDeal := func() *wire.Record { return p.find(p.hub, "deals", "dealname", "Roof") }
	p.until("the deal is made with its contact", func() bool { return hubDeal() != nil })
	made := hubDeal()
	ana := p.find(p.hub, "contacts", "email", "ana@example.com")
	require.Equal(t, []any{"1250.5", owner, "appointmentscheduled", "2026-12-24T00:00:00.000Z", deal, []any{ana.ID}},
		[]any{made.Fields["amount"], made.Fields["hubspot_owner_id"], made.Fields["dealstage"], made.Fields["closedate"], made.Fields["accord_ref"], made.Fields["associated_contacts"]})
	p.until("the other way too", func() bool { return p.find(p.salesos, "deals", "name", "Door") != nil })
	door := p.find(p.salesos, "deals", "name", "Door")
	bruno := p.find(p.salesos, "leads", "email", "bruno@example.com")
	stage, _ := door.Fields["stage"].(map[string]any)
	require.Equal(t, []any{bruno.ID, "Negotiation", json.Number("80")}, []any{door.Fields["lead_id"], stage["name"], door.Fields["value"]})

	p.edit(p.hub, "deals", made.ID, map[string]any{"dealstage": "closedwon", "amount": "1300"})
	p.until("a deal is won in HubSpot", func() bool {
		held := p.fields(p.salesos, "deals", deal)
		return held["status"] == "won" && held["value"] == json.Number("1300")
	})
	p.edit(p.salesos, "deals", deal, map[string]any{"lead_id": bruno.ID, "name": "Roof 2"})
	p.until("another lead and a name, each by a call of its own", func() bool {
		held := p.fields(p.hub, "deals", made.ID)
		return held["dealname"] == "Roof 2" && len(held["associated_contacts"].([]any)) > 0 && held["associated_contacts"].([]any)[0] == other
	})
	p.edit(p.hub, "deals", made.ID, map[string]any{"associated_contacts": []any{ana.ID}})
	p.until("another contact in HubSpot", func() bool { return p.fields(p.salesos, "deals", deal)["lead_id"] == lead })
	p.edit(p.hub, "deals", made.ID, map[string]any{"associated_contacts": []any{}})
	p.until("no contact any more", func() bool { return p.fields(p.salesos, "deals", deal)["lead_id"] == nil })
	_, err := p.salesos.DeleteRecord(t.Context(), "deals", deal)
	require.NoError(t, err)
	p.until("a delete", func() bool { return p.find(p.hub, "deals", "dealname", "Roof 2") == nil })

	before, _, err := p.hub.WriteTotals(t.Context(), sandboxclient.Filter{Actor: "app:accord"})
	require.NoError(t, err)
	for range 2 {
		p.run(ledger.RunCompare)
		p.drain("")
	}
	after, _, err := p.hub.WriteTotals(t.Context(), sandboxclient.Filter{Actor: "app:accord"})
	require.NoError(t, err)
	require.Equal(t, before, after, "when nothing happens, nothing is written")
	require.Equal(t, "parked:", p.parked())
}
