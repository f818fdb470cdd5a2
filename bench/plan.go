package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// plans are SalesOS' requests a minute.
func plans() []int { return []int{100, 500, 2000} }

// measurePlans lets more edits wait in Acme than each plan of SalesOS can carry
// and looks at what the calls to SalesOS were for. The plans are measured side
// by side: they are slow by nature.
func measurePlans(ctx context.Context, b *bench) error {
	s, err := b.newStack(ctx, "")
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }() // its folder goes with the run's
	minutes := b.pick(5, 2)
	var worlds []*world
	var pairs []map[string]string
	defer func() {
		for _, w := range worlds {
			w.end()
		}
	}()
	for _, plan := range plans() {
		w, linked, err := b.planWorld(ctx, s, plan, minutes)
		if w != nil {
			worlds = append(worlds, w)
		}
		if err != nil {
			return err
		}
		pairs = append(pairs, linked)
	}
	b.say("%d minutes begin", minutes)
	found := make([][]wire.Call, len(worlds))
	failed := make([]error, len(worlds))
	var running sync.WaitGroup
	for n, w := range worlds {
		running.Go(func() { found[n], failed[n] = w.exhaust(ctx, plans()[n], minutes, pairs[n]) })
	}
	running.Wait()
	for n, plan := range plans() {
		if failed[n] != nil {
			return fmt.Errorf("plan of %d: %w", plan, failed[n])
		}
		b.results.plan(plan, minutes, found[n])
	}
	return nil
}

// planWorld brings up a connection with as many linked records as the plan could
// write in that time at one call each, and gives the pairs.
func (b *bench) planWorld(ctx context.Context, s *stack, plan, minutes int) (*world, map[string]string, error) {
	w, err := b.newWorld(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	if _, err := w.seed(ctx, w.left, 1, plan*minutes); err != nil {
		return w, nil, err
	}
	if _, err := w.bringUp(ctx); err != nil {
		return w, nil, err
	}
	if err := w.awaitIdle(ctx); err != nil {
		return w, nil, err
	}
	pairs, err := w.counterparts(ctx)
	if err != nil {
		return w, nil, err
	}
	// The customer says which plan it is; from now on SalesOS holds us to it.
	variables := maps.Clone(w.variables)
	variables["SALESOS_REQUESTS_PER_MINUTE"] = fmt.Sprint(plan)
	err = s.api.call(ctx, http.MethodPut, w.path(""), map[string]any{"integration": w.integration, "variables": variables, "secrets": w.secrets}, nil)
	if err != nil {
		return w, nil, err
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		return w, nil, err
	}
	return w, pairs, w.awaitIdle(ctx)
}

// exhaust makes the edits and gives Accord's calls to SalesOS in whole windows
// of the plan, from the first one that began with edits waiting.
func (w *world) exhaust(ctx context.Context, plan, minutes int, pairs map[string]string) ([]wire.Call, error) {
	records, err := w.right.admin.Records(ctx, w.right.object)
	if err != nil {
		return nil, err
	}
	if err := w.left.admin.SetLimits(ctx, wire.Limits{Requests: plan, WindowMS: 60_000}); err != nil {
		return nil, err
	}
	from, err := w.position(ctx)
	if err != nil {
		return nil, err
	}
	err = sideBySide(len(records), 8, func(i int) error {
		if pairs[records[i].ID] == "" {
			return fmt.Errorf("contact %s is not linked", records[i].ID)
		}
		_, err := w.right.admin.EditRecord(ctx, w.right.object, records[i].ID, map[string]any{"company_name": fmt.Sprint("Casa nova ", i)})
		return err
	})
	if err != nil {
		return nil, err
	}
	var found [2][]wire.Call
	err = eventually(ctx, "the minutes are over", func(ctx context.Context) (bool, string) {
		found, err = w.since(ctx, from)
		if err != nil || len(found[0]) == 0 {
			return false, fmt.Sprint("no call yet, error ", err)
		}
		// SalesOS' windows begin with the first call in each.
		return time.Since(found[0][0].At) > time.Duration(minutes)*time.Minute+time.Second, "still counting"
	})
	if err != nil {
		return nil, err
	}
	end := found[0][0].At.Add(time.Duration(minutes) * time.Minute)
	var inside []wire.Call
	for _, call := range found[0] {
		if call.Actor == service && call.At.Before(end) {
			inside = append(inside, call)
		}
	}
	return inside, nil
}

// plan notes what the calls of some minutes were for. SalesOS has no versions:
// a change needs the read immediately before the write, and the write.
func (r *results) plan(plan, minutes int, calls []wire.Call) {
	reads, writes, refused, lists := map[string]bool{}, 0, 0, 0
	for _, call := range calls {
		switch {
		case call.Status == http.StatusTooManyRequests:
			refused++
		case call.Method == http.MethodPatch && call.Effect:
			writes++
			reads[call.ID] = true
		case call.Method == http.MethodGet && strings.HasSuffix(call.Path, "/leads"):
			lists++
		}
	}
	allowed := plan * minutes
	useful := writes + len(reads)
	share := float64(useful) / float64(allowed)
	r.compare(fmt.Sprintf("useful share of a plan of %d a minute", plan),
		of("useful calls", fmt.Sprintf("in %d min", minutes), float64(useful)), of("allowed", fmt.Sprintf("in %d min", minutes), float64(allowed))).
		aim("at least 0.95", share >= 0.95).
		note("%d edits written with a read before each, %d calls in all, of them %d listings", writes, len(calls), lists)
	r.add(fmt.Sprintf("avoidable 429 on a plan of %d a minute", plan), of("429", fmt.Sprintf("in %d min", minutes), float64(refused))).
		aim("0", refused == 0).note("nobody else used the plan, so each one was avoidable")
}
