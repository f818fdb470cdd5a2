package ledger

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Store is the durable state. Every method is one transaction, safe for many
// processes at once, and returns *fault.Error: NotFound, Conflict, Stale (a
// lease was lost: nothing of the call was written), Unavailable (the database
// does not answer: nothing is known to be written), Usage.
//
// Times are the Store's own clock unless a time is passed in: on Postgres the
// database's, so that workers with wrong clocks agree on leases and due times.
type Store interface {
	Connections
	Restores
	Inbox
	Records
	Conflicts
	DeadLetters
	Histories
	Firings
	Guards
	Runs
	Listings
	Sides
	Requests
	TouchPoints

	// Now is the store's clock.
	Now(ctx context.Context) (time.Time, error)
	// Clock is the store's clock as this process knows it from its last calls,
	// without asking: what is compared with stored times, or stored to be compared
	// by others, is told by it and not by the machine's own clock.
	Clock() time.Time
	// Migrate brings the schema up to date; safe when many start at once.
	Migrate(ctx context.Context) error
	// Ping answers nil when the database works.
	Ping(ctx context.Context) error
	// Purge deletes what is older than its retention, in batches.
	Purge(ctx context.Context, retention Retention) (int, error)
	// Close releases the database.
	Close() error
}

// Retention says how long finished things are kept; zero keeps for good.
type Retention struct {
	History, ClosedConflicts, ClosedDeadLetters, EndedRuns, Tombstones, Requests time.Duration
}

// ListOptions pages a list. Cursor is opaque; an invalid one is fault.Usage.
type ListOptions struct {
	// Limit is 1..200; 0 means 50.
	Limit  int
	Cursor string
}

// Connections keeps installed integrations.
type Connections interface {
	// CreateConnection stores a new connection as version 1.
	CreateConnection(ctx context.Context, connection Connection) error
	// UpdateConnection stores a new version (the old ones are kept) if Version
	// is the present one plus one, else fault.Conflict.
	UpdateConnection(ctx context.Context, connection Connection) error
	// IntegrationOf returns the integration of a version as it was stored, or NotFound.
	IntegrationOf(ctx context.Context, key Key, version int) (string, error)
	// ReplacedVersions returns the versions of a connection that an edit replaced
	// within the time given, newest first and at most ten, with their integration,
	// variables and secrets alone.
	ReplacedVersions(ctx context.Context, key Key, within time.Duration) ([]Connection, error)
	// SetConnectionState changes the state alone; reason is for people. Conflict
	// when it would become active while a restored ledger waits to be accepted.
	SetConnectionState(ctx context.Context, key Key, state ConnectionState, reason string) error
	// Connection returns one with variables and secrets decrypted, or NotFound.
	Connection(ctx context.Context, key Key) (Connection, error)
	// Standing returns only what changes, or NotFound: cheap enough to ask before
	// each claim.
	Standing(ctx context.Context, key Key) (Standing, error)
	// FindConnection looks an id up in whatever tenant it belongs to.
	FindConnection(ctx context.Context, id string) (Connection, error)
	// ListConnections pages the connections of a tenant; empty tenant: all.
	ListConnections(ctx context.Context, tenant string, options ListOptions) (items []Connection, next string, err error)
	// Versions returns key, state and version of every connection of every tenant, by
	// id, and nothing else: cheap enough to ask every few seconds.
	Versions(ctx context.Context) ([]Connection, error)
	// DeleteConnection removes a connection and everything that belongs to it.
	DeleteConnection(ctx context.Context, key Key) error
}

// Inbox is the durable table of changes, one row per stream and ref.
type Inbox interface {
	// Enqueue stores changes: a new row, or a larger generation on the old one
	// with the earlier due time, the smaller lane and the newer event id and
	// run. It returns true when no nudge is pending, and marks one pending for
	// nudgeFor: the caller then tells Temporal. NotFound without a connection.
	Enqueue(ctx context.Context, key Key, changes []Change, nudgeFor time.Duration) (needNudge bool, err error)
	// ClearNudge is called before the inbox is read.
	ClearNudge(ctx context.Context, key Key) error
	// Claim takes up to request.Limit due rows whose leases are free, smallest
	// lane then earliest due first, takes the leases of each (the ref's, and
	// that of its counterparts by any link in state active or detached), and
	// counts the claim. A row whose lease is held is passed over. Rows claimed
	// by a worker that died become claimable when their lease expires.
	Claim(ctx context.Context, key Key, request ClaimRequest) ([]Work, error)
	// OfRun pages through what waits of a run and stream, in the order of the refs,
	// behind after (zero: from the start), with what was shown of each.
	OfRun(ctx context.Context, key Key, runID, stream string, after record.Ref, limit int) ([]Change, error)
	// Pending says how much is waiting.
	Pending(ctx context.Context, key Key, filter PendingFilter) (Pending, error)
	// Extend takes more keys into a lease or renews it to now+ttl: all or
	// nothing, in sorted order. Busy when another holds a key; Stale when the
	// lease itself was lost.
	Extend(ctx context.Context, key Key, lease Lease, moreKeys []string, ttl time.Duration) (Lease, error)
	// Acquire takes a lease outside of a claim; Busy when a key is held.
	Acquire(ctx context.Context, key Key, keys []string, ttl time.Duration) (Lease, error)
	// Release gives a lease back early; lost leases are no error.
	Release(ctx context.Context, key Key, lease Lease) error
	// ConnectionsWithDue lists connections in state active that have rows due
	// before now and no nudge pending, for the sweep.
	ConnectionsWithDue(ctx context.Context, limit int) ([]Key, error)
}

// ClaimRequest says which rows a drain wants.
type ClaimRequest struct {
	// Shard of Shards: rows whose ref hashes into it (fnv32a of the ref's string modulo Shards); Shards 0 or 1: all.
	// Shards must divide 64.
	Shard, Shards int
	// MaxLane leaves out less urgent lanes.
	MaxLane Lane
	// RunID, if set, takes only rows of that run; Stream only those of that stream.
	RunID, Stream string
	Limit         int
	TTL           time.Duration
}

// PendingFilter narrows Pending.
type PendingFilter struct {
	RunID  string
	Stream string
	// SkipBackfill leaves out the rows of first loads.
	SkipBackfill bool
}

// Pending is what waits in a connection.
type Pending struct {
	// Changes due or waiting for a retry; DueNow those that could be claimed
	// now; Untried those Changes without a failed try.
	Changes, DueNow, Untried int
	// Intents are writes whose outcome is unknown.
	Intents int
	// NextDue is the earliest due time or lease expiry of what is not claimable
	// now; zero when there is nothing. Oldest is the earliest arrival.
	NextDue, Oldest time.Time
}

// Conflicts lists and decides conflicts.
type Conflicts interface {
	// ListConflicts pages; empty state: all. The list is oldest first.
	ListConflicts(ctx context.Context, key Key, state ConflictState, options ListOptions) (items []Conflict, next string, err error)
	// FindConflict looks one up by id in any connection, or NotFound.
	FindConflict(ctx context.Context, id string) (Key, Conflict, error)
	// DecideConflict stores a decision on an open conflict if its left and
	// right values are still those given (compared as canonical JSON), enqueues
	// the record, and moves it to decided; Conflict when the values moved or it
	// is not open any more (deciding again the same way is no error).
	DecideConflict(ctx context.Context, key Key, id string, decision Decision, left, right any) error
	// MarkConflictStarted records that its workflow runs.
	MarkConflictStarted(ctx context.Context, key Key, id, workflowID string) error
	// ConflictsDue lists open conflicts of any connection past their deadline,
	// or whose workflow was never started.
	ConflictsDue(ctx context.Context, limit int) ([]KeyedConflict, error)
}

// KeyedConflict is a conflict with its connection.
type KeyedConflict struct {
	Key      Key
	Conflict Conflict
}

// DeadLetters lists and steers parked records.
type DeadLetters interface {
	// ListDeadLetters pages those that the filter lets through. Oldest first.
	ListDeadLetters(ctx context.Context, key Key, filter DeadLetterFilter, options ListOptions) (items []DeadLetter, next string, err error)
	// FindDeadLetter looks one up by id in any connection, or NotFound.
	FindDeadLetter(ctx context.Context, id string) (Key, DeadLetter, error)
	// PatchDeadLetter merges overrides into an open dead letter.
	PatchDeadLetter(ctx context.Context, key Key, id string, overrides Values) (DeadLetter, error)
	// ReplayDeadLetters marks open ones replayed (ids empty: all) and enqueues
	// their records in the same transaction, under runID if given; it returns
	// how many. All of them take several transactions: after an error those that are
	// replayed stay so, and the same call goes on with the others.
	ReplayDeadLetters(ctx context.Context, key Key, ids []string, runID string) (int, error)
	// DiscardDeadLetter ends an open one for the reason given, and with it the parked
	// firings of its record if its stream is that of a rule.
	DiscardDeadLetter(ctx context.Context, key Key, id, reason string) error
}

// HistoryFilter narrows the history; empty fields match all.
type HistoryFilter struct {
	Stream string
	Side   record.Side
	ID     string
	Field  string
	RunID  string
}

// Histories answers "why did this value change".
type Histories interface {
	// ListHistory pages, newest first.
	ListHistory(ctx context.Context, key Key, filter HistoryFilter, options ListOptions) (items []HistoryEntry, next string, err error)
}

// Guards counts and holds dangerous operations.
type Guards interface {
	// TakeGuard counts operations in the window of length per that ends now, in
	// one transaction, and returns those beyond max. There is one count per
	// stream, operation, side and field. A subject that was counted in the window
	// passes again; what is refused is not counted.
	TakeGuard(ctx context.Context, key Key, takes []GuardTake, max int, per time.Duration) (refused []GuardTake, err error)
	// GuardUsed is what was taken in the window: the largest of the counts that
	// the operation has in this stream.
	GuardUsed(ctx context.Context, key Key, stream string, op GuardOp, per time.Duration) (int, error)
	// ListHeld pages operations in a state (empty: held).
	ListHeld(ctx context.Context, key Key, state HeldState, options ListOptions) (items []Held, next string, err error)
	// DecideHeld approves or rejects held operations (ids empty: all that wait)
	// and enqueues their records; it returns how many.
	DecideHeld(ctx context.Context, key Key, ids []string, state HeldState) (int, error)
}

// Runs keeps passes and their progress.
type Runs interface {
	// StartRun stores a running run, or returns the running one of the same
	// kind and stream with Again set and joined true. A backfill is joined as it
	// is, without Again: what changes while it lists is found by polls.
	StartRun(ctx context.Context, run Run) (started Run, joined bool, err error)
	// Run returns one by id from any connection, or NotFound.
	Run(ctx context.Context, id string) (Run, error)
	// ListRuns pages, newest first.
	ListRuns(ctx context.Context, key Key, options ListOptions) (items []Run, next string, err error)
	// RunningRuns returns those that are running, newest first: one of each kind and
	// stream at most, however many began and ended since.
	RunningRuns(ctx context.Context, key Key) ([]Run, error)
	// TakeAgain clears Again and reports whether it was set.
	TakeAgain(ctx context.Context, id string) (bool, error)
	// SetRunTotal stores the total once it is known.
	SetRunTotal(ctx context.Context, id string, total int) error
	// PutRunProblem stores why a running run does not get on: code, message and next
	// try as given, since and tries counted here. A record done or a row listed clears
	// it, and so does the end of the run. A run that is over stays as it is.
	PutRunProblem(ctx context.Context, id string, problem RunProblem) error
	// EndRun ends a running run unless Again is set, in which case it reports
	// false and the run goes on. Ending an ended run is no error.
	EndRun(ctx context.Context, id string, state RunState, reason string) (ended bool, err error)
}

// Listings keeps cursors, seen and schedules.
type Listings interface {
	// Cursor returns how far a listing was read; the zero value if never.
	// scope is "poll" or a run id.
	Cursor(ctx context.Context, key Key, stream string, side record.Side, scope string) (Cursor, error)
	// CommitPage stores, in one transaction, the seen rows, the changes and
	// then the cursor of one listed page, and adds to the run, whose listing at
	// work is what the cursor says. It returns whether a nudge is needed, like Enqueue.
	CommitPage(ctx context.Context, key Key, page PageCommit) (needNudge bool, err error)
	// SeenMany returns the seen rows of ids.
	SeenMany(ctx context.Context, key Key, stream string, side record.Side, ids []string) (map[string]Seen, error)
	// EnqueueUnseen enqueues the linked records of a side which the scan did
	// not see, at most limit per call, and returns how many; call until 0.
	EnqueueUnseen(ctx context.Context, key Key, stream string, side record.Side, scanID string, lane Lane, limit int) (int, error)
	// DeleteCursors forgets the cursors of a scope when its run has ended.
	DeleteCursors(ctx context.Context, key Key, scope string) error
	// ShapeStates returns what the checks of a connection's shapes have found, by
	// stream and side.
	ShapeStates(ctx context.Context, key Key) ([]ShapeState, error)
	// PutShapeState stores one; NotFound without a connection.
	PutShapeState(ctx context.Context, key Key, state ShapeState) error
	// StreamStates returns the schedules of a connection.
	StreamStates(ctx context.Context, key Key) ([]StreamState, error)
	// PutStreamState stores one.
	PutStreamState(ctx context.Context, key Key, state StreamState) error
	// ChangeStreamState reads, changes and writes the schedule of a stream, which
	// begins empty, in one transaction. change may be called several times.
	ChangeStreamState(ctx context.Context, key Key, stream string, change func(*StreamState)) error
	// ClaimDuePolls takes streams of active connections whose poll is due and
	// moves NextPollAt ahead by hold, so that no other poller takes them. A
	// stored state without a NextPollAt is due at once.
	ClaimDuePolls(ctx context.Context, hold time.Duration, limit int) ([]DuePoll, error)
}

// DuePoll is a stream to be polled now.
type DuePoll struct {
	Key   Key
	State StreamState
}

// PageCommit is one listed page on its way into the ledger.
type PageCommit struct {
	Stream string
	Side   record.Side
	// Scope is "poll" or the run id; Cursor what to store.
	Scope   string
	Cursor  Cursor
	Seen    []Seen
	Changes []Change
	// Matches are stored of records that their rule never met.
	Matches []Match
	// RunID, Counts and Unchanged rows' progress.
	RunID    string
	Counts   Counts
	RunDone  int
	NudgeFor time.Duration
}

// Sides keeps the state of the two systems of a connection, shared by all workers.
type Sides interface {
	// SideState reads; the zero value if nothing is known.
	SideState(ctx context.Context, key Key, side record.Side) (SideState, error)
	// UpdateSideState reads, changes and writes in one transaction. change may
	// be called more than once and must not call the Store.
	UpdateSideState(ctx context.Context, key Key, side record.Side, change func(*SideState)) (SideState, error)
	// TakeQuota takes up to want calls from the plan of a side for a lane
	// ("live", "poll", "backfill"). spec.PerMinute 0: unlimited. The vendor's
	// Remaining, if known and not reset, bounds what is granted. Granted 0 comes
	// with the time to ask again.
	TakeQuota(ctx context.Context, key Key, side record.Side, lane string, want int, spec QuotaSpec) (granted int, retryAt time.Time, err error)
	// LoadToken returns the stored token of a side decrypted (JSON made by the
	// caller), empty if none.
	LoadToken(ctx context.Context, key Key, side record.Side) ([]byte, error)
	// SwapToken stores a token encrypted if the stored one is still old.
	SwapToken(ctx context.Context, key Key, side record.Side, old, new []byte) (bool, error)
}

// QuotaSpec is the declared plan of a side.
type QuotaSpec struct {
	PerMinute int
	// Reserve is the share (0..1) of the plan that lanes below live leave free.
	Reserve float64
}

// Requests makes POSTs of our own API repeatable.
type Requests interface {
	// BeginRequest reserves an idempotency key. If it was used before with the
	// same fingerprint and finished, the stored answer is returned (status > 0);
	// with another fingerprint: Conflict; still running: Busy.
	BeginRequest(ctx context.Context, tenant, idempotencyKey, fingerprint string) (status int, body []byte, err error)
	// EndRequest stores the answer; status 0 frees the key (the call failed
	// before it did anything).
	EndRequest(ctx context.Context, tenant, idempotencyKey string, status int, body []byte) error
}
