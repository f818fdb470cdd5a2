package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// RunKind is the kind of a run.
type RunKind string

// The kinds of runs.
const (
	RunBackfill RunKind = "backfill"
	RunPoll     RunKind = "poll"
	RunCompare  RunKind = "compare"
	RunReplay   RunKind = "replay"
	RunUndo     RunKind = "undo"
)

// RunState is the state of a run.
type RunState string

// The states of a run.
const (
	RunRunning   RunState = "running"
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunCancelled RunState = "cancelled"
)

// Counts are what a run did. Read counts rows listed; the others count records.
type Counts struct {
	Read      int `json:"read"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Deleted   int `json:"deleted"`
	Linked    int `json:"linked"`
	Unchanged int `json:"unchanged"`
	Conflicts int `json:"conflicts"`
	Parked    int `json:"parked"`
	Held      int `json:"held"`
}

// Add returns the sum.
func (c Counts) Add(d Counts) Counts {
	return Counts{
		Read: c.Read + d.Read, Created: c.Created + d.Created, Updated: c.Updated + d.Updated,
		Deleted: c.Deleted + d.Deleted, Linked: c.Linked + d.Linked, Unchanged: c.Unchanged + d.Unchanged,
		Conflicts: c.Conflicts + d.Conflicts, Parked: c.Parked + d.Parked, Held: c.Held + d.Held,
	}
}

// Run is one pass with counts and progress.
type Run struct {
	ID   string
	Key  Key
	Kind RunKind
	// Stream is empty for a run over all streams.
	Stream             string
	State              RunState
	Error              string
	StartedAt, EndedAt time.Time
	// Done counts records finished; Total is -1 while unknown.
	Done, Total int
	Counts      Counts
	WorkflowID  string
	// Listing is the listing at work, or the last one; nil before the first page.
	Listing *ListingProgress
	// PerMinute is how many records it has finished a minute of late; while Total is
	// unknown, how many rows it has listed. 0: not known, or it stands still.
	PerMinute float64
	// Again is set when somebody asked for the same run while it was running:
	// it lists once more before it ends.
	Again bool
	// Problem says why it does not get on; nil while it does, and once it has ended.
	Problem *RunProblem
}

// RunProblem is what keeps a run from going on, until it goes on.
type RunProblem struct {
	// Code is the fault's; Message is for people and free of personal data.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Since is when it was first met since the run last moved, Tries how often it was.
	Since time.Time `json:"since"`
	Tries int       `json:"tries"`
	// NextTry is when it is tried again, or looked at again, at the latest; zero: not known.
	NextTry time.Time `json:"next_try,omitzero"`
}

// ListingProgress is how far one listing of a run has come.
type ListingProgress struct {
	Stream string
	Side   record.Side
	// Done counts rows; Total is what the server says there are, -1 if it does not.
	Done, Total int
}

// Left is how long it takes at the present pace until all of the run is done, or,
// while it lists and its total is unknown, until the listing at work is; 0: not known.
func (r Run) Left() time.Duration {
	missing := r.Total - r.Done
	if r.Total < 0 {
		if r.Listing == nil || r.Listing.Total < 0 {
			return 0
		}
		missing = r.Listing.Total - r.Listing.Done
	}
	if r.State != RunRunning || r.PerMinute <= 0 || missing <= 0 {
		return 0
	}
	return time.Duration(float64(missing) / r.PerMinute * float64(time.Minute)).Round(time.Second)
}
