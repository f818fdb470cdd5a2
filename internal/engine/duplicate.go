package engine

import (
	"context"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// duplicate handles a 409 on create: the server says that the record is there.
func (p *pass) duplicate(ctx context.Context, intent ledger.Intent, refused *fault.Error) error {
	if err := p.commit(ctx, ledger.Commit{CloseIntents: []string{intent.ID}}); err != nil {
		return err
	}
	source, ok, err := p.get(ctx, intent.Source)
	if err != nil || !ok {
		return orAgain(err)
	}
	var found []view
	// What is only the same by its key is not taken where a second one is wanted.
	byKey := source.match != "" && p.stream.Spec.Collision != "create"
	if refused.ExistingID != "" {
		existing, ok, err := p.get(ctx, record.Ref{Side: intent.Target.Side, Object: intent.Target.Object, ID: refused.ExistingID})
		if err != nil {
			return err
		}
		path := p.stream.Spec.Marker.Of(intent.Target.Side)
		mine := ok && path != "" && carries(existing.record, path, intent.Source.ID)
		if ok && (mine || byKey && existing.match == source.match) {
			found = append(found, existing)
		}
	} else if byKey {
		if found, err = p.candidates(ctx, intent.Target.Side, source, searchedSurely); err != nil {
			return err
		}
	}
	other, err := p.choose(ctx, source, found)
	if err != nil {
		return err
	}
	if other != nil {
		return p.firstLink(ctx, source, *other)
	}
	lag := p.in.Connector(intent.Target.Side).Capabilities().SearchLag
	if wait := p.work.FirstAt.Add(lag).Sub(p.engine.options.Now()); wait > 0 {
		return later(min(wait, settlePause), "the server refuses a duplicate that its search may not show yet")
	}
	if p.work.Tries < duplicateTries {
		// The record the server speaks of may not be searchable yet, or may be
		// going away; the row comes back a few times before it is parked.
		return fault.New(fault.Transient, "the server refuses a duplicate that cannot be found yet").On(intent.Source)
	}
	return refused
}

// duplicateTries is how often a 409 without a visible cause is tried.
const duplicateTries = 4

func orAgain(err error) error {
	if err != nil {
		return err
	}
	return errAgain
}
