package workflows

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// largestRecording keeps the repository small, in bytes.
const largestRecording = 200 << 10

// TestEveryWorkflowIsRecorded demands a history of every workflow type, and of
// each way in which those take that have several. `make record` writes them.
func TestEveryWorkflowIsRecorded(t *testing.T) {
	recorded := map[string]bool{}
	files, err := filepath.Glob(filepath.Join("testdata", "replay", "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.LessOrEqual(t, len(raw), largestRecording, "%s is too large", file)
		var history struct {
			Events []struct {
				Started struct{ WorkflowType struct{ Name string } } `json:"workflowExecutionStartedEventAttributes"`
			}
		}
		require.NoError(t, json.Unmarshal(raw, &history), file)
		require.NotEmpty(t, history.Events, file)
		recorded[history.Events[0].Started.WorkflowType.Name] = true
		for _, own := range []string{`"identity"`, "/home/", "/tmp/", "/root/"} {
			require.False(t, bytes.Contains(raw, []byte(own)), "%s tells of the machine that recorded it: %s", file, own)
		}
	}
	seen := &registered{}
	Register(seen, false)
	require.NotEmpty(t, seen.names)
	for _, name := range seen.names {
		require.True(t, recorded[name], "no history of workflow type %s is recorded: run make record", name)
	}
	for _, way := range []string{
		"run_backfill", "run_poll", "run_compare", "run_compare_scheduled", "run_replay",
		"conflict_decision", "conflict_fallback", "conflict_agreed", "activation_failed",
	} {
		require.True(t, slices.ContainsFunc(files, func(file string) bool { return strings.HasSuffix(file, way+".json") }),
			"%s is not recorded: run make record", way)
	}
}

// registered remembers the names of workflow types.
type registered struct {
	worker.WorkflowRegistry
	names []string
}

// RegisterWorkflowWithOptions takes a type's name.
func (r *registered) RegisterWorkflowWithOptions(_ any, options workflow.RegisterOptions) {
	r.names = append(r.names, options.Name)
}
