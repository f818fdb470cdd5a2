// Package hooks delivers a sandbox's webhooks: signed by the vendor's own
// encoder, retried on the vendor's schedule, switched off after too many
// failures, and held, dropped, repeated or reordered on demand.
package hooks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Hook is a registered webhook.
type Hook struct {
	ID          string
	URL         string
	Description string
	Events      []string
	Secret      string
	// OldSecret signs too while a rotation lasts; empty for none.
	OldSecret string
	Active    bool
	// Failures in a row; at Options.DisableAfter the hook is switched off.
	Failures  int
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Wants says whether the hook listens to an event: by name, "*" or "lead.*".
func (h *Hook) Wants(event string) bool {
	for _, e := range h.Events {
		if e == event || e == "*" || (strings.HasSuffix(e, ".*") && strings.HasPrefix(event, e[:len(e)-1])) {
			return true
		}
	}
	return false
}

// Event is something to tell. Data is the vendor's own.
type Event struct {
	ID     string
	Name   string
	Record string
	At     time.Time
	Data   any
}

// Options make a Queue.
type Options struct {
	// Encode makes one message and signs it, as of a shift away from now where the
	// time is signed too. It is called for each attempt. Required.
	Encode func(h Hook, events []Event, shift time.Duration) ([]byte, http.Header, error)
	// Timeout for the receiver's answer.
	Timeout time.Duration
	// Pauses before the second, third… attempt; after the last one the message is lost.
	Pauses []time.Duration
	// Scale divides the pauses: 60 makes a minute a second. Default 1.
	Scale float64
	// DisableAfter that many failures in a row a hook is switched off; 0 never.
	DisableAfter int
	// BatchMax events go into one message (default 1), collected for BatchWait.
	BatchMax  int
	BatchWait time.Duration
	// Workers send at the same time; default 8.
	Workers int
}

// message is one POST to one hook.
type message struct {
	wire.Delivery
	events []Event
	// honest says that a forged message is signed well.
	honest bool
}

type heldEvent struct {
	hook  string
	event Event
}

type repeating struct {
	times, left int
	forever     bool
}

// maxRecent bounds the finished messages that State shows.
const maxRecent = 2000

// Queue delivers. Safe for concurrent use.
type Queue struct {
	opts   Options
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	cond    *sync.Cond
	closed  bool
	seq     int
	hooks   []*Hook
	outlet  *outlet
	ready   [][]*message
	open    map[string][]Event
	sending int
	retries map[*message]*time.Timer
	holding bool
	held    []heldEvent
	drop    int
	repeat  repeating
	spoils  []wire.Spoil
	recent  []*message
	done    wire.HookState
}

// New starts a Queue. Close it.
func New(o Options) *Queue {
	if o.Scale <= 0 {
		o.Scale = 1
	}
	o.BatchMax = max(o.BatchMax, 1)
	if o.Workers <= 0 {
		o.Workers = 8
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := &Queue{opts: o, ctx: ctx, cancel: cancel, open: map[string][]Event{}, retries: map[*message]*time.Timer{},
		client: &http.Client{
			Timeout:       o.Timeout,
			Transport:     &http.Transport{MaxIdleConnsPerHost: o.Workers, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
	q.cond = sync.NewCond(&q.mu)
	for range o.Workers {
		q.wg.Add(1)
		go q.work()
	}
	return q
}

// Close stops all deliveries and waits for the senders.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	for m, t := range q.retries {
		t.Stop()
		delete(q.retries, m)
	}
	q.cond.Broadcast()
	q.mu.Unlock()
	q.cancel()
	q.wg.Wait()
	if q.outlet != nil {
		q.outlet.close()
	}
	q.client.CloseIdleConnections()
}

// Put adds or replaces a hook.
func (q *Queue) Put(h Hook) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.hooks {
		if q.hooks[i].ID == h.ID {
			q.hooks[i] = &h
			return
		}
	}
	q.hooks = append(q.hooks, &h)
}

// Get gives a hook.
func (q *Queue) Get(id string) (Hook, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if h := q.hook(id); h != nil {
		return *h, true
	}
	return Hook{}, false
}

func (q *Queue) hook(id string) *Hook {
	for _, h := range q.hooks {
		if h.ID == id {
			return h
		}
	}
	return nil
}

// Remove deletes a hook; what still waits for it is lost.
func (q *Queue) Remove(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.hooks)
	q.hooks = slices.DeleteFunc(q.hooks, func(h *Hook) bool { return h.ID == id })
	return len(q.hooks) < before
}

// List gives all hooks that were registered, in the order of their creation.
func (q *Queue) List() []Hook {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]Hook, 0, len(q.hooks))
	for _, h := range q.hooks {
		if h.ID != brokerHook {
			out = append(out, *h)
		}
	}
	return out
}

// Publish tells an event to every active hook that wants it. It is quick and
// never waits for a receiver. build is called only if somebody listens.
func (q *Queue) Publish(name string, build func() Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var e Event
	built := false
	for _, h := range q.hooks {
		if !h.Active || !h.Wants(name) {
			continue
		}
		if !built {
			e, built = build(), true
		}
		q.admit(h.ID, e)
	}
}

func (q *Queue) admit(hook string, e Event) {
	if q.drop > 0 {
		q.drop--
		q.finish(q.message(hook, []Event{e}), wire.StateDropped)
		return
	}
	times := 1
	if q.repeat.times > 1 && (q.repeat.forever || q.repeat.left > 0) {
		times = q.repeat.times
		q.repeat.left--
	}
	for range times {
		switch {
		case q.holding:
			q.held = append(q.held, heldEvent{hook, e})
		case q.opts.BatchMax == 1 || times > 1:
			q.push([]*message{q.message(hook, []Event{e})})
		default:
			q.collect(hook, e)
		}
	}
}

// collect puts the event into the hook's open batch, which closes when it is full or old.
func (q *Queue) collect(hook string, e Event) {
	q.open[hook] = append(q.open[hook], e)
	switch len(q.open[hook]) {
	case q.opts.BatchMax:
		q.closeBatch(hook)
	case 1:
		time.AfterFunc(q.opts.BatchWait, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.closeBatch(hook)
		})
	}
}

func (q *Queue) closeBatch(hook string) {
	events := q.open[hook]
	delete(q.open, hook)
	if len(events) > 0 {
		q.push([]*message{q.message(hook, events)})
	}
}

func (q *Queue) message(hook string, events []Event) *message {
	q.seq++
	m := &message{events: events, Delivery: wire.Delivery{ID: fmt.Sprintf("dlv_%d", q.seq), HookID: hook, State: wire.StatePending}}
	for _, e := range events {
		m.Events = append(m.Events, e.Name)
		m.Records = append(m.Records, e.Record)
		m.EventIDs = append(m.EventIDs, e.ID)
	}
	return m
}

// push queues messages that are to be sent one after another.
func (q *Queue) push(chain []*message) {
	if q.closed {
		return
	}
	q.ready = append(q.ready, chain)
	q.cond.Signal()
}
