// Package transport is what every connector sends its requests with: an HTTP
// client with quota, concurrency, time-outs, size limits, an address guard, one
// log line, one span and one measurement per call; a token source on
// golang.org/x/oauth2; and a JSON caller that turns answers into coded errors.
package transport

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Defaults of Options.
const (
	// DefaultTimeout bounds one HTTP exchange, body included.
	DefaultTimeout = 10 * time.Second
	// DefaultMaxBody bounds the (unpacked) body of one answer.
	DefaultMaxBody = 32 << 20
	// DefaultConcurrency bounds the calls in flight on one side.
	DefaultConcurrency = 8
)

// Options shape a client. The zero value works: no quota, no log, no metrics,
// public addresses only.
type Options struct {
	// Connection, Side and Tenant label the log line and the span.
	Connection string
	Side       record.Side
	Tenant     string
	// Name, if set, stands for the path of an address in the log line and the span:
	// some addresses are secrets.
	Name string
	// Concurrency bounds the calls in flight; 0 is DefaultConcurrency.
	Concurrency int
	// Quota is asked before each call and told what the answers said; nil is Unlimited.
	Quota connector.Quota
	// Plan names the headers that tell about the plan, beyond the usual ones.
	Plan PlanHeaders
	// Pace is what the vendor documents of its limits and no header tells; nil: nothing.
	Pace []Pace
	// Log gets one line per call; nil discards.
	Log logrus.FieldLogger
	// Registerer gets the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
	// Tracer makes the spans; nil takes OpenTelemetry's configured provider.
	Tracer trace.TracerProvider
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Timeout bounds one exchange once it was let through by quota and
	// concurrency; 0 is DefaultTimeout. The context's own deadline holds as well.
	Timeout time.Duration
	// MaxBody bounds an answer's body in bytes; 0 is DefaultMaxBody.
	MaxBody int64
	// AllowPrivate lists the private address ranges that may be called
	// (127.0.0.0/8 for a sandbox, a proxy's network). All others are refused.
	AllowPrivate []netip.Prefix
	// Transport replaces the network, for tests. The address guard is part of
	// the network and therefore off then.
	Transport http.RoundTripper
}

// New makes the client of one side of one connection. It keeps connections
// alive: make one and keep it. It follows redirects of reads within one host
// only, and never repeats a request on its own.
func New(options Options) *http.Client {
	if options.Concurrency <= 0 {
		options.Concurrency = DefaultConcurrency
	}
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	if options.MaxBody <= 0 {
		options.MaxBody = DefaultMaxBody
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Quota == nil {
		options.Quota = Unlimited{}
	}
	if options.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		options.Log = silent
	}
	if options.Tracer == nil {
		options.Tracer = otel.GetTracerProvider()
	}
	if options.Transport == nil {
		options.Transport = network(options)
	}
	return &http.Client{
		CheckRedirect: sameHostReads,
		Transport: &tripper{
			options: options,
			seats:   make(chan struct{}, options.Concurrency),
			paces:   newPaces(options.Pace, options.Now),
			metrics: newMetrics(options.Registerer),
			tracer:  options.Tracer.Tracer("github.com/accord-sync/accord/internal/connector/transport"),
		},
	}
}

// sameHostReads lets a GET follow at most three redirects on its own host and
// scheme. Anything else gets the 3xx itself: a followed POST would lose its
// body, and a token must not reach another host.
func sameHostReads(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > 3 || first.Method != http.MethodGet ||
		next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// tripper is the chain: quota, seat, deadline, network, measurement.
type tripper struct {
	options Options
	seats   chan struct{}
	paces   paces
	metrics *metrics
	tracer  trace.Tracer
}

var _ http.RoundTripper = (*tripper)(nil)

// RoundTrip sends one request. Errors that arise before the network was
// touched are coded (fault.Throttled, fault.Transient without MaybeApplied).
func (t *tripper) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	turn, err := t.turn(ctx, request.URL.Path)
	if err != nil {
		closeBody(request.Body)
		return nil, err
	}
	defer turn()
	timeout, most := t.options.Timeout, t.options.MaxBody
	if streamed(ctx) {
		timeout, most = streamTimeout, streamBody
	}
	timed, cancel := context.WithTimeout(ctx, timeout)
	done := sync.OnceFunc(func() { cancel(); <-t.seats })
	response, err := t.measured(request.WithContext(timed))
	if err != nil {
		done()
		return nil, err
	}
	t.observe(ctx, response)
	response.Body = &cappedBody{inner: response.Body, left: most, limit: most, done: done}
	return response, nil
}

// observe tells the quota what an answer said. That of a call outside of the plan says
// nothing of it, but a pause that it asks for is one of the whole system.
func (t *tripper) observe(ctx context.Context, response *http.Response) {
	seen := ParseQuota(response.StatusCode, t.options.Plan.usual(response.Header), t.options.Now())
	if unmetered(ctx) {
		if seen.PausedUntil.IsZero() {
			return
		}
		seen = connector.QuotaSeen{PausedUntil: seen.PausedUntil}
	}
	t.options.Quota.Observe(ctx, seen)
}

// pausedNow refuses a call outside of the plan while the system asks for a pause.
func (t *tripper) pausedNow(ctx context.Context) error {
	pausing, ok := t.options.Quota.(connector.Pausing)
	if !ok {
		return nil
	}
	pause, err := pausing.Paused(ctx)
	if err != nil {
		return fault.Wrap(fault.Transient, err, "it is not known whether the system may be called; it is tried again")
	}
	if pause <= 0 {
		return nil
	}
	late := fault.New(fault.Throttled, "the system asked for a pause; the side waits")
	late.After = pause
	return late
}

// turn waits for the turn of a call, for a call of the quota and for a seat. What it
// answers is called when the answer has begun.
func (t *tripper) turn(ctx context.Context, path string) (func(), error) {
	turn := func() {}
	var err error
	if unmetered(ctx) {
		err = t.pausedNow(ctx)
	} else {
		turn, err = t.paces.take(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	if err := t.admit(ctx); err != nil {
		turn()
		return nil, err
	}
	return turn, nil
}

// admit waits for a call of the quota and a seat. While it waited for the seat the
// side may have asked to be left alone; then it waits for another call.
func (t *tripper) admit(ctx context.Context) error {
	for {
		if err := t.permitted(ctx); err != nil {
			return err
		}
		if err := t.seated(ctx); err != nil {
			return err
		}
		if unmetered(ctx) || !t.options.Quota.Stopped(ctx) {
			return nil
		}
		<-t.seats
	}
}

func (t *tripper) permitted(ctx context.Context) error {
	if unmetered(ctx) {
		return nil
	}
	err := t.options.Quota.Take(ctx, connector.LaneOf(ctx))
	if err == nil || fault.As(err) != nil {
		return err
	}
	return fault.Wrap(fault.Transient, err, "the call did not get its turn in the quota; it is tried again")
}

func (t *tripper) seated(ctx context.Context) error {
	select {
	case t.seats <- struct{}{}:
	case <-ctx.Done():
		return fault.Wrap(fault.Transient, ctx.Err(), "the call did not get its turn in time; it is tried again")
	}
	if err := ctx.Err(); err != nil {
		<-t.seats
		return fault.Wrap(fault.Transient, err, "the time for the call was over before it was sent; it is tried again")
	}
	return nil
}

// cappedBody ends an answer that is too large with an error instead of a
// silent cut, and gives the seat back when it is closed.
type cappedBody struct {
	inner io.ReadCloser
	left  int64
	limit int64
	done  func()
}

var _ io.ReadCloser = (*cappedBody)(nil)

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.tooLarge()
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.inner.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, b.tooLarge()
	}
	return n, err
}

func (b *cappedBody) tooLarge() error {
	return fault.New(fault.TooLarge, "the answer is larger than %d bytes; ask for smaller pages or raise the limit", b.limit)
}

func (b *cappedBody) Close() error {
	err := b.inner.Close()
	b.done()
	return err
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close() // a request's body is bytes in memory: there is nothing to lose
	}
}

type runKey struct{}
type attemptKey struct{}
type unmeteredKey struct{}

// WithRun marks the calls made under ctx with a run's id, for the log.
func WithRun(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, runKey{}, id)
}

// RunOf returns the run of ctx; empty when none was set.
func RunOf(ctx context.Context) string {
	id, _ := ctx.Value(runKey{}).(string)
	return id
}

// WithAttempt marks the calls made under ctx with the number of the try (1, 2 …), for the log.
func WithAttempt(ctx context.Context, attempt int) context.Context {
	return context.WithValue(ctx, attemptKey{}, attempt)
}

func attemptOf(ctx context.Context) int {
	if attempt, ok := ctx.Value(attemptKey{}).(int); ok && attempt > 0 {
		return attempt
	}
	return 1
}

// withoutQuota marks calls to a token endpoint: they are not part of the plan.
func withoutQuota(ctx context.Context) context.Context {
	return context.WithValue(ctx, unmeteredKey{}, true)
}

func unmetered(ctx context.Context) bool {
	marked, _ := ctx.Value(unmeteredKey{}).(bool)
	return marked
}
