package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// plainRun starts the plain program on the systems of a world and waits for its end.
func (w *world) plainRun(ctx context.Context, concurrency int, pairs [][2]string) (plainDone, error) {
	args := []string{"plain", "-concurrency", fmt.Sprint(concurrency)}
	if pairs != nil {
		args = append(args, "-pairs")
	}
	return w.tool(ctx, pairs, args...)
}

// tool starts one of bench's own programs on the systems of a world, hands it
// pairs of ids, and waits for its end.
func (w *world) tool(ctx context.Context, pairs [][2]string, args ...string) (plainDone, error) {
	self, err := os.Executable()
	if err != nil {
		return plainDone{}, err
	}
	var in strings.Builder
	for _, pair := range pairs {
		fmt.Fprintf(&in, "%s %s\n", pair[0], pair[1])
	}
	var out, trouble bytes.Buffer
	command := exec.CommandContext(ctx, self, append(args, "-left", w.left.root, "-right", w.right.root)...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(in.String()), &out, &trouble
	if err := command.Run(); err != nil {
		return plainDone{}, fmt.Errorf("the program %s: %w: %s", args[0], err, trouble.String())
	}
	var done plainDone
	if err := json.Unmarshal(out.Bytes(), &done); err != nil {
		return plainDone{}, fmt.Errorf("the program %s printed %.200q: %w", args[0], out.String(), err)
	}
	return done, nil
}

// firstLoads are the samples of one concurrency.
type firstLoads struct {
	rate, again, accord          []float64
	plainCPU, accordCPU, workCPU []float64
	calls                        []float64
}

// measureBackfill compares first loads with the plain program.
func measureBackfill(ctx context.Context, b *bench) error {
	for _, concurrency := range []int{16, 64} {
		if err := b.backfillAt(ctx, concurrency); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) backfillAt(ctx context.Context, concurrency int) error {
	const latency = 20 * time.Millisecond
	n, rounds := b.pick(3000, 500), b.pick(5, 2)
	s, err := b.newStack(ctx, "")
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }() // its folder goes with the run's
	var got firstLoads
	for round := range rounds {
		for _, samples := range []*[]float64{&got.rate, &got.again} {
			done, err := b.plainLoad(ctx, s, concurrency, n, latency)
			if err != nil {
				return err
			}
			*samples = append(*samples, float64(done.Records)/done.Seconds)
			got.plainCPU = append(got.plainCPU, done.CPU/float64(n)*1000)
		}
		if err := b.accordLoad(ctx, s, concurrency, n, latency, &got); err != nil {
			return err
		}
		b.say("concurrency %d, round %d of %d: plain %.0f and %.0f/s, Accord %.0f/s with %.2f calls per record", concurrency, round+1, rounds,
			got.rate[round], got.again[round], got.accord[round], got.calls[round])
	}
	at := fmt.Sprintf("concurrency %d, latency 20 ms", concurrency)
	b.results.compare("A/A control, "+at, of("plain loop", "records/s", got.again...), of("plain loop", "records/s", got.rate...)).
		note("how far the machine is off by itself")
	f := b.results.compare("first load, "+at, of("Accord", "records/s", got.accord...), of("plain loop", "records/s", append(got.rate, got.again...)...))
	f.aim("at least 0.9", f.Ratio >= 0.9).note("Accord makes %s calls per record, the plain loop 1.01", number(median(got.calls)))
	b.results.compare("CPU of a first load, "+at, of("Accord, all processes", "ms/record", got.accordCPU...), of("plain loop", "ms/record", got.plainCPU...)).
		note("of it the worker %s ms", number(median(got.workCPU)))
	return nil
}

func (b *bench) plainLoad(ctx context.Context, s *stack, concurrency, n int, latency time.Duration) (plainDone, error) {
	w, err := b.newWorld(ctx, s)
	if err != nil {
		return plainDone{}, err
	}
	defer w.end()
	if _, err := w.seed(ctx, w.left, 1, n); err != nil {
		return plainDone{}, err
	}
	if err := w.slow(ctx, latency); err != nil {
		return plainDone{}, err
	}
	done, err := w.plainRun(ctx, concurrency, nil)
	if err == nil && done.Records != n {
		err = fmt.Errorf("the plain program copied %d of %d records", done.Records, n)
	}
	return done, err
}

// accordLoad measures from the first listing call to the last create, as the
// systems saw them, and the CPU time up to the end of the run.
func (b *bench) accordLoad(ctx context.Context, s *stack, concurrency, n int, latency time.Duration, got *firstLoads) error {
	w, err := b.newWorld(ctx, s)
	if err != nil {
		return err
	}
	defer w.end()
	w.concurrency(concurrency)
	if _, err := w.seed(ctx, w.left, 1, n); err != nil {
		return err
	}
	if err := w.slow(ctx, latency); err != nil {
		return err
	}
	before := s.usage()
	run, err := w.bringUp(ctx)
	if err != nil {
		return err
	}
	used := s.usage().since(before)
	found, err := w.since(ctx, position{})
	if err != nil {
		return err
	}
	creates, last := 0, run.StartedAt
	for _, call := range found[1] {
		if call.Method == http.MethodPost && strings.HasPrefix(call.Path, "/api/2/contacts") {
			creates++
			last = call.At.Add(latency)
		}
	}
	if run.Counts["created"] != n {
		return fmt.Errorf("the run created %d of %d records: %+v", run.Counts["created"], n, run.Counts)
	}
	if err := w.awaitIdle(ctx); err != nil {
		return err
	}
	found, err = w.since(ctx, position{})
	if err != nil {
		return err
	}
	got.accord = append(got.accord, float64(n)/last.Sub(run.StartedAt).Seconds())
	got.accordCPU = append(got.accordCPU, used.total().Seconds()/float64(n)*1000)
	got.workCPU = append(got.workCPU, used.worker.Seconds()/float64(n)*1000)
	got.calls = append(got.calls, float64(len(found[0])+len(found[1]))/float64(n))
	return w.leave(ctx)
}

// leave ends the connection, so that nothing of it runs beside what comes next.
func (w *world) leave(ctx context.Context) error {
	return w.s.api.call(ctx, http.MethodDelete, w.path(""), nil, nil)
}
