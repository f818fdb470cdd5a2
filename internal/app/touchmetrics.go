package app

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const (
	// touchPause is for how long a count is told again before the ledger is asked
	// anew, whoever scrapes how often; touchTime bounds one question.
	touchPause = 15 * time.Second
	touchTime  = 5 * time.Second
)

// touchMetrics tells how many touch-points there are, by connection and kind.
type touchMetrics struct {
	store ledger.TouchPoints
	log   logrus.FieldLogger
	now   func() time.Time
	count *prometheus.Desc

	mu     sync.Mutex
	asked  time.Time
	totals []ledger.TouchTotal
}

var _ prometheus.Collector = (*touchMetrics)(nil)

// countTouchPoints registers the metric; forget takes it away.
func countTouchPoints(registry prometheus.Registerer, store ledger.TouchPoints, log logrus.FieldLogger, now func() time.Time) (forget func()) {
	metrics := &touchMetrics{store: store, log: log, now: now, count: prometheus.NewDesc("accord_touch_points",
		"E-mails and calls that are counted now, by connection and kind.", []string{"tenant", "connection", "kind"}, nil)}
	if err := registry.Register(metrics); err != nil {
		log.WithError(err).Warn("touch-points are not told as metrics")
	}
	return func() { registry.Unregister(metrics) }
}

// Describe implements prometheus.Collector.
func (m *touchMetrics) Describe(out chan<- *prometheus.Desc) { out <- m.count }

// Collect implements prometheus.Collector. A ledger that does not answer leaves
// what it said last.
func (m *touchMetrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); m.asked.IsZero() || now.Sub(m.asked).Abs() >= touchPause {
		ctx, cancel := context.WithTimeout(context.Background(), touchTime)
		defer cancel()
		totals, err := m.store.TouchTotals(ctx)
		if err != nil {
			m.log.WithField("code", fault.CodeOf(err)).Debug("touch-points were not counted for metrics")
		} else {
			m.totals = totals
		}
		m.asked = now
	}
	for _, total := range m.totals {
		out <- prometheus.MustNewConstMetric(m.count, prometheus.GaugeValue, float64(total.Count), total.Key.Tenant, total.Key.Connection, total.Kind)
	}
}
