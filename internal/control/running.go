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
}

// running are the running runs among the latest of a connection.
func (c *Control) running(ctx context.Context, key ledger.Key) ([]RunStatus, error) {
	recent, _, err := c.Store.ListRuns(ctx, key, ledger.ListOptions{})
	var running []RunStatus
	for _, run := range recent {
		if run.State == ledger.RunRunning {
			running = append(running, RunStatus{ID: run.ID, Kind: run.Kind, Stream: run.Stream, Progress: ledger.ProgressOf(run)})
		}
	}
	return running, err
}
