package workflows

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// drains records what a connection asked for and answers what it is told.
type drains struct {
	env   *testsuite.TestWorkflowEnvironment
	mu    sync.Mutex
	asked []activities.DrainIn
	at    []time.Time
}

func mockDrain(env *testsuite.TestWorkflowEnvironment, answer func(n int, in activities.DrainIn) (activities.DrainOut, error)) *drains {
	d := &drains{env: env}
	env.OnActivity("Drain", anything(), anything()).Return(func(_ context.Context, in activities.DrainIn) (activities.DrainOut, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked = append(d.asked, in)
		d.at = append(d.at, env.Now())
		return answer(len(d.asked), in)
	})
	return d
}

func deleted() (activities.DrainOut, error) { return activities.DrainOut{}, coded(fault.NotFound) }

func TestConnectionDrainsWhenToldAndWhenDue(t *testing.T) {
	env := newEnv(t)
	d := mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		switch n {
		case 1:
			return activities.DrainOut{Claimed: 2, Done: 2, Pending: 1, Waiting: true, Wait: time.Hour}, nil
		case 2, 3:
			return activities.DrainOut{Claimed: 1, Done: 1}, nil
		}
		return deleted()
	})
	// Nothing waits after the second drain: only signals wake it, however many at once.
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(ChangesSignal, nil)
		env.SignalWorkflow(ChangesSignal, nil)
		env.SignalWorkflow(ChangesSignal, nil)
	}, 100*time.Hour)
	env.RegisterDelayedCallback(func() {
		status := query[ConnectionStatus](t, env, StatusQuery)
		require.Equal(t, 4, status.Done)
		require.Equal(t, 3, status.Drains)
		env.SignalWorkflow(ChangesSignal, nil)
	}, 200*time.Hour)
	env.ExecuteWorkflow(Connection, ConnectionInput{Key: testKey()})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, d.asked, 4)
	require.Equal(t, time.Hour, d.at[1].Sub(d.at[0]).Round(time.Minute))
	require.Equal(t, 100*time.Hour, d.at[2].Sub(d.at[0]).Round(time.Minute))
}

func TestConnectionDrainsABigBacklogSideBySide(t *testing.T) {
	env := newEnv(t)
	d := mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		switch {
		case n == 1:
			return activities.DrainOut{Claimed: 100, Backlog: 1000, Pending: 1000}, nil
		case n <= 5:
			return activities.DrainOut{Claimed: 100, Pending: 0}, nil
		}
		return deleted()
	})
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(ChangesSignal, nil) }, time.Hour)
	env.ExecuteWorkflow(Connection, ConnectionInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, d.asked, 6)
	shards := map[int]bool{}
	for _, in := range d.asked[1:5] {
		require.Equal(t, 4, in.Shards)
		shards[in.Shard] = true
	}
	require.Len(t, shards, 4)
	require.Equal(t, 1, d.asked[5].Shards)
}

func TestConnectionDoesNotSpinOnWorkItMayNotDo(t *testing.T) {
	env := newEnv(t)
	d := mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		if n == 20 {
			return deleted()
		}
		return activities.DrainOut{Backlog: 5, Pending: 5}, nil
	})
	env.ExecuteWorkflow(Connection, ConnectionInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
	for i := 1; i < len(d.at); i++ {
		require.GreaterOrEqual(t, d.at[i].Sub(d.at[i-1]), leastRest)
	}
	require.Equal(t, mostRest, d.at[18].Sub(d.at[17]).Round(time.Second))
}

func TestConnectionWaitsWhilePausedAndGoesOn(t *testing.T) {
	env := newEnv(t)
	d := mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		switch n {
		case 1, 2:
			return activities.DrainOut{Paused: true}, nil
		case 3:
			return activities.DrainOut{Claimed: 1, Done: 1}, nil
		}
		return deleted()
	})
	env.OnActivity("SetState", anything(), activities.SetStateIn{Key: testKey(), State: ledger.Active}).Return(activities.None{}, nil).Once()
	var resumed caller
	env.RegisterDelayedCallback(func() {
		require.True(t, query[ConnectionStatus](t, env, StatusQuery).Paused)
		env.UpdateWorkflow(ResumeUpdate, "u1", &resumed)
		env.SignalWorkflow(ChangesSignal, nil)
	}, 1500*time.Millisecond)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(ChangesSignal, nil) }, time.Hour)
	env.ExecuteWorkflow(Connection, ConnectionInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
	require.NoError(t, resumed.err)
	require.True(t, resumed.accepted)
	require.Equal(t, firstPaused, d.at[1].Sub(d.at[0]).Round(time.Second), "a worker may know the old state for a moment")
	require.Equal(t, 500*time.Millisecond, d.at[2].Sub(d.at[1]).Round(100*time.Millisecond))
}

func TestConnectionOpensAndEndsConflicts(t *testing.T) {
	env := newEnv(t)
	mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		if n == 1 {
			return activities.DrainOut{Claimed: 2, Opened: []string{"k1", "k2"}, Closed: []string{"k0"}}, nil
		}
		return deleted()
	})
	started := map[string]bool{}
	env.OnWorkflow(ConflictType, anything(), anything()).Return(func(_ workflow.Context, in ConflictInput) (ConflictStatus, error) {
		started[in.ConflictID] = true
		return ConflictStatus{}, nil
	})
	env.OnSignalExternalWorkflow(anything(), "conflict/t1/c1/k0", "", ClosedSignal, nil).Return(nil).Once()
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(ChangesSignal, nil) }, time.Hour)
	env.ExecuteWorkflow(Connection, ConnectionInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, map[string]bool{"k1": true, "k2": true}, started)
}

func TestConnectionShowsWhyItFailsAndTriesOn(t *testing.T) {
	env := newEnv(t)
	mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		switch n {
		case 1:
			return activities.DrainOut{}, coded(fault.Usage)
		case 2:
			return activities.DrainOut{Claimed: 1, Done: 1}, nil
		}
		return deleted()
	})
	env.RegisterDelayedCallback(func() {
		require.Equal(t, "text for people", query[ConnectionStatus](t, env, StatusQuery).Problem)
	}, 500*time.Millisecond)
	env.RegisterDelayedCallback(func() {
		require.Empty(t, query[ConnectionStatus](t, env, StatusQuery).Problem)
		env.SignalWorkflow(ChangesSignal, nil)
	}, time.Hour)
	env.ExecuteWorkflow(Connection, ConnectionInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
}

func TestConnectionUpdates(t *testing.T) {
	env := newEnv(t)
	mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		if n == 1 {
			return activities.DrainOut{}, nil
		}
		return deleted()
	})
	env.OnActivity("OpenRun", anything(), activities.OpenRunIn{Key: testKey(), Kind: ledger.RunCompare, Stream: "leads"}).
		Return(activities.OpenRunOut{RunID: "r1", WorkflowID: "w1", Joined: true}, nil).Once()
	env.OnActivity("SetState", anything(), activities.SetStateIn{Key: testKey(), State: ledger.Paused, Reason: "stocktaking"}).Return(activities.None{}, nil).Once()
	env.OnActivity("Decide", anything(), activities.DecideIn{Key: testKey(), ConflictID: "k1", DecisionID: "d1"}).Return(activities.None{}, coded(fault.Conflict)).Once()
	var run, badRun, pause, resolve, badResolve caller
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(RunUpdate, "u1", &run, RunRequest{Kind: ledger.RunCompare, Stream: "leads"})
		env.UpdateWorkflow(RunUpdate, "u2", &badRun, RunRequest{Kind: "dance"})
		env.UpdateWorkflow(PauseUpdate, "u3", &pause, PauseRequest{Reason: "stocktaking"})
		env.UpdateWorkflow(ResolveUpdate, "u4", &resolve, ResolveRequest{ConflictID: "k1", DecisionID: "d1"})
		env.UpdateWorkflow(ResolveUpdate, "u5", &badResolve, ResolveRequest{ConflictID: "k1"})
	}, time.Minute)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(ChangesSignal, nil) }, time.Hour)
	env.ExecuteWorkflow(Connection, ConnectionInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, RunAnswer{RunID: "r1", WorkflowID: "w1", Joined: true}, run.result)
	require.Equal(t, fault.Usage, codeOf(badRun.rejected))
	require.NoError(t, pause.err)
	require.Equal(t, fault.Conflict, codeOf(resolve.err))
	require.Equal(t, fault.Usage, codeOf(badResolve.rejected))
}

func TestConnectionContinuesAsNewWithItsCounts(t *testing.T) {
	env := newEnv(t)
	mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		env.SetContinueAsNewSuggested(n == 2)
		return activities.DrainOut{Claimed: 1, Done: 1, Waiting: true, Wait: time.Minute, Pending: 1}, nil
	})
	env.ExecuteWorkflow(Connection, ConnectionInput{Key: testKey(), Status: ConnectionStatus{Done: 40, Drains: 7}})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	require.Equal(t, ConnectionType, next.WorkflowType.Name)
	var in ConnectionInput
	require.NoError(t, decode(next, &in))
	require.Equal(t, 42, in.Status.Done)
	require.Equal(t, 9, in.Status.Drains)
}
