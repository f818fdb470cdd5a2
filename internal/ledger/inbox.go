package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

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
	// KeepEvent: a rule fires once per event, and this is one that it names. Changes of
	// one ref become one row; their events are kept beside it until the rule has seen them.
	KeepEvent bool
	// Patient: a row of this ref whose try failed keeps its back-off, and this
	// change adds nothing to it.
	Patient bool
	// Trace is the W3C traceparent of the call that brought it.
	Trace string
	// Shown is the record as the listing or the event showed it, if it did: its
	// Fields, its Version, or both. It may be old or incomplete by now. It serves to
	// see that there is nothing new, and to create from what a listing showed; no
	// record is ever overwritten with it. It is kept sealed, and lost as soon as
	// another change of the same ref shows something else.
	Shown *record.Record
	// Deleted: the vendor has said that the record was deleted. It is a reason to look
	// like any other, and tells a delete from a record that is not visible yet. A later
	// change of the same ref does not take it back.
	Deleted bool
}

// Work is a claimed change.
type Work struct {
	Change
	// Generation grows with every arrival of the same ref; done means delete
	// where the generation is still this one.
	Generation int64
	// Tries counts failed tries; Claims counts all claims, crashes included;
	// Crashes those in a row, up to this one, that ended without a word.
	Tries, Claims, Crashes int
	// FirstAt is when the row came into being.
	FirstAt time.Time
	// Lease is the right to work on the record (and its counterpart if linked).
	Lease Lease
}

// PoisonClaims is after how many claims in a row that ended without a word a row
// is taken for one that kills its workers: it is put off between two claims, ever
// longer, so that others are served meanwhile.
const PoisonClaims = 5

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
