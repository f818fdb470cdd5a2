package hooks

import (
	"bytes"
	"io"
	"math/rand"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func (q *Queue) work() {
	defer q.wg.Done()
	for {
		q.mu.Lock()
		for len(q.ready) == 0 && !q.closed {
			q.cond.Wait()
		}
		if q.closed {
			q.mu.Unlock()
			return
		}
		chain := q.ready[0]
		q.ready = q.ready[1:]
		q.sending += len(chain)
		q.mu.Unlock()
		for _, m := range chain {
			q.send(m)
		}
	}
}

// send makes one attempt and decides what becomes of the message.
func (q *Queue) send(m *message) {
	h, there := q.Get(m.HookID)
	if !there || !h.Active {
		q.settle(m, wire.StateLost)
		return
	}
	body, header, err := q.encode(h, m)
	status := 0
	switch {
	case err != nil:
	case h.ID == brokerHook:
		status = q.publish(m.ID, body, header)
	default:
		status = q.post(h.URL, body, header)
	}
	q.mu.Lock()
	m.Attempts++
	m.LastStatus = status
	m.Body = string(body)
	ok := status >= 200 && status < 300
	if cur := q.hook(m.HookID); cur != nil && !m.Forged {
		q.count(cur, ok)
	}
	if !ok && !m.Forged && m.Attempts <= len(q.opts.Pauses) && !q.closed {
		q.later(m, q.opts.Pauses[m.Attempts-1])
		q.sending--
		q.mu.Unlock()
		return
	}
	q.mu.Unlock()
	if ok {
		q.settle(m, wire.StateDelivered)
	} else {
		q.settle(m, wire.StateLost)
	}
}

func (q *Queue) count(h *Hook, ok bool) {
	if ok {
		h.Failures = 0
		return
	}
	h.Failures++
	if q.opts.DisableAfter > 0 && h.ID != brokerHook && h.Failures >= q.opts.DisableAfter {
		h.Active = false
	}
}

func (q *Queue) post(url string, body []byte, header http.Header) int {
	req, err := http.NewRequestWithContext(q.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	res, err := q.client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	// Read a little, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	return res.StatusCode
}

func (q *Queue) later(m *message, pause time.Duration) {
	m.State = wire.StateRetrying
	q.retries[m] = time.AfterFunc(time.Duration(float64(pause)/q.opts.Scale), func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.again(m)
	})
}

func (q *Queue) again(m *message) {
	if _, waiting := q.retries[m]; !waiting {
		return
	}
	delete(q.retries, m)
	m.State = wire.StatePending
	q.push([]*message{m})
}

func (q *Queue) settle(m *message, state string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending--
	q.finish(m, state)
}

func (q *Queue) finish(m *message, state string) {
	m.State = state
	switch state {
	case wire.StateDelivered:
		q.done.Delivered++
	case wire.StateLost:
		q.done.Lost++
	case wire.StateDropped:
		q.done.Dropped++
	}
	if len(q.recent) >= maxRecent {
		q.recent = slices.Delete(q.recent, 0, maxRecent/10)
	}
	q.recent = append(q.recent, m)
}

// Hold keeps all further events until Release.
func (q *Queue) Hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.holding = true
}

// Release stops holding and sends what was held, one message after another.
func (q *Queue) Release(r wire.Release) {
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.held
	q.held, q.holding = nil, false
	if r.Merge {
		held = lastOfEach(held)
	}
	switch r.Order {
	case wire.Reversed:
		slices.Reverse(held)
	case wire.Shuffled:
		rnd := rand.New(rand.NewSource(r.Seed))
		rnd.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	}
	size := min(max(r.Batch, 1), q.opts.BatchMax)
	var chain []*message
	for len(held) > 0 {
		n := 1
		for n < min(size, len(held)) && held[n].hook == held[0].hook {
			n++
		}
		events := make([]Event, 0, n)
		for _, h := range held[:n] {
			events = append(events, h.event)
		}
		chain = append(chain, q.message(held[0].hook, events))
		held = held[n:]
	}
	if len(chain) > 0 {
		q.push(chain)
	}
}

// Drop loses the next n events (n per listening hook counts each).
func (q *Queue) Drop(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop = n
}

// Repeat delivers the next events several times.
func (q *Queue) Repeat(r wire.Repeat) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.repeat = repeating{times: r.Times, left: r.Count, forever: r.Count == 0}
}

// RetryNow sends at once what waits for its next attempt.
func (q *Queue) RetryNow() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for m, t := range q.retries {
		t.Stop()
		q.again(m)
	}
}

// Reset forgets all hooks, the broker and messages.
func (q *Queue) Reset() {
	q.PublishTo(nil)
	q.mu.Lock()
	defer q.mu.Unlock()
	for m, t := range q.retries {
		t.Stop()
		delete(q.retries, m)
	}
	q.hooks, q.ready, q.held, q.recent = nil, nil, nil, nil
	q.open = map[string][]Event{}
	q.holding, q.drop, q.repeat, q.done = false, 0, repeating{}, wire.HookState{}
	q.spoils = nil
}

// State describes hooks and queue, and on request the latest messages.
func (q *Queue) State(deliveries bool) wire.HookState {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.done
	s.Holding, s.Held, s.Retrying = q.holding, len(q.held), len(q.retries)
	s.Hooks = []wire.HookStatus{}
	for _, h := range q.hooks {
		s.Hooks = append(s.Hooks, wire.HookStatus{ID: h.ID, URL: h.URL, Events: h.Events, Active: h.Active, Failures: h.Failures})
	}
	s.Waiting = q.sending + len(q.open)
	for _, chain := range q.ready {
		s.Waiting += len(chain)
	}
	if deliveries {
		s.Deliveries = q.deliveries()
	}
	return s
}

func (q *Queue) deliveries() []wire.Delivery {
	var out []wire.Delivery
	for _, m := range q.recent {
		out = append(out, m.Delivery)
	}
	for m := range q.retries {
		out = append(out, m.Delivery)
	}
	for _, chain := range q.ready {
		for _, m := range chain {
			out = append(out, m.Delivery)
		}
	}
	for i, h := range q.held {
		out = append(out, wire.Delivery{ID: "held_" + strconv.Itoa(i), HookID: h.hook, State: wire.StateHeld,
			Events: []string{h.event.Name}, Records: []string{h.event.Record}, EventIDs: []string{h.event.ID}})
	}
	return out
}
