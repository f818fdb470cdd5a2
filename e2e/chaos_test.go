//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/e2e/oracle"
	"github.com/accord-sync/accord/internal/ledger/ledgertest"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestChaos lets people edit both sides without a pause while two workers, two
// APIs, Temporal and the database are killed at random and started again, workers
// freeze for longer than their lease, answers get lost before and after their
// effect, and events are lost, repeated and shuffled. When it is over nothing that
// anybody wrote may be lost, nothing is there twice, and the service is quiet.
// Seeds that are odd do without polls while it lasts: then only acknowledged
// events tell of edits.
func TestChaos(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()>>1 + 1
	}
	o := &storm{}
	options := stackOptions{apis: 2, door: true}
	if *chaosDB == "postgres" {
		o.server = ledgertest.NewPostgresServer(t)
		options.db = ledgertest.NewPostgresDatabase(t, o.server.DSN())
	}
	t.Logf("a storm of %s at %.0f edits/s on %s, seed %d; again with: make chaos CHAOS=%s RATE=%.0f SEED=%d DB=%s", *chaos, *rate, *chaosDB, *seed, *chaos, *rate, *seed, *chaosDB)
	s := newStack(t, options)
	settings := []setting{variable("GUARD_MAX", "1000000")}
	polls := *seed%2 == 0
	if !polls {
		settings = append(settings, withoutPolls())
	}
	w := newWorld(t, s, settings...)
	for _, on := range w.systems() {
		require.NoError(t, on.admin.SetSwitches(t.Context(), map[string]any{"keep_versions": true}))
	}
	w.seed(t, 50, 50, 50)
	w.bringUp(t, 150)

	plan := planned(rand.New(rand.NewPCG(*seed, 99)), s, o.server != nil, *chaos)
	t.Logf("the plan:\n%s", tellPlan(plan))
	people := w.storm(t, o, plan)
	over := time.Now()
	w.calm(t, s)
	w.awaitCalm(t)
	settled := time.Since(over)
	if polls {
		w.awaitPolls(t)
		w.awaitCalm(t)
	}
	w.arrived(t, polls)
	require.Equal(t, "succeeded", w.startRun(t, "compare").State)
	w.awaitCalm(t)
	quiet := time.Since(over)
	log := w.log(t, o)
	report := oracle.Judge(log)
	w.tell(t, o, people, report, settled, quiet)
	w.keep(t, log, report)
	require.Empty(t, log.Parked, "nothing that people did here may be refused")
	for _, one := range report.Broken[:min(len(report.Broken), 12)] {
		t.Errorf("%s: %s", one.Reason, one.Text)
	}
	require.Empty(t, len(report.Broken), "broken promises")
	w.quiet(t)
	w.answer(t)
	require.Empty(t, oracle.Judge(w.log(t, o)).Broken, "after the answers to all questions")
}

// storm runs people, weather and blows, and comes back when all have ended.
func (w *world) storm(t *testing.T, o *storm, plan []blow) []*crowd {
	people := w.crowds(*seed)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for n, c := range people {
		group.Go(func() { c.work(t, *rate/2, stop) })
		group.Go(func() { w.weather(t, c.on, rand.New(rand.NewPCG(*seed, uint64(10+n))), time.Second, stop) })
	}
	ended := sync.OnceFunc(func() {
		close(stop)
		group.Wait()
	})
	defer ended()
	o.strike(t, plan, *chaos)
	ended()
	return people
}

// calm ends all faults and sends what was kept back.
func (w *world) calm(t *testing.T, s *stack) {
	t.Helper()
	for _, on := range w.systems() {
		require.NoError(t, on.admin.ClearFaults(t.Context()))
		require.NoError(t, on.admin.DropWebhooks(t.Context(), 0))
		require.NoError(t, on.admin.RepeatWebhooks(t.Context(), 1, 0))
		require.NoError(t, on.admin.ReleaseWebhooks(t.Context(), wire.Release{Order: wire.Shuffled, Seed: int64(*seed >> 1)}))
	}
	s.awaitReady(t)
}

// awaitCalm waits until no event is under way and nothing is pending, for as long
// as the service goes forward.
func (w *world) awaitCalm(t *testing.T) {
	t.Helper()
	least, since := -1, time.Now()
	for {
		open, seen := w.open(t.Context())
		if open == 0 {
			return
		}
		if least < 0 || open >= 0 && open < least {
			least, since = open, time.Now()
		}
		if time.Since(since) > 2*patience {
			t.Fatalf("it does not come to rest: %s; %s", seen, w.parked(t.Context()))
		}
		for _, on := range w.systems() {
			_ = on.admin.RetryWebhooks(t.Context()) // the next round looks again
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// awaitPolls waits for two whole polls: those see what no event told.
func (w *world) awaitPolls(t *testing.T) {
	t.Helper()
	polled := func(ctx context.Context) string {
		now, err := w.status(ctx)
		for _, one := range now.Streams {
			if err == nil && one.Name == "leads" && one.LastPollAt != nil {
				return one.LastPollAt.String()
			}
		}
		return ""
	}
	seen := map[string]bool{}
	eventually(t, "both sides have been polled twice", func(ctx context.Context) (bool, string) {
		if at := polled(ctx); at != "" {
			seen[at] = true
		}
		return len(seen) > 3, fmt.Sprint(seen)
	})
}

// open is how much is under way; below 0 when nobody answers.
func (w *world) open(ctx context.Context) (int, string) {
	waiting := 0
	for _, on := range w.systems() {
		hooks, err := on.admin.WebhookCounts(ctx)
		if err != nil {
			return -1, err.Error()
		}
		waiting += hooks.Held + hooks.Waiting + hooks.Retrying
	}
	now, err := w.status(ctx)
	if err != nil {
		return -1, err.Error()
	}
	return waiting + now.Pending.Changes + now.Pending.Intents, fmt.Sprintf("%d events under way, %+v", waiting, now)
}

// arrived checks every pair that the service must know of by now, before anything
// is compared: those whose last edits were told by events that it acknowledged,
// and, where it polls, all but deletes. They are in step, or ask a person.
func (w *world) arrived(t *testing.T, polls bool) {
	t.Helper()
	last, _ := w.s.door.lastTaken()
	log := w.log(t, &storm{})
	edited := map[string]oracle.State{}
	for _, state := range log.States {
		if !state.Service {
			edited[state.Side+" "+state.ID] = state
		}
	}
	known := func(side, id string) bool {
		state, ok := edited[side+" "+id]
		return !ok || last[side+" "+id].After(state.At) || polls && !state.Gone
	}
	told := 0
	for _, pair := range log.Pairs {
		if !known("left", pair.Left) || !known("right", pair.Right) {
			continue
		}
		told++
		for _, one := range oracle.Ends(log, pair) {
			t.Errorf("it was told and did not arrive: %s", one.Text)
		}
	}
	t.Logf("of %d pairs %d had to be in step by now", len(log.Pairs), told)
}

// keep writes down what the oracle saw of a storm that broke a promise, if E2E_KEEP
// names a folder.
func (w *world) keep(t *testing.T, log oracle.Log, report oracle.Report) {
	folder := os.Getenv("E2E_KEEP")
	if folder == "" || len(report.Broken) == 0 {
		return
	}
	raw, err := json.MarshalIndent(log, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(folder, t.Name()), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, t.Name(), "oracle.json"), raw, 0o600))
}

// answer decides every question about a field for the left side.
func (w *world) answer(t *testing.T) {
	t.Helper()
	open, err := w.questions(t.Context())
	require.NoError(t, err)
	count := 0
	for _, one := range open {
		if one.Field != "" {
			eventually(t, "a decision is taken", func(ctx context.Context) (bool, string) {
				err := w.s.api.call(ctx, http.MethodPost, "/api/v1/conflicts/"+one.ID+"/resolve", map[string]any{"choose": "left"}, nil)
				// A try whose answer was late may have been taken before.
				var refused *problem
				return err == nil || errors.As(err, &refused) && refused.Status == http.StatusConflict, fmt.Sprint(err)
			})
			count++
		}
	}
	eventually(t, "all questions are answered", func(ctx context.Context) (bool, string) {
		open, err := w.questions(ctx)
		open = slices.DeleteFunc(open, func(one question) bool { return one.Field == "" })
		return err == nil && len(open) == 0, fmt.Sprintf("%d open, error %v", len(open), err)
	})
	w.awaitCalm(t)
	t.Logf("%d questions were answered", count)
}

// tell prints what happened.
func (w *world) tell(t *testing.T, o *storm, people []*crowd, report oracle.Report, settled, quiet time.Duration) {
	t.Helper()
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, "    "+fmt.Sprintf(format, args...)) }
	_, taken := w.s.door.lastTaken()
	line("people did %d things (%d refused by the vendor), and changed %d values", people[0].made.Load(), people[0].refused.Load(), report.Edits)
	line("events acknowledged: %d", taken)
	for _, name := range slices.Sorted(maps.Keys(o.hits)) {
		line("hit %-12s %d times", name, o.hits[name])
	}
	for _, reason := range slices.Sorted(maps.Keys(report.Replaced)) {
		line("replaced by %s: %d", reason, report.Replaced[reason])
	}
	excused := map[string]int{}
	for _, one := range report.Excused {
		excused[one.Reason]++
	}
	for _, reason := range slices.Sorted(maps.Keys(excused)) {
		line("excused, %s: %d", reason, excused[reason])
	}
	now, err := w.status(t.Context())
	require.NoError(t, err)
	line("questions for people: %d, dead letters: %d", now.OpenConflicts, now.DeadLetters)
	letters, err := all[deadLetter](t.Context(), w.s.api, w.path("/dead-letters"), nil)
	require.NoError(t, err)
	for _, one := range letters {
		line("dead letter: %+v", one)
	}
	for _, on := range w.systems() {
		calls, err := on.admin.Calls(t.Context(), 0)
		require.NoError(t, err)
		kinds := map[string]int{}
		for _, call := range calls {
			if call.Actor == service {
				kinds[call.Method]++
			}
		}
		line("calls to the %s: %v", on.side, kinds)
	}
	line("settled %.1f s after the storm, quiet after %.1f s", settled.Seconds(), quiet.Seconds())
	line("broken promises: %d", len(report.Broken))
	t.Logf("the storm is over:\n%s", strings.Join(lines, "\n"))
}
