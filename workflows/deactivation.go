package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// DeactivationInput is the input of a Deactivation workflow.
type DeactivationInput struct {
	Key    ledger.Key
	Tuning Tuning
}

// Deactivation takes a connection down for good: stop its workflows, take our
// webhooks and schedules away, and delete all that the ledger holds of it. A
// system that does not answer keeps nobody from deleting; its webhook then
// calls an address that answers nothing.
func Deactivation(ctx workflow.Context, in DeactivationInput) error {
	if err := tag(ctx, in.Tuning, in.Key, "", ""); err != nil {
		return err
	}
	var steps *activities.Lifecycle
	for _, s := range []struct {
		row      step
		summary  string
		activity any
		// optional steps are given up when they fail.
		optional bool
	}{
		{ledgerStep, "stop its workflows", steps.StopWorkflows, false},
		{undoStep, "remove webhooks", steps.RemoveWebhooks, true},
		{ledgerStep, "remove schedules", steps.RemoveSchedules, false},
		{systemStep, "delete its data", steps.DeleteConnection, false},
	} {
		workflow.SetCurrentDetails(ctx, "### Deleting "+in.Key.String()+"\n\nStep: **"+s.summary+"**\n")
		err := workflow.ExecuteActivity(with(ctx, in.Tuning, s.row, s.summary), s.activity, activities.KeyIn{Key: in.Key}).Get(ctx, nil)
		if err == nil || codeOf(err) == fault.NotFound {
			continue
		}
		if ctx.Err() != nil || !s.optional {
			return err
		}
		workflow.GetLogger(ctx).Warn("our webhooks stay at a system that does not let us remove them", "connection", in.Key.String(), "code", codeOf(err))
	}
	return nil
}
