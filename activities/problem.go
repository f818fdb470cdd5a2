package activities

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// pausedProblem is what a run is told to wait for while its connection is paused.
const pausedProblem = "the connection is not active: it goes on when it is resumed"

// noteListed stores why a listing waits, if it does. The problem's text goes to the
// ledger alone: histories hold codes.
func (a *Runs) noteListed(ctx context.Context, in ListStepIn, out ListStepOut, problem string) {
	rest := in.Rests.Waiting
	switch {
	case out.Paused:
		a.noteProblem(ctx, in.RunID, fault.Conflict, pausedProblem, 0)
		return
	case out.Code == "":
		return
	case out.Read > 0:
		rest = 0
	case out.Code == fault.Auth || out.Code == fault.Forbidden:
		rest = in.Rests.Refused
	}
	a.noteProblem(ctx, in.RunID, out.Code, problem, max(out.Wait, rest))
}

// noteDrained stores why the work of a run waits, if it does.
func (o Options) noteDrained(ctx context.Context, runID string, out DrainOut, problem string) {
	switch {
	case out.Paused:
		o.noteProblem(ctx, runID, fault.Conflict, pausedProblem, 0)
	case out.Code != "" && out.Claimed == 0 && out.Pending > 0:
		o.noteProblem(ctx, runID, out.Code, problem, out.Wait)
	}
}

// noteFailure stores an error of a step that is tried again after rest at the latest.
func (o Options) noteFailure(ctx context.Context, runID string, err error, rest time.Duration) {
	if ctx.Err() != nil {
		return
	}
	text := "the step failed without a code; please report this"
	if coded := fault.As(err); coded != nil {
		text = coded.Error()
	}
	o.noteProblem(ctx, runID, fault.CodeOf(err), text, rest)
}

// noteProblem is best effort: a ledger that does not answer is itself the problem,
// and the run goes on as soon as it does.
func (o Options) noteProblem(ctx context.Context, runID string, code fault.Code, text string, wait time.Duration) {
	problem := ledger.RunProblem{Code: string(code), Message: text}
	now, err := o.Store.Now(ctx)
	if err == nil {
		if wait > 0 {
			problem.NextTry = now.Add(wait)
		}
		err = o.Store.PutRunProblem(ctx, runID, problem)
	}
	if err != nil {
		o.Log.WithField("run", runID).WithField("code", fault.CodeOf(err)).Warn("why a run does not get on could not be stored")
	}
}
