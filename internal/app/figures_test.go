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
	rules []ledger.RuleTotal
	calls int
	err   error
	// takes is what it does while it counts.
	takes func()
}

func (t *totals) TouchTotals(context.Context) ([]ledger.TouchTotal, error) {
	t.calls++
	if t.takes != nil {
		t.takes()
	}
	return []ledger.TouchTotal{{Key: ledger.Key{Tenant: "t", Connection: "c"}, Kind: "call", Count: t.calls}}, t.err
}

func (t *totals) RuleTotals(context.Context) ([]ledger.RuleTotal, error) { return t.rules, t.err }

// TestRuleCountsAsMetrics: each rule has labels of its own, and none takes the place of ours.
func TestRuleCountsAsMetrics(t *testing.T) {
	key := ledger.Key{Tenant: "t", Connection: "c"}
	store := &totals{rules: []ledger.RuleTotal{
		{Key: key, RuleCount: ledger.RuleCount{Rule: "won", Metric: "deals_won", Labels: `{"rule":"mine","stage":"other"}`, Count: 3}},
		{Key: key, RuleCount: ledger.RuleCount{Rule: "lost", Metric: "deals_lost", Labels: `{}`, Count: 1}},
		{Key: key, RuleCount: ledger.RuleCount{Rule: "odd", Metric: "deals_odd", Labels: `no JSON`, Count: 1}},
	}}
	registry := prometheus.NewRegistry()
	tellFigures(registry, store, logrus.New(), time.Now)
	answer := httptest.NewRecorder()
	telemetry.MetricsHandler(registry).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	require.Equal(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Body.String(), `accord_rule_counts_total{connection="c",label_rule="mine",label_stage="other",metric="deals_won",rule="won",tenant="t"} 3`+"\n")
	require.Contains(t, answer.Body.String(), `accord_rule_counts_total{connection="c",metric="deals_lost",rule="lost",tenant="t"} 1`+"\n")
	require.NotContains(t, answer.Body.String(), "deals_odd")
}

func TestTouchPointsAsMetrics(t *testing.T) {
	registry, now, store := prometheus.NewRegistry(), time.Unix(1000, 0), &totals{}
	forget := tellFigures(registry, store, logrus.New(), func() time.Time { return now })
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
	now = now.Add(figuresPause)
	told("2")
	store.err, now = fault.New(fault.Unavailable, "away"), now.Add(figuresPause)
	told("2")
	require.Contains(t, page(), `accord_counted_timestamp_seconds{counts="touch_points"} 1015`+"\n", "what is told is as old as that")
	// An answer that takes long is asked for seldom.
	store.err, store.takes = nil, func() { now = now.Add(2 * time.Second) }
	now = now.Add(figuresPause)
	told("4")
	now = now.Add(10 * figuresPause)
	told("4")
	now = now.Add(50 * time.Second)
	told("5")
	forget()
	require.NotContains(t, page(), "accord_touch_points")
}
