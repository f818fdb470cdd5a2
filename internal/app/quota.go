package app

import (
	"context"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Bounds of a Quota.
const (
	// blockSize is how many calls are taken from the ledger at a time, and
	// blockFor how long what is left of them counts.
	blockSize = 16
	blockFor  = 500 * time.Millisecond
	// lookEvery is how often the ledger is asked for a pause that another worker was
	// told, where calls in hand do not lead there anyway.
	lookEvery = 25 * time.Millisecond
	// longestWait is how long a call waits in place; longer waits go back to the
	// engine. A call under connector.WithPatience waits for half of its time.
	longestWait = time.Second
	// smallPlan is the largest plan, in calls a minute, of which some are kept for
	// work that has begun: that costs the ledger a transaction for nearly each call.
	smallPlan = 1200
	// observeEvery is how often a plan that is not near its end is written down.
	observeEvery = time.Second
)

// QuotaStore is what a Quota needs of the ledger.
type QuotaStore interface {
	// TakeQuota takes up to want calls from the plan of a side.
	TakeQuota(ctx context.Context, key ledger.Key, side record.Side, lane string, want int, spec ledger.QuotaSpec) (granted int, retryAt time.Time, err error)
	// SideState reads what is known of a side.
	SideState(ctx context.Context, key ledger.Key, side record.Side) (ledger.SideState, error)
	// UpdateSideState reads, changes and writes in one transaction.
	UpdateSideState(ctx context.Context, key ledger.Key, side record.Side, change func(*ledger.SideState)) (ledger.SideState, error)
	// Now is the store's clock.
	Now(ctx context.Context) (time.Time, error)
}

// Quota shares the plan of one side among all workers through the ledger. It
// takes small blocks, so that most calls cost no transaction.
type Quota struct {
	store QuotaStore
	key   ledger.Key
	side  record.Side
	spec  ledger.QuotaSpec
	now   func() time.Time

	mutex  sync.Mutex
	blocks map[connector.Lane]block
	paused time.Time
	// looked is when the ledger was last asked for a pause.
	looked time.Time
	// written is when the plan was last written down.
	written time.Time
	// underWay counts calls that were let go and whose answer was not seen; lastTake is the latest of them.
	underWay int
	lastTake time.Time
	turns    turns
	// limit is the plan as the vendor last told it; 0: never.
	limit int
}

type block struct {
	left  int
	until time.Time
}

var (
	_ connector.Quota   = (*Quota)(nil)
	_ connector.Pausing = (*Quota)(nil)
)

// NewQuota makes the Quota of a side; now is the local clock.
func NewQuota(store QuotaStore, key ledger.Key, side record.Side, spec ledger.QuotaSpec, now func() time.Time) *Quota {
	return &Quota{store: store, key: key, side: side, spec: spec, now: now, blocks: map[connector.Lane]block{}, turns: newTurns()}
}

// Take waits for one call, at most a second, or half of the call's time where
// calls were made for it already; then fault.Throttled with After.
func (q *Quota) Take(ctx context.Context, lane connector.Lane) error {
	var waited time.Duration
	longest := longestWait
	if deadline, ok := ctx.Deadline(); ok && connector.Patient(ctx) {
		longest = max(longest, time.Until(deadline)/2)
	}
	for {
		work := connector.WorkOf(ctx)
		wait, begins, err := q.try(ctx, lane, work)
		if begins {
			// Not under the lock: a work that has ended says so at once.
			work.AtEnd(func() { q.ended(work) })
		}
		if err != nil || wait <= 0 {
			return err
		}
		if waited+wait > longest {
			return throttled(wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			waited += wait
		case <-ctx.Done():
			timer.Stop()
			return throttled(wait)
		}
	}
}

// Paused is how long the vendor asks everybody to wait, whoever of us it told.
func (q *Quota) Paused(ctx context.Context) (time.Duration, error) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	pause, err := q.pause(ctx, q.now())
	return max(pause, 0), err
}

func throttled(wait time.Duration) error {
	late := fault.New(fault.Throttled, "the plan's calls are used up; the side waits")
	late.After = wait
	return late
}

// try takes a call, or tells how long to wait before the next try. begins: it is the
// first call of its work.
func (q *Quota) try(ctx context.Context, lane connector.Lane, work *connector.Work) (wait time.Duration, begins bool, err error) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	now := q.now()
	if pause, err := q.pause(ctx, now); pause > 0 || err != nil {
		return pause, false, err
	}
	begun := q.turns.begun(work)
	if !begun && !q.turns.mayBegin(now, q.spec.PerMinute) {
		return turnPause, false, nil
	}
	have := q.blocks[lane]
	if !now.Before(have.until) {
		have = block{}
	}
	needs := 1
	if !begun && q.small() {
		// Who begins leaves a call to each work that has to go on.
		needs += q.turns.expected(now)
	}
	if have.left < needs {
		asked := max(q.want(), needs-have.left)
		granted, retryAt, err := q.store.TakeQuota(ctx, q.key, q.side, string(lane), asked, q.spec)
		if err != nil {
			return 0, false, err
		}
		q.turns.granted(now, granted, asked)
		if have.left+granted == 0 {
			// The time to ask again is the store's; so must be what it is measured by.
			storeNow, err := q.store.Now(ctx)
			return max(retryAt.Sub(storeNow), 10*time.Millisecond), false, err
		}
		if granted > 0 {
			have = block{left: have.left + granted, until: now.Add(blockFor)}
			q.blocks[lane] = have
		}
		if have.left < needs && !q.turns.mayBegin(now, q.spec.PerMinute) {
			return turnPause, false, nil
		}
	}
	q.blocks[lane] = block{left: have.left - 1, until: have.until}
	q.letGo(now)
	return 0, q.turns.called(work, now), nil
}

// Stopped reports whether this worker or another one was told to stop. A ledger that
// does not answer stops nobody: the call was permitted.
func (q *Quota) Stopped(ctx context.Context) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	pause, err := q.pause(ctx, q.now())
	return err == nil && pause > 0
}

// pause is for how long nobody calls the side.
func (q *Quota) pause(ctx context.Context, now time.Time) (time.Duration, error) {
	if pause := q.paused.Sub(now); pause > 0 {
		return pause, nil
	}
	if now.Sub(q.looked).Abs() < lookEvery {
		return 0, nil
	}
	state, err := q.store.SideState(ctx, q.key, q.side)
	if err != nil {
		return 0, err
	}
	q.looked = now
	if state.PausedUntil.IsZero() {
		return 0, nil
	}
	storeNow, err := q.store.Now(ctx)
	if err != nil {
		return 0, err
	}
	pause := state.PausedUntil.Sub(storeNow)
	if pause > 0 {
		q.paused, q.blocks = now.Add(pause), map[connector.Lane]block{}
	}
	return pause, nil
}

// small reports whether the plan is so small that a block of it is a good part of it.
func (q *Quota) small() bool {
	plan := q.spec.PerMinute
	if plan == 0 {
		plan = q.limit
	}
	return plan > 0 && plan <= smallPlan
}

// ended lets those have their turn that wait for a work to go on.
func (q *Quota) ended(work *connector.Work) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.turns.ended(work)
}

// letGo counts a call under way. Those that never got an answer are forgotten
// when nothing was sent for a minute.
func (q *Quota) letGo(now time.Time) {
	if now.Sub(q.lastTake) > time.Minute {
		q.underWay = 0
	}
	q.underWay++
	q.lastTake = now
}

// want is the size of a block: never more than half a second of the plan.
func (q *Quota) want() int {
	if q.spec.PerMinute == 0 {
		return blockSize
	}
	return max(1, min(blockSize, q.spec.PerMinute/120))
}

// Observe writes down what the vendor said: at once when it says stop or the
// plan is nearly spent, else once a second. What it cannot write it forgets;
// the next answer says it again.
func (q *Quota) Observe(ctx context.Context, seen connector.QuotaSeen) {
	worth, underWay := q.worthWriting(seen)
	if !worth {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	storeNow, err := q.store.Now(ctx)
	if err != nil {
		return
	}
	shift := storeNow.Sub(q.now())
	_, _ = q.store.UpdateSideState(ctx, q.key, q.side, func(state *ledger.SideState) {
		if paused := seen.PausedUntil; !paused.IsZero() && paused.Add(shift).After(state.PausedUntil) {
			state.PausedUntil = paused.Add(shift)
		}
		if seen.Known {
			if !seen.ResetAt.IsZero() {
				seen.ResetAt = seen.ResetAt.Add(shift)
			}
			learnPlan(state, seen, underWay, storeNow)
		}
	})
}

// sameWindow is how far two answers of one window may differ about its end.
const sameWindow = 2 * time.Second

// learnPlan takes over what an answer said of the plan. The answer does not
// know the calls that were granted and have not arrived: in a window that was
// counted down from its begin the smaller number is the true one, in another
// one the calls under way are taken off.
func learnPlan(state *ledger.SideState, seen connector.QuotaSeen, underWay int, now time.Time) {
	remaining, reset := seen.Remaining, seen.ResetAt
	known := state.QuotaKnown && state.QuotaLimit == seen.Limit
	switch apart := reset.Sub(state.QuotaResetAt).Abs(); {
	case reset.IsZero():
		// Nobody says when a window begins, so there is nothing to count down.
	case !reset.After(now):
		return // a late answer of a window that is over
	case known && apart <= sameWindow:
		// The end stays as it was told first: a window that slides is soon another one.
		remaining, reset = min(remaining, state.QuotaRemaining), state.QuotaResetAt
	case known && state.QuotaResetAt.IsZero():
		// The ledger began this window when the one before was over.
		remaining = min(remaining, state.QuotaRemaining)
	default:
		remaining -= underWay
	}
	state.QuotaKnown, state.QuotaLimit, state.QuotaRemaining, state.QuotaResetAt = true, seen.Limit, max(0, remaining), reset
}

// worthWriting says whether an answer is to be written down, and how many other
// calls are under way.
func (q *Quota) worthWriting(seen connector.QuotaSeen) (bool, int) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	now := q.now()
	q.underWay = max(0, q.underWay-1)
	held := q.underWay
	for _, have := range q.blocks {
		held += have.left
	}
	if seen.PausedUntil.After(q.paused) {
		q.paused = seen.PausedUntil
		q.blocks = map[connector.Lane]block{}
		return true, held
	}
	if !seen.Known {
		return false, held
	}
	q.limit = seen.Limit
	if seen.Remaining < held {
		q.blocks = map[connector.Lane]block{} // others use the plan too: what is in hand would be refused
	}
	scarce := seen.Remaining <= max(seen.Limit/10, 2*blockSize)
	if scarce || now.Sub(q.written) >= observeEvery {
		q.written = now
		return true, held
	}
	return false, held
}
