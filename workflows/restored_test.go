package workflows

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/ledger"
)

func TestAConnectionRemembersHowFarTheLedgerCame(t *testing.T) {
	env := newEnv(t)
	d := mockDrain(env, func(n int, _ activities.DrainIn) (activities.DrainOut, error) {
		if n < 3 {
			return activities.DrainOut{Backlog: 1, Claimed: 1, Mark: ledger.Mark{Epoch: "e", Count: int64(n)}}, nil
		}
		return deleted()
	})
	env.ExecuteWorkflow(Connection, ConnectionInput{Status: ConnectionStatus{Mark: ledger.Mark{Epoch: "before"}}})
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, d.asked, 3)
	require.Equal(t, "before", d.asked[0].Mark.Epoch, "it is carried from one execution into the next")
	require.EqualValues(t, 1, d.asked[1].Mark.Count)
	require.EqualValues(t, 2, d.asked[2].Mark.Count)
}

func TestAPollerRemembersHowFarTheLedgerCame(t *testing.T) {
	env := newEnv(t)
	env.OnActivity("Sweep", anything(), anything()).Return(activities.SweepOut{Mark: ledger.Mark{Epoch: "e", Count: 3}}, nil)
	env.ExecuteWorkflow(Poller, PollerInput{N: 1})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	var in PollerInput
	require.NoError(t, decode(next, &in))
	require.EqualValues(t, 3, in.Mark.Count)
}
