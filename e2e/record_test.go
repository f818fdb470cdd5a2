//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// replayFolder is where the replay tests look.
const replayFolder = "../workflows/testdata/replay"

// largestRecording is the most that one history may weigh, in bytes.
const largestRecording = 200 << 10

// record writes one history of each kind of workflow for the replay tests: of
// those small enough the one with the most events.
func (s *stack) record(t *testing.T) {
	temporal := s.dial(t)
	defer temporal.Close()
	best := map[string][]byte{}
	events := map[string]int{}
	for _, one := range s.executions(context.Background(), t, temporal) {
		kind := kindOf(one)
		raw := anonymous(t, one)
		if kind == "" || len(raw) > largestRecording || len(one.history.GetEvents()) <= events[kind] {
			continue
		}
		best[kind], events[kind] = raw, len(one.history.GetEvents())
	}
	require.NoError(t, os.MkdirAll(replayFolder, 0o755))
	var kinds []string
	for kind, raw := range best {
		kinds = append(kinds, kind)
		require.NoError(t, os.WriteFile(filepath.Join(replayFolder, kind+".json"), raw, 0o644))
	}
	sort.Strings(kinds)
	for _, kind := range kinds {
		t.Logf("recorded %-24s %4d events, %6d bytes", kind, events[kind], len(best[kind]))
	}
	for _, wanted := range []string{
		"connection", "poller", "activation", "activation_failed", "deactivation", "conflict_decision", "conflict_fallback", "conflict_agreed",
		"run_backfill", "run_poll", "run_compare", "run_compare_scheduled", "run_replay",
	} {
		require.Contains(t, kinds, wanted, "the day has no such workflow, or it is too large")
	}
}

// kindOf is the name of the file that an execution may fill; empty for none.
func kindOf(one execution) string {
	name := one.info.GetType().GetName()
	id := one.info.GetExecution().GetWorkflowId()
	switch name {
	case "Run":
		kind := strings.Split(id, "/")[3]
		// A Schedule names its runs after the stream and the time.
		if strings.Contains(id[strings.LastIndex(id, "/")+1:], "T") {
			return "run_compare_scheduled"
		}
		if one.info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			return ""
		}
		return "run_" + kind
	case "Activation":
		if one.info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_FAILED {
			return "activation_failed"
		}
	case "Conflict":
		return "conflict_" + endOf(one)
	}
	return strings.ToLower(name)
}

// endOf says how a conflict ended, by what its history did.
func endOf(one execution) string {
	for _, event := range one.history.GetEvents() {
		if event.GetWorkflowExecutionUpdateAcceptedEventAttributes() != nil {
			return "decision"
		}
		if event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == "Fallback" {
			return "fallback"
		}
	}
	return "agreed"
}

// anonymous is a history as protojson without the names of machine and processes.
func anonymous(t testing.TB, one execution) []byte {
	t.Helper()
	raw, err := protojson.Marshal(one.history)
	require.NoError(t, err)
	var tree any
	require.NoError(t, json.Unmarshal(raw, &tree))
	raw, err = json.Marshal(forget(tree))
	require.NoError(t, err)
	return append(raw, '\n')
}

func forget(tree any) any {
	switch node := tree.(type) {
	case map[string]any:
		for key, value := range node {
			switch key {
			case "identity", "stickyTaskQueue":
				delete(node, key)
			case "stackTrace", "buildId", "binaryChecksum", "workerInstanceKey":
				delete(node, key)
			default:
				node[key] = forget(value)
			}
		}
	case []any:
		for n, value := range node {
			node[n] = forget(value)
		}
	}
	return tree
}
