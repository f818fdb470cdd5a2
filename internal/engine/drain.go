package engine

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
)

// DrainRequest bounds one drain.
type DrainRequest struct {
	// Shard of Shards; 0 of 1 (or 0): everything.
	Shard, Shards int
	// RunID takes only rows of this run, first loads included; empty: live and
	// polled changes.
	RunID string
	// Stream takes only rows of this stream; empty: of all.
	Stream string
	// For is the longest stay by the clock; default 20 s.
	For time.Duration
	// Stop is closed when the worker stops; may be nil.
	Stop <-chan struct{}
	// Beat is called at least once a second with the rows done; may be nil.
	Beat func(done int)
	// WorkflowID goes into the history of what is written.
	WorkflowID string
}

// DrainResult says what happened and when to come back.
type DrainResult struct {
	// Claimed, Done and Retried count rows.
	Claimed, Done, Retried int
	// Backlog is what could be claimed right now when it stopped; Pending what is
	// left for the request, waiting rows included; Untried those of them that
	// were never finished once.
	Backlog, Pending, Untried int
	// NextDue is when the next row is due; zero: nothing waits.
	NextDue time.Time
	// Paused: the connection is not active, and nothing was done.
	Paused bool
	// Code and Problem say which side is not called until NextDue, and why; empty: none.
	Code, Problem string
	// Opened and Closed are conflicts for the workflows to know of.
	Opened, Closed []string
}

const (
	defaultStay     = 20 * time.Second
	maxReported     = 200
	claimLook       = 50 * time.Millisecond
	defaultInFlight = 8
)

// Drain claims due changes and reconciles them until none is due, the time is
// over, or the worker stops. It never fails because of a record or a side: its
// error means that the ledger did not answer.
func (e *Engine) Drain(ctx context.Context, key ledger.Key, request DrainRequest) (DrainResult, error) {
	in, state, err := e.cache.get(ctx, key)
	if err != nil {
		return DrainResult{}, err
	}
	if state != ledger.Active {
		return e.idle(ctx, key, request, DrainResult{Paused: true})
	}
	if blocked, err := e.sides.blocked(ctx, key); err != nil || !blocked.until.IsZero() {
		if err != nil {
			return DrainResult{}, err
		}
		result, err := e.idle(ctx, key, request, DrainResult{Code: string(blocked.code), Problem: blocked.problem()})
		result.NextDue = blocked.until
		return result, err
	}
	d := &drain{engine: e, key: key, request: request, end: e.options.Now().Add(stay(request.For)), slots: make(chan struct{}, inFlight(in)), freed: make(chan struct{}, 1)}
	err = d.run(ctx)
	d.wait.Wait()
	if err != nil {
		return d.result, err
	}
	return e.idle(ctx, key, request, d.result)
}

func stay(asked time.Duration) time.Duration {
	if asked <= 0 {
		return defaultStay
	}
	return asked
}

// inFlight is how many records a drain works on at once: more than may call a
// server at once (a single one if that is what may), so that others call while some
// wait for the ledger. Such a wait takes about two calls, and no longer where there
// are more calls at once.
func inFlight(in *Installed) int {
	if in.Concurrency <= 0 {
		return defaultInFlight
	}
	others := in.Concurrency - 1
	return 1 + 2*others + min(2*others, waitingMost)
}

// waitingMost bounds the records beyond twice as many as may call at once.
const waitingMost = 32

// idle fills in what is left.
func (e *Engine) idle(ctx context.Context, key ledger.Key, request DrainRequest, result DrainResult) (DrainResult, error) {
	pending, err := e.options.Store.Pending(ctx, key, ledger.PendingFilter{RunID: request.RunID, Stream: request.Stream, SkipBackfill: request.RunID == ""})
	if err != nil {
		return result, err
	}
	result.Backlog, result.Pending, result.Untried = pending.DueNow, pending.Changes, pending.Untried
	result.NextDue = pending.NextDue
	if result.Backlog > 0 {
		result.NextDue = e.options.Now()
	}
	return result, nil
}

// laneOf: rows of a first load are left to the run that listed them, so that
// both sides are listed in full before anything is created.
func laneOf(request DrainRequest) ledger.Lane {
	if request.RunID != "" {
		return ledger.LaneBackfill
	}
	return ledger.LanePoll
}

// drain is one call of Drain at work.
type drain struct {
	engine  *Engine
	key     ledger.Key
	request DrainRequest
	end     time.Time
	slots   chan struct{}
	// freed has a token when a row has ended since it was last looked at.
	freed  chan struct{}
	wait   sync.WaitGroup
	mu     sync.Mutex
	result DrainResult
	beatAt time.Time
}

func (d *drain) run(ctx context.Context) error {
	for {
		if d.over(ctx) {
			return nil
		}
		free := d.free()
		if free < d.worth() {
			if !d.pause(ctx, claimLook) {
				return nil
			}
			continue
		}
		in, state, err := d.engine.cache.get(ctx, d.key)
		if err != nil {
			return err
		}
		blocked, err := d.engine.sides.blocked(ctx, d.key)
		if err != nil {
			return err
		}
		if state != ledger.Active || !blocked.until.IsZero() {
			return nil
		}
		rows, err := d.claim(ctx, free)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			if d.busy() == 0 {
				return nil
			}
			d.pause(ctx, claimLook)
			continue
		}
		for _, row := range rows {
			d.start(ctx, in, row)
		}
	}
}

func (d *drain) over(ctx context.Context) bool {
	d.beat()
	select {
	case <-ctx.Done():
		return true
	case <-d.request.Stop:
		return true
	default:
	}
	return !d.engine.options.Now().Before(d.end)
}

func (d *drain) beat() {
	now := d.engine.options.Now()
	if d.request.Beat == nil || now.Sub(d.beatAt).Abs() < time.Second/2 {
		return
	}
	d.beatAt = now
	d.mu.Lock()
	done := d.result.Done
	d.mu.Unlock()
	d.request.Beat(done)
}

func (d *drain) free() int { return cap(d.slots) - len(d.slots) }
func (d *drain) busy() int { return len(d.slots) }

// pause waits for a row to end, at most for a while: others may become due.
func (d *drain) pause(ctx context.Context, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-d.freed:
		return true
	case <-timer.C:
		return true
	}
}

// ended gives a slot back and wakes the claimer.
func (d *drain) ended() {
	<-d.slots
	select {
	case d.freed <- struct{}{}:
	default:
	}
	d.wait.Done()
}

func (d *drain) start(ctx context.Context, in *Installed, row claimed) {
	d.slots <- struct{}{}
	d.wait.Add(1)
	d.mu.Lock()
	d.result.Claimed++
	d.mu.Unlock()
	go func() {
		defer d.ended()
		p := d.engine.work(ctx, in, row, d.request.WorkflowID)
		d.mu.Lock()
		defer d.mu.Unlock()
		if p == nil || p.outcome == outcomeRetry {
			d.result.Retried++
			return
		}
		d.result.Done++
		d.result.Opened = appendSome(d.result.Opened, p.opened)
		d.result.Closed = appendSome(d.result.Closed, p.closedIDs)
	}()
}

func appendSome(have, more []string) []string {
	return append(have, more[:min(len(more), max(0, maxReported-len(have)))]...)
}

// work runs one pass and puts the row back if it did not end well. A panic
// costs this record a try and nobody else anything.
func (e *Engine) work(ctx context.Context, in *Installed, from claimed, workflowID string) (p *pass) {
	row := from.Work
	log := e.options.Log.WithFields(logrus.Fields{"connection": in.Key.String(), "record": row.Ref.String(), "stream": row.Stream, "run": row.RunID})
	stream, ok := in.working(row.Stream)
	if !ok {
		e.dropUnknown(ctx, in, row, log)
		return nil
	}
	if row.Crashes >= ledger.PoisonClaims {
		log.WithField("crashes", row.Crashes).Error("the workers that had this record died again and again: it may kill them; it is tried ever more rarely")
	}
	p = e.newPass(ctx, in, stream, row, from.at, workflowID)
	p.loaded = from.state
	defer func() {
		if cause := recover(); cause != nil {
			log.WithField("stack", string(debug.Stack())).Error("a defect of Accord met this record; it is tried again later")
			p.putBack(ctx, fault.New(fault.Internal, "a defect met this record"), log)
		}
	}()
	ctx, end := e.traced(ctx, in, row)
	defer func() { end(p.outcome) }()
	ctx, endWork := connector.WithWork(ctx)
	defer endWork()
	err := p.act(connector.WithLane(ctx, laneName(row.Lane)))
	switch {
	case err == nil:
		e.observe(in.Key, row.Stream, p.outcome, e.options.Now().Sub(row.FirstAt))
	case isCrash(err):
		p.outcome = outcomeRetry
	default:
		p.putBack(ctx, err, log)
	}
	return p
}

// act does what the mode of the stream asks for.
func (p *pass) act(ctx context.Context) error {
	switch {
	case nameless(p.work.Ref.ID):
		return p.parkRow(ctx)
	case p.stream.Spec.Mode == integration.ModeRule:
		return p.fire(ctx)
	case p.stream.oneSided():
		return p.lookAlone(ctx)
	}
	return p.reconcile(ctx)
}

func laneName(lane ledger.Lane) connector.Lane {
	switch lane {
	case ledger.LanePoll:
		return connector.LanePoll
	case ledger.LaneBackfill:
		return connector.LaneBackfill
	}
	return connector.LaneLive
}

// dropUnknown forgets changes of a stream that an edit of the integration
// removed, and the writes it left open: nobody can settle those any more.
func (e *Engine) dropUnknown(ctx context.Context, in *Installed, row ledger.Work, log logrus.FieldLogger) {
	state, err := e.options.Store.Load(ctx, in.Key, row.Stream, row.Ref)
	if err == nil {
		commit := ledger.Commit{Lease: row.Lease, Done: &row, RunID: row.RunID, RunDone: 1}
		for _, intent := range state.Intents {
			commit.CloseIntents = append(commit.CloseIntents, intent.ID)
		}
		err = e.options.Store.Commit(ctx, in.Key, commit)
	}
	if err != nil {
		log.WithError(err).Warn("a change of a removed stream could not be dropped")
	}
}

// putBack ends a pass that failed: the row waits for its next try, or is parked.
func (p *pass) putBack(ctx context.Context, cause error, log logrus.FieldLogger) {
	ctx = context.WithoutCancel(ctx)
	after := p.afterError(cause)
	if after.lost {
		p.outcome = outcomeRetry
		log.Info("the lease of this record went to another worker")
		return
	}
	if after.park {
		refused := fault.As(cause)
		log.WithFields(logrus.Fields{"code": refused.Code, "status": refused.Status, "field": refused.Field}).Warn("record parked: " + refused.Message)
		if err := p.park(ctx, refused); err == nil {
			p.engine.observe(p.key(), p.work.Stream, outcomeParked, p.engine.options.Now().Sub(p.work.FirstAt))
			return
		} else if cause = err; fault.Is(err, fault.Stale) || isCrash(err) {
			p.outcome = outcomeRetry
			return
		}
		after = retry{at: p.engine.options.Now().Add(backoff(p.work.Tries)), count: true}
	}
	p.outcome = outcomeRetry
	entry := log.WithFields(logrus.Fields{"code": fault.CodeOf(cause), "tries": p.work.Tries, "again_at": after.at.UTC().Format(time.RFC3339)})
	if after.count {
		entry.Info("record waits: " + shortText(cause))
	} else {
		entry.Debug("record waits: " + shortText(cause))
	}
	p.engine.observe(p.key(), p.work.Stream, outcomeRetry, 0)
	commit := ledger.Commit{Lease: p.lease, Retry: &p.work, RetryAt: after.at, CountTry: after.count, PutSeen: p.seen}
	if err := p.store().Commit(ctx, p.key(), commit); err != nil && !fault.Is(err, fault.Stale) {
		log.WithError(err).Warn("a row could not be put back; it comes back when its lease ends")
	}
}

// shortText is an error for the log: coded errors print no data, others only
// their kind.
func shortText(err error) string {
	if coded := fault.As(err); coded != nil {
		return coded.Error()
	}
	if put := (*laterError)(nil); errors.As(err, &put) {
		return put.why
	}
	return "unexpected error"
}
