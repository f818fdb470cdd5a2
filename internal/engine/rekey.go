package engine

import (
	"context"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// keyedBatch is how many natural keys are made anew in one step.
const keyedBatch = 200

// matchesByReference reports whether the natural key of a stream holds a reference:
// it can be told only when that is translated.
func (s Stream) matchesByReference() bool {
	for _, name := range s.Spec.Match {
		if field := s.Mapping.Field(name); field != nil && field.Kind().Name == record.KindRef {
			return true
		}
	}
	return false
}

// keyed makes the natural keys of a stream anew, from what its listing showed, once
// those that its references point to are linked. Only then may polls begin.
func (l *lister) keyed(ctx context.Context, stream Stream) (bool, error) {
	store := l.engine.options.Store
	cursor, err := store.Cursor(ctx, l.in.Key, stream.Spec.Name, record.Right, l.request.RunID)
	if err != nil {
		return false, err
	}
	for !cursor.KeyedAll {
		if l.over(ctx) {
			return false, nil
		}
		rows, err := store.OfRun(ctx, l.in.Key, l.request.RunID, stream.Spec.Name, cursor.Keyed, keyedBatch)
		if err != nil {
			return false, err
		}
		seen, err := l.keysOf(ctx, stream, rows)
		if err != nil {
			return false, err
		}
		if cursor.KeyedAll = len(rows) < keyedBatch; len(rows) > 0 {
			cursor.Keyed = rows[len(rows)-1].Ref
		}
		if _, err := store.CommitPage(ctx, l.in.Key, ledger.PageCommit{
			Stream: stream.Spec.Name, Side: record.Right, Scope: l.request.RunID, Cursor: cursor, Seen: seen, NudgeFor: noNudge,
		}); err != nil {
			return false, err
		}
	}
	return true, l.raise(ctx, stream)
}

// raise lets polls begin where the listings of a stream have read. It waits for both
// sides: what a poll finds on one of them is looked for in what is known of the other.
func (l *lister) raise(ctx context.Context, stream Stream) error {
	for _, side := range stream.sides() {
		listed, err := l.engine.options.Store.Cursor(ctx, l.in.Key, stream.Spec.Name, side, l.request.RunID)
		if err != nil {
			return err
		}
		if err := l.engine.raiseHighWater(ctx, l.in, stream, side, listed.PendingHighWater); err != nil {
			return err
		}
	}
	return nil
}

// keysOf looks again at those rows that have no link yet.
func (l *lister) keysOf(ctx context.Context, stream Stream, rows []ledger.Change) ([]ledger.Seen, error) {
	refs := newResolver(ctx, l.engine.options.Store, l.in.Key)
	var seen []ledger.Seen
	for _, side := range record.Sides() {
		var ids []string
		for _, row := range rows {
			if row.Ref.Side == side {
				ids = append(ids, row.Ref.ID)
			}
		}
		states, err := l.engine.options.Store.LoadMany(ctx, l.in.Key, stream.Spec.Name, side, ids)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if row.Ref.Side != side || states[row.Ref.ID].Link != nil {
				continue
			}
			found, ok, err := l.shown(ctx, row)
			if err != nil {
				return nil, err
			}
			if !ok {
				seen = append(seen, unreadRow(stream, row.Ref))
				continue
			}
			if v, err := stream.look(side, found, refs.lookup); err == nil {
				again := stream.seenRow(v)
				again.ScanID = l.request.RunID
				seen = append(seen, again)
			}
		}
	}
	return seen, refs.err()
}

// unreadStream is where listings remember records whose key nobody could read.
func unreadStream(stream string) string { return stream + "#unread" }

// unreadKey stands for any key that such a record may have.
const unreadKey = "any"

// unreadRow remembers that the key of a record is not known.
func unreadRow(stream Stream, ref record.Ref) ledger.Seen {
	return ledger.Seen{Stream: unreadStream(stream.Spec.Name), Ref: ref, MatchHash: unreadKey, InScope: true}
}

// keysUnread reports whether a side has, or had, records whose keys the listing could
// not tell: what it showed is then not enough to know that there is no counterpart.
func (p *pass) keysUnread(ctx context.Context, side record.Side) (bool, error) {
	if !p.stream.matchesByReference() {
		return false, nil
	}
	unread, err := p.store().MatchCandidates(ctx, p.key(), unreadStream(p.work.Stream), side, unreadKey)
	return len(unread) > 0, err
}

// shown is the record of a row as the listing showed it, or as it is now where that is
// not known any more; not ok if it is gone, or if its server answers for others but
// not for this one: reconcile parks it, or tries again.
func (l *lister) shown(ctx context.Context, row ledger.Change) (found record.Record, ok bool, err error) {
	if row.Shown != nil && len(row.Shown.Fields) > 0 {
		return *row.Shown, true, nil
	}
	callCtx, cancel := context.WithTimeout(connector.WithLane(ctx, laneName(l.lane())), maxCall)
	defer cancel()
	found, err = l.in.Connector(row.Ref.Side).Get(callCtx, row.Ref.Object, row.Ref.ID)
	if fault.Is(err, fault.Gone, fault.Invalid) || fault.Is(err, fault.Forbidden, fault.Transient) && l.answers(ctx, row.Ref) {
		return found, false, nil
	}
	l.engine.sides.observe(ctx, l.in.Key, row.Ref.Side, err)
	return found, err == nil, err
}

// answers reports whether the side of a record that it does not show answers when it is
// asked for others.
func (l *lister) answers(ctx context.Context, ref record.Ref) bool {
	callCtx, cancel := context.WithTimeout(connector.WithLane(ctx, laneName(l.lane())), maxCall)
	defer cancel()
	_, err := l.in.Connector(ref.Side).List(callCtx, connector.ListRequest{Object: ref.Object, Limit: 1})
	return err == nil
}
