package telemetry

import (
	temporaltrace "go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"

	"github.com/accord-sync/accord/internal/fault"
)

// TemporalTracing makes spans of workflows and activities, and carries the trace
// of whoever started them along. It belongs into the client's interceptors.
func (t *Telemetry) TemporalTracing() (interceptor.Interceptor, error) {
	tracing, err := temporaltrace.NewTracingInterceptor(temporaltrace.TracerOptions{
		Tracer: t.Tracer.Tracer("github.com/accord-sync/accord"),
	})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "set up traces of workflows")
	}
	return tracing, nil
}
