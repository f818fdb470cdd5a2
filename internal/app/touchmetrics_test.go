package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/telemetry"
)

// totals is a ledger that counts how often it is asked.
type totals struct {
	ledger.TouchPoints
	calls int
	err   error
}

func (t *totals) TouchTotals(context.Context) ([]ledger.TouchTotal, error) {
	t.calls++
	return []ledger.TouchTotal{{Key: ledger.Key{Tenant: "t", Connection: "c"}, Kind: "call", Count: t.calls}}, t.err
}

func TestTouchPointsAsMetrics(t *testing.T) {
	registry, now, store := prometheus.NewRegistry(), time.Unix(1000, 0), &totals{}
	forget := countTouchPoints(registry, store, logrus.New(), func() time.Time { return now })
	page := func() string {
		answer := httptest.NewRecorder()
		telemetry.MetricsHandler(registry).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		return answer.Body.String()
	}
	told := func(count string) {
		t.Helper()
		require.Contains(t, page(), `accord_touch_points{connection="c",kind="call",tenant="t"} `+count+"\n")
	}
	told("1")
	told("1")
	now = now.Add(touchPause)
	told("2")
	store.err, now = fault.New(fault.Unavailable, "away"), now.Add(touchPause)
	told("2")
	forget()
	require.NotContains(t, page(), "accord_touch_points")
}
