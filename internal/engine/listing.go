package engine

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// ListRequest bounds one step of the listing of a run.
type ListRequest struct {
	RunID string
	Kind  ledger.RunKind
	// Stream is empty for all streams.
	Stream string
	// For is the longest stay by the clock; default 20 s.
	For time.Duration
	// Stop is closed when the worker stops; may be nil.
	Stop <-chan struct{}
	// Beat is called after each page with the rows read; may be nil.
	Beat func(read int)
}

// ListResult says how far the step came.
type ListResult struct {
	// Finished: both sides of every stream are listed.
	Finished bool
	// Read counts rows, Enqueued those that need a look.
	Read, Enqueued int
	// Paused: the connection is not active. What was read before it was paused is
	// kept, and the next step goes on behind it.
	Paused bool
	// RetryAt is set when a side asks to wait, with the code of its answer and, in
	// Problem, what was asked of it and why that failed.
	RetryAt       time.Time
	Code, Problem string
}

// pollScope is the cursor scope of polls outside of runs.
const pollScope = "poll"

// nudgeLife is how long a nudge counts as pending before the sweep may repeat it.
const nudgeLife = 5 * time.Second

// noNudge is for rows that a run works off itself: nobody is told of them, and nobody
// is kept from telling of others.
const noNudge = 0

// unseenBatch bounds one step of looking for records that a full scan missed.
const unseenBatch = 500

// ListStep lists pages of a run until all is listed or its time is over. Every
// page is committed with its cursor, so that a step that dies is resumed where
// it stood and no page is listed twice.
func (e *Engine) ListStep(ctx context.Context, key ledger.Key, request ListRequest) (ListResult, error) {
	in, state, err := e.cache.get(ctx, key)
	if err != nil {
		return ListResult{}, err
	}
	if state != ledger.Active {
		return ListResult{Paused: true}, nil
	}
	ctx = transport.WithRun(ctx, request.RunID)
	l := &lister{engine: e, in: in, request: request, end: e.options.Now().Add(stay(request.For))}
	finished, err := l.all(ctx)
	if retryAt, code := e.waitFor(err); !retryAt.IsZero() {
		l.result.RetryAt, l.result.Code, l.result.Problem = retryAt, code, l.at+shortText(err)
		return l.result, nil
	}
	if err != nil || !finished {
		return l.result, err
	}
	l.result.Finished = true
	return l.result, e.countTotal(ctx, key, request.RunID)
}

// all lists every stream before it works on those that others refer to, so that the
// run's total is known before the first write. A natural key that holds a reference
// is told when that can be translated.
func (l *lister) all(ctx context.Context) (bool, error) {
	for _, stream := range l.streams() {
		if finished, err := l.stream(ctx, stream); err != nil || !finished {
			return false, err
		}
	}
	if err := l.engine.countTotal(ctx, l.in.Key, l.request.RunID); err != nil {
		return false, err
	}
	for _, stream := range l.streams() {
		if stream.matchesByReference() {
			if finished, err := l.keyed(ctx, stream); err != nil || !finished {
				return false, err
			}
		}
		if !l.in.referred(stream.Spec.Name) {
			continue
		}
		if finished, err := l.workedOff(ctx, stream); err != nil || !finished {
			return false, err
		}
	}
	return true, nil
}

// streams are those of the run, each after those that it refers to.
func (l *lister) streams() []Stream {
	var wanted []Stream
	for _, stream := range l.in.dependenciesFirst() {
		if l.request.Stream == "" || stream.Spec.Name == l.request.Stream {
			wanted = append(wanted, stream)
		}
	}
	return wanted
}

// countTotal stores how many records the run has in all, once both sides of
// every stream are listed: those that are done and those that wait.
func (e *Engine) countTotal(ctx context.Context, key ledger.Key, runID string) error {
	waiting, err := e.options.Store.Pending(ctx, key, ledger.PendingFilter{RunID: runID})
	if err != nil {
		return err
	}
	run, err := e.options.Store.Run(ctx, runID)
	if err != nil {
		return err
	}
	return e.options.Store.SetRunTotal(ctx, runID, run.Done+waiting.Changes)
}

// waitFor tells a side that asks to wait from a ledger that fails.
func (e *Engine) waitFor(err error) (time.Time, string) {
	code := fault.CodeOf(err)
	switch code {
	case fault.Throttled, fault.Transient, fault.Auth, fault.Forbidden, fault.Invalid, fault.Gone:
		return e.options.Now().Add(max(fault.AfterOf(err), time.Second)), string(code)
	}
	return time.Time{}, ""
}

// lister walks the sides of streams page by page.
type lister struct {
	engine  *Engine
	in      *Installed
	request ListRequest
	end     time.Time
	result  ListResult
	// at says for people which listing is at work.
	at string
}

func (l *lister) full() bool {
	return l.request.Kind == ledger.RunBackfill || l.request.Kind == ledger.RunCompare
}

func (l *lister) lane() ledger.Lane {
	if l.full() {
		return ledger.LaneBackfill
	}
	return ledger.LanePoll
}

// paused reports, and tells the run, that the connection is not active any more:
// a pause holds for the next page.
func (l *lister) paused(ctx context.Context) (bool, error) {
	_, state, err := l.engine.cache.get(ctx, l.in.Key)
	l.result.Paused = err == nil && state != ledger.Active
	return l.result.Paused, err
}

func (l *lister) over(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	case <-l.request.Stop:
		return true
	default:
	}
	return !l.engine.options.Now().Before(l.end)
}

// stream lists both sides of a stream, once.
func (l *lister) stream(ctx context.Context, stream Stream) (bool, error) {
	last, err := l.engine.options.Store.Cursor(ctx, l.in.Key, stream.Spec.Name, record.Right, l.request.RunID)
	if err != nil || last.Closed {
		return err == nil, err
	}
	for _, side := range stream.sides() {
		finished, err := l.side(ctx, stream, side)
		if err != nil || !finished {
			return false, err
		}
	}
	if !stream.matchesByReference() {
		if err := l.raise(ctx, stream); err != nil {
			return false, err
		}
	}
	if !l.full() {
		if err := l.deleted(ctx, stream); err != nil {
			return false, err
		}
	}
	if l.full() {
		for _, side := range stream.sides() {
			finished, err := l.unseen(ctx, stream, side)
			if err != nil || !finished {
				return false, err
			}
		}
	}
	if l.full() {
		if err := l.owedCounts(ctx, stream); err != nil {
			return false, err
		}
	}
	if err := l.engine.listed(ctx, l.in.Key, stream, l.request.Kind); err != nil {
		return false, err
	}
	return true, l.close(ctx, stream)
}

// close notes that a stream is listed: the records that the run makes from here on
// were not shown by its listings, and nobody is to look for them.
func (l *lister) close(ctx context.Context, stream Stream) error {
	store := l.engine.options.Store
	last, err := store.Cursor(ctx, l.in.Key, stream.Spec.Name, record.Right, l.request.RunID)
	if err != nil {
		return err
	}
	last.Closed = true
	_, err = store.CommitPage(ctx, l.in.Key, ledger.PageCommit{
		Stream: stream.Spec.Name, Side: record.Right, Scope: l.request.RunID, Cursor: last, NudgeFor: noNudge,
	})
	return err
}

// workedOff works on the rows of a stream that others refer to, so that references
// can be translated.
func (l *lister) workedOff(ctx context.Context, stream Stream) (bool, error) {
	for {
		waiting, err := l.engine.options.Store.Pending(ctx, l.in.Key, ledger.PendingFilter{RunID: l.request.RunID, Stream: stream.Spec.Name})
		if err != nil || waiting.Untried == 0 {
			return err == nil, err
		}
		if l.over(ctx) {
			return false, nil
		}
		drained, err := l.engine.Drain(ctx, l.in.Key, DrainRequest{
			RunID: l.request.RunID, Stream: stream.Spec.Name, For: l.end.Sub(l.engine.options.Now()), Stop: l.request.Stop,
		})
		if err != nil || drained.Paused {
			l.result.Paused = drained.Paused
			return false, err
		}
		if drained.Backlog == 0 && drained.Untried > 0 {
			l.result.RetryAt, l.result.Code, l.result.Problem = drained.NextDue, drained.Code, drained.Problem
			return false, nil
		}
	}
}

// side lists one side. Its cursor lies under the run's id, so that a resumed
// step goes on behind the last committed page.
func (l *lister) side(ctx context.Context, stream Stream, side record.Side) (bool, error) {
	store := l.engine.options.Store
	cursor, err := store.Cursor(ctx, l.in.Key, stream.Spec.Name, side, l.request.RunID)
	if err != nil {
		return false, err
	}
	for anew := false; !cursor.Done; {
		if l.over(ctx) {
			return false, nil
		}
		if paused, err := l.paused(ctx); err != nil || paused {
			return false, err
		}
		if cursor.Page == "" && !l.full() {
			if cursor.Since, err = l.engine.pollSince(ctx, l.in, stream, side); err != nil {
				return false, err
			}
		}
		l.at = "stream " + stream.Spec.Name + " cannot be listed on the " + string(side) + " side: "
		page, err := l.engine.listPage(ctx, l.in, stream, side, l.lane(), cursor)
		if !anew && deadPage(err, cursor) {
			// What is listed once more equals what was seen; it costs no look.
			anew, cursor.Page, cursor.Read = true, "", 0
			continue
		}
		if err != nil {
			return false, err
		}
		l.at = ""
		if cursor, err = l.commit(ctx, stream, side, cursor, page); err != nil {
			return false, err
		}
		if l.request.Beat != nil {
			l.request.Beat(l.result.Read)
		}
	}
	return true, nil
}

func (l *lister) commit(ctx context.Context, stream Stream, side record.Side, cursor ledger.Cursor, page connector.Page) (ledger.Cursor, error) {
	rows, err := l.engine.sift(ctx, l.in, stream, side, page, l.lane(), l.request.RunID)
	if err != nil {
		return cursor, err
	}
	l.engine.begin(&cursor, page)
	shown, err := l.engine.parkRows(ctx, l.in, stream, side, page, listingOf(cursor, l.request.RunID), l.request.RunID)
	if err != nil {
		return cursor, err
	}
	cursor.Page, cursor.Done = page.Next, page.Next == ""
	shownRows := len(page.Records) + len(page.Unread)
	unchanged, read := shownRows-rows.records, shownRows+len(page.Bad)
	cursor.Read, cursor.Total = cursor.Read+read, page.Total
	_, err = l.engine.options.Store.CommitPage(ctx, l.in.Key, ledger.PageCommit{
		Stream: stream.Spec.Name, Side: side, Scope: l.request.RunID, Cursor: cursor, Seen: append(rows.seen, shown...), Changes: rows.changes, Matches: rows.matches,
		RunID: l.request.RunID, Counts: ledger.Counts{Read: read, Unchanged: unchanged, Parked: len(page.Bad)}, RunDone: unchanged + len(page.Bad), NudgeFor: noNudge,
	})
	if err != nil {
		return cursor, err
	}
	l.result.Read += read
	l.result.Enqueued += len(rows.changes)
	return cursor, nil
}

// unseen enqueues linked records that a full scan did not show: they may have
// been deleted, which reconcile verifies.
func (l *lister) unseen(ctx context.Context, stream Stream, side record.Side) (bool, error) {
	for {
		if l.over(ctx) {
			return false, nil
		}
		enqueue := l.engine.options.Store.EnqueueUnseen
		if stream.touches() {
			enqueue = l.engine.options.Store.EnqueueUnseenTouchPoints
		}
		count, err := enqueue(ctx, l.in.Key, stream.Spec.Name, side, l.request.RunID, l.lane(), unseenBatch)
		l.result.Enqueued += count
		if err == nil && count == 0 {
			count, err = l.engine.unseenLetters(ctx, l.in, stream, side, l.request.RunID, l.lane())
			l.result.Enqueued += count
			return err == nil, err
		}
		if err != nil {
			return false, err
		}
	}
}

// listPage reads one page; the call is bounded like any other.
func (e *Engine) listPage(ctx context.Context, in *Installed, stream Stream, side record.Side, lane ledger.Lane, cursor ledger.Cursor) (connector.Page, error) {
	if err := e.probe("before list"); err != nil {
		return connector.Page{}, err
	}
	callCtx, cancel := context.WithTimeout(connector.WithLane(ctx, laneName(lane)), listTime)
	defer cancel()
	asked := e.options.Now()
	page, err := in.Connector(side).List(callCtx, connector.ListRequest{Object: stream.object(side), Since: cursor.Since, Cursor: cursor.Page})
	e.sides.observe(ctx, in.Key, side, err)
	if err != nil {
		return connector.Page{}, err
	}
	e.sides.measured(ctx, in.Key, side, page.ServerTime, asked)
	return page, e.probe("after list")
}

// deadPage reports whether a listing broke off because its place in the middle
// is refused (a cursor that expired, or that an edit made void): it can only be
// begun anew. What is refused at the beginning is an error like any other.
func deadPage(err error, cursor ledger.Cursor) bool {
	return cursor.Page != "" && fault.Is(err, fault.Usage, fault.Invalid, fault.Gone)
}

// listTime bounds the reading of one page.
const listTime = 30 * time.Second
