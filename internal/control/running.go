package control

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
)

// RunStatus is how far a running run has come.
type RunStatus struct {
	ID     string         `json:"id"`
	Kind   ledger.RunKind `json:"kind"`
	Stream string         `json:"stream"`
	ledger.Progress
	// Problem says why it does not get on; nil while it does.
	Problem *ledger.RunProblem `json:"problem,omitempty"`
}

// running are the runs of a connection that are under way.
func (c *Control) running(ctx context.Context, key ledger.Key) ([]RunStatus, error) {
	runs, err := c.Store.RunningRuns(ctx, key)
	var running []RunStatus
	for _, run := range runs {
		running = append(running, RunStatus{ID: run.ID, Kind: run.Kind, Stream: run.Stream, Progress: ledger.ProgressOf(run), Problem: run.Problem})
	}
	return running, err
}
