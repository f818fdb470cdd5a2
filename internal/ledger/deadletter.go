package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// DeadLetterState is the state of a parked record.
type DeadLetterState string

// The states of a dead letter.
const (
	DeadLetterOpen      DeadLetterState = "open"
	DeadLetterReplayed  DeadLetterState = "replayed"
	DeadLetterResolved  DeadLetterState = "resolved"
	DeadLetterDiscarded DeadLetterState = "discarded"
)

// Reason is why a record was parked.
type Reason struct {
	Code    string `json:"code"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	Status  int    `json:"status,omitempty"`
	// RequestID is the vendor's.
	RequestID string `json:"request_id,omitempty"`
}

// DeadLetter is a parked record. There is at most one open one per stream and ref.
type DeadLetter struct {
	ID     string
	Stream string
	// Ref is the source record; LinkID its link if it has one.
	Ref    record.Ref
	LinkID string
	Reason Reason
	Tries  int
	// Values are the record's mapped fields as they were when it was parked, for
	// whoever corrects it; empty where they could not be read.
	Values Values
	// Overrides are values a person gave for the next replay, by field, in the
	// form of the source side.
	Overrides       Values
	FirstAt, LastAt time.Time
	State           DeadLetterState
	// SourcePrint and TargetPrint fingerprint the mapped values of the two
	// sides when it was parked: while both stay the same, nothing is tried.
	SourcePrint, TargetPrint string
	// DiscardReason is what the person said.
	DiscardReason string
}

// DeadLetterFilter chooses dead letters; empty members choose any.
type DeadLetterFilter struct {
	// State is that of the letters; empty: open.
	State  DeadLetterState
	Stream string
	// Side is where the record is that was refused.
	Side record.Side
	// Code and Field are those of the reason.
	Code, Field string
}

// HeldState is the state of an operation the guard holds.
type HeldState string

// The states of a held operation.
const (
	HeldWaiting  HeldState = "held"
	HeldApproved HeldState = "approved"
	HeldRejected HeldState = "rejected"
	HeldDone     HeldState = "done"
)

// GuardOp is a kind of operation that the guard counts and holds.
type GuardOp string

// The operations of the guard: a record is deleted, values become blank, values
// are replaced by others.
const (
	GuardDelete  GuardOp = "delete"
	GuardClear   GuardOp = "clear"
	GuardRewrite GuardOp = "rewrite"
)

// Held is an operation the guard holds until an operator approves.
type Held struct {
	ID     string
	Stream string
	LinkID string
	// Ref is the record that would be deleted, cleared or rewritten.
	Ref record.Ref
	Op  GuardOp
	// Fields are the names of the fields that would be cleared or rewritten, sorted.
	Fields []string
	Since  time.Time
	State  HeldState
	// LeftPrint and RightPrint fingerprint the mapped values of the two sides
	// when a clear or rewrite was last looked at: while both stay the same, there
	// is nothing to look at, and a rejection is about these values.
	LeftPrint, RightPrint string
}

// Print is the fingerprint of one side.
func (h Held) Print(side record.Side) string {
	if side == record.Left {
		return h.LeftPrint
	}
	return h.RightPrint
}

// GuardTake is one operation that is counted.
type GuardTake struct {
	Stream string
	Op     GuardOp
	// Side and Field give each written side and field a count of its own; empty
	// for deletes.
	Side  record.Side
	Field string
	// Subject is counted once per window, however often it is tried: a link's id.
	Subject string
}
