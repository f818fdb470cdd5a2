package workflows

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// newEnv is a time-skipping environment with all workflows and activities known.
// The activities have no parts: a test that does not expect one fails in it.
func newEnv(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(20 * time.Second)
	Register(env, false)
	activities.Register(env, activities.Options{})
	t.Cleanup(func() { env.AssertExpectations(t) })
	return env
}

func testKey() ledger.Key { return ledger.Key{Tenant: "t1", Connection: "c1"} }

// answers returns a function that gives one answer after the other, and the
// last one again and again.
func answers[T any](list ...T) func() T {
	n := 0
	return func() T {
		answer := list[min(n, len(list)-1)]
		n++
		return answer
	}
}

func coded(code fault.Code) error {
	return temporal.NewApplicationErrorWithOptions("text for people", string(code), temporal.ApplicationErrorOptions{NonRetryable: !fault.Retryable(code)})
}

// caller takes the outcome of an update.
type caller struct {
	accepted bool
	rejected error
	result   any
	err      error
}

func (c *caller) Accept()                      { c.accepted = true }
func (c *caller) Reject(err error)             { c.rejected = err }
func (c *caller) Complete(result any, e error) { c.result, c.err = result, e }

func query[T any](t *testing.T, env *testsuite.TestWorkflowEnvironment, name string) T {
	t.Helper()
	value, err := env.QueryWorkflow(name)
	require.NoError(t, err)
	var out T
	require.NoError(t, value.Get(&out))
	return out
}

func anything() any { return mock.Anything }

// decode reads the input of the next execution.
func decode(next *workflow.ContinueAsNewError, in any) error {
	return converter.GetDefaultDataConverter().FromPayloads(next.Input, in)
}
