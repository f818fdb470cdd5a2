package engine

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/ledger"
)

// traced continues the trace of the call that brought a change, and labels the
// outside calls of this pass for the log. The span carries the ref, no values.
func (e *Engine) traced(ctx context.Context, in *Installed, row ledger.Work) (context.Context, func(outcome string)) {
	if row.Trace != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": row.Trace})
	}
	ctx, span := e.options.Tracer.Tracer("github.com/accord-sync/accord/internal/engine").Start(ctx, "reconcile", trace.WithAttributes(
		attribute.String("accord.connection", in.Key.Connection), attribute.String("accord.stream", row.Stream),
		attribute.String("accord.record", row.Ref.String()), attribute.Int("accord.tries", row.Tries),
	))
	ctx = transport.WithAttempt(transport.WithRun(ctx, row.RunID), row.Tries+1)
	return ctx, func(outcome string) {
		span.SetAttributes(attribute.String("accord.outcome", outcome))
		span.End()
	}
}
