package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const patience = 72 * time.Hour

func conflictInput() ConflictInput { return ConflictInput{Key: testKey(), ConflictID: "k1"} }

// mockLook answers the conflict's state, with a deadline 72 h after the start.
func mockLook(env *testsuite.TestWorkflowEnvironment, state func() ledger.ConflictState) {
	opened := env.Now()
	env.OnActivity("LookConflict", anything(), activities.ConflictIn{Key: testKey(), ConflictID: "k1"}).
		Return(func(context.Context, activities.ConflictIn) (activities.ConflictOut, error) {
			age := env.Now().Sub(opened)
			return activities.ConflictOut{
				State: state(), Stream: "leads", Field: "phone", LeftRef: "left/leads/1", RightRef: "right/contacts/2",
				Age: age, Left: patience - age, HasDeadline: true,
			}, nil
		})
}

// mockReminders counts how much time each reminder says is left.
func mockReminders(env *testsuite.TestWorkflowEnvironment) *[]time.Duration {
	left := &[]time.Duration{}
	env.OnActivity("Remind", anything(), anything()).Return(func(_ context.Context, in activities.RemindIn) (activities.None, error) {
		*left = append(*left, in.Left.Round(time.Minute))
		return activities.None{}, nil
	})
	return left
}

func TestConflictRemindsThenFallsBack(t *testing.T) {
	env := newEnv(t)
	state := ledger.ConflictOpen
	mockLook(env, func() ledger.ConflictState { return state })
	left := mockReminders(env)
	began := env.Now()
	env.OnActivity("Fallback", anything(), activities.ConflictIn{Key: testKey(), ConflictID: "k1"}).
		Return(func(context.Context, activities.ConflictIn) (activities.FallbackOut, error) {
			require.Equal(t, patience, env.Now().Sub(began).Round(time.Minute))
			state = ledger.ConflictClosed
			return activities.FallbackOut{Closed: true}, nil
		}).Once()
	env.ExecuteWorkflow(Conflict, conflictInput())
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []time.Duration{36 * time.Hour, 432 * time.Minute}, *left)
}

func TestConflictIsDecidedByAPerson(t *testing.T) {
	env := newEnv(t)
	state := ledger.ConflictOpen
	mockLook(env, func() ledger.ConflictState { return state })
	decided := answers(error(coded(fault.Conflict)), nil)
	env.OnActivity("Decide", anything(), anything()).Return(func(_ context.Context, in activities.DecideIn) (activities.None, error) {
		err := decided()
		if err == nil {
			state = ledger.ConflictDecided
		}
		return activities.None{}, err
	}).Times(2)
	var stale, good, incomplete caller
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(ResolveUpdate, "u0", &incomplete, ResolveRequest{})
		env.UpdateWorkflow(ResolveUpdate, "u1", &stale, ResolveRequest{ConflictID: "k1", DecisionID: "d1"})
	}, time.Hour)
	env.RegisterDelayedCallback(func() {
		require.Equal(t, ledger.ConflictOpen, query[ConflictStatus](t, env, StatusQuery).State)
		env.UpdateWorkflow(ResolveUpdate, "u2", &good, ResolveRequest{ConflictID: "k1", DecisionID: "d2"})
	}, 2*time.Hour)
	env.RegisterDelayedCallback(func() {
		require.Equal(t, ledger.ConflictDecided, query[ConflictStatus](t, env, StatusQuery).State)
		state = ledger.ConflictClosed
		env.SignalWorkflow(ClosedSignal, nil)
	}, 2*time.Hour+30*time.Second)
	began := env.Now()
	env.ExecuteWorkflow(Conflict, conflictInput())
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, fault.Usage, codeOf(incomplete.rejected))
	require.Equal(t, fault.Conflict, codeOf(stale.err))
	require.NoError(t, good.err)
	require.Equal(t, 2*time.Hour+30*time.Second, env.Now().Sub(began).Round(time.Second))
}

func TestDecidedConflictEndsThoughNobodyTellsIt(t *testing.T) {
	env := newEnv(t)
	looks := answers(ledger.ConflictOpen, ledger.ConflictDecided, ledger.ConflictDecided, ledger.ConflictClosed)
	mockLook(env, looks)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(ClosedSignal, nil) }, time.Hour)
	env.ExecuteWorkflow(Conflict, conflictInput())
	require.NoError(t, env.GetWorkflowError())
}

func TestConflictThatMovedWaitsOn(t *testing.T) {
	env := newEnv(t)
	state := ledger.ConflictDecided
	mockLook(env, func() ledger.ConflictState { return state })
	mockReminders(env)
	// New values voided the decision: it is open again and a person decides anew.
	env.RegisterDelayedCallback(func() { state = ledger.ConflictOpen }, time.Hour)
	env.RegisterDelayedCallback(func() {
		require.Equal(t, ledger.ConflictOpen, query[ConflictStatus](t, env, StatusQuery).State)
		state = ledger.ConflictClosed
		env.SignalWorkflow(ClosedSignal, nil)
	}, 40*time.Hour)
	env.ExecuteWorkflow(Conflict, conflictInput())
	require.NoError(t, env.GetWorkflowError())
}

func TestConflictWhoseFallbackCannotDecideYetStaysOpen(t *testing.T) {
	env := newEnv(t)
	state := ledger.ConflictOpen
	mockLook(env, func() ledger.ConflictState { return state })
	mockReminders(env)
	fallback := answers(activities.FallbackOut{}, activities.FallbackOut{}, activities.FallbackOut{Closed: true})
	tries := 0
	env.OnActivity("Fallback", anything(), anything()).Return(func(context.Context, activities.ConflictIn) (activities.FallbackOut, error) {
		tries++
		out := fallback()
		if out.Closed {
			state = ledger.ConflictClosed
		}
		return out, nil
	})
	env.ExecuteWorkflow(Conflict, conflictInput())
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, 3, tries)
}

func TestConflictWithoutDeadlineWaitsForGood(t *testing.T) {
	env := newEnv(t)
	state := ledger.ConflictOpen
	env.OnActivity("LookConflict", anything(), anything()).Return(func(context.Context, activities.ConflictIn) (activities.ConflictOut, error) {
		return activities.ConflictOut{State: state}, nil
	}).Times(2)
	env.RegisterDelayedCallback(func() {
		state = ledger.ConflictClosed
		env.SignalWorkflow(ClosedSignal, nil)
	}, 10000*time.Hour)
	env.ExecuteWorkflow(Conflict, conflictInput())
	require.NoError(t, env.GetWorkflowError())
}
