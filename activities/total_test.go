package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
)

// A run knows its total once everything is listed, and not before.
func TestTotalOfARun(t *testing.T) {
	r := newRig(t)
	begun, err := call[BeginRunOut](t, r, "BeginRun", BeginRunIn{Key: r.key, Kind: ledger.RunBackfill})
	require.NoError(t, err)
	finished := false
	r.engine.list = func(request engine.ListRequest) (engine.ListResult, error) {
		one := change("a")
		if finished {
			one = change("b")
		}
		one.RunID = request.RunID
		r.enqueue(t, one)
		return engine.ListResult{Finished: finished, Read: 1, Enqueued: 1}, nil
	}
	in := ListStepIn{Key: r.key, RunID: begun.RunID, Kind: ledger.RunBackfill, For: time.Second}
	listed, err := call[ListStepOut](t, r, "ListStep", in)
	require.NoError(t, err)
	require.Equal(t, -1, listed.Run.Total)
	finished = true
	listed, err = call[ListStepOut](t, r, "ListStep", in)
	require.NoError(t, err)
	require.Equal(t, 2, listed.Run.Total)
	run, err := r.store.Run(t.Context(), begun.RunID)
	require.NoError(t, err)
	require.Equal(t, 2, run.Total)
}
