package telemetry

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Observer counts what became of records. K is the key of a connection; the
// engine's Observer is Observer[ledger.Key].
type Observer[K fmt.Stringer] struct {
	outcomes *prometheus.CounterVec
	waits    *prometheus.HistogramVec
	restored prometheus.Counter
	shapes   *prometheus.GaugeVec
}

// NewObserver registers the metrics. It panics if they are registered already.
func NewObserver[K fmt.Stringer](registry prometheus.Registerer) *Observer[K] {
	o := &Observer[K]{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "accord_records_total", Help: "Finished passes over a record, by outcome.",
		}, []string{"connection", "stream", "outcome"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "accord_change_wait_seconds", Help: "How long a change waited until it was reconciled.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}, []string{"stream", "outcome"}),
	}
	o.restored = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "accord_ledger_restored_total", Help: "How often this process found the ledger put back to an older state and stopped all connections.",
	})
	o.shapes = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "accord_shape_findings", Help: "In how many ways a mapping does not fit what its two systems say of their fields, at the last check.",
	}, []string{"connection"})
	registry.MustRegister(o.outcomes, o.waits, o.restored, o.shapes)
	return o
}

// Reconciled counts one finished pass over a record by its outcome and how long
// the change waited. A pass that is tried again has no wait yet: it would draw
// every quantile to nothing.
func (o *Observer[K]) Reconciled(key K, stream, outcome string, waited time.Duration) {
	o.outcomes.WithLabelValues(key.String(), stream, outcome).Inc()
	if outcome != "retry" {
		o.waits.WithLabelValues(stream, outcome).Observe(max(waited, 0).Seconds())
	}
}

// ShapesChecked tells in how many ways a mapping does not fit its systems.
func (o *Observer[K]) ShapesChecked(key K, findings int) {
	o.shapes.WithLabelValues(key.String()).Set(float64(findings))
}

// LedgerRestored counts that the ledger was found put back to an older state.
func (o *Observer[K]) LedgerRestored(int) { o.restored.Inc() }
