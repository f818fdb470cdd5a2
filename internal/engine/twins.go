package engine

import (
	"context"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// A record that shares its key with another one is parked. It is looked at again when
// that other one's pair has ended, has got another key, or is itself parked no more.

// twinsOf finds records that may have been parked because they shared a key
// with this pair: they are looked at again now that it is gone.
func (p *pass) twinsOf(ctx context.Context, link ledger.Link) ([]ledger.Change, error) {
	var changes []ledger.Change
	for _, side := range record.Sides() {
		known, err := p.store().SeenMany(ctx, p.key(), p.work.Stream, side, []string{link.Ref(side).ID})
		if err != nil {
			return nil, err
		}
		sharers, err := p.sharers(ctx, known[link.Ref(side).ID].MatchHash, side)
		if err != nil {
			return nil, err
		}
		changes = append(changes, sharers...)
	}
	return changes, nil
}

// sharers are looks at the unlinked records of some sides that carry a key.
func (p *pass) sharers(ctx context.Context, key string, sides ...record.Side) ([]ledger.Change, error) {
	var changes []ledger.Change
	for _, side := range sides {
		candidates, err := p.store().MatchCandidates(ctx, p.key(), p.work.Stream, side, key)
		if err != nil {
			return nil, err
		}
		for _, candidate := range candidates {
			if candidate.LinkID == "" && candidate.Ref != p.work.Ref {
				changes = append(changes, ledger.Change{Stream: p.work.Stream, Ref: candidate.Ref, Lane: p.work.Lane})
			}
		}
	}
	return changes, nil
}

// noteKeyLeft remembers the key that a pair had until now, if it has another one.
func (p *pass) noteKeyLeft(now pair) {
	before, ok := p.stream.Mapping.KeyOf(record.Left, now.base.Left, now.refs)
	for _, side := range record.Sides() {
		if v := now.of(side); ok && v.read() && v.match != before {
			p.keyLeft = before
		}
	}
}

// freedTwins are the records that share the key which this pair had until now, or which
// a record had when it was parked for not being the only one.
func (p *pass) freedTwins(ctx context.Context, resolved []ledger.DeadLetter) ([]ledger.Change, error) {
	keys := map[string]bool{p.keyLeft: p.keyLeft != ""}
	for _, letter := range resolved {
		if letter.Reason.Code == codeAmbiguous || letter.Reason.Code == string(fault.Duplicate) {
			key, ok := p.stream.Mapping.KeyOf(letter.Ref.Side, letter.Values, p.refs.lookup)
			keys[key] = ok
		}
	}
	var changes []ledger.Change
	for key, freed := range keys {
		if !freed {
			continue
		}
		sharers, err := p.sharers(ctx, key, record.Left, record.Right)
		if err != nil {
			return nil, err
		}
		changes = append(changes, sharers...)
	}
	return changes, p.refs.err()
}
