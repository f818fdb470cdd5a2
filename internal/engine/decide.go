package engine

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/merge"
	"github.com/accord-sync/accord/internal/record"
)

// SeenPrints are the fingerprints (record.Fingerprint) of the two values that
// an operator saw when deciding.
type SeenPrints struct {
	Left, Right string
}

// Decide stores an operator's decision on an open conflict. Both sides are read
// first: fault.Conflict when the values are not those that were seen. Without
// seen the decision is bound to what is read now. reconcile applies it.
func (e *Engine) Decide(ctx context.Context, key ledger.Key, conflictID string, decision ledger.Decision, seen *SeenPrints) error {
	p, conflict, err := e.openConflict(ctx, key, conflictID)
	if err != nil {
		return err
	}
	defer p.release(ctx)
	if _, err := p.refresh(ctx, &conflict); err != nil {
		return err
	}
	if seen != nil && (seen.Left != record.Fingerprint(conflict.Left) || seen.Right != record.Fingerprint(conflict.Right)) {
		return fault.New(fault.Conflict, "conflict %s: the values have moved since they were seen; look at it again", conflictID)
	}
	return e.options.Store.DecideConflict(ctx, key, conflictID, decision, conflict.Left, conflict.Right)
}

// Fallback decides an open conflict whose deadline is over by the stream's
// fallback policy. closed reports that it is open no more.
func (e *Engine) Fallback(ctx context.Context, key ledger.Key, conflictID string) (closed bool, err error) {
	found, conflict, err := e.options.Store.FindConflict(ctx, conflictID)
	if err != nil {
		return fault.Is(err, fault.NotFound), ignoreNotFound(err)
	}
	if found != key || conflict.State != ledger.ConflictOpen {
		return true, nil
	}
	if e.options.Now().Before(conflict.Deadline) {
		return false, nil
	}
	p, conflict, err := e.openConflict(ctx, key, conflictID)
	if err != nil {
		return fault.Is(err, fault.Conflict, fault.NotFound), ignoreNotFound(err)
	}
	defer p.release(ctx)
	newer, err := p.refresh(ctx, &conflict)
	if err != nil {
		return false, err
	}
	choose := ledger.ChooseLeft
	if side := fallbackSide(p.stream, newer); side == record.Right {
		choose = ledger.ChooseRight
	}
	if conflict.Field == "" {
		// A delete against an edit falls back to keeping what is there.
		choose = ledger.ChooseLeft
		if conflict.Left == nil {
			choose = ledger.ChooseRight
		}
	}
	decision := ledger.Decision{Choose: choose, By: "fallback", At: e.options.Now()}
	return true, e.options.Store.DecideConflict(ctx, key, conflictID, decision, conflict.Left, conflict.Right)
}

func ignoreNotFound(err error) error {
	if fault.Is(err, fault.NotFound, fault.Conflict) {
		return nil
	}
	return err
}

func fallbackSide(stream Stream, newer record.Side) record.Side {
	switch merge.Policy(stream.Spec.Conflicts.Fallback) {
	case merge.RightWins:
		return record.Right
	case merge.Newest:
		if newer.Valid() {
			return newer
		}
		return stream.Spec.Conflicts.Tie
	}
	return record.Left
}

// decideTries and decidePause bound the wait for a record that is being worked on.
const (
	decideTries = 50
	decidePause = 100 * time.Millisecond
)

// openConflict loads an open conflict and takes the lease on its pair.
func (e *Engine) openConflict(ctx context.Context, key ledger.Key, conflictID string) (*pass, ledger.Conflict, error) {
	owner, conflict, err := e.options.Store.FindConflict(ctx, conflictID)
	if err != nil {
		return nil, ledger.Conflict{}, err
	}
	if owner != key {
		return nil, ledger.Conflict{}, fault.New(fault.NotFound, "conflict %s is not of this connection", conflictID)
	}
	if conflict.State == ledger.ConflictClosed {
		return nil, ledger.Conflict{}, fault.New(fault.Conflict, "conflict %s is closed (%s)", conflictID, conflict.ClosedBy)
	}
	in, err := e.Installed(ctx, key)
	if err != nil {
		return nil, ledger.Conflict{}, err
	}
	stream, ok := in.Stream(conflict.Stream)
	if !ok {
		return nil, ledger.Conflict{}, fault.New(fault.NotFound, "stream %s is not part of the integration any more", conflict.Stream)
	}
	claimed := e.options.Now()
	lease, err := e.acquire(ctx, key, []string{ledger.RefKey(conflict.LeftRef), ledger.RefKey(conflict.RightRef)})
	if err != nil {
		return nil, ledger.Conflict{}, err
	}
	work := ledger.Work{Change: ledger.Change{Stream: conflict.Stream, Ref: conflict.LeftRef}, Lease: lease}
	p := e.newPass(ctx, in, stream, work, claimed, "")
	if p.state, err = e.options.Store.Load(ctx, key, conflict.Stream, conflict.LeftRef); err != nil {
		p.release(ctx)
		return nil, ledger.Conflict{}, err
	}
	stream.forgetAmended(&p.state)
	// The row may have been refreshed while the lease was waited for.
	for _, standing := range p.state.Conflicts {
		if standing.ID == conflictID {
			return p, standing, nil
		}
	}
	p.release(ctx)
	return nil, ledger.Conflict{}, fault.New(fault.Conflict, "conflict %s is open no more", conflictID)
}

func (e *Engine) acquire(ctx context.Context, key ledger.Key, keys []string) (ledger.Lease, error) {
	for try := 0; ; try++ {
		lease, err := e.options.Store.Acquire(ctx, key, keys, e.options.Lease)
		if !fault.Is(err, fault.Busy) || try >= decideTries {
			return lease, err
		}
		select {
		case <-ctx.Done():
			return ledger.Lease{}, fault.Wrap(fault.Busy, ctx.Err(), "the record is being worked on")
		case <-time.After(decidePause):
		}
	}
}

func (p *pass) release(ctx context.Context) {
	// A lease that is not given back ends by itself.
	_ = p.store().Release(context.WithoutCancel(ctx), p.key(), p.lease)
}

// refresh reads both sides and brings the conflict's values up to date. A side
// that does not answer leaves the values as last seen.
func (p *pass) refresh(ctx context.Context, conflict *ledger.Conflict) (newer record.Side, err error) {
	if conflict.Field == "" || p.state.Link == nil || len(p.state.Intents) > 0 {
		return "", nil
	}
	left, right, err := p.readBoth(ctx, *p.state.Link)
	if err != nil || left.gone || right.gone {
		return "", nil //nolint:nilerr // unreachable now: the decision is checked again when it is applied
	}
	now := p.pairOf(*p.state.Link, left.view, right.view)
	leftNow, rightNow := left.values[conflict.Field], right.values[conflict.Field]
	if sameValue(leftNow, conflict.Left) && sameValue(rightNow, conflict.Right) {
		return now.newer, nil
	}
	conflict.Left, conflict.Right = leftNow, rightNow
	conflict.State, conflict.Decision = ledger.ConflictOpen, nil
	return now.newer, p.commit(ctx, ledger.Commit{PutConflicts: []ledger.Conflict{*conflict}})
}

// decidedFields are the fields whose decision waits to be carried out.
func (p *pass) decidedFields() map[string]bool {
	fields := map[string]bool{}
	for _, conflict := range p.state.Conflicts {
		if conflict.State == ledger.ConflictDecided && conflict.Field != "" {
			fields[conflict.Field] = true
		}
	}
	for _, held := range p.state.Held {
		if held.State == ledger.HeldWaiting {
			continue
		}
		for _, name := range held.Fields {
			fields[name] = true
		}
	}
	return fields
}

// carryOutDecided carries out decisions on a pair that stays parked because of
// other fields: those are not tried, and its letter stays open.
func (p *pass) carryOutDecided(ctx context.Context, link ledger.Link, now pair, only map[string]bool) error {
	now.only = only
	made, err := makePlan(p.stream, now)
	if err == nil {
		err = p.refs.err()
	} else {
		err = onRef(err, p.work.Ref)
	}
	if err == nil {
		// What is not in the state is not resolved.
		p.state.DeadLetters = nil
		err = p.carryOutGuarded(ctx, link, now, made)
	}
	if !fault.Is(err, fault.Invalid, fault.Duplicate) {
		return err
	}
	// It is refused although nothing else was tried: whichever field the server
	// names, the decision is taken back.
	reopened, _ := p.reopen("")
	if committing := p.commit(ctx, ledger.Commit{PutConflicts: reopened}); committing != nil {
		return committing
	}
	return err
}
