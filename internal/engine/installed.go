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
// the very next claim. Only a new version is read and opened.
func (i *installed) get(ctx context.Context, key ledger.Key) (*Installed, ledger.ConnectionState, error) {
	state, version, err := i.options.Store.ConnectionState(ctx, key)
	if err != nil {
		return nil, "", err
	}
	i.mu.Lock()
	known := i.entries[key]
	i.mu.Unlock()
	if known != nil && known.Version == version {
		return known, state, nil
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
	return fresh, connection.State, nil
}

// forget makes the next use open the connection anew (probed capabilities).
func (i *installed) forget(key ledger.Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.entries, key)
}
