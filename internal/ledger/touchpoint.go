package ledger

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// TouchPoint is one e-mail or phone call, as the record that logs it says now.
// There is one row per record and nothing is ever added up in it: what is counted
// is the rows, so that telling of a record again changes no count. It holds ids
// and no names.
type TouchPoint struct {
	// Stream is the name under `touch_points.sources`, Ref the record.
	Stream string
	Ref    record.Ref
	// Kind is the word it is counted under, Day its date (YYYY-MM-DD) in the time
	// zone of `touch_points`.
	Kind, Day string
	// User and Customer are ids as the record has them; empty: it has none.
	// UserStream and CustomerStream are the streams whose links translate them.
	User, UserStream, Customer, CustomerStream string
	// GoneAt is when the record was first not found, until that is verified.
	GoneAt time.Time
}

// Merge says that a vendor joined a record into another one: what refers to From
// means Into.
type Merge struct {
	Stream string
	From   record.Ref
	Into   string
}

// Touch names what touch-points are counted by.
type Touch string

// What touch-points are counted by, in the order in which counts are sorted.
const (
	TouchDay      Touch = "day"
	TouchKind     Touch = "kind"
	TouchUser     Touch = "user"
	TouchCustomer Touch = "customer"
)

// Touches lists them all.
func Touches() []Touch { return []Touch{TouchDay, TouchKind, TouchUser, TouchCustomer} }

// TouchFilter narrows what is counted; empty fields match all.
type TouchFilter struct {
	// From and To are the first and the last day, YYYY-MM-DD.
	From, To string
	// Kinds are counted alone; User and Customer are ids as TouchCount shows them.
	Kinds          []string
	User, Customer string
	// By says what is counted apart; empty: all of Touches.
	By []Touch
}

// Party is a user or a customer of a touch-point.
type Party struct {
	// Side is the one that ID belongs to: the other system's where the record is
	// linked, else that of the touch-point itself. Both are empty for "nobody".
	Side record.Side
	ID   string
}

// TouchCount is how many touch-points there are of one combination. What it was
// not asked to be counted by is empty.
type TouchCount struct {
	Day, Kind      string
	User, Customer Party
	Count          int
}

// TouchTotal is how many touch-points of a kind a connection has.
type TouchTotal struct {
	Key   Key
	Kind  string
	Count int
}

// TouchStream is a source that has rows, with the collection they are from.
type TouchStream struct {
	Stream string
	Side   record.Side
	Object string
}

// MaxTouchPage is the largest page of CountTouchPoints.
const MaxTouchPage = 20_000

// TouchPoints keeps one row per e-mail or call and counts them. Ids of users and
// customers are translated by the active links of now, and through merges.
type TouchPoints interface {
	// TouchPointsOf returns the rows of ids; unknown ids are missing from the map.
	TouchPointsOf(ctx context.Context, key Key, stream string, side record.Side, ids []string) (map[string]TouchPoint, error)
	// SomeTouchPoints returns up to n ids of a stream that are not marked gone,
	// without the one named: the control of a verified delete.
	SomeTouchPoints(ctx context.Context, key Key, stream string, side record.Side, except string, n int) ([]string, error)
	// EnqueueUnseenTouchPoints is EnqueueUnseen for the rows of a source.
	EnqueueUnseenTouchPoints(ctx context.Context, key Key, stream string, side record.Side, scanID string, lane Lane, limit int) (int, error)
	// TouchStreams returns the sources that have rows, in the order of their names.
	TouchStreams(ctx context.Context, key Key) ([]TouchStream, error)
	// FirstTouchPoints returns up to n rows of a source.
	FirstTouchPoints(ctx context.Context, key Key, stream string, n int) ([]TouchPoint, error)
	// MoveTouchPoints gives the rows of a source to another one, up to limit at once, and
	// returns how many. Rows of records of which the other has one stay.
	MoveTouchPoints(ctx context.Context, key Key, from, to string, limit int) (int, error)
	// CountTouchPoints counts, sorted by day, kind, user and customer. limit is
	// 1..MaxTouchPage; cursor is opaque.
	CountTouchPoints(ctx context.Context, key Key, filter TouchFilter, limit int, cursor string) (items []TouchCount, next string, err error)
	// CountCustomer counts the touch-points of one customer, named by the id and
	// side that the touch-points have, and of those merged into it. No kinds: all.
	CountCustomer(ctx context.Context, key Key, stream string, customer record.Ref, kinds []string) (int, error)
	// Survivor follows merges: the id that a record answers to now.
	Survivor(ctx context.Context, key Key, stream string, ref record.Ref) (string, error)
	// TouchTotals counts all, by connection and kind.
	TouchTotals(ctx context.Context) ([]TouchTotal, error)
}
