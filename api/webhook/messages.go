package webhook

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Message is one message of a broker that we logged in to: the broker vouches for it.
type Message struct {
	Header http.Header
	Body   []byte
}

// Take stores the changes that messages tell of, all at once: after a nil error
// they may be acknowledged. refused says, by place, which of them cannot be read,
// and why; the others are stored all the same. Errors: NotFound, and Unavailable
// when nothing is known to be stored.
func (r *Receiver) Take(ctx context.Context, connection string, side record.Side, messages []Message) (refused map[int]error, err error) {
	ctx, span := r.options.Tracer.Start(ctx, "messages", trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("accord.connection", connection), attribute.String("accord.side", string(side)), attribute.Int("accord.messages", len(messages))))
	defer span.End()
	refused, err = r.take(ctx, connection, side, messages)
	if err != nil {
		span.SetAttributes(attribute.String("accord.code", string(fault.CodeOf(err))))
	}
	for _, one := range refused {
		r.options.Observe.Refused(side, fault.CodeOf(one))
	}
	return refused, err
}

func (r *Receiver) take(ctx context.Context, connection string, side record.Side, messages []Message) (map[int]error, error) {
	target, err := r.options.Directory.Target(ctx, connection, false)
	if err == nil && target.State == ledger.Draft {
		target, err = r.options.Directory.Target(ctx, connection, true)
	}
	if err != nil {
		return nil, err
	}
	source := target.Source(side)
	refused := map[int]error{}
	var changes []ledger.Change
	events, unmapped := 0, 0
	for place, message := range messages {
		read, err := readMessage(source.Driver, message)
		if err != nil {
			refused[place] = err
			continue
		}
		events += len(read)
		found, none := changesOf(source, side, read, r.traceOfMessage(ctx, message))
		changes, unmapped = append(changes, found...), unmapped+none
	}
	if target.State == ledger.Draft {
		r.options.Observe.Events(side, "inactive", events)
		return refused, nil
	}
	if unmapped > 0 {
		r.options.Observe.Events(side, "unmapped", unmapped)
	}
	if len(changes) == 0 {
		return refused, nil
	}
	needNudge, err := r.options.Inbox.Enqueue(ctx, target.Key, changes, NudgeFor)
	if err != nil {
		return nil, err
	}
	r.options.Observe.Events(side, "accepted", events-unmapped)
	if needNudge && target.State != ledger.Paused {
		r.options.Nudge(target.Key)
	}
	return refused, nil
}

// readMessage reads one message. A driver that falls over one must not take the
// worker with it: the message would come again, and again.
func readMessage(driver connector.Driver, message Message) (events []connector.Event, err error) {
	defer func() {
		if recover() != nil {
			events, err = nil, fault.New(fault.Internal, "the message made its reader fail; this is a defect")
		}
	}()
	reader, ok := driver.(connector.MessageReader)
	if !ok {
		return nil, fault.New(fault.Invalid, "%s has no events that could come by message", driver.Title())
	}
	return reader.ReadMessage(message.Header, message.Body)
}

// readSNS reads what Amazon SNS posted.
func (r *Receiver) readSNS(ctx context.Context, source Source, header http.Header, body []byte) ([]connector.Event, error) {
	inner, err := r.options.SNS(ctx, source.SNS, header, body)
	if err != nil || inner == nil {
		return nil, err
	}
	return readMessage(source.Driver, Message{Body: inner})
}

// traceOfMessage is the trace that a message belongs to, or else that of ctx.
func (r *Receiver) traceOfMessage(ctx context.Context, message Message) string {
	carried := propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(message.Header))
	return traceOf(carried)
}
