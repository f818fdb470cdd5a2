// Package messages receives from the brokers that the connections name: it keeps
// one subscription per side that has one, in every worker, hands what comes to the
// webhook receiver's inbox, and acknowledges it only when it is stored.
package messages

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// The pauses of a Listener.
const (
	// lookEvery is how soon a connection that was activated, edited or removed is noticed.
	lookEvery = 2 * time.Second
	// sinceMargin is how far the brokers' clocks may be off ours.
	sinceMargin = 10 * time.Minute
	// leastPause and mostPause lie between two tries to subscribe.
	leastPause, mostPause = 500 * time.Millisecond, 30 * time.Second
)

// Inbox stores what messages tell of; webhook.Receiver is one.
type Inbox interface {
	// Take stores the changes of messages, all or none; refused tells which of them
	// cannot be read.
	Take(ctx context.Context, connection string, side record.Side, messages []webhook.Message) (refused map[int]error, err error)
}

// Store is what a Listener reads and writes of the ledger.
type Store interface {
	// Versions returns key, state and version of every connection.
	Versions(ctx context.Context) ([]ledger.Connection, error)
	// Connection returns one in full, or NotFound.
	Connection(ctx context.Context, key ledger.Key) (ledger.Connection, error)
	// UpdateSideState reads, changes and writes what is known of a side.
	UpdateSideState(ctx context.Context, key ledger.Key, side record.Side, change func(*ledger.SideState)) (ledger.SideState, error)
	// Clock is the clock by which that is kept.
	Clock() time.Time
}

var _ Store = ledger.Store(nil)

// Observer counts for metrics. It must not block.
type Observer interface {
	// Messages counts messages by outcome: "stored", "unreadable" or "again".
	Messages(side record.Side, kind broker.Kind, outcome string, count int)
	// Subscribed counts the subscriptions that stand: 1 for a new one, -1 for one that ended.
	Subscribed(kind broker.Kind, more int)
}

// Options make a Listener. Observe may be nil.
type Options struct {
	Store Store
	Inbox Inbox
	// Brokers says where the sides of a connection leave messages; sides without a
	// broker, and those that are called by it, are left out.
	Brokers func(connection ledger.Connection) (map[record.Side]broker.Config, error)
	// Subscribe and Publisher open a side's broker.
	Subscribe func(ctx context.Context, config broker.Config) (broker.Subscription, error)
	Publisher func(ctx context.Context, config broker.Config) (broker.Publisher, error)
	Log       logrus.FieldLogger
	Observe   Observer
}

// Listener keeps the subscriptions of all connections.
type Listener struct {
	options Options
	running map[ledger.Key]*listening
}

// listening is what runs for one version of a connection.
type listening struct {
	version int
	stop    context.CancelFunc
	ended   sync.WaitGroup
}

// New makes a Listener.
func New(options Options) *Listener {
	if options.Observe == nil {
		options.Observe = silent{}
	}
	return &Listener{options: options, running: map[ledger.Key]*listening{}}
}

// Run keeps the subscriptions until ctx ends, and ends them all then.
func (l *Listener) Run(ctx context.Context) {
	defer l.stopAll()
	for {
		if err := l.look(ctx); err != nil && ctx.Err() == nil {
			l.options.Log.WithField("code", string(fault.CodeOf(err))).Warn("the ledger does not say which connections have brokers; subscriptions stay as they are")
		}
		if !pause(ctx, lookEvery) {
			return
		}
	}
}

// look starts and stops subscriptions as connections come, change and go. Those of
// paused connections go on: what they tell is stored, as webhooks are.
func (l *Listener) look(ctx context.Context) error {
	connections, err := l.options.Store.Versions(ctx)
	if err != nil {
		return err
	}
	wanted := map[ledger.Key]bool{}
	for _, connection := range connections {
		if connection.State == ledger.Draft {
			continue
		}
		wanted[connection.Key] = true
		if now := l.running[connection.Key]; now == nil || now.version != connection.Version {
			if err := l.start(ctx, connection.Key); err != nil {
				return err
			}
		}
	}
	for key := range l.running {
		if !wanted[key] {
			l.stop(key)
		}
	}
	return nil
}

// start begins anew for the present version of a connection.
func (l *Listener) start(ctx context.Context, key ledger.Key) error {
	connection, err := l.options.Store.Connection(ctx, key)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	l.stop(key)
	// A version that cannot be read is kept as one without brokers until the next edit.
	one := &listening{version: connection.Version, stop: func() {}}
	l.running[key] = one
	configs, err := l.options.Brokers(connection)
	if err != nil {
		l.options.Log.WithField("connection", key.Connection).WithField("code", string(fault.CodeOf(err))).
			Error("the integration of a connection cannot be read; correct it, no messages are received before")
		return nil
	}
	running, stop := context.WithCancel(ctx)
	one.stop = stop
	for side, config := range configs {
		if config.Group == "" {
			config.Group = Group(key.Connection, side)
		}
		// Clocks differ; what is read twice does no harm.
		config.Since = connection.CreatedAt.Add(-sinceMargin)
		part := &listener{options: l.options, key: key, side: side, config: config}
		one.ended.Go(func() { part.run(running) })
	}
	return nil
}

// Group is the name under which a broker remembers how far a side of a connection
// has read, where the integration gives none.
func Group(connection string, side record.Side) string {
	return "accord-" + connection + "-" + string(side)
}

func (l *Listener) stop(key ledger.Key) {
	if one := l.running[key]; one != nil {
		one.stop()
		one.ended.Wait()
		delete(l.running, key)
	}
}

func (l *Listener) stopAll() {
	for _, one := range l.running {
		one.stop()
	}
	for key := range l.running {
		l.stop(key)
	}
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// backoff is the pause after so many failures in a row: doubled each time, and
// spread, so that many subscriptions do not come back at once.
func backoff(failures int) time.Duration {
	wait := mostPause
	if failures < 7 {
		wait = min(mostPause, leastPause<<max(failures-1, 0))
	}
	return wait/2 + rand.N(wait/2)
}

type silent struct{}

var _ Observer = silent{}

func (silent) Messages(record.Side, broker.Kind, string, int) {}
func (silent) Subscribed(broker.Kind, int)                    {}
