package engine

import (
	"context"
	"sync"

	"github.com/accord-sync/accord/internal/ledger"
)

// maxInstalled bounds how many connections a worker keeps open.
const maxInstalled = 256

// installed keeps connections compiled and open, by version.
type installed struct {
	options Options
	mu      sync.Mutex
	entries map[ledger.Key]*Installed
	// mark is the furthest state of the ledger that this process has seen.
	mark ledger.Mark
}

func newInstalled(options Options) *installed {
	return &installed{options: options, entries: map[ledger.Key]*Installed{}}
}

// Installed returns the working form of a connection at its present version.
func (e *Engine) Installed(ctx context.Context, key ledger.Key) (*Installed, error) {
	in, _, err := e.cache.get(ctx, key)
	return in, err
}

// get asks the ledger each time: a pause or an edit that was answered holds for
// the very next claim, and so does a ledger that was put back meanwhile. Only a
// new version is read and opened.
func (i *installed) get(ctx context.Context, key ledger.Key) (*Installed, ledger.ConnectionState, error) {
	standing, err := i.standing(ctx, key)
	if err != nil {
		return nil, "", err
	}
	i.mu.Lock()
	known := i.entries[key]
	i.mu.Unlock()
	if known != nil && known.Version == standing.Version {
		return known.in(standing), standing.State, nil
	}
	connection, err := i.options.Store.Connection(ctx, key)
	if err != nil {
		return nil, "", err
	}
	fresh, err := i.options.Open(ctx, connection)
	if err != nil {
		return nil, "", err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.entries) >= maxInstalled {
		clear(i.entries)
	}
	i.entries[key] = fresh
	return fresh.in(standing), standing.State, nil
}

// in is the connection with what is known of its ledger.
func (i *Installed) in(standing ledger.Standing) *Installed {
	if i.Restored == standing.Restored {
		return i
	}
	copied := *i
	copied.Restored = standing.Restored
	return &copied
}

// forget makes the next use open the connection anew (probed capabilities).
func (i *installed) forget(key ledger.Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.entries, key)
}
