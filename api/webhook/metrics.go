package webhook

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Metrics is an Observer that counts for Prometheus.
type Metrics struct {
	events, refused *prometheus.CounterVec
}

var _ Observer = (*Metrics)(nil)

// NewMetrics registers accord_webhook_events_total{side,outcome} and
// accord_webhooks_refused_total{side,code}.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "accord_webhook_events_total", Help: "Events received, by what became of them: accepted, unmapped or inactive.",
		}, []string{"side", "outcome"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "accord_webhooks_refused_total", Help: "Webhook deliveries that were not taken, by code.",
		}, []string{"side", "code"}),
	}
	registerer.MustRegister(m.events, m.refused)
	return m
}

// Events counts events by outcome.
func (m *Metrics) Events(side record.Side, outcome string, count int) {
	m.events.WithLabelValues(string(side), outcome).Add(float64(count))
}

// Refused counts a delivery that was not taken.
func (m *Metrics) Refused(side record.Side, code fault.Code) {
	m.refused.WithLabelValues(string(side), string(code)).Inc()
}
