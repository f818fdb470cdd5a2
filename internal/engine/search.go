package engine

import (
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// searching says whether candidates are looked for by the server's search too.
type searching int

const (
	listedOnly searching = iota
	// searched leaves out what is not needed: during a first load, and where the
	// server keeps the key unique.
	searched
	// searchedSurely is for after that server has said so.
	searchedSurely
)

// candidates reads the records of a side that carry the source's key: those the
// listings saw, and those the server's own search finds.
func (p *pass) candidates(ctx context.Context, side record.Side, source view, how searching) ([]view, error) {
	known, err := p.store().MatchCandidates(ctx, p.key(), p.work.Stream, side, source.match)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, candidate := range known {
		ids = append(ids, candidate.Ref.ID)
	}
	if how == searched {
		unread, err := p.keysUnread(ctx, side)
		if err != nil {
			return nil, err
		}
		if unread {
			how = searchedSurely
		}
	}
	if how != listedOnly {
		found, err := p.searchKey(ctx, side, source, how == searchedSurely)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	slices.Sort(ids)
	var views []view
	for _, id := range slices.Compact(ids) {
		if side == source.record.Ref.Side && id == source.record.Ref.ID {
			continue
		}
		found, ok, err := p.get(ctx, record.Ref{Side: side, Object: p.stream.object(side), ID: id})
		if err != nil {
			return nil, err
		}
		// A record that `where` leaves out counts on the other side, so that no second one
		// is made beside it.
		counts := found.inScope || side != source.record.Ref.Side
		if ok && found.match == source.match && counts && found.record.Ref.ID == id {
			views = append(views, found)
		}
	}
	return views, nil
}

// searchKey asks the server for the first part of the key. During a first load
// both listings are complete before the first create, so that only a record
// that is quite new can have a counterpart which they did not show.
func (p *pass) searchKey(ctx context.Context, side record.Side, source view, surely bool) ([]string, error) {
	if !surely && p.work.Lane == ledger.LaneBackfill && source.record.CreatedAt.Before(p.work.FirstAt.Add(-clockDoubt)) {
		return nil, nil
	}
	for _, field := range p.stream.Mapping.Match() {
		path, ok := field.Path(side)
		unique := !surely && slices.Contains(p.in.Connector(side).Capabilities().Unique, path)
		if !ok || unique && field.Kind().Name != record.KindEmail {
			// A server that keeps the key unique says so itself, with a 409. Of an address
			// no page says that it does so in whatever way it is spelled.
			continue
		}
		value, from := source.values[field.Name()], source.record.Ref.Side
		var err error
		if side != from {
			value, err = translated(field, from, value, record.Fields{}, p.refs.lookup)
		}
		if err != nil || record.IsBlank(value) {
			continue
		}
		request := connector.SearchRequest{Object: p.stream.object(side), Path: path, Value: value, KeptUnique: unique}
		if !surely {
			// What is older stands in the listings that were read already.
			if request.Since, err = p.engine.listedUntil(ctx, p.in, p.stream, side); err != nil {
				return nil, err
			}
		}
		found, err := p.search(ctx, request, side)
		if err != nil {
			return nil, err
		}
		ids := make([]string, 0, len(found))
		for _, one := range found {
			ids = append(ids, one.Ref.ID)
		}
		return ids, nil
	}
	return nil, nil
}
