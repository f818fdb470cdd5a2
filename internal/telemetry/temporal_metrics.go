package telemetry

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// tagNames are the SDK's tags that become labels. All of its metrics get the
// same ones (empty where a tag is not set), since Prometheus wants one set of
// labels per name. Unbounded tags are left out.
func tagNames() []string {
	return []string{
		"namespace", "task_queue", "worker_type", "workflow_type", "activity_type",
		"operation", "status_code", "failure_reason", "poller_type",
	}
}

// TemporalMetrics hands the Temporal SDK's metrics to a Prometheus registry.
// Timers become histograms in seconds.
func TemporalMetrics(registry prometheus.Registerer) client.MetricsHandler {
	return &temporalMetrics{vectors: &temporalVectors{
		registry: registry, names: tagNames(),
		counters: map[string]*prometheus.CounterVec{}, gauges: map[string]*prometheus.GaugeVec{},
		timers: map[string]*prometheus.HistogramVec{},
	}, tags: map[string]string{}}
}

// temporalMetrics is a handler with the tags collected so far.
type temporalMetrics struct {
	vectors *temporalVectors
	tags    map[string]string
}

var _ client.MetricsHandler = (*temporalMetrics)(nil)

// WithTags returns a handler with more tags.
func (m *temporalMetrics) WithTags(tags map[string]string) client.MetricsHandler {
	all := make(map[string]string, len(m.tags)+len(tags))
	for name, value := range m.tags {
		all[name] = value
	}
	for name, value := range tags {
		all[name] = value
	}
	return &temporalMetrics{vectors: m.vectors, tags: all}
}

// Counter returns an ever-growing number.
func (m *temporalMetrics) Counter(name string) client.MetricsCounter {
	return counter{m.vectors.counter(name).WithLabelValues(m.labels()...)}
}

// Gauge returns a number that goes up and down.
func (m *temporalMetrics) Gauge(name string) client.MetricsGauge {
	return gauge{m.vectors.gauge(name).WithLabelValues(m.labels()...)}
}

// Timer returns a histogram of durations.
func (m *temporalMetrics) Timer(name string) client.MetricsTimer {
	return timer{m.vectors.timer(name).WithLabelValues(m.labels()...)}
}

func (m *temporalMetrics) labels() []string {
	values := make([]string, len(m.vectors.names))
	for i, name := range m.vectors.names {
		values[i] = m.tags[name]
	}
	return values
}

type counter struct{ prometheus.Counter }

// Inc adds; the SDK never subtracts.
func (c counter) Inc(n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}

type gauge struct{ prometheus.Gauge }

// Update sets the value.
func (g gauge) Update(value float64) { g.Set(value) }

type timer struct{ prometheus.Observer }

// Record counts a duration.
func (t timer) Record(d time.Duration) { t.Observe(d.Seconds()) }

// temporalVectors holds one vector per metric name.
type temporalVectors struct {
	registry prometheus.Registerer
	names    []string

	mu       sync.Mutex
	counters map[string]*prometheus.CounterVec
	gauges   map[string]*prometheus.GaugeVec
	timers   map[string]*prometheus.HistogramVec
}

func (v *temporalVectors) counter(name string) *prometheus.CounterVec {
	return vector(v, v.counters, name, func() *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: "Temporal SDK: " + name}, v.names)
	})
}

func (v *temporalVectors) gauge(name string) *prometheus.GaugeVec {
	return vector(v, v.gauges, name, func() *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "Temporal SDK: " + name}, v.names)
	})
}

func (v *temporalVectors) timer(name string) *prometheus.HistogramVec {
	return vector(v, v.timers, name, func() *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name + "_seconds", Help: "Temporal SDK: " + name,
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 60},
		}, v.names)
	})
}

// vector finds or makes the vector of a name.
func vector[V prometheus.Collector](v *temporalVectors, known map[string]V, name string, create func() V) V {
	v.mu.Lock()
	defer v.mu.Unlock()
	if found, ok := known[name]; ok {
		return found
	}
	made := create()
	// Two kinds of metric under one name cannot both be shown: the second counts unseen.
	_ = v.registry.Register(made)
	known[name] = made
	return made
}
