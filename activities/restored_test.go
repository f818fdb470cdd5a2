package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
)

func TestDrainTellsWhatTemporalRemembers(t *testing.T) {
	r := newRig(t)
	r.engine.drain = func(engine.DrainRequest) (engine.DrainResult, error) {
		require.NotEmpty(t, r.engine.remembered, "before anything is drained")
		return engine.DrainResult{}, nil
	}
	known := ledger.Mark{Epoch: "e", Count: 7}
	out, err := call[DrainOut](t, r, "Drain", DrainIn{Key: r.key, Mark: known})
	require.NoError(t, err)
	require.Equal(t, []ledger.Mark{known}, r.engine.remembered)
	require.EqualValues(t, 8, out.Mark.Count)
}

func TestAComparisonOfEverythingEndsARestore(t *testing.T) {
	r := newRig(t)
	accepted, err := r.store.AcceptRestored(t.Context(), r.key, time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.True(t, accepted.Comparing())
	comparing := func() bool {
		standing, err := r.store.Standing(t.Context(), r.key)
		require.NoError(t, err)
		return standing.Restored.Comparing()
	}
	end := func(id string, kind ledger.RunKind, stream string, started time.Time) {
		_, _, err := r.store.StartRun(t.Context(), ledger.Run{ID: id, Key: r.key, Kind: kind, Stream: stream, Total: -1, WorkflowID: "w-" + id, StartedAt: started})
		require.NoError(t, err)
		_, err = call[EndRunOut](t, r, "EndRun", EndRunIn{Key: r.key, RunID: id, State: ledger.RunSucceeded})
		require.NoError(t, err)
	}
	later := accepted.AcceptedAt.Add(time.Second)
	end("poll", ledger.RunPoll, "", later)
	end("part", ledger.RunCompare, "leads", later)
	end("older", ledger.RunCompare, "", accepted.AcceptedAt.Add(-time.Minute))
	require.True(t, comparing())
	end("whole", ledger.RunCompare, "", later)
	require.False(t, comparing())
}

func TestHousekeepComparesUntilARestoreIsOver(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.store.SetConnectionState(t.Context(), r.key, ledger.Active, ""))
	_, err := r.store.AcceptRestored(t.Context(), r.key, time.Now().Add(-time.Hour))
	require.NoError(t, err)
	r.engine.installed = &engine.Installed{}
	_, err = call[HousekeepOut](t, r, "Housekeep")
	require.NoError(t, err)
	require.Equal(t, 1, r.engine.probes)
	require.Equal(t, []string{"start compare "}, r.orch.started)
	r.startRun(t, ledger.RunCompare)
	_, err = call[HousekeepOut](t, r, "Housekeep")
	require.NoError(t, err)
	require.Len(t, r.orch.started, 1, "one runs")
}

func TestHousekeepComparesWhereEventsWereLost(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.store.SetConnectionState(t.Context(), r.key, ledger.Active, ""))
	for stream, at := range map[string]time.Time{"leads": time.Now().Add(-time.Second), "users": time.Now().Add(time.Hour), "deals": {}} {
		require.NoError(t, r.store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: stream, NextCompareAt: at}))
	}
	r.engine.installed = &engine.Installed{}
	for range 2 {
		_, err := call[HousekeepOut](t, r, "Housekeep")
		require.NoError(t, err)
	}
	require.Equal(t, []string{"start compare leads"}, r.orch.started)
	require.Equal(t, 2, r.engine.endings, "what a removed rule left is ended")
}
