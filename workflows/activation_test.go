package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// steps records the order of an activation's activities, and lets some fail.
type steps struct {
	env   *testsuite.TestWorkflowEnvironment
	order []string
	fail  map[string]error
	state []activities.SetStateIn
}

func mockSteps(env *testsuite.TestWorkflowEnvironment, names ...string) *steps {
	s := &steps{env: env, fail: map[string]error{}}
	for _, name := range names {
		switch name {
		case "EnsureWebhooks":
			env.OnActivity(name, anything(), anything()).Return(func(context.Context, activities.KeyIn) (activities.WebhooksOut, error) {
				return activities.WebhooksOut{}, s.take("EnsureWebhooks")
			})
		case "PutSchedules":
			env.OnActivity(name, anything(), anything()).Return(func(context.Context, activities.KeyIn) (activities.SchedulesOut, error) {
				return activities.SchedulesOut{}, s.take("PutSchedules")
			})
		default:
			env.OnActivity(name, anything(), anything()).Return(func(context.Context, activities.KeyIn) (activities.None, error) {
				return activities.None{}, s.take(name)
			})
		}
	}
	env.OnActivity("SetState", anything(), anything()).Return(func(_ context.Context, in activities.SetStateIn) (activities.None, error) {
		s.state = append(s.state, in)
		return activities.None{}, s.take("SetState " + string(in.State))
	})
	return s
}

func (s *steps) take(name string) error {
	s.order = append(s.order, name)
	return s.fail[name]
}

func mockCheck(env *testsuite.TestWorkflowEnvironment, answer func() activities.CheckOut) {
	env.OnActivity("CheckSystems", anything(), anything()).Return(func(context.Context, activities.KeyIn) (activities.CheckOut, error) {
		return answer(), nil
	})
}

func problem(code fault.Code) activities.CheckOut {
	return activities.CheckOut{Problems: []activities.SideProblem{{Side: record.Left, Code: code, Reason: "SalesOS says no"}}}
}

func TestActivationBringsAConnectionUp(t *testing.T) {
	env := newEnv(t)
	mockCheck(env, answers(activities.CheckOut{}))
	s := mockSteps(env, "ProbeSystems", "EnsureWebhooks", "ScheduleStreams", "PutSchedules")
	env.OnActivity("OpenRun", anything(), activities.OpenRunIn{Key: testKey(), Kind: ledger.RunBackfill}).
		Return(activities.OpenRunOut{RunID: "r1", WorkflowID: "w1"}, nil).Once()
	env.OnUpsertTypedSearchAttributes(temporal.NewSearchAttributes(
		temporal.NewSearchAttributeKeyKeyword(TenantAttribute).ValueSet("t1"),
		temporal.NewSearchAttributeKeyKeyword(ConnectionAttribute).ValueSet("c1"),
	)).Return(nil).Once()
	env.ExecuteWorkflow(Activation, ActivationInput{Key: testKey(), Tuning: Tuning{SearchAttributes: true}})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []string{"ProbeSystems", "EnsureWebhooks", "ScheduleStreams", "PutSchedules", "SetState active"}, s.order)
	var status ActivationStatus
	require.NoError(t, env.GetWorkflowResult(&status))
	require.Equal(t, "r1", status.RunID)
}

func TestActivationGivesUpOnRefusedCredentials(t *testing.T) {
	env := newEnv(t)
	checks := 0
	mockCheck(env, func() activities.CheckOut { checks++; return problem(fault.Auth) })
	s := mockSteps(env)
	env.ExecuteWorkflow(Activation, ActivationInput{Key: testKey()})
	require.Equal(t, fault.Auth, codeOf(env.GetWorkflowError()))
	require.Equal(t, refusedTries, checks)
	require.Equal(t, []activities.SetStateIn{{Key: testKey(), State: ledger.Failing, Reason: "left: SalesOS says no"}}, s.state)
}

func TestActivationWaitsForSystemsThatDoNotAnswer(t *testing.T) {
	env := newEnv(t)
	back := env.Now().Add(24 * time.Hour)
	checks := 0
	mockCheck(env, func() activities.CheckOut {
		if checks++; env.Now().Before(back) {
			return problem(fault.Transient)
		}
		return activities.CheckOut{}
	})
	s := mockSteps(env, "ProbeSystems", "EnsureWebhooks", "ScheduleStreams", "PutSchedules")
	env.OnActivity("OpenRun", anything(), anything()).Return(activities.OpenRunOut{}, nil).Once()
	env.ExecuteWorkflow(Activation, ActivationInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
	require.Less(t, checks, 24*60+20, "pauses grow to a minute")
	require.Equal(t, activities.SetStateIn{Key: testKey(), State: ledger.Draft, Reason: "waiting: left: SalesOS says no", Unless: ledger.Active}, s.state[0])
	require.Len(t, s.state, 2, "people are told once, and that it is active")
}

// An edit of a connection that works is taken over beside its work: whoever pauses it
// meanwhile has the last word, and while a system does not answer, or refuses us, it is
// neither a draft nor failing.
func TestTakingOverAnEditLeavesAPauseAlone(t *testing.T) {
	env := newEnv(t)
	mockCheck(env, answers(problem(fault.Transient), problem(fault.Auth), problem(fault.Auth), problem(fault.Forbidden), problem(fault.Auth), activities.CheckOut{}))
	s := mockSteps(env, "ProbeSystems", "EnsureWebhooks", "ScheduleStreams", "PutSchedules")
	env.OnActivity("OpenRun", anything(), anything()).Return(activities.OpenRunOut{}, nil).Once()
	env.ExecuteWorkflow(Activation, ActivationInput{Key: testKey(), Live: true})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []activities.SetStateIn{
		{Key: testKey(), State: ledger.Active, Reason: "waiting: left: SalesOS says no", Unless: ledger.Paused},
		{Key: testKey(), State: ledger.Active, Unless: ledger.Paused},
	}, s.state)
}

func TestAnEditThatCannotBeTakenOverLeavesAPauseAlone(t *testing.T) {
	env := newEnv(t)
	mockCheck(env, answers(problem(fault.Invalid)))
	s := mockSteps(env)
	env.ExecuteWorkflow(Activation, ActivationInput{Key: testKey(), Live: true})
	require.Error(t, env.GetWorkflowError())
	require.Equal(t, []activities.SetStateIn{{Key: testKey(), State: ledger.Failing, Reason: "left: SalesOS says no", Unless: ledger.Paused}}, s.state)
}

func TestActivationThatFailsIsUndoneLastFirst(t *testing.T) {
	env := newEnv(t)
	mockCheck(env, answers(activities.CheckOut{}))
	s := mockSteps(env, "ProbeSystems", "EnsureWebhooks", "ScheduleStreams", "PutSchedules", "RemoveSchedules", "RemoveWebhooks")
	s.fail["PutSchedules"] = coded(fault.Usage)
	env.ExecuteWorkflow(Activation, ActivationInput{Key: testKey()})
	require.Equal(t, fault.Usage, codeOf(env.GetWorkflowError()))
	require.Equal(t, []string{
		"ProbeSystems", "EnsureWebhooks", "ScheduleStreams", "PutSchedules",
		"RemoveSchedules", "RemoveWebhooks", "SetState failing",
	}, s.order)
	require.Equal(t, "text for people", s.state[0].Reason)
}

func TestActivationGoesOnWithoutWebhooks(t *testing.T) {
	env := newEnv(t)
	mockCheck(env, answers(activities.CheckOut{}))
	s := mockSteps(env, "ProbeSystems", "EnsureWebhooks", "ScheduleStreams", "PutSchedules")
	s.fail["EnsureWebhooks"] = coded(fault.Invalid)
	env.OnActivity("OpenRun", anything(), anything()).Return(activities.OpenRunOut{}, nil).Once()
	env.ExecuteWorkflow(Activation, ActivationInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
	var status ActivationStatus
	require.NoError(t, env.GetWorkflowResult(&status))
	require.Contains(t, status.Problem, "polls only")
}

func TestDeactivationDeletesThoughASystemDoesNotAnswer(t *testing.T) {
	env := newEnv(t)
	s := &steps{env: env, fail: map[string]error{"RemoveWebhooks": coded(fault.Transient), "RemoveSchedules": coded(fault.NotFound)}}
	for _, name := range []string{"StopWorkflows", "RemoveWebhooks", "RemoveSchedules", "DeleteConnection"} {
		env.OnActivity(name, anything(), activities.KeyIn{Key: testKey()}).Return(func(context.Context, activities.KeyIn) (activities.None, error) {
			return activities.None{}, s.take(name)
		})
	}
	env.ExecuteWorkflow(Deactivation, DeactivationInput{Key: testKey()})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []string{
		"StopWorkflows", "RemoveWebhooks", "RemoveWebhooks", "RemoveWebhooks", "RemoveWebhooks", "RemoveSchedules", "DeleteConnection",
	}, s.order)
}
