package engine

import (
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// codeUndeleted is the reason of a record that was deleted with its counterpart and
// is there again.
const codeUndeleted = "undeleted"

// undeleted looks at a record of a deleted pair that an event or a listing shows.
// Nothing deleted comes back by itself, however late an event arrives; but a record
// that its system has brought back under its old id is named, until a person
// replays it (then it is new) or it is gone again.
func (p *pass) undeleted(ctx context.Context) error {
	if p.work.Shown == nil && len(p.state.DeadLetters) == 0 || p.stream.staysReadable(p.work.Ref.Side) {
		return p.finish(ctx, ledger.Commit{})
	}
	if p.asked(codeUndeleted) {
		return p.unlinked(ctx)
	}
	found, ok, err := p.get(ctx, p.work.Ref)
	if err != nil {
		return err
	}
	if !ok || found.record.Ref.ID != p.work.Ref.ID || !found.inScope {
		return p.finish(ctx, ledger.Commit{})
	}
	if p.stillParkedAlone(found) {
		return p.finishParked(ctx)
	}
	refused := fault.New(fault.Duplicate, "it was deleted, with its counterpart, and is there again: delete it, or replay to have its counterpart made anew").On(p.work.Ref)
	refused.VendorCode = codeUndeleted
	return refused
}

// staysReadable reports whether a record of a side is still there when it was
// deleted: people that are deactivated.
func (s Stream) staysReadable(side record.Side) bool {
	return slices.Contains(s.Spec.End(side).Allow, integration.AllowDeactivate)
}

// asked reports whether a person asked for a replay of this record after it was
// parked for the reason code.
func (p *pass) asked(code string) bool {
	for _, letter := range p.state.DeadLetters {
		if letter.State == ledger.DeadLetterReplayed && letter.Reason.Code == code && letter.Ref == p.work.Ref {
			return true
		}
	}
	return false
}
