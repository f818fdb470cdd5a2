package front

import (
	"slices"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Limiter counts calls per client in fixed windows, or in one that moves along. Safe for concurrent use.
type Limiter struct {
	mu      sync.Mutex
	rolling bool
	set     wire.Limits
	windows map[string]*window
}

type window struct {
	end  time.Time
	used int
	// at are the calls that a window which moves along still counts.
	at []time.Time
}

type quota struct {
	limit, remaining int
	reset            time.Time
}

func newLimiter() *Limiter { return &Limiter{windows: map[string]*window{}} }

// NewRolling makes a Limiter that counts the calls of the time just behind each call. Refused ones count not.
func NewRolling() *Limiter { return &Limiter{rolling: true, windows: map[string]*window{}} }

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
		if len(w.at) > 0 {
			w.at = append(w.at, slices.Repeat(w.at[len(w.at)-1:], n)...)
		}
	}
}

func (l *Limiter) take(client string, now time.Time) quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set.Requests <= 0 {
		return quota{}
	}
	if l.rolling {
		return l.roll(client, now)
	}
	w := l.windows[client]
	if w == nil || !now.Before(w.end) {
		w = &window{end: now.Add(time.Duration(max(l.set.WindowMS, 1)) * time.Millisecond)}
		l.windows[client] = w
	}
	w.used++
	return quota{l.set.Requests, l.set.Requests - w.used, w.end}
}

func (l *Limiter) roll(client string, now time.Time) quota {
	w := l.windows[client]
	if w == nil {
		w = &window{}
		l.windows[client] = w
	}
	length := time.Duration(max(l.set.WindowMS, 1)) * time.Millisecond
	w.at = slices.DeleteFunc(w.at, func(at time.Time) bool { return !at.After(now.Add(-length)) })
	if len(w.at) >= l.set.Requests {
		return quota{l.set.Requests, -1, w.at[len(w.at)-l.set.Requests].Add(length)}
	}
	w.at = append(w.at, now)
	return quota{l.set.Requests, l.set.Requests - len(w.at), w.at[0].Add(length)}
}
