package app

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

// vendor counts calls in windows of a minute that begin with their first call,
// and tells times in whole seconds, as SalesOS does.
type vendor struct {
	limit         int
	end           time.Time
	used, refused int
	taken         []int
}

func (v *vendor) call(now time.Time) (int, http.Header) {
	if !now.Before(v.end) {
		v.end, v.used = now.Add(time.Minute), 0
		v.taken = append(v.taken, 0)
	}
	v.used++
	header := http.Header{}
	header.Set("Date", now.UTC().Format(http.TimeFormat))
	header.Set("X-RateLimit-Limit", strconv.Itoa(v.limit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, v.limit-v.used)))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(v.end.Unix(), 10))
	if v.used > v.limit {
		v.refused++
		header.Set("Retry-After", strconv.Itoa(int(v.end.Sub(now).Seconds())+1))
		return http.StatusTooManyRequests, header
	}
	v.taken[len(v.taken)-1]++
	return http.StatusOK, header
}

// flight is a call under way: it arrives, and its answer comes back as late.
type flight struct {
	arrives, returns time.Time
	status           int
	header           http.Header
}

// TestAPlanIsUsedUpWithoutARefusal lets two workers work off a backlog on plans
// of all sizes: no call is refused, and nearly all that may be made are made.
func TestAPlanIsUsedUpWithoutARefusal(t *testing.T) {
	for _, limit := range []int{100, 500, 2000} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			begun := time.Date(2026, 11, 22, 12, 0, 0, 700_000_000, time.UTC)
			now := begun.Add(-50 * time.Second)
			clock := func() time.Time { return now }
			store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "accord.db"), sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32), Now: clock})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			require.NoError(t, store.Migrate(t.Context()))
			key := installed(t, store).Key
			server := &vendor{limit: limit}
			quotas := make([]*Quota, 2)
			for n := range quotas {
				quotas[n] = NewQuota(store, key, record.Left, ledger.QuotaSpec{PerMinute: limit}, clock)
			}
			// Our minute does not begin with the vendor's.
			_, _, err = quotas[0].try(t.Context(), connector.LaneLive, nil)
			require.NoError(t, err)
			now = begun
			flights := make([][]flight, len(quotas))
			ask := make([]time.Time, len(quotas))
			for ; now.Before(begun.Add(4 * time.Minute)); now = now.Add(10 * time.Millisecond) {
				for n, quota := range quotas {
					flights[n] = land(t, quota, server, flights[n], now)
					for len(flights[n]) < 32 && !now.Before(ask[n]) {
						wait, _, err := quota.try(t.Context(), connector.LaneLive, nil)
						require.NoError(t, err)
						if wait > 0 {
							ask[n] = now.Add(wait)
							break
						}
						flights[n] = append(flights[n], flight{arrives: now.Add(130 * time.Millisecond), returns: now.Add(200 * time.Millisecond)})
					}
				}
			}
			require.Zero(t, server.refused, "calls refused; taken by window: %v", server.taken)
			total := 0
			for _, taken := range server.taken {
				total += taken
			}
			require.GreaterOrEqual(t, float64(total), 0.95*4*float64(limit), "taken by window: %v", server.taken)
		})
	}
}

// land lets calls arrive and answers return.
func land(t *testing.T, quota *Quota, server *vendor, flights []flight, now time.Time) []flight {
	left := flights[:0]
	for _, one := range flights {
		if one.status == 0 && !now.Before(one.arrives) {
			one.status, one.header = server.call(now)
		}
		if now.Before(one.returns) {
			left = append(left, one)
			continue
		}
		quota.Observe(t.Context(), transport.ParseQuota(one.status, one.header, now))
	}
	return left
}
