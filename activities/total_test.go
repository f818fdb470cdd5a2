package activities

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
)

// Records of a run that others did are not counted by it: the total follows.
func TestTotalOfARunThatEnded(t *testing.T) {
	r := newRig(t)
	begun, err := call[BeginRunOut](t, r, "BeginRun", BeginRunIn{Key: r.key, Kind: ledger.RunBackfill})
	require.NoError(t, err)
	require.NoError(t, r.store.SetRunTotal(t.Context(), begun.RunID, 7))
	ended, err := call[EndRunOut](t, r, "EndRun", EndRunIn{Key: r.key, RunID: begun.RunID, State: ledger.RunSucceeded})
	require.NoError(t, err)
	require.Zero(t, ended.Run.Total)
	run, err := r.store.Run(t.Context(), begun.RunID)
	require.NoError(t, err)
	require.Equal(t, run.Done, run.Total)
}
