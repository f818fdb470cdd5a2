package activities

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

// rig is the activities on a real ledger, with an engine that does as told and
// an orchestrator that remembers.
type rig struct {
	env    *testsuite.TestActivityEnvironment
	store  ledger.Store
	engine *fakeEngine
	orch   *fakeOrchestrator
	stop   chan struct{}
	key    ledger.Key
	// offset moves the ledger's clock ahead.
	offset  atomic.Int64
	options Options
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{engine: &fakeEngine{}, orch: &fakeOrchestrator{}, stop: make(chan struct{}), key: ledger.Key{Tenant: "t1", Connection: "c1"}}
	store, err := sqlstore.Open(t.Context(), "sqlite::memory:", sqlstore.Options{
		Key: make([]byte, 32), ClockOffset: func() time.Duration { return time.Duration(r.offset.Load()) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	require.NoError(t, store.CreateConnection(t.Context(), ledger.Connection{Key: r.key, Name: "test", State: ledger.Draft, Version: 1}))
	require.NoError(t, store.SetConnectionState(t.Context(), r.key, ledger.Active, ""))
	r.store = store
	logger, _ := logrustest.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	var ids atomic.Int64
	r.options = Options{
		Engine: r.engine, Store: store, Orchestrator: r.orch, Log: logger, Now: time.Now,
		NewID: func() string { return fmt.Sprintf("id%03d", ids.Add(1)) },
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r.env = suite.NewTestActivityEnvironment()
	r.env.SetTestTimeout(20 * time.Second)
	r.env.SetWorkerStopChannel(r.stop)
	Register(r.env, r.options)
	return r
}

// call runs an activity.
func call[T any](t *testing.T, r *rig, name string, args ...any) (T, error) {
	t.Helper()
	var out T
	value, err := r.env.ExecuteActivity(name, args...)
	if err == nil {
		require.NoError(t, value.Get(&out))
	}
	return out, err
}

func (r *rig) enqueue(t *testing.T, changes ...ledger.Change) bool {
	t.Helper()
	need, err := r.store.Enqueue(t.Context(), r.key, changes, time.Minute)
	require.NoError(t, err)
	return need
}

func change(id string) ledger.Change {
	return ledger.Change{Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: id}}
}

// fakeEngine does as its fields say; a method without one fails the test by panic.
type fakeEngine struct {
	Engine
	// remembered is what Temporal said of the ledger.
	remembered []ledger.Mark
	drain      func(request engine.DrainRequest) (engine.DrainResult, error)
	list       func(request engine.ListRequest) (engine.ListResult, error)
	poll       func(ctx context.Context, key ledger.Key, stream string) (engine.PollResult, error)
	decide     func(id string, decision ledger.Decision, seen *engine.SeenPrints) error
	fallback   func(id string) (bool, error)
	check      func() (engine.CheckResult, error)
	webhooks   func(urls map[record.Side]string) error
	installed  *engine.Installed
	// probes is how often ProbeAgain was called,
	probes int
	// shapes is how often CheckShapes was called,
	shapes int
	// endings is how often EndRemoved was.
	endings int
}

func (e *fakeEngine) Drain(_ context.Context, _ ledger.Key, request engine.DrainRequest) (engine.DrainResult, error) {
	return e.drain(request)
}

func (e *fakeEngine) Witness(_ context.Context, remembered ledger.Mark) (ledger.Mark, error) {
	e.remembered = append(e.remembered, remembered)
	return ledger.Mark{Epoch: "e", Count: remembered.Count + 1}, nil
}

func (e *fakeEngine) ListStep(_ context.Context, _ ledger.Key, request engine.ListRequest) (engine.ListResult, error) {
	return e.list(request)
}

func (e *fakeEngine) Poll(ctx context.Context, key ledger.Key, stream string) (engine.PollResult, error) {
	return e.poll(ctx, key, stream)
}

func (e *fakeEngine) Decide(_ context.Context, _ ledger.Key, id string, decision ledger.Decision, seen *engine.SeenPrints) error {
	return e.decide(id, decision, seen)
}

func (e *fakeEngine) Fallback(_ context.Context, _ ledger.Key, id string) (bool, error) {
	return e.fallback(id)
}

func (e *fakeEngine) CheckSystems(context.Context, ledger.Key) (engine.CheckResult, error) {
	return e.check()
}

func (e *fakeEngine) EnsureWebhooks(_ context.Context, _ ledger.Key, urls map[record.Side]string) error {
	return e.webhooks(urls)
}

func (e *fakeEngine) ProbeAgain(context.Context, ledger.Key) error {
	e.probes++
	return nil
}

func (e *fakeEngine) CheckShapes(context.Context, ledger.Key, bool) (int, error) {
	e.shapes++
	return 0, nil
}

func (e *fakeEngine) EndRemoved(context.Context, ledger.Key) error {
	e.endings++
	return nil
}

func (e *fakeEngine) Installed(context.Context, ledger.Key) (*engine.Installed, error) {
	return e.installed, nil
}

// fakeOrchestrator remembers what it was asked for.
type fakeOrchestrator struct {
	mu        sync.Mutex
	nudged    []ledger.Key
	conflicts []string
	runs      []string
	started   []string
	plans     []ComparePlan
	gone      []string
	stopped   []string
	activated []string
	err       error
}

func (o *fakeOrchestrator) note(do func()) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	do()
	return o.err
}

func (o *fakeOrchestrator) Nudge(_ context.Context, key ledger.Key) error {
	return o.note(func() { o.nudged = append(o.nudged, key) })
}

func (o *fakeOrchestrator) Activate(_ context.Context, key ledger.Key) error {
	return o.note(func() { o.activated = append(o.activated, key.Connection) })
}

func (o *fakeOrchestrator) EnsureConflict(_ context.Context, _ ledger.Key, id string) error {
	return o.note(func() { o.conflicts = append(o.conflicts, id) })
}

func (o *fakeOrchestrator) EnsureRun(_ context.Context, run ledger.Run) error {
	return o.note(func() { o.runs = append(o.runs, run.ID) })
}

func (o *fakeOrchestrator) StartRun(_ context.Context, key ledger.Key, kind ledger.RunKind, stream string) (ledger.Run, bool, error) {
	return ledger.Run{ID: "r1", Key: key, Kind: kind, Stream: stream, WorkflowID: "w1"}, true, o.note(func() { o.started = append(o.started, "start "+string(kind)+" "+stream) })
}

func (o *fakeOrchestrator) PutSchedules(_ context.Context, _ ledger.Key, plans []ComparePlan, gone []string) error {
	return o.note(func() { o.plans, o.gone = plans, gone })
}

func (o *fakeOrchestrator) Stop(_ context.Context, _ ledger.Key, ids []string) error {
	return o.note(func() { o.stopped = ids })
}

func (o *fakeOrchestrator) nudges() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.nudged)
}
