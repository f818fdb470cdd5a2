package control

import (
	"context"

	"go.temporal.io/sdk/client"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/letters"
	"github.com/accord-sync/accord/workflows"
)

// Resolution is an operator's decision on a conflict.
type Resolution struct {
	Choose ledger.Choice
	// Value is the chosen value in the left system's form, for ChooseValue.
	Value any
	// Seen binds the decision to the values that were shown; nil binds it to
	// those of the moment.
	Seen *activities.ProposalSeen
	// By names who decided.
	By string
}

// Resolve decides a conflict through its workflow (or its connection's, if it
// has none of its own) and waits for the answer: Conflict when the values have
// moved since they were seen or it is over, Unavailable when no worker answers
// within ten seconds. The values go to the ledger; Temporal sees ids only.
func (c *Control) Resolve(ctx context.Context, conflictID string, resolution Resolution) error {
	key, conflict, err := c.Store.FindConflict(ctx, conflictID)
	if err != nil {
		return err
	}
	if err := check(conflict, resolution); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	request := workflows.ResolveRequest{ConflictID: conflictID, DecisionID: c.NewID()}
	err = activities.KeepProposal(ctx, c.Store, key.Tenant, request.DecisionID, activities.Proposal{
		Decision: ledger.Decision{Choose: resolution.Choose, Value: resolution.Value, By: resolution.By, At: c.Now()},
		Seen:     resolution.Seen,
	})
	if err != nil {
		return err
	}
	if conflict.WorkflowID != "" {
		err := c.update(ctx, conflict.WorkflowID, request)
		if !gone(err) {
			return err
		}
	}
	return c.updateConnection(ctx, key, request)
}

func check(conflict ledger.Conflict, resolution Resolution) error {
	switch resolution.Choose {
	case ledger.ChooseLeft, ledger.ChooseRight, ledger.ChooseValue:
	default:
		return fault.New(fault.Usage, "choose is one of left, right, value, not %q", resolution.Choose)
	}
	if resolution.Choose != ledger.ChooseValue && resolution.Value != nil {
		return fault.New(fault.Usage, "a value goes with choose: value only")
	}
	if conflict.State == ledger.ConflictClosed {
		return fault.New(fault.Conflict, "conflict %s is closed (%s)", conflict.ID, conflict.ClosedBy)
	}
	return nil
}

// update asks a conflict's own workflow.
func (c *Control) update(ctx context.Context, workflowID string, request workflows.ResolveRequest) error {
	handle, err := c.Temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID: request.DecisionID, WorkflowID: workflowID, UpdateName: workflows.ResolveUpdate,
		Args: []any{request}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	return temporalFault(err, "decide conflict "+request.ConflictID)
}

// updateConnection asks the connection's workflow, and starts it if need be.
func (c *Control) updateConnection(ctx context.Context, key ledger.Key, request workflows.ResolveRequest) error {
	start := c.Temporal.NewWithStartWorkflowOperation(c.connectionStart(key),
		workflows.ConnectionType, workflows.ConnectionInput{Key: key, Tuning: c.Tuning})
	handle, err := c.Temporal.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateID: request.DecisionID, UpdateName: workflows.ResolveUpdate,
			Args: []any{request}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	return temporalFault(err, "decide conflict "+request.ConflictID)
}

// gone reports whether a workflow does not run or ended before it took the update.
func gone(err error) bool { return fault.Is(err, fault.NotFound) }

// ReplayDeadLetters puts open dead letters (no ids: all) back into the inbox
// and returns how many.
func (c *Control) ReplayDeadLetters(ctx context.Context, key ledger.Key, ids []string) (int, error) {
	replayed, err := c.Store.ReplayDeadLetters(ctx, key, ids, "")
	if err != nil {
		return 0, err
	}
	if replayed > 0 {
		c.nudge(ctx, key)
	}
	return replayed, nil
}

// ReplayDeadLetter puts one open dead letter back into the inbox; Conflict when
// it is not open.
func (c *Control) ReplayDeadLetter(ctx context.Context, id string) error {
	key, letter, err := c.Store.FindDeadLetter(ctx, id)
	if err != nil {
		return err
	}
	replayed, err := c.ReplayDeadLetters(ctx, key, []string{id})
	if err == nil && replayed == 0 {
		return fault.New(fault.Conflict, "dead letter %s is %s: only an open one can be replayed", id, letter.State)
	}
	return err
}

// PatchDeadLetter merges values that the next replay uses instead of the record's.
func (c *Control) PatchDeadLetter(ctx context.Context, id string, overrides ledger.Values) (ledger.DeadLetter, error) {
	key, _, err := c.Store.FindDeadLetter(ctx, id)
	if err != nil {
		return ledger.DeadLetter{}, err
	}
	return letters.Correct(ctx, c.Store, key, id, overrides)
}

// Discard ends an open dead letter; reason is the person's.
func (c *Control) Discard(ctx context.Context, id, reason string) error {
	key, _, err := c.Store.FindDeadLetter(ctx, id)
	if err != nil {
		return err
	}
	return c.Store.DiscardDeadLetter(ctx, key, id, reason)
}

// ApproveGuard lets held operations (no ids: all) go on and returns how many.
func (c *Control) ApproveGuard(ctx context.Context, key ledger.Key, ids []string) (int, error) {
	return c.decideHeld(ctx, key, ids, ledger.HeldApproved)
}

// RejectGuard drops held operations (no ids: all) and returns how many.
func (c *Control) RejectGuard(ctx context.Context, key ledger.Key, ids []string) (int, error) {
	return c.decideHeld(ctx, key, ids, ledger.HeldRejected)
}

func (c *Control) decideHeld(ctx context.Context, key ledger.Key, ids []string, state ledger.HeldState) (int, error) {
	decided, err := c.Store.DecideHeld(ctx, key, ids, state)
	if err != nil {
		return 0, err
	}
	if decided > 0 {
		c.nudge(ctx, key)
	}
	return decided, nil
}
