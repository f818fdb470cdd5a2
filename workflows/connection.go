package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// ConnectionInput is the input of a Connection workflow.
type ConnectionInput struct {
	Key    ledger.Key
	Tuning Tuning
	// Status is carried from one execution into the next.
	Status ConnectionStatus
}

// ConnectionStatus is what a connection's workflow did since it first began.
// Counts are of records.
type ConnectionStatus struct {
	Drains          int `json:"drains"`
	Claimed         int `json:"claimed"`
	Done            int `json:"done"`
	Retried         int `json:"retried"`
	ConflictsOpened int `json:"conflicts_opened"`
	ConflictsClosed int `json:"conflicts_closed"`
	// Pending is how much waited when the last drain ended; NextDue when the
	// earliest of it is due, zero if nothing waits for a time.
	Pending   int       `json:"pending"`
	NextDue   time.Time `json:"next_due"`
	LastDrain time.Time `json:"last_drain"`
	// Paused: the connection is not active. Problem says why the last drain failed.
	Paused  bool   `json:"paused"`
	Problem string `json:"problem,omitempty"`
	// Mark is how far the ledger had come when a drain last said so: a ledger that
	// was put back to an older state is told by it.
	Mark ledger.Mark `json:"mark,omitzero"`
}

// PauseRequest pauses a connection; the reason is for people.
type PauseRequest struct {
	Reason string `json:"reason"`
}

// RunRequest asks for a run of a kind, over one stream or (empty) all.
type RunRequest struct {
	Kind   ledger.RunKind `json:"kind"`
	Stream string         `json:"stream"`
}

// RunAnswer names the run that was started or joined.
type RunAnswer struct {
	RunID      string `json:"run_id"`
	WorkflowID string `json:"workflow_id"`
	Joined     bool   `json:"joined"`
}

// Connection keeps one connection in step: it drains the inbox whenever it is
// told of changes or something falls due, and opens a workflow for each conflict.
func Connection(ctx workflow.Context, in ConnectionInput) error {
	c, err := newConnection(ctx, in)
	if err != nil {
		return err
	}
	for !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		next, err := c.work(ctx)
		if err != nil {
			return err
		}
		if next.deleted {
			return nil
		}
		if _, err := waitFor(ctx, c.changes, next.rest, "next change due"); err != nil {
			return err
		}
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	// The next execution begins with a drain: signals taken here are not lost.
	takeAll(c.changes)
	in.Status = c.status
	return workflow.NewContinueAsNewError(ctx, ConnectionType, in)
}

// connection is the state of one execution.
type connection struct {
	in      ConnectionInput
	changes workflow.ReceiveChannel
	status  ConnectionStatus
	// shards is how many drains go side by side next.
	shards int
	// idle, failed and paused are the last pauses of a loop that found nothing it
	// could do, that failed, or whose connection is not active; zero otherwise.
	idle, failed, paused time.Duration
}

// next is what to do after a drain: rest 0 waits for a signal alone.
type next struct {
	rest    time.Duration
	deleted bool
}

func newConnection(ctx workflow.Context, in ConnectionInput) (*connection, error) {
	c := &connection{in: in, changes: workflow.GetSignalChannel(ctx, ChangesSignal), status: in.Status, shards: 1}
	if err := tag(ctx, in.Tuning, in.Key, "", ""); err != nil {
		return nil, err
	}
	c.show(ctx)
	return c, c.setHandlers(ctx)
}

// work drains once and follows up what the drain found.
func (c *connection) work(ctx workflow.Context) (next, error) {
	outs, err := c.drain(ctx)
	c.status.LastDrain = workflow.Now(ctx)
	c.status.Drains += len(outs)
	for _, out := range outs {
		c.add(out)
		startConflicts(ctx, c.in.Tuning, c.in.Key, out.Opened)
		endConflicts(ctx, c.in.Key, out.Closed)
	}
	if ctx.Err() != nil {
		return next{}, ctx.Err()
	}
	todo := c.plan(ctx, outs, err)
	c.show(ctx)
	return todo, nil
}

// drain runs one drain, or one per shard side by side when the backlog is big.
func (c *connection) drain(ctx workflow.Context) ([]activities.DrainOut, error) {
	in := activities.DrainIn{Key: c.in.Key, Shards: c.shards, For: drainFor, Mark: c.status.Mark}
	return drainAll(ctx, c.in.Tuning, in, "reconcile due changes")
}

// drainAll runs a drain for each shard side by side. The outs of those that
// went well come with the first error.
func drainAll(ctx workflow.Context, tuning Tuning, in activities.DrainIn, summary string) ([]activities.DrainOut, error) {
	var inbox *activities.Inbox
	draining := with(ctx, tuning, drainStep, summary)
	drains := make([]workflow.Future, 0, in.Shards)
	for in.Shard = range in.Shards {
		drains = append(drains, workflow.ExecuteActivity(draining, inbox.Drain, in))
	}
	var outs []activities.DrainOut
	var failed error
	for _, drain := range drains {
		var out activities.DrainOut
		if err := drain.Get(ctx, &out); err != nil {
			failed = err
			continue
		}
		outs = append(outs, out)
	}
	return outs, failed
}

func (c *connection) add(out activities.DrainOut) {
	if out.Mark.Epoch != "" {
		c.status.Mark = out.Mark
	}
	c.status.Claimed += out.Claimed
	c.status.Done += out.Done
	c.status.Retried += out.Retried
	c.status.ConflictsOpened += len(out.Opened)
	c.status.ConflictsClosed += len(out.Closed)
}

// plan says when to look again, and with how many drains.
func (c *connection) plan(ctx workflow.Context, outs []activities.DrainOut, err error) next {
	c.status.Problem, c.status.NextDue = "", time.Time{}
	if err != nil {
		c.status.Problem = reasonOf(err)
		c.failed = max(grow(c.failed, mostFailedRest), failedRest)
		c.shards = 1
		return next{rest: c.failed, deleted: codeOf(err) == fault.NotFound}
	}
	c.failed = 0
	all := sum(outs)
	c.status.Paused, c.status.Pending = all.Paused, all.Pending
	c.shards = 1
	if all.Paused {
		c.paused = max(grow(c.paused, pausedLook), firstPaused)
		return next{rest: c.paused}
	}
	c.paused = 0
	if all.Claimed > 0 {
		c.idle = 0
	} else {
		c.idle = max(grow(c.idle, mostRest), leastRest)
	}
	if all.Backlog > bigBacklog {
		c.shards = drainShards
	}
	if all.Backlog > 0 && all.Claimed > 0 {
		return next{rest: leastRest}
	}
	if all.Backlog == 0 && !all.Waiting {
		c.idle = 0
		return next{}
	}
	rest := max(all.Wait, c.idle, leastRest)
	c.status.NextDue = workflow.Now(ctx).Add(rest)
	return next{rest: rest}
}

// sum adds up what shards did. What is left they count for all of them.
func sum(outs []activities.DrainOut) activities.DrainOut {
	var all activities.DrainOut
	for _, out := range outs {
		all.Claimed += out.Claimed
		all.Untried = max(all.Untried, out.Untried)
		all.Opened = append(all.Opened, out.Opened...)
		all.Closed = append(all.Closed, out.Closed...)
		if out.Run.Done >= all.Run.Done {
			all.Run = out.Run
		}
		all.Backlog = max(all.Backlog, out.Backlog)
		all.Pending = max(all.Pending, out.Pending)
		all.Paused = all.Paused || out.Paused
		if out.Code != "" {
			all.Code = out.Code
		}
		if out.Waiting && (!all.Waiting || out.Wait < all.Wait) {
			all.Waiting, all.Wait = true, out.Wait
		}
	}
	return all
}
