// Package telemetry is how Accord is watched: logs (logrus), metrics
// (Prometheus) and traces (OpenTelemetry), and the small HTTP server that
// workers show them on. Nothing it is given may hold personal data or secrets.
package telemetry

import (
	"context"
	"io"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/term"

	"github.com/accord-sync/accord/internal/fault"
)

// The environment that telemetry reads.
const (
	// LevelVariable is a logrus level: error, warn, info (default), debug, trace.
	LevelVariable = "ACCORD_LOG"
	// TraceVariable switches traces on: the address of an OTLP/HTTP collector.
	// The exporter reads it and its siblings itself.
	TraceVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"
)

// Options make a Telemetry.
type Options struct {
	// Service names the process in logs and traces: "worker", "api", "accord".
	Service string
	// Version is the build's.
	Version string
	// Output takes the logs; nil: standard error.
	Output io.Writer
	// Getenv reads the environment; nil: os.Getenv.
	Getenv func(string) string
}

// Telemetry holds what the rest of the process logs, counts and traces with.
type Telemetry struct {
	Log      *logrus.Logger
	Registry *prometheus.Registry
	// Tracer is a no-op unless a collector is configured.
	Tracer trace.TracerProvider

	shutdown func(context.Context) error
}

// New sets logs, metrics and traces up. It makes no call; fault.Usage when the
// environment cannot be understood.
func New(ctx context.Context, options Options) (*Telemetry, error) {
	if options.Output == nil {
		options.Output = os.Stderr
	}
	if options.Getenv == nil {
		options.Getenv = os.Getenv
	}
	log, err := newLogger(options)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	t := &Telemetry{Log: log, Registry: registry, Tracer: noop.NewTracerProvider(), shutdown: func(context.Context) error { return nil }}
	if options.Getenv(TraceVariable) == "" {
		return t, nil
	}
	return t, t.startTraces(ctx, options)
}

// startTraces sends spans to the collector that the environment names, in batches.
func (t *Telemetry) startTraces(ctx context.Context, options Options) error {
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "%s does not name a collector", TraceVariable)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "accord-"+options.Service),
			attribute.String("service.version", options.Version),
		)),
	)
	t.Tracer, t.shutdown = provider, provider.Shutdown
	return nil
}

// UseGlobally makes the tracer and the W3C trace context those of libraries
// that ask for the process-wide ones. Only main programs call it.
func (t *Telemetry) UseGlobally() {
	otel.SetTracerProvider(t.Tracer)
	otel.SetTextMapPropagator(propagation.TraceContext{})
}

// Shutdown sends what is left. It must come last.
func (t *Telemetry) Shutdown(ctx context.Context) error { return t.shutdown(ctx) }

// newLogger logs JSON unless a person watches a terminal.
func newLogger(options Options) (*logrus.Logger, error) {
	log := logrus.New()
	log.SetOutput(options.Output)
	level := options.Getenv(LevelVariable)
	if level == "" {
		level = "info"
	}
	parsed, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "%s is one of error, warn, info, debug, trace, not %q", LevelVariable, level)
	}
	log.SetLevel(parsed)
	if isTerminal(options.Output) {
		log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true})
	} else {
		log.SetFormatter(&logrus.JSONFormatter{})
	}
	log.AddHook(serviceHook(options.Service))
	return log, nil
}

func isTerminal(output io.Writer) bool {
	file, ok := output.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// serviceHook writes the name of the process into each line.
type serviceHook string

var _ logrus.Hook = serviceHook("")

// Levels answers all levels.
func (h serviceHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire adds the field.
func (h serviceHook) Fire(entry *logrus.Entry) error {
	if h != "" {
		entry.Data["service"] = string(h)
	}
	return nil
}
