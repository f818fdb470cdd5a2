package workflows

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
)

func TestPollerSweepsKeepsHouseAndContinues(t *testing.T) {
	env := newEnv(t)
	sweeps := 0
	env.OnActivity("Sweep", anything(), anything()).Return(func(_ context.Context, in activities.SweepIn) (activities.SweepOut, error) {
		sweeps++
		require.Equal(t, 20*time.Second, in.Hold)
		if sweeps == 3 {
			return activities.SweepOut{}, coded(fault.Usage)
		}
		return activities.SweepOut{Looks: 1}, nil
	})
	var rounds atomic.Int64
	env.OnActivity("Housekeep", anything()).Return(func(context.Context) (activities.HousekeepOut, error) {
		rounds.Add(1)
		return activities.HousekeepOut{Connections: 3}, nil
	})
	env.ExecuteWorkflow(Poller, PollerInput{Tuning: Tuning{Lease: 10 * time.Second}})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	require.Equal(t, sweepsPerRun, sweeps)
	require.LessOrEqual(t, rounds.Load(), int64(sweepsPerRun/Tuning{}.sweepsPerHousekeep()))
	require.Greater(t, rounds.Load(), int64(1), "one round at a time, but again and again")
}

func TestOnlyTheFirstPollerKeepsHouse(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("Sweep", anything(), anything()).Return(activities.SweepOut{}, nil)
	env.ExecuteWorkflow(Poller, PollerInput{N: 1})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	var in PollerInput
	require.NoError(t, decode(next, &in))
	require.Equal(t, 1, in.N)
}
