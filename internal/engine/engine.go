// Package engine does the work that activities call: reconcile one record,
// drain the inbox, poll, list for a run, decide a conflict, and bring a
// connection up and down. It knows nothing of Temporal. It keeps no state of
// its own between calls that the ledger does not hold.
package engine

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// Opener builds the working form of a connection: its integration compiled and
// its two connectors. It makes no call to the outside. Bad settings are fault.Usage.
type Opener func(ctx context.Context, connection ledger.Connection) (*Installed, error)

// Installed is a connection ready to work.
type Installed struct {
	Key         ledger.Key
	Version     int
	Integration *integration.Integration
	Streams     []Stream
	Left, Right connector.Connector
	// Rules are the compiled rules by name, Outside makes their calls; nil where the
	// integration has none.
	Rules   map[string]*Rule
	Outside Outside
	// Limits are the declared plans of the two sides.
	LeftQuota, RightQuota ledger.QuotaSpec
	// Concurrency is how many calls a server is asked to answer at once; a drain
	// works on more records than that, so that it has calls to make at any time.
	Concurrency int
	// Restored says whether the ledger was put back under the connection. The
	// Opener leaves it alone.
	Restored ledger.Restored
}

// Stream is one stream of an installed connection.
type Stream struct {
	Spec    integration.Stream
	Mapping *mapping.Stream
	// Since is, by field, the version of the connection since which the field is
	// read as it is now, for fields that were read from elsewhere before.
	Since map[string]int
}

// Connector returns the connector of a side.
func (i *Installed) Connector(side record.Side) connector.Connector {
	if side == record.Left {
		return i.Left
	}
	return i.Right
}

// Stream finds a stream by name.
func (i *Installed) Stream(name string) (Stream, bool) {
	for _, stream := range i.Streams {
		if stream.Spec.Name == name {
			return stream, true
		}
	}
	return Stream{}, false
}

// referred reports whether fields of other streams point to records of this one.
func (i *Installed) referred(name string) bool {
	for _, stream := range i.Streams {
		for _, field := range stream.Mapping.Fields() {
			if field.Kind().Name == record.KindRef && field.Kind().Stream == name && stream.Spec.Name != name {
				return true
			}
		}
	}
	return false
}

// dependenciesFirst orders the streams so that each comes after those that its
// references point to. A circle keeps the order of the file.
func (i *Installed) dependenciesFirst() []Stream {
	var ordered []Stream
	placed := map[string]bool{}
	var place func(stream Stream, depth int)
	place = func(stream Stream, depth int) {
		if placed[stream.Spec.Name] || depth > len(i.Streams) {
			return
		}
		for _, field := range stream.Mapping.Fields() {
			if needed, ok := i.Stream(field.Kind().Stream); ok && field.Kind().Name == record.KindRef && needed.Spec.Name != stream.Spec.Name {
				place(needed, depth+1)
			}
		}
		if !placed[stream.Spec.Name] {
			placed[stream.Spec.Name] = true
			ordered = append(ordered, stream)
		}
	}
	for _, stream := range i.Streams {
		place(stream, 0)
	}
	return ordered
}

// Options make an Engine. Fields are required unless said otherwise.
type Options struct {
	Store ledger.Store
	Open  Opener
	Log   logrus.FieldLogger
	// Now is the ledger's clock (Store.Clock); NewID makes unique, sortable ids.
	Now   func() time.Time
	NewID func() string
	// Lease is how long a record is held; default 30 s, at least 1 s. Outside
	// calls get a third of it at most.
	Lease time.Duration
	// ConflictWorkflow names the workflow that is the door of a conflict: its own,
	// or (grouped) the connection's. nil leaves the name empty.
	ConflictWorkflow func(key ledger.Key, conflictID string, grouped bool) string
	// Observe receives counts for metrics; nil observes nothing.
	Observe Observer
	// Tracer makes the spans; nil takes OpenTelemetry's configured provider.
	Tracer trace.TracerProvider
	// Probe is called between any two steps of reconcile, and before and after each
	// page of a listing, for tests that crash there: a non-nil error abandons the
	// work as a kill would. nil in production.
	Probe func(step string) error
}

// Observer receives what happened, for metrics. It must not block.
type Observer interface {
	// Reconciled counts one finished pass over a record by its outcome
	// ("unchanged", "updated", "created", "linked", "deleted", "conflict",
	// "parked", "held", "fired", "retry") and how long the change waited.
	Reconciled(key ledger.Key, stream, outcome string, waited time.Duration)
	// ShapesChecked tells in how many ways a connection's mapping does not fit what
	// its servers say of their fields.
	ShapesChecked(key ledger.Key, findings int)
	// LedgerRestored counts that this process found the ledger put back to an
	// older state, with the connections that it stopped.
	LedgerRestored(connections int)
}

// Engine does the work. It is safe for concurrent use.
type Engine struct {
	options Options
	sides   *sides
	cache   *installed
}

// defaultLease is how long a record is held.
const defaultLease = 30 * time.Second

// New makes an Engine.
func New(options Options) *Engine {
	if options.Lease <= 0 {
		options.Lease = defaultLease
	}
	if options.Tracer == nil {
		options.Tracer = otel.GetTracerProvider()
	}
	return &Engine{options: options, sides: newSides(options), cache: newInstalled(options)}
}

func (e *Engine) observe(key ledger.Key, stream, outcome string, waited time.Duration) {
	if e.options.Observe != nil {
		e.options.Observe.Reconciled(key, stream, outcome, waited)
	}
}
