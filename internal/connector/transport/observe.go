package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// metrics of outside calls. Labels are few on purpose: no connection, no path.
type metrics struct {
	seconds *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "accord_outside_call_seconds",
		Help:    "Duration of calls to the outside systems, by side, method and status class (error: no answer).",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"side", "method", "class"})
	if registerer == nil {
		return &metrics{seconds: seconds}
	}
	if err := registerer.Register(seconds); err != nil {
		// Every connection has a client of its own; they share one histogram.
		var taken prometheus.AlreadyRegisteredError
		if errors.As(err, &taken) {
			if existing, ok := taken.ExistingCollector.(*prometheus.HistogramVec); ok {
				return &metrics{seconds: existing}
			}
		}
	}
	return &metrics{seconds: seconds}
}

// measured sends the request within a span and writes the log line and the
// measurement. Nothing of a body, a header's secret or a query's value is kept.
func (t *tripper) measured(request *http.Request) (*http.Response, error) {
	options := t.options
	ctx, span := t.tracer.Start(request.Context(), request.Method+" "+string(options.Side),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("http.request.method", request.Method),
			attribute.String("server.address", request.URL.Hostname()),
			attribute.String("url.path", options.pathOf(request)),
			attribute.String("accord.connection", options.Connection),
			attribute.String("accord.side", string(options.Side)),
		))
	defer span.End()
	started := options.Now()
	response, err := options.Transport.RoundTrip(request.WithContext(ctx))
	took := options.Now().Sub(started)
	entry := options.Log.WithFields(t.fields(request, took))
	if err != nil {
		span.SetStatus(codes.Error, "no answer")
		t.metrics.seconds.WithLabelValues(string(options.Side), request.Method, "error").Observe(took.Seconds())
		entry.WithField("failure", failureKind(err)).Warn("outside call got no answer")
		return nil, err
	}
	class := string(rune('0'+response.StatusCode/100)) + "xx"
	t.metrics.seconds.WithLabelValues(string(options.Side), request.Method, class).Observe(took.Seconds())
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	entry = entry.WithField("status", response.StatusCode)
	if id := requestID(response.Header); id != "" {
		entry = entry.WithField("request_id", id)
	}
	if response.StatusCode < 400 {
		entry.Info("outside call")
		return response, nil
	}
	span.SetStatus(codes.Error, http.StatusText(response.StatusCode))
	peek := peekError(response)
	entry.WithFields(logrus.Fields{"error_code": peek.code, "answer_shape": peek.shape}).Warn("outside call was refused")
	return response, nil
}

// pathOf is what may be told of a request's path.
func (o Options) pathOf(request *http.Request) string {
	if o.Name != "" {
		return o.Name
	}
	return request.URL.Path
}

func (t *tripper) fields(request *http.Request, took time.Duration) logrus.Fields {
	fields := logrus.Fields{
		"method": request.Method, "path": t.options.pathOf(request), "side": string(t.options.Side),
		"connection": t.options.Connection, "duration_ms": took.Milliseconds(), "attempt": attemptOf(request.Context()),
	}
	if t.options.Tenant != "" {
		fields["tenant"] = t.options.Tenant
	}
	if run := RunOf(request.Context()); run != "" {
		fields["run"] = run
	}
	names := make([]string, 0, 4)
	for name := range request.URL.Query() {
		names = append(names, name)
	}
	if len(names) > 0 {
		slices.Sort(names)
		fields["query"] = strings.Join(names, ",")
	}
	return fields
}

// errorPeek is what may be told of a refusal: the vendor's code and the shape
// of the body, never a value.
type errorPeek struct{ code, shape string }

// peekError reads the first 64 KiB of a refusal and puts them back.
func peekError(response *http.Response) errorPeek {
	const enough = 64 << 10
	head, err := io.ReadAll(io.LimitReader(response.Body, enough))
	rest := io.Reader(response.Body)
	if err != nil {
		rest = failingReader{err}
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), response.Body}
	var body any
	if json.Unmarshal(head, &body) != nil {
		if len(head) == 0 {
			return errorPeek{shape: "empty"}
		}
		return errorPeek{shape: "not json"}
	}
	peek := errorPeek{shape: shapeOf(body, 3)}
	if object, ok := body.(map[string]any); ok {
		peek.code = errorCode(object)
	}
	return peek
}

func errorCode(object map[string]any) string {
	inner, ok := object["error"].(map[string]any)
	if !ok {
		inner = object
	}
	for _, key := range []string{"code", "type", "error"} {
		if text, ok := inner[key].(string); ok && text != "" {
			return SafeToken(text)
		}
	}
	return ""
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// shapeOf prints the keys and kinds of a JSON value to a small depth.
func shapeOf(value any, depth int) string {
	switch typed := value.(type) {
	case map[string]any:
		if depth == 0 {
			return "{…}"
		}
		keys := make([]string, 0, len(typed))
		for key := range typed {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		keys = keys[:min(len(keys), 8)]
		for i, key := range keys {
			keys[i] = SafeToken(key) + ":" + shapeOf(typed[key], depth-1)
		}
		return "{" + strings.Join(keys, ",") + "}"
	case []any:
		if len(typed) == 0 || depth == 0 {
			return "[]"
		}
		return "[" + shapeOf(typed[0], depth-1) + "]"
	case string:
		return "text"
	case float64:
		return "number"
	case bool:
		return "bool"
	}
	return "null"
}

// SafeToken passes a short identifier (a vendor's error code, a field's name)
// and replaces anything that could be a person's data by "other".
func SafeToken(text string) string {
	letters := false
	for _, r := range text {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (r < '0' || r > '9') && !strings.ContainsRune("_-.:", r) {
			return "other"
		}
		letters = letters || letter
	}
	if !letters || len(text) > 64 {
		return "other"
	}
	return text
}

// RequestID is the vendor's id of an answered call; empty when it names none.
func (r Reply) RequestID() string { return requestID(r.Header) }

func requestID(header http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "X-Correlation-Id"} {
		if id := header.Get(name); id != "" {
			return SafeToken(id)
		}
	}
	return ""
}
