package control

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	logrustest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/telemetry"
	"github.com/accord-sync/accord/workflows"
)

// rig is a Control on a real ledger and a Temporal that answers as told.
type rig struct {
	*Control
	temporal *mocks.Client
	key      ledger.Key
}

func newRig(t *testing.T) *rig {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), "sqlite::memory:", sqlstore.Options{Key: make([]byte, 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	temporalClient := mocks.NewClient(t)
	log, _ := logrustest.NewNullLogger()
	var ids atomic.Int64
	r := &rig{temporal: temporalClient, key: ledger.Key{Tenant: "t1", Connection: "c1"}}
	r.Control = New(Options{
		Temporal: temporalClient, Store: store, Log: log, Now: time.Now, Tuning: workflows.Tuning{Lease: 2 * time.Second},
		NewID: func() string { return fmt.Sprintf("id%03d", ids.Add(1)) },
	})
	require.NoError(t, store.CreateConnection(t.Context(), ledger.Connection{Key: r.key, Name: "test", State: ledger.Draft, Version: 1}))
	return r
}

func (r *rig) expectNudge() {
	r.temporal.On("SignalWithStartWorkflow", mock.Anything, "connection/t1/c1", workflows.ChangesSignal, nil, mock.Anything,
		workflows.ConnectionType, workflows.ConnectionInput{Key: r.key, Tuning: r.Tuning}).Return(nil, nil).Once()
}

func TestNudgeSignalsOrStarts(t *testing.T) {
	r := newRig(t)
	r.expectNudge()
	require.NoError(t, r.Nudge(t.Context(), r.key))
	r.temporal.On("SignalWithStartWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).
		Return(nil, serviceerror.NewUnavailable("down")).Once()
	require.Equal(t, fault.Unavailable, fault.CodeOf(r.Nudge(t.Context(), r.key)))
}

func TestPauseAndResume(t *testing.T) {
	r := newRig(t)
	require.Equal(t, fault.Conflict, fault.CodeOf(r.Pause(t.Context(), r.key, "")), "it was never active")
	require.Equal(t, fault.Conflict, fault.CodeOf(r.Resume(t.Context(), r.key)), "it has to be activated")
	require.NoError(t, r.Store.SetConnectionState(t.Context(), r.key, ledger.Active, ""))
	require.NoError(t, r.Store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: "leads", NextPollAt: time.Now().Add(time.Hour)}))
	run, _, err := r.Store.StartRun(t.Context(), ledger.Run{ID: "r1", Key: r.key, Kind: ledger.RunBackfill, Total: -1, WorkflowID: "w1"})
	require.NoError(t, err)

	r.expectNudge()
	require.NoError(t, r.Pause(t.Context(), r.key, "stocktaking"))
	status, err := r.Status(t.Context(), r.key)
	require.NoError(t, err)
	require.Equal(t, ledger.Paused, status.State)
	require.Equal(t, "stocktaking", status.Reason)

	r.expectNudge()
	r.temporal.On("SignalWorkflow", mock.Anything, run.WorkflowID, "", workflows.ResumedSignal, nil).Return(nil).Once()
	require.NoError(t, r.Resume(t.Context(), r.key))
	streams, err := r.Store.StreamStates(t.Context(), r.key)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), streams[0].NextPollAt, time.Minute)
}

// A connection that is paused goes on when it is activated, also where an activation is
// under way already: that one leaves a pause alone.
func TestActivate(t *testing.T) {
	for state, live := range map[ledger.ConnectionState]bool{ledger.Draft: false, ledger.Failing: false, ledger.Active: true, ledger.Paused: true} {
		t.Run(string(state), func(t *testing.T) {
			r := newRig(t)
			require.NoError(t, r.Store.SetConnectionState(t.Context(), r.key, state, ""))
			if state == ledger.Paused {
				r.expectNudge()
			}
			r.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, workflows.ActivationType,
				workflows.ActivationInput{Key: r.key, Tuning: r.Tuning, Live: live}).Return(nil, nil).Once()
			require.NoError(t, r.Activate(t.Context(), r.key))
			stored, err := r.Store.Connection(t.Context(), r.key)
			require.NoError(t, err)
			if live {
				state = ledger.Active
			}
			require.Equal(t, state, stored.State)
		})
	}
}

// What was edited during a pause is taken over when the connection goes on; a Temporal
// that does not answer leaves it paused, so that it can be asked again.
func TestResumeTakesOverAnEdit(t *testing.T) {
	r := newRig(t)
	activation := workflows.ActivationInput{Key: r.key, Tuning: r.Tuning, Live: true}
	require.NoError(t, r.Store.SetConnectionState(t.Context(), r.key, ledger.Active, ""))
	r.expectNudge()
	require.NoError(t, r.Pause(t.Context(), r.key, "stocktaking"))
	edited, err := r.Store.Connection(t.Context(), r.key)
	require.NoError(t, err)
	edited.Version++
	require.NoError(t, r.Store.UpdateConnection(t.Context(), edited))
	require.NoError(t, r.Pause(t.Context(), r.key, "again"))
	state := func() ledger.ConnectionState {
		stored, err := r.Store.Connection(t.Context(), r.key)
		require.NoError(t, err)
		return stored.State
	}
	r.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, workflows.ActivationType, activation).Return(nil, serviceerror.NewUnavailable("down")).Once()
	require.Equal(t, fault.Unavailable, fault.CodeOf(r.Resume(t.Context(), r.key)))
	require.Equal(t, ledger.Paused, state())
	r.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, workflows.ActivationType, activation).Return(nil, nil).Once()
	r.expectNudge()
	require.NoError(t, r.Resume(t.Context(), r.key))
	require.Equal(t, ledger.Active, state())
}

// healthy lets Temporal answer, or not, when it is asked for its health.
func (r *rig) healthy(err error) {
	r.temporal.On("CheckHealth", mock.Anything, mock.Anything).Return(&client.CheckHealthResponse{}, err).Once()
}

// starting expects the first run's workflow to be started and answers err.
func (r *rig) starting(err error) {
	r.temporal.On("ExecuteWorkflow", mock.Anything,
		mock.MatchedBy(func(o client.StartWorkflowOptions) bool { return o.ID == "run/t1/c1/backfill/id001" }), workflows.RunType,
		workflows.RunInput{Key: r.key, RunID: "id001", Kind: ledger.RunBackfill, Stream: "leads", Tuning: r.Tuning}).Return(nil, err).Once()
}

func TestStartRunStoresFirstAndHealsALostWorkflow(t *testing.T) {
	r := newRig(t)
	r.healthy(nil)
	r.starting(context.DeadlineExceeded)
	_, _, err := r.StartRun(t.Context(), r.key, ledger.RunBackfill, "leads")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	r.healthy(nil)
	r.starting(nil)
	run, joined, err := r.StartRun(t.Context(), r.key, ledger.RunBackfill, "leads")
	require.NoError(t, err)
	require.True(t, joined)
	require.Equal(t, "id001", run.ID)
	require.Equal(t, "run/t1/c1/backfill/id001", run.WorkflowID)

	_, _, err = r.StartRun(t.Context(), r.key, "dance", "")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	_, _, err = r.StartRun(t.Context(), ledger.Key{Tenant: "t1", Connection: "unknown"}, ledger.RunPoll, "")
	require.Equal(t, fault.NotFound, fault.CodeOf(err))
}

func TestARunThatCannotBeginLeavesNothingBehind(t *testing.T) {
	t.Run("Temporal is down", func(t *testing.T) {
		r := newRig(t)
		r.healthy(serviceerror.NewUnavailable("down"))
		_, _, err := r.StartRun(t.Context(), r.key, ledger.RunBackfill, "leads")
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
		require.EqualError(t, err, "could not start a run: Temporal does not answer; it is safe to try again")
		runs, _, err := r.Store.ListRuns(t.Context(), r.key, ledger.ListOptions{})
		require.NoError(t, err)
		require.Empty(t, runs)
	})
	for name, refusal := range map[string]error{
		"Temporal does not let us":       serviceerror.NewPermissionDenied("no", "no"),
		"Temporal has no such namespace": serviceerror.NewNamespaceNotFound("accord"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.healthy(nil)
			r.starting(refusal)
			_, _, err := r.StartRun(t.Context(), r.key, ledger.RunBackfill, "leads")
			require.Error(t, err)
			run, err := r.Store.Run(t.Context(), "id001")
			require.NoError(t, err)
			require.Equal(t, ledger.RunFailed, run.State)
			require.Contains(t, run.Error, "could not start workflow run/t1/c1/backfill/id001")
		})
	}
}

func TestWaitRunTellsProgressUntilTheEnd(t *testing.T) {
	r := newRig(t)
	run, _, err := r.Store.StartRun(t.Context(), ledger.Run{ID: "r1", Key: r.key, Kind: ledger.RunPoll, Total: -1})
	require.NoError(t, err)
	looks := 0
	ended, err := r.WaitRun(t.Context(), run.ID, func(ledger.Run) {
		if looks++; looks == 1 {
			_, err := r.Store.EndRun(t.Context(), run.ID, ledger.RunSucceeded, "")
			require.NoError(t, err)
		}
	})
	require.NoError(t, err)
	require.Equal(t, ledger.RunSucceeded, ended.State)
	require.Equal(t, 2, looks)
	_, err = r.WaitRun(t.Context(), "unknown", nil)
	require.Equal(t, fault.NotFound, fault.CodeOf(err))
}

func (r *rig) conflict(t *testing.T, workflowID string) {
	t.Helper()
	left, right := record.Ref{Side: record.Left, Object: "leads", ID: "1"}, record.Ref{Side: record.Right, Object: "contacts", ID: "2"}
	require.NoError(t, r.Store.Commit(t.Context(), r.key, ledger.Commit{
		PutLinks: []ledger.Link{{ID: "l1", Stream: "leads", Left: left, Right: right, State: ledger.LinkActive}},
		PutConflicts: []ledger.Conflict{{
			ID: "k1", Stream: "leads", LinkID: "l1", LeftRef: left, RightRef: right, Field: "phone", Left: "a", Right: "b",
			OpenedAt: time.Now(), State: ledger.ConflictOpen, Started: workflowID != "", WorkflowID: workflowID,
		}},
	}))
}

// updated answers an update and checks that no value travels with it.
func updated(t *testing.T, workflowID string, answer error) (func(o client.UpdateWorkflowOptions) bool, client.WorkflowUpdateHandle) {
	handle := mocks.NewWorkflowUpdateHandle(t)
	handle.On("Get", mock.Anything, nil).Return(answer).Maybe()
	return func(o client.UpdateWorkflowOptions) bool {
		text, err := json.Marshal(o.Args)
		require.NoError(t, err)
		require.NotContains(t, string(text), "maria")
		return o.WorkflowID == workflowID && o.UpdateName == workflows.ResolveUpdate
	}, handle
}

func TestResolveGoesThroughTheConflictsDoor(t *testing.T) {
	r := newRig(t)
	r.conflict(t, "conflict/t1/c1/k1")
	resolution := Resolution{Choose: ledger.ChooseValue, Value: "maria@example.com", Seen: &activities.ProposalSeen{Left: "maria", Right: "b"}}
	matches, handle := updated(t, "conflict/t1/c1/k1", nil)
	r.temporal.On("UpdateWorkflow", mock.Anything, mock.MatchedBy(matches)).Return(handle, nil).Once()
	require.NoError(t, r.Resolve(t.Context(), "k1", resolution))

	matches, handle = updated(t, "conflict/t1/c1/k1", temporal.NewNonRetryableApplicationError("the values have moved", string(fault.Conflict), nil))
	r.temporal.On("UpdateWorkflow", mock.Anything, mock.MatchedBy(matches)).Return(handle, nil).Once()
	err := r.Resolve(t.Context(), "k1", resolution)
	require.Equal(t, fault.Conflict, fault.CodeOf(err))
	require.Equal(t, "the values have moved", err.Error())

	require.Equal(t, fault.Usage, fault.CodeOf(r.Resolve(t.Context(), "k1", Resolution{Choose: "both"})))
	require.Equal(t, fault.Usage, fault.CodeOf(r.Resolve(t.Context(), "k1", Resolution{Choose: ledger.ChooseLeft, Value: 1})))
	require.Equal(t, fault.NotFound, fault.CodeOf(r.Resolve(t.Context(), "unknown", resolution)))
}

func TestResolveFallsBackToTheConnectionsDoor(t *testing.T) {
	for name, workflowID := range map[string]string{"its workflow is gone": "conflict/t1/c1/k1", "it never had one": ""} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.conflict(t, workflowID)
			if workflowID != "" {
				r.temporal.On("UpdateWorkflow", mock.Anything, mock.Anything).Return(nil, serviceerror.NewNotFound("no such workflow")).Once()
			}
			r.temporal.On("NewWithStartWorkflowOperation", mock.Anything, workflows.ConnectionType, mock.Anything).Return(nil).Once()
			matches, handle := updated(t, "", nil)
			r.temporal.On("UpdateWithStartWorkflow", mock.Anything, mock.MatchedBy(func(o client.UpdateWithStartWorkflowOptions) bool {
				return matches(o.UpdateOptions)
			})).Return(handle, nil).Once()
			require.NoError(t, r.Resolve(t.Context(), "k1", Resolution{Choose: ledger.ChooseLeft}))
		})
	}
}

func TestSchedulesAreCreatedCorrectedAndRemoved(t *testing.T) {
	r := newRig(t)
	schedules, handle := mocks.NewScheduleClient(t), mocks.NewScheduleHandle(t)
	r.temporal.On("ScheduleClient").Return(schedules)
	schedules.On("Create", mock.Anything, mock.MatchedBy(func(o client.ScheduleOptions) bool { return o.ID == "compare/t1/c1/leads" })).
		Return(nil, temporal.ErrScheduleAlreadyRunning).Once()
	schedules.On("GetHandle", mock.Anything, "compare/t1/c1/leads").Return(handle).Once()
	handle.On("Update", mock.Anything, mock.Anything).Return(nil).Once()
	schedules.On("GetHandle", mock.Anything, "compare/t1/c1/gone").Return(handle).Once()
	handle.On("Delete", mock.Anything).Return(serviceerror.NewNotFound("no such schedule")).Once()
	plans := []activities.ComparePlan{{Stream: "leads", Cron: "0 3 * * *", TimeZone: "America/Sao_Paulo"}}
	require.NoError(t, r.PutSchedules(t.Context(), r.key, plans, []string{"gone"}))
}

func TestIntervalsAreSpread(t *testing.T) {
	offsets := map[time.Duration]bool{}
	for n := range 20 {
		spec := compareSpec(ledger.Key{Tenant: "t", Connection: fmt.Sprint(n)}, activities.ComparePlan{Stream: "leads", Every: 24 * time.Hour})
		require.Equal(t, 24*time.Hour, spec.Intervals[0].Every)
		require.Less(t, spec.Intervals[0].Offset, 24*time.Hour)
		offsets[spec.Intervals[0].Offset] = true
	}
	require.Greater(t, len(offsets), 15)
	require.Equal(t, time.Second, compareSpec(ledger.Key{}, activities.ComparePlan{Every: time.Second}).Intervals[0].Every)
}

func TestStatusHasTheShapeOfTheAPI(t *testing.T) {
	r := newRig(t)
	r.conflict(t, "")
	require.NoError(t, r.Store.PutStreamState(t.Context(), r.key, ledger.StreamState{Stream: "leads", LastPollAt: time.Now()}))
	_, err := r.Store.Enqueue(t.Context(), r.key, []ledger.Change{{Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: "9"}}}, time.Minute)
	require.NoError(t, err)
	_, err = r.Store.UpdateSideState(t.Context(), r.key, record.Left, func(s *ledger.SideState) {
		s.Broker = ledger.BrokerState{State: "failed", Reason: "usage", At: time.Now(), Unreadable: 2, UnreadableAt: time.Now(), UnreadableCode: "invalid"}
		s.WebhookState, s.WebhookTakenAt, s.WebhookRefusedAt = "active", time.Now().Add(-time.Hour), time.Now()
		s.LastOKAt, s.QuotaKnown, s.QuotaLimit, s.QuotaRemaining, s.PausedUntil = time.Now(), true, 500, 12, time.Now().Add(time.Hour)
	})
	require.NoError(t, err)
	status, err := r.Status(t.Context(), r.key)
	require.NoError(t, err)
	text, err := json.Marshal(status)
	require.NoError(t, err)
	var shape struct {
		State         string
		Pending       struct{ Changes, Intents *int }
		OpenConflicts int `json:"open_conflicts"`
		Sides         map[string]struct {
			Reachable   bool
			PausedUntil *time.Time `json:"paused_until"`
			Quota       struct{ Limit, Remaining *int }
			Webhook     struct{ State string }
			Broker      *struct {
				State, Reason  string
				Unreadable     int
				UnreadableCode string `json:"unreadable_code"`
			}
		}
		Streams []struct {
			Name          string
			LastPollAt    *time.Time `json:"last_poll_at"`
			LastCompareAt *time.Time `json:"last_compare_at"`
			LagSeconds    *float64   `json:"lag_seconds"`
			Linked        int
		}
	}
	require.NoError(t, json.Unmarshal(text, &shape))
	require.Equal(t, "draft", shape.State)
	require.Equal(t, 1, *shape.Pending.Changes)
	require.Equal(t, 0, *shape.Pending.Intents)
	require.Equal(t, 1, shape.OpenConflicts)
	require.True(t, shape.Sides["left"].Reachable)
	require.False(t, shape.Sides["right"].Reachable)
	require.NotNil(t, shape.Sides["left"].PausedUntil)
	require.Nil(t, shape.Sides["right"].PausedUntil)
	require.Equal(t, 12, *shape.Sides["left"].Quota.Remaining)
	require.Nil(t, shape.Sides["right"].Quota.Remaining)
	require.Equal(t, "none", shape.Sides["right"].Webhook.State)
	require.Equal(t, "refused", shape.Sides["left"].Webhook.State)
	require.Nil(t, shape.Sides["right"].Broker)
	require.Equal(t, "failed", shape.Sides["left"].Broker.State)
	require.Equal(t, 2, shape.Sides["left"].Broker.Unreadable)
	require.Equal(t, "invalid", shape.Sides["left"].Broker.UnreadableCode)
	require.Equal(t, "leads", shape.Streams[0].Name)
	require.NotNil(t, shape.Streams[0].LastPollAt)
	require.Nil(t, shape.Streams[0].LastCompareAt)
	require.NotNil(t, shape.Streams[0].LagSeconds)
	require.Equal(t, 1, shape.Streams[0].Linked)
}

var _ engine.Observer = (*telemetry.Observer[ledger.Key])(nil)

func TestStopToleratesWhatDoesNotRun(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"activation/t1/c1", "connection/t1/c1"} {
		r.temporal.On("TerminateWorkflow", mock.Anything, id, "", mock.Anything).Return(serviceerror.NewNotFound("none")).Once()
	}
	r.temporal.On("TerminateWorkflow", mock.Anything, "w1", "", mock.Anything).Return(serviceerror.NewUnavailable("down")).Once()
	require.Equal(t, fault.Unavailable, fault.CodeOf(r.Stop(t.Context(), r.key, []string{"w1"})))
}

func TestDeleteGoesOnInTheBackgroundWhenItIsSlow(t *testing.T) {
	r := newRig(t)
	run := mocks.NewWorkflowRun(t)
	r.temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, workflows.DeactivationType, mock.Anything).Return(run, nil).Twice()
	run.On("Get", mock.Anything, nil).Return(context.DeadlineExceeded).Once()
	done, err := r.Delete(t.Context(), r.key)
	require.NoError(t, err)
	require.False(t, done)
	run.On("Get", mock.Anything, nil).Return(nil).Once()
	done, err = r.Delete(t.Context(), r.key)
	require.NoError(t, err)
	require.True(t, done)
}

// TestACorrectionNamesAFieldOfItsRecord: a typo would look done, and change nothing. What a
// rule was about to send has fields of its own, and a record that could not be read none.
func TestACorrectionNamesAFieldOfItsRecord(t *testing.T) {
	r := newRig(t)
	put := func(id, stream string, values ledger.Values) {
		require.NoError(t, r.Store.Commit(t.Context(), r.key, ledger.Commit{PutDeadLetters: []ledger.DeadLetter{{
			ID: id, Stream: stream, Ref: record.Ref{Side: record.Left, Object: "leads", ID: id}, State: ledger.DeadLetterOpen, FirstAt: time.Now(), LastAt: time.Now(), Values: values,
		}}}))
	}
	put("read", "leads", ledger.Values{"phone": nil, "name": "Ana"})
	put("unread", "leads", nil)
	put("rule", "rules.won", ledger.Values{"name": "Ana"})
	_, err := r.PatchDeadLetter(t.Context(), "read", ledger.Values{"phne": "+55 11 99999-0000"})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.Contains(t, err.Error(), "phne is no field")
	for id, field := range map[string]string{"read": "phone", "unread": "phone", "rule": "body"} {
		letter, err := r.PatchDeadLetter(t.Context(), id, ledger.Values{field: "+55 11 99999-0000"})
		require.NoError(t, err, id)
		require.Equal(t, ledger.Values{field: "+55 11 99999-0000"}, letter.Overrides)
	}
}
