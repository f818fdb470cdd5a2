// Package activities holds the steps of the workflows: the only code that they
// let do I/O. Each step is a method with a typed In and Out beside it. Ins,
// Outs and errors end up in Temporal's histories, so they carry refs, codes,
// counts and times, never values of records and never a vendor's words.
package activities

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	"go.temporal.io/sdk/worker"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Engine does the work on records; engine.Engine is the real one. Errors are
// *fault.Error. A drain never fails because of a record or a side.
type Engine interface {
	// Drain works on due changes of a connection.
	Drain(ctx context.Context, key ledger.Key, request engine.DrainRequest) (engine.DrainResult, error)
	// ListStep reads some pages of a run; it goes on where the ledger says.
	ListStep(ctx context.Context, key ledger.Key, request engine.ListRequest) (engine.ListResult, error)
	// Poll does one due poll of a stream and schedules the next.
	Poll(ctx context.Context, key ledger.Key, stream string) (engine.PollResult, error)
	// Decide stores an operator's decision on a conflict and enqueues the
	// record. fault.Conflict: the values moved since they were seen.
	Decide(ctx context.Context, key ledger.Key, conflictID string, decision ledger.Decision, seen *engine.SeenPrints) error
	// Fallback decides a conflict past its deadline; closed: it is open no more.
	Fallback(ctx context.Context, key ledger.Key, conflictID string) (closed bool, err error)
	// CheckSystems tries tokens, scopes and objects of both sides.
	CheckSystems(ctx context.Context, key ledger.Key) (engine.CheckResult, error)
	// ProbeSystems finds out what the servers can do and stores it.
	ProbeSystems(ctx context.Context, key ledger.Key) error
	// EnsureWebhooks registers or switches on the webhooks at the urls given.
	EnsureWebhooks(ctx context.Context, key ledger.Key, urls map[record.Side]string) error
	// ProbeAgain asks servers once more that had nothing to learn from before.
	ProbeAgain(ctx context.Context, key ledger.Key) error
	// CheckShapes compares the mapping with the servers' own descriptions of their
	// fields if that is due, and gives the number of findings.
	CheckShapes(ctx context.Context, key ledger.Key, now bool) (int, error)
	// RemoveWebhooks takes ours away.
	RemoveWebhooks(ctx context.Context, key ledger.Key) error
	// ScheduleStreams makes every stream's first poll due.
	ScheduleStreams(ctx context.Context, key ledger.Key) error
	// EndRemoved ends what is not in the integration any more.
	EndRemoved(ctx context.Context, key ledger.Key) error
	// Witness tells the ledger what Temporal remembers of it, and returns how far
	// it has come. A ledger that was put back to an older state has stopped all
	// its connections when this returns.
	Witness(ctx context.Context, remembered ledger.Mark) (ledger.Mark, error)
	// Installed is the working form of a connection at its present version.
	Installed(ctx context.Context, key ledger.Key) (*engine.Installed, error)
}

var _ Engine = (*engine.Engine)(nil)

// Orchestrator is what activities ask of Temporal; control.Control is the real
// one. All methods are idempotent. Errors are *fault.Error.
type Orchestrator interface {
	// Nudge tells the connection's workflow to look at its inbox, and starts it
	// if it does not run.
	Nudge(ctx context.Context, key ledger.Key) error
	// Activate brings a connection up, unless that is under way.
	Activate(ctx context.Context, key ledger.Key) error
	// EnsureConflict starts the workflow of a conflict if it does not run.
	EnsureConflict(ctx context.Context, key ledger.Key, conflictID string) error
	// EnsureRun starts the workflow of a running run if it does not run.
	EnsureRun(ctx context.Context, run ledger.Run) error
	// StartRun opens a run, or joins the running one of its kind and stream,
	// which then lists once more, and makes sure that its workflow runs.
	StartRun(ctx context.Context, key ledger.Key, kind ledger.RunKind, stream string) (run ledger.Run, joined bool, err error)
	// PutSchedules makes the compare schedules of a connection those of plans:
	// it removes the ones of gone, the streams that have none any more.
	PutSchedules(ctx context.Context, key ledger.Key, plans []ComparePlan, gone []string) error
	// Stop ends the connection's workflow, its activation and the workflows
	// named. What does not run is no error.
	Stop(ctx context.Context, key ledger.Key, workflowIDs []string) error
}

// ComparePlan says when a stream is compared as a whole: Every, or Cron (five
// fields) in TimeZone (IANA; empty: UTC).
type ComparePlan struct {
	Stream   string
	Every    time.Duration
	Cron     string
	TimeZone string
}

// Options make the activities. All fields are required unless said otherwise.
type Options struct {
	Engine       Engine
	Store        ledger.Store
	Orchestrator Orchestrator
	// WebhookURLs answers where a connection's webhooks reach us; nil or an
	// empty map: nowhere, connections poll only.
	WebhookURLs func(key ledger.Key) map[record.Side]string
	// Retention says what Housekeep purges; zero fields keep for good.
	Retention ledger.Retention
	Log       logrus.FieldLogger
	// Now is the local clock; NewID makes unique, sortable ids.
	Now   func() time.Time
	NewID func() string
}

// Inbox drains the inbox.
type Inbox struct{ Options }

// Runs carries passes from begin to end.
type Runs struct{ Options }

// Conflicts decides conflicts and watches them.
type Conflicts struct{ Options }

// Poller looks after all connections.
type Poller struct{ Options }

// Lifecycle brings connections up and down.
type Lifecycle struct{ Options }

// Register makes all activities known to a worker.
func Register(registry worker.ActivityRegistry, options Options) {
	registry.RegisterActivity(&Inbox{options})
	registry.RegisterActivity(&Runs{options})
	registry.RegisterActivity(&Conflicts{options})
	registry.RegisterActivity(&Poller{options})
	registry.RegisterActivity(&Lifecycle{options})
}

func (o Options) webhookURLs(key ledger.Key) map[record.Side]string {
	if o.WebhookURLs == nil {
		return nil
	}
	return o.WebhookURLs(key)
}
