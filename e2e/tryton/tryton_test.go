//go:build e2e

// Package tryton_test keeps SalesOS leads and the parties of a real Tryton in step:
// the real engine on a real store, between the SalesOS sandbox and the server that
// ACCORD_TEST_TRYTON names.
package tryton_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/tryton/trytontest"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// tick is more than the second in which SalesOS counts: only then does an edit
// count as later than another one, and as none of our own.
const tick = 1100 * time.Millisecond

// world is both systems with the engine between them.
type world struct {
	*testing.T
	ctx     context.Context
	key     ledger.Key
	store   *sqlstore.Store
	engine  *engine.Engine
	salesos *sandboxclient.Client
	tryton  *trytontest.Server
	door    *door
	runs    int
}

// door stands before Tryton: it counts what the service writes, and lets a
// person in before the next write.
type door struct {
	inner http.Handler
	mu    sync.Mutex
	made  []string
	first func()
}

// ServeHTTP passes a call on.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, path := trytontest.Route(r)
	if method == http.MethodPost && path != "/login" || method == http.MethodPatch || method == http.MethodDelete {
		d.mu.Lock()
		d.made = append(d.made, method+" "+path)
		first := d.first
		d.first = nil
		d.mu.Unlock()
		if first != nil {
			first()
		}
	}
	d.inner.ServeHTTP(w, r)
}

func (d *door) writes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.made)
}

// before lets a person act between the service's read and its next write.
func (d *door) before(act func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.first = act
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, ctx: context.Background(), key: ledger.Key{Tenant: "default", Connection: "cn_tryton"}, tryton: trytontest.Start(t)}
	w.door = &door{inner: w.tryton}
	front := httptest.NewServer(w.door)
	t.Cleanup(front.Close)
	box := sandbox.New(sandbox.Options{})
	t.Cleanup(box.Close)
	left := httptest.NewServer(box.SalesOS)
	t.Cleanup(left.Close)
	w.salesos = sandboxclient.New(left.URL)
	log := logrus.New()
	log.SetOutput(io.Discard)
	store, err := sqlstore.Open(w.ctx, "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), sqlstore.Options{Key: []byte("0123456789abcdef0123456789abcdef"), Now: time.Now, Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(w.ctx))
	w.store = store
	text, err := integrations.Read("salesos-tryton.yaml")
	require.NoError(t, err)
	database := w.tryton.Address[strings.LastIndex(w.tryton.Address, "/"):]
	require.NoError(t, store.CreateConnection(w.ctx, ledger.Connection{
		Key: w.key, Name: "salesos-tryton", State: ledger.Active, Version: 1, Integration: string(text),
		Variables: map[string]string{
			"SALESOS_URL": left.URL + "/v1", "SALESOS_TOKEN_URL": left.URL + "/oauth/token", "SALESOS_CLIENT_ID": sandbox.DefaultClientID,
			"SALESOS_REQUESTS_PER_MINUTE": "100000", "TRYTON_REQUESTS_PER_MINUTE": "100000",
			"TRYTON_URL": front.URL + database, "TRYTON_USER": connectortest.ClientID, "VERIFY_AFTER": "100ms",
		},
		Secrets: map[string]string{"salesos_client_secret": sandbox.DefaultClientSecret, "salesos_webhook": "s", "tryton_password": connectortest.ClientSecret},
	}))
	opener := app.NewOpener(app.OpenerOptions{Store: store, Installer: app.NewInstaller(app.Drivers()), Lease: 10 * time.Second, Log: log, Now: time.Now,
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	w.engine = engine.New(engine.Options{Store: store, Open: opener.Open, Log: log, Now: time.Now, NewID: app.NewID, Lease: 10 * time.Second})
	require.NoError(t, w.engine.ProbeSystems(w.ctx, w.key))
	checked, err := w.engine.CheckSystems(w.ctx, w.key)
	require.NoError(t, err)
	for side, found := range checked.Sides {
		require.Empty(t, found.Code, "%s: %s", side, found.Message)
	}
	return w
}

// drain works off what waits, of a run or of all.
func (w *world) drain(run string) {
	w.Helper()
	require.Eventually(w, func() bool {
		result, err := w.engine.Drain(w.ctx, w.key, engine.DrainRequest{RunID: run})
		require.NoError(w, err)
		return result.Pending == 0
	}, 30*time.Second, 20*time.Millisecond)
}

// quiet polls both sides and works off what was found until nothing is left.
func (w *world) quiet() {
	w.Helper()
	for range 2 {
		_, err := w.engine.Poll(w.ctx, w.key, "leads")
		require.NoError(w, err)
		w.drain("")
	}
	letters, _, err := w.store.ListDeadLetters(w.ctx, w.key, ledger.DeadLetterFilter{}, ledger.ListOptions{Limit: 10})
	require.NoError(w, err)
	require.Empty(w, letters)
}

// run makes a first load or a full comparison.
func (w *world) run(kind ledger.RunKind) {
	w.Helper()
	w.runs++
	run, _, err := w.store.StartRun(w.ctx, ledger.Run{ID: fmt.Sprintf("run-%d", w.runs), Key: w.key, Kind: kind, State: ledger.RunRunning, Total: -1})
	require.NoError(w, err)
	require.Eventually(w, func() bool {
		listed, err := w.engine.ListStep(w.ctx, w.key, engine.ListRequest{RunID: run.ID, Kind: kind})
		require.NoError(w, err)
		return listed.Finished
	}, 30*time.Second, 20*time.Millisecond)
	w.drain(run.ID)
	_, err = w.store.EndRun(w.ctx, run.ID, ledger.RunSucceeded, "")
	require.NoError(w, err)
	w.drain("")
}

func (w *world) lead(fields map[string]any) string {
	w.Helper()
	made, err := w.salesos.CreateRecord(w.ctx, "leads", fields)
	require.NoError(w, err)
	return made.ID
}

func (w *world) editLead(id string, fields map[string]any) {
	w.Helper()
	_, err := w.salesos.EditRecord(w.ctx, "leads", id, fields)
	require.NoError(w, err)
}

func (w *world) leadHas(id, path string, want any) {
	w.Helper()
	found, err := w.salesos.Record(w.ctx, "leads", id)
	require.NoError(w, err)
	value, _ := record.Fields(found.Fields).Get(path)
	require.Equal(w, want, value, path)
}

func (w *world) partyHas(id, path string, want any) {
	w.Helper()
	value, _ := w.tryton.Fields(w.T, id).Get(path)
	require.Equal(w, want, value, path)
}

// other is the id of the counterpart.
func (w *world) other(side record.Side, id string) string {
	w.Helper()
	links, _, err := w.store.Links(w.ctx, w.key, ledger.LinkFilter{Stream: "leads", Side: side, ID: id, State: ledger.LinkActive}, ledger.ListOptions{})
	require.NoError(w, err)
	require.Len(w, links, 1)
	return links[0].Ref(side.Other()).ID
}

func (w *world) parties() int {
	w.Helper()
	return len(w.tryton.IDs(w.T, "party.party"))
}

// category makes the category of parties that are leads.
func (w *world) category() any {
	w.Helper()
	if held := w.tryton.IDs(w.T, "party.category", []any{"name", "=", "Lead"}); len(held) > 0 {
		return held[0]
	}
	made, ok := w.tryton.Model(w.T, "party.category", "create", []any{map[string]any{"name": "Lead"}}).([]any)
	require.True(w, ok)
	return made[0]
}

// party makes a party in the category of leads, as a person does.
func (w *world) party(name, email string) string {
	w.Helper()
	made, ok := w.tryton.Model(w.T, "party.party", "create", []any{map[string]any{
		"name": name, "categories": []any{[]any{"add", []any{w.category()}}},
		"contact_mechanisms": []any{[]any{"create", []any{map[string]any{"type": "email", "value": email}}}},
	}}).([]any)
	require.True(w, ok)
	return fmt.Sprint(made[0])
}

// clear deletes a contact mechanism as the form of a party does.
func (w *world) clear(party, kind string) {
	w.Helper()
	held := w.tryton.IDs(w.T, "party.contact_mechanism", []any{"party", "=", trytontest.Number(w.T, party)}, []any{"type", "=", kind})
	w.tryton.Model(w.T, "party.party", "write", []any{trytontest.Number(w.T, party)}, map[string]any{"contact_mechanisms": []any{[]any{"delete", held}}})
}

func TestLeadsAndParties(t *testing.T) {
	trytontest.Need(t)
	w := newWorld(t)
	w.lead(map[string]any{"name": "Old", "email": "old@example.com"})
	met := w.party("Old", "OLD@example.com")
	w.tryton.Seed(t, 3) // suppliers
	w.run(ledger.RunBackfill)
	require.Equal(t, 4, w.parties(), "recognised by the e-mail address; suppliers stay out")
	w.other(record.Right, met)

	lead := w.lead(map[string]any{"name": "Ana", "email": "ana@example.com", "phone": "+5511987654321"})
	party := w.party("Bia", "bia@example.com")
	w.quiet()
	anaParty, biaLead := w.other(record.Left, lead), w.other(record.Right, party)
	t.Run("created on both sides", func(*testing.T) {
		w.partyHas(anaParty, "name", "Ana")
		w.partyHas(anaParty, "email", "ana@example.com")
		w.partyHas(anaParty, "phone", "+5511987654321")
		w.partyHas(anaParty, "identifiers.salesos", lead)
		w.leadHas(biaLead, "name", "Bia")
		w.leadHas(biaLead, "email", "bia@example.com")
		w.leadHas(biaLead, "custom_fields.external_id", party)
	})
	t.Run("edited on both sides", func(*testing.T) {
		w.editLead(lead, map[string]any{"name": "Ana Lima"})
		w.tryton.Edit(t, anaParty, map[string]any{"email": "ana.lima@example.com"}) // the child alone
		w.tryton.Edit(t, party, map[string]any{"name": "Bia Reis", "mobile": "+5511912345678"})
		w.quiet()
		w.partyHas(anaParty, "name", "Ana Lima")
		w.leadHas(lead, "name", "Ana Lima")
		w.leadHas(lead, "email", "ana.lima@example.com")
		w.leadHas(biaLead, "name", "Bia Reis")
		w.leadHas(biaLead, "custom_fields.mobile", "+5511912345678")
	})
	t.Run("cleared on both sides", func(*testing.T) {
		w.editLead(lead, map[string]any{"phone": nil})
		w.clear(party, "mobile")
		w.quiet()
		w.partyHas(anaParty, "phone", "")
		w.leadHas(biaLead, "custom_fields.mobile", nil)
	})
	t.Run("one field edited on both sides: the later edit wins", func(*testing.T) {
		time.Sleep(tick)
		w.editLead(lead, map[string]any{"name": "Earlier"})
		time.Sleep(tick)
		w.tryton.Edit(t, anaParty, map[string]any{"name": "Later"})
		w.quiet()
		w.partyHas(anaParty, "name", "Later")
		w.leadHas(lead, "name", "Later")
	})
	stale(w, lead, anaParty)
	deletes(w, lead, anaParty, biaLead, party)
	t.Run("afterwards nothing is written", func(*testing.T) {
		ours := w.door.writes()
		theirs, _, err := w.salesos.WriteTotals(w.ctx, sandboxclient.Filter{Actor: "app:accord"})
		require.NoError(t, err)
		w.quiet()
		w.run(ledger.RunCompare)
		w.quiet()
		again, _, err := w.salesos.WriteTotals(w.ctx, sandboxclient.Filter{Actor: "app:accord"})
		require.NoError(t, err)
		require.Equal(t, theirs, again)
		require.Equal(t, ours, w.door.writes())
	})
}

// stale lets people edit between the service's read and its write.
func stale(w *world, lead, party string) {
	w.Run("an edit that slips in is not lost", func(t *testing.T) {
		time.Sleep(tick)
		w.editLead(lead, map[string]any{"name": "From SalesOS"})
		before := w.door.writes()
		w.door.before(func() {
			time.Sleep(tick)
			w.tryton.Edit(t, party, map[string]any{"website": "https://example.com", "name": "From Tryton"})
		})
		w.quiet()
		require.Greater(t, w.door.writes(), before, "the service tried to write")
		held := w.tryton.Fields(t, party)
		require.Equal(t, "From Tryton", held["name"], "the later edit")
		require.Equal(t, "https://example.com", held["website"])
		w.leadHas(lead, "name", "From Tryton")
	})
	w.Run("nor is one of the same address", func(t *testing.T) {
		time.Sleep(tick)
		w.editLead(lead, map[string]any{"email": "salesos@example.com"})
		w.door.before(func() {
			time.Sleep(tick)
			w.tryton.Edit(t, party, map[string]any{"email": "tryton@example.com"})
		})
		w.quiet()
		w.partyHas(party, "email", "tryton@example.com")
		w.leadHas(lead, "email", "tryton@example.com")
	})
}

func deletes(w *world, lead, anaParty, biaLead, party string) {
	w.Run("deleted in SalesOS", func(t *testing.T) {
		_, err := w.salesos.DeleteRecord(w.ctx, "leads", biaLead)
		require.NoError(t, err)
		w.run(ledger.RunCompare)
		require.Empty(t, w.tryton.IDs(t, "party.party", []any{"id", "=", trytontest.Number(t, party)}))
	})
	w.Run("deleted in Tryton, which leaves no row", func(t *testing.T) {
		w.tryton.Remove(t, anaParty)
		w.quiet()
		w.run(ledger.RunCompare)
		found, err := w.salesos.Record(w.ctx, "leads", lead)
		require.NoError(t, err)
		require.NotNil(t, found.DeletedAt)
	})
}
