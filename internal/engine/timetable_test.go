package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
)

// A stream that is polled by a timetable: what happened while nothing ran is found
// by the next poll, and the one after that is due at the next time of the line.
func TestAPollByTimetableCatchesUp(t *testing.T) {
	b := start(t, replaced(`every: "${POLL_EVERY:-30s}"`, `cron: "0 6 * * *", time_zone: America/Sao_Paulo`))
	lead, contact := b.pair("ana@x.com")
	due := func() time.Time {
		states, err := b.store.StreamStates(b.ctx, b.key)
		require.NoError(t, err)
		for _, state := range states {
			if state.Stream == "leads" {
				return state.NextPollAt
			}
		}
		require.Fail(t, "no state of the stream")
		return time.Time{}
	}
	b.edit(record.Left, lead, map[string]any{"company": "Nova"})
	b.clock.advance(80 * time.Hour)
	require.True(t, due().Before(b.clock.now()), "it was due while nothing ran")
	b.poll()
	b.settle()
	require.Equal(t, "Nova", text(b.get(record.Right, contact), "company_name"))
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	next := due().In(zone)
	require.Equal(t, "06:00", next.Format("15:04"))
	require.True(t, next.After(b.clock.now()) && next.Before(b.clock.now().Add(25*time.Hour)), next)
}
