package control

import (
	"context"
	"errors"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/workflows"
)

const (
	// waitEvery is the pause between two looks at a run that is waited for.
	waitEvery = 200 * time.Millisecond
	// startTries is how often a run is opened that would have joined one which
	// ended at that moment.
	startTries = 3
)

// StartRun opens a run over a stream, or (empty) all. A second one of its kind
// and stream joins the running one, which then lists once more. The row comes
// first; the workflow of a row is started by whoever finds that it does not run:
// the next caller, or housekeeping. A Temporal that does not answer is found out
// before, so that nothing is left behind; Unavailable then.
func (c *Control) StartRun(ctx context.Context, key ledger.Key, kind ledger.RunKind, stream string) (run ledger.Run, joined bool, err error) {
	switch kind {
	case ledger.RunBackfill, ledger.RunPoll, ledger.RunCompare, ledger.RunReplay:
	default:
		return ledger.Run{}, false, fault.New(fault.Usage, "a run is one of backfill, poll, compare, replay, not %q", kind)
	}
	if _, err := c.Store.Connection(ctx, key); err != nil {
		return ledger.Run{}, false, err
	}
	now, err := c.Store.Now(ctx)
	if err != nil {
		return ledger.Run{}, false, err
	}
	if err := c.health(ctx, "start a run"); err != nil {
		return ledger.Run{}, false, err
	}
	for range startTries {
		id := c.NewID()
		run, joined, err = c.Store.StartRun(ctx, ledger.Run{
			ID: id, Key: key, Kind: kind, Stream: stream, State: ledger.RunRunning, StartedAt: now, Total: -1,
			WorkflowID: workflows.RunID(key, kind, id),
		})
		if !fault.Is(err, fault.Conflict) {
			break
		}
	}
	if err != nil {
		return ledger.Run{}, false, err
	}
	err = c.EnsureRun(ctx, run)
	if err != nil && !joined && !lost(err) {
		// Temporal refused: no workflow carries the row.
		_, ending := c.Store.EndRun(context.WithoutCancel(ctx), run.ID, ledger.RunFailed, err.Error())
		err = errors.Join(err, ending)
	}
	return run, joined, err
}

// EnsureRun starts the workflow of a running run if it does not run.
func (c *Control) EnsureRun(ctx context.Context, run ledger.Run) error {
	if run.State != ledger.RunRunning {
		return nil
	}
	options := c.start(run.WorkflowID, runSummary(run.Kind, run.Stream))
	return c.ensure(ctx, options, workflows.RunType, workflows.RunInput{
		Key: run.Key, RunID: run.ID, Kind: run.Kind, Stream: run.Stream, Tuning: c.Tuning,
	})
}

// WaitRun waits until a run has ended and returns it. onProgress, if not nil,
// is called with each look at it. A ledger that does not answer for a while is
// waited for; the error is then the context's end, as Unavailable.
func (c *Control) WaitRun(ctx context.Context, id string, onProgress func(ledger.Run)) (ledger.Run, error) {
	ticker := time.NewTicker(waitEvery)
	defer ticker.Stop()
	for {
		run, err := c.Store.Run(ctx, id)
		if err != nil && !fault.Is(err, fault.Unavailable, fault.Busy) {
			return ledger.Run{}, err
		}
		if err == nil {
			if onProgress != nil {
				onProgress(run)
			}
			if run.State != ledger.RunRunning {
				return run, nil
			}
		}
		select {
		case <-ctx.Done():
			return run, fault.Wrap(fault.Unavailable, ctx.Err(), "stopped waiting for run %s, which goes on", id)
		case <-ticker.C:
		}
	}
}

func runSummary(kind ledger.RunKind, stream string) string {
	if stream == "" {
		stream = "all streams"
	}
	return string(kind) + " of " + stream
}
