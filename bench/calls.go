package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// spent is what some changes cost in calls to the two systems.
type spent struct {
	reads, searches, lists, writes, after, other int
}

func (s spent) total() int { return s.reads + s.searches + s.lists + s.writes + s.after + s.other }

func (s spent) per(changes int) string {
	each := func(n int) string { return number(float64(n) / float64(changes)) }
	return fmt.Sprintf("writes %s, reads before the write %s, searches %s, listings and polls %s, reads after the write (echoes) %s, other %s",
		each(s.writes), each(s.reads), each(s.searches), each(s.lists), each(s.after), each(s.other))
}

// position is a place in the request logs of both systems.
type position [2]int64

func (w *world) position(ctx context.Context) (position, error) {
	var p position
	for n, on := range w.both() {
		calls, err := on.admin.Calls(ctx, 0)
		if err != nil {
			return p, err
		}
		if len(calls) > 0 {
			p[n] = calls[len(calls)-1].Seq
		}
	}
	return p, nil
}

// since lists Accord's calls behind a position, by system.
func (w *world) since(ctx context.Context, from position) ([2][]wire.Call, error) {
	var found [2][]wire.Call
	for n, on := range w.both() {
		calls, err := on.admin.Calls(ctx, from[n])
		if err != nil {
			return found, err
		}
		for _, call := range calls {
			// A request for a token is Accord's too, though it has no actor yet.
			if call.Actor == service || call.Actor == "" {
				found[n] = append(found[n], call)
			}
		}
	}
	return found, nil
}

// spentSince sorts Accord's calls behind a position. A read of a record that
// Accord wrote before (or whose counterpart it wrote) is counted as one after the
// write: an echo, or a check.
func (w *world) spentSince(ctx context.Context, from position, pairs map[string]string) (spent, error) {
	var s spent
	found, err := w.since(ctx, from)
	if err != nil {
		return s, err
	}
	wrote := map[string]time.Time{}
	for _, calls := range found {
		for _, call := range calls {
			if call.Effect && call.Method != http.MethodGet {
				wrote[call.ID] = call.At
				wrote[pairs[call.ID]] = call.At
			}
		}
	}
	for n, calls := range found {
		object := w.both()[n].object
		for _, call := range calls {
			place := call.Path[strings.LastIndex(call.Path, "/")+1:]
			at, written := wrote[call.ID]
			switch {
			case !strings.Contains(call.Path, "/"+object) && call.Method == http.MethodGet && call.ID == "":
				s.lists++ // of other streams, of deletes
			case !strings.Contains(call.Path, "/"+object):
				s.other++
			case call.Method != http.MethodGet:
				s.writes++
			case place == "search" || strings.Contains(call.Query, "search="):
				s.searches++
			case place == object || place == "batch":
				s.lists++
			case written && call.At.After(at):
				s.after++
			default:
				s.reads++
			}
		}
	}
	return s, nil
}

// kind is a kind of change whose calls are counted.
type kind struct {
	name string
	// aim is the most calls per change; 0: none is set.
	aim float64
	// make makes n changes as users do, of records numbered from first.
	make func(ctx context.Context, first, n int) error
}

// measureCalls counts the calls of first loads and of live changes.
func measureCalls(ctx context.Context, b *bench) (err error) {
	s, err := b.newStack(ctx, "")
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }() // its folder goes with the run's
	for _, toRight := range []bool{true, false} {
		if err := b.countFirstLoad(ctx, s, toRight); err != nil {
			return err
		}
	}
	return b.countLive(ctx, s)
}

// countFirstLoad counts the calls of a first load that creates all records on one side.
func (b *bench) countFirstLoad(ctx context.Context, s *stack, toRight bool) error {
	n := b.pick(1000, 300)
	w, err := b.newWorld(ctx, s)
	if err != nil {
		return err
	}
	defer w.end()
	from, name, aim := w.left, "first load, created in Acme (unique keys)", 1.05
	if !toRight {
		from, name, aim = w.right, "first load, created in SalesOS (no unique keys)", 0
	}
	if _, err := w.seed(ctx, from, 1, n); err != nil {
		return err
	}
	if _, err := w.bringUp(ctx); err != nil {
		return err
	}
	if err := w.awaitIdle(ctx); err != nil {
		return err
	}
	pairs, err := w.counterparts(ctx)
	if err != nil {
		return err
	}
	if len(pairs) != 2*n {
		return fmt.Errorf("%d of %d records are linked after the first load", len(pairs)/2, n)
	}
	cost, err := w.spentSince(ctx, position{}, pairs)
	if err != nil {
		return err
	}
	b.results.calls(name, aim, []spent{cost}, n)
	return nil
}

// calls notes the calls per change of some rounds of n changes.
func (r *results) calls(name string, aim float64, rounds []spent, n int) {
	var samples []float64
	for _, one := range rounds {
		samples = append(samples, float64(one.total())/float64(n))
	}
	f := r.add(name, of("calls", "per change", samples...)).note("%s", rounds[len(rounds)-1].per(n))
	if aim > 0 {
		f.aim("at most "+number(aim), f.Value.Median <= aim+0.005)
	}
}

// countLive counts the calls of live changes of all kinds, five rounds each.
func (b *bench) countLive(ctx context.Context, s *stack) error {
	n, rounds := b.pick(200, 60), b.pick(5, 2)
	w, err := b.newWorld(ctx, s)
	if err != nil {
		return err
	}
	defer w.end()
	w.variables["VERIFY_AFTER"] = "2s"
	left, err := w.seed(ctx, w.left, 1, n)
	if err != nil {
		return err
	}
	if _, err := w.bringUp(ctx); err != nil {
		return err
	}
	if err := w.awaitIdle(ctx); err != nil {
		return err
	}
	pairs, err := w.counterparts(ctx)
	if err != nil {
		return err
	}
	right := make([]string, len(left))
	for i, id := range left {
		right[i] = pairs[id]
	}
	for _, k := range w.kinds(left, right) {
		if err := b.countKind(ctx, w, k, n, rounds); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// kinds are the kinds of live changes, of linked records of which ids are given.
func (w *world) kinds(left, right []string) []kind {
	round := 0
	edit := func(on *system, ids []string, field string) func(context.Context, int, int) error {
		return func(ctx context.Context, _, n int) error {
			round++
			return paced(ctx, n, func(i int) error {
				_, err := on.admin.EditRecord(ctx, on.object, ids[i], map[string]any{field: fmt.Sprintf("Casa %d of %d", i, round)})
				return err
			})
		}
	}
	create := func(on *system, fields func(number int) map[string]any) func(context.Context, int, int) error {
		return func(ctx context.Context, first, n int) error {
			return paced(ctx, n, func(i int) error {
				_, err := on.admin.CreateRecord(ctx, on.object, fields(first+i))
				return err
			})
		}
	}
	remove := func(on *system) func(context.Context, int, int) error {
		return func(ctx context.Context, _, n int) error {
			live, err := on.admin.Records(ctx, on.object)
			if err != nil {
				return err
			}
			if len(live) < n {
				return fmt.Errorf("%d records to delete, %d needed", len(live), n)
			}
			return paced(ctx, n, func(i int) error {
				_, err := on.admin.DeleteRecord(ctx, on.object, live[i].ID)
				return err
			})
		}
	}
	return []kind{
		{"live edit, target with versions (Acme)", 2, edit(w.left, left, "company")},
		{"live edit, target without versions (SalesOS)", 3, edit(w.right, right, "company_name")},
		{"live create in SalesOS, made in Acme", 0, create(w.left, func(n int) map[string]any {
			return map[string]any{"name": fmt.Sprint("Rui Sá ", n), "email": fmt.Sprintf("rui%d@sa.example", n), "company": "Casa", "status": "new"}
		})},
		{"live create in Acme, made in SalesOS", 0, create(w.right, func(n int) map[string]any {
			return map[string]any{"first_name": "Eva", "last_name": fmt.Sprint("Sá ", n), "email": fmt.Sprintf("eva%d@sa.example", n), "lifecycle": "lead"}
		})},
		{"live delete in SalesOS, made in Acme", 0, remove(w.left)},
		{"live delete in Acme, made in SalesOS", 0, remove(w.right)},
	}
}

// paced does n things at 50 a second.
func paced(ctx context.Context, n int, do func(int) error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for i := range n {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) countKind(ctx context.Context, w *world, k kind, n, rounds int) error {
	var costs []spent
	for round := range rounds {
		before, err := w.position(ctx)
		if err != nil {
			return err
		}
		linked, err := w.counterparts(ctx)
		if err != nil {
			return err
		}
		if err := k.make(ctx, 1+round*n, n); err != nil {
			return err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		if err := w.awaitIdle(ctx); err != nil {
			return err
		}
		pairs, err := w.counterparts(ctx)
		if err != nil {
			return err
		}
		for id, other := range linked { // those whose link has ended
			pairs[id] = other
		}
		cost, err := w.spentSince(ctx, before, pairs)
		if err != nil {
			return err
		}
		if cost.writes < n {
			return fmt.Errorf("%d changes led to %d writes only", n, cost.writes)
		}
		costs = append(costs, cost)
	}
	b.results.calls(k.name, k.aim, costs, n)
	return nil
}
