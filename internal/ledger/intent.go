package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Op is what a write does.
type Op string

// The operations of intents, held operations and history.
const (
	OpCreate Op = "create"
	OpUpdate Op = "update"
	OpDelete Op = "delete"
)

// Intent is a write about to be made. It is open until its outcome is known.
type Intent struct {
	ID     string
	Stream string
	Op     Op
	// LinkID is empty for a create. Source is the record the values come from;
	// Target the one written, its ID empty for a create.
	LinkID         string
	Source, Target record.Ref
	// Fields are the field names being written; Sent the plain values sent by
	// field, Before what the target held, From what the source held. For a
	// delete, Before is the image of the whole record by the vendor's own names.
	Sent, Before, From Values
	// Patch is keyed by the target's dotted paths: exactly what is sent.
	Patch map[string]any
	// ReadVersion and ReadAt are the target's version and updated time as the
	// plan saw them; ReadOthers fingerprints its mapped fields that are not
	// written, ReadRest what is not mapped (empty: not read). They tell later
	// whether, and by what, the record was touched.
	ReadVersion string
	ReadAt      time.Time
	ReadOthers  string
	ReadRest    string
	// IfMatch is the version the write demands; IdempotencyKey repeats with it.
	IfMatch, IdempotencyKey string
	// Cause is written to the history of this write; Causes holds those of
	// single fields where they differ.
	Cause  Cause
	Causes map[string]Cause
	// RunID is the run on whose behalf it is made.
	RunID string
	// SentAt is when it was first sent by our clock; zero: surely never sent.
	OpenedAt, SentAt time.Time
}

// CauseKind says why a value was written.
type CauseKind string

// The causes.
const (
	CauseChange    CauseKind = "change"
	CausePolicy    CauseKind = "policy"
	CauseDecision  CauseKind = "decision"
	CauseFirstLink CauseKind = "first_link"
	CauseUndo      CauseKind = "undo"
	// CauseTouchPoints: the number of a customer's touch-points changed.
	CauseTouchPoints CauseKind = "touch_points"
)

// Cause is why a value was written.
type Cause struct {
	Kind CauseKind `json:"kind"`
	// Side is where the winning value came from.
	Side record.Side `json:"side,omitempty"`
	// EventID is the event that brought it, if any.
	EventID string `json:"event_id,omitempty"`
}

// HistoryEntry tells what one write replaced, and why. Under field "" stand the
// whole records: before a delete in Old, as sent with a create in New.
type HistoryEntry struct {
	ID     string
	At     time.Time
	Stream string
	LinkID string
	Ref    record.Ref
	// Field is the name under `fields:`; Old and New are the plain values.
	Field      string
	Op         Op
	Old, New   any
	Cause      Cause
	RunID      string
	WorkflowID string
	RequestID  string
	IntentID   string
}
