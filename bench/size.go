package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/ledger"
)

// measureSizes measures the cost of a live edit and the worker's memory with
// ledgers of growing size, on both databases.
func measureSizes(ctx context.Context, b *bench) error {
	sizes := []int{10_000, 100_000, 1_000_000}
	if b.quick {
		sizes = sizes[:2]
	}
	for _, name := range []string{"SQLite", "Postgres"} {
		var cpus, rates []float64
		for _, links := range sizes {
			cpu, rate, err := b.sizeOn(ctx, name, links)
			if err != nil {
				return fmt.Errorf("%d links on %s: %w", links, name, err)
			}
			cpus, rates = append(cpus, cpu), append(rates, rate)
		}
		last := len(sizes) - 1
		f := b.results.compare(fmt.Sprintf("growth of the cost per record, %s", name),
			of(fmt.Sprintf("with %d links", sizes[last]), "ms CPU/record", cpus[last]), of(fmt.Sprintf("with %d links", sizes[0]), "ms CPU/record", cpus[0]))
		f.aim("at most 1.15", f.Ratio <= 1.15)
		b.results.compare(fmt.Sprintf("growth of the rate, %s", name),
			of(fmt.Sprintf("with %d links", sizes[last]), "records/s", rates[last]), of(fmt.Sprintf("with %d links", sizes[0]), "records/s", rates[0]))
	}
	return nil
}

func (b *bench) sizeOn(ctx context.Context, name string, links int) (cpu, rate float64, err error) {
	db, usedByDB := "", func() time.Duration { return 0 }
	if name == "Postgres" {
		server, err := b.startPostgres(ctx)
		if err != nil {
			return 0, 0, err
		}
		defer server.stop()
		db, usedByDB = server.address, server.cpu
	}
	s, err := b.newStack(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = s.stop() }() // its folder goes with the run's
	l, err := b.newLarge(ctx, s, links)
	if err != nil {
		return 0, 0, err
	}
	defer l.w.end()
	count, rounds := b.pick(2000, 500), b.pick(5, 2)
	var cpus, workers, rates []float64
	for round := range rounds + 1 {
		before, beforeDB := s.usage(), usedByDB()
		took, err := l.volley(ctx, count, round)
		if err != nil {
			return 0, 0, err
		}
		if round == 0 {
			continue // the first one warms up
		}
		used := s.usage().since(before)
		cpus = append(cpus, (used.total()+usedByDB()-beforeDB).Seconds()*1000/float64(count))
		workers = append(workers, used.worker.Seconds()*1000/float64(count))
		rates = append(rates, float64(count)/took.Seconds())
	}
	peak := float64(s.worker.peak()) / (1 << 20)
	at := fmt.Sprintf(" with %d links, %s", links, name)
	b.say("%s: %.2f ms CPU per record, %.0f/s, worker at most %.0f MB", strings.TrimSpace(at), median(cpus), median(rates), peak)
	b.results.add("cost of a live edit"+at, of("all processes", "ms CPU/record", cpus...)).
		note("of it the worker %s ms; %s records/s from a backlog of %d", number(median(workers)), number(median(rates)), count)
	b.results.add("peak memory of the worker"+at, of("VmHWM", "MB", peak)).aim("under 256 MB", peak < 256)
	return median(cpus), median(rates), nil
}

// large is a world whose ledger was filled without a first load.
type large struct {
	w     *world
	links int
	http  *http.Client
}

// newLarge brings up a world of one pair and copies its link in the ledger.
func (b *bench) newLarge(ctx context.Context, s *stack, links int) (*large, error) {
	w, err := b.newWorld(ctx, s)
	if err != nil {
		return nil, err
	}
	w.end()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bare := func(root string) string { return strings.TrimPrefix(root, "http://") }
	w.systems = &process{
		name: "target", log: filepath.Join(s.dir, "target.log"),
		args: []string{self, "target", "-left", bare(w.left.root), "-right", bare(w.right.root)},
	}
	if err := w.systems.start(ctx); err != nil {
		return nil, err
	}
	w.concurrency(64)
	w.variables["POLL_EVERY"], w.variables["USERS_POLL_EVERY"], w.variables["COMPARE_EVERY"] = "24h", "24h", "240h"
	l := &large{w: w, links: links, http: &http.Client{Timeout: time.Minute}}
	if err := l.fill(ctx); err != nil {
		w.end()
		return nil, err
	}
	return l, nil
}

func (l *large) fill(ctx context.Context) error {
	err := eventually(ctx, "the target answers", func(ctx context.Context) (bool, string) {
		status, err := probe(ctx, l.w.left.root+"/v1/users")
		return status == http.StatusOK, fmt.Sprint(err)
	})
	if err != nil {
		return err
	}
	if _, err := l.w.bringUp(ctx); err != nil {
		return err
	}
	s := l.w.s
	key, err := config.ParseKey(s.key)
	if err != nil {
		return err
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	store, err := app.OpenStore(ctx, config.Settings{DB: s.db, Key: key}, quiet, time.Now)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // what was committed is there
	owner := ledger.Key{Tenant: app.DefaultTenant, Connection: l.w.id}
	found, _, err := store.Links(ctx, owner, ledger.LinkFilter{Stream: "leads"}, ledger.ListOptions{})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d links after a first load of one pair", len(found))
	}
	begun := time.Now()
	for from := 1; from < l.links; from += 1000 {
		var commit ledger.Commit
		for n := from; n < min(from+1000, l.links); n++ {
			link, err := copyOf(found[0], n)
			if err != nil {
				return err
			}
			commit.PutLinks = append(commit.PutLinks, link)
		}
		if err := store.Commit(ctx, owner, commit); err != nil {
			return err
		}
	}
	l.w.b.say("%d links stored in %.0f s", l.links, time.Since(begun).Seconds())
	return nil
}

// copyOf is the link of record 0 as record n would have it.
func copyOf(link ledger.Link, n int) (ledger.Link, error) {
	raw, err := json.Marshal(link)
	if err != nil {
		return link, err
	}
	var copied ledger.Link
	decoder := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(raw, []byte("000000000"), fmt.Appendf(nil, "%09d", n))))
	decoder.UseNumber()
	err = decoder.Decode(&copied)
	copied.ID = app.NewID()
	return copied, err
}

// volley edits count leads, spread over all, sends their events at once, and
// gives the time from the first event to the last write.
func (l *large) volley(ctx context.Context, count, round int) (time.Duration, error) {
	ids := make([]string, count)
	for i := range ids {
		ids[i] = fmt.Sprintf("l%09d", (i*(l.links/count)+round)%l.links)
	}
	rows := []json.RawMessage{}
	if err := l.call(ctx, http.MethodPost, "/bench/edit", map[string]any{"ids": ids, "company": fmt.Sprint("Casa nova ", round)}, &rows); err != nil {
		return 0, err
	}
	bodies := make([][]byte, count)
	for i, row := range rows {
		raw, err := json.Marshal(map[string]any{"id": fmt.Sprintf("evt_%d_%d", round, i), "type": "lead.updated", "data": row})
		if err != nil {
			return 0, err
		}
		bodies[i] = raw
	}
	written := 0
	if err := l.call(ctx, http.MethodGet, "/bench/written", nil, &written); err != nil {
		return 0, err
	}
	begun, f := time.Now(), &feed{w: l.w, http: l.http}
	for i, event := range f.fire(ctx, bodies, 0) {
		if !event.acked {
			return 0, fmt.Errorf("event %d of %d was not acknowledged", i, count)
		}
	}
	err := eventually(ctx, "all edits are written", func(ctx context.Context) (bool, string) {
		now := 0
		err := l.call(ctx, http.MethodGet, "/bench/written", nil, &now)
		return err == nil && now-written >= count, fmt.Sprintf("%d of %d, error %v; the worker said:\n%s", now-written, count, err, l.w.s.worker.tail())
	})
	took := time.Since(begun)
	if err != nil {
		return 0, err
	}
	return took, sleep(ctx, time.Second)
}

func (l *large) call(ctx context.Context, method, path string, in, out any) error {
	api := client{root: l.w.left.root, http: l.http}
	return api.call(ctx, method, path, in, out)
}
