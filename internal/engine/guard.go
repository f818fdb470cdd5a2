package engine

import (
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/merge"
	"github.com/accord-sync/accord/internal/record"
)

// guardDelete counts a delete against the stream's guard, once however often it
// is tried; beyond it the operation is held, visibly, until an operator approves.
func (p *pass) guardDelete(ctx context.Context, link *ledger.Link, ref record.Ref) (bool, error) {
	guard := p.stream.Spec.Deletes.Guard
	held := p.heldOf(ledger.GuardDelete, ref.Side)
	switch {
	case held != nil && held.State == ledger.HeldApproved:
		// It stays approved until the delete is done.
		return true, nil
	case held != nil && held.State == ledger.HeldRejected:
		return false, p.detach(ctx, *link)
	case guard.Off || link.Base.GuardTaken:
		return true, nil
	}
	if held == nil {
		take := ledger.GuardTake{Stream: p.work.Stream, Op: ledger.GuardDelete, Subject: link.ID}
		refused, err := p.store().TakeGuard(ctx, p.key(), []ledger.GuardTake{take}, guard.Max, guard.Per)
		if err != nil || len(refused) == 0 {
			link.Base = copyBase(link.Base)
			link.Base.GuardTaken = err == nil
			return err == nil, err
		}
		held = p.newHeld(*link, ledger.GuardDelete, ref.Side)
	}
	p.outcome = outcomeHeld
	return false, p.finish(ctx, ledger.Commit{PutHeld: []ledger.Held{*held}})
}

// heldOf is the held operation of that kind on that side of the pair; nil: none.
func (p *pass) heldOf(op ledger.GuardOp, target record.Side) *ledger.Held {
	for _, held := range p.state.Held {
		if held.Op == op && held.Ref.Side == target {
			return &held
		}
	}
	return nil
}

func (p *pass) newHeld(link ledger.Link, op ledger.GuardOp, target record.Side) *ledger.Held {
	return &ledger.Held{
		ID: p.engine.options.NewID(), Stream: p.work.Stream, LinkID: link.ID, Ref: link.Ref(target),
		Op: op, Since: p.engine.options.Now(), State: ledger.HeldWaiting,
	}
}

// endHeld ends what the guard holds, with or without an answer: it is not to be
// done any more. No operations: all.
func (p *pass) endHeld(ops ...ledger.GuardOp) []ledger.Held {
	var rows []ledger.Held
	for _, held := range p.state.Held {
		if len(ops) == 0 || slices.Contains(ops, held.Op) {
			held.State = ledger.HeldDone
			rows = append(rows, held)
		}
	}
	return rows
}

// guarding is what the guard says of a plan.
type guarding struct {
	// held are fields that wait: they are not written and keep their base.
	held map[string]bool
	// restore are fields whose edit an operator rejected, with the side whose
	// value stays.
	restore map[string]record.Side
	// waiting are the rows of held fields; over are rows that the plan needs no
	// more; applied are rows that are over once the writes are confirmed.
	waiting, over, applied []ledger.Held
}

// risk is one way in which a plan takes values from a record.
type risk struct {
	op     ledger.GuardOp
	target record.Side
}

// risks are looked at in this order.
func risks() []risk {
	return []risk{
		{ledger.GuardClear, record.Left}, {ledger.GuardClear, record.Right},
		{ledger.GuardRewrite, record.Left}, {ledger.GuardRewrite, record.Right},
	}
}

// guardEdits asks the guard about the fields that a plan clears or rewrites
// because somebody edited them. First links and decisions are not asked about.
func (p *pass) guardEdits(ctx context.Context, link ledger.Link, now pair, made plan) (guarding, error) {
	said := guarding{held: map[string]bool{}, restore: map[string]record.Side{}}
	risky := riskyFields(p.stream, now, made)
	for _, one := range risks() {
		row := p.heldOf(one.op, one.target)
		if len(risky[one]) == 0 && row == nil || now.only != nil && (row == nil || row.State == ledger.HeldWaiting) {
			continue
		}
		if err := p.guardRisk(ctx, link, one, risky[one], row, &said); err != nil {
			return guarding{}, err
		}
	}
	return said, nil
}

// guardRisk decides the fields of one risk. row is what is held of it already;
// nil: nothing.
func (p *pass) guardRisk(ctx context.Context, link ledger.Link, one risk, fields []string, row *ledger.Held, said *guarding) error {
	limit := p.stream.guardOn(one.op)
	if len(fields) == 0 || limit.Off {
		// It was undone, or the guard was switched off.
		if row != nil {
			row.State = ledger.HeldDone
			said.over = append(said.over, *row)
		}
		return nil
	}
	var known []string
	if row != nil {
		if row.State == ledger.HeldApproved || row.State == ledger.HeldRejected && p.asHeld(*row, link, one.target.Other()) {
			if row.State == ledger.HeldRejected {
				for _, name := range fields {
					said.restore[name] = one.target
				}
			}
			row.State = ledger.HeldDone
			said.applied = append(said.applied, *row)
			return nil
		}
		known = row.Fields
	}
	holds, err := p.takeFields(ctx, link, one, fields, known, limit)
	if err != nil {
		return err
	}
	if row == nil && len(holds) > 0 {
		row = p.newHeld(link, one.op, one.target)
	}
	if row == nil {
		return nil
	}
	for _, name := range holds {
		said.held[name] = true
	}
	row.State, row.Fields, row.Ref = ledger.HeldWaiting, holds, link.Ref(one.target)
	if len(holds) == 0 {
		row.State = ledger.HeldDone
		said.over = append(said.over, *row)
		return nil
	}
	said.waiting = append(said.waiting, *row)
	return nil
}

// takeFields counts the fields and returns, sorted, those that wait: those that
// wait already, and those beyond the limit.
func (p *pass) takeFields(ctx context.Context, link ledger.Link, one risk, fields, known []string, limit integration.Guard) ([]string, error) {
	var holds []string
	var takes []ledger.GuardTake
	for _, name := range fields {
		if slices.Contains(known, name) {
			holds = append(holds, name)
			continue
		}
		takes = append(takes, ledger.GuardTake{Stream: p.work.Stream, Op: one.op, Side: one.target, Field: name, Subject: link.ID})
	}
	if len(takes) > 0 {
		refused, err := p.store().TakeGuard(ctx, p.key(), takes, limit.Max, limit.Per)
		if err != nil {
			return nil, err
		}
		for _, take := range refused {
			holds = append(holds, take.Field)
		}
	}
	slices.Sort(holds)
	return holds, nil
}

// asHeld reports whether the side that was edited still shows what it showed
// when its edit was held: an answer about other values is void.
func (p *pass) asHeld(row ledger.Held, link ledger.Link, edited record.Side) bool {
	own, _ := p.prints(link.Ref(edited))
	return own == row.Print(edited)
}

// heldRows are the rows of fields that wait, with what both sides show now, as
// far as they are news.
func (p *pass) heldRows(link ledger.Link, said guarding) []ledger.Held {
	var rows []ledger.Held
	for _, row := range said.waiting {
		row.LeftPrint, row.RightPrint = p.prints(link.Left)
		stored := slices.IndexFunc(p.state.Held, func(known ledger.Held) bool { return known.ID == row.ID })
		if stored < 0 || !sameHeld(p.state.Held[stored], row) {
			rows = append(rows, row)
		}
	}
	return rows
}

func sameHeld(a, b ledger.Held) bool {
	return a.State == b.State && a.Ref == b.Ref && slices.Equal(a.Fields, b.Fields) && a.LeftPrint == b.LeftPrint && a.RightPrint == b.RightPrint
}

// countHeld adds a held record to the counts of its pass.
func (p *pass) countHeld(commit *ledger.Commit, said guarding) {
	switch {
	case len(said.held) == 0:
	case p.outcome == outcomeUnchanged:
		p.outcome = outcomeHeld
	default:
		commit.Counts.Held++
	}
}

// guardOn is the limit on clears or rewrites.
func (s Stream) guardOn(op ledger.GuardOp) integration.Guard {
	if op == ledger.GuardClear {
		return s.Spec.Guard.Clears
	}
	return s.Spec.Guard.Rewrites
}

// riskyFields are the fields of a plan that take a value away, sorted.
func riskyFields(stream Stream, now pair, made plan) map[risk][]string {
	fields := map[risk][]string{}
	for target, write := range made.writes {
		for _, name := range write.fields() {
			field := stream.Mapping.Field(name)
			cause := write.why[name].Kind
			if field == nil || cause != ledger.CauseChange && cause != ledger.CausePolicy || keepsAll(field, target, write.before[name], write.sent[name], now.refs) {
				continue
			}
			one := risk{ledger.GuardRewrite, target}
			if record.IsBlank(write.sent[name]) {
				one.op = ledger.GuardClear
			}
			fields[one] = append(fields[one], name)
		}
	}
	return fields
}

// keepsAll reports whether a write takes nothing away: there was nothing, or the
// same, or a set that only grows.
func keepsAll(field *mapping.Field, target record.Side, before, sent any, refs mapping.Resolver) bool {
	if record.IsBlank(before) || record.Equal(field.Kind(), before, sent) {
		return true
	}
	if field.Kind().Name != record.KindSet || record.IsBlank(sent) {
		return false
	}
	left := elements(field, target, sent, refs)
	for _, element := range elements(field, target, before, refs) {
		if !slices.ContainsFunc(left, func(one merge.Element) bool { return one.Key == element.Key }) {
			return false
		}
	}
	return true
}

// held reports whether an edit of a field waits.
func held(state ledger.State, name string) bool {
	return slices.ContainsFunc(state.Held, func(held ledger.Held) bool { return slices.Contains(held.Fields, name) })
}

// heldAs reports whether the guard holds edits of a pair, and the row shows what
// it showed then.
func (s Stream) heldAs(state ledger.State, side record.Side, v view) bool {
	for _, held := range state.Held {
		if held.Op == ledger.GuardDelete || held.State != ledger.HeldWaiting || held.Print(side) != v.print || s.guardOn(held.Op).Off {
			return false
		}
	}
	return len(state.Held) > 0
}
