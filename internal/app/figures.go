package app

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const (
	// figuresPause is for how long figures are told again before the ledger is asked
	// anew, whoever scrapes how often, and at least figuresShare times as long as the
	// answer took: counting costs a process no more than a hundredth of the ledger's
	// time, however much there is. figuresTime bounds one question.
	figuresPause = 15 * time.Second
	figuresShare = 100
	figuresTime  = 5 * time.Second
)

// figures tells as metrics what the ledger has counted.
type figures[Figure any] struct {
	// name says which they are, in the metric that tells when they were read.
	name string
	ask  func(ctx context.Context) ([]Figure, error)
	tell func(Figure) prometheus.Metric
	log  logrus.FieldLogger
	now  func() time.Time

	mu    sync.Mutex
	asked time.Time
	// pause is for how long what is known is told.
	pause time.Duration
	known []Figure
	// read is when what is known was read.
	read time.Time
	over bool
}

// Describe implements prometheus.Collector: the metrics are not known before the
// ledger is asked.
func (f *figures[Figure]) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. A ledger that does not answer leaves
// what it said last.
func (f *figures[Figure]) Collect(out chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	if now := f.now(); f.asked.IsZero() || now.Sub(f.asked).Abs() >= f.pause {
		ctx, cancel := context.WithTimeout(context.Background(), figuresTime)
		defer cancel()
		found, err := f.ask(ctx)
		if err != nil {
			f.log.WithField("code", fault.CodeOf(err)).Debug("what the ledger counted was not read for metrics")
		} else {
			f.known, f.read = found, now
		}
		f.asked = f.now()
		f.pause = max(figuresPause, figuresShare*f.asked.Sub(now))
	}
	if !f.read.IsZero() {
		out <- prometheus.MustNewConstMetric(readDesc(), prometheus.GaugeValue, float64(f.read.UnixMilli())/1000, f.name)
	}
	for _, one := range f.known {
		if metric := f.tell(one); metric != nil {
			out <- metric
		}
	}
}

// end has nothing told any more. A registry keeps what it cannot describe.
func (f *figures[Figure]) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over, f.known = true, nil
}

// counted is what the metrics read of the ledger.
type counted interface {
	// TouchTotals counts all touch-points, by connection and kind.
	TouchTotals(ctx context.Context) ([]ledger.TouchTotal, error)
	// RuleTotals returns what the rules of all connections have counted.
	RuleTotals(ctx context.Context) ([]ledger.RuleTotal, error)
}

// tellFigures registers the metrics of what is counted; forget takes them away.
func tellFigures(registry prometheus.Registerer, store counted, log logrus.FieldLogger, now func() time.Time) (forget func()) {
	touches := &figures[ledger.TouchTotal]{name: "touch_points", ask: store.TouchTotals, tell: touchFigure, log: log, now: now}
	rules := &figures[ledger.RuleTotal]{name: "rule_counts", ask: store.RuleTotals, tell: ruleFigure, log: log, now: now}
	for _, one := range []prometheus.Collector{touches, rules} {
		if err := registry.Register(one); err != nil {
			log.WithError(err).Warn("what the ledger counted is not told as metrics")
		}
	}
	return func() {
		touches.end()
		rules.end()
	}
}

// readDesc describes when figures were read: they are as old as that.
func readDesc() *prometheus.Desc {
	return prometheus.NewDesc("accord_counted_timestamp_seconds", "When the ledger's counts of this kind were last read, as Unix time.", []string{"counts"}, nil)
}

func touchFigure(total ledger.TouchTotal) prometheus.Metric {
	desc := prometheus.NewDesc("accord_touch_points", "E-mails and calls that are counted now, by connection and kind.", []string{"tenant", "connection", "kind"}, nil)
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(total.Count), total.Key.Tenant, total.Key.Connection, total.Kind)
}

// ruleFigure tells a number of a rule. The labels of the rule have names of their own,
// so that none of them can be one of ours; they are few and plain words already.
func ruleFigure(total ledger.RuleTotal) prometheus.Metric {
	own := map[string]string{}
	if json.Unmarshal([]byte(total.Labels), &own) != nil {
		return nil // the API tells it as a defect
	}
	names, values := []string{"tenant", "connection", "rule", "metric"}, []string{total.Key.Tenant, total.Key.Connection, total.Rule, total.Metric}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		names, values = append(names, "label_"+name), append(values, own[name])
	}
	desc := prometheus.NewDesc("accord_rule_counts_total", "What rules have counted, by rule and metric, with the labels that the rule gives.", names, nil)
	metric, err := prometheus.NewConstMetric(desc, prometheus.CounterValue, float64(total.Count), values...)
	if err != nil {
		return nil // a label that is none is not let in by the integration file
	}
	return metric
}
