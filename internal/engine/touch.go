package engine

import (
	"context"
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// A source of touch-points is a one-sided stream. For each of its records the
// ledger has one row, which is put or dropped after the record was read: counts are
// counts of rows, so that nothing is added twice, whatever is told again.

// touches reports whether the records of the stream are touch-points.
func (s Stream) touches() bool { return s.Spec.Mode == integration.ModeTouchPoints }

// touch brings the row of one touch-point up to date.
func (p *pass) touch(ctx context.Context) error {
	rows, err := p.store().TouchPointsOf(ctx, p.key(), p.work.Stream, p.work.Ref.Side, []string{p.work.Ref.ID})
	if err != nil {
		return err
	}
	var known *ledger.TouchPoint
	if row, ok := rows[p.work.Ref.ID]; ok {
		known = &row
	}
	found, ok, err := p.touched(ctx, known)
	if err != nil {
		return err
	}
	if !ok {
		return p.touchGone(ctx, known)
	}
	if found.record.Ref.ID != p.work.Ref.ID {
		change := p.sameChange()
		change.Ref = found.record.Ref
		return p.endTouch(ctx, known, nil, ledger.Commit{Enqueue: []ledger.Change{change}})
	}
	if !found.inScope {
		return p.endTouch(ctx, known, nil, ledger.Commit{})
	}
	if p.stillParkedAlone(found) {
		return p.finishParked(ctx)
	}
	point, err := touchPoint(p.in, p.stream, found)
	if err != nil {
		return p.uncountable(ctx, known, err)
	}
	return p.endTouch(ctx, known, &point, ledger.Commit{})
}

// touched reads the record, or takes it from the listing of a first load if nobody
// has looked at it since.
func (p *pass) touched(ctx context.Context, known *ledger.TouchPoint) (view, bool, error) {
	shown := p.work.Shown
	if known != nil || shown == nil || shown.Fields == nil || p.work.Lane != ledger.LaneBackfill || p.work.Claims > 1 || len(p.state.DeadLetters) > 0 {
		return p.get(ctx, p.work.Ref)
	}
	absent, err := p.store().SeenMany(ctx, p.key(), absentStream(p.work.Stream), p.work.Ref.Side, []string{p.work.Ref.ID})
	if err != nil {
		return view{}, false, err
	}
	if len(absent) > 0 {
		return p.get(ctx, p.work.Ref)
	}
	found, err := p.look(p.work.Ref.Side, *shown)
	return found, err == nil, err
}

// absentStream is where the ledger remembers records that were looked at and do not
// count: a listing from before that look must not bring them back.
func absentStream(stream string) string { return stream + "#absent" }

// touchPoint is the row of a record. The error is a fault.Invalid that names the field.
func touchPoint(in *Installed, stream Stream, found view) (ledger.TouchPoint, error) {
	points := in.Integration.TouchPoints
	source := points.Source(stream.Spec.Name)
	day, ok := dayOf(found.values[integration.TouchAt], points.Location())
	if !ok {
		refused := fault.New(fault.Invalid, "the record has no time by which it could be counted: %s must hold one", source.At).On(found.record.Ref)
		refused.Field = integration.TouchAt
		return ledger.TouchPoint{}, refused
	}
	return ledger.TouchPoint{
		Stream: stream.Spec.Name, Ref: found.record.Ref, Kind: source.Kind, Day: day,
		User: idOf(found.values[integration.TouchUser]), UserStream: source.User.Stream,
		Customer: idOf(found.values[integration.TouchCustomer]), CustomerStream: source.Customer.Stream,
	}, nil
}

// idOf is a reference as the ledger has ids; empty for none.
func idOf(value any) string {
	id, _ := record.Canon(record.Kind{Name: record.KindRef}, value).(string)
	if len(id) > maxID {
		return ""
	}
	return id
}

// dayOf is the date of a time in a zone. A date without a time is that date everywhere.
func dayOf(value any, zone *time.Location) (string, bool) {
	if text, ok := value.(string); ok {
		if _, err := time.Parse(time.DateOnly, text); err == nil {
			return text, true
		}
	}
	at, ok := transport.ParseTime(value)
	if !ok || at.Year() < 1 || at.Year() > 9998 {
		return "", false
	}
	return at.In(zone).Format(time.DateOnly), true
}

// endTouch ends a pass: now is the row as it is to be, nil for none.
func (p *pass) endTouch(ctx context.Context, known, now *ledger.TouchPoint, commit ledger.Commit) error {
	switch {
	case known == nil && now == nil:
	case known == nil:
		p.outcome = outcomeCreated
	case now == nil:
		p.outcome = outcomeDeleted
	case *known != *now:
		p.outcome = outcomeUpdated
	}
	p.putTouch(&commit, known, now)
	return p.finish(ctx, commit)
}

// putTouch adds to a commit what becomes of the row, and wakes the fields that hold
// the counts that change by it.
func (p *pass) putTouch(commit *ledger.Commit, known, now *ledger.TouchPoint) {
	ref, stream := p.work.Ref, p.work.Stream
	commit.DropStream = stream
	if now == nil {
		commit.DropTouchPoints = append(commit.DropTouchPoints, ref)
		commit.PutSeen = append(commit.PutSeen, ledger.Seen{Stream: absentStream(stream), Ref: ref})
	} else if known == nil || *known != *now {
		commit.PutTouchPoints = append(commit.PutTouchPoints, *now)
	}
	if known == nil && now == nil {
		return
	}
	commit.Enqueue = append(commit.Enqueue, p.owed(known, now)...)
}

// owed are the looks at the fields in which the counts of customers change.
func (p *pass) owed(known, now *ledger.TouchPoint) []ledger.Change {
	counted := func(point *ledger.TouchPoint) (customer, kind string) {
		if point == nil {
			return "", ""
		}
		return point.Customer, point.Kind
	}
	customerBefore, kindBefore := counted(known)
	customerNow, kindNow := counted(now)
	if customerBefore == customerNow && kindBefore == kindNow {
		return nil
	}
	var changes []ledger.Change
	points := p.in.Integration.TouchPoints
	source := points.Source(p.work.Stream)
	for n := range points.WriteBacks {
		back := &points.WriteBacks[n]
		if back.Side != source.Side.Other() || back.Stream != source.Customer.Stream {
			continue
		}
		ids := slices.Compact([]string{customerBefore, customerNow})
		for _, id := range ids {
			if id != "" {
				changes = append(changes, p.in.lookBack(back, id, p.work, p.engine.options.Now()))
			}
		}
	}
	return changes
}

// uncountable parks a record that cannot be counted; what it counted as before is
// not true any more.
func (p *pass) uncountable(ctx context.Context, known *ledger.TouchPoint, refused error) error {
	if known == nil {
		return refused
	}
	var commit ledger.Commit
	p.putTouch(&commit, known, nil)
	if err := p.commit(ctx, commit); err != nil {
		return err
	}
	return refused
}

// touchGone handles "no such record". A row is dropped after two such answers,
// verify_after apart, while others of its kind still answer.
func (p *pass) touchGone(ctx context.Context, known *ledger.TouchPoint) error {
	if known == nil {
		commit := p.forgotten()
		p.putTouch(&commit, nil, nil)
		return p.finish(ctx, commit)
	}
	now := p.engine.options.Now()
	wait := p.stream.Spec.Deletes.VerifyAfter
	if known.GoneAt.IsZero() {
		first := *known
		first.GoneAt = now
		if err := p.commit(ctx, ledger.Commit{PutTouchPoints: []ledger.TouchPoint{first}}); err != nil {
			return err
		}
		return later(wait, "a delete is verified by a second look")
	}
	if left := known.GoneAt.Add(wait).Sub(now); left > 0 {
		return later(left, "a delete is verified by a second look")
	}
	ids, err := p.store().SomeTouchPoints(ctx, p.key(), p.work.Stream, p.work.Ref.Side, p.work.Ref.ID, controls)
	if err != nil {
		return err
	}
	if answers, err := p.controlled(ctx, p.work.Ref, ids); err != nil || !answers {
		return err
	}
	return p.endTouch(ctx, known, nil, p.forgotten())
}

// touchNews reports whether a listed row of a source asks for a look: whether what
// it would be counted as differs from what it is counted as.
func touchNews(in *Installed, stream Stream, v view, rows map[string]ledger.TouchPoint, state ledger.State) bool {
	known, has := rows[v.record.Ref.ID]
	if openLetter(state) && !parkedAs(state, v) {
		return true
	}
	if !v.inScope {
		return has
	}
	point, err := touchPoint(in, stream, v)
	if err != nil {
		return !parkedAs(state, v)
	}
	return !has || point != known
}
