//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// editors are people who edit both sides of the same leads until they are told to
// stop: company and position in SalesOS, note and score in Acme. So what both
// sides must hold in the end is known.
type editors struct {
	w     *world
	pairs []pair
	made  atomic.Int64
	stop  chan struct{}
	group sync.WaitGroup

	mutex sync.Mutex
	want  map[pair]person
	// edits counts those made on a side of a record.
	edits map[string]int
}

// letPeopleEdit begins.
func (w *world) letPeopleEdit(t *testing.T, pairs []pair) *editors {
	e := &editors{w: w, pairs: pairs, stop: make(chan struct{}), want: map[pair]person{}, edits: map[string]int{}}
	for _, on := range w.systems() {
		e.group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-e.stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				e.edit(t, on, n)
			}
		})
	}
	t.Cleanup(e.end)
	return e
}

func (e *editors) end() {
	select {
	case <-e.stop:
	default:
		close(e.stop)
	}
	e.group.Wait()
}

func (e *editors) edit(t *testing.T, on *system, n int) {
	who := e.pairs[n*7%len(e.pairs)]
	first, second := e.w.word("ao vivo"), e.w.word("agora")
	values, want := map[string]any{"company": first, "position": second}, person{"company": first, "position": second}
	if on.side == "right" {
		score := e.w.score(int(e.w.counter.Add(1) % 1000))
		values, want = map[string]any{"note": first, "score": score}, person{"note": first, "score": fmt.Sprint(score)}
	}
	if _, err := on.admin.EditRecord(context.WithoutCancel(t.Context()), on.object, who.on(on), values); err != nil {
		t.Errorf("edit as a user: %v", err)
		return
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.want[who] == nil {
		e.want[who] = person{}
	}
	maps.Copy(e.want[who], want)
	e.edits[on.side+who.on(on)]++
	e.made.Add(1)
}

// awaitMore waits until people have made some more edits.
func (e *editors) awaitMore(t testing.TB, more int64) {
	t.Helper()
	until := e.made.Load() + more
	eventually(t, "people have edited more", func(context.Context) (bool, string) {
		return e.made.Load() >= until, fmt.Sprint(e.made.Load())
	})
}

// verify awaits the last edit of each record on both sides and counts writes:
// at most two on the other side for each edit.
func (e *editors) verify(t *testing.T) {
	t.Helper()
	e.end()
	for who, want := range e.want {
		e.w.awaitBoth(t, who, want)
	}
	e.w.awaitIdle(t)
	total := 0
	for _, who := range e.pairs {
		for _, on := range e.w.systems() {
			across := e.w.across(on)
			calls, _, err := on.admin.WriteTotals(t.Context(), sandboxclient.Filter{Actor: service, Object: on.object, ID: who.on(on)})
			require.NoError(t, err)
			edits := e.edits[across.side+who.on(across)]
			require.LessOrEqual(t, calls, 2*edits+2, "writes to %s %s after %d edits across (one for the marker, one for the create)", on.object, who.on(on), edits)
			total += calls
		}
	}
	t.Logf("%d edits of two fields each, %d writes by the service", e.made.Load(), total)
}

// TestLiveEditsSurviveKills kills every program in turn while people edit.
func TestLiveEditsSurviveKills(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db string) {
		s := newStack(t, stackOptions{db: db})
		w := newWorld(t, s)
		w.seed(t, 20, 10, 10)
		w.bringUp(t, 40)
		var pairs []pair
		for n := 1; n <= 40; n++ {
			pairs = append(pairs, w.pair(t, n))
		}
		people := w.letPeopleEdit(t, pairs)
		for _, victims := range [][]*process{s.workers[:1], s.apis, {s.temporal}, s.workers, s.all()} {
			people.awaitMore(t, 25)
			s.strike(t, victims)
		}
		people.awaitMore(t, 25)
		people.verify(t)
		w.awaitAgreement(t, 40)
		now, err := w.status(t.Context())
		require.NoError(t, err)
		require.Zero(t, now.OpenConflicts+now.DeadLetters+now.Held, "%+v", now)
		w.quiet(t)
	})
}

// TestTemporalGone takes Temporal away for a while: events are taken, nothing is
// lost, and everything goes on by itself.
func TestTemporalGone(t *testing.T) {
	s := newStack(t, stackOptions{})
	w := newWorld(t, s, withoutPolls())
	w.seed(t, 5, 5, 5)
	w.bringUp(t, 15)
	s.temporal.kill(t)
	eventually(t, "the API says that it is not ready", func(ctx context.Context) (bool, string) {
		status, err := probe(ctx, s.api.root+"/readyz")
		return status == 503, fmt.Sprintf("status %d, error %v", status, err)
	})
	wanted := map[pair]person{}
	for n := 1; n <= 15; n++ {
		who := w.pair(t, n)
		wanted[who] = person{"company": w.word("Sem Temporal")}
		w.edit(t, w.left, who, map[string]any{"company": wanted[who]["company"]})
	}
	eventually(t, "all events are taken", func(ctx context.Context) (bool, string) {
		hooks, err := w.left.admin.WebhookCounts(ctx)
		now, statusErr := w.status(ctx)
		return err == nil && statusErr == nil && hooks.Waiting+hooks.Retrying == 0 && now.Pending.Changes >= 15,
			fmt.Sprintf("%d and %d under way, pending %+v, errors %v %v", hooks.Waiting, hooks.Retrying, now.Pending, err, statusErr)
	})
	s.temporal.start(t)
	s.awaitReady(t)
	for who, want := range wanted {
		w.awaitBoth(t, who, want)
	}
	t.Log("Temporal was gone: 15 events were taken, and done when it came back")
	w.quiet(t)
}
