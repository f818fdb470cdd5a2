package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// setHandlers opens the doors of a connection: its query and its updates.
func (c *connection) setHandlers(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, StatusQuery, func() (ConnectionStatus, error) { return c.status, nil }); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, PauseUpdate, c.pause, workflow.UpdateHandlerOptions{
		Validator: func(PauseRequest) error { return nil }, Description: "stop all work on this connection",
	}); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, ResumeUpdate, c.resume, workflow.UpdateHandlerOptions{
		Description: "go on with this connection",
	}); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, RunUpdate, c.run, workflow.UpdateHandlerOptions{
		Validator: RunRequest.check, Description: "start a run, or join the one that is running",
	}); err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, ResolveUpdate, c.resolve, workflow.UpdateHandlerOptions{
		Validator: ResolveRequest.validate, Description: "decide a conflict that has no workflow of its own",
	})
}

func (c *connection) pause(ctx workflow.Context, request PauseRequest) error {
	return c.setState(ctx, ledger.Paused, request.Reason)
}

func (c *connection) resume(ctx workflow.Context) error { return c.setState(ctx, ledger.Active, "") }

func (c *connection) setState(ctx workflow.Context, state ledger.ConnectionState, reason string) error {
	var lifecycle *activities.Lifecycle
	in := activities.SetStateIn{Key: c.in.Key, State: state, Reason: reason}
	if err := workflow.ExecuteActivity(with(ctx, c.in.Tuning, ledgerStep, "set the state to "+string(state)), lifecycle.SetState, in).Get(ctx, nil); err != nil {
		return bare(err)
	}
	c.status.Paused = state != ledger.Active
	c.show(ctx)
	return nil
}

func (c *connection) run(ctx workflow.Context, request RunRequest) (RunAnswer, error) {
	out, err := openRun(ctx, c.in.Tuning, c.in.Key, request.Kind, request.Stream)
	if err != nil {
		return RunAnswer{}, bare(err)
	}
	return RunAnswer{RunID: out.RunID, WorkflowID: out.WorkflowID, Joined: out.Joined}, nil
}

func (c *connection) resolve(ctx workflow.Context, request ResolveRequest) error {
	return decide(ctx, c.in.Tuning, c.in.Key, request)
}

// check refuses kinds that no workflow carries.
func (r RunRequest) check() error {
	switch r.Kind {
	case ledger.RunBackfill, ledger.RunPoll, ledger.RunCompare, ledger.RunReplay:
		return nil
	}
	return temporal.NewNonRetryableApplicationError(
		"a run is one of backfill, poll, compare, replay", string(fault.Usage), nil)
}

// openRun opens a run or joins the running one of its kind and stream.
func openRun(ctx workflow.Context, tuning Tuning, key ledger.Key, kind ledger.RunKind, stream string) (activities.OpenRunOut, error) {
	var runs *activities.Runs
	var out activities.OpenRunOut
	in := activities.OpenRunIn{Key: key, Kind: kind, Stream: stream}
	err := workflow.ExecuteActivity(with(ctx, tuning, ledgerStep, "open a "+string(kind)), runs.OpenRun, in).Get(ctx, &out)
	return out, err
}
