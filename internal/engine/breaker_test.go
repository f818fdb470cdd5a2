package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// brokenUntil is until when nobody calls the left side.
func (b *bench) brokenUntil() time.Time {
	b.t.Helper()
	state, err := b.store.SideState(b.ctx, b.key, record.Left)
	require.NoError(b.t, err)
	return state.BrokenUntil
}

func TestManySickRecordsDoNotStopTheirSide(t *testing.T) {
	b := start(t, setup{})
	var leads []string
	for n := range 12 {
		lead, _ := b.pair(fmt.Sprintf("u%d@x.com", n))
		leads = append(leads, lead)
	}
	for _, lead := range leads[1:] {
		b.zBreak(lead)
		b.hint(record.Left, lead)
	}
	for range 6 {
		result := b.drain()
		require.False(t, b.brokenUntil().After(b.clock.now()), "the side answers for other records")
		b.clock.advance(max(result.NextDue.Sub(b.clock.now()), 0) + time.Millisecond)
	}
	b.edit(record.Left, leads[0], map[string]any{"company": "X"})
	b.hint(record.Left, leads[0])
	b.drain()
	require.Equal(t, "X", text(b.get(record.Right, b.other(record.Left, leads[0])), "company_name"))
}

func TestASideThatFailsForEverythingPauses(t *testing.T) {
	b := start(t, setup{})
	var leads []string
	for n := range 6 {
		lead, _ := b.pair(fmt.Sprintf("u%d@x.com", n))
		leads = append(leads, lead)
	}
	_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 500, Times: -1, PathRegexp: "/v1/"})
	require.NoError(t, err)
	for _, lead := range leads {
		b.look(record.Left, lead)
	}
	b.drain()
	require.True(t, b.brokenUntil().After(b.clock.now()))
	waits, err := b.engine.Drain(b.ctx, b.key, engine.DrainRequest{})
	require.NoError(t, err)
	require.Equal(t, "the left side does not answer (transient)", waits.Problem)
	run, _, err := b.store.StartRun(b.ctx, ledger.Run{ID: "compare", Key: b.key, Kind: ledger.RunCompare, Total: -1})
	require.NoError(t, err)
	listed, err := b.engine.ListStep(b.ctx, b.key, engine.ListRequest{RunID: run.ID, Kind: run.Kind})
	require.NoError(t, err)
	require.Equal(t, "transient", listed.Code)
	require.Regexp(t, `^stream \w+ cannot be listed on the left side: .*status 500`, listed.Problem)
	_, err = b.store.EndRun(b.ctx, run.ID, ledger.RunCancelled, "")
	require.NoError(t, err)
	require.NoError(t, b.left.ClearFaults(b.ctx))
	b.settle()
	require.False(t, b.brokenUntil().After(b.clock.now()))
}

// TestAPoisonRecordDoesNotStopTheOthers lets each worker that touches one record
// die. The others are served, the record is tried ever more rarely, and it goes
// through as soon as it kills nobody any more.
func TestAPoisonRecordDoesNotStopTheOthers(t *testing.T) {
	b := start(t, setup{})
	b.zReopen(func(in *engine.Installed) { in.Concurrency = 1 })
	poison, poisonContact := b.pair("poison@x.com")
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, poison, map[string]any{"company": "P"})
	deaths := 0
	for round := range 40 {
		b.hint(record.Left, poison)
		b.edit(record.Left, lead, map[string]any{"company": fmt.Sprintf("C%d", round)})
		b.hint(record.Left, lead)
		dead := false
		b.crash = func(step string) error {
			if step == "loaded" && !dead && b.claimedNow(poison) {
				dead = true
				deaths++
			}
			if dead {
				return engine.Killed()
			}
			return nil
		}
		b.drain()
		b.crash = nil
		b.restart()
		b.zReopen(func(in *engine.Installed) { in.Concurrency = 1 })
		b.clock.advance(11 * time.Second)
	}
	b.quiet()
	require.Equal(t, "C39", text(b.get(record.Right, contact), "company_name"), "the others go on")
	require.Less(t, deaths, 15, "it is tried ever more rarely")
	require.GreaterOrEqual(t, deaths, ledger.PoisonClaims)
	b.settle()
	require.Equal(t, "P", text(b.get(record.Right, poisonContact), "company_name"), "it is not given up")
	require.Empty(t, b.letters(), "crashes alone park nothing")
}

// claimedNow reports whether a worker holds the lease of a lead, by trying to take it.
func (b *bench) claimedNow(lead string) bool {
	lease, err := b.store.Acquire(b.ctx, b.key, []string{ledger.RefKey(record.Ref{Side: record.Left, Object: "leads", ID: lead})}, time.Millisecond)
	if err != nil {
		return true
	}
	_ = b.store.Release(b.ctx, b.key, lease)
	return false
}
