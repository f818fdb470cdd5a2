package engine

import (
	"context"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// quiet reports whether a link has nothing open and a whole common past under the
// present mapping. Only then may a pass spare calls.
func (p *pass) quiet(link ledger.Link) bool {
	if p.stream.matchOnly() || link.State != ledger.LinkActive || link.GoneSide != "" || !link.GoneAt.IsZero() {
		return false
	}
	if len(p.state.Intents)+len(p.state.Conflicts)+len(p.state.DeadLetters)+len(p.state.Discarded)+len(p.state.Held) > 0 {
		return false
	}
	if link.Base.Doubtful || p.in.Restored.Comparing() {
		// The base is that of a ledger that was put back.
		return false
	}
	for _, field := range p.stream.Mapping.Fields() {
		if !hasBase(pair{base: link.Base}, field.Name()) {
			return false
		}
	}
	return true
}

// nothingNew reports whether what the change shows of its record is what the base
// says that side holds: an echo of our own write, or an event told again. What
// somebody did since has, or will have, a change of its own.
func (p *pass) nothingNew(link ledger.Link) bool {
	shown, side := p.work.Shown, p.work.Ref.Side
	if shown == nil || !p.quiet(link) {
		return false
	}
	if shown.Fields == nil {
		return shown.Version != "" && link.Base.Version == p.in.Version && shown.Version == link.Version(side)
	}
	base := link.Base.Of(side)
	for _, field := range p.stream.Mapping.Fields() {
		if !field.ShownBy(side, shown.Fields) {
			return false
		}
		value, _, err := field.Read(side, shown.Fields)
		if err != nil || changed(field, value, base[field.Name()]) || unsettled(field, side, link.Base, p.refs.lookup) {
			return false
		}
	}
	return p.refs.err() == nil
}

// overToVersioned brings an edit over to a server with versions without reading
// it first: under the known version it holds the base, and If-Match makes the
// server refuse if it does not. done is false where the long way has to be taken;
// nothing has happened then.
func (p *pass) overToVersioned(ctx context.Context, link ledger.Link) (done bool, err error) {
	side := p.work.Ref.Side.Other()
	version := link.Version(side)
	if p.readBothSides || p.work.Claims > 1 || version == "" || link.Base.Version != p.in.Version ||
		!p.in.Connector(side).Capabilities().Versions || !p.quiet(link) {
		return false, nil
	}
	source, ok, err := p.get(ctx, p.work.Ref)
	if err != nil {
		return true, err
	}
	if !ok || source.record.Ref != p.work.Ref || len(p.openReferences(p.refs.lookup, source)) > 0 {
		// A reference that cannot be carried over takes its place in the base at once:
		// that wants a look at what the other side holds.
		return false, nil
	}
	target := view{
		record: record.Record{Ref: link.Ref(side), Version: version, Fields: record.Fields{}},
		values: link.Base.Of(side), inScope: true,
	}
	left, right := source, target
	if side == record.Left {
		left, right = target, source
	}
	now := p.pairOf(link, left, right)
	made, err := makePlan(p.stream, now)
	if err != nil || p.refs.err() != nil || !p.plain(made, side) {
		// The long way says what is wrong, with both sides before its eyes.
		return false, nil
	}
	if err := p.dependenciesKnown(ctx, link.Base, left, right); err != nil {
		return true, err
	}
	p.readBothSides = true
	if now.guard, err = p.guardEdits(ctx, link, now, made); err != nil {
		return true, err
	}
	if len(now.guard.held)+len(now.guard.restore) > 0 {
		return false, nil
	}
	return true, p.carryOut(ctx, link, now, made)
}

// plain reports whether a plan writes one side only, whole fields, and whether
// what is sent tells all that those fields will hold. A plan without a write is
// not plain: somebody asked for a look, and it may be about the other side.
func (p *pass) plain(made plan, side record.Side) bool {
	write := made.writes[side]
	if write == nil || len(made.conflicts)+len(made.unset) > 0 || made.writes[side.Other()] != nil {
		return false
	}
	for name := range write.sent {
		if sameValue(write.sent[name], write.before[name]) {
			// Perhaps there is nothing to write: only a read can tell.
			return false
		}
		for _, path := range p.stream.Mapping.Field(name).Paths(side) {
			if _, sent := write.patch[path]; !sent || strings.Contains(path, ".") {
				return false
			}
		}
	}
	return true
}

// refit puts a link under the present version of the integration. At the servers'
// versions that it knew, the sides held what was mapped before.
func (p *pass) refit(link *ledger.Link) {
	if link.Base.Version != p.in.Version {
		link.Base.Version, link.LeftVersion, link.RightVersion = p.in.Version, "", ""
	}
}

// knows remembers the version of a record that was just read or written, if it
// holds exactly the base in every mapped field, and forgets it otherwise.
func (p *pass) knows(link *ledger.Link, found view) {
	p.refit(link)
	side, version := found.record.Ref.Side, found.record.Version
	if found.record.Ref != link.Ref(side) || !p.in.Connector(side).Capabilities().Versions {
		version = ""
	}
	base := link.Base.Of(side)
	for _, field := range p.stream.Mapping.Fields() {
		if known, ok := base[field.Name()]; !ok || !sameValue(known, found.values[field.Name()]) {
			version = ""
		}
	}
	if side == record.Left {
		link.LeftVersion = version
	} else {
		link.RightVersion = version
	}
}

// ownCreateWait is how long an event of an unknown record is put off because a
// create of ours is under way that may have made it.
const ownCreateWait = 2 * time.Second

// ownCreateFirst puts off the look at a record that nobody knows while a create
// that began before its event is not answered yet: its link comes in a moment,
// and makes the look needless.
func (p *pass) ownCreateFirst(ctx context.Context) error {
	if p.work.Lane != ledger.LaneLive || p.engine.options.Now().Sub(p.work.FirstAt) > ownCreateWait {
		return nil
	}
	underWay, err := p.store().CreatesUnderWay(ctx, p.key(), p.work.Stream, p.work.Ref.Side, p.work.FirstAt)
	if err != nil || !underWay {
		return err
	}
	return later(busyPause, "a create that is under way may have made this record")
}

// source reads the record that the change is about. In a first load, and when a
// poll found it, the row of the listing is as good: what is made from it has no
// past, and an edit since then comes as a change of its own. listed tells so.
func (p *pass) source(ctx context.Context) (found view, ok, listed bool, err error) {
	shown := p.work.Shown
	if shown == nil || shown.Fields == nil || p.work.Lane == ledger.LaneLive || p.work.Claims > 1 || len(p.state.DeadLetters)+len(p.state.Discarded) > 0 {
		found, ok, err = p.get(ctx, p.work.Ref)
		return found, ok, false, err
	}
	found, err = p.look(p.work.Ref.Side, *shown)
	return found, err == nil, true, err
}

// stillAsListed reads a record that was taken from a listing before it is joined
// with another one; errAgain if it is not what was listed any more.
func (p *pass) stillAsListed(ctx context.Context, listed view) (view, error) {
	fresh, ok, err := p.get(ctx, p.work.Ref)
	if err != nil {
		return view{}, err
	}
	if !ok || fresh.record.Ref != p.work.Ref || fresh.print != listed.print || fresh.match != listed.match || fresh.inScope != listed.inScope {
		p.work.Shown = nil
		return view{}, errAgain
	}
	return fresh, nil
}
