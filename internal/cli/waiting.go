package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// patience says how long a command waits for a run; zero: for ever.
type patience struct {
	// giveUp bounds how long the run may stand still, timeout all of the waiting.
	giveUp, timeout time.Duration
}

// defaultGiveUp is longer than what a healthy run waits for without moving: the
// second look at a delete, a plan of calls that is renewed each minute.
const defaultGiveUp = 3 * time.Minute

func (p patience) check(command *cobra.Command, waits bool) error {
	if !waits && (command.Flags().Changed("give-up") || command.Flags().Changed("timeout")) {
		return fault.New(fault.Usage, "--give-up and --timeout go with --wait")
	}
	if p.giveUp < 0 || p.timeout < 0 {
		return fault.New(fault.Usage, "--give-up and --timeout are durations such as 5m; 0: for ever")
	}
	return nil
}

// waiting looks at a run that a command waits for: it tells what keeps the run, and
// ends the waiting when it gets too long.
type waiting struct {
	patience
	progress *progress
	out      io.Writer
	clock    func() time.Time
	end      context.CancelCauseFunc

	began, moved time.Time
	last         string
	told         string
}

// look takes the run as it is now.
func (w *waiting) look(run ledger.Run) {
	w.progress.show(run)
	now := w.clock()
	if w.began.IsZero() {
		w.began = now
	}
	if mark := markOf(run); mark != w.last {
		w.last, w.moved = mark, now
	}
	w.tell(run.Problem)
	switch {
	case run.State != ledger.RunRunning:
	case w.timeout > 0 && now.Sub(w.began) >= w.timeout:
		w.end(fault.New(fault.Unavailable, "stopped waiting for run %s after %s%s; the run goes on", run.ID, w.timeout, becauseOf(run.Problem)))
	case w.giveUp > 0 && now.Sub(w.stillSince(run.Problem)) >= w.giveUp:
		w.end(stuck(run, now.Sub(w.moved)))
	}
}

// stillSince is from when on a standstill counts: not while a system has told how
// long it is to be left alone.
func (w *waiting) stillSince(problem *ledger.RunProblem) time.Time {
	if problem != nil && problem.Code == string(fault.Throttled) && problem.NextTry.After(w.moved) {
		return problem.NextTry
	}
	return w.moved
}

// tell prints each problem once.
func (w *waiting) tell(problem *ledger.RunProblem) {
	if problem == nil {
		if w.told != "" {
			w.progress.line(w.out, "it goes on")
		}
		w.told = ""
		return
	}
	// Behind the bracket stands what is another one at each try: the request's id.
	what, _, _ := strings.Cut(problem.Message, " (")
	if what != w.told {
		w.told = what
		w.progress.line(w.out, "it waits: "+waitsFor(*problem))
	}
}

// markOf changes whenever the run gets on.
func markOf(run ledger.Run) string {
	at := ledger.ListingProgress{}
	if run.Listing != nil {
		at = *run.Listing
	}
	return fmt.Sprint(run.State, run.Done, run.Total, run.Counts, at)
}

// stuck is the error of a run that stands still. Its exit code says who is to act:
// 4 an operator (the connection is paused), 5 whoever keeps the credentials, 75 nobody
// (a system does not answer or lets us wait), 1 whoever can mend what is refused.
func stuck(run ledger.Run, since time.Duration) error {
	const text = "run %s has not moved for %s%s; the run goes on, and the command status tells more"
	if run.Problem == nil {
		return fault.New(fault.Unavailable, text, run.ID, since.Round(time.Second), " and does not say why: is a worker running?")
	}
	code := fault.Invalid
	switch fault.Code(run.Problem.Code) {
	case fault.Auth, fault.Forbidden:
		code = fault.Auth
	case fault.Conflict:
		code = fault.Conflict
	case fault.Transient, fault.Throttled, fault.Stale, fault.Busy, fault.Unavailable:
		code = fault.Unavailable
	}
	return fault.New(code, text, run.ID, since.Round(time.Second), becauseOf(run.Problem))
}

func becauseOf(problem *ledger.RunProblem) string {
	if problem == nil {
		return ""
	}
	return ": " + waitsFor(*problem)
}
