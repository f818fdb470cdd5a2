package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const (
	// sweepEvery is the pause between two looks.
	sweepEvery = 300 * time.Millisecond
	// conflictsEvery is the pause between two looks at conflicts.
	conflictsEvery = 2 * time.Second
	// nudgeEvery is the least pause between two nudges of one connection by a
	// sweep: rows being worked on look due, and a signal is not free.
	nudgeEvery = 2 * time.Second
	// sweepLimit bounds what one look takes.
	sweepLimit = 100
	// fallbackGrace leaves a conflict's own workflow the first try at its deadline.
	fallbackGrace = 5 * time.Second
	// webhooksEvery is the least pause between two looks of a sweep at the webhooks of
	// one connection.
	webhooksEvery = 20 * time.Second
	// lastPolls is how long a sweep that ends waits for its polls.
	lastPolls = 10 * time.Second
)

// SweepIn bounds a sweep.
type SweepIn struct {
	// For is the longest stay.
	For time.Duration
	// Hold is how long a poll may take; no other poller takes its stream meanwhile.
	Hold time.Duration
	// Polls is how many polls go side by side.
	Polls int
	// Mark is how far the ledger had come when the workflow last heard of it.
	Mark ledger.Mark
}

// SweepOut counts what a sweep did. Failed counts steps that will be tried again.
type SweepOut struct {
	Looks, Polls, Enqueued, Nudged, Conflicts, Failed int
	// Mark is how far the ledger had come.
	Mark ledger.Mark
}

// Sweep looks after all connections for a while: polls that are due, due rows
// that nobody was told of, conflicts without a workflow or past their deadline.
func (a *Poller) Sweep(ctx context.Context, in SweepIn) (SweepOut, error) {
	return many(ctx, a.Log, func() (SweepOut, error) {
		note, stop := beating(ctx)
		defer stop()
		s := &sweep{Options: a.Options, in: in, nudged: map[ledger.Key]time.Time{}, hooked: map[ledger.Key]time.Time{}, fallen: map[string]bool{}, note: note}
		return s.run(ctx, activity.GetWorkerStopChannel(ctx))
	})
}

// sweep is the state of one Sweep.
type sweep struct {
	Options
	in    SweepIn
	note  func(int)
	polls errgroup.Group

	mu            sync.Mutex
	out           SweepOut
	running       int
	nudged        map[ledger.Key]time.Time
	hooked        map[ledger.Key]time.Time
	lastConflicts time.Time
	// fallen holds the conflicts past their deadline that this sweep tried.
	fallen map[string]bool
}

func (s *sweep) run(ctx context.Context, stop <-chan struct{}) (SweepOut, error) {
	polling, cancel := context.WithCancel(ctx)
	defer cancel()
	end := s.Now().Add(s.in.For)
	var err error
	for err == nil {
		err = s.look(ctx, polling)
		if err != nil || !s.Now().Before(end) || !rest(ctx, stop, sweepEvery) {
			break
		}
	}
	s.finishPolls(stop, cancel)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out, err
}

// finishPolls gives polls under way a moment to end. One that is cut off goes
// on from its cursor when its hold is over.
func (s *sweep) finishPolls(stop <-chan struct{}, cancel context.CancelFunc) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Polls report through count: Wait has no error to give.
		_ = s.polls.Wait()
	}()
	timer := time.NewTimer(lastPolls)
	defer timer.Stop()
	select {
	case <-done:
	case <-stop:
	case <-timer.C:
	}
	cancel()
	<-done
}

// look does everything that is due once. Only a ledger that does not answer is an error.
func (s *sweep) look(ctx, polling context.Context) error {
	s.mu.Lock()
	s.out.Looks++
	looks, free := s.out.Looks, s.in.Polls-s.running
	s.mu.Unlock()
	s.note(looks)
	mark, err := s.Engine.Witness(ctx, s.in.Mark)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.out.Mark = mark
	s.mu.Unlock()
	if free > 0 {
		due, err := s.Store.ClaimDuePolls(ctx, s.in.Hold, free)
		if err != nil {
			return err
		}
		for _, poll := range due {
			s.startPoll(polling, poll)
		}
	}
	keys, err := s.Store.ConnectionsWithDue(ctx, sweepLimit)
	if err != nil {
		return err
	}
	for _, key := range keys {
		s.nudgeOnce(ctx, key)
	}
	if now := s.Now(); now.Sub(s.lastConflicts) >= conflictsEvery {
		s.lastConflicts = now
		return s.lookAtConflicts(ctx)
	}
	return nil
}

func (s *sweep) startPoll(ctx context.Context, poll ledger.DuePoll) {
	s.mu.Lock()
	s.running++
	s.mu.Unlock()
	s.polls.Go(func() error {
		ctx, cancel := context.WithTimeout(ctx, s.in.Hold)
		defer cancel()
		result, err := s.poll(ctx, poll)
		s.mu.Lock()
		s.running--
		s.out.Polls++
		s.out.Enqueued += result.Enqueued
		s.mu.Unlock()
		s.count(err, poll.Key, "a poll failed; it is due again later")
		if result.NeedNudge {
			// The poll's own time may be over; what it found is in the inbox. Nobody
			// else nudges while this nudge counts as under way: it is never left out.
			s.tell(context.WithoutCancel(ctx), poll.Key, s.Now())
		}
		if result.Enqueued > 0 && err == nil {
			s.count(s.lookAtWebhooks(ctx, poll.Key), poll.Key, "the webhooks were not looked at; housekeeping will")
		}
		return nil
	})
}

// poll keeps a defect in one connection away from all others.
func (s *sweep) poll(ctx context.Context, poll ledger.DuePoll) (result engine.PollResult, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fault.New(fault.Internal, "a poll panicked with %T; please report this", cause)
		}
	}()
	return s.Engine.Poll(ctx, poll.Key, poll.State.Stream)
}

// lookAtWebhooks asks the vendors whether they still call us, after a poll has found what
// no event had told of: one that has switched our webhook off calls no more, and what it
// has not told of meanwhile is compared.
func (s *sweep) lookAtWebhooks(ctx context.Context, key ledger.Key) error {
	urls, now := s.webhookURLs(key), s.Now()
	s.mu.Lock()
	wait := len(urls) == 0 || now.Sub(s.hooked[key]) < webhooksEvery
	if !wait {
		s.hooked[key] = now
	}
	s.mu.Unlock()
	if wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, webhooksTime)
	defer cancel()
	if err := s.Engine.EnsureWebhooks(ctx, key, urls); err != nil {
		return err
	}
	return s.compareNow(ctx, key)
}

func (s *sweep) nudgeOnce(ctx context.Context, key ledger.Key) {
	now := s.Now()
	s.mu.Lock()
	wait := now.Sub(s.nudged[key]) < nudgeEvery
	s.mu.Unlock()
	if !wait {
		s.tell(ctx, key, now)
	}
}

func (s *sweep) tell(ctx context.Context, key ledger.Key, now time.Time) {
	s.mu.Lock()
	s.nudged[key] = now
	s.out.Nudged++
	s.mu.Unlock()
	s.count(s.Orchestrator.Nudge(ctx, key), key, "a connection's workflow was not told of due changes")
}

func (s *sweep) lookAtConflicts(ctx context.Context) error {
	due, err := s.Store.ConflictsDue(ctx, sweepLimit)
	if err != nil || len(due) == 0 {
		return err
	}
	now, err := s.Store.Now(ctx)
	if err != nil {
		return err
	}
	for _, item := range due {
		if err := s.conflict(ctx, item, now); err != nil {
			s.count(err, item.Key, "a conflict was not looked after; it is tried again")
		}
	}
	return nil
}

// conflict decides one past its deadline, or gives one a workflow.
func (s *sweep) conflict(ctx context.Context, item ledger.KeyedConflict, now time.Time) error {
	conflict := item.Conflict
	past := !conflict.Deadline.IsZero() && now.After(conflict.Deadline)
	late := past && now.After(conflict.Deadline.Add(fallbackGrace))
	if conflict.Started && !late || s.fallen[conflict.ID] {
		return nil
	}
	s.mu.Lock()
	s.out.Conflicts++
	s.mu.Unlock()
	if !past {
		return s.Orchestrator.EnsureConflict(ctx, item.Key, conflict.ID)
	}
	// A fallback calls both systems: once in a sweep, whatever comes of it.
	s.fallen[conflict.ID] = true
	if _, err := s.Engine.Fallback(ctx, item.Key, conflict.ID); err != nil {
		return err
	}
	s.nudgeOnce(ctx, item.Key)
	return nil
}

// count logs a failure that the next look tries again.
func (s *sweep) count(err error, key ledger.Key, text string) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	s.mu.Lock()
	s.out.Failed++
	s.mu.Unlock()
	s.Log.WithField("connection", key.String()).WithField("code", fault.CodeOf(err)).Warn(text)
}
