// Package webhook takes the signed events of the two systems: it checks the
// signature, turns events into changes, stores them, and only then lets the
// vendor have its 2xx. Temporal is told afterwards and may be away.
package webhook

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/accord-sync/accord/internal/broker/sns"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// NudgeFor is how long a nudge counts as under way before a new one is sent.
const NudgeFor = 10 * time.Second

// Inbox is where changes are stored.
type Inbox interface {
	// Enqueue stores changes durably and reports whether Temporal must be told.
	Enqueue(ctx context.Context, key ledger.Key, changes []ledger.Change, nudgeFor time.Duration) (needNudge bool, err error)
}

// Directory finds connections by id.
type Directory interface {
	// Target returns what is needed to take events of a connection, or
	// fault.NotFound. It may be a few seconds old unless fresh is set.
	Target(ctx context.Context, connection string, fresh bool) (Target, error)
}

// Target is a connection as its webhooks see it.
type Target struct {
	Key         ledger.Key
	State       ledger.ConnectionState
	Left, Right Source
}

// Source is one side of a Target.
type Source struct {
	// Driver reads the vendor's events.
	Driver connector.Driver
	// Secrets are the signing secrets that count now: one, or two while one is
	// being rotated. None: events of this side are refused.
	Secrets []string
	// SNS is the topic of Amazon SNS that posts to this side too; empty: none does.
	SNS string
	// Streams names the streams of each of the vendor's collections.
	Streams map[string][]string
	// Each names the streams of rules that fire once per event, with the vendor's names
	// of the events that count; none: all do.
	Each map[string][]string
}

// keeps reports whether an event counts by itself for a stream.
func (s Source) keeps(stream string, event connector.Event) bool {
	kinds, ok := s.Each[stream]
	return ok && (len(kinds) == 0 || slices.Contains(kinds, event.Kind))
}

// Source returns one side.
func (t Target) Source(side record.Side) Source {
	if side == record.Left {
		return t.Left
	}
	return t.Right
}

// Observer counts for metrics. It must not block.
type Observer interface {
	// Events counts events by outcome: "accepted", "unmapped" or "inactive".
	Events(side record.Side, outcome string, count int)
	// Refused counts deliveries that were not taken, by fault code.
	Refused(side record.Side, code fault.Code)
}

// Options make a Receiver. Tracer and Observe may be nil.
type Options struct {
	Inbox     Inbox
	Directory Directory
	// PublicURL is where vendors reach us, without a trailing slash; empty: not known.
	PublicURL string
	// SNS checks what Amazon SNS posts for a topic and answers the message inside,
	// none when it was about the subscription. nil: nothing of SNS is taken.
	SNS func(ctx context.Context, topic string, header http.Header, body []byte) ([]byte, error)
	// Sides is told how deliveries end; nil: nobody is.
	Sides Sides
	// Nudge tells Temporal that a connection has work. It must not block and must not fail.
	Nudge   func(key ledger.Key)
	Log     logrus.FieldLogger
	Now     func() time.Time
	Tracer  trace.Tracer
	Observe Observer
}

// Receiver takes events. It is safe for concurrent use.
type Receiver struct {
	options   Options
	standings *standings
}

// New makes a Receiver.
func New(options Options) *Receiver {
	if options.Tracer == nil {
		options.Tracer = noop.NewTracerProvider().Tracer("webhook")
	}
	if options.Observe == nil {
		options.Observe = silent{}
	}
	return &Receiver{options: options, standings: newStandings(options.Sides)}
}

// Receive checks and stores one delivery. Accepted counts events that were
// stored, ignored those that concern nothing here. Errors: NotFound,
// Unauthorized, Invalid, and Unavailable when nothing is known to be stored.
func (r *Receiver) Receive(ctx context.Context, connection string, side record.Side, header http.Header, body []byte) (accepted, ignored int, err error) {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(header))
	ctx, span := r.options.Tracer.Start(ctx, "webhook", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("accord.connection", connection), attribute.String("accord.side", string(side))))
	defer span.End()
	accepted, ignored, err = r.receive(ctx, connection, side, header, body)
	if err != nil {
		span.SetAttributes(attribute.String("accord.code", string(fault.CodeOf(err))))
		r.options.Observe.Refused(side, fault.CodeOf(err))
	}
	return accepted, ignored, err
}

func (r *Receiver) receive(ctx context.Context, connection string, side record.Side, header http.Header, body []byte) (int, int, error) {
	target, events, err := r.verify(ctx, connection, side, header, body)
	if err == nil || fault.Is(err, fault.Unauthorized) {
		if telling := r.standings.note(ctx, target.Key, side, err == nil); telling != nil {
			r.options.Log.WithField("code", fault.CodeOf(telling)).Debug("the ledger was not told how a webhook delivery ended")
		}
	}
	if err != nil {
		return 0, 0, err
	}
	if target.State == ledger.Draft {
		r.options.Observe.Events(side, "inactive", len(events))
		return 0, len(events), nil
	}
	changes, unmapped := changesOf(target.Source(side), side, events, traceOf(ctx))
	if unmapped > 0 {
		r.options.Observe.Events(side, "unmapped", unmapped)
	}
	if len(changes) == 0 {
		return 0, unmapped, nil
	}
	needNudge, err := r.options.Inbox.Enqueue(ctx, target.Key, changes, NudgeFor)
	if err != nil {
		return 0, 0, err
	}
	r.options.Observe.Events(side, "accepted", len(events)-unmapped)
	if needNudge && target.State != ledger.Paused {
		r.options.Nudge(target.Key)
	}
	return len(events) - unmapped, unmapped, nil
}

// verify reads the events with the secrets of the connection. What was known of
// it may be a few seconds old: before it refuses anything it looks again.
func (r *Receiver) verify(ctx context.Context, connection string, side record.Side, header http.Header, body []byte) (Target, []connector.Event, error) {
	target, events, err := r.read(ctx, connection, side, header, body, false)
	if fault.Is(err, fault.Unauthorized) || err == nil && target.State == ledger.Draft {
		return r.read(ctx, connection, side, header, body, true)
	}
	return target, events, err
}

func (r *Receiver) read(ctx context.Context, connection string, side record.Side, header http.Header, body []byte, fresh bool) (Target, []connector.Event, error) {
	target, err := r.options.Directory.Target(ctx, connection, fresh)
	if err != nil {
		return target, nil, err
	}
	source := target.Source(side)
	if source.SNS != "" && header.Get(sns.TypeHeader) != "" && r.options.SNS != nil {
		events, err := r.readSNS(ctx, source, header, body)
		return target, events, err
	}
	if len(source.Secrets) == 0 {
		return target, nil, fault.New(fault.Unauthorized, "the %s side of this connection has no webhook secret; set systems.%s.webhook.secret", side, side)
	}
	addressed, ok := source.Driver.(connector.Addressed)
	if !ok {
		events, err := source.Driver.ParseWebhook(header, body, source.Secrets, r.options.Now())
		return target, events, err
	}
	address := ""
	if r.options.PublicURL != "" {
		address = r.options.PublicURL + "/webhooks/" + connection + "/" + string(side)
	}
	events, err := addressed.ParseWebhookAt(address, header, body, source.Secrets, r.options.Now())
	return target, events, err
}

// changesOf is one change per stream and record. A merge is about both records.
func changesOf(source Source, side record.Side, events []connector.Event, traceparent string) (changes []ledger.Change, unmapped int) {
	for _, event := range events {
		streams := source.Streams[event.Object]
		if len(streams) == 0 || event.RecordID == "" {
			unmapped++
			continue
		}
		ids := []string{event.RecordID}
		if event.MergedInto != "" && event.MergedInto != event.RecordID {
			ids = append(ids, event.MergedInto)
		}
		for _, stream := range streams {
			for n, id := range ids {
				change := ledger.Change{
					Stream: stream, Ref: record.Ref{Side: side, Object: event.Object, ID: id},
					Lane: ledger.LaneLive, EventID: event.ID, Trace: traceparent,
					// What became of a merge counts for the record that it is told of, and
					// goes from there to the one it is now.
					KeepEvent: n == 0 && source.keeps(stream, event),
				}
				if len(ids) == 1 {
					change.Shown, change.Deleted = event.Shown, event.Deleted
				}
				changes = append(changes, change)
			}
		}
	}
	return changes, unmapped
}

// traceOf is the W3C traceparent of the span in ctx, empty for none.
func traceOf(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

type silent struct{}

var _ Observer = silent{}

func (silent) Events(record.Side, string, int) {}
func (silent) Refused(record.Side, fault.Code) {}
