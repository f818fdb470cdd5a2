package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestGuard(t *testing.T) {
	allowed := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	guard := transport.Guard(allowed)
	for address, ok := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1::1]:443": true, "10.1.2.3:80": true,
		"127.0.0.1:80": false, "[::1]:80": false, "10.2.0.1:80": false, "192.168.1.1:80": false, "172.16.0.1:80": false,
		"169.254.169.254:80": false, "[fd00:ec2::254]:80": false, "[fe80::1%eth0]:80": false, "100.64.0.1:80": false,
		"0.0.0.0:80": false, "[::]:80": false, "224.0.0.1:80": false, "255.255.255.255:80": false,
		"[::ffff:127.0.0.1]:80": false, "[64:ff9b::7f00:1]:80": false, "[2002:7f00:1::]:80": false, "nonsense": false,
	} {
		err := guard("tcp", address, nil)
		if ok {
			require.NoError(t, err, address)
		} else {
			require.Equal(t, fault.Forbidden, fault.CodeOf(err), address)
		}
	}
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, err := transport.New(transport.Options{}).Get(strings.Replace(url, "127.0.0.1", "localhost", 1))
	require.Equal(t, fault.Forbidden, fault.CodeOf(err), "the name is looked at after it was resolved")
}

func TestLogTellsTheCallAndNoSecret(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "req_7")
		w.WriteHeader(422)
		_, _ = io.WriteString(w, `{"error":{"code":"VALIDATION_ERROR","message":"ana@example.com is taken","details":[{"field":"email"}]}}`)
	})
	var lines bytes.Buffer
	log := logrus.New()
	log.SetOutput(&lines)
	log.SetFormatter(&logrus.JSONFormatter{})
	client := transport.New(transport.Options{Connection: "c1", Side: record.Left, Log: log, AllowPrivate: loopback()})
	ctx := transport.WithAttempt(transport.WithRun(context.Background(), "run-1"), 3)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/leads/l-1?search=ana@example.com", strings.NewReader("ana@example.com"))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer secret-token")
	response, err := client.Do(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Contains(t, string(body), "VALIDATION_ERROR", "looking at the code leaves the body whole")

	var line map[string]any
	require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
	for key, want := range map[string]any{"method": "POST", "path": "/v1/leads/l-1", "query": "search", "status": 422.0, "error_code": "VALIDATION_ERROR",
		"request_id": "req_7", "attempt": 3.0, "connection": "c1", "run": "run-1", "side": "left",
		"answer_shape": "{error:{code:text,details:[{…}],message:text}}"} {
		require.Equal(t, want, line[key], key)
	}
	require.Contains(t, line, "duration_ms")
	require.NotContains(t, lines.String(), "ana")
	require.NotContains(t, lines.String(), "secret-token")
}

func TestMetricsAreShared(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	registry := prometheus.NewRegistry()
	for range 2 {
		client := transport.New(transport.Options{Side: record.Right, Registerer: registry, AllowPrivate: loopback()})
		response, err := client.Get(url)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.EqualValues(t, 2, families[0].GetMetric()[0].GetHistogram().GetSampleCount())
}

func TestConcurrencyIsBounded(t *testing.T) {
	var inside, most atomic.Int32
	release := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		if now := inside.Add(1); now > most.Load() {
			most.Store(now)
		}
		<-release
		inside.Add(-1)
	})
	client := transport.New(transport.Options{Concurrency: 3, AllowPrivate: loopback()})
	var wait sync.WaitGroup
	for range 9 {
		wait.Go(func() {
			response, err := client.Get(url)
			if err == nil {
				_ = response.Body.Close() // only the count matters here
			}
		})
	}
	require.Eventually(t, func() bool { return inside.Load() == 3 }, 5*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	_, err = client.Do(request)
	require.Equal(t, fault.Transient, fault.CodeOf(err), "who waits for a seat obeys its context")
	close(release)
	wait.Wait()
	require.EqualValues(t, 3, most.Load())
}

type quotaSpy struct {
	refuse error
	lanes  []connector.Lane
	seen   []connector.QuotaSeen
}

func (q *quotaSpy) Take(_ context.Context, lane connector.Lane) error {
	q.lanes = append(q.lanes, lane)
	return q.refuse
}

func (q *quotaSpy) Stopped(context.Context) bool { return false }

func (q *quotaSpy) Observe(_ context.Context, seen connector.QuotaSeen) {
	q.seen = append(q.seen, seen)
}

func TestQuotaIsAskedAndTold(t *testing.T) {
	calls := 0
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("RateLimit-Remaining", "5")
	})
	spy := &quotaSpy{}
	client := transport.New(transport.Options{Quota: spy, AllowPrivate: loopback()})
	request, err := http.NewRequestWithContext(connector.WithLane(context.Background(), connector.LaneBackfill), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, []connector.Lane{connector.LaneBackfill}, spy.lanes)
	require.Equal(t, []connector.QuotaSeen{{Known: true, Remaining: 5}}, spy.seen)
	spy.refuse = fault.New(fault.Throttled, "wait")
	_, err = client.Do(request)
	require.Equal(t, fault.Throttled, fault.CodeOf(err))
	require.Equal(t, 1, calls)
}

func TestRedirects(t *testing.T) {
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the other host was called") })
	var url string
	url = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, elsewhere, http.StatusFound)
		case "/near":
			http.Redirect(w, r, url+"/end", http.StatusTemporaryRedirect)
		}
	})
	client := transport.New(transport.Options{AllowPrivate: loopback()})
	for path, want := range map[string]int{"/away": 302, "/near": 200} {
		response, err := client.Get(url + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
	}
	response, err := client.Post(url+"/near", "text/plain", strings.NewReader("x"))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 307, response.StatusCode, "a write is never sent on")
}

func TestBodyIsCapped(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", len(r.URL.Query().Get("n"))))
	})
	client := transport.New(transport.Options{MaxBody: 10, AllowPrivate: loopback()})
	for size, ok := range map[int]bool{10: true, 11: false} {
		response, err := client.Get(url + "?n=" + strings.Repeat("n", size))
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, response.Body.Close())
		if ok {
			require.NoError(t, err)
			require.Len(t, body, size)
		} else {
			require.Equal(t, fault.TooLarge, fault.CodeOf(err))
		}
	}
}

func TestTimeoutDoesNotCountTheQueue(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
	})
	client := transport.New(transport.Options{Timeout: 30 * time.Millisecond, AllowPrivate: loopback()})
	_, err := client.Get(url + "/slow")
	require.Error(t, err)
	slow := &quotaWait{pause: 80 * time.Millisecond}
	client = transport.New(transport.Options{Timeout: 40 * time.Millisecond, Quota: slow, AllowPrivate: loopback()})
	response, err := client.Get(url)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.True(t, slow.waited)
}

// quotaWait lets a call through after a pause.
type quotaWait struct {
	pause  time.Duration
	waited bool
}

func (q *quotaWait) Take(context.Context, connector.Lane) error {
	<-time.After(q.pause)
	q.waited = true
	return nil
}

func (q *quotaWait) Stopped(context.Context) bool { return false }

func (q *quotaWait) Observe(context.Context, connector.QuotaSeen) {}

// takes counts the calls that were permitted.
type takes struct {
	*transport.LocalQuota
	count atomic.Int32
}

func (q *takes) Take(ctx context.Context, lane connector.Lane) error {
	defer q.count.Add(1)
	return q.LocalQuota.Take(ctx, lane)
}

// A call that was permitted before a 429, and waits for its seat, is not sent.
func TestACallThatWaitsForItsSeatHearsOfA429(t *testing.T) {
	var calls atomic.Int32
	arrived, release := make(chan struct{}), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			close(arrived)
			<-release
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	quota := &takes{LocalQuota: transport.NewLocalQuota(600, time.Millisecond, time.Now)}
	client := transport.New(transport.Options{Concurrency: 1, Quota: quota, AllowPrivate: loopback()})
	var both sync.WaitGroup
	get := func() error {
		response, err := client.Get(url)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	both.Go(func() { assert.NoError(t, get()) })
	<-arrived
	both.Go(func() { assert.Equal(t, fault.Throttled, fault.CodeOf(get())) })
	require.Eventually(t, func() bool { return quota.count.Load() == 2 }, 10*time.Second, time.Millisecond)
	close(release)
	both.Wait()
	require.EqualValues(t, 1, calls.Load())
}
