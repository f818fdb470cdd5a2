package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// settleBase moves the base for the fields whose writes are confirmed: the
// source to what was read there, the target to what it holds now. A field
// written on both sides moves only when both are confirmed.
func (p *pass) settleBase(link *ledger.Link, intents map[record.Side]ledger.Intent, confirmed map[record.Side]confirmation, both map[string]bool) {
	for side, result := range confirmed {
		intent := intents[side]
		for name, got := range result.holds {
			if both[name] {
				p.settleBoth(link, name, confirmed)
				continue
			}
			p.setBase(link, side, name, got)
			p.setBase(link, side.Other(), name, intent.From[name])
		}
		if result.ownTime {
			p.markWrite(link, side, result.wrote.record)
		}
	}
}

func (p *pass) settleBoth(link *ledger.Link, name string, confirmed map[record.Side]confirmation) {
	left, okLeft := confirmed[record.Left].holds[name]
	right, okRight := confirmed[record.Right].holds[name]
	if okLeft && okRight {
		p.setBase(link, record.Left, name, left)
		p.setBase(link, record.Right, name, right)
	}
}

// setBase moves one field of the base. The version that the base belonged to is
// unknown then, until knows finds it again.
func (p *pass) setBase(link *ledger.Link, side record.Side, name string, value any) {
	if side == record.Left {
		link.Base.Left[name], link.LeftVersion = value, ""
		return
	}
	link.Base.Right[name], link.RightVersion = value, ""
}

// markWrite remembers the time that our own write caused.
func (p *pass) markWrite(link *ledger.Link, side record.Side, wrote record.Record) {
	if side == record.Left {
		link.Base.LeftWrote = wrote.UpdatedAt
		return
	}
	link.Base.RightWrote = wrote.UpdatedAt
}

// closeConfirmed ends the intents whose outcome is known and writes what they
// replaced into the history.
func (p *pass) closeConfirmed(commit *ledger.Commit, intents map[record.Side]ledger.Intent, confirmed map[record.Side]confirmation) {
	for _, side := range p.writeOrder() {
		result, ok := confirmed[side]
		if !ok {
			continue
		}
		intent := intents[side]
		commit.CloseIntents = append(commit.CloseIntents, intent.ID)
		commit.History = append(commit.History, p.historyOf(intent, result)...)
		if result.wrote.values != nil {
			p.saw(result.wrote)
		}
	}
}

// knowsAfter remembers the versions at the end of a plan: that of the answer on
// the sides that were written, that of the read elsewhere.
func (p *pass) knowsAfter(link *ledger.Link, now pair, confirmed map[record.Side]confirmation) {
	for _, side := range record.Sides() {
		found := now.of(side)
		if result, ok := confirmed[side]; ok {
			found = result.wrote
		}
		p.knows(link, found)
	}
}

// answered reads the mapped fields of a write's answer. One that cannot be read
// tells of no version at which the record holds the base.
func (p *pass) answered(answer record.Record) view {
	v, err := p.stream.look(answer.Ref.Side, answer, p.refs.lookup)
	if err != nil {
		answer.Version = ""
		return view{record: answer}
	}
	return v
}

// historyOf tells what a confirmed write replaced; a create replaced nothing and
// is one entry with all that was sent. A field that the server did
// not take is left out; one that was edited again since is in, because our
// value may have stood there in between.
func (p *pass) historyOf(intent ledger.Intent, result confirmation) []ledger.HistoryEntry {
	if intent.Op == ledger.OpCreate {
		return []ledger.HistoryEntry{p.historyEntry(intent, result, "", nil, map[string]any(intent.Sent))}
	}
	var entries []ledger.HistoryEntry
	for name, sent := range intent.Sent {
		stored := sent
		if got, ok := result.holds[name]; ok {
			stored = got
		} else if !slices.Contains(result.edited, name) {
			continue
		}
		entries = append(entries, p.historyEntry(intent, result, name, intent.Before[name], stored))
	}
	slices.SortFunc(entries, func(a, b ledger.HistoryEntry) int {
		if a.Field < b.Field {
			return -1
		}
		return 1
	})
	return entries
}

func (p *pass) historyEntry(intent ledger.Intent, result confirmation, name string, before, after any) ledger.HistoryEntry {
	cause := intent.Cause
	if own, ok := intent.Causes[name]; ok {
		cause = own
	}
	return ledger.HistoryEntry{
		ID: p.engine.options.NewID(), At: p.engine.options.Now(), Stream: intent.Stream, LinkID: intent.LinkID,
		Ref: result.wrote.record.Ref, Field: name, Op: intent.Op, Old: before, New: after, Cause: cause,
		RunID: p.work.RunID, WorkflowID: p.workflowID, RequestID: result.wrote.record.RequestID, IntentID: intent.ID,
	}
}

// notSent ends a pass whose write on one side failed. A write that surely had no
// effect closes its intent; one that may have had leaves it open, and the next
// pass settles it before anything else. Writes that were confirmed before count.
func (p *pass) notSent(ctx context.Context, link ledger.Link, conflicts conflictRows, intents map[record.Side]ledger.Intent, confirmed map[record.Side]confirmation, failed record.Side, cause error) error {
	if isCrash(cause) {
		return cause
	}
	commit := ledger.Commit{PutConflicts: p.closeSettled(conflicts, intents, confirmed)}
	p.closeConfirmed(&commit, intents, confirmed)
	if len(confirmed) > 0 {
		// A field that was also meant for the failed side keeps its old base.
		both := map[string]bool{}
		for name := range intents[failed].Sent {
			both[name] = true
		}
		p.settleBase(&link, intents, confirmed, both)
		commit.PutLinks = []ledger.Link{link}
		commit.PutConflicts = append(commit.PutConflicts, p.followOwnWrites(intents, confirmed)...)
	}
	coded := fault.As(cause)
	maybe := coded == nil && !errors.Is(cause, errAgain) || coded != nil && coded.MaybeApplied
	for side, intent := range intents {
		if _, ok := confirmed[side]; ok || side == failed && maybe {
			continue
		}
		commit.CloseIntents = append(commit.CloseIntents, intent.ID)
	}
	if err := p.commit(ctx, commit); err != nil {
		return err
	}
	return cause
}

// closeSettled are the conflicts that close although a write failed: no write that is
// missing has to do with their fields.
func (p *pass) closeSettled(conflicts conflictRows, intents map[record.Side]ledger.Intent, confirmed map[record.Side]confirmation) []ledger.Conflict {
	var closing []ledger.Conflict
	for _, conflict := range conflicts.closing {
		missing := false
		for side, intent := range intents {
			_, sent := intent.Sent[conflict.Field]
			_, made := confirmed[side]
			missing = missing || sent && !made
		}
		if missing {
			continue
		}
		closing = append(closing, conflict)
		p.noteClosed(conflict.ID)
		p.state.Conflicts = slices.DeleteFunc(p.state.Conflicts, func(one ledger.Conflict) bool { return one.ID == conflict.ID })
	}
	return closing
}

// followOwnWrites keeps a decision alive that was carried out on one side only:
// the conflict remembers our own value as the one that was seen there.
func (p *pass) followOwnWrites(intents map[record.Side]ledger.Intent, confirmed map[record.Side]confirmation) []ledger.Conflict {
	var rows []ledger.Conflict
	for _, conflict := range p.state.Conflicts {
		moved := false
		for side, result := range confirmed {
			got, ok := result.holds[conflict.Field]
			if !ok || intents[side].Sent == nil {
				continue
			}
			moved = true
			if side == record.Left {
				conflict.Left = got
			} else {
				conflict.Right = got
			}
		}
		if moved && conflict.State == ledger.ConflictDecided {
			rows = append(rows, conflict)
		}
	}
	return rows
}

// errKilled is what a test's Probe returns to kill a pass at a step.
var errKilled = errors.New("killed")

// Killed is the error a Probe returns to abandon a pass as SIGKILL would:
// nothing further is written.
func Killed() error { return errKilled }

func isCrash(err error) bool { return errors.Is(err, errKilled) }

// sameChange puts the record of this pass into the inbox again.
func (p *pass) sameChange() ledger.Change {
	again := p.work.Change
	again.DueAt, again.Shown, again.Deleted = time.Time{}, nil, false
	return again
}
