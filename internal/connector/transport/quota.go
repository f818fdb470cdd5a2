package transport

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

const (
	// DefaultRetryAfter is how long a 429 pauses a side when neither
	// Retry-After nor a reset time says so: long enough for a per-10-seconds
	// plan, a sixth of a per-minute one.
	DefaultRetryAfter = 10 * time.Second
	// minPause and maxPause keep a wrong header from hammering or stopping a side.
	minPause = 100 * time.Millisecond
	maxPause = time.Hour
)

// RetryAfter reads the Retry-After header in both forms (seconds, HTTP date;
// RFC 9110 section 10.2.3). A date is measured against the answer's own Date
// where it has one, so that our clock does not matter. The result is kept
// between 100 ms and one hour; false when absent or not understood.
func RetryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if seconds != seconds || seconds < 0 {
			return 0, false
		}
		return clampPause(time.Duration(min(seconds, maxPause.Seconds()) * float64(time.Second))), true
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return clampPause(until.Sub(serverTime(header, now))), true
}

func clampPause(pause time.Duration) time.Duration {
	return min(max(pause, minPause), maxPause)
}

// serverTime is the answer's Date, or fallback when it has none.
func serverTime(header http.Header, fallback time.Time) time.Time {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		return date
	}
	return fallback
}

// ParseQuota reads what an answer says about the plan: X-RateLimit-Limit,
// -Remaining, -Reset (SalesOS: epoch seconds) and RateLimit-* (Acme: seconds to
// go). Known only when Remaining was understood. A 429 always sets
// PausedUntil (Retry-After, else the reset, else DefaultRetryAfter); a 503 does
// when it carries Retry-After.
func ParseQuota(status int, header http.Header, now time.Time) connector.QuotaSeen {
	var seen connector.QuotaSeen
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		remaining, ok := headerNumber(header, prefix+"Remaining")
		if !ok {
			continue
		}
		seen.Known = true
		seen.Remaining = int(min(max(remaining, 0), 1e9))
		if limit, ok := headerNumber(header, prefix+"Limit"); ok {
			seen.Limit = int(min(max(limit, 0), 1e9))
		}
		if reset, ok := headerNumber(header, prefix+"Reset"); ok {
			seen.ResetAt = now.Add(untilReset(reset, serverTime(header, now)))
		}
		break
	}
	pause, asked := RetryAfter(header, now)
	switch {
	case asked && (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable):
		seen.PausedUntil = now.Add(pause)
	case status == http.StatusTooManyRequests && seen.ResetAt.After(now):
		seen.PausedUntil = seen.ResetAt
	case status == http.StatusTooManyRequests:
		seen.PausedUntil = now.Add(DefaultRetryAfter)
	}
	return seen
}

// PlanHeaders names a vendor's own headers about its plan; empty ones are not sent.
type PlanHeaders struct {
	// Limit and Remaining count calls; Reset is epoch seconds, epoch milliseconds
	// or seconds to go.
	Limit, Remaining, Reset string
}

// PlanOf is what a driver's vendor calls the headers about its plan; a driver
// that does not say has the usual ones only.
func PlanOf(driver connector.Driver) PlanHeaders {
	if named, ok := driver.(interface{ PlanHeaders() PlanHeaders }); ok {
		return named.PlanHeaders()
	}
	return PlanHeaders{}
}

// usual puts what the vendor's own headers say under the usual names.
func (p PlanHeaders) usual(header http.Header) http.Header {
	if p.Remaining == "" || header.Get(p.Remaining) == "" {
		return header
	}
	renamed := header.Clone()
	for name, own := range map[string]string{"X-RateLimit-Limit": p.Limit, "X-RateLimit-Remaining": p.Remaining, "X-RateLimit-Reset": p.Reset} {
		renamed.Del(name)
		if own != "" && header.Get(own) != "" {
			renamed.Set(name, header.Get(own))
		}
	}
	return renamed
}

// untilReset tells epoch seconds, epoch milliseconds and seconds to go apart
// by their size; server is the server's clock. Epoch seconds are cut off, and so
// is the server's Date: the end of the window may lie up to a second later than
// they say, and a call before it would be refused.
func untilReset(reset float64, server time.Time) time.Duration {
	switch {
	case reset > 1e11:
		reset = reset/1000 - float64(server.Unix())
	case reset > 1e8:
		reset -= float64(server.Unix()) - 1
	}
	return time.Duration(min(max(reset, 0), maxPause.Seconds()) * float64(time.Second))
}

func headerNumber(header http.Header, name string) (float64, bool) {
	value, err := strconv.ParseFloat(strings.TrimSpace(header.Get(name)), 64)
	if err != nil || value != value {
		return 0, false
	}
	return value, true
}

// Unlimited is a quota that always says yes.
type Unlimited struct{}

var _ connector.Quota = Unlimited{}

// Take returns at once.
func (Unlimited) Take(context.Context, connector.Lane) error { return nil }

// Stopped never is.
func (Unlimited) Stopped(context.Context) bool { return false }

// Observe ignores what was seen.
func (Unlimited) Observe(context.Context, connector.QuotaSeen) {}

// LocalQuota is a token bucket in this process's memory, for one worker and
// for tests; several workers share their plan through the ledger instead.
type LocalQuota struct {
	mu        sync.Mutex
	perSecond float64
	burst     float64
	tokens    float64
	filled    time.Time
	paused    time.Time
	wait      time.Duration
	now       func() time.Time
}

var _ connector.Quota = (*LocalQuota)(nil)

// NewLocalQuota makes a bucket of perMinute calls a minute. Take waits at most
// wait; beyond that it answers fault.Throttled. now is the clock of the bucket.
func NewLocalQuota(perMinute int, wait time.Duration, now func() time.Time) *LocalQuota {
	return &LocalQuota{
		perSecond: float64(perMinute) / 60, burst: float64(perMinute), tokens: float64(perMinute),
		filled: now(), wait: wait, now: now,
	}
}

// Take waits for one call. Poll leaves a tenth of the plan to live, backfill a fifth.
func (q *LocalQuota) Take(ctx context.Context, lane connector.Lane) error {
	var waited time.Duration
	for {
		need := q.try(lane)
		if need <= 0 {
			return nil
		}
		if waited+need > q.wait {
			throttled := fault.New(fault.Throttled, "the plan's calls are used up; the side waits")
			throttled.After = need
			return throttled
		}
		timer := time.NewTimer(need)
		select {
		case <-timer.C:
			waited += need
		case <-ctx.Done():
			timer.Stop()
			throttled := fault.Wrap(fault.Throttled, ctx.Err(), "the plan's calls are used up; the side waits")
			throttled.After = need
			return throttled
		}
	}
}

// Stopped reports whether the bucket is paused.
func (q *LocalQuota) Stopped(context.Context) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.paused.After(q.now())
}

// try takes a call, or tells how long to wait for one.
func (q *LocalQuota) try(lane connector.Lane) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if pause := q.paused.Sub(now); pause > 0 {
		return pause
	}
	q.fill(now)
	need := 1.0
	switch lane {
	case connector.LanePoll:
		need += q.burst / 10
	case connector.LaneBackfill:
		need += q.burst / 5
	}
	if q.tokens >= need {
		q.tokens--
		return 0
	}
	return max(time.Millisecond, time.Duration((need-q.tokens)/q.perSecond*float64(time.Second)))
}

// fill adds what has flowed in since the last look.
func (q *LocalQuota) fill(now time.Time) {
	if elapsed := now.Sub(q.filled).Seconds(); elapsed > 0 {
		q.tokens = min(q.burst, q.tokens+elapsed*q.perSecond)
	}
	q.filled = now
}

// Observe lowers the bucket to what the vendor says remains, and pauses it
// after a 429 or an empty plan.
func (q *LocalQuota) Observe(_ context.Context, seen connector.QuotaSeen) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if seen.PausedUntil.After(q.paused) {
		q.paused = seen.PausedUntil
	}
	if !seen.Known {
		return
	}
	q.fill(q.now())
	q.tokens = min(q.tokens, float64(seen.Remaining))
	if seen.Remaining == 0 && seen.ResetAt.After(q.paused) {
		q.paused = seen.ResetAt
	}
}
