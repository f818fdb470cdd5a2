package devserver

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const (
	testQueue = "devserver-test"
	// crashDir tells the test binary, started again as a child, which folder to crash on.
	crashDir = "DEVSERVER_TEST_CRASH_DIR"
)

func tenantKey() temporal.SearchAttributeKeyKeyword {
	return temporal.NewSearchAttributeKeyKeyword("AccordTenant")
}

func keywords(names ...string) map[string]enums.IndexedValueType {
	attributes := map[string]enums.IndexedValueType{}
	for _, name := range names {
		attributes[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
	}
	return attributes
}

func start(t *testing.T, opts Options) *Server {
	t.Helper()
	server, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

func dial(t *testing.T, server *Server) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: server.Address(), Logger: sdkSilence{}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func greet(_ context.Context, name string) (string, error) { return "hello " + name, nil }

func greeting(ctx workflow.Context, name string) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	var result string
	err := workflow.ExecuteActivity(ctx, greet, name).Get(ctx, &result)
	return result, err
}

// runGreeting executes one workflow with one activity and returns its result.
func runGreeting(t *testing.T, c client.Client, id string) string {
	t.Helper()
	w := worker.New(c, testQueue, worker.Options{})
	w.RegisterWorkflow(greeting)
	w.RegisterActivity(greet)
	require.NoError(t, w.Start())
	defer w.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                    id,
		TaskQueue:             testQueue,
		TypedSearchAttributes: temporal.NewSearchAttributes(tenantKey().ValueSet("acme")),
	}, greeting, "Ada")
	require.NoError(t, err)
	var result string
	require.NoError(t, run.Get(ctx, &result))
	return result
}

func resultOf(t *testing.T, c client.Client, id string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var result string
	require.NoError(t, c.GetWorkflow(ctx, id, "").Get(ctx, &result))
	return result
}

func clusterID(t *testing.T, c client.Client) string {
	t.Helper()
	info, err := c.WorkflowService().GetClusterInfo(t.Context(), &workflowservice.GetClusterInfoRequest{})
	require.NoError(t, err)
	return info.GetClusterId()
}

func countByQuery(t *testing.T, c client.Client, query string) int64 {
	t.Helper()
	count, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Namespace: DefaultNamespace, Query: query})
	require.NoError(t, err)
	return count.GetCount()
}

func TestDataOutlivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "100% #1?", "deeper")
	first := start(t, Options{DataDir: dir, SearchAttributes: keywords("AccordTenant")})
	c := dial(t, first)
	require.Equal(t, "hello Ada", runGreeting(t, c, "greeting-1"))
	require.Eventually(t, func() bool { return countByQuery(t, c, `AccordTenant = "acme"`) == 1 }, 30*time.Second, 50*time.Millisecond)
	id := clusterID(t, c)
	c.Close()
	first.Stop()
	first.Stop()

	second := start(t, Options{DataDir: dir, SearchAttributes: keywords("AccordTenant", "AccordStream"), Retention: 100 * time.Hour})
	c = dial(t, second)
	require.Equal(t, "hello Ada", resultOf(t, c, "greeting-1"))
	require.Equal(t, id, clusterID(t, c))
	require.EqualValues(t, 1, countByQuery(t, c, `AccordTenant = "acme"`))

	stored, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: DefaultNamespace})
	require.NoError(t, err)
	require.Equal(t, 100*time.Hour, stored.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())

	// The attribute that came with the second start can be set and searched.
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: "greeting-2", TaskQueue: testQueue,
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword("AccordStream").ValueSet("leads")),
	}, greeting, "Bob")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return countByQuery(t, c, `AccordStream = "leads"`) == 1 }, 30*time.Second, 50*time.Millisecond)
}

func TestInMemoryWithUI(t *testing.T) {
	hook := &logtest.Hook{}
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.AddHook(hook)
	server := start(t, Options{UIListen: "127.0.0.1:0", SearchAttributes: keywords("AccordTenant"), Log: logger})
	require.Equal(t, "hello Ada", runGreeting(t, dial(t, server), "greeting-1"))

	// The page is there, and its API reaches the server behind it.
	require.Contains(t, get(t, server.UIURL()+"/"), "<html")
	require.Contains(t, get(t, server.UIURL()+"/api/v1/namespaces/default/workflows/greeting-1"), "WORKFLOW_EXECUTION_STATUS_COMPLETED")

	uiURL := server.UIURL()
	server.Stop()
	_, err := net.DialTimeout("tcp", uiURL[len("http://"):], time.Second)
	require.Error(t, err, "the UI must be gone after Stop")
	_, err = net.DialTimeout("tcp", server.Address(), time.Second)
	require.Error(t, err, "the server must be gone after Stop")
	for _, entry := range hook.AllEntries() {
		require.Greater(t, entry.Level, logrus.ErrorLevel, "an ordinary run logs no error: %s %v", entry.Message, entry.Data)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusOK, response.StatusCode, url)
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	require.NoError(t, err)
	return string(body)
}

// TestCrashingChild is not a test of its own: it is the child of TestDataOutlivesAKill.
func TestCrashingChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("runs only as a child process of TestDataOutlivesAKill")
	}
	server := start(t, Options{DataDir: dir, SearchAttributes: keywords("AccordTenant")})
	require.Equal(t, "hello Ada", runGreeting(t, dial(t, server), "greeting-1"))
	_, err := os.Stdout.WriteString("ready\n")
	require.NoError(t, err)
	select {} // until killed
}

func TestDataOutlivesAKill(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCrashingChild$", "-test.v")
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(stdout)
	ready := false
	for !ready && lines.Scan() {
		ready = lines.Text() == "ready"
	}
	require.True(t, ready, "the child ended before its workflow was done")
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait(), "the child must have been killed")

	server := start(t, Options{DataDir: dir, SearchAttributes: keywords("AccordTenant")})
	c := dial(t, server)
	require.Equal(t, "hello Ada", resultOf(t, c, "greeting-1"))
	require.Equal(t, "hello Ada", runGreeting(t, c, "greeting-2"))
}
