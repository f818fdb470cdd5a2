//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/proto"
)

// execution is one workflow with its whole history.
type execution struct {
	info    *workflowpb.WorkflowExecutionInfo
	history *historypb.History
}

// dial makes a Temporal client of the test's own.
func (s *stack) dial(t testing.TB) temporalclient.Client {
	t.Helper()
	dialed, err := temporalclient.Dial(temporalclient.Options{HostPort: s.temporalAddress, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	return dialed
}

// executions exports every workflow of the namespace with its history.
func (s *stack) executions(ctx context.Context, t testing.TB, temporal temporalclient.Client) []execution {
	t.Helper()
	var found []execution
	var next []byte
	for {
		page, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{NextPageToken: next, PageSize: 200})
		require.NoError(t, err)
		for _, info := range page.GetExecutions() {
			events := &historypb.History{}
			iterator := temporal.GetWorkflowHistory(ctx, info.GetExecution().GetWorkflowId(), info.GetExecution().GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for iterator.HasNext() {
				event, err := iterator.Next()
				require.NoError(t, err)
				events.Events = append(events.Events, event)
			}
			found = append(found, execution{info, events})
		}
		if next = page.GetNextPageToken(); len(next) == 0 {
			return found
		}
	}
}

// secretsOf are what nobody may find anywhere.
func (s *stack) secretsOf(list []*world) []string {
	secrets := []string{s.token, s.key}
	if raw, err := base64.StdEncoding.DecodeString(s.key); err == nil {
		secrets = append(secrets, hex.EncodeToString(raw))
	}
	for _, w := range list {
		for _, secret := range w.secrets {
			secrets = append(secrets, secret)
		}
		w.tokens.mutex.Lock()
		for token := range w.tokens.seen {
			secrets = append(secrets, token)
		}
		w.tokens.mutex.Unlock()
	}
	return secrets
}

// canariesOf are personal data.
func canariesOf(list []*world) []string {
	var canaries []string
	for _, w := range list {
		canaries = append(canaries, w.canary, w.canaryPhone[1:], w.canaryScore)
	}
	return canaries
}

// searchForCanaries looks through every workflow's history, attributes and current
// details, through all logs and metrics: no personal data, no secret. Secrets must
// not lie open in the files of the databases either.
func (s *stack) searchForCanaries(t *testing.T) {
	ctx := context.Background()
	s.worlds.mutex.Lock()
	list := s.worlds.list
	s.worlds.mutex.Unlock()
	secrets := s.secretsOf(list)
	forbidden := append(canariesOf(list), secrets...)
	temporal := s.dial(t)
	defer temporal.Close()
	executions := s.executions(ctx, t, temporal)
	events, size := 0, 0
	for _, one := range executions {
		name := one.info.GetType().GetName() + " " + one.info.GetExecution().GetWorkflowId()
		for _, event := range one.history.GetEvents() {
			events++
			raw := mustMarshal(t, event)
			size += len(raw)
			mustLack(t, fmt.Sprintf("event %d (%s) of %s", event.GetEventId(), event.GetEventType(), name), raw, forbidden)
		}
		mustLack(t, "the list entry of "+name, mustMarshal(t, one.info), forbidden)
		if one.info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			details, err := temporal.QueryWorkflow(ctx, one.info.GetExecution().GetWorkflowId(), "", "__temporal_workflow_metadata")
			if err == nil {
				var shown converter.RawValue
				require.NoError(t, details.Get(&shown))
				mustLack(t, "the current details of "+name, shown.Payload().GetData(), forbidden)
			}
		}
	}
	logged := 0
	for _, p := range s.all() {
		logged += len(p.output())
		mustLack(t, "the log of "+p.name, p.output(), forbidden)
	}
	for _, address := range s.metrics {
		mustLack(t, address, download(t, address), forbidden)
	}
	s.searchFiles(t, secrets)
	if len(list) > 0 && !t.Failed() {
		t.Logf("no canary and no secret among %d in %d workflows (%d events, %d bytes), %d bytes of logs, %d metrics pages",
			len(forbidden), len(executions), events, size, logged, len(s.metrics))
	}
}

// searchFiles looks for open secrets in the files of the ledger and of Temporal.
func (s *stack) searchFiles(t *testing.T, secrets []string) {
	require.NoError(t, filepath.WalkDir(s.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		mustLack(t, path, raw, secrets)
		return err
	}))
}

func mustMarshal(t testing.TB, message proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(message)
	require.NoError(t, err)
	return raw
}

// mustLack fails if one of the words occurs, in any case.
func mustLack(t *testing.T, where string, raw []byte, words []string) {
	t.Helper()
	lower := bytes.ToLower(raw)
	for _, word := range words {
		at := bytes.Index(lower, []byte(strings.ToLower(word)))
		if at >= 0 {
			t.Errorf("%s contains %q: …%q…", where, word, raw[max(0, at-200):min(len(raw), at+len(word)+100)])
			return
		}
	}
}

func download(t testing.TB, address string) []byte {
	t.Helper()
	res, err := http.Get(address)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(t, http.StatusOK, res.StatusCode, address)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return raw
}
