// Package workflows is the business process as Temporal runs it: deterministic,
// thin, and readable from the top down. Everything that touches the world is an
// activity. Histories carry refs, codes, counts and times, never records.
package workflows

import (
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// Register makes all workflows known to a worker. versioned says that the
// worker has a deployment version: a run then stays with the one that began it,
// the long-lived workflows move to the newest.
func Register(registry worker.WorkflowRegistry, versioned bool) {
	behaviour := func(wanted workflow.VersioningBehavior) workflow.VersioningBehavior {
		if !versioned {
			return workflow.VersioningBehaviorUnspecified
		}
		return wanted
	}
	pinned, upgraded := behaviour(workflow.VersioningBehaviorPinned), behaviour(workflow.VersioningBehaviorAutoUpgrade)
	registry.RegisterWorkflowWithOptions(Connection, workflow.RegisterOptions{Name: ConnectionType, VersioningBehavior: upgraded})
	registry.RegisterWorkflowWithOptions(Run, workflow.RegisterOptions{Name: RunType, VersioningBehavior: pinned})
	registry.RegisterWorkflowWithOptions(Conflict, workflow.RegisterOptions{Name: ConflictType, VersioningBehavior: upgraded})
	registry.RegisterWorkflowWithOptions(Poller, workflow.RegisterOptions{Name: PollerType, VersioningBehavior: upgraded})
	registry.RegisterWorkflowWithOptions(Activation, workflow.RegisterOptions{Name: ActivationType, VersioningBehavior: upgraded})
	registry.RegisterWorkflowWithOptions(Deactivation, workflow.RegisterOptions{Name: DeactivationType, VersioningBehavior: upgraded})
}

// tag sets the search attributes; those without a value are left out.
func tag(ctx workflow.Context, tuning Tuning, key ledger.Key, stream string, kind ledger.RunKind) error {
	if !tuning.SearchAttributes {
		return nil
	}
	updates := []temporal.SearchAttributeUpdate{
		temporal.NewSearchAttributeKeyKeyword(TenantAttribute).ValueSet(key.Tenant),
		temporal.NewSearchAttributeKeyKeyword(ConnectionAttribute).ValueSet(key.Connection),
	}
	if stream != "" {
		updates = append(updates, temporal.NewSearchAttributeKeyKeyword(StreamAttribute).ValueSet(stream))
	}
	if kind != "" {
		updates = append(updates, temporal.NewSearchAttributeKeyKeyword(RunKindAttribute).ValueSet(string(kind)))
	}
	return workflow.UpsertTypedSearchAttributes(ctx, updates...)
}

// codeOf reads the code that an activity's error carries; Internal if none.
func codeOf(err error) fault.Code {
	if err == nil {
		return ""
	}
	var application *temporal.ApplicationError
	if errors.As(err, &application) && application.Type() != "" {
		return fault.Code(application.Type())
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return fault.Transient
	}
	return fault.Internal
}

// reasonOf is the text of an activity's error for people.
func reasonOf(err error) string {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return application.Message()
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return "no worker finished the step in time; it is tried again"
	}
	return "the step failed"
}

// bare strips what Temporal wraps around an activity's error, so that callers
// of an update get the code itself.
func bare(err error) error {
	if err == nil || temporal.IsCanceledError(err) {
		return err
	}
	return temporal.NewNonRetryableApplicationError(reasonOf(err), string(codeOf(err)), nil)
}

// startConflicts opens a workflow for each conflict. It outlives the workflow
// that found the conflict; one that runs already is as good.
func startConflicts(ctx workflow.Context, tuning Tuning, key ledger.Key, ids []string) {
	starts := make([]workflow.Future, 0, len(ids))
	for _, id := range ids {
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            ConflictID(key, id),
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			StaticSummary:         "A conflict waits for a decision",
		})
		starts = append(starts, workflow.ExecuteChildWorkflow(child, ConflictType, ConflictInput{Key: key, ConflictID: id, Tuning: tuning}).GetChildWorkflowExecution())
	}
	for i, start := range starts {
		if err := start.Get(ctx, nil); err != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			workflow.GetLogger(ctx).Warn("a conflict got no workflow; the sweep starts it", "conflict", ids[i])
		}
	}
}

// endConflicts tells the workflows of closed conflicts. Most have one that
// runs; a signal that finds none is no error.
func endConflicts(ctx workflow.Context, key ledger.Key, ids []string) {
	signals := make([]workflow.Future, 0, len(ids))
	for _, id := range ids {
		signals = append(signals, workflow.SignalExternalWorkflow(ctx, ConflictID(key, id), "", ClosedSignal, nil))
	}
	for i, signal := range signals {
		if err := signal.Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Debug("a closed conflict had no workflow", "conflict", ids[i])
		}
	}
}

// waitFor waits for d or for a signal of the channel, whichever comes first,
// and takes all signals that are there. d 0: for a signal only.
func waitFor(ctx workflow.Context, channel workflow.ReceiveChannel, d time.Duration, summary string) (signalled bool, err error) {
	if takeAll(channel) {
		return true, nil
	}
	waiting, cancel := workflow.WithCancel(ctx)
	defer cancel()
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(channel, func(c workflow.ReceiveChannel, _ bool) {
		signalled = true
		c.Receive(ctx, nil)
	})
	if d > 0 {
		selector.AddFuture(workflow.NewTimerWithOptions(waiting, d, workflow.TimerOptions{Summary: summary}), func(workflow.Future) {})
	}
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) { err = ctx.Err() })
	selector.Select(ctx)
	return takeAll(channel) || signalled, err
}

func takeAll(channel workflow.ReceiveChannel) bool {
	taken := false
	for channel.ReceiveAsync(nil) {
		taken = true
	}
	return taken
}

// grow doubles a pause up to most.
func grow(pause, most time.Duration) time.Duration { return min(2*pause, most) }

// decide runs the Decide activity for an update handler.
func decide(ctx workflow.Context, tuning Tuning, key ledger.Key, request ResolveRequest) error {
	var conflicts *activities.Conflicts
	in := activities.DecideIn{Key: key, ConflictID: request.ConflictID, DecisionID: request.DecisionID}
	return bare(workflow.ExecuteActivity(with(ctx, tuning, decideStep, "apply a decision"), conflicts.Decide, in).Get(ctx, nil))
}

// ResolveRequest names a decision that was kept in the ledger. It carries no
// values: they must not enter a history.
type ResolveRequest struct {
	ConflictID string `json:"conflict_id"`
	DecisionID string `json:"decision_id"`
}

func (r ResolveRequest) validate() error {
	if r.ConflictID == "" || r.DecisionID == "" {
		return temporal.NewNonRetryableApplicationError("a decision needs the ids of its conflict and of itself", string(fault.Usage), nil)
	}
	return nil
}
