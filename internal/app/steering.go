package app

import (
	"context"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/api/rest"
	"github.com/accord-sync/accord/internal/control"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// operator is who decided where the API has one token only.
const operator = "operator"

// Steering is control as the API sees it. The control inside may be replaced
// when more is known of Temporal.
type Steering struct {
	inner atomic.Pointer[control.Control]
}

var _ rest.Control = (*Steering)(nil)

// NewSteering makes a Steering of first.
func NewSteering(first *control.Control) *Steering {
	steering := &Steering{}
	steering.inner.Store(first)
	return steering
}

// Replace puts another control inside.
func (s *Steering) Replace(next *control.Control) { s.inner.Store(next) }

// Control is the present one.
func (s *Steering) Control() *control.Control { return s.inner.Load() }

// Activate begins to sync a draft.
func (s *Steering) Activate(ctx context.Context, key ledger.Key) error {
	return s.Control().Activate(ctx, key)
}

// Pause stops reading and writing.
func (s *Steering) Pause(ctx context.Context, key ledger.Key) error {
	return s.Control().Pause(ctx, key, "paused by an operator")
}

// Resume goes on after a pause.
func (s *Steering) Resume(ctx context.Context, key ledger.Key) error {
	return s.Control().Resume(ctx, key)
}

// AcceptRestored goes on after the ledger was put back to an older state.
func (s *Steering) AcceptRestored(ctx context.Context, key ledger.Key, from time.Time) error {
	return s.Control().AcceptRestored(ctx, key, from)
}

// Delete begins to remove a connection.
func (s *Steering) Delete(ctx context.Context, key ledger.Key) error {
	_, err := s.Control().Delete(ctx, key)
	return err
}

// Nudge tells the connection's workflow that something is due.
func (s *Steering) Nudge(ctx context.Context, key ledger.Key) error {
	return s.Control().Nudge(ctx, key)
}

// StartRun starts or joins a run.
func (s *Steering) StartRun(ctx context.Context, key ledger.Key, kind ledger.RunKind, stream string) (ledger.Run, bool, error) {
	return s.Control().StartRun(ctx, key, kind, stream)
}

// Resolve decides a conflict.
func (s *Steering) Resolve(ctx context.Context, conflictID string, decision rest.Decided) error {
	resolution := control.Resolution{Choose: decision.Choose, Value: decision.Value, By: operator}
	if decision.Seen != nil {
		resolution.Seen = &activities.ProposalSeen{Left: decision.Seen[0], Right: decision.Seen[1]}
	}
	return s.Control().Resolve(ctx, conflictID, resolution)
}

// ReplayDeadLetters makes parked records due.
func (s *Steering) ReplayDeadLetters(ctx context.Context, key ledger.Key, ids []string) (string, int, error) {
	replayed, err := s.Control().ReplayDeadLetters(ctx, key, ids)
	return "", replayed, err
}

// PatchDeadLetter gives values for the next replay.
func (s *Steering) PatchDeadLetter(ctx context.Context, id string, overrides ledger.Values) (ledger.DeadLetter, error) {
	return s.Control().PatchDeadLetter(ctx, id, overrides)
}

// DiscardDeadLetter gives a parked record up.
func (s *Steering) DiscardDeadLetter(ctx context.Context, id, reason string) error {
	return s.Control().Discard(ctx, id, reason)
}

// DecideGuard approves or rejects held operations.
func (s *Steering) DecideGuard(ctx context.Context, key ledger.Key, ids []string, approve bool) (int, error) {
	if approve {
		return s.Control().ApproveGuard(ctx, key, ids)
	}
	return s.Control().RejectGuard(ctx, key, ids)
}

// Ping answers nil when Temporal answers; the ledger is asked apart from it.
func (s *Steering) Ping(ctx context.Context) error {
	if _, err := s.Control().Temporal.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return fault.Wrap(fault.Unavailable, err, "Temporal does not answer")
	}
	return nil
}
