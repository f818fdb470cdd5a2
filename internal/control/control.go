// Package control is the one door to Temporal for the API, the commands and the
// activities: ids, queues, signals and updates behind typed methods. The ledger
// comes first in each of them: what it holds is true, and a signal that gets
// lost is made up for by the sweep.
package control

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/workflows"
)

// DefaultTaskQueue is the queue of workers and starters that name no other.
const DefaultTaskQueue = "accord"

// updateTimeout is how long a person waits for a workflow's answer, callTimeout
// how long any other call to Temporal may take.
const (
	updateTimeout = 10 * time.Second
	callTimeout   = 10 * time.Second
)

// Options make a Control. All fields but TaskQueue are required.
type Options struct {
	Temporal client.Client
	Store    ledger.Store
	// TaskQueue defaults to DefaultTaskQueue.
	TaskQueue string
	Tuning    workflows.Tuning
	Log       logrus.FieldLogger
	// Now is the local clock; NewID makes unique, sortable ids.
	Now   func() time.Time
	NewID func() string
}

// Control steers connections, runs and conflicts. It is safe for concurrent
// use. Its errors are *fault.Error; Unavailable when Temporal does not answer.
type Control struct{ Options }

var _ activities.Orchestrator = (*Control)(nil)

// New makes a Control. It makes no call.
func New(options Options) *Control {
	if options.TaskQueue == "" {
		options.TaskQueue = DefaultTaskQueue
	}
	return &Control{options}
}

// Ping answers nil when the ledger and Temporal answer.
func (c *Control) Ping(ctx context.Context) error {
	if err := c.Store.Ping(ctx); err != nil {
		return err
	}
	return c.health(ctx, "ask Temporal for its health")
}

// health answers nil when Temporal answers; what says what it is needed for.
func (c *Control) health(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.Temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return temporalFault(err, what)
}

// Nudge tells a connection's workflow to look at its inbox, and starts the
// workflow if it does not run.
func (c *Control) Nudge(ctx context.Context, key ledger.Key) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	options := c.connectionStart(key)
	_, err := c.Temporal.SignalWithStartWorkflow(ctx, options.ID, workflows.ChangesSignal, nil, options,
		workflows.ConnectionType, workflows.ConnectionInput{Key: key, Tuning: c.Tuning})
	return temporalFault(err, "tell the workflow of connection "+key.String()+" of changes")
}

// EnsurePollers starts the pollers that do not run.
func (c *Control) EnsurePollers(ctx context.Context) error {
	for n := range max(c.Tuning.Pollers, 1) {
		options := c.start(workflows.PollerID(n), "Looks after polls, lost nudges and forgotten conflicts of all connections")
		if err := c.ensure(ctx, options, workflows.PollerType, workflows.PollerInput{N: n, Tuning: c.Tuning}); err != nil {
			return err
		}
	}
	return nil
}

// EnsureConflict starts the workflow of a conflict if it does not run.
func (c *Control) EnsureConflict(ctx context.Context, key ledger.Key, conflictID string) error {
	options := c.start(workflows.ConflictID(key, conflictID), "A conflict waits for a decision")
	return c.ensure(ctx, options, workflows.ConflictType, workflows.ConflictInput{Key: key, ConflictID: conflictID, Tuning: c.Tuning})
}

// start are the options of a workflow that exists once under its id: starting
// it while it runs finds the running one.
func (c *Control) start(id, summary string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                c.TaskQueue,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            summary,
	}
}

func (c *Control) connectionStart(key ledger.Key) client.StartWorkflowOptions {
	return c.start(workflows.ConnectionID(key), "Keeps connection "+key.Connection+" in step")
}

// ensure starts a workflow unless it runs.
func (c *Control) ensure(ctx context.Context, options client.StartWorkflowOptions, kind string, input any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := c.Temporal.ExecuteWorkflow(ctx, options, kind, input)
	return temporalFault(err, "start workflow "+options.ID)
}

// nudge is best effort after the ledger took a change: the sweep makes up for it.
func (c *Control) nudge(ctx context.Context, key ledger.Key) {
	if err := c.Nudge(ctx, key); err != nil {
		c.Log.WithField("connection", key.String()).WithField("code", fault.CodeOf(err)).
			Warn("the connection's workflow was not told of a change; the sweep will")
	}
}
