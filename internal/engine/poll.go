package engine

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// PollResult says what one poll found.
type PollResult struct {
	Read, Enqueued int
	// NeedNudge: changes were stored and nobody was told yet.
	NeedNudge bool
}

// maxPollPages bounds one poll; the cursor lets the next one go on.
const maxPollPages = 50

// Poll asks both sides of a stream for what changed since the last poll,
// outside of any run, and schedules the next one. A side that fails keeps its
// cursor and does not hold up the other; the error is the ledger's alone.
func (e *Engine) Poll(ctx context.Context, key ledger.Key, name string) (PollResult, error) {
	var result PollResult
	in, state, err := e.cache.get(ctx, key)
	if err != nil {
		return result, err
	}
	stream, ok := in.Stream(name)
	if !ok || state != ledger.Active {
		return result, nil
	}
	for _, side := range stream.sides() {
		found, err := e.pollSide(ctx, in, stream, side)
		result.Read += found.Read
		result.Enqueued += found.Enqueued
		result.NeedNudge = result.NeedNudge || found.NeedNudge
		if err == nil {
			continue
		}
		coded := fault.As(err)
		if coded == nil || coded.Code == fault.Unavailable || ctx.Err() != nil {
			return result, err
		}
		e.options.Log.WithFields(map[string]any{"connection": key.String(), "stream": name, "side": side, "code": coded.Code}).
			Warn("a poll failed; its cursor stays where it was")
	}
	return result, e.polled(ctx, key, stream, result.Enqueued > 0)
}

func (e *Engine) pollSide(ctx context.Context, in *Installed, stream Stream, side record.Side) (PollResult, error) {
	var result PollResult
	cursor, err := e.options.Store.Cursor(ctx, in.Key, stream.Spec.Name, side, pollScope)
	if err != nil {
		return result, err
	}
	if cursor.HighWater.IsZero() && cursor.Page == "" {
		// Before the first load has listed this side there is no past to poll
		// from: it finds everything, with its dependencies in order.
		return result, nil
	}
	anew := false
	for pages := 0; pages < maxPollPages; pages++ {
		if cursor.Page == "" {
			if cursor.Since, err = e.pollSince(ctx, in, stream, side); err != nil {
				return result, err
			}
		}
		page, err := e.listPage(ctx, in, stream, side, ledger.LanePoll, cursor)
		if !anew && deadPage(err, cursor) {
			anew, cursor.Page = true, ""
			continue
		}
		if err != nil {
			return result, err
		}
		rows, err := e.sift(ctx, in, stream, side, page, ledger.LanePoll, "")
		if err != nil {
			return result, err
		}
		e.begin(&cursor, page)
		if _, err := e.parkRows(ctx, in, stream, side, page, listingOf(cursor, ""), ""); err != nil {
			return result, err
		}
		cursor.Page = page.Next
		if cursor.Page == "" && !cursor.PendingHighWater.IsZero() {
			cursor.HighWater = cursor.PendingHighWater
		}
		nudge, err := e.options.Store.CommitPage(ctx, in.Key, ledger.PageCommit{
			Stream: stream.Spec.Name, Side: side, Scope: pollScope, Cursor: cursor, Seen: rows.seen, Changes: rows.changes, Matches: rows.matches, NudgeFor: nudgeLife,
		})
		if err != nil {
			return result, err
		}
		result.Read += len(page.Records) + len(page.Unread) + len(page.Bad)
		result.Enqueued += len(rows.changes)
		result.NeedNudge = result.NeedNudge || nudge
		if cursor.Page == "" {
			break
		}
	}
	deleted, err := e.pollDeleted(ctx, in, stream, side, cursor.Since, "")
	result.Enqueued += deleted.Enqueued
	result.NeedNudge = result.NeedNudge || deleted.NeedNudge
	return result, err
}

// pollDeleted reads the vendor's list of deleted ids, where there is one, outside of any
// run or for one. Ids are hints: reconcile verifies each delete.
func (e *Engine) pollDeleted(ctx context.Context, in *Installed, stream Stream, side record.Side, since time.Time, runID string) (PollResult, error) {
	var result PollResult
	to := in.Connector(side)
	if !to.Capabilities().DeletedList || since.IsZero() {
		return result, nil
	}
	page := ""
	for pages := 0; pages < maxPollPages; pages++ {
		if err := e.probe("before list"); err != nil {
			return result, err
		}
		callCtx, cancel := context.WithTimeout(connector.WithLane(ctx, connector.LanePoll), listTime)
		ids, next, err := to.Deleted(callCtx, stream.object(side), since, page)
		cancel()
		e.sides.observe(ctx, in.Key, side, err)
		if err == nil {
			err = e.probe("after list")
		}
		if err != nil {
			return result, err
		}
		changes, err := e.stillKnown(ctx, in, stream, side, ids)
		if err != nil {
			return result, err
		}
		nudgeFor := nudgeLife
		if runID != "" {
			nudgeFor = noNudge
		}
		for i := range changes {
			changes[i].RunID = runID
		}
		if len(changes) > 0 {
			nudge, err := e.options.Store.Enqueue(ctx, in.Key, changes, nudgeFor)
			if err != nil {
				return result, err
			}
			result.Enqueued += len(changes)
			result.NeedNudge = result.NeedNudge || nudge
		}
		if next == "" {
			return result, nil
		}
		page = next
	}
	return result, nil
}

// deleted asks the vendors which records were deleted since the last poll. One that does
// not tell holds no run up: the next poll asks again, and a compare needs no list.
func (l *lister) deleted(ctx context.Context, stream Stream) error {
	for _, side := range stream.sides() {
		cursor, err := l.engine.options.Store.Cursor(ctx, l.in.Key, stream.Spec.Name, side, l.request.RunID)
		if err != nil {
			return err
		}
		found, err := l.engine.pollDeleted(ctx, l.in, stream, side, cursor.Since, l.request.RunID)
		l.result.Enqueued += found.Enqueued
		if coded := fault.As(err); err != nil && (coded == nil || coded.Code == fault.Unavailable || ctx.Err() != nil) {
			return err
		}
		if err != nil {
			l.engine.options.Log.WithFields(map[string]any{"connection": l.in.Key.String(), "stream": stream.Spec.Name, "side": side, "code": fault.CodeOf(err)}).
				Warn("a list of deletes was not read; the next poll asks again")
		}
	}
	return nil
}

// stillKnown keeps the ids whose delete is news.
func (e *Engine) stillKnown(ctx context.Context, in *Installed, stream Stream, side record.Side, ids []string) ([]ledger.Change, error) {
	if !stream.oneSided() {
		return e.stillLinked(ctx, in, stream, side, ids)
	}
	seen, err := e.options.Store.SeenMany(ctx, in.Key, stream.Spec.Name, side, ids)
	if err != nil {
		return nil, err
	}
	var changes []ledger.Change
	for _, id := range ids {
		if row, ok := seen[id]; ok {
			changes = append(changes, ledger.Change{Stream: stream.Spec.Name, Lane: ledger.LanePoll, Ref: row.Ref})
		}
	}
	return changes, nil
}

// stillLinked keeps the ids that have an active link: the others are settled.
func (e *Engine) stillLinked(ctx context.Context, in *Installed, stream Stream, side record.Side, ids []string) ([]ledger.Change, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	states, err := e.options.Store.LoadMany(ctx, in.Key, stream.Spec.Name, side, ids)
	if err != nil {
		return nil, err
	}
	var changes []ledger.Change
	for _, id := range ids {
		state := states[id]
		waits := len(state.Held) > 0 || len(state.Conflicts) > 0
		if state.Link == nil || state.Link.State != ledger.LinkActive || waits {
			continue
		}
		changes = append(changes, ledger.Change{
			Stream: stream.Spec.Name, Lane: ledger.LanePoll, Ref: record.Ref{Side: side, Object: stream.object(side), ID: id}, Deleted: true,
		})
	}
	return changes, nil
}

// clockOff is how far the clock that stamps records may be off, or jump, against
// the Date header a listing came with (contract point 9).
const clockOff = 5 * time.Minute

// pollSince is where a poll begins: the last safely read server time minus the
// overlap, which is never shorter than records may turn visible late, and minus
// what clocks may be off. Rows listed again cost no call: they equal their base.
func (e *Engine) pollSince(ctx context.Context, in *Installed, stream Stream, side record.Side) (time.Time, error) {
	cursor, err := e.options.Store.Cursor(ctx, in.Key, stream.Spec.Name, side, pollScope)
	if err != nil {
		return time.Time{}, err
	}
	capabilities := in.Connector(side).Capabilities()
	overlap := max(stream.Spec.Poll.Overlap, capabilities.LateBy) + capabilities.Granularity + clockOff
	if cursor.HighWater.IsZero() {
		// Never polled: the first load covers what is older. Our clock may be off too.
		return e.options.Now().Add(-overlap - clockOff), nil
	}
	return cursor.HighWater.Add(-overlap), nil
}

// listedUntil is the time up to which the listings of a side have surely shown
// every record; zero before the first load.
func (e *Engine) listedUntil(ctx context.Context, in *Installed, stream Stream, side record.Side) (time.Time, error) {
	cursor, err := e.options.Store.Cursor(ctx, in.Key, stream.Spec.Name, side, pollScope)
	if err != nil || cursor.HighWater.IsZero() {
		return time.Time{}, err
	}
	return e.pollSince(ctx, in, stream, side)
}

// raiseHighWater lets polls begin where a listing of a run has read.
func (e *Engine) raiseHighWater(ctx context.Context, in *Installed, stream Stream, side record.Side, to time.Time) error {
	cursor, err := e.options.Store.Cursor(ctx, in.Key, stream.Spec.Name, side, pollScope)
	if err != nil || to.IsZero() || !to.After(cursor.HighWater) || cursor.Page != "" {
		return err
	}
	cursor.HighWater = to
	_, err = e.options.Store.CommitPage(ctx, in.Key, ledger.PageCommit{Stream: stream.Spec.Name, Side: side, Scope: pollScope, Cursor: cursor})
	return err
}

// polled schedules the next poll.
func (e *Engine) polled(ctx context.Context, key ledger.Key, stream Stream, found bool) error {
	return e.changeStream(ctx, key, stream.Spec.Name, func(state *ledger.StreamState) {
		now := e.options.Now()
		state.LastPollAt = now
		state.IdlePolls++
		if found {
			state.IdlePolls = 0
		}
		state.NextPollAt = stream.Spec.Poll.Next(now)
	})
}

// listed notes that a run has read both sides of a stream.
func (e *Engine) listed(ctx context.Context, key ledger.Key, stream Stream, kind ledger.RunKind) error {
	return e.changeStream(ctx, key, stream.Spec.Name, func(state *ledger.StreamState) {
		now := e.options.Now()
		state.LastPollAt = now
		if kind != ledger.RunPoll {
			state.LastCompareAt = now
		}
	})
}

func (e *Engine) changeStream(ctx context.Context, key ledger.Key, name string, change func(*ledger.StreamState)) error {
	err := e.options.Store.ChangeStreamState(ctx, key, name, change)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// highWater is the server's time at the start of a listing: what changes later
// is found by the next one. A server that says nothing of the time is given
// ours, with room for doubt.
func (e *Engine) highWater(page connector.Page) time.Time {
	if !page.ServerTime.IsZero() {
		return page.ServerTime
	}
	var newest time.Time
	for _, found := range page.Records {
		if found.UpdatedAt.After(newest) {
			newest = found.UpdatedAt
		}
	}
	if newest.IsZero() {
		return e.options.Now().Add(-clockDoubt)
	}
	return newest
}
