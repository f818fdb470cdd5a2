package engine_test

import (
	"slices"

	"github.com/accord-sync/accord/internal/record"
)

// unknowable: the edit was made while nobody could say whether a write had
// arrived, on a server without versions, or together with another edit since the
// service wrote there, so that no version tells. What came first cannot be known then.
func (p *player) unknowable(ref record.Ref, prior change) bool {
	during, ok := p.trace.inDoubt(ref, prior.seq)
	if !ok {
		return false
	}
	edits := 0
	for _, one := range p.trace.happenings {
		mine := one.side == ref.Side && one.id == ref.ID && (during.to == 0 || one.seq < during.to)
		switch {
		case mine && one.user:
			edits++
		case mine && one.seq < during.from:
			edits = 0
		}
	}
	return edits > 1 || ref.Side == record.Left || !p.h.settings.versions
}

// coincided: a write that carried the edit prior over to other was in doubt, and a user
// there made another edit that it carried himself. The record then looks as if the
// write had arrived and somebody had put the field name back, as nobody can know (ADR
// 18). one is the write that brought the older value back.
func (p *player) coincided(one happening, name string, other record.Ref, prior change) bool {
	ref := p.ref(one.side, one.id)
	return slices.ContainsFunc(p.trace.doubts[other], func(during doubt) bool {
		if during.answered || during.from < prior.seq || during.from > one.seq {
			return false
		}
		for _, field := range p.stream.Mapping.Fields() {
			carried, ok := last(p.timeline(ref, field.Name()), during.from, nil)
			theirs, also := last(p.timeline(other, field.Name()), one.seq, nil)
			if field.Name() != name && ok && also && carried.user && theirs.user && carried.canon == theirs.canon {
				return true
			}
		}
		return false
	})
}
