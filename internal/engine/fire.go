package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// The kinds of effects, as firings name them.
const (
	kindUpsert  = "upsert"
	kindCall    = "call"
	kindPublish = "publish"
	kindCount   = "count"
)

// fire looks at a record for a rule. Nothing of what brought it is believed but the
// ref: the record is read, and the condition evaluated. That the rule fires is decided
// in the commit that stores that the record matches now; then what it is to do is
// carried out, as often as it takes.
func (p *pass) fire(ctx context.Context) error {
	rule := p.in.Rules[p.stream.Spec.Rule]
	if rule == nil || p.in.Outside == nil {
		return fault.New(fault.Internal, "rule %s is not compiled", p.stream.Spec.Rule)
	}
	found, ok, err := p.alone(ctx)
	if err != nil {
		return err
	}
	book, err := p.store().RuleBook(ctx, p.key(), rule.Spec.Name, p.work.Ref)
	if err != nil {
		return err
	}
	last := ledger.Commit{}
	switch {
	case !ok:
		last = p.forgotten()
	case found.record.Ref.ID != p.work.Ref.ID:
		return p.handOver(ctx, found.record.Ref, book)
	}
	// Another event is news, whatever became of the one before.
	if ok && p.stillParkedAlone(found) && len(unseen(rule.Spec, book)) == 0 {
		p.outcome = outcomeParked
		return p.finish(ctx, ledger.Commit{DropEvents: p.eventsOf(book)})
	}
	if ok {
		p.correct(found.record.Fields)
	} else {
		// What was decided while it was there is still done.
		found.record.Ref, found.inScope, found.print = p.work.Ref, false, ""
	}
	waiting, err := p.decideFirings(ctx, rule, found, book)
	if err != nil {
		return err
	}
	if err := p.carryOutFirings(ctx, rule, found, ok, waiting); err != nil {
		return err
	}
	return p.finish(ctx, last)
}

// correct puts what a person corrected into the fields that are evaluated.
func (p *pass) correct(fields record.Fields) {
	for path, value := range p.corrections(p.work.Ref) {
		fields.Set(path, value)
	}
}

// decideFirings stores whether the record matches, with the firings if the rule fires,
// and returns those that are to be carried out.
func (p *pass) decideFirings(ctx context.Context, rule *Rule, found view, book ledger.RuleBook) ([]ledger.Firing, error) {
	match := ledger.Match{Rule: rule.Spec.Name, Ref: p.work.Ref}
	if book.Match != nil {
		match = *book.Match
	}
	if book.Match == nil && found.inScope && !rule.Spec.Backfill {
		begin, err := p.engine.beginning(ctx, p.in, p.stream, p.work.Ref.Side)
		if err != nil {
			return nil, err
		}
		// An event came before the first load: what matched before is no news.
		match.Matching = begin.before(found)
	}
	occurrences := occur(rule.Spec, found, book, match)
	known := book.Match != nil && match.Matching == found.inScope && match.Print == found.print
	if len(occurrences) == 0 && len(book.Events) == 0 && known {
		return book.Waiting, nil
	}
	match.Matching, match.Print = found.inScope, found.print
	match.Turn += len(occurrences)
	commit := ledger.Commit{DropEvents: p.eventsOf(book)}
	if err := p.newFirings(ctx, rule, found, occurrences, &match, &commit); err != nil {
		return nil, err
	}
	commit.PutMatches = []ledger.Match{match}
	waiting := slices.Concat(book.Waiting, commit.PutFirings)
	if err := p.commit(ctx, commit); err != nil || len(book.Events) < ledger.MaxRuleEvents {
		return waiting, err
	}
	// There may be more of them than are read at once.
	book, err := p.store().RuleBook(ctx, p.key(), rule.Spec.Name, p.work.Ref)
	if err != nil {
		return nil, err
	}
	return p.decideFirings(ctx, rule, found, book)
}

// newFirings evaluates what is to be done, once for all that fire now.
func (p *pass) newFirings(ctx context.Context, rule *Rule, found view, occurrences []string, match *ledger.Match, commit *ledger.Commit) error {
	if len(occurrences) == 0 {
		return nil
	}
	fields := found.record.Fields.Clone()
	var err error
	if match.Found, err = p.askAll(ctx, rule, fields); err != nil {
		return err
	}
	for _, occurrence := range occurrences {
		firing, err := p.newFiring(ctx, rule, fields, occurrence, commit)
		if err != nil {
			return err
		}
		commit.PutFirings = append(commit.PutFirings, firing)
	}
	p.outcome = outcomeFired
	return nil
}

// newFiring evaluates what a firing is to do. Records to be made are handed to their
// streams, and numbers counted, in the commit that stores it.
func (p *pass) newFiring(ctx context.Context, rule *Rule, fields record.Fields, occurrence string, commit *ledger.Commit) (ledger.Firing, error) {
	now := p.engine.options.Now()
	firing := ledger.Firing{
		ID: p.engine.options.NewID(), Rule: rule.Spec.Name, Ref: p.work.Ref, Occurrence: occurrence, State: ledger.FiringOpen, DecidedAt: now,
	}
	for _, effect := range rule.Spec.Effects {
		one := ledger.FiringEffect{State: ledger.FiringOpen}
		switch {
		case effect.Upsert != nil:
			one.Kind, one.State, one.At = kindUpsert, ledger.FiringDone, now
			commit.Enqueue = append(commit.Enqueue, ledger.Change{
				Stream: effect.Upsert.Stream, Ref: p.work.Ref, Lane: p.work.Lane, RunID: p.work.RunID, EventID: p.work.EventID, Trace: p.work.Trace,
			})
		case effect.Count != nil:
			one.Kind, one.State, one.At = kindCount, ledger.FiringDone, now
			counted, err := p.counted(ctx, rule, effect.Count, fields)
			if err != nil {
				return ledger.Firing{}, onRef(err, p.work.Ref)
			}
			commit.AddCounts = append(commit.AddCounts, counted)
		default:
			one.Kind, one.Name = sentAs(effect), effect.Name
			one.To, one.What = identify(effect)
			if err := rule.evaluate(effect, fields, &one); err != nil {
				return ledger.Firing{}, onRef(err, p.work.Ref)
			}
		}
		firing.Effects = append(firing.Effects, one)
	}
	closeFiring(&firing, now)
	return firing, nil
}

// evaluate fills in what a call or a message sends.
func (r *Rule) evaluate(spec integration.Effect, fields record.Fields, effect *ledger.FiringEffect) error {
	var err error
	if spec.Publish != nil {
		effect.Body, err = r.body(spec.Publish.Whole, spec.Publish.Body, fields)
		return err
	}
	if effect.Query, err = r.texts(spec.Call.Query, fields); err != nil {
		return err
	}
	effect.Body, err = r.body(spec.Call.Whole, spec.Call.Body, fields)
	return err
}

// counted is what a count adds.
func (p *pass) counted(ctx context.Context, rule *Rule, count *integration.Count, fields record.Fields) (ledger.RuleCount, error) {
	labels, err := rule.labels(count, fields)
	if err != nil {
		return ledger.RuleCount{}, err
	}
	have, err := p.store().RuleCounts(ctx, p.key())
	if err != nil {
		return ledger.RuleCount{}, err
	}
	series, known := 0, false
	for _, one := range have {
		if one.Rule == rule.Spec.Name && one.Metric == count.Metric {
			series++
			known = known || one.Labels == labels
		}
	}
	if !known && series >= maxSeries {
		labels = others(count)
	}
	return ledger.RuleCount{Rule: rule.Spec.Name, Metric: count.Metric, Labels: labels, Count: 1}, nil
}

// carryOutFirings makes the calls and sends the messages of firings that are not done,
// oldest first. One that is refused holds up no other; the error is the first refusal's.
func (p *pass) carryOutFirings(ctx context.Context, rule *Rule, found view, there bool, waiting []ledger.Firing) error {
	var refused error
	for _, firing := range waiting {
		stands := standing(rule.Spec, firing.Effects)
		for n := range firing.Effects {
			if firing.Effects[n].Over() {
				continue
			}
			err := p.carryOutEffect(ctx, rule, found, there, &firing, n, stands[n])
			if err != nil && !fault.Is(err, fault.Invalid, fault.Duplicate) {
				return err
			}
			if err != nil && refused == nil {
				refused = err
			}
		}
	}
	return refused
}

// carryOutEffect makes one call of a firing, or sends one message, and stores how it
// ended. now is its place in the rule as it is; negative: it is not there any more.
func (p *pass) carryOutEffect(ctx context.Context, rule *Rule, found view, there bool, firing *ledger.Firing, n, now int) error {
	effect := &firing.Effects[n]
	if now < 0 {
		effect.Cancel(p.engine.options.Now())
		return p.storeFiring(ctx, firing)
	}
	spec := rule.Spec.Effects[now]
	// What is edited next is told from what it is known by now.
	effect.Name = spec.Name
	effect.To, effect.What = identify(spec)
	if effect.State == ledger.FiringParked && there {
		// It was refused: what a person or a later edit corrected is sent now.
		fields := found.record.Fields.Clone()
		if _, err := p.askAll(ctx, rule, fields); err != nil {
			return err
		}
		if err := rule.evaluate(spec, fields, effect); err != nil {
			return onRef(err, p.work.Ref)
		}
	}
	err := p.sendEffect(ctx, rule, *effect, fmt.Sprintf("then[%d]", now), firing.ID+"."+strconv.Itoa(n))
	if isCrash(err) {
		return err
	}
	effect.Tries, effect.At = effect.Tries+1, p.engine.options.Now()
	if err == nil {
		effect.State, effect.Code, effect.Status, effect.Query, effect.Body = ledger.FiringDone, "", 0, nil, nil
		p.outcome = outcomeFired
		return p.storeFiring(ctx, firing)
	}
	coded := fault.As(err)
	if coded == nil {
		return err
	}
	effect.State, effect.Code, effect.Status = ledger.FiringOpen, string(coded.Code), coded.Status
	if p.afterError(err).park {
		effect.State = ledger.FiringParked
	}
	if storing := p.storeFiring(ctx, firing); storing != nil {
		return storing
	}
	return err
}

// sendEffect sends what an effect evaluated to; key is the same for each try.
func (p *pass) sendEffect(ctx context.Context, rule *Rule, effect ledger.FiringEffect, part, key string) error {
	if effect.Kind == kindPublish {
		return p.outward(ctx, func(ctx context.Context) error {
			return p.in.Outside.Publish(ctx, OutMessage{Rule: rule.Spec.Name, Part: part, ID: key, Body: effect.Body})
		})
	}
	_, err := p.sendOut(ctx, WebCall{Rule: rule.Spec.Name, Part: part, Query: effect.Query, Body: effect.Body, Key: key})
	return forGood(err, rule.Spec.Name, part)
}

// storeFiring commits what became of a firing so far.
func (p *pass) storeFiring(ctx context.Context, firing *ledger.Firing) error {
	closeFiring(firing, p.engine.options.Now())
	return p.commit(ctx, ledger.Commit{PutFirings: []ledger.Firing{*firing}})
}

// closeFiring gives a firing the state of its effects.
func closeFiring(firing *ledger.Firing, now time.Time) {
	firing.State = ledger.FiringDone
	for _, state := range []ledger.FiringState{ledger.FiringCancelled, ledger.FiringOpen, ledger.FiringParked} {
		if slices.ContainsFunc(firing.Effects, func(effect ledger.FiringEffect) bool { return effect.State == state }) {
			firing.State = state
		}
	}
	firing.EndedAt = time.Time{}
	if firing.State == ledger.FiringDone || firing.State == ledger.FiringCancelled {
		firing.EndedAt = now
	}
}
