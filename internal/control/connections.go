package control

import (
	"context"
	"errors"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/workflows"
)

// Activate begins to bring a connection up, or joins the activation under way. One
// that is paused goes on at once, and takes over what was edited beside its work.
func (c *Control) Activate(ctx context.Context, key ledger.Key) error {
	connection, err := c.Store.Connection(ctx, key)
	if err != nil {
		return err
	}
	if connection.Restored.Waiting() {
		return fault.New(fault.Conflict, "connection %s: %s", key, connection.StateReason)
	}
	live := connection.State == ledger.Active || connection.State == ledger.Paused
	if err := c.bringUp(ctx, key, live); err != nil || connection.State != ledger.Paused {
		return err
	}
	// An activation leaves a pause alone.
	return c.goOn(ctx, key)
}

// bringUp starts the activation, or joins it; live: of a connection that works or is paused.
func (c *Control) bringUp(ctx context.Context, key ledger.Key, live bool) error {
	options := c.start(workflows.ActivationID(key), "Brings connection "+key.Connection+" up")
	return c.ensure(ctx, options, workflows.ActivationType, workflows.ActivationInput{Key: key, Tuning: c.Tuning, Live: live})
}

// Pause stops all work on a connection; reason is for people. Changes that
// arrive meanwhile are found when it resumes. Pausing again is no error;
// Conflict when it was never active.
func (c *Control) Pause(ctx context.Context, key ledger.Key, reason string) error {
	connection, err := c.Store.Connection(ctx, key)
	if err != nil {
		return err
	}
	if connection.State == ledger.Paused {
		return nil
	}
	if connection.State != ledger.Active {
		return fault.New(fault.Conflict, "connection %s is %s: only an active one can be paused", key, connection.State)
	}
	if err := c.Store.SetConnectionState(ctx, key, ledger.Paused, reason); err != nil {
		return err
	}
	c.nudge(ctx, key)
	return nil
}

// Resume goes on with a paused connection, and takes over what was edited meanwhile; all
// its polls are due at once, since webhooks may have been missed. Conflict when it has to
// be activated first.
func (c *Control) Resume(ctx context.Context, key ledger.Key) error {
	connection, err := c.Store.Connection(ctx, key)
	if err != nil {
		return err
	}
	if connection.State != ledger.Active && connection.State != ledger.Paused {
		return fault.New(fault.Conflict, "connection %s is %s: activate it", key, connection.State)
	}
	edited, err := c.editedWhilePaused(ctx, connection)
	if err != nil {
		return err
	}
	if edited {
		// First, so that whoever is told that this failed may ask again.
		if err := c.bringUp(ctx, key, true); err != nil {
			return err
		}
	}
	return c.goOn(ctx, key)
}

// soonAfter is within which an edit before a pause counts as one after it: taking over
// an edit twice costs a listing, and is no harm.
const soonAfter = 10 * time.Second

// editedWhilePaused reports whether a paused connection has got a new version since it
// was paused: nothing else touches it then.
func (c *Control) editedWhilePaused(ctx context.Context, connection ledger.Connection) (bool, error) {
	if connection.State != ledger.Paused || connection.Version <= 1 {
		return false, nil
	}
	now, err := c.Store.Now(ctx)
	if err != nil {
		return false, err
	}
	replaced, err := c.Store.ReplacedVersions(ctx, connection.Key, now.Sub(connection.UpdatedAt)+soonAfter)
	return len(replaced) > 0, err
}

// goOn lets an active or paused connection work.
func (c *Control) goOn(ctx context.Context, key ledger.Key) error {
	if err := c.Store.SetConnectionState(ctx, key, ledger.Active, ""); err != nil {
		return err
	}
	if err := c.pollNow(ctx, key); err != nil {
		return err
	}
	c.nudge(ctx, key)
	return c.wakeRuns(ctx, key)
}

// AcceptRestored lets a connection go on whose ledger was put back to an older
// state, and compares everything. from says how old that state is where nobody
// noticed; zero: as noticed. Conflict when nothing waits to be accepted.
func (c *Control) AcceptRestored(ctx context.Context, key ledger.Key, from time.Time) error {
	restored, err := c.Store.AcceptRestored(ctx, key, from)
	if err != nil {
		return err
	}
	c.Log.WithField("connection", key.String()).WithField("from", restored.From.UTC().Format(time.RFC3339)).
		Warn("an operator accepted that the ledger was put back; everything is compared")
	if restored.State == ledger.Draft {
		// Its first load compares everything.
		return nil
	}
	if err := c.pollNow(ctx, key); err != nil {
		return err
	}
	c.nudge(ctx, key)
	_, _, err = c.StartRun(ctx, key, ledger.RunCompare, "")
	return err
}

// pollNow makes the polls of all streams due.
func (c *Control) pollNow(ctx context.Context, key ledger.Key) error {
	now, err := c.Store.Now(ctx)
	if err != nil {
		return err
	}
	streams, err := c.Store.StreamStates(ctx, key)
	if err != nil {
		return err
	}
	for _, stream := range streams {
		due := func(state *ledger.StreamState) { state.NextPollAt = now }
		if err := c.Store.ChangeStreamState(ctx, key, stream.Stream, due); err != nil {
			return err
		}
	}
	return nil
}

// wakeRuns tells running runs that they may go on; they look by themselves too.
func (c *Control) wakeRuns(ctx context.Context, key ledger.Key) error {
	runs, err := c.Store.RunningRuns(ctx, key)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := c.Temporal.SignalWorkflow(ctx, run.WorkflowID, "", workflows.ResumedSignal, nil); err != nil {
			c.Log.WithField("run", run.ID).Debug("a run was not told that its connection goes on; it looks by itself")
		}
	}
	return nil
}

// Delete takes a connection down for good and waits a moment for it. done is
// false when it goes on in the background, because a system is slow to answer.
func (c *Control) Delete(ctx context.Context, key ledger.Key) (done bool, err error) {
	if err := c.Store.SetConnectionState(ctx, key, ledger.Paused, "being deleted"); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	options := c.start(workflows.DeactivationID(key), "Deletes connection "+key.Connection)
	run, err := c.Temporal.ExecuteWorkflow(ctx, options, workflows.DeactivationType, workflows.DeactivationInput{Key: key, Tuning: c.Tuning})
	if err != nil {
		return false, temporalFault(err, "start the deletion of connection "+key.String())
	}
	if err := run.Get(ctx, nil); err != nil {
		if lost(err) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return false, nil
		}
		return false, temporalFault(err, "delete connection "+key.String())
	}
	return true, nil
}

// Stop ends the workflows of a connection that is being deleted. What does not
// run is no error.
func (c *Control) Stop(ctx context.Context, key ledger.Key, workflowIDs []string) error {
	for _, id := range append([]string{workflows.ActivationID(key), workflows.ConnectionID(key)}, workflowIDs...) {
		err := temporalFault(c.Temporal.TerminateWorkflow(ctx, id, "", "its connection is deleted"), "stop workflow "+id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}
