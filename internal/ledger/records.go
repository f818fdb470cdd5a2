package ledger

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// State is all that the ledger knows about a record before it is reconciled.
type State struct {
	// Link is the active or detached link of the ref; nil when unlinked.
	// Tombstone is the newest tombstone of the ref when there is no such link.
	Link, Tombstone *Link
	// Intents are the open ones whose link, source or target is this record,
	// oldest first.
	Intents []Intent
	// Conflicts open or decided on the link.
	Conflicts []Conflict
	// DeadLetters open or replayed (under way) on the ref or its counterpart.
	DeadLetters []DeadLetter
	// Discarded are the discarded ones: what they are about is not tried while it is
	// as it was.
	Discarded []DeadLetter
	// Held operations of the link that wait, are approved or were rejected.
	Held []Held
}

// Records is what reconcile reads and writes about one record.
type Records interface {
	// Load reads the state of a ref in a stream.
	Load(ctx context.Context, key Key, stream string, ref record.Ref) (State, error)
	// CreatesUnderWay reports whether creates on a side of a stream are open that
	// began no later than at: one of them may have made a record seen since.
	CreatesUnderWay(ctx context.Context, key Key, stream string, side record.Side, at time.Time) (bool, error)
	// LoadMany is Load for many refs of one stream and side, for listings.
	// Every id asked for is in the map.
	LoadMany(ctx context.Context, key Key, stream string, side record.Side, ids []string) (map[string]State, error)
	// Counterparts translates ids of one side into the ids of the other by
	// active links of a stream. Unknown ids are missing from the map.
	Counterparts(ctx context.Context, key Key, stream string, side record.Side, ids []string) (map[string]string, error)
	// Commit applies everything in one transaction, fenced: if any key of the
	// lease belongs to another token, nothing is written and the error is Stale.
	Commit(ctx context.Context, key Key, commit Commit) error
	// Links lists links; empty filter fields match all.
	Links(ctx context.Context, key Key, filter LinkFilter, options ListOptions) (items []Link, next string, err error)
	// Link returns one link or NotFound.
	Link(ctx context.Context, key Key, id string) (Link, error)
	// SomeLinked returns up to n ids on a side that have an active link and are
	// not marked gone, without the one named: the control of a verified delete.
	SomeLinked(ctx context.Context, key Key, stream string, side record.Side, except string, n int) ([]string, error)
	// LinkedElsewhere returns the other connections of the tenant that have a link
	// (no tombstone) between the two refs, or an open create of a from b.
	LinkedElsewhere(ctx context.Context, key Key, a, b record.Ref) ([]Key, error)
	// CountLinks counts active links by stream.
	CountLinks(ctx context.Context, key Key) (map[string]int, error)
	// MatchCandidates returns the seen refs of a side with that match hash,
	// with the state of their link (empty when unlinked).
	MatchCandidates(ctx context.Context, key Key, stream string, side record.Side, matchHash string) ([]Candidate, error)
}

// Candidate is a record that carries a match key.
type Candidate struct {
	Ref     record.Ref
	InScope bool
	// LinkID and LinkState are those of its active or detached link.
	LinkID    string
	LinkState LinkState
}

// LinkFilter narrows Links. State empty: all states.
type LinkFilter struct {
	Stream string
	Side   record.Side
	ID     string
	State  LinkState
}

// Commit is the outcome of a step of reconcile.
type Commit struct {
	// Lease fences the commit. An empty token commits unfenced (listings, decisions).
	Lease Lease
	// Take are further lease keys that must be free when work ends (Done or Retry):
	// Busy, with the key as its subject, when another holds one.
	Take []string
	// PutLinks inserts or replaces links by ID. A second active or detached
	// link for the same stream, side and id is refused with Conflict.
	PutLinks []Link
	// OpenIntents are stored before a write, inserted or replaced by ID (again
	// with SentAt once they are sent); CloseIntents ends them.
	OpenIntents  []Intent
	CloseIntents []string
	History      []HistoryEntry
	// PutConflicts inserts or replaces by ID; there is at most one open or
	// decided conflict per link and field (a second is refused with Conflict).
	PutConflicts []Conflict
	// PutDeadLetters inserts or replaces by ID.
	PutDeadLetters []DeadLetter
	PutHeld        []Held
	// PutMatches inserts or replaces by rule and ref, PutFirings by ID; a second
	// firing of one occurrence is refused with Conflict. AddCounts adds.
	PutMatches []Match
	PutFirings []Firing
	// DropEvents forgets kept events, by stream, ref and event.
	DropEvents []Change
	AddCounts  []RuleCount
	PutSeen    []Seen
	// DropSeen forgets rows of deleted records.
	DropSeen []record.Ref
	// DropStream is the stream of DropSeen and DropTouchPoints.
	DropStream string
	// PutTouchPoints inserts or replaces by stream and ref; DropTouchPoints removes.
	PutTouchPoints  []TouchPoint
	DropTouchPoints []record.Ref
	// PutMerges are remembered for good; one of a record that was itself merged into
	// is followed to the end.
	PutMerges []Merge
	// Enqueue adds changes in the same transaction.
	Enqueue []Change
	// Done deletes this inbox row if its generation is still the claimed one,
	// else it becomes due at once. Either way its claim ends and the lease is
	// released.
	Done *Work
	// Retry puts the row back instead, due at RetryAt; the lease is released.
	// With CountTry it has one try more, and leaves its run: its lane is LanePoll
	// at most and its RunID empty (one that another run gave it meanwhile stays),
	// so that it goes on as live work and no run waits for what fails for long.
	Retry    *Work
	RetryAt  time.Time
	CountTry bool
	// RunID and Counts add to a run; RunDone adds to its progress.
	RunID   string
	Counts  Counts
	RunDone int
}
