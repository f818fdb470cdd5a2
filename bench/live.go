package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// measureLive measures the way from a signed webhook to the write on the other side.
func measureLive(ctx context.Context, b *bench) error {
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		if err := b.liveAt(ctx, latency); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) liveAt(ctx context.Context, latency time.Duration) error {
	n, rounds := b.pick(3000, 500), b.pick(5, 2)
	s, err := b.newStack(ctx, "")
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }() // its folder goes with the run's
	f, err := b.newFeed(ctx, s, n, latency)
	if err != nil {
		return err
	}
	defer f.w.end()
	at := fmt.Sprintf(", latency %d ms", latency.Milliseconds())
	if err := b.sustained(ctx, f, n, rounds, at); err != nil {
		return err
	}
	for _, pace := range []struct{ rate, events int }{{50, b.pick(500, 150)}, {500, n}} {
		var half, most, acks []float64
		for range rounds {
			got, err := f.volley(ctx, pace.events, pace.rate)
			if err != nil {
				return err
			}
			half, most, acks = append(half, percentile(got.lags, 0.5)), append(most, percentile(got.lags, 0.99)), append(acks, percentile(got.acks, 0.99))
		}
		name := fmt.Sprintf("event to write at %d/s%s", pace.rate, at)
		b.results.add(name+", p50", of("Accord", "ms", half...))
		b.results.add(name+", p99", of("Accord", "ms", most...)).note("acknowledged within %s ms (p99)", number(median(acks)))
		b.say("%d/s: p50 %.0f ms, p99 %.0f ms", pace.rate, median(half), median(most))
	}
	if latency > 0 {
		return nil
	}
	if err := b.acknowledged(ctx, f, rounds); err != nil {
		return err
	}
	return b.killed(ctx, f, n)
}

// sustained sends all events at once and measures how fast they are written,
// against a program that makes the read and the write of each and nothing else.
func (b *bench) sustained(ctx context.Context, f *feed, n, rounds int, at string) error {
	var rates, limits []float64
	calls := 0.0
	for range rounds {
		if err := f.prepare(ctx, n); err != nil {
			return err
		}
		// The plain program is told what to write elsewhere; Accord's edits come after it.
		done, err := f.w.plainRun(ctx, 64, f.pairs[:n])
		if err != nil {
			return err
		}
		limits = append(limits, float64(done.Records)/done.Seconds)
		if err := f.w.awaitIdle(ctx); err != nil {
			return err
		}
		got, err := f.volley(ctx, n, 0)
		if err != nil {
			return err
		}
		rates = append(rates, got.rate)
		calls = float64(got.calls) / float64(n)
		b.say("%d events at once%s: %.0f/s, the plain loop %.0f/s", n, at, got.rate, limits[len(limits)-1])
	}
	b.results.compare("events sustained, concurrency 64"+at, of("Accord", "events/s", rates...), of("plain loop", "records/s", limits...)).
		note("a backlog of %d; %s calls per event, the plain loop 2", n, number(calls))
	return nil
}

// acknowledged sends 1,000 events a second, all of which must be stored: what
// they show is not what Accord knows.
func (b *bench) acknowledged(ctx context.Context, f *feed, rounds int) error {
	var most []float64
	refused := 0
	for range rounds {
		if err := f.prepare(ctx, len(f.pairs)); err != nil {
			return err
		}
		events := f.fire(ctx, f.bodies, 1000)
		var acks []float64
		for _, event := range events {
			acks = append(acks, event.ack.Seconds()*1000)
			if !event.acked {
				refused++
			}
		}
		most = append(most, percentile(acks, 0.99))
		if err := f.w.awaitIdle(ctx); err != nil {
			return err
		}
	}
	p99 := median(most)
	b.results.add("acknowledgement at 1,000/s, p99", of("Accord", "ms", most...)).aim("at most 10 ms", p99 <= 10).
		note("%d refused; while the worker works on them on the same machine", refused)
	return nil
}

// killed kills API and worker with SIGKILL under 500 events a second and counts
// the acknowledged events that were not written in the end.
func (b *bench) killed(ctx context.Context, f *feed, n int) error {
	if err := f.prepare(ctx, n); err != nil {
		return err
	}
	done := make(chan []sent, 1)
	go func() { done <- f.fire(ctx, f.bodies, 500) }()
	span := time.Duration(n) * time.Second / 500
	for _, victim := range []*process{f.w.s.web, f.w.s.worker} {
		if err := sleep(ctx, span/4); err != nil {
			return err
		}
		victim.end(syscall.SIGKILL)
		if err := victim.start(ctx); err != nil {
			return err
		}
	}
	events := <-done
	if err := f.w.s.awaitReady(ctx); err != nil {
		return err
	}
	if err := f.w.awaitIdle(ctx); err != nil {
		return err
	}
	records, err := f.w.right.admin.Records(ctx, f.w.right.object)
	if err != nil {
		return err
	}
	holds := map[string]any{}
	for _, one := range records {
		holds[one.ID] = one.Fields["company_name"]
	}
	acked, lost := 0, 0
	for i, event := range events {
		if !event.acked {
			continue
		}
		acked++
		if holds[f.pairs[i][1]] != f.company(i) {
			lost++
		}
	}
	b.results.add("acknowledged events lost by SIGKILL of API and worker at 500/s", of("Accord", "events", float64(lost))).
		aim("0", lost == 0).note("%d of %d events were acknowledged; the others met a dead API, and no poll helped", acked, n)
	return nil
}
