package connector

import (
	"context"
	"sync"
	"time"
)

// Lane orders the use of a scarce quota: live before poll before backfill.
type Lane string

// The lanes.
const (
	LaneLive     Lane = "live"
	LanePoll     Lane = "poll"
	LaneBackfill Lane = "backfill"
)

// Quota shares one vendor plan among all workers of a connection's side.
type Quota interface {
	// Take waits for permission to make one call, at most until ctx ends or
	// wait is over, longer under WithPatience; then fault.Throttled with After.
	Take(ctx context.Context, lane Lane) error
	// Stopped reports whether the side has asked to be left alone: a call that was
	// permitted and has waited since for something else is then not sent.
	Stopped(ctx context.Context) bool
	// Observe tells what the vendor's headers said. The vendor's Remaining is
	// the truth, since others share the plan.
	Observe(ctx context.Context, seen QuotaSeen)
}

// Pausing is a Quota that tells of a pause without taking a call: what is not part of
// the plan, such as fetching a token, waits for its end too.
type Pausing interface {
	// Paused is how long nobody may call the system; zero: there is no pause.
	Paused(ctx context.Context) (time.Duration, error)
}

// QuotaSeen is what one answer said about the plan. Zero fields were not said.
type QuotaSeen struct {
	Limit, Remaining int
	// Known is false when the answer carried no quota headers.
	Known   bool
	ResetAt time.Time
	// PausedUntil is set by a 429: nobody calls before it.
	PausedUntil time.Time
}

type laneKey struct{}

type patienceKey struct{}

type workKey struct{}

// Work is one piece of work that may make several calls of one plan. Its address
// tells it from others; what is to happen at its end is told to AtEnd.
type Work struct {
	mutex sync.Mutex
	ended bool
	atEnd []func()
}

// AtEnd has something done when the work ends: at once if it has ended.
func (w *Work) AtEnd(do func()) {
	w.mutex.Lock()
	ended := w.ended
	if !ended {
		w.atEnd = append(w.atEnd, do)
	}
	w.mutex.Unlock()
	if ended {
		do()
	}
}

func (w *Work) end() {
	w.mutex.Lock()
	todo := w.atEnd
	w.ended, w.atEnd = true, nil
	w.mutex.Unlock()
	for _, do := range todo {
		do()
	}
}

// WithWork makes the calls under ctx one piece of work, until end is called: when
// a plan is nearly spent, its Quota lets no other work begin before this one's
// later calls have gone out, since what was read for them would be read again.
func WithWork(ctx context.Context) (of context.Context, end func()) {
	work := &Work{}
	return context.WithValue(ctx, workKey{}, work), work.end
}

// WorkOf returns the piece of work of ctx; nil: its calls stand alone.
func WorkOf(ctx context.Context) *Work {
	work, _ := ctx.Value(workKey{}).(*Work)
	return work
}

// WithPatience marks the calls made under ctx as the later ones of some work:
// putting it off would waste the calls that were made for it.
func WithPatience(ctx context.Context) context.Context {
	return context.WithValue(ctx, patienceKey{}, true)
}

// Patient reports whether ctx was marked by WithPatience.
func Patient(ctx context.Context) bool {
	patient, _ := ctx.Value(patienceKey{}).(bool)
	return patient
}

// WithLane marks the calls made under ctx with a lane.
func WithLane(ctx context.Context, lane Lane) context.Context {
	return context.WithValue(ctx, laneKey{}, lane)
}

// LaneOf returns the lane of ctx; LaneLive when none was set.
func LaneOf(ctx context.Context) Lane {
	if lane, ok := ctx.Value(laneKey{}).(Lane); ok {
		return lane
	}
	return LaneLive
}
