package engine

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// conflictRows are the rows of one pass: those to open or refresh at once, and
// those that close when its writes are confirmed.
type conflictRows struct {
	changed, closing []ledger.Conflict
	opened           []string
}

// conflictRows compares what the plan leaves open with what the ledger has open.
func (p *pass) conflictRows(link ledger.Link, now pair, made plan) conflictRows {
	var rows conflictRows
	standing := map[string]ledger.Conflict{}
	for _, conflict := range p.state.Conflicts {
		standing[conflict.Field] = conflict
	}
	for _, name := range made.conflicts {
		left, right := now.left.values[name], now.right.values[name]
		known, open := standing[name]
		delete(standing, name)
		if !open {
			fresh := p.newConflict(link, name, left, right)
			rows.changed = append(rows.changed, fresh)
			if !fresh.Started {
				rows.opened = append(rows.opened, fresh.ID)
			}
			continue
		}
		if sameValue(known.Left, left) && sameValue(known.Right, right) && known.State == ledger.ConflictOpen {
			continue
		}
		// The values moved: a decision about other values is void.
		known.Left, known.Right, known.State, known.Decision = left, right, ledger.ConflictOpen, nil
		rows.changed = append(rows.changed, known)
	}
	for name, conflict := range standing {
		if made.later[name] {
			continue
		}
		rows.closing = append(rows.closing, p.closed(conflict, p.howClosed(conflict, name, now, made)))
	}
	return rows
}

func (p *pass) howClosed(conflict ledger.Conflict, name string, now pair, made plan) string {
	if conflict.State == ledger.ConflictDecided && conflict.Decision != nil {
		return "decision"
	}
	for _, agreed := range made.agree {
		if agreed == name {
			return "agreed"
		}
	}
	field := p.stream.Mapping.Field(name)
	if field == nil {
		return "unmapped"
	}
	if equalAcross(field, now.left.values[name], now.right.values[name], now.refs) {
		return "agreed"
	}
	return "put_back"
}

func (p *pass) closed(conflict ledger.Conflict, how string) ledger.Conflict {
	conflict.State, conflict.ClosedBy, conflict.ClosedAt = ledger.ConflictClosed, how, p.engine.options.Now()
	return conflict
}

// closeAll closes every conflict of a link that ends.
func (p *pass) closeAll(how string) []ledger.Conflict {
	var rows []ledger.Conflict
	for _, conflict := range p.state.Conflicts {
		if conflict.Decision != nil && conflict.Field == "" {
			rows = append(rows, p.closed(conflict, "decision"))
		} else {
			rows = append(rows, p.closed(conflict, how))
		}
		p.noteClosed(conflict.ID)
	}
	return rows
}

// noteClosed tells the conflict's workflow, after the commit.
func (p *pass) noteClosed(id string) { p.closedIDs = append(p.closedIDs, id) }

// newConflict opens one. Those of a first link get no workflow each: ten
// thousand of them are one review, through the connection.
func (p *pass) newConflict(link ledger.Link, name string, left, right any) ledger.Conflict {
	now := p.engine.options.Now()
	base, hadBase := link.Base.Left[name]
	fresh := ledger.Conflict{
		ID: p.engine.options.NewID(), Stream: p.work.Stream, LinkID: link.ID, LeftRef: link.Left, RightRef: link.Right,
		Field: name, Base: base, Left: left, Right: right, FirstLink: !hadBase && name != "", OpenedAt: now,
		Deadline: now.Add(p.stream.Spec.Conflicts.Deadline), State: ledger.ConflictOpen,
	}
	if fresh.FirstLink && p.work.Lane == ledger.LaneBackfill {
		fresh.Started = true
	}
	if p.engine.options.ConflictWorkflow != nil {
		fresh.WorkflowID = p.engine.options.ConflictWorkflow(p.key(), fresh.ID, fresh.Started)
	}
	return fresh
}

// report collects what workflows should hear of.
func (p *pass) report(rows conflictRows) {
	p.opened = append(p.opened, rows.opened...)
	for _, conflict := range rows.closing {
		p.noteClosed(conflict.ID)
	}
}

func (p *pass) outcomeOf(moved bool, rows conflictRows) {
	switch {
	case p.outcome != outcomeUnchanged:
	case len(rows.opened) > 0:
		p.outcome = outcomeConflict
	case moved:
		p.outcome = outcomeUnchanged
	}
}

// keepAndFlag is the default for a delete that meets an edit: the survivor
// stays, and an open conflict with field "" says so until somebody decides.
func (p *pass) keepAndFlag(ctx context.Context, link ledger.Link, goneSide record.Side, survivor view) error {
	left, right := flagged(goneSide, survivor)
	commit := ledger.Commit{PutHeld: p.endHeld()}
	known := false
	for _, conflict := range p.state.Conflicts {
		switch {
		case conflict.Field != "":
			// There are no two values any more to choose from.
			commit.PutConflicts = append(commit.PutConflicts, p.closed(conflict, "gone"))
			p.noteClosed(conflict.ID)
		case sameValue(conflict.Left, left) && sameValue(conflict.Right, right) && conflict.State == ledger.ConflictOpen:
			known = true
		default:
			known = true
			conflict.Left, conflict.Right, conflict.State, conflict.Decision = left, right, ledger.ConflictOpen, nil
			commit.PutConflicts = append(commit.PutConflicts, conflict)
		}
	}
	if known {
		return p.finish(ctx, commit)
	}
	fresh := p.newConflict(link, "", left, right)
	link.Flagged = true
	p.outcome = outcomeConflict
	p.opened = append(p.opened, fresh.ID)
	commit.PutLinks, commit.PutConflicts = []ledger.Link{link}, append(commit.PutConflicts, fresh)
	return p.finish(ctx, commit)
}

// flagged are the values of a delete conflict: the survivor's, and nothing.
func flagged(goneSide record.Side, survivor view) (left, right any) {
	if goneSide == record.Left {
		return nil, map[string]any(survivor.values)
	}
	return map[string]any(survivor.values), nil
}

// voidMoved forgets a decision on a delete conflict if it was made about other
// values than the survivor's of now.
func (p *pass) voidMoved(left, right half) {
	if left.gone == right.gone {
		return
	}
	goneSide, survivor := record.Left, right.view
	if right.gone {
		goneSide, survivor = record.Right, left.view
	}
	nowLeft, nowRight := flagged(goneSide, survivor)
	for i, conflict := range p.state.Conflicts {
		if conflict.Field != "" || conflict.State != ledger.ConflictDecided || sameValue(conflict.Left, nowLeft) && sameValue(conflict.Right, nowRight) {
			continue
		}
		// The row itself is refreshed when the pair is flagged again.
		p.state.Conflicts[i].State, p.state.Conflicts[i].Decision = ledger.ConflictOpen, nil
	}
}

// recreate makes the deleted record anew from the survivor. The old pair stays
// known as a tombstone under the id that is gone.
func (p *pass) recreate(ctx context.Context, link ledger.Link, goneSide record.Side) error {
	survivor := link.Ref(goneSide.Other())
	closing := p.closeAll("decision")
	link.State, link.Flagged, link.GoneSide = ledger.LinkTombstone, true, goneSide
	change := ledger.Change{Stream: p.work.Stream, Ref: survivor, Lane: p.work.Lane, EventID: p.work.EventID, Trace: p.work.Trace, RunID: p.work.RunID}
	return p.finish(ctx, ledger.Commit{
		PutLinks: []ledger.Link{link}, PutConflicts: closing, PutHeld: p.endHeld(), Enqueue: []ledger.Change{change},
		DropSeen: []record.Ref{link.Ref(goneSide)}, DropStream: p.work.Stream,
	})
}
