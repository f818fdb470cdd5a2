package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// BeginRunIn names a run, or what kind of run to open when RunID is empty.
type BeginRunIn struct {
	Key    ledger.Key
	RunID  string
	Kind   ledger.RunKind
	Stream string
}

// BeginRunOut is the run to carry.
type BeginRunOut struct {
	RunID      string
	WorkflowID string
	// Theirs: another workflow carries a running run of this kind and stream
	// already, or the run is over. There is nothing to do.
	Theirs bool
	State  ledger.RunState
}

// BeginRun opens or finds the row of a run. One that compares looks whether the vendors
// still call us too: a webhook that was switched off need not wait for housekeeping.
func (a *Runs) BeginRun(ctx context.Context, in BeginRunIn) (BeginRunOut, error) {
	if in.Kind == ledger.RunCompare {
		a.lookAtWebhooks(ctx, in.Key)
	}
	return single(ctx, a.Log, func() (BeginRunOut, error) {
		own := activity.GetInfo(ctx).WorkflowExecution.ID
		if in.RunID != "" {
			run, err := a.Store.Run(ctx, in.RunID)
			if err != nil {
				return BeginRunOut{}, err
			}
			return BeginRunOut{RunID: run.ID, WorkflowID: run.WorkflowID, Theirs: run.State != ledger.RunRunning, State: run.State}, nil
		}
		run, joined, err := a.open(ctx, in, own)
		if err != nil {
			return BeginRunOut{}, err
		}
		// A run joined by its own workflow is this step tried again.
		return BeginRunOut{RunID: run.ID, WorkflowID: run.WorkflowID, Theirs: joined && run.WorkflowID != own, State: run.State}, nil
	})
}

// webhooksTime bounds the look at the webhooks: well inside the step's own time.
const webhooksTime = 15 * time.Second

// lookAtWebhooks switches webhooks on again where a vendor switched them off. A run does
// not wait for a side that does not answer: housekeeping tries again.
func (a *Runs) lookAtWebhooks(ctx context.Context, key ledger.Key) {
	urls := a.webhookURLs(key)
	connection, err := a.Store.Connection(ctx, key)
	if err != nil || len(urls) == 0 || connection.State != ledger.Active {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, webhooksTime)
	defer cancel()
	if err := a.Engine.EnsureWebhooks(ctx, key, urls); err != nil {
		a.Log.WithField("connection", key.String()).WithField("code", fault.CodeOf(err)).Warn("the webhooks were not looked at; housekeeping will")
	}
}

// open opens a run for its own workflow. While another of its kind and stream
// runs, a Schedule's turn is left out: joining it would make it list once more
// for ever when turns come faster than a pass. A run that would have joined one
// which ended at that moment is opened anew.
func (a *Runs) open(ctx context.Context, in BeginRunIn, workflowID string) (run ledger.Run, joined bool, err error) {
	now, err := a.Store.Now(ctx)
	if err != nil {
		return ledger.Run{}, false, err
	}
	recent, _, err := a.Store.ListRuns(ctx, in.Key, ledger.ListOptions{})
	if err != nil {
		return ledger.Run{}, false, err
	}
	for _, run := range recent {
		if run.State == ledger.RunRunning && run.Kind == in.Kind && run.Stream == in.Stream {
			return run, true, nil
		}
	}
	for range 3 {
		run, joined, err = a.Store.StartRun(ctx, ledger.Run{
			ID: a.NewID(), Key: in.Key, Kind: in.Kind, Stream: in.Stream, State: ledger.RunRunning,
			StartedAt: now, Total: -1, WorkflowID: workflowID,
		})
		if !fault.Is(err, fault.Conflict) {
			return run, joined, err
		}
	}
	return run, joined, err
}

// OpenRunIn says what run to open.
type OpenRunIn struct {
	Key    ledger.Key
	Kind   ledger.RunKind
	Stream string
}

// OpenRunOut is the run that was opened or joined.
type OpenRunOut struct {
	RunID, WorkflowID string
	Joined            bool
}

// OpenRun opens the row of a run (or joins the running one) and makes sure that
// its workflow runs.
func (a *Runs) OpenRun(ctx context.Context, in OpenRunIn) (OpenRunOut, error) {
	return single(ctx, a.Log, func() (OpenRunOut, error) {
		run, joined, err := a.Orchestrator.StartRun(ctx, in.Key, in.Kind, in.Stream)
		if err != nil {
			return OpenRunOut{}, err
		}
		return OpenRunOut{RunID: run.ID, WorkflowID: run.WorkflowID, Joined: joined}, nil
	})
}

// ListStepIn says what to list.
type ListStepIn struct {
	Key    ledger.Key
	RunID  string
	Kind   ledger.RunKind
	Stream string
	// For is the longest stay.
	For time.Duration
	// Rests are the pauses that the run makes if this step fails.
	Rests Rests
}

// Rests say how long a run pauses before its next try: after a side that asks to
// wait or does not answer, after one that refuses us, and after a step that failed.
type Rests struct{ Waiting, Refused, Failed time.Duration }

// ListStepOut says how far the step came.
type ListStepOut struct {
	Finished       bool
	Read, Enqueued int
	Paused         bool
	// Wait is how long a side asks to wait, zero: not at all; Code is why.
	Wait time.Duration
	Code fault.Code
	Run  RunProgress
}

// ListStep reads some pages of a run. What it finds is in the inbox before the
// cursor moves; the connection is nudged, since its drains take these rows too.
func (a *Runs) ListStep(ctx context.Context, in ListStepIn) (ListStepOut, error) {
	return many(ctx, a.Log, func() (ListStepOut, error) {
		note, stop := beating(ctx)
		defer stop()
		result, err := a.Engine.ListStep(ctx, in.Key, engine.ListRequest{
			RunID: in.RunID, Kind: in.Kind, Stream: in.Stream, For: in.For,
			Stop: activity.GetWorkerStopChannel(ctx), Beat: note,
		})
		if err != nil {
			a.noteFailure(ctx, in.RunID, err, in.Rests.Failed)
			return ListStepOut{}, err
		}
		out := ListStepOut{
			Finished: result.Finished, Read: result.Read, Enqueued: result.Enqueued, Paused: result.Paused,
			Code: fault.Code(result.Code),
		}
		if result.Enqueued > 0 {
			a.nudge(ctx, in.Key)
		}
		if !result.RetryAt.IsZero() {
			now, err := a.Store.Now(ctx)
			if err != nil {
				return ListStepOut{}, err
			}
			out.Wait = max(result.RetryAt.Sub(now), 0)
		}
		a.noteListed(ctx, in, out, result.Problem)
		run, err := a.Store.Run(ctx, in.RunID)
		if err != nil {
			return ListStepOut{}, err
		}
		out.Run = progressOf(run)
		return out, nil
	})
}

// ReplayIn says which dead letters to replay.
type ReplayIn struct {
	Key   ledger.Key
	RunID string
}

// ReplayOut says how many were put back into the inbox.
type ReplayOut struct{ Enqueued int }

// ReplayDeadLetters puts all open dead letters back into the inbox.
func (a *Runs) ReplayDeadLetters(ctx context.Context, in ReplayIn) (ReplayOut, error) {
	return single(ctx, a.Log, func() (ReplayOut, error) {
		enqueued, err := a.Store.ReplayDeadLetters(ctx, in.Key, nil, in.RunID)
		if err != nil {
			return ReplayOut{}, err
		}
		if enqueued > 0 {
			a.nudge(ctx, in.Key)
		}
		return ReplayOut{Enqueued: enqueued}, nil
	})
}

// EndRunIn ends a run.
type EndRunIn struct {
	Key    ledger.Key
	RunID  string
	State  ledger.RunState
	Reason string
}

// EndRunOut says whether it ended.
type EndRunOut struct {
	// Again: somebody asked for the same run meanwhile; it goes on with NextPass.
	Again bool
	Run   RunProgress
}

// EndRun ends a run unless it was asked for again. A run that failed or was
// cancelled ends in any case.
func (a *Runs) EndRun(ctx context.Context, in EndRunIn) (EndRunOut, error) {
	return single(ctx, a.Log, func() (EndRunOut, error) {
		ended, err := a.Store.EndRun(ctx, in.RunID, in.State, in.Reason)
		if err == nil && !ended && in.State != ledger.RunSucceeded {
			if _, err = a.Store.TakeAgain(ctx, in.RunID); err == nil {
				ended, err = a.Store.EndRun(ctx, in.RunID, in.State, in.Reason)
			}
		}
		if err != nil {
			return EndRunOut{}, err
		}
		if ended {
			if err := a.Store.DeleteCursors(ctx, in.Key, in.RunID); err != nil {
				return EndRunOut{}, err
			}
		}
		run, err := a.Store.Run(ctx, in.RunID)
		if err == nil && ended && in.State == ledger.RunSucceeded {
			err = a.endRestored(ctx, run)
		}
		if err == nil && ended && in.State == ledger.RunSucceeded && run.Total != run.Done {
			// Records that others have done meanwhile are not missing.
			run.Total = run.Done
			err = a.Store.SetRunTotal(ctx, run.ID, run.Total)
		}
		if err != nil {
			return EndRunOut{}, err
		}
		return EndRunOut{Again: !ended, Run: progressOf(run)}, nil
	})
}

// NextPassIn names the run that lists once more.
type NextPassIn struct {
	Key   ledger.Key
	RunID string
}

// NextPass takes the wish for another pass and forgets the cursors of the last
// one. A wish that comes later asks for yet another pass.
func (a *Runs) NextPass(ctx context.Context, in NextPassIn) (None, error) {
	return single(ctx, a.Log, func() (None, error) {
		if _, err := a.Store.TakeAgain(ctx, in.RunID); err != nil {
			return None{}, err
		}
		return None{}, a.Store.DeleteCursors(ctx, in.Key, in.RunID)
	})
}

// nudge is best effort: the sweep finds due rows that nobody was told of.
func (o Options) nudge(ctx context.Context, key ledger.Key) {
	if err := o.Orchestrator.Nudge(ctx, key); err != nil {
		o.Log.WithField("connection", key.String()).WithField("code", fault.CodeOf(err)).
			Warn("the connection's workflow was not told of new changes; the sweep will")
	}
}

// endRestored notes that everything was compared since an operator accepted that
// the ledger had been put back.
func (a *Runs) endRestored(ctx context.Context, run ledger.Run) error {
	whole := run.Stream == "" && (run.Kind == ledger.RunCompare || run.Kind == ledger.RunBackfill)
	if !whole {
		return nil
	}
	standing, err := a.Store.Standing(ctx, run.Key)
	if err != nil || !standing.Restored.Comparing() || run.StartedAt.Before(standing.Restored.AcceptedAt) {
		return err
	}
	return a.Store.EndRestored(ctx, run.Key, standing.Restored.Epoch)
}
