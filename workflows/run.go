package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// RunInput is the input of a Run workflow.
type RunInput struct {
	Key ledger.Key
	// RunID is the row of the run; empty (a Schedule's): one is opened.
	RunID string
	Kind  ledger.RunKind
	// Stream is empty for all streams.
	Stream string
	Tuning Tuning
	// Listed and Status are carried from one execution into the next.
	Listed bool
	Status RunStatus
}

// RunPhase is what a run is at.
type RunPhase string

// The phases of a run.
const (
	PhaseListing RunPhase = "listing"
	PhaseWorking RunPhase = "working"
	PhasePaused  RunPhase = "paused"
	PhaseEnded   RunPhase = "ended"
	// PhaseJoined: another workflow carries this run.
	PhaseJoined RunPhase = "joined another"
)

// RunStatus is how far a run has come.
type RunStatus struct {
	RunID  string         `json:"run_id"`
	Kind   ledger.RunKind `json:"kind"`
	Stream string         `json:"stream"`
	Phase  RunPhase       `json:"phase"`
	// Passes counts how often it listed, the pass under way included.
	Passes int `json:"passes"`
	// Done and Total count records; Total is -1 while unknown. Pending is how
	// many wait.
	Done    int           `json:"done"`
	Total   int           `json:"total"`
	Pending int           `json:"pending"`
	Counts  ledger.Counts `json:"counts"`
	// Problem says why it waits, until NextTry; empty while it works.
	Problem string    `json:"problem,omitempty"`
	NextTry time.Time `json:"next_try"`
	// Mark is how far the ledger had come when a drain last said so.
	Mark ledger.Mark `json:"mark,omitzero"`
}

// Run carries one run: it lists until nothing is left to list, works until
// nothing it found is left to do, and once more if somebody asked meanwhile.
func Run(ctx workflow.Context, in RunInput) (RunStatus, error) {
	r, err := newRun(ctx, in)
	if err != nil {
		return RunStatus{}, err
	}
	mine, err := r.begin(ctx)
	if err != nil || !mine {
		return r.status, err
	}
	for again := true; again; {
		if err = r.pass(ctx); err != nil {
			break
		}
		if again, err = r.end(ctx, ledger.RunSucceeded, ""); err != nil {
			break
		}
	}
	return r.status, r.giveUp(ctx, err)
}

// run is the state of one execution.
type run struct {
	in      RunInput
	resumed workflow.ReceiveChannel
	status  RunStatus
	// pause is the last pause after a failure or without progress, paused that
	// of a connection which is not active; zero after progress.
	pause, paused time.Duration
}

func newRun(ctx workflow.Context, in RunInput) (*run, error) {
	r := &run{in: in, resumed: workflow.GetSignalChannel(ctx, ResumedSignal), status: in.Status}
	if r.status.Passes == 0 {
		r.status = RunStatus{RunID: in.RunID, Kind: in.Kind, Stream: in.Stream, Phase: PhaseListing, Passes: 1, Total: -1}
	}
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (RunStatus, error) { return r.status, nil }); err != nil {
		return nil, err
	}
	return r, tag(ctx, in.Tuning, in.Key, in.Stream, in.Kind)
}

// begin opens the run if it has no row yet. It is not ours when another
// workflow carries it (that one lists once more) or when it is over.
func (r *run) begin(ctx workflow.Context) (mine bool, err error) {
	var runs *activities.Runs
	var out activities.BeginRunOut
	in := activities.BeginRunIn{Key: r.in.Key, RunID: r.in.RunID, Kind: r.in.Kind, Stream: r.in.Stream}
	err = workflow.ExecuteActivity(with(ctx, r.in.Tuning, ledgerStep, "begin the run"), runs.BeginRun, in).Get(ctx, &out)
	if err != nil {
		return false, err
	}
	r.in.RunID, r.status.RunID = out.RunID, out.RunID
	if out.Theirs {
		r.status.Phase = PhaseJoined
	}
	r.show(ctx)
	return !out.Theirs, nil
}

// pass lists once and works off what was found.
func (r *run) pass(ctx workflow.Context) error {
	if !r.in.Listed {
		r.status.Phase = PhaseListing
		if err := r.repeat(ctx, r.list); err != nil {
			return err
		}
		r.in.Listed = true
	}
	r.status.Phase = PhaseWorking
	return r.repeat(ctx, r.drain)
}

// outcome is what one step of a phase came to.
type outcome struct {
	finished, paused bool
	// wait is the pause before the next step; zero: none. most bounds how far
	// pauses without progress grow.
	wait, most time.Duration
	// progress: something was done. problem says for people why it waits.
	progress bool
	problem  string
}

// repeat does steps of a phase until it is finished. Failures that only time or
// a person mends are shown and tried again, with growing pauses, for ever.
func (r *run) repeat(ctx workflow.Context, do func(workflow.Context) (outcome, error)) error {
	for {
		result, err := do(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && codeOf(err) == fault.NotFound {
			return err
		}
		if err == nil && result.finished {
			r.status.Problem, r.pause, r.paused = "", 0, 0
			r.show(ctx)
			return nil
		}
		if err := r.rest(ctx, result, err); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			r.in.Status = r.status
			return workflow.NewContinueAsNewError(ctx, RunType, r.in)
		}
	}
}

// rests are the pauses that rest makes next.
func (r *run) rests() activities.Rests {
	return activities.Rests{
		Waiting: max(grow(r.pause, mostRest), leastRest), Refused: max(grow(r.pause, mostFailedRest), leastRest),
		Failed: max(grow(r.pause, mostFailedRest), failedRest),
	}
}

// rest waits as long as the outcome asks for, or longer if nothing moves.
func (r *run) rest(ctx workflow.Context, result outcome, failed error) error {
	wait := result.wait
	r.status.Problem = result.problem
	if !result.paused {
		r.paused = 0
	}
	switch {
	case failed != nil:
		r.pause = max(grow(r.pause, mostFailedRest), failedRest)
		wait = r.pause
		r.status.Problem = reasonOf(failed)
	case result.paused:
		r.paused = max(grow(r.paused, pausedLook), firstPaused)
		wait = r.paused
	case result.progress:
		r.pause = 0
	default:
		r.pause = max(grow(r.pause, result.most), leastRest)
		wait = max(wait, r.pause)
	}
	phase := r.status.Phase
	if result.paused {
		r.status.Phase = PhasePaused
	}
	r.status.NextTry = workflow.Now(ctx).Add(wait)
	r.show(ctx)
	if wait <= 0 {
		return nil
	}
	_, err := waitFor(ctx, r.resumed, max(wait, leastRest), "wait before the next step")
	r.status.Phase = phase
	return err
}

// list does one step of the listing.
func (r *run) list(ctx workflow.Context) (outcome, error) {
	var runs *activities.Runs
	if r.in.Kind == ledger.RunReplay {
		var out activities.ReplayOut
		in := activities.ReplayIn{Key: r.in.Key, RunID: r.in.RunID}
		err := workflow.ExecuteActivity(with(ctx, r.in.Tuning, ledgerStep, "replay dead letters"), runs.ReplayDeadLetters, in).Get(ctx, &out)
		return outcome{finished: true}, err
	}
	var out activities.ListStepOut
	in := activities.ListStepIn{Key: r.in.Key, RunID: r.in.RunID, Kind: r.in.Kind, Stream: r.in.Stream, For: listFor, Rests: r.rests()}
	err := workflow.ExecuteActivity(with(ctx, r.in.Tuning, listStep, "list "+streamName(r.in.Stream)), runs.ListStep, in).Get(ctx, &out)
	if err != nil {
		return outcome{}, err
	}
	r.progress(out.Run)
	r.status.Pending += out.Enqueued
	result := outcome{finished: out.Finished, paused: out.Paused, wait: out.Wait, most: mostRest, progress: out.Read > 0}
	if out.Code != "" {
		result.problem = "a system answers with " + string(out.Code)
	}
	if out.Code == fault.Auth || out.Code == fault.Forbidden {
		result.most = mostFailedRest
	}
	return result, nil
}

// drain works on what this run found until nothing of it is left. A record whose
// try failed leaves the run (ledger.Commit.CountTry) and goes on as live work, so
// that no run waits for what fails for long. What waits as a part of the protocol
// (the second look at a delete, a system that asks for patience) is not tried yet
// and belongs to the run.
func (r *run) drain(ctx workflow.Context) (outcome, error) {
	untried := r.in.Kind == ledger.RunPoll
	out, err := r.drainShards(ctx, untried)
	if err != nil {
		return outcome{}, err
	}
	before := r.status.Pending
	r.status.Pending = out.Pending
	if !out.Paused {
		r.progress(out.Run)
	}
	startConflicts(ctx, r.in.Tuning, r.in.Key, out.Opened)
	endConflicts(ctx, r.in.Key, out.Closed)
	result := outcome{
		finished: out.Pending == 0 || untried && out.Untried == 0, paused: out.Paused,
		progress: out.Claimed > 0 || out.Pending != before, most: mostRest,
	}
	if out.Code != "" {
		result.problem = "a system answers with " + string(out.Code)
	}
	if result.paused {
		result.finished = false
	}
	if out.Waiting && out.Wait > 0 {
		// Other drains work on these rows too, so a look before the time is worth
		// it, but ever more rarely.
		result.most = min(max(out.Wait, mostRest), time.Minute)
		result.wait = min(out.Wait, leastRest)
	}
	return result, nil
}

// drainShards runs one drain, or one per shard side by side when much waits.
func (r *run) drainShards(ctx workflow.Context, untriedOnly bool) (activities.DrainOut, error) {
	in := activities.DrainIn{Key: r.in.Key, Shards: 1, RunID: r.in.RunID, UntriedOnly: untriedOnly, For: drainFor, Mark: r.status.Mark}
	if r.status.Pending > bigBacklog {
		in.Shards = drainShards
	}
	outs, err := drainAll(ctx, r.in.Tuning, in, "reconcile what was found")
	if err != nil {
		return activities.DrainOut{}, err
	}
	for _, out := range outs {
		if out.Mark.Epoch != "" {
			r.status.Mark = out.Mark
		}
	}
	return sum(outs), nil
}

func (r *run) progress(progress activities.RunProgress) {
	r.status.Done, r.status.Total, r.status.Counts = progress.Done, progress.Total, progress.Counts
}

// end closes the run, or begins another pass if it was asked for again.
func (r *run) end(ctx workflow.Context, state ledger.RunState, reason string) (again bool, err error) {
	var runs *activities.Runs
	var out activities.EndRunOut
	in := activities.EndRunIn{Key: r.in.Key, RunID: r.in.RunID, State: state, Reason: reason}
	err = workflow.ExecuteActivity(with(ctx, r.in.Tuning, ledgerStep, "end the run"), runs.EndRun, in).Get(ctx, &out)
	if err != nil {
		return false, err
	}
	r.progress(out.Run)
	if !out.Again {
		r.status.Phase = PhaseEnded
		r.show(ctx)
		return false, nil
	}
	next := activities.NextPassIn{Key: r.in.Key, RunID: r.in.RunID}
	if err := workflow.ExecuteActivity(with(ctx, r.in.Tuning, ledgerStep, "list once more"), runs.NextPass, next).Get(ctx, nil); err != nil {
		return false, err
	}
	r.in.Listed = false
	r.status.Passes++
	r.status.Phase = PhaseListing
	r.show(ctx)
	return true, nil
}

// giveUp ends the row of a run whose workflow was cancelled or cannot go on.
func (r *run) giveUp(ctx workflow.Context, failed error) error {
	if failed == nil || workflow.IsContinueAsNewError(failed) {
		return failed
	}
	state, reason := ledger.RunFailed, reasonOf(failed)
	if temporal.IsCanceledError(failed) {
		state, reason = ledger.RunCancelled, "it was cancelled"
	}
	last, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if _, err := r.end(last, state, reason); err != nil {
		workflow.GetLogger(ctx).Warn("the row of a run that cannot go on stays open", "run", r.in.RunID, "code", codeOf(err))
	}
	return failed
}
