package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	history "go.temporal.io/api/history/v1"
)

func TestPercentile(t *testing.T) {
	tests := []struct {
		samples []float64
		p, want float64
	}{
		{[]float64{5}, 0.5, 5},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{4, 3, 2, 1}, 0.5, 2},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.99, 10},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9, 9},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, percentile(tt.samples, tt.p), "%v at %v", tt.samples, tt.p)
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 3: "3", 1234.5: "1234", 12.34: "12.3", 1.234: "1.23", 0.0123: "0.012", 0.9: "0.90"} {
		require.Equal(t, want, number(x))
	}
}

func TestCompareKeepsBothSides(t *testing.T) {
	r := &results{}
	f := r.compare("rate", of("Accord", "per s", 90, 110, 100), of("plain", "per s", 190, 210, 200))
	f.aim("at least 0.9", f.Ratio >= 0.9)
	require.InDelta(t, 0.5, f.Ratio, 1e-9)
	require.False(t, *f.Met)
	require.Equal(t, []string{"rate", "Accord: 100 per s", "plain: 200 per s", "0.50", "at least 0.9", "**no**", ""}, f.cells())
}

func TestBilled(t *testing.T) {
	started := &history.HistoryEvent{
		EventType: enums.EVENT_TYPE_ACTIVITY_TASK_STARTED,
		Attributes: &history.HistoryEvent_ActivityTaskStartedEventAttributes{
			ActivityTaskStartedEventAttributes: &history.ActivityTaskStartedEventAttributes{Attempt: 3},
		},
	}
	require.Equal(t, 2, billed(started), "each repetition of an activity is an action")
	for kind, want := range map[enums.EventType]int{
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: 1, enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: 1, enums.EVENT_TYPE_TIMER_STARTED: 1,
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: 1, enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: 0, enums.EVENT_TYPE_TIMER_FIRED: 0,
	} {
		require.Equal(t, want, billed(&history.HistoryEvent{EventType: kind}), kind.String())
	}
}

func TestCPUOfThisProcess(t *testing.T) {
	before := cpuOf(os.Getpid())
	sum := 0
	for begun := ownCPU(); ownCPU()-begun < 50*time.Millisecond; {
		for i := range 100_000 {
			sum += i
		}
	}
	require.Greater(t, cpuOf(os.Getpid()), before, sum)
	require.Zero(t, cpuOf(1<<30))
}

func TestDocument(t *testing.T) {
	dir := t.TempDir()
	r := newResults(t.Context(), part{name: "calls", what: "calls per change"}, false)
	r.add("a live edit", of("calls", "per change", 2))
	require.NoError(t, r.save(dir))
	path := filepath.Join(dir, "doc.md")
	require.NoError(t, os.WriteFile(path, []byte("above\n"+beginMark+"\nold\n"+endMark+"\nbelow\n"), 0o600))
	require.NoError(t, document(path, dir))
	require.NoError(t, document(path, dir), "it can be written again")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	text := string(raw)
	require.Contains(t, text, "### Calls per change")
	require.Contains(t, text, "| a live edit | calls: 2 per change |")
	require.NotContains(t, text, "old")
	require.Regexp(t, "(?s)^above\n.*\nbelow\n$", text)
	require.NoError(t, os.WriteFile(path, []byte("no markers"), 0o600))
	require.ErrorContains(t, document(path, dir), "lacks the lines")
}

func TestChoose(t *testing.T) {
	chosen, err := choose("plan,calls")
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	_, err = choose("calls,nothing")
	require.ErrorContains(t, err, `no part "nothing"`)
}

func TestTargetHoldsVersions(t *testing.T) {
	target := &target{visible: 1, edited: map[string]string{}, versions: map[string]int{}}
	handler := target.acme()
	patch := func(match string) int {
		return play(t, handler, http.MethodPatch, "/api/2/contacts/r000000007", match, `{"company_name": "neu"}`)
	}
	require.Equal(t, http.StatusOK, patch(`"v1"`))
	require.Equal(t, http.StatusPreconditionFailed, patch(`"v1"`))
	require.Equal(t, http.StatusOK, patch(`"v2"`))
	require.Equal(t, 2, target.written)
	require.Equal(t, "neu", target.company("r000000007"))
	require.Equal(t, "Casa 000000008", target.company("r000000008"))
}

func TestSideBySideTellsFailures(t *testing.T) {
	require.NoError(t, sideBySide(10, 3, func(int) error { return nil }))
	require.ErrorIs(t, sideBySide(10, 3, func(i int) error {
		if i == 7 {
			return context.Canceled
		}
		return nil
	}), context.Canceled)
}
