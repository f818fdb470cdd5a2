package messages

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Metrics is an Observer that counts for Prometheus, and that of the receiver
// behind it.
type Metrics struct {
	messages, events, unreadable *prometheus.CounterVec
	subscriptions                *prometheus.GaugeVec
}

var (
	_ Observer         = (*Metrics)(nil)
	_ webhook.Observer = (*Metrics)(nil)
)

// NewMetrics registers accord_messages_total{side,broker,outcome},
// accord_message_events_total{side,outcome}, accord_messages_unreadable_total{side,code}
// and accord_subscriptions{broker}.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "accord_messages_total", Help: "Messages of brokers, by what became of them: stored, unreadable, or again (left with the broker).",
		}, []string{"side", "broker", "outcome"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "accord_message_events_total", Help: "Events in messages, by what became of them: accepted, unmapped or inactive.",
		}, []string{"side", "outcome"}),
		unreadable: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "accord_messages_unreadable_total", Help: "Messages that could not be read, by code.",
		}, []string{"side", "code"}),
		subscriptions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "accord_subscriptions", Help: "Subscriptions of this process that stand.",
		}, []string{"broker"}),
	}
	registerer.MustRegister(m.messages, m.events, m.unreadable, m.subscriptions)
	return m
}

// Messages counts messages by outcome.
func (m *Metrics) Messages(side record.Side, kind broker.Kind, outcome string, count int) {
	m.messages.WithLabelValues(string(side), string(kind), outcome).Add(float64(count))
}

// Subscribed counts subscriptions.
func (m *Metrics) Subscribed(kind broker.Kind, more int) {
	m.subscriptions.WithLabelValues(string(kind)).Add(float64(more))
}

// Events counts events by outcome.
func (m *Metrics) Events(side record.Side, outcome string, count int) {
	m.events.WithLabelValues(string(side), outcome).Add(float64(count))
}

// Refused counts a message that could not be read.
func (m *Metrics) Refused(side record.Side, code fault.Code) {
	m.unreadable.WithLabelValues(string(side), string(code)).Inc()
}
