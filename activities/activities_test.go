package activities

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func requireCode(t *testing.T, code fault.Code, err error) {
	t.Helper()
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.Equal(t, string(code), application.Type())
}

func TestDrainClearsTheNudgeBeforeItReads(t *testing.T) {
	r := newRig(t)
	require.True(t, r.enqueue(t, change("1")))
	require.False(t, r.enqueue(t, change("2")), "a nudge is pending")
	r.engine.drain = func(request engine.DrainRequest) (engine.DrainResult, error) {
		require.Equal(t, 2, request.Shard)
		require.Equal(t, "default-test-workflow-id", request.WorkflowID)
		require.True(t, r.enqueue(t, change("3")), "what arrives during a drain nudges again")
		return engine.DrainResult{Claimed: 2, Done: 2, Pending: 1, NextDue: time.Now().Add(time.Hour)}, nil
	}
	out, err := call[DrainOut](t, r, "Drain", DrainIn{Key: r.key, Shard: 2, Shards: 4, For: time.Second})
	require.NoError(t, err)
	require.Equal(t, 2, out.Done)
	require.True(t, out.Waiting)
	require.InDelta(t, time.Hour, out.Wait, float64(time.Minute))
}

func TestDrainPanicsAndErrorsAreCodedAndQuiet(t *testing.T) {
	r := newRig(t)
	r.engine.drain = func(engine.DrainRequest) (engine.DrainResult, error) { panic("maria@example.com") }
	_, err := call[DrainOut](t, r, "Drain", DrainIn{Key: r.key, For: time.Second})
	requireCode(t, fault.Internal, err)
	require.NotContains(t, err.Error(), "maria")
	r.engine.drain = func(engine.DrainRequest) (engine.DrainResult, error) {
		return engine.DrainResult{}, fault.New(fault.Unavailable, "the database does not answer")
	}
	_, err = call[DrainOut](t, r, "Drain", DrainIn{Key: r.key, For: time.Second})
	requireCode(t, fault.Unavailable, err)
}

func (r *rig) startRun(t *testing.T, kind ledger.RunKind) ledger.Run {
	t.Helper()
	run, _, err := r.store.StartRun(t.Context(), ledger.Run{ID: "run-" + string(kind), Key: r.key, Kind: kind, Total: -1, WorkflowID: "w-" + string(kind)})
	require.NoError(t, err)
	return run
}

func TestDrainOfARunStaysUntilOthersAreDone(t *testing.T) {
	r := newRig(t)
	run := r.startRun(t, ledger.RunBackfill)
	calls := 0
	r.engine.drain = func(request engine.DrainRequest) (engine.DrainResult, error) {
		require.Equal(t, run.ID, request.RunID)
		calls++
		// Another drain holds the last two rows for a moment.
		return engine.DrainResult{Claimed: max(0, 3-calls), Pending: max(0, 4-calls), Opened: []string{"k"}}, nil
	}
	out, err := call[DrainOut](t, r, "Drain", DrainIn{Key: r.key, RunID: run.ID, For: 10 * time.Second})
	require.NoError(t, err)
	require.Zero(t, out.Pending)
	require.Equal(t, 3, out.Claimed)
	require.Len(t, out.Opened, 4)
	require.Equal(t, -1, out.Run.Total)
}

func TestDrainOfARunLeavesWhenTheWorkerStops(t *testing.T) {
	r := newRig(t)
	run := r.startRun(t, ledger.RunBackfill)
	r.engine.drain = func(request engine.DrainRequest) (engine.DrainResult, error) {
		require.NotNil(t, request.Stop)
		close(r.stop)
		return engine.DrainResult{Claimed: 1, Pending: 100, NextDue: time.Now()}, nil
	}
	out, err := call[DrainOut](t, r, "Drain", DrainIn{Key: r.key, RunID: run.ID, For: time.Hour})
	require.NoError(t, err)
	require.Equal(t, 1, out.Claimed)
	require.Equal(t, 100, out.Pending)
}

func TestDrainOfAPollEndsOnceAllWereTried(t *testing.T) {
	r := newRig(t)
	run := r.startRun(t, ledger.RunPoll)
	r.engine.drain = func(engine.DrainRequest) (engine.DrainResult, error) {
		return engine.DrainResult{Claimed: 1, Pending: 3}, nil
	}
	out, err := call[DrainOut](t, r, "Drain", DrainIn{Key: r.key, RunID: run.ID, UntriedOnly: true, For: time.Hour})
	require.NoError(t, err)
	require.Equal(t, 3, out.Pending)
}

func TestARunFromBeginToEnd(t *testing.T) {
	r := newRig(t)
	begin := BeginRunIn{Key: r.key, Kind: ledger.RunCompare, Stream: "leads"}
	first, err := call[BeginRunOut](t, r, "BeginRun", begin)
	require.NoError(t, err)
	require.False(t, first.Theirs)
	again, err := call[BeginRunOut](t, r, "BeginRun", begin)
	require.NoError(t, err)
	require.Equal(t, first, again, "tried again by the same workflow")

	r.engine.list = func(request engine.ListRequest) (engine.ListResult, error) {
		require.Equal(t, first.RunID, request.RunID)
		return engine.ListResult{Read: 5, Enqueued: 2, RetryAt: time.Now().Add(time.Hour), Code: "throttled"}, nil
	}
	listed, err := call[ListStepOut](t, r, "ListStep", ListStepIn{Key: r.key, RunID: first.RunID, Kind: ledger.RunCompare, For: time.Second})
	require.NoError(t, err)
	require.InDelta(t, time.Hour, listed.Wait, float64(time.Minute))
	require.Equal(t, fault.Throttled, listed.Code)
	require.Equal(t, 1, r.orch.nudges(), "rows were found")
	problem := r.problem(t, first.RunID)
	require.Equal(t, "throttled", problem.Code)
	require.WithinDuration(t, time.Now().Add(time.Hour), problem.NextTry, time.Minute)

	// Somebody asks for one more pass meanwhile: it goes on.
	_, joined, err := r.store.StartRun(t.Context(), ledger.Run{ID: "other", Key: r.key, Kind: ledger.RunCompare, Stream: "leads", Total: -1})
	require.NoError(t, err)
	require.True(t, joined)
	ended, err := call[EndRunOut](t, r, "EndRun", EndRunIn{Key: r.key, RunID: first.RunID, State: ledger.RunSucceeded})
	require.NoError(t, err)
	require.True(t, ended.Again)
	ended, err = call[EndRunOut](t, r, "EndRun", EndRunIn{Key: r.key, RunID: first.RunID, State: ledger.RunSucceeded})
	require.NoError(t, err)
	require.True(t, ended.Again, "trying the step again does not lose the wish")
	_, err = call[None](t, r, "NextPass", NextPassIn{Key: r.key, RunID: first.RunID})
	require.NoError(t, err)
	ended, err = call[EndRunOut](t, r, "EndRun", EndRunIn{Key: r.key, RunID: first.RunID, State: ledger.RunSucceeded})
	require.NoError(t, err)
	require.False(t, ended.Again)
	ended, err = call[EndRunOut](t, r, "EndRun", EndRunIn{Key: r.key, RunID: first.RunID, State: ledger.RunSucceeded})
	require.NoError(t, err)
	require.False(t, ended.Again)

	begin.RunID = first.RunID
	over, err := call[BeginRunOut](t, r, "BeginRun", begin)
	require.NoError(t, err)
	require.True(t, over.Theirs, "a run that is over is not carried again")
}

// problem is what the ledger says keeps a run.
func (r *rig) problem(t *testing.T, runID string) ledger.RunProblem {
	t.Helper()
	run, err := r.store.Run(t.Context(), runID)
	require.NoError(t, err)
	require.NotNil(t, run.Problem)
	return *run.Problem
}

func TestARunTellsWhyItDoesNotGetOn(t *testing.T) {
	r := newRig(t)
	run := r.startRun(t, ledger.RunCompare)
	in := ListStepIn{Key: r.key, RunID: run.ID, Kind: ledger.RunCompare, Rests: Rests{Waiting: time.Minute, Refused: time.Hour, Failed: 24 * time.Hour}}
	list := func(result engine.ListResult, failed error) ledger.RunProblem {
		r.engine.list = func(engine.ListRequest) (engine.ListResult, error) { return result, failed }
		_, err := call[ListStepOut](t, r, "ListStep", in)
		require.Equal(t, failed != nil, err != nil)
		return r.problem(t, run.ID)
	}
	soon := time.Now().Add(time.Second)
	problem := list(engine.ListResult{RetryAt: soon, Code: "transient", Problem: "stream leads cannot be listed on the left side"}, nil)
	require.Equal(t, "stream leads cannot be listed on the left side", problem.Message)
	require.WithinDuration(t, time.Now().Add(time.Minute), problem.NextTry, 30*time.Second, "the run pauses longer than the side asks for")
	problem = list(engine.ListResult{RetryAt: soon, Code: "auth", Problem: "refused"}, nil)
	require.Equal(t, 2, problem.Tries)
	require.WithinDuration(t, time.Now().Add(time.Hour), problem.NextTry, 30*time.Second)
	problem = list(engine.ListResult{}, fault.New(fault.Internal, "a defect"))
	require.Equal(t, "internal", problem.Code)
	require.Equal(t, "a defect", problem.Message)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), problem.NextTry, 30*time.Second)
	problem = list(engine.ListResult{Paused: true}, nil)
	require.Equal(t, "conflict", problem.Code)
	require.Zero(t, problem.NextTry, "a person is waited for")

	r.engine.drain = func(engine.DrainRequest) (engine.DrainResult, error) {
		return engine.DrainResult{Pending: 3, Untried: 3, NextDue: time.Now().Add(time.Hour), Code: "auth", Problem: "the left side refuses the credentials (auth)"}, nil
	}
	_, err := call[DrainOut](t, r, "Drain", DrainIn{Key: r.key, RunID: run.ID})
	require.NoError(t, err)
	require.Equal(t, "the left side refuses the credentials (auth)", r.problem(t, run.ID).Message)
}

func TestAScheduledRunLeavesARunningOneAlone(t *testing.T) {
	r := newRig(t)
	running := r.startRun(t, ledger.RunCompare)
	out, err := call[BeginRunOut](t, r, "BeginRun", BeginRunIn{Key: r.key, Kind: ledger.RunCompare})
	require.NoError(t, err)
	require.True(t, out.Theirs)
	require.Equal(t, running.ID, out.RunID)
	again, err := r.store.TakeAgain(t.Context(), running.ID)
	require.NoError(t, err)
	require.False(t, again, "it is not made to list once more")
}

func TestACancelledRunEndsThoughAskedAgain(t *testing.T) {
	r := newRig(t)
	run := r.startRun(t, ledger.RunBackfill)
	_, joined, err := r.store.StartRun(t.Context(), ledger.Run{ID: "other", Key: r.key, Kind: ledger.RunBackfill, Total: -1})
	require.NoError(t, err)
	require.True(t, joined)
	out, err := call[EndRunOut](t, r, "EndRun", EndRunIn{Key: r.key, RunID: run.ID, State: ledger.RunCancelled, Reason: "cancelled"})
	require.NoError(t, err)
	require.False(t, out.Again)
	stored, err := r.store.Run(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.RunCancelled, stored.State)
}

func TestDecideTakesTheProposalFromTheLedger(t *testing.T) {
	r := newRig(t)
	seen := &ProposalSeen{Left: "+55 11 91234-5678", Right: json.Number("75000.00")}
	proposal := Proposal{Decision: ledger.Decision{Choose: ledger.ChooseValue, Value: "maria@example.com", By: "ana"}, Seen: seen}
	require.NoError(t, KeepProposal(t.Context(), r.store, r.key.Tenant, "d1", proposal))
	require.NoError(t, KeepProposal(t.Context(), r.store, r.key.Tenant, "d1", proposal), "keeping it again is harmless")
	decisions := 0
	r.engine.decide = func(id string, decision ledger.Decision, prints *engine.SeenPrints) error {
		decisions++
		require.Equal(t, "k1", id)
		require.Equal(t, "maria@example.com", decision.Value)
		require.Equal(t, record.Fingerprint(seen.Left), prints.Left)
		require.Equal(t, record.Fingerprint(seen.Right), prints.Right)
		if decisions > 1 {
			return fault.New(fault.Conflict, "the values have moved")
		}
		return nil
	}
	_, err := call[None](t, r, "Decide", DecideIn{Key: r.key, ConflictID: "k1", DecisionID: "d1"})
	require.NoError(t, err)
	require.Equal(t, 1, r.orch.nudges())
	_, err = call[None](t, r, "Decide", DecideIn{Key: r.key, ConflictID: "k1", DecisionID: "d1"})
	requireCode(t, fault.Conflict, err)
	for range 2 {
		_, err = call[None](t, r, "Decide", DecideIn{Key: r.key, ConflictID: "k1", DecisionID: "unknown"})
		requireCode(t, fault.NotFound, err)
	}
	require.Equal(t, 2, decisions)
}

func (r *rig) conflict(t *testing.T, id string, started bool, deadline time.Time) {
	t.Helper()
	left, right := record.Ref{Side: record.Left, Object: "leads", ID: id}, record.Ref{Side: record.Right, Object: "contacts", ID: id}
	require.NoError(t, r.store.Commit(t.Context(), r.key, ledger.Commit{
		PutLinks: []ledger.Link{{ID: "l" + id, Stream: "leads", Left: left, Right: right, State: ledger.LinkActive}},
		PutConflicts: []ledger.Conflict{{
			ID: id, Stream: "leads", LinkID: "l" + id, LeftRef: left, RightRef: right, Field: "phone", Left: "a", Right: "b",
			OpenedAt: time.Now().Add(-time.Hour), Deadline: deadline, State: ledger.ConflictOpen, Started: started,
		}},
	}))
}

func TestLookConflictTellsTimesAndTakesTheDoor(t *testing.T) {
	r := newRig(t)
	r.conflict(t, "k1", false, time.Now().Add(time.Hour))
	out, err := call[ConflictOut](t, r, "LookConflict", ConflictIn{Key: r.key, ConflictID: "k1"})
	require.NoError(t, err)
	require.Equal(t, ledger.ConflictOpen, out.State)
	require.True(t, out.HasDeadline)
	require.InDelta(t, time.Hour, out.Left, float64(time.Minute))
	require.InDelta(t, time.Hour, out.Age, float64(time.Minute))
	_, stored, err := r.store.FindConflict(t.Context(), "k1")
	require.NoError(t, err)
	require.True(t, stored.Started)
	require.Equal(t, "default-test-workflow-id", stored.WorkflowID)
	out, err = call[ConflictOut](t, r, "LookConflict", ConflictIn{Key: r.key, ConflictID: "unknown"})
	require.NoError(t, err)
	require.Equal(t, ledger.ConflictClosed, out.State)
}

func TestSweepFindsPollsChangesAndConflicts(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: "leads", NextPollAt: time.Now().Add(-time.Second)}))
	require.NoError(t, r.store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: "users", NextPollAt: time.Now().Add(-time.Second)}))
	r.conflict(t, "new", false, time.Now().Add(time.Hour))
	r.conflict(t, "started", true, time.Now().Add(time.Hour))
	r.conflict(t, "late", true, time.Now().Add(-time.Minute))
	r.conflict(t, "due", true, time.Now().Add(-time.Second))
	r.engine.poll = func(_ context.Context, _ ledger.Key, stream string) (engine.PollResult, error) {
		if stream == "users" {
			panic("a defect in one stream")
		}
		return engine.PollResult{Enqueued: 3, NeedNudge: true}, nil
	}
	var fallen []string
	r.engine.fallback = func(id string) (bool, error) { fallen = append(fallen, id); return true, nil }
	out, err := call[SweepOut](t, r, "Sweep", SweepIn{For: conflictsEvery + sweepEvery, Hold: time.Minute, Polls: 4})
	require.NoError(t, err)
	require.Equal(t, 2, out.Polls)
	require.Equal(t, 3, out.Enqueued)
	require.Equal(t, 1, out.Failed)
	require.Equal(t, "new", r.orch.conflicts[0])
	require.NotContains(t, r.orch.conflicts, "started")
	require.Equal(t, []string{"late"}, fallen, "once, and a conflict's own workflow has the first try at its deadline")
	require.Positive(t, r.orch.nudges())
}

func TestSweepTellsOfForgottenChangesButNotAllTheTime(t *testing.T) {
	r := newRig(t)
	require.True(t, r.enqueue(t, change("1")), "and nobody nudges")
	require.NoError(t, r.store.ClearNudge(t.Context(), r.key))
	out, err := call[SweepOut](t, r, "Sweep", SweepIn{For: 4 * sweepEvery, Hold: time.Minute, Polls: 4})
	require.NoError(t, err)
	require.Greater(t, out.Looks, 1)
	require.Equal(t, 1, r.orch.nudges())
}

// While a nudge counts as under way nobody else makes one: what a poll asks for is
// never left out, however soon it follows another.
func TestSweepTellsOfEachPollThatAsksForIt(t *testing.T) {
	r := newRig(t)
	due := ledger.StreamState{Stream: "leads", NextPollAt: time.Now().Add(-time.Second)}
	require.NoError(t, r.store.PutStreamState(t.Context(), r.key, due))
	polls := 0
	r.engine.poll = func(ctx context.Context, _ ledger.Key, _ string) (engine.PollResult, error) {
		if polls++; polls < 3 {
			require.NoError(t, r.store.PutStreamState(ctx, r.key, due))
		}
		return engine.PollResult{Enqueued: 1, NeedNudge: true}, nil
	}
	_, err := call[SweepOut](t, r, "Sweep", SweepIn{For: 10 * sweepEvery, Hold: time.Minute, Polls: 4})
	require.NoError(t, err)
	require.Equal(t, 3, polls)
	require.Equal(t, 3, r.orch.nudges())
}

func TestSweepEndsWhenTheWorkerStops(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: "leads", NextPollAt: time.Now().Add(-time.Second)}))
	r.engine.poll = func(ctx context.Context, _ ledger.Key, _ string) (engine.PollResult, error) {
		close(r.stop)
		<-ctx.Done()
		return engine.PollResult{}, ctx.Err()
	}
	out, err := call[SweepOut](t, r, "Sweep", SweepIn{For: time.Hour, Hold: time.Hour, Polls: 4})
	require.NoError(t, err)
	require.Equal(t, 1, out.Polls)
	require.Zero(t, out.Failed, "being stopped is no failure")
}

func TestHousekeepTendsWebhooksAndLostRuns(t *testing.T) {
	r := newRig(t)
	run := r.startRun(t, ledger.RunBackfill)
	r.options.WebhookURLs = func(key ledger.Key) map[record.Side]string {
		return map[record.Side]string{record.Left: "https://accord.example/webhooks/" + key.Connection + "/left"}
	}
	Register(r.env, r.options)
	urls := map[record.Side]string{}
	r.engine.webhooks = func(given map[record.Side]string) error {
		urls = given
		return errors.New("refused")
	}
	out, err := call[HousekeepOut](t, r, "Housekeep")
	require.NoError(t, err)
	require.Equal(t, HousekeepOut{Connections: 1, Failed: 1}, out)
	require.Zero(t, r.engine.probes, "a side that fails is asked nothing more")
	require.Equal(t, []string{run.ID}, r.orch.runs)
	require.Len(t, urls, 1)
}

// A webhook that a vendor switched off is noticed by a compare, and by no run of polls; a side
// that does not answer does not hold the run up.
func TestACompareLooksAtTheWebhooks(t *testing.T) {
	r := newRig(t)
	r.options.WebhookURLs = func(key ledger.Key) map[record.Side]string {
		return map[record.Side]string{record.Left: "https://accord.example/webhooks/" + key.Connection + "/left"}
	}
	Register(r.env, r.options)
	looks := 0
	r.engine.webhooks = func(map[record.Side]string) error { looks++; return errors.New("refused") }
	for kind, want := range map[ledger.RunKind]int{ledger.RunPoll: 0, ledger.RunCompare: 1} {
		looks = 0
		out, err := call[BeginRunOut](t, r, "BeginRun", BeginRunIn{Key: r.key, Kind: kind})
		require.NoError(t, err)
		require.NotEmpty(t, out.RunID)
		require.Equal(t, want, looks, kind)
	}
}

func TestCheckSystemsListsProblemsOnly(t *testing.T) {
	r := newRig(t)
	r.engine.check = func() (engine.CheckResult, error) {
		return engine.CheckResult{Sides: map[record.Side]engine.SideCheck{
			record.Left: {}, record.Right: {Code: fault.Forbidden, Message: "right/contacts: a scope is missing"},
		}}, nil
	}
	out, err := call[CheckOut](t, r, "CheckSystems", KeyIn{Key: r.key})
	require.NoError(t, err)
	require.Equal(t, []SideProblem{{Side: record.Right, Code: fault.Forbidden, Reason: "right/contacts: a scope is missing"}}, out.Problems)
}

func TestSchedulesFollowTheIntegration(t *testing.T) {
	r := newRig(t)
	for _, stream := range []string{"leads", "dropped"} {
		require.NoError(t, r.store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: stream}))
	}
	r.engine.installed = &engine.Installed{Streams: []engine.Stream{
		{Spec: integration.Stream{Name: "leads", Compare: integration.Compare{Every: time.Hour}}},
		{Spec: integration.Stream{Name: "users"}},
	}}
	out, err := call[SchedulesOut](t, r, "PutSchedules", KeyIn{Key: r.key})
	require.NoError(t, err)
	require.Equal(t, 1, out.Compares)
	require.Equal(t, []ComparePlan{{Stream: "leads", Every: time.Hour}}, r.orch.plans)
	require.Equal(t, []string{"dropped"}, r.orch.gone)
	_, err = call[None](t, r, "RemoveSchedules", KeyIn{Key: r.key})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"leads", "dropped"}, r.orch.gone)
}

func TestDeletingStopsWhatRunsAndMayBeRepeated(t *testing.T) {
	r := newRig(t)
	run := r.startRun(t, ledger.RunBackfill)
	r.conflict(t, "k1", false, time.Time{})
	_, err := call[ConflictOut](t, r, "LookConflict", ConflictIn{Key: r.key, ConflictID: "k1"})
	require.NoError(t, err)
	_, err = call[None](t, r, "StopWorkflows", KeyIn{Key: r.key})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{run.WorkflowID, "default-test-workflow-id"}, r.orch.stopped)
	for range 2 {
		_, err = call[None](t, r, "DeleteConnection", KeyIn{Key: r.key})
		require.NoError(t, err)
	}
}

func TestSetStateLeavesAnActiveConnectionAlone(t *testing.T) {
	r := newRig(t)
	_, err := call[None](t, r, "SetState", SetStateIn{Key: r.key, State: ledger.Draft, Reason: "waiting", Unless: ledger.Active})
	require.NoError(t, err)
	stored, err := r.store.Connection(t.Context(), r.key)
	require.NoError(t, err)
	require.Equal(t, ledger.Active, stored.State)
}
