package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

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
	// Begun is the name of a listing under way that shows all there is: it tells this one
	// from others, whatever their servers say of the time.
	Begun string `json:",omitempty"`
	// Done is set for listings that are read once (a run's).
	Done bool
	// Closed is set on the right side of a stream of a run when all was listed and
	// what the listings did not show was looked for: that is done once.
	Closed bool `json:",omitempty"`
	// Keyed is up to which record the natural keys of a stream were made anew once its
	// references could be translated (also on the right side of a run's stream), and
	// KeyedAll that all were.
	Keyed    record.Ref `json:",omitzero"`
	KeyedAll bool       `json:",omitempty"`
	// Read counts the rows of the listing so far; Total is what the server says
	// there are, -1 if it does not.
	Read  int `json:",omitempty"`
	Total int `json:",omitempty"`
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

// WebhookByHand is the state of a webhook that a person registers at the vendor, who does
// not tell whether one has: only a delivery shows it.
const WebhookByHand = "by_hand"

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
	// WebhookID, WebhookState ("", "active", WebhookByHand, "off", "failed", "none"), WebhookURL.
	WebhookID, WebhookState, WebhookURL string
	// WebhookTakenAt and WebhookRefusedAt are about when a delivery was last taken,
	// and when several in a row were last refused for their signature.
	WebhookTakenAt, WebhookRefusedAt time.Time
	WebhookCheckedAt                 time.Time
	// WebhookVersion is the version of the integration it was registered for.
	WebhookVersion int
	// Broker is how the subscription of the side's broker is.
	Broker BrokerState
	// Capabilities is what was probed, as JSON; empty before.
	Capabilities string
	// Skew is the server's clock minus ours as last measured.
	Skew time.Duration
}

// BrokerState is how a subscription is, as the worker said that spoke last.
type BrokerState struct {
	// State is "", "receiving" or "failed"; Reason the code of the failure, At since when.
	State, Reason string
	At            time.Time
	// TakenAt is about when a message was last stored.
	TakenAt time.Time
	// Unreadable counts messages that could not be read, UnreadableCode says why the
	// last could not, UnreadableAt when that was.
	Unreadable     int
	UnreadableCode string
	UnreadableAt   time.Time
}

// Plan is what is known at now of the vendor's plan: its calls a minute, and how
// many are left (-1: not known, as the window they were told of is over).
func (s SideState) Plan(now time.Time) (limit, remaining int) {
	if !s.QuotaResetAt.IsZero() && !s.QuotaResetAt.After(now) {
		return s.QuotaLimit, -1
	}
	return s.QuotaLimit, s.QuotaRemaining
}

// StreamState is the schedule of a stream of a connection.
type StreamState struct {
	Stream                    string
	NextPollAt, NextCompareAt time.Time
	LastPollAt, LastCompareAt time.Time
	// IdlePolls counts polls in a row that found nothing.
	IdlePolls int
}
