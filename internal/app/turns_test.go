package app

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// window is a plan that has so many calls left, and more only after an hour.
type window struct {
	mutex sync.Mutex
	left  int
}

var _ QuotaStore = (*window)(nil)

func (w *window) TakeQuota(_ context.Context, _ ledger.Key, _ record.Side, _ string, want int, _ ledger.QuotaSpec) (int, time.Time, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	granted := min(want, w.left)
	w.left -= granted
	return granted, time.Now().Add(time.Hour), nil
}

func (*window) SideState(context.Context, ledger.Key, record.Side) (ledger.SideState, error) {
	return ledger.SideState{}, nil
}

func (*window) UpdateSideState(context.Context, ledger.Key, record.Side, func(*ledger.SideState)) (ledger.SideState, error) {
	return ledger.SideState{}, nil
}

func (*window) Now(context.Context) (time.Time, error) { return time.Now(), nil }

// Each work reads and then writes. However many work side by side, what is left of a
// plan at its end goes to those that have read: a read without its write is lost.
func TestWhatWasReadIsWrittenWhenThePlanEnds(t *testing.T) {
	for _, calls := range []int{1, 2, 9, 30, 51} {
		store := &window{left: calls}
		quota := NewQuota(store, ledger.Key{Tenant: "default", Connection: "cn_1"}, record.Left, ledger.QuotaSpec{PerMinute: 100}, time.Now)
		var read, written atomic.Int64
		var running sync.WaitGroup
		for range 15 {
			running.Go(func() {
				for quota.pair(t.Context(), &read, &written) {
				}
			})
		}
		running.Wait()
		require.EqualValues(t, calls, read.Load()+written.Load(), "%d calls: none is left over", calls)
		require.LessOrEqual(t, read.Load()-written.Load(), int64(1), "%d calls: %d reads, %d writes", calls, read.Load(), written.Load())
	}
}

// pair is one work; false: the plan is used up.
func (q *Quota) pair(ctx context.Context, read, written *atomic.Int64) bool {
	ctx, end := connector.WithWork(ctx)
	defer end()
	if q.Take(ctx, connector.LaneLive) != nil {
		return false
	}
	read.Add(1)
	time.Sleep(5 * time.Millisecond)
	if q.Take(connector.WithPatience(ctx), connector.LaneLive) != nil {
		return false
	}
	written.Add(1)
	return true
}

// A work that hangs elsewhere does not keep others from a scarce plan for ever, and
// one that has ended not at all.
func TestTurns(t *testing.T) {
	now := time.Now()
	turns, first, second := newTurns(), &connector.Work{}, &connector.Work{}
	require.True(t, turns.mayBegin(now, 100))
	require.True(t, turns.called(first, now))
	require.False(t, turns.called(first, now))
	require.True(t, turns.begun(first))
	require.True(t, turns.mayBegin(now, 100), "the plan is not scarce")
	turns.granted(now, 1, 2)
	require.False(t, turns.mayBegin(now, 100))
	require.True(t, turns.mayBegin(now, 1200), "a larger plan carries more than one at once")
	turns.granted(now.Add(openFor), 1, 2)
	require.True(t, turns.mayBegin(now.Add(openFor), 100), "it hangs elsewhere")
	turns.called(second, now.Add(openFor))
	require.False(t, turns.mayBegin(now.Add(openFor), 100))
	turns.ended(second)
	require.True(t, turns.mayBegin(now.Add(openFor), 100))
}

// A call of a work that has ended is a call like any other, and keeps nobody out.
func TestACallOfAWorkThatHasEnded(t *testing.T) {
	quota := NewQuota(&window{left: 10}, ledger.Key{Tenant: "default", Connection: "cn_1"}, record.Left, ledger.QuotaSpec{PerMinute: 100}, time.Now)
	ctx, end := connector.WithWork(t.Context())
	end()
	done := make(chan error, 1)
	go func() { done <- quota.Take(ctx, connector.LaneLive) }()
	require.Eventually(t, func() bool { return len(done) == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, <-done)
	require.Empty(t, quota.turns.open)
}
