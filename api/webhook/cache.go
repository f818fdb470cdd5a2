package webhook

import (
	"context"
	"sync"
	"time"
)

// Bounds of the cache.
const (
	// CacheFor is how old an answer of the cache may be.
	CacheFor = 2 * time.Second
	// freshFor spares the ledger when refused deliveries come in a flood.
	freshFor  = 200 * time.Millisecond
	cacheSize = 10_000
)

// Cache keeps the targets of a Directory for a short while, so that a thousand
// events a second do not read the connection a thousand times.
type Cache struct {
	find func(ctx context.Context, connection string) (Target, error)
	now  func() time.Time

	mutex   sync.Mutex
	entries map[string]cached
}

type cached struct {
	target Target
	at     time.Time
}

var _ Directory = (*Cache)(nil)

// NewCache makes a Directory of find, which looks a connection up.
func NewCache(find func(ctx context.Context, connection string) (Target, error), now func() time.Time) *Cache {
	return &Cache{find: find, now: now, entries: map[string]cached{}}
}

// Target answers from memory if that is at most CacheFor old, 200 ms with fresh.
func (c *Cache) Target(ctx context.Context, connection string, fresh bool) (Target, error) {
	limit := CacheFor
	if fresh {
		limit = freshFor
	}
	now := c.now()
	c.mutex.Lock()
	entry, ok := c.entries[connection]
	c.mutex.Unlock()
	if ok && now.Sub(entry.at) < limit {
		return entry.target, nil
	}
	target, err := c.find(ctx, connection)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if err != nil {
		delete(c.entries, connection)
		return target, err
	}
	if len(c.entries) >= cacheSize {
		c.entries = map[string]cached{}
	}
	c.entries[connection] = cached{target: target, at: now}
	return target, nil
}
