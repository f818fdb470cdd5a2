package engine

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// The circuit breaker of a side: after breakerFailures failures in a row nobody
// calls it for a pause that doubles up to breakerMax. One record that fails time
// and again counts once: it is the record that is sick, not the side. So are
// several, as long as the side answers when it is asked for something else.
const (
	breakerFailures = 5
	breakerFirst    = time.Second
	breakerMax      = 15 * time.Second
	// sideFresh is how long what another worker wrote about a side may be unknown here.
	sideFresh = time.Second
)

// sides watches the two systems of each connection. The ledger row is shared by
// all workers; what is kept here is only a short-lived copy.
type sides struct {
	options Options
	mu      sync.Mutex
	known   map[string]*sideCopy
}

type sideCopy struct {
	state    ledger.SideState
	readAt   time.Time
	failures int
	// failing are the subjects of those failures that were about one record.
	failing map[string]bool
}

func newSides(options Options) *sides { return &sides{options: options, known: map[string]*sideCopy{}} }

func (s *sides) copyOf(key ledger.Key, side record.Side) *sideCopy {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := key.String() + "/" + string(side)
	if s.known[name] == nil {
		s.known[name] = &sideCopy{failing: map[string]bool{}}
	}
	return s.known[name]
}

// state returns what is known of a side, read again when it is older than a second.
func (s *sides) state(ctx context.Context, key ledger.Key, side record.Side) (ledger.SideState, error) {
	copied := s.copyOf(key, side)
	now := s.options.Now()
	s.mu.Lock()
	// A clock that was set back makes what was read in a time to come old.
	fresh := !copied.readAt.IsZero() && !now.Before(copied.readAt) && now.Sub(copied.readAt) < sideFresh
	state := copied.state
	s.mu.Unlock()
	if fresh {
		return state, nil
	}
	state, err := s.options.Store.SideState(ctx, key, side)
	if err != nil {
		return ledger.SideState{}, err
	}
	s.mu.Lock()
	copied.state, copied.readAt = state, now
	s.mu.Unlock()
	return state, nil
}

// block says why and until when no side is called; the zero value: they are.
type block struct {
	until time.Time
	side  record.Side
	code  fault.Code
}

// blocked is when both sides may be called again, and which one is waited for.
func (s *sides) blocked(ctx context.Context, key ledger.Key) (block, error) {
	var found block
	for _, side := range record.Sides() {
		state, err := s.state(ctx, key, side)
		if err != nil {
			return block{}, err
		}
		if state.PausedUntil.After(found.until) {
			found = block{until: state.PausedUntil, side: side, code: fault.Throttled}
		}
		if state.BrokenUntil.After(found.until) {
			found = block{until: state.BrokenUntil, side: side, code: fault.Code(state.LastError)}
		}
	}
	if !found.until.After(s.options.Now()) {
		return block{}, nil
	}
	return found, nil
}

// problem says for people what is waited for.
func (b block) problem() string {
	switch b.code {
	case fault.Throttled:
		return "the " + string(b.side) + " side asks to wait (throttled)"
	case fault.Auth:
		return "the " + string(b.side) + " side refuses the credentials (auth)"
	}
	return "the " + string(b.side) + " side does not answer (" + string(b.code) + ")"
}

// skew is the server's clock minus ours as last measured.
func (s *sides) skew(key ledger.Key, side record.Side) time.Duration {
	copied := s.copyOf(key, side)
	s.mu.Lock()
	defer s.mu.Unlock()
	return copied.state.Skew
}

// observe takes the outcome of a call that is about the whole side, as a listing.
func (s *sides) observe(ctx context.Context, key ledger.Key, side record.Side, err error) {
	s.observeOf(ctx, key, side, "", err, nil)
}

// count takes a failure into the row, unless it tells nothing new of the side.
// An open breaker is tried again by whatever record comes first, so then each
// one counts.
func (c *sideCopy) count(subject string, err error) {
	if c.failures < breakerFailures && subject != "" && !aboutSide(err) {
		if c.failing[subject] {
			return
		}
		c.failing[subject] = true
	}
	c.failures++
}

// aboutSide reports whether a failure is the side's, whatever was asked for: no
// valid token, or nobody there to take the call.
func aboutSide(err error) bool {
	var network *net.OpError
	return fault.Is(err, fault.Auth) || errors.As(err, &network) && network.Op == "dial"
}

// observeOf counts failures in a row, opens the breaker, and closes it again. It
// writes to the ledger only when something changes. subject names the record
// that the call was about; empty: the whole side. probe asks the side for
// something else, before the failures of several records are taken for its own;
// nil: there is nothing else to ask.
func (s *sides) observeOf(ctx context.Context, key ledger.Key, side record.Side, subject string, err error, probe func(context.Context) error) {
	failed := fault.Is(err, fault.Transient, fault.Auth) && ctx.Err() == nil
	before, after, news := s.tally(key, side, subject, err, failed)
	if !news || failed && after < breakerFailures {
		return
	}
	if failed && subject != "" && !aboutSide(err) && probe != nil && probe(ctx) == nil {
		// The records are sick, not the side.
		s.heal(key, side)
		if before < breakerFailures {
			return
		}
		failed, after = false, 0
	}
	s.store(ctx, key, side, err, before, after, failed)
}

// tally takes the outcome of a call into this worker's count.
func (s *sides) tally(key ledger.Key, side record.Side, subject string, err error, failed bool) (before, after int, news bool) {
	copied := s.copyOf(key, side)
	s.mu.Lock()
	defer s.mu.Unlock()
	before = copied.failures
	switch {
	case failed:
		copied.count(subject, err)
	case err == nil || fault.Is(err, fault.Gone, fault.Invalid, fault.Duplicate, fault.Stale):
		copied.failures = 0
		clear(copied.failing)
	}
	stale := s.options.Now().Sub(copied.state.LastOKAt) > time.Minute
	return before, copied.failures, copied.failures != before || err == nil && stale
}

// heal forgets failures in a row; the records that are known to be sick stay so.
func (s *sides) heal(key ledger.Key, side record.Side) {
	copied := s.copyOf(key, side)
	s.mu.Lock()
	defer s.mu.Unlock()
	copied.failures = 0
}

// store tells all workers what became of a side.
func (s *sides) store(ctx context.Context, key ledger.Key, side record.Side, err error, before, after int, failed bool) {
	now := s.options.Now()
	pause := min(breakerMax, breakerFirst<<min(max(after-breakerFailures, 0), 5))
	state, storeErr := s.options.Store.UpdateSideState(context.WithoutCancel(ctx), key, side, func(state *ledger.SideState) {
		state.Failures = after
		if failed {
			state.BrokenUntil, state.LastError = now.Add(pause), string(fault.CodeOf(err))
			return
		}
		state.BrokenUntil, state.LastOKAt, state.LastError = time.Time{}, now, ""
	})
	if storeErr != nil {
		s.options.Log.WithError(storeErr).WithField("connection", key.String()).Warn("the state of a side could not be stored")
		return
	}
	copied := s.copyOf(key, side)
	s.mu.Lock()
	copied.state, copied.readAt = state, now
	s.mu.Unlock()
	if failed && before < breakerFailures {
		s.options.Log.WithFields(map[string]any{"connection": key.String(), "side": side, "code": fault.CodeOf(err)}).
			Warn("a side does not answer: calls to it pause and its changes wait")
	}
}

// measured stores the skew of a side's clock when it is not the one that is known. The
// server told its time, in whole seconds, at some moment between asked and now: an
// answer that was long under way is no clock that lags behind.
func (s *sides) measured(ctx context.Context, key ledger.Key, side record.Side, server, asked time.Time) {
	if server.IsZero() {
		return
	}
	least, most := server.Sub(s.options.Now()), server.Add(time.Second).Sub(asked)
	if known := s.skew(key, side); least-time.Second <= known && known <= most+time.Second {
		return
	}
	skew := ((least + most) / 2).Round(time.Second)
	state, err := s.options.Store.UpdateSideState(ctx, key, side, func(state *ledger.SideState) { state.Skew = skew })
	if err == nil {
		copied := s.copyOf(key, side)
		s.mu.Lock()
		copied.state = state
		s.mu.Unlock()
	}
}
