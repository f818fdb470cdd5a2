package engine

import (
	"errors"
	"maps"
	"reflect"
	"slices"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/merge"
	"github.com/accord-sync/accord/internal/record"
)

// pair is everything a plan is made from: both sides as read just now, their
// common past, and the decisions that wait.
type pair struct {
	left, right view
	base        ledger.Base
	conflicts   []ledger.Conflict
	overrides   ledger.Values
	// overrideSide is the side whose form the overrides have.
	overrideSide record.Side
	newer        record.Side
	refs         mapping.Resolver
	event        string
	// only, if not nil, names the fields that may be written: those that were
	// decided on a pair that is parked because of others.
	only map[string]bool
	// guard is what the guard says of the fields.
	guard guarding
}

func (p pair) of(side record.Side) view {
	if side == record.Left {
		return p.left
	}
	return p.right
}

// sideWrite is one PATCH: the fields that go to one side.
type sideWrite struct {
	patch              map[string]any
	sent, before, from ledger.Values
	why                map[string]ledger.Cause
	// shares are the parts of patch by field.
	shares map[string]map[string]any
}

func newSideWrite() *sideWrite {
	return &sideWrite{patch: map[string]any{}, sent: ledger.Values{}, before: ledger.Values{}, from: ledger.Values{},
		why: map[string]ledger.Cause{}, shares: map[string]map[string]any{}}
}

// plan is what one pair asks for. It is a pure function of a pair.
type plan struct {
	// agree moves the base of these fields to what both sides hold.
	agree []string
	// writes by target side.
	writes map[record.Side]*sideWrite
	// both names the fields written on both sides: their base moves only when
	// both writes are confirmed.
	both map[string]bool
	// conflicts are the fields that wait for a person.
	conflicts []string
	// unset are references without a counterpart: left as they are.
	unset []string
	// later names the fields that are written by another call than this plan's.
	later map[string]bool
}

// makePlan decides every field of a pair. The error is a fault.Invalid for a
// value that cannot be mapped: it parks the record and nothing is written.
func makePlan(stream Stream, now pair) (plan, error) {
	made := plan{writes: map[record.Side]*sideWrite{}, both: map[string]bool{}}
	for _, field := range stream.Mapping.Fields() {
		outcome := merge.Decide(factsOf(stream, field, now))
		switch outcome.Action {
		case merge.Agree:
			made.agree = append(made.agree, field.Name())
		case merge.Conflict:
			made.conflicts = append(made.conflicts, field.Name())
		case merge.Write:
			if now.only != nil && !now.only[field.Name()] || now.guard.held[field.Name()] {
				continue
			}
			if err := made.write(field, outcome, now); err != nil {
				return plan{}, err
			}
		case merge.Keep:
		}
	}
	return made, nil
}

func factsOf(stream Stream, field *mapping.Field, now pair) merge.Facts {
	name := field.Name()
	left, right := now.left.values[name], now.right.values[name]
	baseLeft, hasLeft := now.base.Left[name]
	baseRight, hasRight := now.base.Right[name]
	facts := merge.Facts{
		HasBase:      hasLeft && hasRight && !turnedUp(field, now),
		LeftChanged:  changed(field, left, baseLeft),
		RightChanged: changed(field, right, baseRight),
		Equal:        equalAcross(field, left, right, now.refs),
		LeftBlank:    record.IsBlank(left),
		RightBlank:   record.IsBlank(right),
		WriteLeft:    field.Writable(record.Left),
		WriteRight:   field.Writable(record.Right),
		Policy:       merge.Policy(stream.Spec.Conflicts.PolicyOf(name)),
		Tie:          stream.Spec.Conflicts.Tie,
		Newer:        now.newer,
		Choice:       choiceFor(field, now),
	}
	if source, ok := strayed(field, now); ok {
		facts.LeftChanged, facts.RightChanged = source == record.Left, source == record.Right
	}
	if field.Kind().Name == record.KindSet {
		facts.Set = setFacts(field, [2]any{left, right}, [2]any{baseLeft, baseRight}, now.refs)
	}
	return facts
}

// choiceFor returns the decision on a field if it is bound to the values that
// are there now, or the correction a person gave for a parked record, or the
// value that stays because an operator rejected the edit of it.
func choiceFor(field *mapping.Field, now pair) *merge.Choice {
	name := field.Name()
	if value, ok := now.overrides[name]; ok {
		return overrideChoice(field, value, now)
	}
	for _, conflict := range now.conflicts {
		if conflict.Field != name || conflict.State != ledger.ConflictDecided || conflict.Decision == nil {
			continue
		}
		if changed(field, now.left.values[name], conflict.Left) || changed(field, now.right.values[name], conflict.Right) {
			return nil
		}
		switch conflict.Decision.Choose {
		case ledger.ChooseLeft:
			return &merge.Choice{Side: record.Left}
		case ledger.ChooseRight:
			return &merge.Choice{Side: record.Right}
		case ledger.ChooseValue:
			return &merge.Choice{Value: conflict.Decision.Value}
		}
	}
	if stays, ok := now.guard.restore[name]; ok {
		return &merge.Choice{Side: stays}
	}
	return nil
}

// overrideChoice turns a correction, given in the form of the parked side, into
// a value in the left form.
func overrideChoice(field *mapping.Field, value any, now pair) *merge.Choice {
	if now.overrideSide == record.Left {
		return &merge.Choice{Value: value}
	}
	left, err := translated(field, record.Right, value, now.left.record.Fields, now.refs)
	if err != nil {
		return nil
	}
	return &merge.Choice{Value: left}
}

// translated gives what the other side would hold if it were sent raw.
func translated(field *mapping.Field, from record.Side, raw any, current record.Fields, refs mapping.Resolver) (any, error) {
	patch, err := field.Convert(from, raw, refs)
	if err != nil {
		return nil, err
	}
	return field.Expected(from.Other(), current, patch)
}

// write adds one field's outcome to the plan.
func (p *plan) write(field *mapping.Field, outcome merge.Outcome, now pair) error {
	name := field.Name()
	sides := writtenSides(outcome)
	if len(sides) == 0 {
		p.agree = append(p.agree, name)
		return nil
	}
	var needed []fieldWrite
	for _, target := range sides {
		one, err := writeOf(field, target, outcome, now)
		decided := outcome.Why == merge.WhyDecision
		if noCounterpart(err) && decided && !outcome.From.Valid() {
			return err
		}
		if noCounterpart(err) && outcome.From.Valid() && record.IsBlank(now.of(target).values[name]) {
			p.agree = append(p.agree, name)
			return nil
		}
		if noCounterpart(err) && (decided || outcome.From.Valid() && hasBase(now, name)) {
			one, err = clearOf(field, target, now)
		}
		if noCounterpart(err) {
			p.unset = append(p.unset, name)
			return nil
		}
		if err != nil {
			return err
		}
		needless := !changed(field, one.expected, now.of(target).values[name])
		if outcome.From.Valid() {
			needless = one.stands(now) || needless && now.of(target).read()
		}
		if len(one.patch) > 0 && !needless {
			needed = append(needed, one)
		}
	}
	if len(needed) == 0 {
		p.agree = append(p.agree, name)
	}
	p.both[name] = len(needed) == 2
	for _, one := range needed {
		p.add(name, one, outcome, now)
	}
	return nil
}

// fieldWrite is one field's share of a PATCH.
type fieldWrite struct {
	target   record.Side
	patch    map[string]any
	expected any
}

// stands reports whether the target was read and holds all that would be sent.
func (w fieldWrite) stands(now pair) bool {
	for path, value := range w.patch {
		if held, ok := now.of(w.target).record.Fields.Get(path); !ok || !sameValue(held, value) {
			return false
		}
	}
	return true
}

// read reports whether the record was read, and is not only known from the base.
func (v view) read() bool { return len(v.record.Fields) > 0 }

func writeOf(field *mapping.Field, target record.Side, outcome merge.Outcome, now pair) (fieldWrite, error) {
	patch, err := patchFor(field, target, outcome, now)
	if err != nil {
		return fieldWrite{}, err
	}
	expected, err := field.Expected(target, now.of(target).record.Fields, patch)
	return fieldWrite{target: target, patch: patch, expected: expected}, err
}

// clearOf unsets a reference whose new value has no counterpart: the value of
// before is nobody's any more.
func clearOf(field *mapping.Field, target record.Side, now pair) (fieldWrite, error) {
	patch, err := field.Convert(target.Other(), nil, now.refs)
	if err != nil {
		return fieldWrite{}, err
	}
	expected, err := field.Expected(target, now.of(target).record.Fields, patch)
	return fieldWrite{target: target, patch: patch, expected: expected}, err
}

func hasBase(now pair, name string) bool {
	_, hasLeft := now.base.Left[name]
	_, hasRight := now.base.Right[name]
	return hasLeft && hasRight
}

func noCounterpart(err error) bool { return errors.Is(err, mapping.ErrNoCounterpart) }

func writtenSides(outcome merge.Outcome) []record.Side {
	var sides []record.Side
	if outcome.Left {
		sides = append(sides, record.Left)
	}
	if outcome.Right {
		sides = append(sides, record.Right)
	}
	return sides
}

// patchFor converts the winning value into what target is sent. A value in the
// left form reaches the left side by way of the right one, so that the same
// conversions apply as if a user had typed it there.
func patchFor(field *mapping.Field, target record.Side, outcome merge.Outcome, now pair) (map[string]any, error) {
	if outcome.From.Valid() {
		return field.Convert(outcome.From, now.of(outcome.From).values[field.Name()], now.refs)
	}
	if target == record.Right {
		return field.Convert(record.Left, outcome.For(target), now.refs)
	}
	if value, ok := now.overrides[field.Name()]; ok && now.overrideSide == record.Right {
		// A field that is never written on the right has no way there and back.
		return field.Convert(record.Right, value, now.refs)
	}
	right, err := translated(field, record.Left, outcome.For(target), now.right.record.Fields, now.refs)
	if err != nil {
		return nil, err
	}
	return field.Convert(record.Right, right, now.refs)
}

func (p *plan) add(name string, one fieldWrite, outcome merge.Outcome, now pair) {
	write := p.writes[one.target]
	if write == nil {
		write = newSideWrite()
		p.writes[one.target] = write
	}
	maps.Copy(write.patch, one.patch)
	write.shares[name] = one.patch
	write.sent[name] = one.expected
	write.before[name] = now.of(one.target).values[name]
	write.from[name] = now.of(one.target.Other()).values[name]
	cause := ledger.Cause{Kind: ledger.CauseKind(outcome.Why), EventID: now.event}
	switch {
	case outcome.From.Valid():
		cause.Side = outcome.From
	case outcome.Apart:
		cause.Side = one.target.Other()
	}
	write.why[name] = cause
}

// fieldsOf lists the fields of a write in a fixed order.
func (w *sideWrite) fields() []string { return slices.Sorted(maps.Keys(w.sent)) }

// causeOf is the cause of the whole write: that of its first field.
func (w *sideWrite) cause() ledger.Cause {
	for _, name := range w.fields() {
		return w.why[name]
	}
	return ledger.Cause{Kind: ledger.CauseChange}
}

// sameValue compares two plain values exactly, for "nothing new to store".
func sameValue(a, b any) bool {
	return reflect.DeepEqual(a, b) || record.Fingerprint(a) == record.Fingerprint(b)
}
