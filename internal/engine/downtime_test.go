package engine_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestASideThatIsDownForThreeDays has every lead edited four times a day while Acme
// answers nobody. What waits can be seen all the time; afterwards Acme has the newest
// state by one write for each record that was there, and each new one once.
func TestASideThatIsDownForThreeDays(t *testing.T) {
	b := start(t, setup{})
	contacts := map[string]string{}
	for n := range 4 {
		lead, contact := b.pair(fmt.Sprintf("u%d@x.com", n))
		contacts[lead] = contact
	}
	already := map[string]int{}
	for _, contact := range contacts {
		already[contact] = b.written(record.Right, "update", contact)
	}
	before, createdBefore := b.writes(record.Right), b.written(record.Right, "create", "")
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: http.StatusServiceUnavailable, Times: -1})
	require.NoError(t, err)

	end := b.clock.now().Add(3 * 24 * time.Hour)
	born, edits := b.create(record.Left, map[string]any{"name": "Nova Dias", "email": "nova@x.com"}), 0
	b.hint(record.Left, born)
	for ; b.clock.now().Before(end); edits++ {
		for lead := range contacts {
			b.edit(record.Left, lead, map[string]any{"company": fmt.Sprintf("C%d", edits), "position": fmt.Sprintf("P%d", edits)})
			b.hint(record.Left, lead)
		}
		b.edit(record.Left, born, map[string]any{"company": fmt.Sprintf("C%d", edits)})
		b.hint(record.Left, born)
		b.tryUntil(b.clock.now().Add(6 * time.Hour))
		b.seenDown(len(contacts) + 1)
	}
	require.GreaterOrEqual(t, edits, 12)
	require.Empty(t, b.letters(), "an outage parks nothing")
	require.Equal(t, before, b.writes(record.Right))

	require.NoError(t, b.right.ClearFaults(b.ctx))
	b.quiet()
	newest := edits - 1
	for lead, contact := range contacts {
		found := b.get(record.Right, contact)
		require.Equal(t, fmt.Sprintf("C%d", newest), text(found, "company_name"), lead)
		require.Equal(t, fmt.Sprintf("P%d", newest), text(found, "job_title"), lead)
	}
	require.Equal(t, fmt.Sprintf("C%d", newest), text(b.get(record.Right, b.other(record.Left, born)), "company_name"))
	require.Equal(t, 1, b.written(record.Right, "create", "")-createdBefore)
	// The create may be what was planned before the outage; one update brings the rest.
	made := b.other(record.Left, born)
	require.LessOrEqual(t, b.written(record.Right, "update", made), 1)
	for _, contact := range contacts {
		require.Equal(t, 1, b.written(record.Right, "update", contact)-already[contact], "one write for each record, not for each edit")
	}
	require.Empty(t, b.letters())
	require.Empty(t, b.openConflicts())
	state, err := b.store.SideState(b.ctx, b.key, record.Right)
	require.NoError(t, err)
	require.Empty(t, state.LastError)
}

// tryUntil polls and drains whenever something is due, up to a time. Polls of a side that
// is down may fail.
func (b *bench) tryUntil(until time.Time) {
	b.t.Helper()
	for b.clock.now().Before(until) {
		_, _ = b.engine.Poll(b.ctx, b.key, "leads")
		due := b.drain().NextDue
		wait := until.Sub(b.clock.now())
		if left := due.Sub(b.clock.now()); !due.IsZero() && left < wait {
			// A retry every minute for three days would tell no more.
			wait = min(max(left, 20*time.Minute), wait)
		}
		b.clock.advance(wait + time.Millisecond)
	}
}

// seenDown looks at what the status tells while the right side is down.
func (b *bench) seenDown(waiting int) {
	b.t.Helper()
	pending, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(b.t, err)
	require.Equal(b.t, waiting, pending.Changes, "one change waits for each record, however often it is edited")
	state, err := b.store.SideState(b.ctx, b.key, record.Right)
	require.NoError(b.t, err)
	require.NotEmpty(b.t, state.LastError, "the status tells that the side does not answer")
}

// written counts the service's calls of an operation on a side; an empty id: on all records.
func (b *bench) written(side record.Side, op, id string) int {
	b.t.Helper()
	client, _ := b.client(side)
	calls, _, err := client.WriteTotals(b.ctx, sandboxclient.Filter{Actor: "app:accord", Op: op, ID: id})
	require.NoError(b.t, err)
	return calls
}
