package engine

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/merge"
	"github.com/accord-sync/accord/internal/record"
)

// linked reconciles a record that has a counterpart.
func (p *pass) linked(ctx context.Context) error {
	link := *p.state.Link
	if err := p.doubt(ctx, &link); err != nil {
		return err
	}
	left, right, err := p.readBoth(ctx, link)
	if err != nil {
		return err
	}
	if left.gone || right.gone {
		p.voidMoved(left, right)
		return p.gone(ctx, link, left, right)
	}
	if moved, err := p.mergedAway(ctx, link, left.view, right.view); moved || err != nil {
		return err
	}
	settled, err := p.settle(ctx, link, left.view, right.view)
	if err != nil {
		return err
	}
	if settled {
		return errAgain
	}
	if link.Base.Doubtful {
		return p.clearDoubt(ctx, link, left.view, right.view)
	}
	if deletes := p.endHeld(ledger.GuardDelete); !link.GoneAt.IsZero() || link.Base.Unread != "" || len(deletes) > 0 {
		// It was missing once and answers again: it was never deleted, and an answer
		// about a held delete is void. And what we made has been read: from now on a
		// "not found" means what it says.
		link.GoneSide, link.GoneAt, link.Base.Unread, link.Base.GuardTaken = "", time.Time{}, "", false
		p.state.Link = &link
		if err := p.commit(ctx, ledger.Commit{PutLinks: []ledger.Link{link}, PutHeld: deletes}); err != nil {
			return err
		}
		p.state.Held = slices.DeleteFunc(p.state.Held, func(held ledger.Held) bool { return held.Op == ledger.GuardDelete })
	}
	return p.agree(ctx, link, left.view, right.view)
}

// half is one side of a link as read: a view, or gone.
type half struct {
	view
	gone bool
}

func (p *pass) readBoth(ctx context.Context, link ledger.Link) (left, right half, err error) {
	if err := p.renew(ctx); err != nil {
		return half{}, half{}, err
	}
	var halves [2]half
	var found [2]view
	// One that fails does not stop the other: its server may say that it wants to be
	// left alone, and that must be heard.
	var group errgroup.Group
	for i, side := range record.Sides() {
		group.Go(func() error {
			answer, err := p.fetch(ctx, link.Ref(side))
			if fault.Is(err, fault.Gone) {
				halves[i].gone = true
				return nil
			}
			found[i].record = answer
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return half{}, half{}, err
	}
	for i, side := range record.Sides() {
		if halves[i].gone {
			continue
		}
		if halves[i].view, err = p.look(side, found[i].record); err != nil {
			return half{}, half{}, err
		}
	}
	return halves[0], halves[1], nil
}

// agree makes the plan of a pair and carries it out.
func (p *pass) agree(ctx context.Context, link ledger.Link, left, right view) error {
	if p.stream.matchOnly() {
		return p.finish(ctx, ledger.Commit{})
	}
	parked, only := p.stillParked(left, right), p.decidedFields()
	if parked && len(only) == 0 {
		return p.finishParked(ctx)
	}
	if err := p.dependenciesKnown(ctx, link.Base, left, right); err != nil {
		return err
	}
	now := p.pairOf(link, left, right)
	if parked {
		return p.carryOutDecided(ctx, link, now, only)
	}
	made, err := makePlan(p.stream, now)
	if err != nil {
		return onRef(err, p.work.Ref)
	}
	if err := p.refs.err(); err != nil {
		return err
	}
	return p.carryOutGuarded(ctx, link, now, made)
}

func (p *pass) pairOf(link ledger.Link, left, right view) pair {
	now := pair{
		left: left, right: right, base: link.Base, conflicts: p.state.Conflicts,
		refs: p.refs.lookup, event: p.work.EventID,
		newer: merge.NewerOf(p.editOf(record.Left, left, link.Base.LeftWrote), p.editOf(record.Right, right, link.Base.RightWrote)),
	}
	if p.order != nil && p.order.holds(left, right) {
		now.newer = p.order.newer
	}
	for _, letter := range p.state.DeadLetters {
		if letter.State == ledger.DeadLetterReplayed && len(letter.Overrides) > 0 {
			now.overrides, now.overrideSide = letter.Overrides, letter.Ref.Side
		}
	}
	return now
}

// editOf is the time of a side's last edit by a user. A time that our own write
// caused only says that the edit was not made later.
func (p *pass) editOf(side record.Side, v view, wrote time.Time) merge.Edit {
	edit := merge.Edit{At: v.record.UpdatedAt, Granularity: p.in.Connector(side).Capabilities().Granularity}
	edit.Latest = !wrote.IsZero() && edit.At.Equal(wrote)
	edit.Skew = p.engine.sides.skew(p.key(), side)
	return edit
}

// stillParked reports whether this pair was refused exactly as it is now: then
// nothing is tried until somebody edits it or asks for a replay.
func (p *pass) stillParked(left, right view) bool {
	for _, letter := range refused(p.state) {
		if letter.State == ledger.DeadLetterOpen && letter.Reason.Code == string(fault.Forbidden) {
			continue
		}
		source, target := left.print, right.print
		if letter.Ref.Side == record.Right {
			source, target = target, source
		}
		if letter.SourcePrint == source && letter.TargetPrint == target {
			return true
		}
	}
	return false
}
