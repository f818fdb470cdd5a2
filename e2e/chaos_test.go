//go:build e2e

package e2e

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestChaos lets everything go wrong at once: people edit the same fields of the
// same records on both sides and create the same person on both, answers get lost
// before and after their effect, events are lost, repeated and shuffled, and
// programs die. When it is over both sides agree, and nobody is there twice.
func TestChaos(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db string) {
		s := newStack(t, stackOptions{db: db})
		w := newWorld(t, s)
		w.seed(t, 10, 10, 10)
		w.bringUp(t, 30)
		var pairs []pair
		for n := 1; n <= 30; n++ {
			pairs = append(pairs, w.pair(t, n))
		}
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		stop := make(chan struct{})
		var group sync.WaitGroup
		var twins []map[string]any
		var made atomic.Int64
		for side, on := range w.systems() {
			group.Go(func() { w.disturb(t, on, rand.New(rand.NewPCG(seed, uint64(side))), pairs, &made, stop) })
		}
		for n := range 10 {
			left, right := w.lead(200+n), w.contact(200+n)
			right["company_name"] = w.word("Gêmea")
			_, err := w.left.admin.CreateRecord(t.Context(), "leads", left)
			require.NoError(t, err)
			// The service may have been faster: then Acme has the contact already, as it should.
			_, err = w.right.admin.CreateRecord(t.Context(), "contacts", right)
			if err != nil {
				t.Logf("twin %d: %v", n, err)
			}
			twins = append(twins, right)
			until := made.Load() + 60
			eventually(t, "more has gone wrong", func(context.Context) (bool, string) { return made.Load() >= until, "" })
			if n == 3 || n == 7 {
				s.strike(t, [][]*process{s.workers, s.all()}[n/4])
			}
		}
		close(stop)
		group.Wait()
		for _, on := range w.systems() {
			require.NoError(t, on.admin.ClearFaults(t.Context()))
			require.NoError(t, on.admin.RepeatWebhooks(t.Context(), 1, 0))
			require.NoError(t, on.admin.ReleaseWebhooks(t.Context(), wire.Release{Order: wire.Shuffled, Seed: int64(seed >> 1)}))
		}
		w.awaitAgreement(t, 30+len(twins))
		w.awaitIdle(t)
		now, err := w.status(t.Context())
		require.NoError(t, err)
		require.Zero(t, now.OpenConflicts+now.DeadLetters+now.Held, "%+v", now)
		t.Logf("after %d edits and disturbances %d records agree", made.Load(), 30+len(twins))
		w.quiet(t)
	})
}

// disturb edits records of one server and lets its answers and events go astray.
func (w *world) disturb(t *testing.T, on *system, dice *rand.Rand, pairs []pair, made *atomic.Int64, stop chan struct{}) {
	ctx := context.WithoutCancel(t.Context())
	for {
		select {
		case <-stop:
			return
		case <-time.After(15 * time.Millisecond):
		}
		err := w.disturbOnce(ctx, on, dice, pairs)
		if err != nil {
			t.Errorf("disturb the %s: %v", on.side, err)
			return
		}
		made.Add(1)
	}
}

func (w *world) disturbOnce(ctx context.Context, on *system, dice *rand.Rand, pairs []pair) error {
	switch dice.IntN(30) {
	case 0:
		kind := []string{wire.FaultStatus, wire.FaultReset, wire.FaultCut, wire.FaultTimeout, wire.FaultEmptyList, wire.FaultExpireToken}[dice.IntN(6)]
		_, err := on.admin.InjectFault(ctx, wire.Fault{Kind: kind, When: []string{wire.Before, wire.After}[dice.IntN(2)], HangMS: 300, Skip: dice.IntN(5)})
		return err
	case 1:
		return on.admin.DropWebhooks(ctx, 1+dice.IntN(3))
	case 2:
		if err := on.admin.HoldWebhooks(ctx); err != nil {
			return err
		}
		if err := on.admin.ReleaseWebhooks(ctx, wire.Release{Order: wire.Shuffled, Seed: dice.Int64()}); err != nil {
			return err
		}
		return on.admin.RepeatWebhooks(ctx, 1+dice.IntN(3), 3)
	}
	who := pairs[dice.IntN(len(pairs))]
	fields := map[string][2]string{"company": {"company", "company_name"}, "position": {"position", "job_title"}, "tags": {"tags", "labels"}}
	values := map[string]any{}
	for name, names := range fields {
		if dice.IntN(2) == 0 {
			continue
		}
		key := names[0]
		if on.side == "right" {
			key = names[1]
		}
		values[key] = w.word("caos")
		if name == "tags" {
			values[key] = []any{"feira-" + w.canary, w.word("tag")}
		}
	}
	_, err := on.admin.EditRecord(ctx, on.object, who.on(on), values)
	return err
}
