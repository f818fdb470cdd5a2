// Package ledger is the durable state of Accord: its types, and the Store
// interface that SQLite and Postgres implement (sqlstore) and every
// implementation proves with the same suite (ledgertest). It decides nothing.
package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Key names one connection of one tenant. Every row belongs to one.
type Key struct {
	Tenant     string `json:"tenant"`
	Connection string `json:"connection"`
}

// String returns "tenant/connection".
func (k Key) String() string { return k.Tenant + "/" + k.Connection }

// ConnectionState is the state of a connection.
type ConnectionState string

// The states of a connection. Changes are accepted from the moment of Active.
const (
	Draft   ConnectionState = "draft"
	Active  ConnectionState = "active"
	Paused  ConnectionState = "paused"
	Failing ConnectionState = "failing"
)

// Connection is one customer's installed pair of systems.
type Connection struct {
	Key
	// Name is the integration's name.
	Name  string
	State ConnectionState
	// StateReason says for people why it is failing or paused.
	StateReason string
	// Version counts the edits of the integration, from 1.
	Version int
	// Integration is the YAML or JSON as given, placeholders intact.
	Integration string
	// Variables fill ${NAME}; Secrets fill ${secret:NAME} and are encrypted at rest.
	Variables, Secrets   map[string]string
	CreatedAt, UpdatedAt time.Time
}

// Values holds one plain value per field, by the name under `fields:`.
type Values map[string]any

// Base is, for each mapped field and side, what that server was last known to
// hold: plain values as read, so that a new normal form changes nothing. A field
// that is absent has no common past (first-link rules apply).
type Base struct {
	Left  Values `json:"left"`
	Right Values `json:"right"`
	// LeftWrote and RightWrote are the server's times that our own last write
	// on that side caused: they never count as a user's edit (newest wins).
	LeftWrote  time.Time `json:"left_wrote,omitzero"`
	RightWrote time.Time `json:"right_wrote,omitzero"`
}

// Of returns the values of one side.
func (b Base) Of(side record.Side) Values {
	if side == record.Left {
		return b.Left
	}
	return b.Right
}

// LinkState is the state of a link.
type LinkState string

// The states of a link: in step; deleted (both ids kept, nothing comes back);
// unlinked for good by the ignore policy, the survivor is not matched again.
const (
	LinkActive    LinkState = "active"
	LinkTombstone LinkState = "tombstone"
	LinkDetached  LinkState = "detached"
)

// Link joins a left and a right record of a stream.
type Link struct {
	ID     string
	Stream string
	// Left and Right are the refs. Both are set in every state.
	Left, Right record.Ref
	State       LinkState
	Base        Base
	// LeftVersion and RightVersion are the versions the base belongs to, if any.
	LeftVersion, RightVersion string
	// GoneSide and GoneAt mark a first "not found" that waits to be verified.
	GoneSide record.Side
	GoneAt   time.Time
	// Flagged is set when a delete met an edit and both were kept.
	Flagged              bool
	CreatedAt, UpdatedAt time.Time
}

// Ref returns the ref on one side.
func (l Link) Ref(side record.Side) record.Ref {
	if side == record.Left {
		return l.Left
	}
	return l.Right
}

// Lane is the urgency of a change, smallest first.
type Lane int

// The lanes: a person or an event waits; a listing found it; a first load.
const (
	LaneLive     Lane = 0
	LanePoll     Lane = 1
	LaneBackfill Lane = 2
)

// Change says "look at this record". It carries a ref, never trusted values.
type Change struct {
	Stream string
	Ref    record.Ref
	// DueAt is when to look; zero: now.
	DueAt time.Time
	Lane  Lane
	// RunID is the run that found it, if any; EventID the event.
	RunID, EventID string
	// Trace is the W3C traceparent of the call that brought it.
	Trace string
}

// Work is a claimed change.
type Work struct {
	Change
	// Generation grows with every arrival of the same ref; done means delete
	// where the generation is still this one.
	Generation int64
	// Tries counts failed tries; Claims counts all claims, crashes included.
	Tries, Claims int
	// FirstAt is when the row came into being.
	FirstAt time.Time
	// Lease is the right to work on the record (and its counterpart if linked).
	Lease Lease
}

// Lease is the right to work on some keys until Expires. The token is unique to
// one acquisition and never used again: a commit is refused as soon as any of
// its keys has been taken by another acquisition.
type Lease struct {
	Token   string
	Keys    []string
	Expires time.Time
}

// RefKey is the lease key of a record.
func RefKey(ref record.Ref) string { return "ref/" + ref.String() }

// MatchLeaseKey is the lease key of a match key (already hashed) in a stream.
func MatchLeaseKey(stream, hash string) string { return "key/" + stream + "/" + hash }

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
	// delete, Before is empty and the before-image lies in the history.
	Sent, Before, From Values
	// Patch is keyed by the target's dotted paths: exactly what is sent.
	Patch map[string]any
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
)

// Cause is why a value was written.
type Cause struct {
	Kind CauseKind `json:"kind"`
	// Side is where the winning value came from.
	Side record.Side `json:"side,omitempty"`
	// EventID is the event that brought it, if any.
	EventID string `json:"event_id,omitempty"`
}

// HistoryEntry tells what one write replaced, and why. The whole record before
// a delete is kept under field "" with Old holding the before-image.
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

// HeldState is the state of an operation the guard holds.
type HeldState string

// The states of a held operation.
const (
	HeldWaiting  HeldState = "held"
	HeldApproved HeldState = "approved"
	HeldRejected HeldState = "rejected"
	HeldDone     HeldState = "done"
)

// Held is an operation the guard holds until an operator approves.
type Held struct {
	ID     string
	Stream string
	LinkID string
	// Ref is the record that would be deleted, cleared or rewritten.
	Ref   record.Ref
	Op    string
	Since time.Time
	State HeldState
}

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
	// Again is set when somebody asked for the same run while it was running:
	// it lists once more before it ends.
	Again bool
}

// Cursor is how far one listing was read.
type Cursor struct {
	// Since is the changed-since bound of the listing under way, Page the
	// connector's cursor inside it (empty: at its start).
	Since time.Time
	Page  string
	// HighWater is the largest server time safely read; the next poll starts
	// there minus the overlap.
	HighWater time.Time
	// PendingHighWater becomes HighWater when the listing under way ends.
	PendingHighWater time.Time
	// Done is set for listings that are read once (a run's).
	Done bool
}

// Seen is what a listing or read last showed of a record.
type Seen struct {
	Stream string
	Ref    record.Ref
	// Print is the fingerprint of the mapped values.
	Print string
	// MatchHash is the hash of the match key; empty when blank.
	MatchHash string
	// InScope is the stream's `where` for this row.
	InScope   bool
	UpdatedAt time.Time
	// ScanID is the run whose full scan saw it last.
	ScanID string
}

// SideState is what is known of one of the two systems of a connection, shared
// by all workers.
type SideState struct {
	// PausedUntil: nobody calls before it (429). QuotaLimit and the others are
	// what the vendor's headers last said; TakeQuota counts QuotaRemaining down.
	PausedUntil                time.Time
	QuotaLimit, QuotaRemaining int
	QuotaKnown                 bool
	QuotaResetAt               time.Time
	// Failures counts consecutive failures; BrokenUntil is the circuit breaker.
	Failures    int
	BrokenUntil time.Time
	// LastOKAt is the last good answer, LastError the code of the last failure.
	LastOKAt  time.Time
	LastError string
	// WebhookID, WebhookState ("", "active", "off", "failed", "none"), WebhookURL.
	WebhookID, WebhookState, WebhookURL string
	WebhookCheckedAt                    time.Time
	// WebhookVersion is the version of the integration it was registered for.
	WebhookVersion int
	// Capabilities is what was probed, as JSON; empty before.
	Capabilities string
	// Skew is the server's clock minus ours as last measured.
	Skew time.Duration
}

// StreamState is the schedule of a stream of a connection.
type StreamState struct {
	Stream                    string
	NextPollAt, NextCompareAt time.Time
	LastPollAt, LastCompareAt time.Time
	// IdlePolls counts polls in a row that found nothing.
	IdlePolls int
}
