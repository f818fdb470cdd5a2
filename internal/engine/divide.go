package engine

import (
	"maps"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// divide leaves in a plan what one call to each side can carry, and names the
// other fields as later: they keep their base, and are planned anew once this
// much is confirmed. A field that is written on both sides stays whole. What a
// policy decided goes first: our own write hides when a side was last edited.
func (p *pass) divide(made plan) plan {
	calls, decided := p.callsOf(made)
	if len(decided) == 0 {
		decided = slices.Collect(maps.Values(calls))
	}
	made.later = map[string]bool{}
	for name, call := range calls {
		if call != slices.Min(decided) {
			made.later[name] = true
		}
	}
	if len(made.later) > 0 {
		made.writes, made.both = made.without(made.later), maps.Clone(made.both)
		maps.DeleteFunc(made.both, func(name string, _ bool) bool { return made.later[name] })
	}
	return made
}

// callsOf numbers the calls of the fields that go to a side that takes several;
// decided are those of fields that both sides had changed.
func (p *pass) callsOf(made plan) (calls map[string]int, decided []int) {
	calls = map[string]int{}
	policy := map[string]bool{}
	for _, side := range record.Sides() {
		write, written := made.writes[side]
		divided, ok := p.in.Connector(side).(connector.Divided)
		if !written || !ok {
			continue
		}
		for name, share := range write.shares {
			calls[name] = max(calls[name], divided.CallOf(p.stream.object(side), share))
			policy[name] = policy[name] || write.why[name].Kind == ledger.CausePolicy
		}
	}
	for name, call := range calls {
		if policy[name] {
			decided = append(decided, call)
		}
	}
	return calls, decided
}

// bornOtherwise reports whether a new record holds another value than was sent
// because its system takes that field with another call than the one that makes
// records, and not because a person has edited it: then it is an edit still to be made.
func (p *pass) bornOtherwise(intent ledger.Intent, field *mapping.Field, last writer) bool {
	side := intent.Target.Side
	divided, ok := p.in.Connector(side).(connector.Divided)
	if !ok || last == byOthers {
		return false
	}
	share := map[string]any{}
	for _, path := range field.Paths(side) {
		if value, sent := intent.Patch[path]; sent {
			share[path] = value
		}
	}
	return divided.CallOf(intent.Target.Object, share) > 0
}

// without are the writes of a plan less some fields; a side that is left with
// none is not written.
func (p plan) without(fields map[string]bool) map[record.Side]*sideWrite {
	writes := map[record.Side]*sideWrite{}
	for side, whole := range p.writes {
		rest := newSideWrite()
		for name, share := range whole.shares {
			if fields[name] {
				continue
			}
			maps.Copy(rest.patch, share)
			rest.shares[name], rest.why[name] = share, whole.why[name]
			rest.sent[name], rest.before[name], rest.from[name] = whole.sent[name], whole.before[name], whole.from[name]
		}
		if len(rest.sent) > 0 {
			writes[side] = rest
		}
	}
	return writes
}

// order is which side was edited last, as it was when a plan was divided, and
// what both sides held in the fields that wait for their call.
type order struct {
	newer  record.Side
	values map[string][2]any
}

func orderOf(now pair, later map[string]bool) *order {
	kept := order{newer: now.newer, values: map[string][2]any{}}
	for name := range later {
		kept.values[name] = [2]any{now.left.values[name], now.right.values[name]}
	}
	return &kept
}

// holds reports whether nobody has edited those fields since.
func (o *order) holds(left, right view) bool {
	for name, was := range o.values {
		if !sameValue(was[0], left.values[name]) || !sameValue(was[1], right.values[name]) {
			return false
		}
	}
	return true
}
