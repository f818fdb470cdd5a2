package engine

import (
	"context"
	"time"

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
		if ok && (p.bears(source, existing) || byKey && existing.match == source.match) {
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

// refusedAgain handles a 409 on a create that was sent once more since nobody knows
// what became of it: most likely the record is there because it was made then.
func (p *pass) refusedAgain(ctx context.Context, intent ledger.Intent, refused *fault.Error) error {
	target := intent.Target
	path, capabilities := p.stream.Spec.Marker.Of(target.Side), p.in.Connector(target.Side).Capabilities()
	if refused.ExistingID == "" {
		visible := intent.SentAt.Add(p.engine.callTime() + max(capabilities.LateBy, capabilities.SearchLag))
		if wait := visible.Sub(p.engine.options.Now()); path != "" && wait > 0 {
			return later(min(wait, settlePause*time.Duration(max(p.work.Claims, 1))), "the record that the server has already may be the one made just before a crash")
		}
		return p.duplicate(ctx, intent, refused)
	}
	found, err := p.fetch(ctx, record.Ref{Side: target.Side, Object: target.Object, ID: refused.ExistingID})
	if err != nil && !fault.Is(err, fault.Gone) {
		return err
	}
	if err == nil && path != "" {
		own, err := p.ownFruits(ctx, []record.Record{found}, path, intent.Source)
		if err != nil {
			return err
		}
		if len(own) > 0 {
			return p.linkCreated(ctx, intent, own[0], nil)
		}
	}
	return p.duplicate(ctx, intent, refused)
}

// duplicateTries is how often a 409 without a visible cause is tried.
const duplicateTries = 4

func orAgain(err error) error {
	if err != nil {
		return err
	}
	return errAgain
}

// collisionLooks is how often an update waits for a value that is about to be free.
const collisionLooks = 4

// freedSoon looks at who holds the key that an update was refused for (409). Where that
// record's counterpart is gone, or has another key by now, the holder will be deleted or
// changed soon: it goes first, and the row comes back, a few times. Anything else is
// refused for good.
func (p *pass) freedSoon(ctx context.Context, now pair, refusing record.Side, cause error) error {
	coded := fault.As(cause)
	source := now.of(refusing.Other())
	if coded == nil || coded.Code != fault.Duplicate || coded.Status == 0 || source.match == "" || p.work.Claims > collisionLooks {
		return cause
	}
	holders, err := p.holders(ctx, source, refusing, coded.ExistingID)
	if err != nil {
		return err
	}
	var first []ledger.Change
	for _, holder := range holders {
		state, err := p.store().Load(ctx, p.key(), p.work.Stream, holder.record.Ref)
		if err != nil {
			return err
		}
		if holder.record.Ref == now.of(refusing).record.Ref || state.Link == nil || state.Link.State != ledger.LinkActive {
			continue
		}
		ref := state.Link.Ref(source.record.Ref.Side)
		found, ok, err := p.get(ctx, ref)
		if err != nil {
			return err
		}
		if ok && found.match == source.match || waitsForPerson(state, ok) {
			return cause
		}
		first = append(first, ledger.Change{Stream: p.work.Stream, Ref: ref, Lane: p.work.Lane, EventID: p.work.EventID, Trace: p.work.Trace, Patient: true})
	}
	if len(first) == 0 {
		return cause
	}
	if err := p.commit(ctx, ledger.Commit{Enqueue: first}); err != nil {
		return err
	}
	return later(max(p.stream.Spec.Deletes.VerifyAfter, busyPause)+busyPause, "the record that holds its key is being looked at first")
}

// holders are the records of a side that carry the source's key: the one that the
// server has named, or those that its search finds.
func (p *pass) holders(ctx context.Context, source view, side record.Side, named string) ([]view, error) {
	if named == "" {
		return p.candidates(ctx, side, source, searchedSurely)
	}
	found, ok, err := p.get(ctx, record.Ref{Side: side, Object: p.stream.object(side), ID: named})
	if err != nil || !ok || found.match != source.match {
		return nil, err
	}
	return []view{found}, nil
}
