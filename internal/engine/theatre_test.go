package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/scenario"
)

// theatre has all that scenarios are played with: two sandboxes, a store, a
// receiver of their signed webhooks. Each performance has a connection of its
// own and sandboxes that were emptied.
type theatre struct {
	ctx         context.Context
	clock       *clock
	store       *sqlstore.Store
	log         *logrus.Logger
	opener      *app.Opener
	integration string
	hooks       string
	targets     *targets
	left, right *httptest.Server
	shows       int
}

// targets finds connections for the receiver; none of them changes in a play.
type targets struct {
	installer *app.Installer
	store     *sqlstore.Store
	known     sync.Map
}

// Target looks a connection up once.
func (d *targets) Target(ctx context.Context, id string, _ bool) (webhook.Target, error) {
	if found, ok := d.known.Load(id); ok {
		return found.(webhook.Target), nil
	}
	connection, err := d.store.FindConnection(ctx, id)
	if err != nil {
		return webhook.Target{}, err
	}
	found, err := d.installer.Target(connection)
	if err == nil {
		d.known.Store(id, found)
	}
	return found, err
}

func newTheatre(t *testing.T) *theatre {
	t.Helper()
	h := &theatre{ctx: context.WithoutCancel(t.Context()), clock: &clock{}, log: logrus.New()}
	box := sandbox.New(sandbox.Options{Now: h.clock.now, TimeScale: 1000})
	h.left, h.right = httptest.NewServer(box.SalesOS), httptest.NewServer(box.Acme)
	h.log.SetOutput(io.Discard)
	if os.Getenv("ACCORD_TEST_LOG") != "" {
		h.log.SetOutput(os.Stderr)
		h.log.SetLevel(logrus.DebugLevel)
	}
	store, err := sqlstore.Open(h.ctx, "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), sqlstore.Options{
		Key: []byte("0123456789abcdef0123456789abcdef"), Now: h.clock.now, Log: h.log,
	})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(h.ctx))
	h.store = store
	installer := app.NewInstaller(app.Drivers())
	h.opener = app.NewOpener(app.OpenerOptions{
		Store: store, Installer: installer, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Lease: 10 * time.Second, Log: h.log, Now: h.clock.now,
	})
	yaml, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	h.integration = string(yaml)
	h.targets = &targets{installer: installer, store: store}
	receiver := webhook.New(webhook.Options{Inbox: store, Directory: h.targets, Nudge: func(ledger.Key) {}, Log: h.log, Now: h.clock.now})
	hooks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, _, err = receiver.Receive(r.Context(), strings.Trim(filepath.Dir(r.URL.Path), "/"), record.Side(filepath.Base(r.URL.Path)), r.Header, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	h.hooks = hooks.URL
	t.Cleanup(func() {
		h.left.Close()
		h.right.Close()
		box.Close()
		hooks.Close()
		_ = store.Close()
	})
	return h
}

// performance is one play of one scenario. It is the service of its stage.
type performance struct {
	*bench
	stage *scenario.Stage
	// dead: the process was killed and has not been started again.
	dead bool
	stop chan struct{}
	// met counts the steps of each kind that the process came to; came are those
	// that belong to the story.
	met, came map[string]int
	kill      killing
	runs      int
}

// killing kills the process at the nth step of a kind ("" any) from now on.
type killing struct {
	step string
	n    int
}

// perform sets the stage for a story: what is given is there and in step.
func (h *theatre) perform(t tb, story scenario.Scenario) *performance {
	t.Helper()
	h.shows++
	b := &bench{
		t: t, ctx: h.ctx, clock: h.clock, store: h.store, left: sandboxclient.New(h.left.URL), right: sandboxclient.New(h.right.URL),
		key: ledger.Key{Tenant: "default", Connection: fmt.Sprintf("cn_%d", h.shows)},
	}
	require.NoError(t, b.left.Reset(h.ctx))
	require.NoError(t, b.right.Reset(h.ctx))
	variables := map[string]string{
		"SALESOS_URL": h.left.URL + "/v1", "SALESOS_TOKEN_URL": h.left.URL + "/oauth/token", "SALESOS_CLIENT_ID": sandbox.DefaultClientID,
		"ACME_URL": h.right.URL + "/api/2", "ACME_TOKEN_URL": h.right.URL + "/oauth/token", "ACME_CLIENT_ID": sandbox.DefaultClientID,
		"SALESOS_REQUESTS_PER_MINUTE": "1000000", "ACME_REQUESTS_PER_MINUTE": "1000000", "ACME_SEARCH_LAG": "0s",
		"VERIFY_AFTER": "1s", "POLL_EVERY": "1s",
	}
	// One record at a time, so that the nth step is the same in every play.
	text, err := story.SettingsOn(strings.ReplaceAll(h.integration, "concurrency: 8", "concurrency: 1"), variables)
	require.NoError(t, err)
	require.NoError(t, h.store.CreateConnection(h.ctx, ledger.Connection{
		Key: b.key, Name: "salesos-acme", State: ledger.Active, Version: 1, Integration: text, Variables: variables,
		Secrets: map[string]string{
			"salesos_client_secret": sandbox.DefaultClientSecret, "acme_client_secret": sandbox.DefaultClientSecret,
			"salesos_webhook": "s", "acme_webhook": "a",
		},
	}))
	p := &performance{bench: b, met: map[string]int{}, stop: make(chan struct{})}
	p.stage = &scenario.Stage{Left: b.left, Right: b.right, Service: p}
	b.options = engine.Options{
		Store: h.store, Open: h.opener.Open, Log: h.log, Now: h.clock.now, NewID: app.NewID, Lease: 10 * time.Second, Probe: p.probe,
	}
	b.restart()
	require.NoError(t, p.stage.Play(h.ctx, story.Given))
	h.clock.advance(2 * time.Second)
	require.NoError(t, p.whole(ledger.RunBackfill))
	require.NoError(t, p.stage.Begin(h.ctx))
	require.NoError(t, b.engine.EnsureWebhooks(h.ctx, b.key, map[record.Side]string{
		record.Left: h.hooks + "/" + b.key.Connection + "/left", record.Right: h.hooks + "/" + b.key.Connection + "/right",
	}))
	// The story begins a while later: nothing that was given is new any more.
	h.clock.advance(90 * time.Second)
	clear(p.met)
	return p
}

// probe counts steps, and kills the process at the one asked for: from then on
// nothing of it goes on.
func (p *performance) probe(step string) error {
	p.probing.Lock()
	defer p.probing.Unlock()
	p.met[step]++
	if !p.dead && p.kill.n > 0 && (p.kill.step == "" || p.kill.step == step) {
		p.kill.n--
		p.dead = p.kill.n == 0
		if p.dead {
			close(p.stop)
		}
	}
	if p.dead {
		return engine.Killed()
	}
	return nil
}

// alive does a piece of work; if the process is killed meanwhile, it is started
// again, after the leases of the dead one have ended, and does the work again.
func (p *performance) alive(work func() error) error {
	for {
		err := work()
		if !p.dead {
			return err
		}
		if err != nil && !errors.Is(err, engine.Killed()) {
			return fmt.Errorf("a killed process said: %w", err)
		}
		p.dead, p.stop = false, make(chan struct{})
		p.restart()
		p.clock.advance(11 * time.Second)
	}
}

var _ scenario.Service = (*performance)(nil)

// Deliver brings an event as if its signature were checked already: what a
// story repeats by hand need not be an event that the server still has.
func (p *performance) Deliver(_ context.Context, side record.Side, id string) error {
	p.hint(side, id)
	return nil
}

// Drain works on what is due.
func (p *performance) Drain(ctx context.Context) error {
	return p.alive(func() error {
		_, err := p.engine.Drain(ctx, p.key, engine.DrainRequest{Stop: p.stop})
		return err
	})
}

// Settle drains until nothing waits, moving the clock instead of sleeping.
func (p *performance) Settle(ctx context.Context) error {
	for range 400 {
		var result engine.DrainResult
		err := p.alive(func() (err error) {
			result, err = p.engine.Drain(ctx, p.key, engine.DrainRequest{Stop: p.stop})
			return err
		})
		if err != nil || result.Pending == 0 {
			return err
		}
		if wait := result.NextDue.Sub(p.clock.now()); wait > 0 {
			p.clock.advance(wait + time.Millisecond)
		}
	}
	return errors.New("the inbox never became empty")
}

// Poll polls every stream.
func (p *performance) Poll(ctx context.Context) error {
	p.clock.advance(2 * time.Second)
	for _, stream := range []string{"users", "leads"} {
		err := p.alive(func() error {
			_, err := p.engine.Poll(ctx, p.key, stream)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Compare makes a whole run.
func (p *performance) Compare(context.Context) error { return p.whole(ledger.RunCompare) }

func (p *performance) whole(kind ledger.RunKind) error {
	p.runs++
	run, _, err := p.store.StartRun(p.ctx, ledger.Run{ID: fmt.Sprintf("%s-%d", p.key.Connection, p.runs), Key: p.key, Kind: kind, State: ledger.RunRunning, Total: -1})
	if err != nil {
		return err
	}
	for finished := false; !finished; {
		err := p.alive(func() error {
			listed, err := p.engine.ListStep(p.ctx, p.key, engine.ListRequest{RunID: run.ID, Kind: kind, Stop: p.stop})
			finished = listed.Finished
			return err
		})
		if err != nil {
			return err
		}
	}
	for range 400 {
		var result engine.DrainResult
		err := p.alive(func() (err error) {
			result, err = p.engine.Drain(p.ctx, p.key, engine.DrainRequest{RunID: run.ID, Stop: p.stop})
			return err
		})
		if err != nil {
			return err
		}
		if result.Pending == 0 {
			_, err := p.store.EndRun(p.ctx, run.ID, ledger.RunSucceeded, "")
			return err
		}
		if wait := result.NextDue.Sub(p.clock.now()); wait > 0 {
			p.clock.advance(wait + time.Millisecond)
		}
	}
	return fmt.Errorf("the %s run never ended", kind)
}

// Die arms a kill.
func (p *performance) Die(_ context.Context, step string, n int) error {
	p.kill = killing{step: step, n: n}
	return nil
}

// Wait moves the clock.
func (p *performance) Wait(_ context.Context, pause time.Duration) error {
	p.clock.advance(pause)
	return nil
}

// Decide decides the open conflict of a field.
func (p *performance) Decide(ctx context.Context, link, field, choose string, value any) error {
	open, err := p.Conflicts(ctx)
	if err != nil {
		return err
	}
	for _, one := range open {
		if one.Link == link && one.Field == field {
			return p.engine.Decide(ctx, p.key, one.ID, ledger.Decision{Choose: ledger.Choice(choose), Value: value, By: "a person"}, nil)
		}
	}
	return fmt.Errorf("field %q has no open conflict", field)
}

// Approve decides all that the guard holds.
func (p *performance) Approve(ctx context.Context, yes bool) error {
	state := ledger.HeldRejected
	if yes {
		state = ledger.HeldApproved
	}
	_, err := p.store.DecideHeld(ctx, p.key, nil, state)
	return err
}

// Replay tries all dead letters again.
func (p *performance) Replay(ctx context.Context) error {
	_, err := p.store.ReplayDeadLetters(ctx, p.key, nil, "")
	return err
}

// Links are those of one record.
func (p *performance) Links(ctx context.Context, side record.Side, id string) ([]scenario.Link, error) {
	found, _, err := p.store.Links(ctx, p.key, ledger.LinkFilter{Stream: "leads", Side: side, ID: id}, ledger.ListOptions{Limit: 200})
	var links []scenario.Link
	for _, one := range slices.Backward(found) {
		links = append(links, scenario.Link{ID: one.ID, Left: one.Left.ID, Right: one.Right.ID, State: string(one.State)})
	}
	return links, err
}

// Conflicts are the open ones.
func (p *performance) Conflicts(context.Context) ([]scenario.Conflict, error) {
	var conflicts []scenario.Conflict
	for _, one := range p.openConflicts() {
		conflicts = append(conflicts, scenario.Conflict{ID: one.ID, Link: one.LinkID, Field: one.Field, Base: one.Base, Left: one.Left, Right: one.Right})
	}
	return conflicts, nil
}

// DeadLetters are the open ones.
func (p *performance) DeadLetters(context.Context) ([]scenario.DeadLetter, error) {
	var letters []scenario.DeadLetter
	for _, one := range p.letters() {
		letters = append(letters, scenario.DeadLetter{Side: one.Ref.Side, ID: one.Ref.ID, Code: one.Reason.Code, Field: one.Reason.Field})
	}
	return letters, nil
}

// History is that of one record, oldest first.
func (p *performance) History(ctx context.Context, side record.Side, id string) ([]scenario.Entry, error) {
	found, _, err := p.store.ListHistory(ctx, p.key, ledger.HistoryFilter{Stream: "leads", Side: side, ID: id}, ledger.ListOptions{Limit: 200})
	var entries []scenario.Entry
	for _, one := range slices.Backward(found) {
		entries = append(entries, scenario.Entry{Field: one.Field, Old: one.Old, New: one.New, Kind: string(one.Cause.Kind), Side: string(one.Cause.Side)})
	}
	return entries, err
}
