package integration

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// ModeRule is the mode of the one-sided stream that watches for a rule.
const ModeRule = "rule"

// RulePrefix begins the names of the streams that rules are made into.
const RulePrefix = "rules."

// How often a rule fires for one record.
const (
	// OnceMatch: each time the record begins to match.
	OnceMatch = "match"
	// OnceRecord: the first time only.
	OnceRecord = "record"
	// OnceVersion: each time something that the rule reads changes while it matches.
	OnceVersion = "version"
	// OnceEvent: each of the rule's events (all, if it names none) about a record that
	// matches, by the vendor's id of the event.
	OnceEvent = "event"
)

// Rule says: when a record is like this, then do that. It never writes the record
// that it watches.
type Rule struct {
	// Name is the key under `rules`.
	Name string
	// Side and Object say whose records are watched; LookUps add to them what other
	// records of the same system say.
	Side    record.Side
	Object  string
	LookUps []LookUp
	// Events are the events that the rule is about. They bring a look about; what
	// counts is the record as it is then.
	Events []string
	// If is the condition, an expression over the record's fields. Of a rule with
	// events it holds what the events say: status == 'won' of deal.won.
	If string
	// Poll is how often changes are asked for.
	Poll Poll
	// Once is OnceMatch, OnceRecord, OnceVersion or OnceEvent.
	Once string
	// Backfill: records that match already when the rule is installed fire too.
	Backfill bool
	// Asks are the further calls made when the rule fires, in order.
	Asks []Ask
	// Effects are what is done, in order.
	Effects []Effect
}

// Ask is one further call of a rule that fires: another record of either system by
// its id or by a search, or a GET of any address. What it answers shows to the
// expressions behind it under Name: an object, or nil where there is none.
type Ask struct {
	Name string
	// Side and Object name a collection; ID is an expression that gives the id.
	Side       record.Side
	Object, ID string
	// FindPath is searched for what the expression FindValue gives; the record is
	// taken if it is the only one.
	FindPath, FindValue string
	// Web is the GET of an address; nil for a record. OrNothing: a 404 of it says that
	// there is nothing; else the record is parked for it.
	Web       *Web
	OrNothing bool
	// Cache is for how long an answer is good for other records too. Default 1m.
	Cache time.Duration
	// Limit bounds the calls of one worker; zero: only the system's own limits.
	Limit Rate
}

// Rate is a number of calls per span.
type Rate struct {
	Calls int
	Per   time.Duration
}

// Effect is one thing that a rule does; one of the four is set.
type Effect struct {
	// Name is unique in the rule, and lets what is left to send be found when the effect
	// is edited. It may be empty.
	Name    string
	Upsert  *Upsert
	Call    *Web
	Publish *Publish
	Count   *Count
}

// Upsert makes a record on the other side when the rule first fires for a record,
// or takes the one with the same key, and lets it follow from then on.
type Upsert struct {
	// Stream is the name of the one-way stream that does it.
	Stream string
	// Object is the collection of the other side.
	Object string
	// Key names the fields that make a record of the other side the same one.
	Key []string
	// Marker is the path in which the record made carries the id of its source.
	Marker string
	// Fields are the written paths with their expressions.
	Fields []UpsertField
}

// UpsertField is one written path.
type UpsertField struct {
	Path, Expression string
	// As is the normal form in which it is compared.
	As record.Kind
}

// Web is an HTTP call to any address.
type Web struct {
	// Method is POST (default), PUT, PATCH, DELETE or GET.
	Method string
	// URL is the whole address. It may hold secrets.
	URL string
	// Query are expressions added to the address.
	Query []Target
	// Headers are sent as they are. They may hold secrets.
	Headers []Header
	// Body gives one value per dotted path of a JSON object; Whole, instead, is one
	// expression that gives the whole body.
	Body  []Target
	Whole string
	// Sign adds a signature of the body; nil: none.
	Sign *Sign
}

// Header is one header line of a call.
type Header struct{ Name, Value string }

// Sign adds an HMAC-SHA256 of the raw body, in hexadecimal, to a call.
type Sign struct{ Header, Prefix, Secret string }

// Count adds one to a number per set of labels.
type Count struct {
	// Metric is the name, letters, digits and "_".
	Metric string
	// Labels give few values each: see maxSeries of the engine.
	Labels []Target
}

// Rule returns the rule of that name, or nil.
func (i *Integration) Rule(name string) *Rule {
	for n := range i.Rules {
		if i.Rules[n].Name == name {
			return &i.Rules[n]
		}
	}
	return nil
}

// StreamName is the name of the one-sided stream that watches for the rule.
func (r *Rule) StreamName() string { return RulePrefix + r.Name }
