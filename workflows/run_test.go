package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func backfill() RunInput {
	return RunInput{Key: testKey(), RunID: "r1", Kind: ledger.RunBackfill, Stream: "leads"}
}

// firstRests are the pauses of a run that has made none.
func firstRests() activities.Rests {
	return activities.Rests{Waiting: leastRest, Refused: leastRest, Failed: failedRest}
}

func began(runID string) activities.BeginRunOut {
	return activities.BeginRunOut{RunID: runID, WorkflowID: "w1", State: ledger.RunRunning}
}

func TestRunListsThenWorksThenEnds(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), activities.BeginRunIn{Key: testKey(), RunID: "r1", Kind: ledger.RunBackfill, Stream: "leads"}).Return(began("r1"), nil).Once()
	list := answers(
		activities.ListStepOut{Read: 100, Enqueued: 90, Run: activities.RunProgress{Total: -1}},
		activities.ListStepOut{Read: 10, Wait: 30 * time.Second},
		activities.ListStepOut{Read: 50, Finished: true, Run: activities.RunProgress{Total: 160, Done: 20}},
	)
	var listed []time.Time
	env.OnActivity("ListStep", anything(), activities.ListStepIn{Key: testKey(), RunID: "r1", Kind: ledger.RunBackfill, Stream: "leads", For: listFor, Rests: firstRests()}).
		Return(func(context.Context, activities.ListStepIn) (activities.ListStepOut, error) {
			listed = append(listed, env.Now())
			return list(), nil
		}).Times(3)
	drain := answers(
		activities.DrainOut{Claimed: 90, Done: 80, Pending: 10, Waiting: true, Wait: time.Hour, Opened: []string{"k1"}},
		activities.DrainOut{Claimed: 10, Done: 10, Pending: 0, Run: activities.RunProgress{Total: 160, Done: 160, Counts: ledger.Counts{Created: 90}}},
	)
	d := mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) { return drain(), nil })
	opened := 0
	env.OnWorkflow(ConflictType, anything(), anything()).Return(func(_ workflow.Context, in ConflictInput) (ConflictStatus, error) {
		opened++
		return ConflictStatus{}, nil
	})
	end := activities.EndRunOut{Run: activities.RunProgress{Total: 160, Done: 160, Counts: ledger.Counts{Created: 90}}}
	env.OnActivity("EndRun", anything(), activities.EndRunIn{Key: testKey(), RunID: "r1", State: ledger.RunSucceeded}).Return(end, nil).Once()
	env.ExecuteWorkflow(Run, backfill())
	require.NoError(t, env.GetWorkflowError())
	var status RunStatus
	require.NoError(t, env.GetWorkflowResult(&status))
	require.Equal(t, PhaseEnded, status.Phase)
	require.Equal(t, 90, status.Counts.Created)
	require.Equal(t, 1, opened)
	require.Equal(t, 30*time.Second, listed[2].Sub(listed[1]).Round(time.Second))
	require.Equal(t, "r1", d.asked[0].RunID)
	require.False(t, d.asked[0].UntriedOnly)
}

func TestRunOfAScheduleOpensItsRow(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), activities.BeginRunIn{Key: testKey(), Kind: ledger.RunCompare, Stream: "leads"}).Return(began("r9"), nil).Once()
	env.OnActivity("ListStep", anything(), activities.ListStepIn{Key: testKey(), RunID: "r9", Kind: ledger.RunCompare, Stream: "leads", For: listFor, Rests: firstRests()}).
		Return(activities.ListStepOut{Finished: true}, nil).Once()
	mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) { return activities.DrainOut{}, nil })
	env.OnActivity("EndRun", anything(), anything()).Return(activities.EndRunOut{}, nil).Once()
	env.ExecuteWorkflow(Run, RunInput{Key: testKey(), Kind: ledger.RunCompare, Stream: "leads"})
	require.NoError(t, env.GetWorkflowError())
}

func TestRunThatJoinsAnotherEndsAtOnce(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), anything()).Return(activities.BeginRunOut{RunID: "r2", Theirs: true, State: ledger.RunRunning}, nil).Once()
	env.ExecuteWorkflow(Run, RunInput{Key: testKey(), Kind: ledger.RunCompare})
	require.NoError(t, env.GetWorkflowError())
	var status RunStatus
	require.NoError(t, env.GetWorkflowResult(&status))
	require.Equal(t, PhaseJoined, status.Phase)
}

func TestRunListsOnceMoreWhenAskedAgain(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
	env.OnActivity("ListStep", anything(), anything()).Return(activities.ListStepOut{Finished: true}, nil).Times(2)
	mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) { return activities.DrainOut{}, nil })
	end := answers(activities.EndRunOut{Again: true}, activities.EndRunOut{})
	env.OnActivity("EndRun", anything(), anything()).Return(func(context.Context, activities.EndRunIn) (activities.EndRunOut, error) {
		return end(), nil
	}).Times(2)
	env.OnActivity("NextPass", anything(), activities.NextPassIn{Key: testKey(), RunID: "r1"}).Return(activities.None{}, nil).Once()
	env.ExecuteWorkflow(Run, backfill())
	require.NoError(t, env.GetWorkflowError())
	var status RunStatus
	require.NoError(t, env.GetWorkflowResult(&status))
	require.Equal(t, 2, status.Passes)
}

func TestRunPausedInTheMiddleGoesOnWhenTold(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
	list := answers(activities.ListStepOut{Read: 1}, activities.ListStepOut{Paused: true}, activities.ListStepOut{Paused: true}, activities.ListStepOut{Finished: true})
	var at []time.Time
	env.OnActivity("ListStep", anything(), anything()).Return(func(context.Context, activities.ListStepIn) (activities.ListStepOut, error) {
		at = append(at, env.Now())
		return list(), nil
	}).Times(4)
	drain := answers(activities.DrainOut{Paused: true}, activities.DrainOut{})
	d := mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) { return drain(), nil })
	env.OnActivity("EndRun", anything(), anything()).Return(activities.EndRunOut{}, nil).Once()
	env.RegisterDelayedCallback(func() {
		require.Equal(t, PhasePaused, query[RunStatus](t, env, ProgressQuery).Phase)
		env.SignalWorkflow(ResumedSignal, nil)
	}, 1500*time.Millisecond)
	env.ExecuteWorkflow(Run, backfill())
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, firstPaused, at[2].Sub(at[1]).Round(time.Second), "it looks by itself")
	require.Equal(t, 500*time.Millisecond, at[3].Sub(at[2]).Round(100*time.Millisecond), "and at once when told")
	require.Equal(t, firstPaused, d.at[1].Sub(d.at[0]).Round(time.Second), "a paused connection has nothing pending, yet the run is not over")
}

func TestPollRunEndsOnceEachRecordWasTried(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
	env.OnActivity("ListStep", anything(), anything()).Return(activities.ListStepOut{Finished: true}, nil).Once()
	drain := answers(activities.DrainOut{Claimed: 5, Pending: 5, Untried: 2}, activities.DrainOut{Claimed: 2, Pending: 3, Untried: 0, Waiting: true, Wait: time.Hour})
	d := mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) { return drain(), nil })
	env.OnActivity("EndRun", anything(), anything()).Return(activities.EndRunOut{}, nil).Once()
	in := backfill()
	in.Kind = ledger.RunPoll
	env.ExecuteWorkflow(Run, in)
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, d.asked, 2)
	require.True(t, d.asked[0].UntriedOnly)
}

func TestReplayRunReplaysDeadLetters(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
	env.OnActivity("ReplayDeadLetters", anything(), activities.ReplayIn{Key: testKey(), RunID: "r1"}).Return(activities.ReplayOut{Enqueued: 3}, nil).Once()
	mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) { return activities.DrainOut{}, nil })
	env.OnActivity("EndRun", anything(), anything()).Return(activities.EndRunOut{}, nil).Once()
	in := backfill()
	in.Kind, in.Stream = ledger.RunReplay, ""
	env.ExecuteWorkflow(Run, in)
	require.NoError(t, env.GetWorkflowError())
}

func TestRunShowsWhyItWaitsAndTriesOnForDays(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
	back := env.Now().Add(48 * time.Hour)
	steps := 0
	env.OnActivity("ListStep", anything(), anything()).Return(func(context.Context, activities.ListStepIn) (activities.ListStepOut, error) {
		if steps++; env.Now().Before(back) {
			return activities.ListStepOut{}, coded(fault.Auth)
		}
		return activities.ListStepOut{Finished: true}, nil
	})
	mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) { return activities.DrainOut{}, nil })
	env.OnActivity("EndRun", anything(), anything()).Return(activities.EndRunOut{}, nil).Once()
	env.RegisterDelayedCallback(func() {
		require.Equal(t, "text for people", query[RunStatus](t, env, ProgressQuery).Problem)
	}, 24*time.Hour)
	env.ExecuteWorkflow(Run, backfill())
	require.NoError(t, env.GetWorkflowError())
	require.Less(t, steps, 48*12*6, "pauses grow to five minutes, with a handful of tries each")
	require.Empty(t, query[RunStatus](t, env, ProgressQuery).Problem)
}

func TestRunWaitsForRetriesEverMoreRarely(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
	env.OnActivity("ListStep", anything(), anything()).Return(activities.ListStepOut{Finished: true}, nil).Once()
	due := env.Now().Add(2 * time.Hour)
	d := mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) {
		if left := due.Sub(env.Now()); left > 0 {
			return activities.DrainOut{Pending: 1, Waiting: true, Wait: left}, nil
		}
		return activities.DrainOut{Claimed: 1}, nil
	})
	env.OnActivity("EndRun", anything(), anything()).Return(activities.EndRunOut{}, nil).Once()
	env.ExecuteWorkflow(Run, backfill())
	require.NoError(t, env.GetWorkflowError())
	require.Less(t, len(d.asked), 150)
}

func TestRunContinuesAsNewInTheMiddle(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
	env.OnActivity("ListStep", anything(), anything()).Return(activities.ListStepOut{Finished: true}, nil).Once()
	mockDrain(env, func(int, activities.DrainIn) (activities.DrainOut, error) {
		env.SetContinueAsNewSuggested(true)
		return activities.DrainOut{Claimed: 3, Pending: 7, Run: activities.RunProgress{Done: 3, Total: 10}}, nil
	})
	env.ExecuteWorkflow(Run, backfill())
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	var in RunInput
	require.NoError(t, decode(next, &in))
	require.Equal(t, "r1", in.RunID)
	require.True(t, in.Listed, "what was listed is not listed again")
	require.Equal(t, 3, in.Status.Done)
	require.Equal(t, 7, in.Status.Pending)
}

func TestRunCancelledOrWithoutConnectionEndsItsRow(t *testing.T) {
	t.Run("cancelled", func(t *testing.T) {
		env := newEnv(t)
		env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
		env.OnActivity("ListStep", anything(), anything()).Return(activities.ListStepOut{Paused: true}, nil)
		env.OnActivity("EndRun", anything(), activities.EndRunIn{Key: testKey(), RunID: "r1", State: ledger.RunCancelled, Reason: "it was cancelled"}).
			Return(activities.EndRunOut{}, nil).Once()
		env.RegisterDelayedCallback(env.CancelWorkflow, 90*time.Second)
		env.ExecuteWorkflow(Run, backfill())
		require.True(t, temporal.IsCanceledError(env.GetWorkflowError()))
	})
	t.Run("connection deleted", func(t *testing.T) {
		env := newEnv(t)
		env.OnActivity("BeginRun", anything(), anything()).Return(began("r1"), nil).Once()
		env.OnActivity("ListStep", anything(), anything()).Return(activities.ListStepOut{}, coded(fault.NotFound)).Once()
		env.OnActivity("EndRun", anything(), activities.EndRunIn{Key: testKey(), RunID: "r1", State: ledger.RunFailed, Reason: "text for people"}).
			Return(activities.EndRunOut{}, nil).Once()
		env.ExecuteWorkflow(Run, backfill())
		require.Equal(t, fault.NotFound, codeOf(env.GetWorkflowError()))
	})
}
