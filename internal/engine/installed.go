package engine

import (
	"context"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
)

// connectionFresh is how long an edit, pause or resume may go unseen by a
// worker that is busy with the connection.
const connectionFresh = 500 * time.Millisecond

// maxInstalled bounds how many connections a worker keeps open.
const maxInstalled = 256

// installed keeps connections compiled and open, by version.
type installed struct {
	options Options
	mu      sync.Mutex
	entries map[ledger.Key]*entry
}

type entry struct {
	in     *Installed
	state  ledger.ConnectionState
	readAt time.Time
}

func newInstalled(options Options) *installed {
	return &installed{options: options, entries: map[ledger.Key]*entry{}}
}

// Installed returns the working form of a connection at its present version.
func (e *Engine) Installed(ctx context.Context, key ledger.Key) (*Installed, error) {
	in, _, err := e.cache.get(ctx, key)
	return in, err
}

func (i *installed) get(ctx context.Context, key ledger.Key) (*Installed, ledger.ConnectionState, error) {
	now := i.options.Now()
	i.mu.Lock()
	known := i.entries[key]
	i.mu.Unlock()
	// Only an active connection is trusted for a moment: one that was just
	// activated or resumed must not wait for the copy to age.
	if known != nil && known.state == ledger.Active && now.Sub(known.readAt) < connectionFresh {
		return known.in, known.state, nil
	}
	connection, err := i.options.Store.Connection(ctx, key)
	if err != nil {
		return nil, "", err
	}
	fresh := &entry{state: connection.State, readAt: now}
	if known != nil && known.in.Version == connection.Version {
		fresh.in = known.in
	} else if fresh.in, err = i.options.Open(ctx, connection); err != nil {
		return nil, "", err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.entries) >= maxInstalled {
		clear(i.entries)
	}
	i.entries[key] = fresh
	return fresh.in, fresh.state, nil
}

// forget makes the next use open the connection anew (probed capabilities).
func (i *installed) forget(key ledger.Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.entries, key)
}
