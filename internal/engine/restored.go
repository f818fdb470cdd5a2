package engine

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// codeRestored is the reason of a record of which a ledger that was put back
// cannot tell what became of its counterpart.
const codeRestored = "ledger_restored"

// Witness tells the ledger what others remember of it, besides this process, and
// returns how far it has come. A ledger that was put back to an older state has
// stopped all its connections when this returns.
func (e *Engine) Witness(ctx context.Context, remembered ledger.Mark) (ledger.Mark, error) {
	return e.cache.witness(ctx, remembered)
}

func (i *installed) witness(ctx context.Context, remembered ledger.Mark) (ledger.Mark, error) {
	i.mu.Lock()
	own := i.mark
	i.mu.Unlock()
	mark, found, stopped, err := i.options.Store.Witness(ctx, own, remembered)
	if err != nil {
		return ledger.Mark{}, err
	}
	i.mu.Lock()
	if i.mark.Epoch != mark.Epoch || i.mark.Count < mark.Count {
		i.mark = mark
	}
	i.mu.Unlock()
	if found != nil && stopped > 0 {
		i.options.Log.WithFields(map[string]any{
			"from": found.From.UTC().Format(time.RFC3339), "to": found.To.UTC().Format(time.RFC3339), "connections": stopped,
		}).Error("the ledger was put back to an older state: what was done since is not known. All connections stop until an operator accepts it for each (accord restored CONNECTION)")
		if i.options.Observe != nil {
			i.options.Observe.LedgerRestored(stopped)
		}
	}
	return mark, nil
}

// standing is the connection's state now. A mark that lies behind what this
// process has seen is looked into before anything is done.
func (i *installed) standing(ctx context.Context, key ledger.Key) (ledger.Standing, error) {
	standing, err := i.options.Store.Standing(ctx, key)
	if err != nil {
		return ledger.Standing{}, err
	}
	i.mu.Lock()
	own := i.mark
	plausible := own.Epoch == "" || own.Epoch == standing.Mark.Epoch && own.Count <= standing.Mark.Count
	if plausible {
		i.mark = standing.Mark
	}
	i.mu.Unlock()
	if plausible {
		return standing, nil
	}
	if _, err := i.witness(ctx, ledger.Mark{}); err != nil {
		return ledger.Standing{}, err
	}
	return i.options.Store.Standing(ctx, key)
}

// doubt marks a link that a ledger which was put back may know wrongly, until
// both its sides have been read. It is stored before anything is read, so that
// the doubt outlives this pass.
func (p *pass) doubt(ctx context.Context, link *ledger.Link) error {
	restored := p.in.Restored
	if !restored.Comparing() || link.Base.Epoch == restored.Epoch || link.CreatedAt.After(restored.AcceptedAt) {
		return nil
	}
	link.Base = copyBase(link.Base)
	link.Base.Epoch, link.Base.Doubtful = restored.Epoch, true
	p.state.Link = link
	return p.commit(ctx, ledger.Commit{PutLinks: []ledger.Link{*link}})
}

// clearDoubt takes the base away from the fields of a doubtful pair that differ,
// if both records were touched since the ledger's state: nobody can tell any
// more which of the two was edited and which one Accord wrote, so they follow
// the first-link rules. A side that was not touched since is still what the
// ledger knows, and then the other one was edited.
func (p *pass) clearDoubt(ctx context.Context, link ledger.Link, left, right view) error {
	link.Base = copyBase(link.Base)
	link.Base.Doubtful = false
	if p.touchedSince(left) && p.touchedSince(right) {
		for _, field := range p.stream.Mapping.Fields() {
			name := field.Name()
			if !equalAcross(field, left.values[name], right.values[name], p.refs.lookup) {
				delete(link.Base.Left, name)
				delete(link.Base.Right, name)
			}
		}
	}
	if err := p.commit(ctx, ledger.Commit{PutLinks: []ledger.Link{link}}); err != nil {
		return err
	}
	return errAgain
}

// touchedSince reports whether a record may have been written since the state
// that the ledger was put back to. The server's clock may be off.
func (p *pass) touchedSince(v view) bool {
	at := v.record.UpdatedAt
	return at.IsZero() || !at.Before(p.in.Restored.From.Add(-clockDoubt))
}

// permitted reports whether a person asked for a replay of a record that was
// parked because the ledger was put back: then it is created.
func (p *pass) permitted() bool { return p.asked(codeRestored) }

// orphan refuses a record whose marker names one that is gone, if the ledger was
// put back since: its pair may have been deleted, and nothing deleted comes back.
func (p *pass) orphan(ctx context.Context, source view) error {
	if !p.unknown(source) || p.permitted() {
		return nil
	}
	origin, ok := p.markedOrigin(source)
	if !ok {
		return nil
	}
	_, err := p.fetch(ctx, origin)
	if !fault.Is(err, fault.Gone) {
		return err
	}
	return restoredRefusal(source, "its marker names a record that is not there any more, and the ledger that knew the pair was put back: origin deleted while the ledger was away. Delete it, or replay to create its counterpart anew")
}

// lostCounterpart looks on the other server for the counterpart of a record that
// was there before the ledger was accepted, and refuses to create one if the state
// that is lost may have made it already: then it was deleted, or cannot be found.
func (p *pass) lostCounterpart(ctx context.Context, source view) (*view, error) {
	if !p.unknown(source) {
		return nil, nil
	}
	side := source.record.Ref.Side.Other()
	capabilities, restored := p.in.Connector(side).Capabilities(), p.in.Restored
	visible := restored.FoundAt.Add(p.engine.callTime() + max(capabilities.LateBy, capabilities.SearchLag))
	if wait := visible.Sub(p.engine.options.Now()); wait > 0 {
		return nil, later(min(wait, settlePause), "what was made just before the ledger was put back may not be visible yet")
	}
	if path := p.stream.Spec.Marker.Of(side); path != "" {
		found, err := p.search(ctx, connector.SearchRequest{Object: p.stream.object(side), Path: path, Value: source.record.Ref.ID}, side)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			match, err := p.freeRecord(ctx, one.Ref, func(other view) bool { return carries(other.record, path, source.record.Ref.ID) })
			if match != nil || err != nil {
				return match, err
			}
		}
	}
	created := source.record.CreatedAt
	known := !p.lostCreate && !created.IsZero() && (created.Before(restored.From.Add(-clockOff)) || created.After(restored.To.Add(clockOff)))
	if known || p.permitted() {
		return nil, nil
	}
	return nil, restoredRefusal(source, "it was made while the ledger that is lost was in use, and has no counterpart now: it was deleted there, or never made. Delete it, or replay to create its counterpart")
}

// unknown reports whether the state that is lost may have known a counterpart of
// an unlinked record: it was there before an operator accepted that the ledger
// was put back, and no pair that was looked into since tells what became of it.
func (p *pass) unknown(v view) bool {
	accepted, stone := p.in.Restored.AcceptedAt, p.state.Tombstone
	if accepted.IsZero() || stone != nil && !stone.Base.Doubtful {
		return false
	}
	return !v.record.CreatedAt.After(accepted.Add(clockOff))
}

func restoredRefusal(source view, why string) error {
	refused := fault.New(fault.Duplicate, "%s", why).On(source.record.Ref)
	refused.VendorCode = codeRestored
	return refused
}

// markedOrigin is the record that the marker of another one names.
func (p *pass) markedOrigin(source view) (record.Ref, bool) {
	ref := source.record.Ref
	id, ok := markedID(source.record, p.stream.Spec.Marker.Of(ref.Side))
	return record.Ref{Side: ref.Side.Other(), Object: p.stream.object(ref.Side.Other()), ID: id}, ok
}
