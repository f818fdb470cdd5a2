package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/ledger"
)

// PollerInput is the input of a Poller workflow.
type PollerInput struct {
	// N is its number, from 0; number 0 keeps house too.
	N      int
	Tuning Tuning
	// Mark is how far the ledger had come when a sweep last said so.
	Mark ledger.Mark
}

// Poller looks after all connections: polls that are due, changes that nobody
// was told of, conflicts that nobody looks after. It never ends.
func Poller(ctx workflow.Context, in PollerInput) error {
	var total activities.SweepOut
	keep := &housekeeping{in: in}
	for n := range sweepsPerRun {
		if in.N == 0 && n%in.Tuning.sweepsPerHousekeep() == 0 {
			keep.start(ctx)
		}
		out, err := sweepOnce(ctx, in)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// Not even repetition helped: a defect. Rest, then look after the others.
			total.Failed++
			if err := workflow.Sleep(ctx, mostRest); err != nil {
				return err
			}
		}
		if out.Mark.Epoch != "" {
			in.Mark = out.Mark
		}
		total = addSweeps(total, out)
		keep.collect(ctx)
		showSweeps(ctx, in.N, total, keep.last)
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			break
		}
	}
	keep.wait(ctx)
	return workflow.NewContinueAsNewError(ctx, PollerType, in)
}

func sweepOnce(ctx workflow.Context, in PollerInput) (activities.SweepOut, error) {
	var poller *activities.Poller
	var out activities.SweepOut
	sweep := activities.SweepIn{For: in.Tuning.sweep(), Hold: in.Tuning.pollHold(), Polls: pollsSideBySide, Mark: in.Mark}
	err := workflow.ExecuteActivity(with(ctx, in.Tuning, sweepStep, "look after all connections"), poller.Sweep, sweep).Get(ctx, &out)
	return out, err
}

func addSweeps(a, b activities.SweepOut) activities.SweepOut {
	return activities.SweepOut{
		Looks: a.Looks + b.Looks, Polls: a.Polls + b.Polls, Enqueued: a.Enqueued + b.Enqueued,
		Nudged: a.Nudged + b.Nudged, Conflicts: a.Conflicts + b.Conflicts, Failed: a.Failed + b.Failed,
	}
}

// housekeeping goes on beside the sweeps, one round at a time.
type housekeeping struct {
	in     PollerInput
	future workflow.Future
	last   activities.HousekeepOut
}

func (h *housekeeping) start(ctx workflow.Context) {
	if h.future != nil {
		return
	}
	var poller *activities.Poller
	h.future = workflow.ExecuteActivity(with(ctx, h.in.Tuning, housekeepStep, "webhooks, lost runs, retention"), poller.Housekeep)
}

// collect takes the answer of a round that has ended.
func (h *housekeeping) collect(ctx workflow.Context) {
	if h.future != nil && h.future.IsReady() {
		h.wait(ctx)
	}
}

// wait waits for the round under way. One that failed is repeated at its next turn.
func (h *housekeeping) wait(ctx workflow.Context) {
	if h.future == nil {
		return
	}
	if err := h.future.Get(ctx, &h.last); err != nil {
		workflow.GetLogger(ctx).Warn("a round of housekeeping failed; the next one tries again", "code", codeOf(err))
	}
	h.future = nil
}
