package engine

import (
	"context"
	"maps"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// carryOutGuarded carries out what the guard lets pass of a plan.
func (p *pass) carryOutGuarded(ctx context.Context, link ledger.Link, now pair, made plan) error {
	said, err := p.guardEdits(ctx, link, now, made)
	if err != nil {
		return err
	}
	now.guard = said
	if len(said.held)+len(said.restore) > 0 {
		if made, err = makePlan(p.stream, now); err != nil {
			return onRef(err, p.work.Ref)
		}
	}
	return p.carryOut(ctx, link, now, made)
}

// carryOut does what a plan says: first the intents and whatever needs no
// write, then each PATCH, then one commit that closes the intents and moves the
// base for exactly the fields they wrote. What takes another call is planned
// again from the top.
func (p *pass) carryOut(ctx context.Context, link ledger.Link, now pair, made plan) error {
	made = p.divide(made)
	link.Base = copyBase(link.Base)
	moved := p.agreeBase(&link, now, made)
	conflicts := p.conflictRows(link, now, made)
	first := ledger.Commit{PutConflicts: conflicts.changed, PutHeld: append(p.heldRows(link, now.guard), now.guard.over...)}
	p.knows(&link, now.left)
	p.knows(&link, now.right)
	if moved {
		first.PutLinks = []ledger.Link{link}
	}
	p.noteKeyLeft(now)
	if len(made.writes) == 0 {
		first.PutConflicts = append(first.PutConflicts, conflicts.closing...)
		first.PutHeld = append(first.PutHeld, now.guard.applied...)
		p.report(conflicts)
		p.outcomeOf(moved, conflicts)
		p.countHeld(&first, now.guard)
		p.keepNamed(now, made)
		return p.finish(ctx, first)
	}
	intents := p.intentsFor(link, now, made)
	first.OpenIntents = p.inOrder(intents)
	if err := p.commit(ctx, first); err != nil {
		return err
	}
	confirmed, failed, err := p.sendAll(ctx, now, intents)
	if err != nil {
		return p.freedSoon(ctx, now, failed, p.notSent(ctx, link, conflicts, intents, confirmed, failed, err))
	}
	last := ledger.Commit{PutConflicts: conflicts.closing}
	p.settleBase(&link, intents, confirmed, made.both)
	p.restIgnored(&link, intents, confirmed, made.both)
	p.knowsAfter(&link, now, confirmed)
	p.closeConfirmed(&last, intents, confirmed)
	last.PutLinks = []ledger.Link{link}
	last.PutHeld = p.heldRows(link, now.guard)
	p.report(conflicts)
	p.outcome = outcomeUpdated
	if len(made.later) == 0 {
		p.countHeld(&last, now.guard)
	}
	if refused := firstIgnored(confirmed); refused != nil {
		return p.parkAfter(ctx, last, refused)
	}
	if len(made.later) > 0 {
		if err := p.commit(ctx, last); err != nil {
			return err
		}
		p.order = orderOf(now, made.later)
		return errAgain
	}
	if anyEdited(confirmed) {
		last.Enqueue = append(last.Enqueue, p.sameChange())
	} else {
		last.PutHeld = append(last.PutHeld, now.guard.applied...)
	}
	p.keepNamed(now, made)
	return p.finish(ctx, last)
}

// sendAll makes the PATCH of each intent, in writeOrder. An error is that of the
// write to the side failed, before which those in confirmed were made.
func (p *pass) sendAll(ctx context.Context, now pair, intents map[record.Side]ledger.Intent) (confirmed map[record.Side]confirmation, failed record.Side, err error) {
	confirmed = map[record.Side]confirmation{}
	for _, side := range p.writeOrder() {
		intent, ok := intents[side]
		if !ok {
			continue
		}
		current, err := p.stillCurrent(ctx, now.of(side), len(confirmed) > 0)
		if err != nil {
			return confirmed, side, err
		}
		answer, direct, err := p.send(ctx, current, intent)
		if err != nil {
			return confirmed, side, err
		}
		confirmed[side] = p.confirm(intent, answer, direct)
	}
	return confirmed, "", nil
}

// writeOrder is the order of two writes of one pass. A side without versions
// comes first: nothing but the time since its read guards it.
func (p *pass) writeOrder() [2]record.Side {
	if p.in.Connector(record.Left).Capabilities().Versions && !p.in.Connector(record.Right).Capabilities().Versions {
		return [2]record.Side{record.Right, record.Left}
	}
	return record.Sides()
}

// stillCurrent is the record that a write goes to. Where another call came
// between its read and the write, and no version guards it, it is read again: a
// record that was touched meanwhile asks for another plan (errAgain).
func (p *pass) stillCurrent(ctx context.Context, planned view, late bool) (record.Record, error) {
	ref := planned.record.Ref
	if !late || p.in.Connector(ref.Side).Capabilities().Versions {
		return planned.record, nil
	}
	fresh, ok, err := p.get(ctx, ref)
	if err != nil {
		return record.Record{}, err
	}
	if !ok || fresh.record.Ref != ref || fresh.print != planned.print || !fresh.record.UpdatedAt.Equal(planned.record.UpdatedAt) {
		return record.Record{}, errAgain
	}
	return fresh.record, nil
}

func copyBase(base ledger.Base) ledger.Base {
	base.Left, base.Right = maps.Clone(base.Left), maps.Clone(base.Right)
	if base.Left == nil {
		base.Left = ledger.Values{}
	}
	if base.Right == nil {
		base.Right = ledger.Values{}
	}
	return base
}

// agreeBase moves the base of the fields that both sides agree on, and gives
// references without a counterpart a base, so that they wait without a write.
func (p *pass) agreeBase(link *ledger.Link, now pair, made plan) bool {
	moved := false
	for _, name := range made.agree {
		left, right := now.left.values[name], now.right.values[name]
		baseLeft, hasLeft := link.Base.Left[name]
		baseRight, hasRight := link.Base.Right[name]
		if hasLeft && hasRight && sameValue(baseLeft, left) && sameValue(baseRight, right) {
			continue
		}
		p.setBase(link, record.Left, name, left)
		p.setBase(link, record.Right, name, right)
		moved = true
	}
	return moved
}

// inOrder lists intents as they are written.
func (p *pass) inOrder(intents map[record.Side]ledger.Intent) []ledger.Intent {
	var list []ledger.Intent
	for _, side := range p.writeOrder() {
		if intent, ok := intents[side]; ok {
			list = append(list, intent)
		}
	}
	return list
}

func (p *pass) intentsFor(link ledger.Link, now pair, made plan) map[record.Side]ledger.Intent {
	intents := map[record.Side]ledger.Intent{}
	opened := p.engine.options.Now()
	for side, write := range made.writes {
		intents[side] = ledger.Intent{
			ID: p.engine.options.NewID(), Stream: p.work.Stream, Op: ledger.OpUpdate, LinkID: link.ID,
			Source: link.Ref(side.Other()), Target: link.Ref(side),
			Sent: write.sent, Before: write.before, From: write.from, Patch: write.patch,
			ReadVersion: now.of(side).record.Version, ReadAt: now.of(side).record.UpdatedAt,
			ReadOthers: othersPrint(now.of(side).values, write.sent),
			ReadRest:   p.stream.restPrint(side, now.of(side).record, write.patch),
			IfMatch:    p.ifMatch(side, now.of(side).record),
			Cause:      write.cause(), Causes: write.why, RunID: p.work.RunID, OpenedAt: opened, SentAt: opened,
		}
	}
	return intents
}

// ifMatch is the version a write demands, on servers that have versions.
func (p *pass) ifMatch(side record.Side, current record.Record) string {
	if p.in.Connector(side).Capabilities().Versions {
		return current.Version
	}
	return ""
}

// othersPrint fingerprints the mapped fields of a record that are not written.
func othersPrint(values, written ledger.Values) string {
	others := map[string]any{}
	for name, value := range values {
		if _, ok := written[name]; !ok {
			others[name] = value
		}
	}
	return record.Fingerprint(others)
}

// send makes one PATCH. direct tells that the answer is that of the PATCH
// itself, not of a read after it.
func (p *pass) send(ctx context.Context, current record.Record, intent ledger.Intent) (answer record.Record, direct bool, err error) {
	options := connector.WriteOptions{IfMatch: intent.IfMatch}
	if err := p.step("before update"); err != nil {
		return record.Record{}, false, err
	}
	err = p.call(ctx, intent.Target.Side, func(ctx context.Context, to connector.Connector) error {
		var err error
		answer, err = to.Update(ctx, current, intent.Patch, options)
		return err
	})
	if err != nil {
		return record.Record{}, false, onRef(err, intent.Target)
	}
	if err := p.step("after update"); err != nil || p.tellsAll(intent, answer) {
		return answer, true, err
	}
	// An answer without the fields that were written says nothing of them.
	whole, err := p.fetchWritten(ctx, intent.Target)
	return whole, false, err
}

// fetchWritten reads a record that was just written. When that fails the write still
// happened, so its outcome is told as unknown.
func (p *pass) fetchWritten(ctx context.Context, ref record.Ref) (record.Record, error) {
	whole, err := p.fetch(ctx, ref)
	if coded := fault.As(err); coded != nil {
		unknown := *coded
		unknown.MaybeApplied = true
		return record.Record{}, &unknown
	}
	return whole, err
}

// tellsAll reports whether an answer shows every field that was written.
func (p *pass) tellsAll(intent ledger.Intent, answer record.Record) bool {
	for name, sent := range intent.Sent {
		field := p.stream.Mapping.Field(name)
		if field == nil || record.IsBlank(sent) {
			continue
		}
		if _, present, err := field.Read(intent.Target.Side, answer.Fields); err == nil && !present {
			return false
		}
	}
	return true
}

// confirmation is what a write's answer says.
type confirmation struct {
	// holds are the values the target has now, for the fields that it kept.
	holds ledger.Values
	// edited are fields where somebody's later edit was found instead.
	edited []string
	// ignored are fields that the server silently left as they were.
	ignored ledger.Values
	// wrote is the record as it was answered; without values if they cannot be read.
	wrote view
	// ownTime: the record's version and time are those of our write.
	ownTime bool
}

// confirm compares what was sent with what the server answered.
func (p *pass) confirm(intent ledger.Intent, answer record.Record, direct bool) confirmation {
	side := intent.Target.Side
	last := p.lastWriter(intent, answer)
	result := confirmation{holds: ledger.Values{}, ignored: ledger.Values{}, wrote: p.answered(answer), ownTime: direct || last != byOthers}
	for name, sent := range intent.Sent {
		field := p.stream.Mapping.Field(name)
		if field == nil {
			continue
		}
		got, _, err := field.Read(side, answer.Fields)
		if err != nil {
			result.edited = append(result.edited, name)
			continue
		}
		switch judge(field, side, sent, got, intent.Before[name], last, direct) {
		case keptSo:
			result.holds[name] = got
		case notKept:
			result.ignored[name] = got
		case editedSince:
			result.edited = append(result.edited, name)
		}
	}
	return result
}

// verdict is what a value found after our write means.
type verdict int

const (
	keptSo verdict = iota
	notKept
	editedSince
)

// judge tells what the server made of our value from a user's later edit. Only
// a version can prove that nobody came between; without one, a value counts as
// ours if it is a reduction of what was sent (cut, rounded, re-cased; blanked
// only in the answer to the write itself) or the field is declared lossy. A
// reduction comes before "left as it was": a server that cuts makes the same of
// two values that differ in their tails.
func judge(field *mapping.Field, side record.Side, sent, got, before any, last writer, direct bool) verdict {
	alone := direct || last == byOurs
	less := reduced(sent, got)
	switch {
	case record.Equal(field.Kind(), sent, got), field.Lossy(side) && (alone || less):
		return keptSo
	case less && !record.IsBlank(got) && (alone || last == byOursMaybe):
		return keptSo
	case record.Equal(field.Kind(), got, before):
		return notKept
	case last == byOurs, alone && less:
		return keptSo
	}
	return editedSince
}

func anyEdited(confirmed map[record.Side]confirmation) bool {
	for _, one := range confirmed {
		if len(one.edited) > 0 {
			return true
		}
	}
	return false
}
