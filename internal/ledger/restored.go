package ledger

import (
	"context"
	"time"
)

// Mark is how far a ledger has come. The count grows as long as anybody works
// with it; whoever remembers a larger count of the same epoch, or an epoch that
// the ledger has never had, knows that it was put back to an older state.
type Mark struct {
	// Epoch names an uninterrupted life of the ledger; empty: nothing is known.
	Epoch string `json:"epoch,omitempty"`
	Count int64  `json:"count,omitempty"`
	// At is when the count grew last, by the ledger's clock.
	At time.Time `json:"at,omitzero"`
}

// Restored says that the ledger was put back to an older state while the two
// systems went on. The zero value: it never was.
type Restored struct {
	// Epoch names the life that began with it.
	Epoch string `json:"epoch"`
	// From is when the state that it was put back to was last at work, To when the
	// state that is lost was: what Accord did between the two is not known.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// FoundAt is when it was noticed, State what the connection was then.
	FoundAt time.Time       `json:"found_at"`
	State   ConnectionState `json:"state"`
	// AcceptedAt is when an operator let the connection go on, ComparedAt when
	// everything had been compared since. Zero: not yet.
	AcceptedAt time.Time `json:"accepted_at,omitzero"`
	ComparedAt time.Time `json:"compared_at,omitzero"`
}

// Waiting reports whether nothing is written until an operator accepts it.
func (r Restored) Waiting() bool { return !r.FoundAt.IsZero() && r.AcceptedAt.IsZero() }

// Comparing reports whether it was accepted and the comparison of everything
// has not ended yet.
func (r Restored) Comparing() bool { return !r.AcceptedAt.IsZero() && r.ComparedAt.IsZero() }

// Standing is what is asked about a connection before each claim.
type Standing struct {
	State    ConnectionState
	Version  int
	Mark     Mark
	Restored Restored
}

// Restores notices that the ledger was put back, and ends that state.
type Restores interface {
	// Witness compares the ledger's mark with what others remember of it, moves
	// it on (every three seconds at most) and returns it. If the ledger was put back,
	// all its connections become failing in the same transaction, and found is
	// what they keep of it, with their number.
	Witness(ctx context.Context, remembered ...Mark) (mark Mark, found *Restored, connections int, err error)
	// AcceptRestored lets a connection go on in the state it had. from, if not
	// zero, says how old the ledger's state is, for one whose return was not
	// noticed, and wins if it is earlier. Conflict when nothing waits and from is
	// zero; accepting again before everything was compared is no error.
	AcceptRestored(ctx context.Context, key Key, from time.Time) (Restored, error)
	// EndRestored notes that everything was compared since.
	EndRestored(ctx context.Context, key Key, epoch string) error
}
