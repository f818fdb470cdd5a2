package webhook

import (
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// Bounds of a Nudger.
const (
	nudgeQueue   = 1024
	nudgeWorkers = 4
	nudgeTimeout = 5 * time.Second
)

// Nudger tells Temporal of waiting work without making the vendor wait for it.
// A nudge that is dropped or fails is no loss: it expires in the ledger and the
// sweep finds the rows.
type Nudger struct {
	nudge   func(ctx context.Context, key ledger.Key) error
	log     logrus.FieldLogger
	queue   chan ledger.Key
	stop    context.CancelFunc
	running sync.WaitGroup
}

// NewNudger starts a Nudger over nudge; Close ends it.
func NewNudger(nudge func(ctx context.Context, key ledger.Key) error, log logrus.FieldLogger) *Nudger {
	ctx, stop := context.WithCancel(context.Background())
	n := &Nudger{nudge: nudge, log: log, queue: make(chan ledger.Key, nudgeQueue), stop: stop}
	for range nudgeWorkers {
		n.running.Go(func() { n.work(ctx) })
	}
	return n
}

// Nudge puts key into the queue; when that is full the nudge is left to the sweep.
func (n *Nudger) Nudge(key ledger.Key) {
	select {
	case n.queue <- key:
	default:
		n.log.WithField("connection", key.Connection).Warn("too many nudges wait; the sweep will find this one")
	}
}

// Close stops the workers; what still waits is left to the sweep.
func (n *Nudger) Close() {
	n.stop()
	n.running.Wait()
}

func (n *Nudger) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case key := <-n.queue:
			n.tell(ctx, key)
		}
	}
}

func (n *Nudger) tell(ctx context.Context, key ledger.Key) {
	ctx, cancel := context.WithTimeout(ctx, nudgeTimeout)
	defer cancel()
	if err := n.nudge(ctx, key); err != nil && ctx.Err() != context.Canceled {
		n.log.WithField("connection", key.Connection).WithField("code", string(fault.CodeOf(err))).
			Warn("Temporal was not told of new changes; the sweep will find them")
	}
}
