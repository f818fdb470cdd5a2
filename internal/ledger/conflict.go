package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// ConflictState is the state of a conflict.
type ConflictState string

// The states of a conflict: waits; an operator or the fallback has chosen and
// reconcile has yet to apply it; over.
const (
	ConflictOpen    ConflictState = "open"
	ConflictDecided ConflictState = "decided"
	ConflictClosed  ConflictState = "closed"
)

// Choice is what was decided.
type Choice string

// The choices of a decision.
const (
	ChooseLeft  Choice = "left"
	ChooseRight Choice = "right"
	ChooseValue Choice = "value"
)

// Decision is bound to the values that were seen.
type Decision struct {
	Choose Choice `json:"choose"`
	// Value is the chosen value in the left system's form, for ChooseValue.
	Value any       `json:"value,omitempty"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
}

// Conflict is one field of one link changed on both sides. Field "" is a delete
// against an edit.
type Conflict struct {
	ID     string
	Stream string
	LinkID string
	// LeftRef and RightRef name the records.
	LeftRef, RightRef record.Ref
	Field             string
	// Base, Left and Right are plain values as the servers held them; Base is
	// that of the left side, nil when there is no common past.
	Base, Left, Right any
	FirstLink         bool
	OpenedAt          time.Time
	Deadline          time.Time
	State             ConflictState
	// ClosedBy says how it ended: agreed, put_back, decision, fallback, gone.
	ClosedBy string
	ClosedAt time.Time
	Decision *Decision
	// WorkflowID is its timer and door; Started is false until that workflow runs.
	WorkflowID string
	Started    bool
}
