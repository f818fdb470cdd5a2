package engine

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// follows reports whether the stream makes the records of a rule's upsert.
func (s Stream) follows() bool { return s.Spec.Rule != "" && s.Spec.Mode != integration.ModeRule }

// source is the side that a one-way stream goes out from.
func (s Stream) source() record.Side {
	if s.writes(record.Right) {
		return record.Left
	}
	return record.Right
}

// waitsForRule reports whether a record without a counterpart is left alone because
// the rule of its stream has not fired for it.
func (p *pass) waitsForRule(ctx context.Context) (bool, error) {
	if !p.stream.follows() {
		return false, nil
	}
	if p.work.Ref.Side != p.stream.source() {
		return true, nil
	}
	met, err := p.store().Matches(ctx, p.key(), p.stream.Spec.Rule, p.work.Ref.Side, []string{p.work.Ref.ID})
	return met[p.work.Ref.ID].Turn == 0, err
}

// beginning tells what was there before a rule was installed. It is over once the
// first load has listed the side: what the rule has not met by then is new.
type beginning struct {
	under bool
	since time.Time
	// slack is what the times of the server may be off: its clock, and its tick.
	slack time.Duration
}

func (e *Engine) beginning(ctx context.Context, in *Installed, stream Stream, side record.Side) (beginning, error) {
	cursor, err := e.options.Store.Cursor(ctx, in.Key, stream.Spec.Name, side, pollScope)
	if err != nil || !cursor.HighWater.IsZero() {
		return beginning{}, err
	}
	since, err := e.options.Store.BeginRule(ctx, in.Key, stream.Spec.Rule)
	slack := in.Connector(side).Capabilities().Granularity - e.sides.skew(in.Key, side)
	return beginning{under: true, since: since, slack: slack}, err
}

// before reports whether a record was like this before the rule was installed. One
// without a time is taken to be old.
func (b beginning) before(found view) bool {
	return b.under && (found.record.UpdatedAt.IsZero() || found.record.UpdatedAt.Add(b.slack).Before(b.since))
}

// ruleLook decides for a listed row of a rule's own stream whether it asks for a
// look, or is only noted as what was there before.
func (s Stream) ruleLook(v view, begin beginning, known *ledger.Match, once string) (looks bool, noted *ledger.Match) {
	switch {
	case known == nil && begin.before(v):
		return false, &ledger.Match{Rule: s.Spec.Rule, Ref: v.record.Ref, Matching: v.inScope, Print: v.print}
	case known == nil:
		return v.inScope, nil
	}
	changed := known.Matching != v.inScope || v.inScope && once == integration.OnceVersion && known.Print != v.print
	return changed, nil
}

// met is what a rule knows of listed records; nil for streams of no rule.
func (e *Engine) met(ctx context.Context, in *Installed, stream Stream, side record.Side, ids []string) (map[string]ledger.Match, error) {
	if stream.Spec.Rule == "" {
		return nil, nil
	}
	return e.options.Store.Matches(ctx, in.Key, stream.Spec.Rule, side, ids)
}

// withFound adds to a record that a rule's upsert goes out from what the rule looked
// up when it fired.
func (p *pass) withFound(side record.Side, answer record.Record) (record.Record, error) {
	if !p.stream.follows() || side != p.stream.source() {
		return answer, nil
	}
	met, err := p.store().Matches(p.refs.ctx, p.key(), p.stream.Spec.Rule, side, []string{answer.Ref.ID})
	if err != nil {
		return record.Record{}, err
	}
	match := met[answer.Ref.ID]
	rule := p.in.Rules[p.stream.Spec.Rule]
	if len(match.Found) == 0 && match.Turn > 0 && rule != nil && len(rule.Spec.Asks) > 0 {
		// The rule was away for a while: what it had looked up is forgotten, and nothing
		// else is written for that.
		if match.Found, err = p.askAll(p.refs.ctx, rule, answer.Fields.Clone()); err != nil {
			return record.Record{}, err
		}
		p.lookedUp = append(p.lookedUp, match)
	}
	return enriched(answer, match.Found), nil
}

// withFound is the same for a listed row.
func (s sifter) withFound(side record.Side, found record.Record) record.Record {
	if !s.stream.follows() || side != s.stream.source() {
		return found
	}
	return enriched(found, s.met[found.Ref.ID].Found)
}

func enriched(one record.Record, found ledger.Values) record.Record {
	if len(found) == 0 {
		return one
	}
	one.Fields = one.Fields.Clone()
	for name, value := range found {
		one.Fields[name] = value
	}
	return one
}
