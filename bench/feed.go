package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// feed edits leads of SalesOS and sends the signed events that SalesOS would, at
// a pace of its own: SalesOS' are dropped.
type feed struct {
	w       *world
	latency time.Duration
	// pairs are the ids of linked records, left and right.
	pairs [][2]string
	plain *plain
	http  *http.Client
	edits int
	// bodies are the events of the edits made last, by number of the pair.
	bodies [][]byte
}

// newFeed brings up a world with n linked records that lives by webhooks alone:
// polls would find what a lost event leaves behind.
func (b *bench) newFeed(ctx context.Context, s *stack, n int, latency time.Duration) (*feed, error) {
	w, err := b.newWorld(ctx, s)
	if err != nil {
		return nil, err
	}
	f, err := w.feed(ctx, n, latency)
	if err != nil {
		w.end()
	}
	return f, err
}

func (w *world) feed(ctx context.Context, n int, latency time.Duration) (*feed, error) {
	w.concurrency(64)
	w.variables["POLL_EVERY"], w.variables["USERS_POLL_EVERY"], w.variables["COMPARE_EVERY"] = "24h", "24h", "240h"
	if _, err := w.seed(ctx, w.left, 1, n); err != nil {
		return nil, err
	}
	if _, err := w.bringUp(ctx); err != nil {
		return nil, err
	}
	if err := w.awaitIdle(ctx); err != nil {
		return nil, err
	}
	links, err := all[link](ctx, w.s.api, w.path("/links"))
	if err != nil {
		return nil, err
	}
	f := &feed{w: w, latency: latency, http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	for _, one := range links {
		f.pairs = append(f.pairs, [2]string{one.Left.ID, one.Right.ID})
	}
	if len(f.pairs) != n {
		return nil, fmt.Errorf("%d of %d records are linked", len(f.pairs), n)
	}
	if f.plain, err = newPlain(ctx, w.left.root, w.right.root, 16); err != nil {
		return nil, err
	}
	if err := w.left.admin.DropWebhooks(ctx, 1<<40); err != nil {
		return nil, err
	}
	return f, w.slow(ctx, latency)
}

func (f *feed) company(i int) string { return fmt.Sprintf("Casa %d of edit %d", i, f.edits) }

// prepare edits the first n leads and makes the events that tell of it.
func (f *feed) prepare(ctx context.Context, n int) error {
	f.edits++
	failed := sideBySide(n, 8, func(i int) error {
		_, err := f.w.left.admin.EditRecord(ctx, f.w.left.object, f.pairs[i][0], map[string]any{"company": f.company(i)})
		return err
	})
	if failed != nil {
		return failed
	}
	rows, err := f.rows(ctx)
	if err != nil {
		return err
	}
	f.bodies = make([][]byte, n)
	for i := range f.bodies {
		row, ok := rows[f.pairs[i][0]]
		if !ok {
			return fmt.Errorf("SalesOS does not list lead %s", f.pairs[i][0])
		}
		f.bodies[i], err = json.Marshal(map[string]any{
			"id": fmt.Sprintf("evt_%d_%d", f.edits, i), "type": "lead.updated", "version": "1", "ts": time.Now().UTC().Format(time.RFC3339), "tenant": "bench", "data": row,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rows are all leads as SalesOS shows them, by id.
func (f *feed) rows(ctx context.Context) (map[string]json.RawMessage, error) {
	rows := map[string]json.RawMessage{}
	for page := 1; ; page++ {
		var listed struct{ Data []json.RawMessage }
		if err := f.plain.call(ctx, http.MethodGet, fmt.Sprintf("%s/v1/leads?per_page=100&page=%d", f.w.left.root, page), f.plain.leftToken, nil, &listed); err != nil {
			return nil, err
		}
		for _, row := range listed.Data {
			var named struct{ ID string }
			if err := json.Unmarshal(row, &named); err != nil {
				return nil, err
			}
			rows[named.ID] = row
		}
		if len(listed.Data) < 100 {
			return rows, nil
		}
	}
}

// sent is one event: when it was due, how long its acknowledgement took after
// that, and whether it was acknowledged.
type sent struct {
	due   time.Time
	ack   time.Duration
	acked bool
}

func (f *feed) send(ctx context.Context, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(f.w.secrets["salesos_webhook"]))
	mac.Write(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.w.s.api.root+"/webhooks/"+f.w.id+"/left", bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("x-salesos-signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	res, err := f.http.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection can be used again
	return res.StatusCode < http.StatusMultipleChoices
}

// fire sends the events at a rate per second, each at its time whether or not
// those before are acknowledged; rate 0: 64 at a time, as fast as they are taken.
func (f *feed) fire(ctx context.Context, bodies [][]byte, rate int) []sent {
	events := make([]sent, len(bodies))
	if rate == 0 {
		_ = sideBySide(len(bodies), 64, func(i int) error { // a refused one is told in events
			due := time.Now()
			ok := f.send(ctx, bodies[i])
			events[i] = sent{due, time.Since(due), ok}
			return nil
		})
		return events
	}
	begun := time.Now()
	var running sync.WaitGroup
	for i := range bodies {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if sleep(ctx, time.Until(due)) != nil {
			break
		}
		running.Go(func() {
			ok := f.send(ctx, bodies[i])
			events[i] = sent{due, time.Since(due), ok}
		})
	}
	running.Wait()
	return events
}

// sideBySide does n things, so many at a time, and tells the first failure.
func sideBySide(n, many int, do func(int) error) error {
	work := make(chan int)
	var running sync.WaitGroup
	var mutex sync.Mutex
	var failed error
	for range many {
		running.Go(func() {
			for i := range work {
				if err := do(i); err != nil {
					mutex.Lock()
					failed = errors.Join(failed, err)
					mutex.Unlock()
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	running.Wait()
	return failed
}

// written tells when each of the first n records was written on the right since
// a position; zero: never.
func (f *feed) written(ctx context.Context, from position, n int) ([]time.Time, error) {
	found, err := f.w.since(ctx, from)
	if err != nil {
		return nil, err
	}
	at := map[string]time.Time{}
	for _, call := range found[1] {
		if call.Effect && call.Method == http.MethodPatch && strings.HasPrefix(call.Path, "/api/2/contacts/") {
			at[call.ID] = call.At.Add(f.latency)
		}
	}
	times := make([]time.Time, n)
	for i := range times {
		times[i] = at[f.pairs[i][1]]
	}
	return times, nil
}

// round is what one volley of edits showed.
type round struct {
	// lags are from the moment an event was due to its write on the other side, acks to its acknowledgement; milliseconds.
	lags, acks []float64
	// rate is events written per second from the first event to the last write.
	rate float64
	// begun and ended span the events and their writes.
	begun, ended time.Time
	calls        int
}

// volley makes n edits, sends their events at a rate, and waits until all is written.
func (f *feed) volley(ctx context.Context, n, rate int) (round, error) {
	var got round
	if err := f.prepare(ctx, n); err != nil {
		return got, err
	}
	from, err := f.w.position(ctx)
	if err != nil {
		return got, err
	}
	events := f.fire(ctx, f.bodies, rate)
	if err := f.w.awaitIdle(ctx); err != nil {
		return got, err
	}
	times, err := f.written(ctx, from, n)
	if err != nil {
		return got, err
	}
	got.begun = events[0].due
	for i, event := range events {
		if !event.acked || times[i].IsZero() {
			return got, fmt.Errorf("event %d of %d: acknowledged %v, written %v", i, n, event.acked, !times[i].IsZero())
		}
		got.acks = append(got.acks, event.ack.Seconds()*1000)
		got.lags = append(got.lags, times[i].Sub(event.due).Seconds()*1000)
		if times[i].After(got.ended) {
			got.ended = times[i]
		}
	}
	got.rate = float64(n) / got.ended.Sub(got.begun).Seconds()
	found, err := f.w.since(ctx, from)
	got.calls = len(found[0]) + len(found[1])
	return got, err
}
