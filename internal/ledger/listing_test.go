package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
)

func TestAPlanIsKnownUntilItsWindowIsOver(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	state := ledger.SideState{QuotaKnown: true, QuotaLimit: 500, QuotaRemaining: 7}
	for reset, left := range map[time.Time]int{{}: 7, now.Add(time.Second): 7, now: -1, now.Add(-time.Hour): -1} {
		state.QuotaResetAt = reset
		limit, remaining := state.Plan(now)
		require.Equal(t, []int{500, left}, []int{limit, remaining}, reset)
	}
}
