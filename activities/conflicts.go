package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// ConflictIn names a conflict.
type ConflictIn struct {
	Key        ledger.Key
	ConflictID string
}

// ConflictOut is what a workflow may know of a conflict: no values.
type ConflictOut struct {
	State  ledger.ConflictState
	Stream string
	// Field is the name under `fields:`; empty: a delete against an edit.
	Field string
	// LeftRef and RightRef are refs as text.
	LeftRef, RightRef string
	ClosedBy          string
	// Age is how long it is open, Left how long until its deadline (negative:
	// past), both by the store's clock. HasDeadline is false if it waits for good.
	Age, Left   time.Duration
	HasDeadline bool
}

// LookConflict reads a conflict and, while it is open, records that the calling
// workflow is its door. A conflict that is gone counts as closed.
func (a *Conflicts) LookConflict(ctx context.Context, in ConflictIn) (ConflictOut, error) {
	return single(ctx, a.Log, func() (ConflictOut, error) {
		_, conflict, err := a.Store.FindConflict(ctx, in.ConflictID)
		if fault.Is(err, fault.NotFound) {
			return ConflictOut{State: ledger.ConflictClosed, ClosedBy: "gone"}, nil
		}
		if err != nil {
			return ConflictOut{}, err
		}
		own := activity.GetInfo(ctx).WorkflowExecution.ID
		if conflict.State == ledger.ConflictOpen && (!conflict.Started || conflict.WorkflowID != own) {
			if err := a.Store.MarkConflictStarted(ctx, in.Key, in.ConflictID, own); err != nil {
				return ConflictOut{}, err
			}
		}
		now, err := a.Store.Now(ctx)
		if err != nil {
			return ConflictOut{}, err
		}
		return ConflictOut{
			State: conflict.State, Stream: conflict.Stream, Field: conflict.Field,
			LeftRef: conflict.LeftRef.String(), RightRef: conflict.RightRef.String(), ClosedBy: conflict.ClosedBy,
			Age: now.Sub(conflict.OpenedAt), Left: conflict.Deadline.Sub(now), HasDeadline: !conflict.Deadline.IsZero(),
		}, nil
	})
}

// DecideIn names a decision that was kept by KeepProposal.
type DecideIn struct {
	Key        ledger.Key
	ConflictID string
	DecisionID string
}

// Decide applies an operator's decision; the record is reconciled at once.
func (a *Conflicts) Decide(ctx context.Context, in DecideIn) (None, error) {
	return single(ctx, a.Log, func() (None, error) {
		proposal, err := loadProposal(ctx, a.Store, in.Key.Tenant, in.DecisionID)
		if err != nil {
			return None{}, err
		}
		var seen *engine.SeenPrints
		if proposal.Seen != nil {
			seen = &engine.SeenPrints{Left: record.Fingerprint(proposal.Seen.Left), Right: record.Fingerprint(proposal.Seen.Right)}
		}
		if err := a.Engine.Decide(ctx, in.Key, in.ConflictID, proposal.Decision, seen); err != nil {
			return None{}, err
		}
		a.nudge(ctx, in.Key)
		return None{}, nil
	})
}

// FallbackOut says whether the conflict is open no more.
type FallbackOut struct{ Closed bool }

// Fallback decides a conflict past its deadline by its fallback policy.
func (a *Conflicts) Fallback(ctx context.Context, in ConflictIn) (FallbackOut, error) {
	return single(ctx, a.Log, func() (FallbackOut, error) {
		closed, err := a.Engine.Fallback(ctx, in.Key, in.ConflictID)
		if fault.Is(err, fault.NotFound) {
			return FallbackOut{Closed: true}, nil
		}
		if err != nil {
			return FallbackOut{}, err
		}
		a.nudge(ctx, in.Key)
		return FallbackOut{Closed: closed}, nil
	})
}

// RemindIn is a reminder that a conflict waits for a person.
type RemindIn struct {
	Key        ledger.Key
	ConflictID string
	// Left is how long until the fallback decides.
	Left time.Duration
}

// Remind writes a warning for whoever watches the logs.
func (a *Conflicts) Remind(ctx context.Context, in RemindIn) (None, error) {
	return single(ctx, a.Log, func() (None, error) {
		a.Log.WithField("connection", in.Key.String()).WithField("conflict", in.ConflictID).
			WithField("left", in.Left.Round(time.Second).String()).
			Warn("a conflict still waits for a decision; at its deadline the fallback policy decides")
		return None{}, nil
	})
}
