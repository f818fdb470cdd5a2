package workflows

import (
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// ActivationInput is the input of an Activation workflow.
type ActivationInput struct {
	Key    ledger.Key
	Tuning Tuning
	// Live: the connection was active when this was asked for, so that it only takes
	// over an edit. Whoever pauses it meanwhile has the last word.
	Live bool
}

// ActivationStatus is how far an activation has come.
type ActivationStatus struct {
	// Step is what it is at, in words.
	Step string `json:"step"`
	// Problem says for people why it waits or failed; empty otherwise.
	Problem string `json:"problem,omitempty"`
	// RunID is the backfill it began.
	RunID string `json:"run_id,omitempty"`
}

// Activation brings a connection up: check both systems, find out what they can
// do, register webhooks, schedule, open the doors, backfill. A step that cannot
// be done undoes those before it, last first, and says why in the
// connection's state.
func Activation(ctx workflow.Context, in ActivationInput) (ActivationStatus, error) {
	a := &activation{in: in}
	if err := workflow.SetQueryHandler(ctx, StatusQuery, func() (ActivationStatus, error) { return a.status, nil }); err != nil {
		return a.status, err
	}
	if err := tag(ctx, in.Tuning, in.Key, "", ""); err != nil {
		return a.status, err
	}
	err := a.bringUp(ctx)
	if err != nil && !workflow.IsContinueAsNewError(err) {
		a.undoAll(ctx, err)
	}
	return a.status, err
}

// activation is the state of one execution.
type activation struct {
	in     ActivationInput
	status ActivationStatus
	// undo holds what takes back the steps done, in their order.
	undo []func(workflow.Context) error
}

func (a *activation) bringUp(ctx workflow.Context) error {
	var steps *activities.Lifecycle
	if err := a.check(ctx); err != nil {
		return err
	}
	if err := a.do(ctx, systemStep, "find out what both systems can do", steps.ProbeSystems, nil); err != nil {
		return err
	}
	// Webhooks make it fast; polls make it sure. A vendor that refuses ours does
	// not keep a connection down: housekeeping tries again.
	a.undo = append(a.undo, func(ctx workflow.Context) error {
		return a.do(ctx, undoStep, "remove webhooks", steps.RemoveWebhooks, nil)
	})
	if err := a.do(ctx, undoStep, "register webhooks", steps.EnsureWebhooks, nil); err != nil {
		if ctx.Err() != nil || codeOf(err) == fault.NotFound {
			return err
		}
		a.status.Problem = "Webhooks are not registered, so it polls only for now: " + reasonOf(err)
	}
	if err := a.do(ctx, ledgerStep, "schedule polls", steps.ScheduleStreams, nil); err != nil {
		return err
	}
	a.undo = append(a.undo, func(ctx workflow.Context) error {
		return a.do(ctx, undoStep, "remove schedules", steps.RemoveSchedules, nil)
	})
	if err := a.do(ctx, undoStep, "schedule comparisons", steps.PutSchedules, nil); err != nil {
		return err
	}
	if err := a.setState(ctx, ledger.Active, ""); err != nil {
		return err
	}
	out, err := openRun(ctx, a.in.Tuning, a.in.Key, ledger.RunBackfill, "")
	if err != nil {
		return err
	}
	a.status.RunID = out.RunID
	a.step(ctx, "active; the first load runs as "+out.WorkflowID)
	return nil
}

// do runs one step and shows it.
func (a *activation) do(ctx workflow.Context, row step, summary string, activity, out any) error {
	a.step(ctx, summary)
	return workflow.ExecuteActivity(with(ctx, a.in.Tuning, row, summary), activity, activities.KeyIn{Key: a.in.Key}).Get(ctx, out)
}

func (a *activation) step(ctx workflow.Context, summary string) {
	a.status.Step = summary
	a.show(ctx)
}

// check waits for systems that do not answer, and gives up on credentials that
// are refused again and again, unless they worked before.
func (a *activation) check(ctx workflow.Context) error {
	var steps *activities.Lifecycle
	refused, pause := 0, unreachableRest
	for {
		var out activities.CheckOut
		err := a.do(ctx, systemStep, "check both systems", steps.CheckSystems, &out)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !fault.Retryable(codeOf(err)) {
			return err
		}
		if err == nil && len(out.Problems) == 0 {
			return a.cleared(ctx)
		}
		problem, hopeless := a.describe(out.Problems, err)
		if hopeless {
			refused++
		}
		if refused >= refusedTries {
			return temporal.NewNonRetryableApplicationError(problem, string(fault.Auth), nil)
		}
		if err := a.wait(ctx, problem, hopeless, &pause); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, ActivationType, a.in)
		}
	}
}

// wait shows the problem and rests. A system that does not answer is told to
// people once, in the connection's state.
func (a *activation) wait(ctx workflow.Context, problem string, hopeless bool, pause *time.Duration) error {
	told := a.status.Problem == problem
	a.status.Problem = problem
	a.show(ctx)
	if hopeless {
		return workflow.Sleep(ctx, refusedRest)
	}
	if !told {
		// A new version of a connection that works goes on working meanwhile.
		in := activities.SetStateIn{Key: a.in.Key, State: ledger.Draft, Reason: "waiting: " + problem, Unless: ledger.Active}
		if a.in.Live {
			in.State, in.Unless = ledger.Active, ledger.Paused
		}
		if err := a.store(ctx, in); err != nil {
			return err
		}
	}
	rest := *pause
	*pause = grow(*pause, mostUnreachableRest)
	return workflow.Sleep(ctx, rest)
}

func (a *activation) cleared(ctx workflow.Context) error {
	a.status.Problem = ""
	a.show(ctx)
	return nil
}

// setState stores how the activation ended; the pause of a connection that worked
// when it began holds.
func (a *activation) setState(ctx workflow.Context, state ledger.ConnectionState, reason string) error {
	in := activities.SetStateIn{Key: a.in.Key, State: state, Reason: reason}
	if a.in.Live {
		in.Unless = ledger.Paused
	}
	return a.store(ctx, in)
}

func (a *activation) store(ctx workflow.Context, in activities.SetStateIn) error {
	var steps *activities.Lifecycle
	return workflow.ExecuteActivity(with(ctx, a.in.Tuning, ledgerStep, "set the state to "+string(in.State)), steps.SetState, in).Get(ctx, nil)
}

// undoAll takes back what was done, last first, and leaves the reason.
func (a *activation) undoAll(ctx workflow.Context, cause error) {
	last, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	for i := len(a.undo) - 1; i >= 0; i-- {
		if err := a.undo[i](last); err != nil {
			workflow.GetLogger(ctx).Warn("a step of an activation that failed was not undone", "step", a.status.Step, "code", codeOf(err))
		}
	}
	a.status.Problem = reasonOf(cause)
	if temporal.IsCanceledError(cause) {
		a.status.Problem = "the activation was cancelled"
	}
	a.step(last, "failed")
	if err := a.setState(last, ledger.Failing, a.status.Problem); err != nil {
		workflow.GetLogger(ctx).Warn("the state of a connection that failed to come up was not stored", "code", codeOf(err))
	}
}

// describe puts problems into one text for people. Hopeless ones need a person:
// refused credentials, missing scopes, wrong settings. A connection that works waits
// for credentials and scopes as it does without an edit.
func (a *activation) describe(problems []activities.SideProblem, err error) (text string, hopeless bool) {
	if err != nil {
		return reasonOf(err), false
	}
	for _, problem := range problems {
		if text != "" {
			text += "; "
		}
		if !strings.HasPrefix(problem.Reason, string(problem.Side)) {
			text += string(problem.Side) + ": "
		}
		text += problem.Reason
		refused := !a.in.Live && (problem.Code == fault.Auth || problem.Code == fault.Forbidden)
		hopeless = hopeless || refused || !fault.Retryable(problem.Code)
	}
	return text, hopeless
}
