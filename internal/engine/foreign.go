package engine

import (
	"context"
	"strings"

	"github.com/accord-sync/accord/internal/record"
)

// foreign reports whether a marker is another connection's: bearer carries the id
// of named, but another connection of the tenant, with another system on that
// side, linked or is creating it. Ids of two systems may be the same, and then
// the marker names a record of that system and none of ours.
func (p *pass) foreign(ctx context.Context, bearer, named record.Ref) (bool, error) {
	keys, err := p.store().LinkedElsewhere(ctx, p.key(), bearer, named)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		other, err := p.engine.Installed(ctx, key)
		if err != nil || !sameCollections(p.in, other, bearer, named) {
			// One that cannot be opened is not guessed at.
			return true, nil //nolint:nilerr // see above
		}
	}
	return false, nil
}

// sameCollections reports whether another connection joins the same two
// collections of the same two systems.
func sameCollections(ours, other *Installed, a, b record.Ref) bool {
	for _, side := range record.Sides() {
		if baseOf(ours, side) != baseOf(other, side) {
			return false
		}
	}
	for _, stream := range other.Streams {
		if stream.object(a.Side) == a.Object && stream.object(b.Side) == b.Object {
			return true
		}
	}
	return false
}

func baseOf(in *Installed, side record.Side) string {
	return strings.TrimRight(in.Integration.System(side).BaseURL, "/")
}

// notForeign drops the record whose marker is another connection's.
func (p *pass) notForeign(ctx context.Context, found *view, bearer, named record.Ref, err error) (*view, error) {
	if found == nil || err != nil {
		return found, err
	}
	foreign, err := p.foreign(ctx, bearer, named)
	if err != nil || foreign {
		return nil, err
	}
	return found, nil
}
