package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
)

type key string

func (k key) String() string { return string(k) }

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestLogsAreJSONAwayFromATerminal(t *testing.T) {
	var out bytes.Buffer
	telemetry, err := New(t.Context(), Options{Service: "worker", Output: &out, Getenv: environment(map[string]string{LevelVariable: "warn"})})
	require.NoError(t, err)
	telemetry.Log.Info("hidden")
	TemporalLogger(telemetry.Log).Warn("said by the SDK", "attempt", 3, "odd")
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line), "one line: %s", out.String())
	require.Equal(t, "worker", line["service"])
	require.Equal(t, "said by the SDK", line["msg"])
	require.EqualValues(t, 3, line["attempt"])
	require.Equal(t, "odd", line["extra"])
	require.NoError(t, telemetry.Shutdown(t.Context()))
}

func TestAnUnknownLevelIsRefused(t *testing.T) {
	_, err := New(t.Context(), Options{Getenv: environment(map[string]string{LevelVariable: "loud"})})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func TestTracesGoToTheCollectorNamed(t *testing.T) {
	asked := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- r.URL.Path
		w.WriteHeader(http.StatusOK)
	}))
	defer collector.Close()
	t.Setenv(TraceVariable, collector.URL)
	telemetry, err := New(t.Context(), Options{Service: "worker", Output: io.Discard})
	require.NoError(t, err)
	_, span := telemetry.Tracer.Tracer("test").Start(t.Context(), "a step")
	span.End()
	tracing, err := telemetry.TemporalTracing()
	require.NoError(t, err)
	require.NotNil(t, tracing)
	require.NoError(t, telemetry.Shutdown(t.Context()))
	require.Equal(t, "/v1/traces", <-asked)
}

func scrape(t *testing.T, handler http.Handler, path string) (int, string) {
	t.Helper()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer.Code, answer.Body.String()
}

func TestMetricsOfTheSDKAndOfRecords(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics := TemporalMetrics(registry)
	metrics.WithTags(map[string]string{"workflow_type": "Run", "unbounded": "x"}).Counter("temporal_workflow_completed").Inc(2)
	metrics.WithTags(map[string]string{"activity_type": "Drain"}).Counter("temporal_workflow_completed").Inc(1)
	metrics.Timer("temporal_request_latency").Record(20 * time.Millisecond)
	metrics.Gauge("temporal_num_pollers").Update(4)
	metrics.Gauge("temporal_workflow_completed").Update(4)
	observer := NewObserver[key](registry)
	observer.Reconciled("t1/c1", "leads", "updated", 2*time.Second)
	observer.Reconciled("t1/c1", "leads", "retry", 0)
	code, text := scrape(t, Handler(registry, func(context.Context) error { return nil }), "/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, text, `workflow_type="Run"} 2`)
	require.Contains(t, text, `temporal_request_latency_seconds_count`)
	require.Contains(t, text, `accord_records_total{connection="t1/c1",outcome="updated",stream="leads"} 1`)
	require.Contains(t, text, `accord_change_wait_seconds_sum{outcome="updated",stream="leads"} 2`)
	require.Contains(t, text, `accord_records_total{connection="t1/c1",outcome="retry",stream="leads"} 1`)
	require.NotContains(t, text, `accord_change_wait_seconds_sum{outcome="retry"`, "it waits still")
	require.NotContains(t, text, "unbounded")
}

func TestHealthTellsACodeAlone(t *testing.T) {
	var state error
	handler := Handler(prometheus.NewRegistry(), func(context.Context) error { return state })
	code, text := scrape(t, handler, "/healthz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\n", text)
	state = fault.New(fault.Unavailable, "postgres://user:secret@host does not answer")
	code, text = scrape(t, handler, "/healthz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "unavailable\n", text)
}

func TestServeUntilTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	bound, ended := make(chan net.Addr, 1), make(chan error, 1)
	handler := Handler(prometheus.NewRegistry(), func(context.Context) error { return nil })
	go func() { ended <- Serve(ctx, "127.0.0.1:0", handler, func(a net.Addr) { bound <- a }) }()
	address := (<-bound).String()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/healthz", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, fault.Usage, fault.CodeOf(Serve(t.Context(), address, handler, nil)), "the port is in use")
	cancel()
	require.NoError(t, <-ended)
}
