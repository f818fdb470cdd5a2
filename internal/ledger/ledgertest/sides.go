package ledgertest

import (
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func sideTests() []test {
	return []test{
		{"state comes back as it was", sideState},
		{"concurrent updates add up", sideUpdates},
		{"tokens are swapped by one", sideTokens},
		{"the plan bounds a minute", quotaPlan},
		{"lower lanes leave a reserve", quotaLanes},
		{"the vendor's word bounds the plan", quotaVendor},
		{"a paused side grants nothing", quotaPaused},
		{"all workers share the plan", quotaShared},
		{"requests are repeatable", requestRepeat},
		{"a request that failed frees its key", requestFree},
	}
}

func sideState(w *world) {
	none, err := w.store.SideState(w.ctx, w.key, record.Left)
	w.ok(err)
	require.Zero(w, none)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	want := ledger.SideState{
		PausedUntil: at, QuotaLimit: 100, QuotaRemaining: 7, QuotaKnown: true, QuotaResetAt: at, Failures: 3, BrokenUntil: at,
		LastOKAt: at, LastError: "auth", WebhookID: "w", WebhookState: "active", WebhookURL: "https://x", WebhookCheckedAt: at,
		Capabilities: `{"a":1}`, Skew: -3 * time.Second,
	}
	before := want
	got, err := w.store.UpdateSideState(w.ctx, w.key, record.Left, func(s *ledger.SideState) { before, *s = *s, want })
	w.ok(err)
	require.Zero(w, before)
	require.Equal(w, want, got)
	got, err = w.store.SideState(w.ctx, w.key, record.Left)
	w.ok(err)
	require.Equal(w, want, got)
	other, err := w.store.SideState(w.ctx, w.key, record.Right)
	w.ok(err)
	require.Zero(w, other)
}

func sideUpdates(w *world) {
	stores := []ledger.Store{w.store, w.db.Open(w.T, w.clock)}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			_, err := stores[i%2].UpdateSideState(w.ctx, w.key, record.Left, func(s *ledger.SideState) { s.Failures++ })
			if err != nil {
				w.Errorf("update: %v", err)
			}
		})
	}
	group.Wait()
	state, err := w.store.SideState(w.ctx, w.key, record.Left)
	w.ok(err)
	require.Equal(w, 20, state.Failures)
}

func sideTokens(w *world) {
	load := func() string {
		token, err := w.store.LoadToken(w.ctx, w.key, record.Left)
		w.ok(err)
		return string(token)
	}
	swap := func(old, new string) bool {
		done, err := w.store.SwapToken(w.ctx, w.key, record.Left, []byte(old), []byte(new))
		w.ok(err)
		return done
	}
	require.Empty(w, load())
	require.False(w, swap("x", "y"))
	require.True(w, swap("", "one"))
	require.False(w, swap("", "two"))
	require.True(w, swap("one", "two"))
	require.Equal(w, "two", load())
	require.True(w, swap("two", ""))
	require.Empty(w, load())
}

// take asks for calls and returns what was granted and when to ask again.
func (w *world) take(lane string, want int, spec ledger.QuotaSpec) (int, time.Time) {
	w.Helper()
	granted, retryAt, err := w.store.TakeQuota(w.ctx, w.key, record.Left, lane, want, spec)
	w.ok(err)
	require.Equal(w, granted == 0, !retryAt.IsZero(), "a time to ask again comes with nothing granted")
	return granted, retryAt
}

func quotaPlan(w *world) {
	granted, _ := w.take("live", 1_000_000, ledger.QuotaSpec{})
	require.Equal(w, 1_000_000, granted, "no plan, no limit")
	spec := ledger.QuotaSpec{PerMinute: 100}
	w.clock.Advance(10 * time.Minute)
	total := 0
	for range 3 {
		granted, _ = w.take("live", 60, spec)
		total += granted
	}
	require.Equal(w, 100, total)
	granted, retryAt := w.take("live", 1, spec)
	require.Zero(w, granted)
	// Nothing before the time told, something at it.
	wait := retryAt.Sub(w.now())
	require.Greater(w, wait, 30*time.Second)
	require.Less(w, wait, 70*time.Second)
	w.clock.Advance(wait + 10*time.Millisecond)
	granted, _ = w.take("live", 100, spec)
	require.Positive(w, granted)
	require.Less(w, granted, 50, "no double plan at the border of two minutes")
	w.clock.Advance(10 * time.Minute)
	granted, _ = w.take("live", 500, spec)
	require.Equal(w, 100, granted)
	_, _, err := w.store.TakeQuota(w.ctx, w.key, record.Left, "express", 1, spec)
	w.code(fault.Usage, err)
}

func quotaLanes(w *world) {
	spec := ledger.QuotaSpec{PerMinute: 100, Reserve: 0.4}
	granted, _ := w.take("backfill", 500, spec)
	require.Equal(w, 60, granted)
	granted, _ = w.take("backfill", 1, spec)
	require.Zero(w, granted)
	granted, _ = w.take("poll", 500, spec)
	require.Equal(w, 20, granted)
	granted, _ = w.take("live", 500, spec)
	require.Equal(w, 20, granted)
	// However small the plan, no lane starves.
	w.clock.Advance(10 * time.Minute)
	granted, _ = w.take("backfill", 5, ledger.QuotaSpec{PerMinute: 1, Reserve: 1})
	require.Equal(w, 1, granted)
}

func quotaVendor(w *world) {
	reset := w.now().Add(time.Hour)
	_, err := w.store.UpdateSideState(w.ctx, w.key, record.Left, func(s *ledger.SideState) {
		s.QuotaKnown, s.QuotaLimit, s.QuotaRemaining, s.QuotaResetAt = true, 100, 30, reset
	})
	w.ok(err)
	spec := ledger.QuotaSpec{PerMinute: 1000, Reserve: 0.2}
	granted, _ := w.take("backfill", 100, spec)
	require.Equal(w, 10, granted)
	granted, _ = w.take("poll", 100, ledger.QuotaSpec{Reserve: 0.2})
	require.Equal(w, 10, granted)
	granted, _ = w.take("live", 100, spec)
	require.Equal(w, 10, granted)
	granted, retryAt := w.take("live", 100, spec)
	require.Zero(w, granted)
	require.WithinDuration(w, reset, retryAt, time.Millisecond)
	state, err := w.store.SideState(w.ctx, w.key, record.Left)
	w.ok(err)
	require.Zero(w, state.QuotaRemaining)
	w.clock.Advance(2 * time.Hour)
	granted, _ = w.take("live", 100, spec)
	require.Equal(w, 100, granted, "what the vendor said is over at its reset")
	state, err = w.store.SideState(w.ctx, w.key, record.Left)
	w.ok(err)
	require.Zero(w, state.QuotaRemaining, "the vendor's next window is counted down from its limit")
	require.True(w, state.QuotaResetAt.IsZero(), "its end is not known yet")
}

func quotaPaused(w *world) {
	until := w.now().Add(time.Minute)
	_, err := w.store.UpdateSideState(w.ctx, w.key, record.Left, func(s *ledger.SideState) { s.PausedUntil = until })
	w.ok(err)
	granted, retryAt := w.take("live", 1, ledger.QuotaSpec{})
	require.Zero(w, granted)
	require.WithinDuration(w, until, retryAt, time.Millisecond)
	w.clock.Advance(61 * time.Second)
	granted, _ = w.take("live", 1, ledger.QuotaSpec{})
	require.Equal(w, 1, granted)
}

func quotaShared(w *world) {
	var mutex sync.Mutex
	total := 0
	var group sync.WaitGroup
	for range 3 {
		store := w.db.Open(w.T, w.clock)
		group.Go(func() {
			for range 10 {
				granted, _, err := store.TakeQuota(w.ctx, w.key, record.Left, "live", 7, ledger.QuotaSpec{PerMinute: 100})
				if err != nil {
					w.Errorf("take: %v", err)
				}
				mutex.Lock()
				total += granted
				mutex.Unlock()
			}
		})
	}
	group.Wait()
	require.Equal(w, 100, total)
}

func requestRepeat(w *world) {
	begin := func(print string) (int, string, error) {
		status, body, err := w.store.BeginRequest(w.ctx, "t", "key", print)
		return status, string(body), err
	}
	status, _, err := begin("p")
	w.ok(err)
	require.Zero(w, status)
	_, _, err = begin("p")
	w.code(fault.Busy, err)
	_, _, err = begin("other")
	w.code(fault.Conflict, err)
	w.ok(w.store.EndRequest(w.ctx, "t", "key", 202, []byte(`{"id":1}`)))
	status, body, err := begin("p")
	w.ok(err)
	require.Equal(w, 202, status)
	require.Equal(w, `{"id":1}`, body)
	_, _, err = begin("other")
	w.code(fault.Conflict, err)
	status, _, err = w.store.BeginRequest(w.ctx, "t2", "key", "p")
	w.ok(err)
	require.Zero(w, status, "keys belong to a tenant")
}

func requestFree(w *world) {
	begin := func() error {
		_, _, err := w.store.BeginRequest(w.ctx, "t", "key", "p")
		return err
	}
	w.ok(begin())
	w.ok(w.store.EndRequest(w.ctx, "t", "key", 0, nil))
	w.ok(begin())
	w.code(fault.Busy, begin())
	w.clock.Advance(time.Hour)
	w.ok(begin())
	w.code(fault.NotFound, w.store.EndRequest(w.ctx, "t", "unknown", 200, nil))
}
