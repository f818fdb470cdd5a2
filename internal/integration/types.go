// Package integration reads integration files: YAML, or the same as a JSON object.
package integration

import (
	"time"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// Integration is one integration file. Parse makes it; every default is applied.
// Until Resolve is called its strings may still hold ${…} placeholders, and a
// setting that is wholly a placeholder without default holds its zero value.
type Integration struct {
	// Name is the key `integration`: letters, digits, "-", "_" and ".", at most 64.
	Name string
	// Systems are the two ends.
	Systems Systems
	// Streams are the kinds of record, in the order of the file; behind them those
	// that the rules are made into, with their Rule set.
	Streams []Stream
	// Check is how often the servers' own descriptions of their fields are compared with the mapping.
	Check Check
	// Rules say what is done when a record is like this, in the order of the file.
	Rules []Rule
	// TouchPoints is what is counted; nil: nothing.
	TouchPoints *TouchPoints

	source   *source
	uses     []Variable
	secrets  []string
	resolved bool
}

// Systems holds the left (SalesOS) and the right system.
type Systems struct {
	Left, Right System
}

// System says how one side is reached and what it can do.
type System struct {
	// Line and Column are where the connector is named, from 1; 0 where it is not.
	Line, Column int
	// Connector names the driver: salesos, acme, tryton, or ConnectorREST.
	Connector string
	// Manifest describes the system of ConnectorREST; nil for the others.
	Manifest *manifest.Manifest
	// BaseURL is the root of the API, http or https.
	BaseURL string
	// Auth says how calls are authorised.
	Auth Auth
	// Limits are the customer's plan.
	Limits Limits
	// Webhook is how the system calls us; without a secret it does not.
	Webhook Webhook
	// Broker is where it leaves messages for us; nil: nowhere. Without webhook and
	// broker the side is only polled.
	Broker *broker.Config
	// Capabilities are what the server can do.
	Capabilities Capabilities
}

// ConnectorREST is the connector of systems that a manifest describes.
const ConnectorREST = "rest"

// Limits bounds the calls to one system.
type Limits struct {
	// RequestsPerMinute is the plan's quota; 0 (default): only what the server's headers say.
	RequestsPerMinute int
	// Concurrency is how many calls run at once, all workers together. Default 4.
	Concurrency int
}

// Webhook holds the signing secrets of incoming events.
type Webhook struct {
	// Secret signs events; empty means that the side has no webhook and is only polled.
	Secret string
	// PreviousSecret is accepted too, while a secret is being rotated.
	PreviousSecret string
}

// Switch is a capability that a server has, has not, or that we find out.
type Switch string

// The values of a Switch.
const (
	Yes   Switch = "true"
	No    Switch = "false"
	Probe Switch = "probe"
)

// How a server takes an object or a list in an update. Probe is allowed too.
const (
	// Merge: keys or elements that are not sent stay.
	Merge = "merge"
	// Replace: what is not sent is gone.
	Replace = "replace"
)

// Span is a duration, or the wish to find it out.
type Span struct {
	// Probe is true when the connector is to find the value out; Value then holds the default.
	Probe bool
	Value time.Duration
}

// Names is a list of names, or the wish to find it out.
type Names struct {
	Probe bool
	List  []string
}

// Capabilities are what a server can do. Everything may be `probe`: the connector
// then uses what it knows of its API, or tries it once and remembers.
type Capabilities struct {
	// UpdatedFilter: listings can be asked for what changed since a time. Default probe.
	UpdatedFilter Switch
	// Versions: reads carry a version and writes honour If-Match. Default probe.
	Versions Switch
	// IdempotencyKey: POST honours the Idempotency-Key header. Default probe.
	IdempotencyKey Switch
	// Unique are the server's own fields that it keeps unique among live records. Default none.
	Unique Names
	// SearchLag is how late a written record may show in a search. Default 0s.
	SearchLag Span
	// LateBy is how late a written record may show in a listing. Default 60s.
	LateBy Span
	// Granularity is the tick of the server's updated_at. Default 1s.
	Granularity Span
	// CustomFields is Merge, Replace or "probe" (default).
	CustomFields string
}

// The values of Stream.Mode.
const (
	// ModeSync keeps both sides in step.
	ModeSync = ""
	// ModeMatchOnly links records by their match fields and never writes them.
	ModeMatchOnly = "match_only"
	// ModeTouchPoints counts the records of one side (TouchSource).
	ModeTouchPoints = "touch_points"
	// ModeWriteBack writes a customer's count (WriteBack). No stream of a file has it.
	ModeWriteBack = "write_back"
)

// The directions of a stream or field.
const (
	Both        = "both"
	LeftToRight = "left_to_right"
	RightToLeft = "right_to_left"
)

// What happens when the create of a record finds one with the same key.
const (
	// CollisionUpsert links the two if the match is unique both ways.
	CollisionUpsert = "upsert"
	// CollisionIgnore leaves both as they are, unlinked.
	CollisionIgnore = "ignore"
	// CollisionCreate makes a new record all the same.
	CollisionCreate = "create"
)

// Stream is one kind of record kept in step.
type Stream struct {
	// Name is the key under `streams`.
	Name string
	// Left and Right name the vendors' collections.
	Left, Right End
	// Direction is Both (default), LeftToRight or RightToLeft; a field may narrow it.
	Direction string
	// Match are the fields that make the natural key. Empty: records are never matched by key.
	// In a match_only stream without `fields` they are paths that both sides share.
	Match []string
	// Marker is where a record carries the other side's id.
	Marker Marker
	// Collision is CollisionUpsert (default), CollisionIgnore or CollisionCreate.
	Collision string
	// Fields are the mapped fields in the order of the file.
	Fields []Field
	// Conflicts says who wins.
	Conflicts Conflicts
	// Deletes says what a delete does.
	Deletes Deletes
	// Guard holds mass clears and mass rewrites; mass deletes are under Deletes.
	Guard Guards
	// Poll is how often changes are asked for.
	Poll Poll
	// Compare is how often everything is compared.
	Compare Compare
	// Mode is ModeSync (default), ModeMatchOnly or ModeRule.
	Mode string
	// Rule is the name of the rule that the stream is made of; empty: it stands in
	// the file itself.
	Rule string
}

// Writes reports whether records of a side are created, changed or deleted.
func (s *Stream) Writes(side record.Side) bool {
	return s.Mode != ModeMatchOnly && !s.OneSided() && goes(s.Direction, side.Other())
}

// Sides are the sides that the stream looks at: both, or the only one that has an
// object in a one-sided stream.
func (s *Stream) Sides() []record.Side {
	switch {
	case s.Right.Object == "":
		return []record.Side{record.Left}
	case s.Left.Object == "":
		return []record.Side{record.Right}
	}
	return []record.Side{record.Left, record.Right}
}

// OneSided reports whether the stream looks at records of one side and links them
// with nothing: no file says so, a rule and the like are made into it.
func (s *Stream) OneSided() bool { return s.Left.Object == "" || s.Right.Object == "" }

// End is one side of a stream.
type End struct {
	// Object is the vendor's collection, "leads".
	Object string
	// Where is an expression over the record's fields: records for which it is
	// false are out of scope. Empty: all are in scope.
	Where string
	// Allow names what a connector does to this collection only where it is asked
	// to: invite, deactivate (SalesOS users). Empty (default): nothing.
	Allow []string
	// LookUps add to each record what other records of the same system say.
	LookUps []LookUp
}

// AllowDeactivate allows to deactivate records; they stay readable.
const AllowDeactivate = "deactivate"

// LookUp is another record that is read with each record of an end.
type LookUp struct {
	// Name is the field that it shows as, an object; nothing is written to it.
	Name string
	// Object is its collection, ID the path of the field that holds its id.
	Object, ID string
}

// Marker holds, per side, the path of the field in which records that we create
// carry the id of their counterpart. Empty: that side has none.
type Marker struct {
	Left, Right string
}

// Field maps one field.
type Field struct {
	// Name is the key under `fields`.
	Name string
	// Left and Right say where the value is.
	Left, Right Place
	// As is the normal form; the zero value compares by what the value is.
	As record.Kind
	// Values maps left values to right values, in the order of the file.
	Values []Pair
	// Also are further values of one side, each read as one of Values and never written.
	Also []Also
	// Direction is the narrower of the stream's and the field's own direction.
	Direction string
	// LossyLeft and LossyRight: that server may store less than it was sent.
	LossyLeft, LossyRight bool
}

// Place is a path, or a pair of expressions.
type Place struct {
	// Path is a dotted path; empty when expressions are used.
	Path string
	// Read gives the field's value from the record's fields.
	Read string
	// Write gives one value per target path from `value`. Empty: read only.
	Write []Target
}

// Target is one written path.
type Target struct {
	Path, Expression string
}

// Pair is one line of `values`: a left value and its right counterpart, each a
// string, a json.Number or a bool.
type Pair struct {
	Left, Right any
}

// Also is a value of one side that counts as another value of that side.
type Also struct {
	// Side is whose value it is.
	Side record.Side
	// Word is the value, As the one of `values` that it counts as.
	Word, As any
}

// Poll is how changes are asked for.
type Poll struct {
	// Every is the pause between two polls; 0 when Cron is set. Default 30s.
	Every time.Duration
	// Cron is a five-field cron line; empty when Every is set. A time that passed
	// while nothing ran is caught up with at once.
	Cron string
	// TimeZone is the IANA zone of Cron. Default UTC.
	TimeZone string
	// Overlap is how far each poll looks back before the last one. Default 2m.
	Overlap time.Duration
}

// Compare is when everything is compared: Every, or Cron in TimeZone.
type Compare struct {
	// Every is the interval; 0 when Cron is set. Default 24h.
	Every time.Duration
	// Cron is a five-field cron line; empty when Every is set.
	Cron string
	// TimeZone is the IANA zone of Cron. Default UTC.
	TimeZone string
}

// Variable is one ${NAME} of the file.
type Variable struct {
	Name string
	// Default is the text after ":-"; HasDefault tells an empty one from none.
	// A name with several defaults shows the first.
	Default    string
	HasDefault bool
	// Line and Column are where it is first used, from 1.
	Line, Column int
}

// System returns the system of a side.
func (i *Integration) System(side record.Side) *System {
	if side == record.Left {
		return &i.Systems.Left
	}
	return &i.Systems.Right
}

// Stream returns the stream of that name, or nil.
func (i *Integration) Stream(name string) *Stream {
	for n := range i.Streams {
		if i.Streams[n].Name == name {
			return &i.Streams[n]
		}
	}
	return nil
}

// Variables returns the variables of the file, each once, in order of first use.
func (i *Integration) Variables() []Variable { return append([]Variable(nil), i.uses...) }

// SecretNames returns the names of the ${secret:NAME} of the file, each once, in order of first use.
func (i *Integration) SecretNames() []string { return append([]string(nil), i.secrets...) }

// End returns the end of a side.
func (s *Stream) End(side record.Side) End {
	if side == record.Left {
		return s.Left
	}
	return s.Right
}

// Of returns the marker path of a side.
func (m Marker) Of(side record.Side) string {
	if side == record.Left {
		return m.Left
	}
	return m.Right
}
