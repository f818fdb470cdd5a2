package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// restarts is how often one pass begins again at the top because a version
// moved under it, before the row goes back to the inbox.
const restarts = 5

// errAgain asks for another round from the top within the same pass.
var errAgain = errors.New("again from the top")

// reconcile brings one record and its counterpart in step. It always begins at
// the top: load, read, settle, decide, write. Nothing of the event that brought
// it is believed but the ref.
func (p *pass) reconcile(ctx context.Context) error {
	for round := 0; ; round++ {
		state, err := p.known(ctx)
		if err != nil {
			return err
		}
		p.stream.forgetAmended(&state)
		p.state, p.refs = state, newResolver(ctx, p.store(), p.key())
		if err := p.step("loaded"); err != nil {
			return err
		}
		err = p.once(ctx)
		again := errors.Is(err, errAgain) || fault.Is(err, fault.Stale) && p.holds(ctx)
		if !again {
			return err
		}
		if round >= restarts {
			return fault.New(fault.Busy, "the record keeps changing while it is being written").On(p.work.Ref)
		}
	}
}

// known is what the ledger knows of the record, loaded under the lease of this pass.
func (p *pass) known(ctx context.Context) (ledger.State, error) {
	if loaded := p.loaded; loaded != nil {
		p.loaded = nil
		return *loaded, nil
	}
	return p.store().Load(ctx, p.key(), p.work.Stream, p.work.Ref)
}

// holds tells a version that moved on at the server (412) from a lost lease.
func (p *pass) holds(ctx context.Context) bool { return p.extend(ctx, nil) == nil }

func (p *pass) once(ctx context.Context) error {
	link := p.state.Link
	switch {
	case p.stream.touches():
		return p.touch(ctx)
	case p.stream.writesBack():
		return p.writeBack(ctx)
	case link != nil && link.State == ledger.LinkDetached:
		return p.finish(ctx, ledger.Commit{})
	case link != nil && p.nothingNew(*link):
		return p.finish(ctx, ledger.Commit{})
	case link != nil:
		if done, err := p.overToVersioned(ctx, *link); done || err != nil {
			return err
		}
		return p.linked(ctx)
	case buried(p.state, p.work.Ref):
		return p.undeleted(ctx)
	}
	return p.unlinked(ctx)
}

// buried reports whether a record belongs to a deleted pair. The survivor of a
// pair that is made anew (a flagged tombstone) lives on.
func buried(state ledger.State, ref record.Ref) bool {
	stone := state.Tombstone
	return state.Link == nil && stone != nil && (!stone.Flagged || stone.GoneSide == ref.Side)
}

// subject names what the pass is about: the pair, or the record without one.
func (p *pass) subject() string {
	if p.state.Link != nil {
		return p.state.Link.ID
	}
	return p.work.Ref.String()
}

// retry decides what becomes of a row whose pass ended in an error. The error
// itself never leaves a drain.
type retry struct {
	// lost: the lease went to somebody else, who has the row now.
	lost bool
	// park: the record is refused for good.
	park bool
	// at is when to try again, count whether it counts as a failed try.
	at    time.Time
	count bool
}

// Pauses between tries of one row.
const (
	firstPause = 300 * time.Millisecond
	maxPause   = 30 * time.Second
	busyPause  = 100 * time.Millisecond
	// forbiddenTries is after how many 403 answers a record is parked, so that a
	// person sees it; it is tried again at the next compare.
	forbiddenTries = 5
	// settlePause is between two looks for a record that may become visible.
	settlePause = 2 * time.Second
	// patientLooks is how often a row is put back on purpose before that counts as
	// a try: the second look at a delete is part of its run, a wait without end is not.
	patientLooks = 10
	// keyLife is how long an Idempotency-Key is trusted; servers keep them 24 h.
	keyLife = 23 * time.Hour
	// clockDoubt is how far a server's clock may be off (contract point 9), doubled.
	clockDoubt = 10 * time.Minute
)

func (p *pass) afterError(err error) retry {
	now := p.engine.options.Now()
	if later := (*laterError)(nil); errors.As(err, &later) {
		// Once, so that a row that waits for a sick one leaves its run like that one.
		return retry{at: now.Add(later.after), count: p.work.Tries == 0 && p.work.Claims >= patientLooks}
	}
	switch fault.CodeOf(err) {
	case fault.Stale:
		return retry{lost: true}
	case fault.Busy:
		return retry{at: now.Add(busyPause + jitter(busyPause))}
	case fault.Throttled:
		return retry{at: now.Add(max(fault.AfterOf(err), busyPause) + jitter(busyPause))}
	case fault.Invalid, fault.Duplicate:
		return retry{park: true}
	case fault.Forbidden:
		if p.work.Tries+1 >= forbiddenTries {
			return retry{park: true}
		}
	}
	return retry{at: now.Add(backoff(p.work.Tries)), count: true}
}

// backoff doubles from firstPause to maxPause, with up to a quarter of jitter.
func backoff(tries int) time.Duration {
	pause := maxPause
	if tries < 10 {
		pause = min(maxPause, firstPause<<tries)
	}
	return pause + jitter(pause/4)
}

// jitter spreads retries of many rows; it decides nothing else.
func jitter(most time.Duration) time.Duration { return rand.N(most + 1) }

// laterError puts a row back on purpose: something must be looked at again
// after a pause that is part of the protocol, not a failure.
type laterError struct {
	after time.Duration
	why   string
}

// Error says why the row waits.
func (e *laterError) Error() string { return e.why }

func later(after time.Duration, why string) error { return &laterError{after: after, why: why} }
