package app

import (
	"context"
	"time"

	"go.temporal.io/sdk/worker"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/telemetry"
	"github.com/accord-sync/accord/workflows"
)

// Retention is how long finished things are kept. Links, open things and
// tombstones stay: a tombstone keeps a deleted record from coming back, however
// late an event arrives.
func Retention() ledger.Retention {
	const day = 24 * time.Hour
	return ledger.Retention{
		History: 365 * day, ClosedConflicts: 90 * day, ClosedDeadLetters: 90 * day, EndedRuns: 30 * day, Requests: 2 * day,
	}
}

// RunWorker runs a worker until ctx ends. It waits for a ledger or a Temporal
// that does not answer, and goes on when they do. With a listen address it
// serves /healthz and /metrics.
func RunWorker(ctx context.Context, process Process) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served, err := process.serveHealth(ctx)
	if err != nil {
		return err
	}
	defer served()
	parts, err := process.Open(ctx)
	if err != nil {
		if ended(ctx, err) {
			return nil
		}
		return err
	}
	defer parts.Close()
	return Work(ctx, process, parts)
}

// serveHealth serves the worker's own small server if it has an address; wait
// waits for its end after ctx has ended.
func (p Process) serveHealth(ctx context.Context) (wait func(), err error) {
	if p.Settings.Listen == "" {
		return func() {}, nil
	}
	listener, err := Listen(ctx, p.Settings.Listen, "ACCORD_LISTEN")
	if err != nil {
		return nil, err
	}
	// Alive is all that is asked: a worker that waits for Temporal must not be killed for it.
	handler := telemetry.Handler(p.Telemetry.Registry, func(context.Context) error { return nil })
	done := make(chan struct{})
	serving, stop := context.WithCancel(ctx)
	go func() {
		defer close(done)
		if err := Serve(serving, listener, handler, p.Telemetry.Log); err != nil {
			p.Telemetry.Log.WithError(err).Error("health and metrics are not served any more")
		}
	}()
	p.Telemetry.Log.WithField("address", listener.Addr().String()).Info("the worker shows health and metrics")
	return func() {
		stop()
		<-done
	}, nil
}

// Work runs the worker of open parts until ctx ends. A worker that Temporal
// threw out is started again.
func Work(ctx context.Context, process Process, parts *Parts) error {
	if err := process.learn(ctx, parts); err != nil {
		if ended(ctx, err) {
			return nil
		}
		return err
	}
	registered := activities.Options{
		Engine: process.engine(parts), Store: parts.Store, Orchestrator: parts.Steering.Control(),
		WebhookURLs: process.webhookURLs, Retention: Retention(), Log: process.Telemetry.Log, Now: process.Now, NewID: process.NewID,
	}
	listening, stop := context.WithCancel(ctx)
	listened := process.listen(listening, parts)
	defer listened()
	defer stop()
	err := persist(ctx, process.Telemetry.Log, "the worker lost Temporal; it starts again", func(ctx context.Context) error {
		return process.workOnce(ctx, parts, registered)
	})
	if ended(ctx, err) {
		return nil
	}
	return err
}

func (p Process) engine(parts *Parts) *engine.Engine {
	opener := NewOpener(OpenerOptions{
		Store: parts.Store, Installer: parts.Installer, AllowPrivate: p.Settings.AllowPrivate, Lease: p.Settings.Lease,
		Log: p.Telemetry.Log, Registerer: p.Telemetry.Registry, Now: parts.Store.Clock,
	})
	return engine.New(engine.Options{
		Store: parts.Store, Open: opener.Open, Log: p.Telemetry.Log, Now: parts.Store.Clock, NewID: p.NewID, Lease: p.Settings.Lease,
		Observe: telemetry.NewObserver[ledger.Key](p.Telemetry.Registry), ConflictWorkflow: conflictDoor,
	})
}

// conflictDoor is the workflow at which a conflict is decided.
func conflictDoor(key ledger.Key, conflictID string, grouped bool) string {
	if grouped {
		return workflows.ConnectionID(key)
	}
	return workflows.ConflictID(key, conflictID)
}

// workOnce runs one worker until ctx ends or Temporal throws it out
// (fault.Unavailable).
func (p Process) workOnce(ctx context.Context, parts *Parts, registered activities.Options) error {
	options := workflows.WorkerOptions(p.tuning(false))
	lost := make(chan error, 1)
	options.OnFatalError = func(err error) {
		select {
		case lost <- err:
		default:
		}
	}
	running := worker.New(parts.Temporal, p.Settings.TaskQueue, options)
	workflows.Register(running, false)
	activities.Register(running, registered)
	if err := running.Start(); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the worker cannot start: Temporal does not answer, or the namespace %s does not exist", parts.Namespace)
	}
	defer running.Stop()
	p.Telemetry.Log.WithField("task_queue", p.Settings.TaskQueue).WithField("namespace", parts.Namespace).Info("the worker works")
	if err := persist(ctx, p.Telemetry.Log, "the pollers are not started yet", parts.Steering.Control().EnsurePollers); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-lost:
		return fault.Wrap(fault.Unavailable, err, "Temporal threw the worker out")
	}
}
