package activities

import (
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// DrainRequest bounds one drain.
type DrainRequest struct {
	Shard, Shards int
	RunID         string
	For           time.Duration
	Stop          <-chan struct{}
	Beat          func(done int)
}

// DrainResult says what happened and when to come back.
type DrainResult struct {
	Claimed, Done, Retried int
	Backlog                int
	Pending                int
	Untried                int
	NextDue                time.Time
	Paused                 bool
	Opened                 []string
	Closed                 []string
}

// ListRequest bounds one step of a listing.
type ListRequest struct {
	RunID  string
	Kind   ledger.RunKind
	Stream string
	For    time.Duration
	Stop   <-chan struct{}
	Beat   func(read int)
}

// ListResult says how far a step came.
type ListResult struct {
	Finished bool
	Read     int
	Enqueued int
	Paused   bool
	RetryAt  time.Time
}

// PollResult says what a poll found.
type PollResult struct {
	Read, Enqueued int
	NeedNudge      bool
}

// SeenPrints are the fingerprints of the two values that an operator saw.
type SeenPrints struct{ Left, Right string }

// SideCheck is the outcome of a check of one side; Code is empty when all is well.
type SideCheck struct {
	Code    fault.Code
	Message string
}

// CheckResult is the outcome of a check of both sides.
type CheckResult struct {
	Sides map[record.Side]SideCheck
}
