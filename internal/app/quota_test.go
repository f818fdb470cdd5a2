package app

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

// The first call of a piece of work goes back when the plan is used up; a later one
// waits, as what was read for it would have to be read again.
func TestALaterCallWaitsLongerForThePlan(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "accord.db"), sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	quota := NewQuota(store, ledger.Key{Tenant: "default", Connection: "cn_1"}, record.Left, ledger.QuotaSpec{PerMinute: 600}, time.Now)
	quota.Observe(t.Context(), connector.QuotaSeen{PausedUntil: time.Now().Add(longestWait + 300*time.Millisecond)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	refused := quota.Take(ctx, connector.LaneLive)
	require.Equal(t, fault.Throttled, fault.CodeOf(refused))
	require.Positive(t, fault.As(refused).After)
	require.NoError(t, quota.Take(connector.WithPatience(ctx), connector.LaneLive))

	quota.Observe(t.Context(), connector.QuotaSeen{PausedUntil: time.Now().Add(time.Hour)})
	require.Equal(t, fault.Throttled, fault.CodeOf(quota.Take(connector.WithPatience(ctx), connector.LaneLive)), "longer than half of the call's time")
}

// A pause that the vendor asked one worker for holds for all, also for what is no call of
// the plan.
func TestAPauseIsToldToAllWorkers(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "accord.db"), sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	key := ledger.Key{Tenant: "default", Connection: "cn_1"}
	told, other := NewQuota(store, key, record.Left, ledger.QuotaSpec{}, time.Now), NewQuota(store, key, record.Left, ledger.QuotaSpec{}, time.Now)
	for _, quota := range []*Quota{told, other} {
		pause, err := quota.Paused(t.Context())
		require.NoError(t, err)
		require.Zero(t, pause)
	}
	told.Observe(t.Context(), connector.QuotaSeen{PausedUntil: time.Now().Add(time.Hour)})
	for _, quota := range []*Quota{told, other, NewQuota(store, key, record.Left, ledger.QuotaSpec{}, time.Now)} {
		require.Eventually(t, func() bool {
			pause, err := quota.Paused(t.Context())
			return err == nil && pause > 50*time.Minute
		}, time.Minute, time.Millisecond)
	}
	pause, err := NewQuota(store, key, record.Right, ledger.QuotaSpec{}, time.Now).Paused(t.Context())
	require.NoError(t, err)
	require.Zero(t, pause, "the other side goes on")
}
