package engine

import (
	"maps"
	"slices"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// notKeptText is the reason of a write that a server accepted without keeping
// the value. It names the side, so that a replay knows where to send it again.
func notKeptText(side record.Side) string {
	return "the " + string(side) + " server accepted the write but did not keep the value: it may be read-only there"
}

// firstIgnored is the refusal of a write whose value a server silently dropped.
func firstIgnored(confirmed map[record.Side]confirmation) *fault.Error {
	for _, side := range record.Sides() {
		for _, name := range slices.Sorted(maps.Keys(confirmed[side].ignored)) {
			refused := fault.New(fault.Invalid, "%s", notKeptText(side))
			refused.Field = name
			return refused
		}
	}
	return nil
}

// restIgnored moves the base of fields that a server did not keep to what both
// sides hold now: they are not written again until either side moves.
func (p *pass) restIgnored(link *ledger.Link, intents map[record.Side]ledger.Intent, confirmed map[record.Side]confirmation, both map[string]bool) {
	for side, result := range confirmed {
		for name, got := range result.ignored {
			if both[name] {
				continue
			}
			p.setBase(link, side, name, got)
			p.setBase(link, side.Other(), name, intents[side].From[name])
		}
	}
}

// keepNamed keeps the dead letter of a value that a server did not keep open
// while the two sides still differ in it, whatever else goes through meanwhile.
func (p *pass) keepNamed(now pair, made plan) {
	p.state.DeadLetters = slices.DeleteFunc(slices.Clone(p.state.DeadLetters), func(letter ledger.DeadLetter) bool {
		name := letter.Reason.Field
		if _, ignored := ignoredBy(letter); !ignored || letter.State != ledger.DeadLetterOpen || made.touches(name) {
			return false
		}
		field := p.stream.Mapping.Field(name)
		return field != nil && !equalAcross(field, now.left.values[name], now.right.values[name], now.refs)
	})
}

// touches reports whether a plan has anything to say of a field.
func (p plan) touches(name string) bool {
	for _, write := range p.writes {
		if _, ok := write.sent[name]; ok {
			return true
		}
	}
	return slices.Contains(p.agree, name) || slices.Contains(p.conflicts, name) || slices.Contains(p.unset, name)
}

// ignoredBy tells which side did not keep the value of a dead letter.
func ignoredBy(letter ledger.DeadLetter) (record.Side, bool) {
	for _, side := range record.Sides() {
		if letter.Reason.Message == notKeptText(side) {
			return side, true
		}
	}
	return "", false
}

// wakeIgnored makes a field that a server did not keep be sent again when a
// person asked for a replay: its source counts as changed.
func (p *pass) wakeIgnored(link *ledger.Link, left, right view) bool {
	woken := false
	for _, letter := range p.state.DeadLetters {
		side, ignored := ignoredBy(letter)
		field := p.stream.Mapping.Field(letter.Reason.Field)
		if !ignored || field == nil || letter.State != ledger.DeadLetterReplayed {
			continue
		}
		name := field.Name()
		baseLeft, hasLeft := link.Base.Left[name]
		baseRight, hasRight := link.Base.Right[name]
		resting := hasLeft && hasRight && !changed(field, left.values[name], baseLeft) && !changed(field, right.values[name], baseRight)
		if !resting || equalAcross(field, left.values[name], right.values[name], p.refs.lookup) {
			continue
		}
		source, target := left.values[name], right.values[name]
		if side == record.Left {
			source, target = target, source
		}
		if changed(field, source, target) {
			p.setBase(link, side.Other(), name, target)
			woken = true
		}
	}
	return woken
}
