package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/rest"
	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
)

const token = "a-token-for-tests"

// How long a test waits for what happens elsewhere, and how often it looks.
const (
	waitLong  = 10 * time.Second
	waitShort = 20 * time.Millisecond
)

// harness is the API over HTTP on a SQLite ledger, with a control that does
// what the real one does to the ledger, and no Temporal.
type harness struct {
	t       testing.TB
	store   ledger.Store
	control *ledgerControl
	server  *httptest.Server
	log     *logtest.Hook
	schema  document
	// offset moves the clock of the ledger, in nanoseconds.
	offset atomic.Int64
	// ahead moves the clock of the API.
	ahead atomic.Int64
}

func start(t *testing.T) *harness { return startFor(t) }

func startFor(t testing.TB) *harness {
	t.Helper()
	h := &harness{t: t, schema: readDocument(t)}
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "accord.db"), sqlstore.Options{
		Key: bytes.Repeat([]byte("k"), 32), ClockOffset: func() time.Duration { return time.Duration(h.offset.Load()) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	h.store, h.control, h.log = store, &ledgerControl{Store: store}, hook
	installer := app.NewInstaller(app.Drivers())
	receiver := webhook.New(webhook.Options{
		Inbox: store, Sides: store, Directory: webhook.NewCache(app.WebhookTargets(store, installer), time.Now), Log: log, Now: time.Now,
		Nudge: func(ledger.Key) { h.control.nudges.Add(1) },
	})
	h.server = httptest.NewServer(rest.New(rest.Options{
		Store: store, Control: h.control, Installer: installer, Receiver: receiver,
		Metrics: promhttp.Handler(), Document: rest.Document(), Token: token, Tenant: "default",
		Log: log, NewID: app.NewID,
		Now: func() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) },
	}))
	t.Cleanup(h.server.Close)
	return h
}

type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

// call sends a request with the token and checks the answer against openapi.yaml.
func (h *harness) call(method, path string, body any, header ...string) answer {
	h.t.Helper()
	return h.send(method, path, body, append([]string{"Authorization", "Bearer " + token}, header...)...)
}

func (h *harness) send(method, path string, body any, header ...string) answer {
	h.t.Helper()
	var reader io.Reader
	switch given := body.(type) {
	case nil:
	case string:
		reader = bytes.NewReader([]byte(given))
	default:
		raw, err := json.Marshal(given)
		require.NoError(h.t, err)
		reader = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, reader)
	require.NoError(h.t, err)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(h.t, err)
	defer func() { require.NoError(h.t, response.Body.Close()) }()
	got := answer{status: response.StatusCode, header: response.Header}
	got.raw, err = io.ReadAll(response.Body)
	require.NoError(h.t, err)
	if len(got.raw) > 0 && got.raw[0] == '{' {
		require.NoError(h.t, json.Unmarshal(got.raw, &got.body))
	}
	h.schema.check(h.t, method, request.URL.Path, got)
	return got
}

// problem demands a problem with this status and code.
func (a answer) problem(t *testing.T, status int, code string) {
	t.Helper()
	require.Equal(t, status, a.status, string(a.raw))
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	require.Equal(t, code, a.body["code"])
	require.EqualValues(t, status, a.body["status"])
	require.NotEmpty(t, a.body["request_id"])
	require.Equal(t, a.header.Get("X-Request-Id"), a.body["request_id"])
}

func (a answer) items(t *testing.T) []any {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, string(a.raw))
	items, ok := a.body["items"].([]any)
	require.True(t, ok, string(a.raw))
	return items
}

// integrationYAML is the integration that users get.
func integrationYAML(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	return string(text)
}

func input(t testing.TB) map[string]any {
	return map[string]any{
		"integration": integrationYAML(t),
		"variables": map[string]string{
			"SALESOS_CLIENT_ID": "id", "ACME_URL": "https://crm.example.com/api/2",
			"ACME_TOKEN_URL": "https://crm.example.com/oauth/token", "ACME_CLIENT_ID": "id",
		},
		"secrets": map[string]string{
			"salesos_client_secret": "hush-1", "acme_client_secret": "hush-2", "salesos_webhook": "hook-left", "acme_webhook": "hook-right",
		},
	}
}

// install makes a connection and returns its key.
func (h *harness) install() ledger.Key {
	h.t.Helper()
	made := h.call("POST", "/api/v1/connections", input(h.t))
	require.Equal(h.t, http.StatusCreated, made.status, string(made.raw))
	id, ok := made.body["id"].(string)
	require.True(h.t, ok)
	return ledger.Key{Tenant: "default", Connection: id}
}

// active makes a connection and activates it.
func (h *harness) active() ledger.Key {
	h.t.Helper()
	key := h.install()
	require.Equal(h.t, http.StatusAccepted, h.call("POST", "/api/v1/connections/"+key.Connection+"/activate", nil).status)
	return key
}

// ledgerControl does to the ledger what control does, without Temporal.
type ledgerControl struct {
	ledger.Store
	down   atomic.Bool
	nudges atomic.Int64
	starts atomic.Int64
}

var _ rest.Control = (*ledgerControl)(nil)

func (c *ledgerControl) answers() error {
	if c.down.Load() {
		return fault.New(fault.Unavailable, "Temporal does not answer")
	}
	return nil
}

func (c *ledgerControl) Activate(ctx context.Context, key ledger.Key) error {
	if err := c.answers(); err != nil {
		return err
	}
	return c.SetConnectionState(ctx, key, ledger.Active, "")
}

func (c *ledgerControl) Pause(ctx context.Context, key ledger.Key) error {
	return c.SetConnectionState(ctx, key, ledger.Paused, "paused by an operator")
}

func (c *ledgerControl) Resume(ctx context.Context, key ledger.Key) error {
	return c.SetConnectionState(ctx, key, ledger.Active, "")
}

func (c *ledgerControl) AcceptRestored(ctx context.Context, key ledger.Key, from time.Time) error {
	_, err := c.Store.AcceptRestored(ctx, key, from)
	return err
}

func (c *ledgerControl) Delete(ctx context.Context, key ledger.Key) error {
	return c.DeleteConnection(ctx, key)
}

func (c *ledgerControl) Nudge(context.Context, ledger.Key) error {
	c.nudges.Add(1)
	return c.answers()
}

func (c *ledgerControl) StartRun(ctx context.Context, key ledger.Key, kind ledger.RunKind, stream string) (ledger.Run, bool, error) {
	c.starts.Add(1)
	now, err := c.Now(ctx)
	if err != nil {
		return ledger.Run{}, false, err
	}
	id := app.NewID()
	return c.Store.StartRun(ctx, ledger.Run{
		ID: id, Key: key, Kind: kind, Stream: stream, State: ledger.RunRunning, StartedAt: now, Total: -1, WorkflowID: "run/" + id,
	})
}

func (c *ledgerControl) Resolve(ctx context.Context, id string, decided rest.Decided) error {
	key, conflict, err := c.FindConflict(ctx, id)
	if err != nil {
		return err
	}
	left, right := conflict.Left, conflict.Right
	if decided.Seen != nil {
		left, right = decided.Seen[0], decided.Seen[1]
	}
	return c.DecideConflict(ctx, key, id, ledger.Decision{Choose: decided.Choose, Value: decided.Value, By: "operator", At: time.Now()}, left, right)
}

func (c *ledgerControl) ReplayDeadLetters(ctx context.Context, key ledger.Key, ids []string) (string, int, error) {
	replayed, err := c.Store.ReplayDeadLetters(ctx, key, ids, "")
	return "", replayed, err
}

func (c *ledgerControl) PatchDeadLetter(ctx context.Context, id string, overrides ledger.Values) (ledger.DeadLetter, error) {
	key, _, err := c.FindDeadLetter(ctx, id)
	if err != nil {
		return ledger.DeadLetter{}, err
	}
	return c.Store.PatchDeadLetter(ctx, key, id, overrides)
}

func (c *ledgerControl) DiscardDeadLetter(ctx context.Context, id, reason string) error {
	key, _, err := c.FindDeadLetter(ctx, id)
	if err != nil {
		return err
	}
	return c.Store.DiscardDeadLetter(ctx, key, id, reason)
}

func (c *ledgerControl) DecideGuard(ctx context.Context, key ledger.Key, ids []string, approve bool) (int, error) {
	if approve {
		return c.DecideHeld(ctx, key, ids, ledger.HeldApproved)
	}
	return c.DecideHeld(ctx, key, ids, ledger.HeldRejected)
}

func (c *ledgerControl) Ping(context.Context) error { return c.answers() }
