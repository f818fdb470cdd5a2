package engine_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// tb is what testing.T and rapid.T share.
type tb interface {
	require.TestingT
	Helper()
	Logf(format string, args ...any)
}

// clock is the one clock of a bench; tests move it instead of sleeping.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
	// still, if set, is where a clock stands that moves only by steps: one that
	// is looked at, and those that a test makes.
	still time.Time
}

// tick is what a look at a still clock moves it.
const tick = 200 * time.Microsecond

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.still.IsZero() {
		return time.Now().Add(c.offset)
	}
	c.offset += tick
	return c.still.Add(c.offset)
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
}

// bench is the real engine on a real store between the two sandboxes.
type bench struct {
	t       tb
	ctx     context.Context
	clock   *clock
	key     ledger.Key
	store   *sqlstore.Store
	engine  *engine.Engine
	left    *sandboxclient.Client
	right   *sandboxclient.Client
	crash   func(step string) error
	probing sync.Mutex
	close   []func()
	nextID  int
	dir     string
	options engine.Options
}

type setup struct {
	variables map[string]string
	edit      func(yaml string) string
	// clock is another clock than the machine's.
	clock *clock
	// memory keeps the ledger in a file that waits for no disk.
	memory bool
	// store and connector stand between the engine and what it works on.
	store     func(ledger.Store) ledger.Store
	connector func(*engine.Installed, record.Side, connector.Connector) connector.Connector
	// publisher opens the brokers of rules; nil: the real ones.
	publisher app.OpenPublisher
	// front stands before the servers.
	front func(http.Handler) http.Handler
}

func (s setup) before(server http.Handler) http.Handler {
	if s.front == nil {
		return server
	}
	return s.front(server)
}

// address is where the ledger of a bench lies.
func (s setup) address(dir string) string {
	if s.memory {
		return "sqlite::memory:"
	}
	return "sqlite:" + filepath.Join(dir, fmt.Sprintf("ledger-%d.db", time.Now().UnixNano()))
}

// onLeft is a setup with a connector in front of the left one: wrap gets the real one.
func onLeft(wrap func(real connector.Connector) connector.Connector) setup {
	return setup{connector: func(_ *engine.Installed, side record.Side, real connector.Connector) connector.Connector {
		if side == record.Right {
			return real
		}
		return wrap(real)
	}}
}

// opener puts a test's connectors in front of the real ones.
func (s setup) opener(open engine.Opener) engine.Opener {
	if s.connector == nil {
		return open
	}
	return func(ctx context.Context, connection ledger.Connection) (*engine.Installed, error) {
		real, err := open(ctx, connection)
		if err != nil {
			return nil, err
		}
		in := *real
		in.Left, in.Right = s.connector(real, record.Left, real.Left), s.connector(real, record.Right, real.Right)
		return &in, nil
	}
}

func newBench(t tb, dir string, with setup) *bench {
	return newBenchWith(t, dir, with, func(*bench) {})
}

// newBenchWith lets first prepare servers and engine before the first load.
func newBenchWith(t tb, dir string, with setup, first func(*bench)) *bench {
	b := &bench{t: t, ctx: context.Background(), clock: with.clock, key: ledger.Key{Tenant: "default", Connection: "cn_test"}, dir: dir}
	if b.clock == nil {
		b.clock = &clock{}
	}
	box := sandbox.New(sandbox.Options{Now: b.clock.now, TimeScale: 1000})
	leftServer, rightServer := httptest.NewServer(with.before(box.SalesOS)), httptest.NewServer(with.before(box.Acme))
	b.close = append(b.close, leftServer.Close, rightServer.Close, box.Close)
	b.left, b.right = sandboxclient.New(leftServer.URL), sandboxclient.New(rightServer.URL)
	log := logrus.New()
	log.SetOutput(io.Discard)
	if os.Getenv("ACCORD_TEST_LOG") != "" {
		log.SetOutput(os.Stderr)
		log.SetLevel(logrus.DebugLevel)
	}
	store, err := sqlstore.Open(b.ctx, with.address(dir), sqlstore.Options{
		Key: []byte("0123456789abcdef0123456789abcdef"), Now: b.clock.now, Log: log,
	})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(b.ctx))
	b.store = store
	b.close = append(b.close, func() { _ = store.Close() })
	yaml, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	text := string(yaml)
	if with.edit != nil {
		text = with.edit(text)
	}
	if os.Getenv("ACCORD_TEST_MANIFEST") != "" {
		text = byManifest(text)
	}
	variables := map[string]string{
		"SALESOS_URL": leftServer.URL + "/v1", "SALESOS_TOKEN_URL": leftServer.URL + "/oauth/token", "SALESOS_CLIENT_ID": sandbox.DefaultClientID,
		"ACME_URL": rightServer.URL + "/api/2", "ACME_TOKEN_URL": rightServer.URL + "/oauth/token", "ACME_CLIENT_ID": sandbox.DefaultClientID,
		"SALESOS_REQUESTS_PER_MINUTE": "1000000", "ACME_REQUESTS_PER_MINUTE": "1000000", "ACME_SEARCH_LAG": "0s",
		"VERIFY_AFTER": "1s", "POLL_EVERY": "1s", "GUARD_MAX": "1000",
	}
	for name, value := range with.variables {
		variables[name] = value
	}
	require.NoError(t, store.CreateConnection(b.ctx, ledger.Connection{
		Key: b.key, Name: "salesos-acme", State: ledger.Active, Version: 1, Integration: text, Variables: variables,
		Secrets: map[string]string{
			"salesos_client_secret": sandbox.DefaultClientSecret, "acme_client_secret": sandbox.DefaultClientSecret,
			"salesos_webhook": "s", "acme_webhook": "a",
		},
	}))
	var used ledger.Store = store
	if with.store != nil {
		used = with.store(store)
	}
	opener := app.NewOpener(app.OpenerOptions{
		Store: used, Installer: app.NewInstaller(app.Drivers()), AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Lease: 10 * time.Second, Log: log, Now: b.clock.now, Publisher: with.publisher,
	})
	b.options = engine.Options{
		Store: used, Open: with.opener(opener.Open), Log: log, Now: b.clock.now, NewID: app.NewID, Lease: 10 * time.Second,
		Probe: func(step string) error {
			// Two reads of one pass may be at this point at once.
			b.probing.Lock()
			defer b.probing.Unlock()
			if b.crash != nil {
				return b.crash(step)
			}
			return nil
		},
	}
	first(b)
	b.restart()
	// As activation does: polls begin where the first load has listed.
	b.run(ledger.RunBackfill)
	return b
}

// restart forgets everything a process would forget.
func (b *bench) restart() { b.engine = engine.New(b.options) }

func (b *bench) end() {
	for i := len(b.close) - 1; i >= 0; i-- {
		b.close[i]()
	}
}

func start(t *testing.T, with setup) *bench {
	t.Helper()
	b := newBench(t, t.TempDir(), with)
	t.Cleanup(b.end)
	return b
}

// look is a change that shows nothing, like the event of a delete: it asks for a look.
func (b *bench) look(side record.Side, id string) {
	b.t.Helper()
	_, object := b.client(side)
	b.enqueue(ledger.Change{Stream: "leads", Ref: record.Ref{Side: side, Object: object, ID: id}})
}

// hint is what a webhook leaves: a ref, and what the event shows of the record as
// it is now. It may be drained much later.
func (b *bench) hint(side record.Side, id string) {
	b.t.Helper()
	object := "leads"
	if side == record.Right {
		object = "contacts"
	}
	change := ledger.Change{Stream: "leads", Ref: record.Ref{Side: side, Object: object, ID: id}, Shown: b.shown(side, id)}
	b.enqueue(change)
}

func (b *bench) enqueue(change ledger.Change) {
	b.t.Helper()
	_, err := b.store.Enqueue(b.ctx, b.key, []ledger.Change{change}, time.Second)
	require.NoError(b.t, err)
}

// shown is what an event of each system shows: SalesOS the whole record, Acme its
// version, both nothing of a record that is gone.
func (b *bench) shown(side record.Side, id string) *record.Record {
	client, object := b.client(side)
	found, err := client.Record(b.ctx, object, id)
	if err != nil || found.DeletedAt != nil || found.MergedInto != "" {
		return nil
	}
	if side == record.Right {
		return &record.Record{Version: fmt.Sprintf(`"v%d"`, found.Version)}
	}
	return &record.Record{Fields: record.Fields(found.Fields)}
}

func (b *bench) drain() engine.DrainResult {
	b.t.Helper()
	result, err := b.engine.Drain(b.ctx, b.key, engine.DrainRequest{})
	require.NoError(b.t, err)
	return result
}

func (b *bench) poll() {
	b.t.Helper()
	for _, stream := range []string{"users", "leads"} {
		_, err := b.engine.Poll(b.ctx, b.key, stream)
		require.NoError(b.t, err)
	}
}

// settle drains until nothing waits, moving the clock instead of sleeping.
func (b *bench) settle() {
	b.t.Helper()
	for round := 0; round < 400; round++ {
		result := b.drain()
		if result.Pending == 0 {
			return
		}
		if wait := result.NextDue.Sub(b.clock.now()); wait > 0 {
			b.clock.advance(wait + time.Millisecond)
		}
	}
	pending, _ := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.Fail(b.t, "the inbox never became empty", "%+v", pending)
}

// quiet brings everything to rest: polls and drains until a poll finds nothing.
func (b *bench) quiet() {
	b.t.Helper()
	for range 3 {
		b.clock.advance(2 * time.Second)
		b.poll()
		b.settle()
	}
}

// run makes a whole run of a kind, as the run workflow would.
func (b *bench) run(kind ledger.RunKind) ledger.Run {
	b.t.Helper()
	b.nextID++
	run, _, err := b.store.StartRun(b.ctx, ledger.Run{ID: fmt.Sprintf("run%d-%d", b.nextID, time.Now().UnixNano()), Key: b.key, Kind: kind, State: ledger.RunRunning, Total: -1})
	require.NoError(b.t, err)
	b.finishRun(run)
	run, err = b.store.Run(b.ctx, run.ID)
	require.NoError(b.t, err)
	return run
}

func (b *bench) finishRun(run ledger.Run) {
	b.t.Helper()
	for {
		listed, err := b.engine.ListStep(b.ctx, b.key, engine.ListRequest{RunID: run.ID, Kind: run.Kind})
		require.NoError(b.t, err)
		if listed.Finished {
			break
		}
		if wait := listed.RetryAt.Sub(b.clock.now()); wait > 0 {
			b.clock.advance(wait)
		}
	}
	for round := 0; round < 400; round++ {
		result, err := b.engine.Drain(b.ctx, b.key, engine.DrainRequest{RunID: run.ID})
		require.NoError(b.t, err)
		if result.Pending == 0 {
			break
		}
		if wait := result.NextDue.Sub(b.clock.now()); wait > 0 {
			b.clock.advance(wait + time.Millisecond)
		}
	}
	_, err := b.store.EndRun(b.ctx, run.ID, ledger.RunSucceeded, "")
	require.NoError(b.t, err)
	b.noOrphans()
}

// noOrphans: what lies in the lane of first loads is worked on by runs only, and none is
// under way.
func (b *bench) noOrphans() {
	b.t.Helper()
	all, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(b.t, err)
	live, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{SkipBackfill: true})
	require.NoError(b.t, err)
	require.Equal(b.t, live.Changes, all.Changes, "changes that nobody works on")
}
