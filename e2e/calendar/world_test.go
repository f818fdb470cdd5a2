//go:build e2e

// Package calendar_test keeps the appointments of Acme and the events of a real
// Radicale in step: the real engine on a real store, between the Acme sandbox and
// the server.
package calendar_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/connector/caldav/caldavtest"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// tick is more than twice the second in which Radicale counts: only then does an
// edit surely count as later than another one, and as none of our own.
const tick = 2200 * time.Millisecond

// world is both systems with the engine between them.
type world struct {
	// streams are those that are polled; the last one has the links.
	streams []string
	*testing.T
	ctx      context.Context
	key      ledger.Key
	store    *sqlstore.Store
	engine   *engine.Engine
	acme     *sandboxclient.Client
	calendar *caldavtest.Server
	door     *door
	runs     int
	ahead    atomic.Int64
}

// door stands before the calendar: it counts what the service writes, lets a
// person in before the next write, or loses its answer.
type door struct {
	inner http.Handler
	mu    sync.Mutex
	made  []string
	first func()
	lose  bool
}

// ServeHTTP passes a call on.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, path := caldavtest.Route(r)
	if method != http.MethodPost && method != http.MethodPatch && method != http.MethodDelete {
		d.inner.ServeHTTP(w, r)
		return
	}
	d.mu.Lock()
	d.made = append(d.made, method+" "+path)
	first, lose := d.first, d.lose
	d.first, d.lose = nil, false
	d.mu.Unlock()
	if first != nil {
		first()
	}
	if lose {
		connectortest.ResetAfter()(w, r, d.inner)
		return
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

// loseAnswer lets the next write take effect without an answer.
func (d *door) loseAnswer() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose = true
}

func newWorld(t *testing.T, variables map[string]string) *world {
	t.Helper()
	return newWorldOf(t, "acme-calendar.yaml", variables, "appointments")
}

// newWorldOf is a world of an integration file with the streams that are polled.
func newWorldOf(t *testing.T, file string, variables map[string]string, streams ...string) *world {
	t.Helper()
	w := &world{T: t, ctx: context.Background(), key: ledger.Key{Tenant: "default", Connection: "cn_calendar"}, calendar: caldavtest.Start(t), streams: streams}
	w.door = &door{inner: w.calendar}
	front := httptest.NewServer(w.door)
	t.Cleanup(front.Close)
	box := sandbox.New(sandbox.Options{})
	t.Cleanup(box.Close)
	left := httptest.NewServer(box.Acme)
	t.Cleanup(left.Close)
	w.acme = sandboxclient.New(left.URL)
	log := logrus.New()
	log.SetOutput(io.Discard)
	store, err := sqlstore.Open(w.ctx, "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), sqlstore.Options{Key: []byte("0123456789abcdef0123456789abcdef"), Now: time.Now, Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(w.ctx))
	w.store = store
	text, err := integrations.Read(file)
	require.NoError(t, err)
	given := map[string]string{
		"ACME_URL": left.URL + "/api/2", "ACME_TOKEN_URL": left.URL + "/oauth/token", "ACME_CLIENT_ID": sandbox.DefaultClientID,
		"ACME_REQUESTS_PER_MINUTE": "100000", "ACME_SEARCH_LAG": "0s", "ACME_LATE_BY": "1s", "CALENDAR_REQUESTS_PER_MINUTE": "100000",
		"CALENDAR_URL": front.URL + caldavtest.Path, "CALENDAR_USER": connectortest.ClientID, "VERIFY_AFTER": "100ms",
	}
	for name, value := range variables {
		given[name] = value
	}
	require.NoError(t, store.CreateConnection(w.ctx, ledger.Connection{
		Key: w.key, Name: "acme-calendar", State: ledger.Active, Version: 1, Integration: string(text), Variables: given,
		Secrets: map[string]string{"acme_client_secret": sandbox.DefaultClientSecret, "acme_webhook": "a", "calendar_password": connectortest.ClientSecret},
	}))
	// What is looked up is good for a while: the connectors' clock can be moved.
	now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	opener := app.NewOpener(app.OpenerOptions{Store: store, Installer: app.NewInstaller(app.Drivers()), Lease: 10 * time.Second, Log: log, Now: now,
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

// later moves the connectors' clock on.
func (w *world) later(by time.Duration) { w.ahead.Add(int64(by)) }

// drain works off what waits, of a run or of all.
func (w *world) drain(run string) {
	w.Helper()
	require.Eventually(w, func() bool {
		result, err := w.engine.Drain(w.ctx, w.key, engine.DrainRequest{RunID: run})
		require.NoError(w, err)
		return result.Pending == 0
	}, time.Minute, 20*time.Millisecond)
}

// poll asks both sides and works off what was found until nothing is left.
func (w *world) poll() {
	w.Helper()
	for range 2 {
		for _, stream := range w.streams {
			_, err := w.engine.Poll(w.ctx, w.key, stream)
			require.NoError(w, err)
		}
		w.drain("")
	}
}

// quiet polls, and nothing must be parked.
func (w *world) quiet() {
	w.Helper()
	w.poll()
	require.Empty(w, w.letters())
}

func (w *world) letters() []ledger.DeadLetter {
	w.Helper()
	letters, _, err := w.store.ListDeadLetters(w.ctx, w.key, ledger.DeadLetterFilter{}, ledger.ListOptions{Limit: 10})
	require.NoError(w, err)
	return letters
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
	}, time.Minute, 20*time.Millisecond)
	w.drain(run.ID)
	_, err = w.store.EndRun(w.ctx, run.ID, ledger.RunSucceeded, "")
	require.NoError(w, err)
	w.drain("")
}

// appointment sets one in Acme, as a person does.
func (w *world) appointment(fields map[string]any) string {
	w.Helper()
	made, err := w.acme.CreateRecord(w.ctx, "appointments", fields)
	require.NoError(w, err)
	return made.ID
}

func (w *world) edit(id string, fields map[string]any) {
	w.Helper()
	_, err := w.acme.EditRecord(w.ctx, "appointments", id, fields)
	require.NoError(w, err)
}

func (w *world) appointmentHas(id string, fields map[string]any) {
	w.Helper()
	found, err := w.acme.Record(w.ctx, "appointments", id)
	require.NoError(w, err)
	for path, want := range fields {
		value, _ := record.Fields(found.Fields).Get(path)
		require.True(w, record.Equal(record.Kind{}, want, value), "%s: wanted %v, not %v", path, want, value)
	}
}

// eventHas wants lines in an event's text.
func (w *world) eventHas(id string, lines ...string) {
	w.Helper()
	text := w.calendar.Text(w.T, id)
	for _, line := range lines {
		require.Contains(w, text, line+"\n")
	}
}

// other is the id of the counterpart.
func (w *world) other(side record.Side, id string) string {
	w.Helper()
	links, _, err := w.store.Links(w.ctx, w.key, ledger.LinkFilter{Stream: w.streams[len(w.streams)-1], Side: side, ID: id, State: ledger.LinkActive}, ledger.ListOptions{})
	require.NoError(w, err)
	require.Len(w, links, 1)
	return links[0].Ref(side.Other()).ID
}

// live are the appointments that are there.
func (w *world) live() int {
	w.Helper()
	found, err := w.acme.Records(w.ctx, "appointments")
	require.NoError(w, err)
	return len(found)
}
