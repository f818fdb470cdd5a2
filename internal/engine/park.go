package engine

import (
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// park puts a record that was refused into the dead letters, with the reason.
// Its source stays as it is, and nothing is tried until somebody edits either
// side or asks for a replay.
func (p *pass) park(ctx context.Context, refused *fault.Error) error {
	return p.parkAfter(ctx, ledger.Commit{}, refused)
}

func (p *pass) parkAfter(ctx context.Context, commit ledger.Commit, refused *fault.Error) error {
	// A link made in this pass brings the letters of its counterpart.
	state, err := p.store().Load(ctx, p.key(), p.work.Stream, p.work.Ref)
	if err != nil {
		return err
	}
	p.state.DeadLetters = state.DeadLetters
	letter := p.letterFor(refused)
	if err := p.printTarget(ctx, &letter); err != nil {
		return err
	}
	commit.PutDeadLetters = append(commit.PutDeadLetters, letter)
	field := letter.Reason.Field
	if refused.Code != fault.Invalid && refused.Code != fault.Duplicate {
		field = ""
	}
	reopened, waits := p.reopen(field)
	commit.PutConflicts = append(commit.PutConflicts, reopened...)
	if waits {
		// A decision on another field is carried out beside what is refused.
		again := p.sameChange()
		again.DueAt = p.engine.options.Now().Add(settlePause)
		commit.Enqueue = append(commit.Enqueue, again)
	}
	p.outcome = outcomeParked
	return p.finish(ctx, commit)
}

// reopen takes back the decisions that were refused with the field: they can be
// made anew. waits reports that another decision has still to be carried out.
func (p *pass) reopen(field string) (reopened []ledger.Conflict, waits bool) {
	now := p.engine.options.Now()
	for i, conflict := range p.state.Conflicts {
		if conflict.State != ledger.ConflictDecided {
			continue
		}
		if field != "" && conflict.Field != "" && conflict.Field != field {
			waits = true
			continue
		}
		conflict.State, conflict.Decision = ledger.ConflictOpen, nil
		if !conflict.Deadline.After(now) {
			// The fallback was refused: it is not tried again at every sweep.
			conflict.Deadline = now.Add(p.stream.Spec.Conflicts.Deadline)
		}
		p.state.Conflicts[i] = conflict
		p.closedIDs = slices.DeleteFunc(p.closedIDs, func(id string) bool { return id == conflict.ID })
		reopened = append(reopened, conflict)
	}
	return reopened, waits
}

func (p *pass) letterFor(refused *fault.Error) ledger.DeadLetter {
	now := p.engine.options.Now()
	source := p.work.Ref
	letter := ledger.DeadLetter{
		ID: p.engine.options.NewID(), Stream: p.work.Stream, Ref: source, FirstAt: now, State: ledger.DeadLetterOpen,
	}
	if p.state.Link != nil {
		letter.LinkID = p.state.Link.ID
		letter.Ref = p.blame(refused, *p.state.Link)
	}
	for _, known := range slices.Concat(p.state.Discarded, p.state.DeadLetters) {
		if known.Ref == letter.Ref || p.state.Link != nil && known.LinkID == p.state.Link.ID {
			letter.ID, letter.Ref, letter.FirstAt, letter.Tries, letter.Overrides = known.ID, known.Ref, known.FirstAt, known.Tries, known.Overrides
		}
	}
	letter.Tries++
	letter.LastAt, letter.State = now, ledger.DeadLetterOpen
	letter.Reason = p.reasonOf(refused)
	letter.SourcePrint, letter.TargetPrint = p.prints(letter.Ref)
	letter.Values = p.values[letter.Ref]
	return letter
}

// printTarget fills in the print of a counterpart that this pass had no need to read: the
// write was for the version that was seen last.
func (p *pass) printTarget(ctx context.Context, letter *ledger.DeadLetter) error {
	if letter.TargetPrint != "" || p.state.Link == nil {
		return nil
	}
	target := p.state.Link.Ref(letter.Ref.Side.Other())
	known, err := p.store().SeenMany(ctx, p.key(), p.work.Stream, target.Side, []string{target.ID})
	letter.TargetPrint = known[target.ID].Print
	return err
}

// blame names the side the refused value came from: the subject of a refused
// write is its target; what could not even be sent is the subject's own.
func (p *pass) blame(refused *fault.Error, link ledger.Link) record.Ref {
	for _, side := range record.Sides() {
		switch {
		case refused.Subject != link.Ref(side).String():
		case refused.Status != 0:
			return link.Ref(side.Other())
		default:
			return link.Ref(side)
		}
	}
	return p.work.Ref
}

func (p *pass) reasonOf(refused *fault.Error) ledger.Reason {
	code := string(refused.Code)
	switch refused.VendorCode {
	case codeAmbiguous, codeRestored, codeUndeleted:
		code = refused.VendorCode
	}
	message := refused.Message
	if refused.VendorMessage != "" {
		message += ": " + refused.VendorMessage
	}
	return ledger.Reason{
		Code: code, Field: p.stream.fieldAt(refused.Field), Message: message,
		Status: refused.Status, RequestID: refused.RequestID,
	}
}

// prints are the fingerprints of both sides as read in this pass.
func (p *pass) prints(source record.Ref) (own, other string) {
	for _, row := range p.seenAll {
		switch {
		case row.Ref == source:
			own = row.Print
		case p.state.Link != nil && row.Ref == p.state.Link.Ref(source.Side.Other()):
			other = row.Print
		}
	}
	return own, other
}

// finishParked leaves a parked record as it is.
func (p *pass) finishParked(ctx context.Context) error {
	p.outcome = outcomeParked
	return p.finish(ctx, ledger.Commit{})
}

// mergedAway handles a Get that answered another record: the vendor merged two.
// If the survivor is free the link follows it, else the pair is parked.
func (p *pass) mergedAway(ctx context.Context, link ledger.Link, left, right view) (bool, error) {
	closing := ledger.Commit{CloseIntents: p.openIntents()}
	for _, side := range record.Sides() {
		found := left
		if side == record.Right {
			found = right
		}
		if found.record.Ref.ID == link.Ref(side).ID || found.record.Ref.ID == "" {
			continue
		}
		survivor := found.record.Ref
		closing.PutMerges = []ledger.Merge{p.merged(link.Ref(side), survivor)}
		if err := p.extend(ctx, []string{ledger.RefKey(survivor)}); err != nil {
			return true, err
		}
		state, err := p.store().Load(ctx, p.key(), p.work.Stream, survivor)
		if err != nil {
			return true, err
		}
		if state.Link != nil {
			refused := fault.New(fault.Invalid, "the vendor merged %s into %s, which is linked to another record: take over there what is needed of %s, then delete that one", link.Ref(side), survivor, link.Ref(side.Other())).On(link.Ref(side))
			return true, p.parkAfter(ctx, closing, refused)
		}
		if side == record.Left {
			link.Left = survivor
		} else {
			link.Right = survivor
		}
		return true, p.follow(ctx, link, closing)
	}
	return false, nil
}

// merged is what the ledger remembers of two records that the vendor joined.
func (p *pass) merged(from, into record.Ref) ledger.Merge {
	return ledger.Merge{Stream: p.work.Stream, From: from, Into: into.ID}
}

// follow moves a link to the record that its own was merged into.
func (p *pass) follow(ctx context.Context, link ledger.Link, commit ledger.Commit) error {
	commit.PutLinks = append(commit.PutLinks, link)
	commit.Enqueue = append(commit.Enqueue, ledger.Change{Stream: p.work.Stream, Ref: link.Left, Lane: p.work.Lane, Trace: p.work.Trace})
	if err := p.commit(ctx, commit); err != nil {
		return err
	}
	p.state.Link = &link
	return p.finish(ctx, ledger.Commit{})
}

// openIntents are the writes whose outcome is unknown and does not matter any
// more: their target is another record now.
func (p *pass) openIntents() []string {
	var ids []string
	for _, intent := range p.state.Intents {
		ids = append(ids, intent.ID)
	}
	return ids
}

// lettersBatch bounds one read of the dead letters.
const lettersBatch = 200

// unseenLetters enqueues parked records without a counterpart that a full scan
// did not show: one that was deleted is not parked any more.
func (e *Engine) unseenLetters(ctx context.Context, in *Installed, stream Stream, side record.Side, runID string, lane ledger.Lane) (int, error) {
	count := 0
	options := ledger.ListOptions{Limit: lettersBatch}
	for {
		letters, next, err := e.options.Store.ListDeadLetters(ctx, in.Key, ledger.DeadLetterFilter{}, options)
		if err != nil {
			return count, err
		}
		changes, err := e.unseenOf(ctx, in, stream, side, runID, letters)
		if err != nil {
			return count, err
		}
		for i := range changes {
			changes[i].Lane, changes[i].RunID = lane, runID
		}
		if len(changes) > 0 {
			if _, err := e.options.Store.Enqueue(ctx, in.Key, changes, noNudge); err != nil {
				return count, err
			}
		}
		count += len(changes)
		if next == "" {
			return count, nil
		}
		options.Cursor = next
	}
}

// unseenOf are the letters of a stream's side that the scan of a run did not see.
func (e *Engine) unseenOf(ctx context.Context, in *Installed, stream Stream, side record.Side, runID string, letters []ledger.DeadLetter) ([]ledger.Change, error) {
	var ids []string
	for _, letter := range letters {
		if letter.Stream == stream.Spec.Name && letter.Ref.Side == side && !nameless(letter.Ref.ID) {
			ids = append(ids, letter.Ref.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	seen, err := e.options.Store.SeenMany(ctx, in.Key, stream.Spec.Name, side, ids)
	if err != nil {
		return nil, err
	}
	var changes []ledger.Change
	for _, id := range ids {
		if row, ok := seen[id]; !ok || row.ScanID != runID {
			changes = append(changes, ledger.Change{Stream: stream.Spec.Name, Ref: record.Ref{Side: side, Object: stream.object(side), ID: id}})
		}
	}
	return changes, nil
}
