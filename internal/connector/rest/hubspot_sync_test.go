package rest_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
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
)

// TestSalesOSHubSpot runs the shipped integration through the engine.
func TestSalesOSHubSpot(t *testing.T) {
	hub := newHubspot(time.Now)
	hub.tokens["pat"], hub.owner = true, "owner@example.com"
	hubServer := httptest.NewServer(hub)
	t.Cleanup(hubServer.Close)
	running, err := sandbox.Listen(context.WithoutCancel(t.Context()), sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	salesos := sandboxclient.New(running.SalesOSURL)
	user, err := salesos.CreateRecord(t.Context(), "users", map[string]any{"name": "Owner", "email": "owner@example.com"})
	require.NoError(t, err)
	lead, err := salesos.CreateRecord(t.Context(), "leads", map[string]any{"name": "Ana Lima", "email": "ana@example.com", "status": "new", "owner_id": user.ID, "company": "Lima"})
	require.NoError(t, err)
	hub.mu.Lock()
	hub.add(map[string]any{"email": "bruno@example.com", "firstname": "Bruno", "hs_lead_status": "CONNECTED"})
	hub.mu.Unlock()

	turn := syncing(t, hubServer.URL, running.SalesOSURL)
	contact := func(email string) map[string]any {
		hub.mu.Lock()
		defer hub.mu.Unlock()
		for _, one := range hub.contacts {
			if one.properties["email"] == email {
				return hub.shown(one, []string{"firstname", "lastname", "hs_lead_status", "hubspot_owner_id", "accord_ref", "company", "jobtitle"})["properties"].(map[string]any)
			}
		}
		return nil
	}
	until := func(what string, holds func() bool) {
		t.Helper()
		require.Eventually(t, func() bool { turn(); return holds() }, time.Minute, 50*time.Millisecond, what)
	}
	until("the lead is made", func() bool { return contact("ana@example.com") != nil })
	made := contact("ana@example.com")
	require.Equal(t, []any{"Ana", "Lima", "NEW", "900", lead.ID}, []any{made["firstname"], made["lastname"], made["hs_lead_status"], made["hubspot_owner_id"], made["accord_ref"]})
	until("the contact is made", func() bool {
		leads, err := salesos.Records(t.Context(), "leads")
		return err == nil && len(leads) == 2
	})
	id := ""
	hub.mu.Lock()
	for _, one := range hub.contacts {
		if one.properties["email"] == "ana@example.com" {
			id = strconv.Itoa(one.id)
		}
	}
	hub.mu.Unlock()
	hub.Edit(t, id, map[string]any{"properties.jobtitle": "CTO", "properties.firstname": "Ana Maria"})
	until("the edit of a contact arrives", func() bool {
		held, err := salesos.Record(t.Context(), "leads", lead.ID)
		return err == nil && held.Fields["position"] == "CTO" && held.Fields["name"] == "Ana Maria Lima"
	})
	_, err = salesos.EditRecord(t.Context(), "leads", lead.ID, map[string]any{"company": nil, "status": "qualified"})
	require.NoError(t, err)
	until("a value is cleared", func() bool {
		held := contact("ana@example.com")
		return held["company"] == "" && held["hs_lead_status"] == "IN_PROGRESS"
	})
	hub.Remove(t, id)
	until("a delete arrives", func() bool {
		leads, err := salesos.Records(t.Context(), "leads")
		live := 0
		for _, one := range leads {
			if one.DeletedAt == nil {
				live++
			}
		}
		return err == nil && live == 1
	})
}

// syncing installs the integration and answers a turn of polls, a comparison and a drain.
func syncing(t *testing.T, hubURL, salesosURL string) func() {
	t.Helper()
	text, err := integrations.Read("salesos-hubspot.yaml")
	require.NoError(t, err)
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32), Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	key := ledger.Key{Tenant: "default", Connection: "cn_hub"}
	require.NoError(t, store.CreateConnection(t.Context(), ledger.Connection{
		Key: key, Name: "salesos-hubspot", State: ledger.Active, Version: 1, Integration: string(text),
		Variables: map[string]string{"SALESOS_URL": salesosURL + "/v1", "SALESOS_TOKEN_URL": salesosURL + "/oauth/token", "SALESOS_CLIENT_ID": sandbox.DefaultClientID,
			"HUBSPOT_URL": hubURL, "HUBSPOT_SEARCH_LAG": "0s", "VERIFY_AFTER": "1s", "HUBSPOT_REQUESTS_PER_MINUTE": "60000", "SALESOS_REQUESTS_PER_MINUTE": "60000"},
		Secrets: map[string]string{"salesos_client_secret": sandbox.DefaultClientSecret, "salesos_webhook": "s", "hubspot_token": "pat", "hubspot_client_secret": "h"},
	}))
	opener := app.NewOpener(app.OpenerOptions{Store: store, Installer: app.NewInstaller(app.Drivers()), AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Lease: 10 * time.Second, Log: log, Now: time.Now})
	running := engine.New(engine.Options{Store: store, Open: opener.Open, Log: log, Now: time.Now, NewID: app.NewID, Lease: 10 * time.Second})
	drain := func(run string) {
		_, err := running.Drain(t.Context(), key, engine.DrainRequest{RunID: run})
		require.NoError(t, err)
	}
	count := 0
	list := func(kind ledger.RunKind) {
		count++
		run, _, err := store.StartRun(t.Context(), ledger.Run{ID: string(kind) + strconv.Itoa(count), Key: key, Kind: kind, State: ledger.RunRunning, Total: -1})
		require.NoError(t, err)
		for {
			listed, err := running.ListStep(t.Context(), key, engine.ListRequest{RunID: run.ID, Kind: kind})
			require.NoError(t, err)
			if listed.Finished {
				break
			}
		}
		drain(run.ID)
		_, err = store.EndRun(t.Context(), run.ID, ledger.RunSucceeded, "")
		require.NoError(t, err)
	}
	list(ledger.RunBackfill)
	return func() {
		for _, stream := range []string{"users", "leads"} {
			_, err := running.Poll(t.Context(), key, stream)
			require.NoError(t, err)
		}
		list(ledger.RunCompare)
		drain("")
	}
}
