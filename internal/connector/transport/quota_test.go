package transport_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func headers(pairs ...string) http.Header {
	header := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		header.Set(pairs[i], pairs[i+1])
	}
	return header
}

func TestRetryAfter(t *testing.T) {
	date := func(after time.Duration) string { return noon().Add(after).Format(http.TimeFormat) }
	for _, row := range []struct {
		name   string
		header http.Header
		want   time.Duration
		ok     bool
	}{
		{"absent", headers(), 0, false},
		{"seconds", headers("Retry-After", "12"), 12 * time.Second, true},
		{"fraction", headers("Retry-After", "0.5"), 500 * time.Millisecond, true},
		{"zero is not at once", headers("Retry-After", "0"), 100 * time.Millisecond, true},
		{"negative", headers("Retry-After", "-3"), 0, false},
		{"not a number", headers("Retry-After", "NaN"), 0, false},
		{"for ever", headers("Retry-After", "1e300"), time.Hour, true},
		{"date", headers("Retry-After", date(90*time.Second)), 90 * time.Second, true},
		{"date by the server's clock", headers("Retry-After", date(90*time.Second), "Date", date(60*time.Second)), 30 * time.Second, true},
		{"date in the past", headers("Retry-After", date(-time.Hour)), 100 * time.Millisecond, true},
		{"words", headers("Retry-After", "later"), 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, ok := transport.RetryAfter(row.header, noon())
			require.Equal(t, row.ok, ok)
			require.Equal(t, row.want, got)
		})
	}
}

func TestParseQuota(t *testing.T) {
	epoch := strconv.FormatInt(noon().Add(30*time.Second).Unix(), 10)
	for _, row := range []struct {
		name   string
		status int
		header http.Header
		want   connector.QuotaSeen
	}{
		{"nothing said", 200, headers(), connector.QuotaSeen{}},
		{"SalesOS", 200, headers("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "7", "X-RateLimit-Reset", epoch),
			connector.QuotaSeen{Limit: 100, Remaining: 7, Known: true, ResetAt: noon().Add(31 * time.Second)}},
		{"SalesOS with a clock of its own", 200, headers("X-RateLimit-Remaining", "7", "X-RateLimit-Reset", epoch,
			"Date", noon().Add(20*time.Second).Format(http.TimeFormat)),
			connector.QuotaSeen{Remaining: 7, Known: true, ResetAt: noon().Add(11 * time.Second)}},
		{"Acme", 200, headers("RateLimit-Limit", "110", "RateLimit-Remaining", "0", "RateLimit-Reset", "4"),
			connector.QuotaSeen{Limit: 110, Known: true, ResetAt: noon().Add(4 * time.Second)}},
		{"a limit alone tells nothing", 200, headers("RateLimit-Limit", "110"), connector.QuotaSeen{}},
		{"nonsense", 200, headers("RateLimit-Remaining", "many", "RateLimit-Reset", "soon"), connector.QuotaSeen{}},
		{"negative", 200, headers("RateLimit-Remaining", "-1", "RateLimit-Reset", "-5"), connector.QuotaSeen{Known: true, ResetAt: noon()}},
		{"429 without a word", 429, headers(), connector.QuotaSeen{PausedUntil: noon().Add(transport.DefaultRetryAfter)}},
		{"429 with the reset only", 429, headers("RateLimit-Remaining", "0", "RateLimit-Reset", "4"),
			connector.QuotaSeen{Known: true, ResetAt: noon().Add(4 * time.Second), PausedUntil: noon().Add(4 * time.Second)}},
		{"429 with Retry-After", 429, headers("Retry-After", "3"), connector.QuotaSeen{PausedUntil: noon().Add(3 * time.Second)}},
		{"503 with Retry-After", 503, headers("Retry-After", "3"), connector.QuotaSeen{PausedUntil: noon().Add(3 * time.Second)}},
		{"503 without", 503, headers(), connector.QuotaSeen{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.want, transport.ParseQuota(row.status, row.header, noon()))
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "1", "-1", "1e309", "NaN", "Inf", "0x10", "Sun, 22 Nov 2026 12:00:30 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"} {
		f.Add(seed, seed, 429)
	}
	f.Fuzz(func(t *testing.T, retry, reset string, status int) {
		header := http.Header{"Retry-After": {retry}, "Ratelimit-Remaining": {"1"}, "Ratelimit-Reset": {reset}, "Date": {reset}}
		pause, ok := transport.RetryAfter(header, noon())
		if ok != (pause != 0) || pause < 0 || pause > time.Hour {
			t.Fatalf("pause %s, ok %v", pause, ok)
		}
		seen := transport.ParseQuota(status, header, noon())
		if seen.PausedUntil.Sub(noon()) > time.Hour || !seen.ResetAt.IsZero() && (seen.ResetAt.Before(noon()) || seen.ResetAt.Sub(noon()) > time.Hour) {
			t.Fatalf("seen %+v", seen)
		}
		if status == http.StatusTooManyRequests && !seen.PausedUntil.After(noon()) {
			t.Fatal("a 429 must pause")
		}
	})
}

func TestLocalQuota(t *testing.T) {
	now := noon()
	quota := transport.NewLocalQuota(10, 0, func() time.Time { return now })
	ctx := context.Background()
	for range 8 {
		require.NoError(t, quota.Take(ctx, connector.LaneBackfill))
	}
	require.Equal(t, fault.Throttled, fault.CodeOf(quota.Take(ctx, connector.LaneBackfill)), "backfill leaves a fifth to the others")
	require.NoError(t, quota.Take(ctx, connector.LanePoll))
	require.Equal(t, fault.Throttled, fault.CodeOf(quota.Take(ctx, connector.LanePoll)), "poll leaves a tenth to live")
	require.NoError(t, quota.Take(ctx, connector.LaneLive))
	err := quota.Take(ctx, connector.LaneLive)
	require.Equal(t, fault.Throttled, fault.CodeOf(err))
	require.Equal(t, 6*time.Second, fault.AfterOf(err))
	now = now.Add(6 * time.Second)
	require.NoError(t, quota.Take(ctx, connector.LaneLive))

	now = now.Add(time.Minute)
	quota.Observe(ctx, connector.QuotaSeen{Known: true, Remaining: 1})
	require.NoError(t, quota.Take(ctx, connector.LaneLive))
	require.Error(t, quota.Take(ctx, connector.LaneLive), "the vendor's count is the truth")
	now = now.Add(time.Minute)
	quota.Observe(ctx, connector.QuotaSeen{PausedUntil: now.Add(20 * time.Second)})
	require.Equal(t, 20*time.Second, fault.AfterOf(quota.Take(ctx, connector.LaneLive)))
}
