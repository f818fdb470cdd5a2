package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// Outside makes the calls of rules to addresses that no connector knows, and sends
// their messages. Errors are
// *fault.Error like a connector's: Transient and Throttled are tried again, Invalid
// is a refusal for good.
type Outside interface {
	// Send makes one call and returns the body of its answer.
	Send(ctx context.Context, call WebCall) ([]byte, error)
	// Publish sends one message and returns when the broker has it for good.
	Publish(ctx context.Context, message OutMessage) error
}

// OutMessage is one message of a rule.
type OutMessage struct {
	// Rule and Part name it in the integration: "then[1]", which says where it goes.
	Rule, Part string
	// ID is the same for each try.
	ID   string
	Body []byte
}

// WebCall is one call of a rule.
type WebCall struct {
	// Rule and Part name it in the integration: "look_up[0]", "then[1]". Address,
	// headers and signature are those of the integration.
	Rule, Part string
	// Query is added to the address; Body is sent as JSON, nil: none.
	Query map[string]string
	Body  []byte
	// Key is the Idempotency-Key, the same for each try; empty: none.
	Key string
}

// Rule is a compiled rule. It is safe for concurrent use.
type Rule struct {
	Spec        integration.Rule
	expressions map[string]*mapping.Expression
	asks        *asks
}

// NewRule compiles a rule. now is the clock of what its look-ups keep. The error is
// a fault.Usage.
func NewRule(spec integration.Rule, now func() time.Time) (*Rule, error) {
	rule := &Rule{Spec: spec, expressions: map[string]*mapping.Expression{}, asks: newAsks(now)}
	for _, source := range spec.Expressions() {
		compiled, err := mapping.NewExpression(source)
		if err != nil {
			return nil, fault.New(fault.Usage, "rule %s: %v", spec.Name, err)
		}
		rule.expressions[source] = compiled
	}
	return rule, nil
}

// give evaluates an expression of the rule.
func (r *Rule) give(source string, fields record.Fields) (any, error) {
	value, err := r.expressions[source].Run(fields)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "rule %s: an expression fails on this record: handle missing values with ?? and the like", r.Spec.Name)
	}
	return value, nil
}

// texts evaluates expressions to texts by name; those that give nothing are left out.
func (r *Rule) texts(targets []integration.Target, fields record.Fields) (map[string]string, error) {
	var given map[string]string
	for _, target := range targets {
		value, err := r.give(target.Expression, fields)
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		if given == nil {
			given = map[string]string{}
		}
		given[target.Path] = fmt.Sprint(value)
	}
	return given, nil
}

// body evaluates what is sent: all of it by one expression, or by path; nil: nothing.
func (r *Rule) body(all string, parts []integration.Target, fields record.Fields) ([]byte, error) {
	var whole any
	switch {
	case all != "":
		value, err := r.give(all, fields)
		if err != nil {
			return nil, err
		}
		whole = value
	case len(parts) > 0:
		object := record.Fields{}
		for _, target := range parts {
			value, err := r.give(target.Expression, fields)
			if err != nil {
				return nil, err
			}
			object.Set(target.Path, value)
		}
		whole = map[string]any(object)
	default:
		return nil, nil
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "rule %s: what an expression gives cannot be sent as JSON", r.Spec.Name)
	}
	return text, nil
}

const (
	// otherLabel stands for values that make no label: too long, not a plain word,
	// or one more than maxSeries.
	otherLabel = "other"
	// maxSeries bounds the sets of labels of one metric.
	maxSeries = 50
)

// labels evaluates the labels of a count, as canonical JSON. A label is a plain word,
// so that nobody's name or address becomes one.
func (r *Rule) labels(count *integration.Count, fields record.Fields) (string, error) {
	given, err := r.texts(count.Labels, fields)
	if err != nil {
		return "", err
	}
	plain := regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)
	labels := map[string]string{}
	for _, target := range count.Labels {
		labels[target.Path] = given[target.Path]
		if value := given[target.Path]; value != "" && !plain.MatchString(value) {
			labels[target.Path] = otherLabel
		}
	}
	text, err := json.Marshal(labels)
	return string(text), err
}

// others are the labels of what is one set too many.
func others(count *integration.Count) string {
	labels := map[string]string{}
	for _, target := range count.Labels {
		labels[target.Path] = otherLabel
	}
	text, _ := json.Marshal(labels) // texts never fail
	return string(text)
}

// asks keeps the answers of a rule's look-ups for a while, and counts their calls.
type asks struct {
	now func() time.Time

	mu    sync.Mutex
	kept  map[string]answer
	calls map[string][]time.Time
}

type answer struct {
	value any
	until time.Time
}

// maxKept bounds the answers kept by one rule.
const maxKept = 2000

func newAsks(now func() time.Time) *asks {
	return &asks{now: now, kept: map[string]answer{}, calls: map[string][]time.Time{}}
}

// have returns an answer that is still good.
func (a *asks) have(key string) (any, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kept, ok := a.kept[key]
	return kept.value, ok && a.now().Before(kept.until)
}

func (a *asks) keep(key string, value any, span time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if span <= 0 {
		return
	}
	if len(a.kept) >= maxKept {
		clear(a.kept)
	}
	a.kept[key] = answer{value: value, until: a.now().Add(span)}
}

// admit counts a call against the limit of a look-up. The error is a fault.Throttled.
func (a *asks) admit(name string, limit integration.Rate) error {
	if limit.Calls == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	recent := a.calls[name][:0]
	for _, at := range a.calls[name] {
		if now.Sub(at).Abs() < limit.Per {
			recent = append(recent, at)
		}
	}
	a.calls[name] = recent
	if len(recent) >= limit.Calls {
		refused := fault.New(fault.Throttled, "look-up %s: its limit of %d calls is used up; it goes on by itself", name, limit.Calls)
		refused.After = limit.Per - now.Sub(recent[0])
		return refused
	}
	a.calls[name] = append(recent, now)
	return nil
}
