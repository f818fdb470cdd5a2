package control

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// RunStatus is how far a running run has come.
type RunStatus struct {
	ID     string         `json:"id"`
	Kind   ledger.RunKind `json:"kind"`
	Stream string         `json:"stream"`
	Progress
}

// Progress counts records: those that are done and, once everything is listed,
// those there are.
type Progress struct {
	Done  int  `json:"done"`
	Total *int `json:"total,omitempty"`
	// Listing is the listing at work while the total is not known.
	Listing *Listing `json:"listing,omitempty"`
	// PerMinute is the pace of late, of rows while it lists and of records after;
	// SecondsLeft what that leaves of the run, or, while it lists, of that listing.
	// Both are absent while they cannot be told.
	PerMinute   *float64 `json:"per_minute,omitempty"`
	SecondsLeft *int     `json:"seconds_left,omitempty"`
}

// Listing is how far one listing has come; Total only if the server says it.
type Listing struct {
	Stream string      `json:"stream"`
	Side   record.Side `json:"side"`
	Done   int         `json:"done"`
	Total  *int        `json:"total,omitempty"`
}

// ProgressOf tells how far a run is.
func ProgressOf(run ledger.Run) Progress {
	p := Progress{Done: run.Done}
	if run.Total >= 0 {
		p.Total = &run.Total
	} else if at := run.Listing; at != nil && run.State == ledger.RunRunning {
		p.Listing = &Listing{Stream: at.Stream, Side: at.Side, Done: at.Done}
		if at.Total >= 0 {
			p.Listing.Total = &at.Total
		}
	}
	if run.State == ledger.RunRunning && run.PerMinute > 0 {
		p.PerMinute = &run.PerMinute
	}
	if left := run.Left(); left > 0 {
		seconds := int(left.Seconds())
		p.SecondsLeft = &seconds
	}
	return p
}

// running are the running runs among the latest of a connection.
func (c *Control) running(ctx context.Context, key ledger.Key) ([]RunStatus, error) {
	recent, _, err := c.Store.ListRuns(ctx, key, ledger.ListOptions{})
	var running []RunStatus
	for _, run := range recent {
		if run.State == ledger.RunRunning {
			running = append(running, RunStatus{ID: run.ID, Kind: run.Kind, Stream: run.Stream, Progress: ProgressOf(run)})
		}
	}
	return running, err
}
