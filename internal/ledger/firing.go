package ledger

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Match is what a rule knows of one record.
type Match struct {
	Rule string
	Ref  record.Ref
	// Matching: the condition held when the record was last read.
	Matching bool
	// Turn counts how often the rule has fired for the record.
	Turn int
	// Print fingerprints what the rule reads of the record, as last read.
	Print string
	// Found is what the last firing looked up, by name. It is kept sealed.
	Found Values
}

// FiringState is the state of a firing, or of one of its effects.
type FiringState string

// The states of a firing. One is parked as long as an effect of it is; cancelled means
// that what was left to do is not in the integration any more.
const (
	FiringOpen      FiringState = "open"
	FiringDone      FiringState = "done"
	FiringParked    FiringState = "parked"
	FiringCancelled FiringState = "cancelled"
)

// Firing is one time that a rule fired for one record: decided once, then carried
// out effect by effect.
type Firing struct {
	ID   string
	Rule string
	Ref  record.Ref
	// Occurrence names the time that it fired: there is one firing per rule, record
	// and occurrence. What was decided for a record that the vendor merged into Ref
	// says so in it.
	Occurrence string
	State      FiringState
	// DecidedAt is when it fired, EndedAt when its last effect was carried out.
	DecidedAt, EndedAt time.Time
	// Effects are those of the rule, in its order.
	Effects []FiringEffect
}

// FiringEffect is one effect of a firing.
type FiringEffect struct {
	// Kind is upsert, call, publish or count; Name is the one that the rule gives it.
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
	// To fingerprints where a call or a message goes, What the expressions of what it
	// says: by them it is found again in a rule that was edited.
	To    string      `json:"to,omitempty"`
	What  string      `json:"what,omitempty"`
	State FiringState `json:"state"`
	// Tries counts what was sent, At is when it last was.
	Tries int       `json:"tries,omitempty"`
	At    time.Time `json:"at,omitzero"`
	// Code and Status are of the last answer that was none of success.
	Code   string `json:"code,omitempty"`
	Status int    `json:"status,omitempty"`
	// Query and Body are what a call or a message sends, each try the same. They are kept sealed,
	// and dropped when it is done.
	Query map[string]string `json:"query,omitempty"`
	Body  []byte            `json:"body,omitempty"`
}

// Over reports whether nothing is left to do.
func (e FiringEffect) Over() bool { return e.State == FiringDone || e.State == FiringCancelled }

// Cancel ends an effect that is not done. What it would have sent is dropped.
func (e *FiringEffect) Cancel(at time.Time) {
	e.State, e.At, e.Query, e.Body = FiringCancelled, at, nil, nil
}

// RuleBook is what the ledger knows of a rule and a record.
type RuleBook struct {
	// Since is when the rule was first looked at; zero: never.
	Since time.Time
	// Match is nil for a record that the rule never met.
	Match *Match
	// Waiting are the firings that are open or parked, oldest first.
	Waiting []Firing
	// Events are those that were kept for the rule, up to MaxRuleEvents, in the order in
	// which they came.
	Events []RuleEvent
}

// MaxRuleEvents is how many events RuleBook reads at once.
const MaxRuleEvents = 100

// RuleEvent is an event that was kept for a rule that fires once per event.
type RuleEvent struct {
	ID string
	// Known: the rule has fired for it.
	Known bool
}

// EventOccurrence names the firing for an event.
func EventOccurrence(id string) string { return "event:" + id }

// FiringFilter narrows a list of firings; empty fields match all.
type FiringFilter struct {
	Rule  string
	State FiringState
}

// RuleCount is a number that rules count.
type RuleCount struct {
	Rule, Metric string
	// Labels are the names and values, as canonical JSON of an object.
	Labels string
	Count  int64
}

// RuleTotal is a RuleCount of any connection.
type RuleTotal struct {
	Key Key
	RuleCount
}

// FiringTotal is how many firings of a rule are in a state.
type FiringTotal struct {
	Rule  string
	State FiringState
	Count int
}

// Firings keeps what rules know and do.
type Firings interface {
	// BeginRule notes that a rule is looked at from now on, and returns since when it
	// is: the first time counts.
	BeginRule(ctx context.Context, key Key, rule string) (time.Time, error)
	// RuleBook reads what is known of a rule and a record.
	RuleBook(ctx context.Context, key Key, rule string, ref record.Ref) (RuleBook, error)
	// Matches returns what is known of records, by id; others are missing.
	Matches(ctx context.Context, key Key, rule string, side record.Side, ids []string) (map[string]Match, error)
	// EndRules ends what rules left that are not among keep: firings that are open or
	// parked are cancelled, dead letters discarded, kept events and what was looked up
	// forgotten. What such a rule knows of records stays, so that one that comes back
	// under its name goes on where it stood. It returns how many firings and dead letters
	// it ended, by rule.
	EndRules(ctx context.Context, key Key, keep []string) (map[string]int, error)
	// ListFirings pages, newest first. Queries and bodies are left out.
	ListFirings(ctx context.Context, key Key, filter FiringFilter, options ListOptions) (items []Firing, next string, err error)
	// RuleCounts returns every number that the rules of a connection have counted.
	RuleCounts(ctx context.Context, key Key) ([]RuleCount, error)
	// RuleTotals returns those of all connections.
	RuleTotals(ctx context.Context) ([]RuleTotal, error)
	// FiringTotals counts the firings of a connection that are kept, by rule and state.
	FiringTotals(ctx context.Context, key Key) ([]FiringTotal, error)
}
