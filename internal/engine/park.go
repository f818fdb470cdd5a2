package engine

import (
	"context"

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
	letter := p.letterFor(refused)
	commit.PutDeadLetters = append(commit.PutDeadLetters, letter)
	p.outcome = outcomeParked
	return p.finish(ctx, commit)
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
	for _, known := range p.state.DeadLetters {
		if known.Ref == letter.Ref || p.state.Link != nil && known.LinkID == p.state.Link.ID {
			letter.ID, letter.Ref, letter.FirstAt, letter.Tries, letter.Overrides = known.ID, known.Ref, known.FirstAt, known.Tries, known.Overrides
		}
	}
	letter.Tries++
	letter.LastAt, letter.State = now, ledger.DeadLetterOpen
	letter.Reason = p.reasonOf(refused)
	letter.SourcePrint, letter.TargetPrint = p.prints(letter.Ref)
	return letter
}

// blame names the side the refused value came from: the subject of a refused
// write is its target.
func (p *pass) blame(refused *fault.Error, link ledger.Link) record.Ref {
	for _, side := range record.Sides() {
		if refused.Subject == link.Ref(side).String() && refused.Status != 0 {
			return link.Ref(side.Other())
		}
	}
	return p.work.Ref
}

func (p *pass) reasonOf(refused *fault.Error) ledger.Reason {
	code := string(refused.Code)
	if refused.VendorCode == codeAmbiguous {
		code = codeAmbiguous
	}
	message := refused.Message
	if refused.VendorMessage != "" {
		message += ": " + refused.VendorMessage
	}
	return ledger.Reason{
		Code: code, Field: p.fieldOf(refused.Field), Message: message,
		Status: refused.Status, RequestID: refused.RequestID,
	}
}

// fieldOf turns the vendor's path into the name under `fields:` if it is mapped.
func (p *pass) fieldOf(path string) string {
	for _, field := range p.stream.Mapping.Fields() {
		if field.Name() == path {
			return path
		}
	}
	for _, field := range p.stream.Mapping.Fields() {
		for _, side := range record.Sides() {
			for _, own := range field.Paths(side) {
				if own == path {
					return field.Name()
				}
			}
		}
	}
	return path
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
	for _, side := range record.Sides() {
		found := left
		if side == record.Right {
			found = right
		}
		if found.record.Ref.ID == link.Ref(side).ID || found.record.Ref.ID == "" {
			continue
		}
		survivor := found.record.Ref
		if err := p.extend(ctx, []string{ledger.RefKey(survivor)}); err != nil {
			return true, err
		}
		state, err := p.store().Load(ctx, p.key(), p.work.Stream, survivor)
		if err != nil {
			return true, err
		}
		if state.Link != nil {
			refused := fault.New(fault.Invalid, "the vendor merged %s into %s, which is linked to another record: decide which of the two counterparts stays, then delete the other", link.Ref(side), survivor)
			return true, p.park(ctx, refused)
		}
		if side == record.Left {
			link.Left = survivor
		} else {
			link.Right = survivor
		}
		return true, p.follow(ctx, link)
	}
	return false, nil
}

func (p *pass) follow(ctx context.Context, link ledger.Link) error {
	if err := p.commit(ctx, ledger.Commit{PutLinks: []ledger.Link{link}, Enqueue: []ledger.Change{{
		Stream: p.work.Stream, Ref: link.Left, Lane: p.work.Lane, Trace: p.work.Trace,
	}}}); err != nil {
		return err
	}
	return p.finish(ctx, ledger.Commit{})
}
