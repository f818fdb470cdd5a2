package app

import (
	"time"

	"github.com/accord-sync/accord/internal/connector"
)

const (
	// openFor is how long a piece of work that called a side is expected to call it
	// again: the other system, or a lease, may keep it from that for longer.
	openFor = 2 * time.Second
	// scarceFor is how long a plan that gave less than it was asked for counts as scarce.
	scarceFor = time.Second
	// turnPause is between two looks of work that has to wait for its turn.
	turnPause = 50 * time.Millisecond
)

// turns tells which work may call a side whose plan is nearly spent: first that
// which has called it before. What was read is then written, and not read again.
// It is not safe for concurrent use.
type turns struct {
	// open is when each work that has not ended last called.
	open map[*connector.Work]time.Time
	// scarceTill is until when the plan is nearly spent.
	scarceTill time.Time
}

func newTurns() turns { return turns{open: map[*connector.Work]time.Time{}} }

// begun reports whether the work has called before. A call that belongs to no
// work counts as one that has not.
func (t *turns) begun(work *connector.Work) bool {
	_, ok := t.open[work]
	return ok
}

// mayBegin reports whether one more work may begin while a plan of so many calls a
// minute (0: unknown) is scarce: when few enough others have to go on.
func (t *turns) mayBegin(now time.Time, perMinute int) bool {
	if !now.Before(t.scarceTill) {
		return true
	}
	return t.expected(now) <= perMinute/600
}

// expected is how many works will soon call again.
func (t *turns) expected(now time.Time) int {
	count := 0
	for _, at := range t.open {
		if now.Sub(at) < openFor {
			count++
		}
	}
	return count
}

// granted notes what the plan gave of what it was asked for.
func (t *turns) granted(now time.Time, got, asked int) {
	if got < asked {
		t.scarceTill = now.Add(scarceFor)
	}
}

// called notes a call of a work, and reports whether it was its first.
func (t *turns) called(work *connector.Work, now time.Time) bool {
	if work == nil {
		return false
	}
	_, known := t.open[work]
	t.open[work] = now
	return !known
}

func (t *turns) ended(work *connector.Work) { delete(t.open, work) }
