package front

import (
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Limiter counts calls per client in fixed windows. Safe for concurrent use.
type Limiter struct {
	mu      sync.Mutex
	set     wire.Limits
	windows map[string]*window
}

type window struct {
	end  time.Time
	used int
}

type quota struct {
	limit, remaining int
	reset            time.Time
}

func newLimiter() *Limiter { return &Limiter{windows: map[string]*window{}} }

// Set changes the limits and begins new windows.
func (l *Limiter) Set(s wire.Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Consume = 0
	l.set = s
	l.windows = map[string]*window{}
}

// Get gives the limits.
func (l *Limiter) Get() wire.Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.set
}

// Consume uses up n calls of the running window of every known client, as
// other users of the same plan would.
func (l *Limiter) Consume(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.windows {
		w.used += n
	}
}

func (l *Limiter) take(client string, now time.Time) quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set.Requests <= 0 {
		return quota{}
	}
	w := l.windows[client]
	if w == nil || !now.Before(w.end) {
		w = &window{end: now.Add(time.Duration(max(l.set.WindowMS, 1)) * time.Millisecond)}
		l.windows[client] = w
	}
	w.used++
	return quota{l.set.Requests, l.set.Requests - w.used, w.end}
}
