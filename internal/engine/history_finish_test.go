package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// finish lets users stop and faults end, and checks the contract in stages:
// what polls alone must find, what a full comparison repairs, what waits for a
// person, and that then nothing is written any more.
func (p *player) finish() {
	p.calm()
	if p.paused {
		p.pause()
	}
	p.races = nil
	p.b.clock.advance(20 * time.Second)
	p.settle()
	p.heard()
	p.quiet()
	if !p.emptied {
		p.inStep("after polls alone", false)
	}
	p.quietCompare()
	p.inStep("after a full comparison", true)
	p.guarded()
	p.approve()
	p.quietCompare()
	p.unparked()
	p.inStep("with nothing refused any more", true)
	p.conflictsNamed()
	p.silent()
	p.judge()
}

// quiet lets the latest record turn visible, and polls until nothing is found.
func (p *player) quiet() {
	p.b.clock.advance(90 * time.Second)
	p.b.quiet()
}

func (p *player) quietCompare() {
	p.b.run(ledger.RunCompare)
	p.quiet()
}

// heardOf is when nothing but webhooks has told of what users did.
const heardOf = "by webhooks alone"

// heard: what was told by webhooks needs no poll.
func (p *player) heard() {
	now := p.situation()
	for _, link := range now.links {
		left, okLeft := now.records[link.Left]
		right, okRight := now.records[link.Right]
		told := !p.missed[link.Left] && !p.missed[link.Right] && okLeft && okRight && !now.named[link.Left] && !now.named[link.Right]
		if link.State == ledger.LinkActive && told {
			p.agree(heardOf, link, left, right, now)
		}
	}
}

// unparked accepts every value again and replays what is parked.
func (p *player) unparked() {
	p.no(p.b.left.ClearRejections(p.b.ctx))
	p.no(p.b.right.ClearRejections(p.b.ctx))
	_, err := p.b.store.ReplayDeadLetters(p.b.ctx, p.b.key, nil, "")
	p.no(err)
	p.refusing = false
	p.quiet()
	p.quietCompare()
}

// silent: when nothing happens, nothing is written, even if every event comes
// again, the last one first.
func (p *player) silent() {
	left, right := p.b.writes(record.Left), p.b.writes(record.Right)
	for _, old := range slices.Backward(p.events) {
		p.deliver(old)
	}
	p.quiet()
	p.quietCompare()
	require.Equal(p.b.t, left, p.b.writes(record.Left), "point 5: nothing happens, nothing is written (left)")
	require.Equal(p.b.t, right, p.b.writes(record.Right), "point 5: nothing happens, nothing is written (right)")
	pending, err := p.b.store.Pending(p.b.ctx, p.b.key, ledger.PendingFilter{})
	p.no(err)
	require.Zero(p.b.t, pending.Changes, "point 1: no change waits")
	require.Zero(p.b.t, pending.Intents, "point 8: no write is in doubt")
	p.result.writes = left + right
}

// situation is how things stand.
type situation struct {
	records map[record.Ref]wire.Record
	links   []ledger.Link
	// linked are the refs of active links, named those that an open conflict, a
	// parked item or the guard speaks of, past those of ended links.
	linked, named, past map[record.Ref]bool
	open                map[string]ledger.Conflict
}

func (p *player) situation() situation {
	now := situation{records: map[record.Ref]wire.Record{}, linked: map[record.Ref]bool{}, named: map[record.Ref]bool{}, past: map[record.Ref]bool{}, open: map[string]ledger.Conflict{}}
	for _, side := range record.Sides() {
		for _, one := range p.b.live(side) {
			now.records[p.ref(side, one.ID)] = one
		}
	}
	var err error
	now.links, _, err = p.b.store.Links(p.b.ctx, p.b.key, ledger.LinkFilter{Stream: "leads"}, ledger.ListOptions{Limit: 200})
	p.no(err)
	for _, link := range now.links {
		for _, side := range record.Sides() {
			if link.State == ledger.LinkActive {
				require.False(p.b.t, now.linked[link.Ref(side)], "point 3: %s has two links", link.Ref(side))
				now.linked[link.Ref(side)] = true
				continue
			}
			now.past[link.Ref(side)] = true
		}
	}
	for _, conflict := range p.b.openConflicts() {
		key := conflict.LinkID + "/" + conflict.Field
		require.NotContains(p.b.t, now.open, key, "point 6: one open conflict per field")
		now.open[key] = conflict
		if conflict.Field == "" {
			now.named[conflict.LeftRef], now.named[conflict.RightRef] = true, true
		}
	}
	for _, letter := range p.b.letters() {
		now.named[letter.Ref] = true
		for _, link := range now.links {
			if link.ID == letter.LinkID {
				now.named[link.Left], now.named[link.Right] = true, true
			}
		}
	}
	held, _, err := p.b.store.ListHeld(p.b.ctx, p.b.key, ledger.HeldWaiting, ledger.ListOptions{Limit: 200})
	p.no(err)
	for _, one := range held {
		for _, link := range now.links {
			if link.ID == one.LinkID {
				now.named[link.Left], now.named[link.Right] = true, true
			}
		}
	}
	return now
}

// inStep checks that linked records agree in every mapped field. whole: also
// that every record is linked or named, which a lost delete only allows after a
// full comparison.
func (p *player) inStep(when string, whole bool) {
	now := p.situation()
	for _, link := range now.links {
		left, okLeft := now.records[link.Left]
		right, okRight := now.records[link.Right]
		if link.State != ledger.LinkActive || now.named[link.Left] || now.named[link.Right] {
			continue
		}
		if !okLeft || !okRight {
			require.False(p.b.t, whole, "point 4: %s: an active link points to a deleted record: %s %s", when, link.Left, link.Right)
			continue
		}
		p.agree(when, link, left, right, now)
	}
	if !whole {
		return
	}
	for ref, one := range now.records {
		survivor := now.past[ref] && p.h.settings.deletes == "ignore"
		require.True(p.b.t, now.linked[ref] || now.named[ref] || survivor, "point 1: %s: %s (%s) is neither linked nor named", when, ref, text(one, "email"))
	}
	p.lettersNamed(when)
}

// lettersNamed: what is parked was refused, forbidden, or shares its key.
func (p *player) lettersNamed(when string) {
	for _, letter := range p.b.letters() {
		var fine bool
		switch letter.Reason.Code {
		case "invalid":
			fine = p.refusing
		case "forbidden":
			fine = p.happened(func(one step) bool { return one.what == "403" })
		default:
			fine = p.happened(func(one step) bool {
				return one.field == "email" || one.do == "delete" || one.do == "twins" || one.do == "create"
			})
		}
		require.True(p.b.t, fine, "point 10: %s: %s waits for a person, and nothing explains it: %+v", when, letter.Ref, letter.Reason)
	}
}

func (p *player) happened(what func(step) bool) bool { return slices.ContainsFunc(p.h.steps, what) }

func (p *player) agree(when string, link ledger.Link, left, right wire.Record, now situation) {
	for _, field := range p.stream.Mapping.Fields() {
		name := field.Name()
		if _, conflicting := now.open[link.ID+"/"+name]; conflicting {
			continue
		}
		if name == "owner" && p.h.settings.late > 0 && when == heardOf {
			// The users themselves are not told of, and polls may not see them yet.
			continue
		}
		if name == "source" && (p.edited("source", record.Right) || p.madeByService(link.Left)) {
			// It goes from left to right only.
			continue
		}
		l, r := p.canon(record.Left, name, left.Fields), p.canon(record.Right, name, right.Fields)
		if name == "owner" && text(left, "owner_id") == p.users[record.Left]["lonely"] {
			r, l = text(right, "owner_id"), ""
		}
		require.Equal(p.b.t, l, r, "point 1: %s: %s of %s and %s", when, name, link.Left, link.Right)
	}
}

// madeByService reports whether the service created a record.
func (p *player) madeByService(ref record.Ref) bool {
	return slices.ContainsFunc(p.trace.happenings, func(one happening) bool {
		return !one.user && one.op == ledger.OpCreate && one.side == ref.Side && one.id == ref.ID
	})
}

// edited reports whether a user typed into a field of a side.
func (p *player) edited(field string, side record.Side) bool {
	for _, one := range p.h.steps {
		if one.field == field && (one.side == side || one.do == "both") {
			return true
		}
	}
	return false
}

// guarded: no more deletes than the guard allows went through before an operator said so.
func (p *player) guarded() {
	if p.approved {
		return
	}
	count := 0
	for _, one := range p.trace.happenings {
		if one.op == ledger.OpDelete && !one.user {
			count++
		}
	}
	require.LessOrEqual(p.b.t, count, p.h.settings.guard, "point 4: the guard holds deletes")
}

// conflictsNamed: an open conflict shows what both sides hold.
func (p *player) conflictsNamed() {
	now := p.situation()
	for _, conflict := range now.open {
		if conflict.Field == "" {
			continue
		}
		require.Equal(p.b.t, "manual", p.policyOf(conflict.Field), "point 6: only a manual field waits for a person")
		for _, side := range record.Sides() {
			shown, ref := conflict.Left, conflict.LeftRef
			if side == record.Right {
				shown, ref = conflict.Right, conflict.RightRef
			}
			held, _, err := p.stream.Mapping.Field(conflict.Field).Read(side, now.records[ref].Fields)
			p.no(err)
			require.Equal(p.b.t, p.canonOf(side, conflict.Field, held), p.canonOf(side, conflict.Field, shown), "point 6: the conflict about %s of %s shows what is there", conflict.Field, ref)
		}
	}
}

func (p *player) policyOf(field string) string {
	if field == "phone" {
		return p.h.settings.phone
	}
	return p.h.settings.policy
}

// canon is the normal form of a field, the same on both sides for equal values.
func (p *player) canon(side record.Side, field string, fields record.Fields) string {
	raw, _, err := p.stream.Mapping.Field(field).Read(side, fields)
	if err != nil {
		return "unreadable"
	}
	return p.canonOf(side, field, raw)
}

func (p *player) canonOf(side record.Side, field string, raw any) string {
	if field == "owner" && record.IsBlank(raw) {
		return ""
	}
	canon, err := p.stream.Mapping.Field(field).Canonical(side, raw, p.refs)
	if err != nil {
		return "unreadable"
	}
	if canon == nil || record.IsBlank(canon) {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(canon))
}
