package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const (
	// manyIDs is when a drain comes back with the conflicts it has.
	manyIDs = 150
	// look is the pause between two looks of a run's drain at rows that others
	// work on.
	look = 150 * time.Millisecond
	// patience is how long a run's drain waits inside for something to become
	// due; longer waits are timers of the workflow, which cost no worker.
	patience = 3 * time.Second
)

// DrainIn says what to drain.
type DrainIn struct {
	Key ledger.Key
	// Shard of Shards; 0 of 0 or 1: everything.
	Shard, Shards int
	// RunID, if set, drains the rows of that run only and waits for those that
	// other drains are at.
	RunID string
	// UntriedOnly ends a run's drain once each row was tried, though some wait
	// for a retry.
	UntriedOnly bool
	// For is the longest stay.
	For time.Duration
	// Mark is how far the ledger had come when the workflow last heard of it.
	Mark ledger.Mark
}

// DrainOut says what happened and when to come back.
type DrainOut struct {
	Claimed, Done, Retried    int
	Backlog, Pending, Untried int
	// Wait is how long nothing is due; it counts only if Waiting is set.
	Wait    time.Duration
	Waiting bool
	// Paused: the connection is not active; nothing was done.
	Paused bool
	// Code says why no side is called at present; empty: nothing keeps us.
	Code fault.Code
	// Opened and Closed are ids of conflicts.
	Opened, Closed []string
	// Run is the progress of the run, if there is one.
	Run RunProgress
	// Mark is how far the ledger had come.
	Mark ledger.Mark
}

// RunProgress is how far a run has come. Total is -1 while unknown.
type RunProgress struct {
	Done, Total int
	Counts      ledger.Counts
}

// Drain reconciles due records of a connection. The nudge is cleared before the
// inbox is read, so that a change which arrives later nudges again.
func (a *Inbox) Drain(ctx context.Context, in DrainIn) (DrainOut, error) {
	return many(ctx, a.Log, func() (DrainOut, error) {
		note, stop := beating(ctx)
		defer stop()
		mark, err := a.Engine.Witness(ctx, in.Mark)
		if err != nil {
			return DrainOut{}, err
		}
		if in.RunID != "" {
			out, err := a.drainRun(ctx, in, note)
			out.Mark = mark
			return out, err
		}
		if err := a.Store.ClearNudge(ctx, in.Key); err != nil {
			return DrainOut{}, err
		}
		result, err := a.Engine.Drain(ctx, in.Key, a.request(ctx, in, in.For, note))
		if err != nil {
			return DrainOut{}, err
		}
		out := DrainOut{Mark: mark}
		out.add(result)
		return out, a.setWait(ctx, &out, result.NextDue)
	})
}

// drainRun stays until the run's rows are done, wherever they are worked on:
// the connection's own drains take them too.
func (a *Inbox) drainRun(ctx context.Context, in DrainIn, note func(int)) (DrainOut, error) {
	var out DrainOut
	stop := activity.GetWorkerStopChannel(ctx)
	end := a.Now().Add(in.For)
	idleSince := a.Now()
	for {
		before := out.Pending
		result, err := a.Engine.Drain(ctx, in.Key, a.request(ctx, in, end.Sub(a.Now()), note))
		if err != nil {
			return DrainOut{}, err
		}
		out.add(result)
		now := a.Now()
		if result.Claimed > 0 || out.Pending != before {
			idleSince = now
		}
		if a.runDrained(in, out) || now.Sub(idleSince) > patience || !now.Before(end) || !rest(ctx, stop, look) {
			if err := a.setWait(ctx, &out, result.NextDue); err != nil {
				return DrainOut{}, err
			}
			a.noteDrained(ctx, in.RunID, out, result.Problem)
			return out, a.setProgress(ctx, &out, in.RunID)
		}
	}
}

func (a *Inbox) runDrained(in DrainIn, out DrainOut) bool {
	return out.Paused || out.Pending == 0 || in.UntriedOnly && out.Untried == 0 ||
		len(out.Opened) >= manyIDs || len(out.Closed) >= manyIDs
}

func (a *Inbox) request(ctx context.Context, in DrainIn, stay time.Duration, note func(int)) engine.DrainRequest {
	return engine.DrainRequest{
		Shard: in.Shard, Shards: in.Shards, RunID: in.RunID,
		For: max(stay, look), Stop: activity.GetWorkerStopChannel(ctx), Beat: note,
		WorkflowID: activity.GetInfo(ctx).WorkflowExecution.ID,
	}
}

// setWait turns the time of the next due row into a wait by the store's clock.
func (a *Inbox) setWait(ctx context.Context, out *DrainOut, nextDue time.Time) error {
	if nextDue.IsZero() {
		return nil
	}
	now, err := a.Store.Now(ctx)
	if err != nil {
		return err
	}
	out.Waiting = true
	out.Wait = max(nextDue.Sub(now), 0)
	return nil
}

func (a *Inbox) setProgress(ctx context.Context, out *DrainOut, runID string) error {
	run, err := a.Store.Run(ctx, runID)
	if err != nil {
		return err
	}
	out.Run = progressOf(run)
	return nil
}

// add sums what was done and keeps the newest of what is left.
func (o *DrainOut) add(result engine.DrainResult) {
	o.Claimed += result.Claimed
	o.Done += result.Done
	o.Retried += result.Retried
	o.Backlog, o.Pending, o.Untried = result.Backlog, result.Pending, result.Untried
	o.Paused = result.Paused
	o.Code = fault.Code(result.Code)
	o.Opened = append(o.Opened, result.Opened...)
	o.Closed = append(o.Closed, result.Closed...)
}

func progressOf(run ledger.Run) RunProgress {
	return RunProgress{Done: run.Done, Total: run.Total, Counts: run.Counts}
}
