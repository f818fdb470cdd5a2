package shell_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/app/shell"
	"github.com/accord-sync/accord/internal/cli"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

const guidePage = "../../../docs/guides/connect-a-crm.md"

// block is the block of the guide that begins with a line.
func block(t *testing.T, begins string) string {
	t.Helper()
	page, err := os.ReadFile(guidePage)
	require.NoError(t, err)
	for _, part := range strings.Split(string(page), "```") {
		_, text, _ := strings.Cut(part, "\n")
		if strings.HasPrefix(text, begins) {
			return text
		}
	}
	t.Fatalf("the guide has no block that begins with %q", begins)
	return ""
}

// reader is somebody who follows the guide.
type reader struct {
	t      *testing.T
	folder string
	crm    *pipeworks
	url    string
	sales  *sandbox.Running
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{t: t, folder: t.TempDir(), crm: &pipeworks{now: time.Now}}
	server := httptest.NewServer(r.crm)
	t.Cleanup(server.Close)
	r.url = server.URL + "/rest/v1"
	var err error
	r.sales, err = sandbox.Listen(context.WithoutCancel(t.Context()), sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(r.sales.Close)
	r.write("key.txt", pipeKey+"\n")
	r.write("salesos.txt", sandbox.DefaultClientSecret)
	return r
}

func (r *reader) write(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.folder, name)
	require.NoError(r.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// run runs a command line of the guide: addresses and files stand where they really are.
func (r *reader) run(line string) (code int, out, err string) {
	r.t.Helper()
	line, target, piped := strings.Cut(strings.TrimSpace(line), " > ")
	for _, pair := range [][2]string{
		{"https://pipeworks.example/rest/v1", r.url}, {"docs/guides/", "../../../docs/guides/"}, {"@", "@" + r.folder + "/"}, {" pipeworks.yaml", " " + r.folder + "/pipeworks.yaml"},
		{" salesos-pipeworks.yaml", " " + r.folder + "/salesos-pipeworks.yaml"}, {"SALESOS_URL=…", "SALESOS_URL=" + r.sales.SalesOSURL + "/v1"},
		{"SALESOS_TOKEN_URL=…", "SALESOS_TOKEN_URL=" + r.sales.SalesOSURL + "/oauth/token"}, {"CLIENT_ID=…", "CLIENT_ID=" + sandbox.DefaultClientID}, {"PIPEWORKS_URL=…", "PIPEWORKS_URL=" + r.url},
		{"accord-test@" + r.folder + "/", "accord-test@"},
	} {
		line = strings.ReplaceAll(line, pair[0], pair[1])
	}
	var words []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			words = append(words, part) // what stands in quotes is one word
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	require.Equal(r.t, "accord", words[0])
	var stdout, stderr bytes.Buffer
	options := cli.Options{Name: "accord", Tenant: "default", Out: &stdout, Err: &stderr}
	root := cli.New(options)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cli.AddAccord(root, options, cli.Hooks{Plan: shell.CheckPlan(loopback, time.Now), Manifest: shell.OpenManifest(loopback, time.Now), Known: shell.Known, Now: time.Now})
	code = cli.Run(r.t.Context(), root, words[1:])
	if piped {
		r.write(strings.TrimSpace(target), stdout.String())
	}
	return code, stdout.String(), stderr.String()
}

// TestTheGuide follows docs/guides/connect-a-crm.md to the letter.
func TestTheGuide(t *testing.T) {
	r := newReader(t)
	r.crm.people = []map[string]any{{"person_id": 1, "full_name": "Bruno Reis", "mail": "bruno@example.com", "phone": "+55 11 98888-1111", "ref": "", "made": time.Now().Unix() - 60, "changed": time.Now().Unix() - 60}}
	r.crm.next = 1

	code, _, errors := r.run(block(t, "accord connector new"))
	require.Zero(t, code, errors)
	code, out, _ := r.run(block(t, "accord connector test pipeworks.yaml --base-url https://pipeworks.example/rest/v1 --secret token=@key.txt\n"))
	require.Equal(t, fault.ExitCode(fault.Invalid), code)
	require.Contains(t, out, block(t, "WRONG people: list"))

	r.write("pipeworks.yaml", block(t, "# pipeworks.yaml"))
	code, out, errors = r.run(block(t, "accord connector test pipeworks.yaml --base-url https://pipeworks.example/rest/v1 --secret token=@key.txt --write"))
	require.Zero(t, code, out+errors)
	for _, line := range []string{"ok    people: list", "ok    people: changes", "ok    people: get", "ok    people: missing", "ok    people: create", "ok    people: duplicate", "ok    people: update", "ok    people: delete"} {
		require.Contains(t, out, line)
	}
	people, _ := r.crm.count()
	require.Equal(t, 1, people, "what was made is gone")

	indented := strings.ReplaceAll("\n"+strings.TrimSpace(block(t, "# pipeworks.yaml")), "\n", "\n      ")
	integration := strings.Replace(block(t, "# salesos-pipeworks.yaml"), " MANIFEST", indented, 1)
	r.write("salesos-pipeworks.yaml", integration)
	code, out, errors = r.run(block(t, "accord check salesos-pipeworks.yaml"))
	require.Zero(t, code, out+errors)
	require.Contains(t, out, "left: token: SalesOS gave an access token")
	require.Contains(t, out, "right: token: credentials are there; the calls below try them")
	require.Contains(t, out, "created in Pipeworks")
	require.Contains(t, out, "ok    right: mapping leads")
	r.sync(integration)
}

// sync runs the integration of the guide through the engine.
func (r *reader) sync(integration string) {
	t := r.t
	salesos := sandboxclient.New(r.sales.SalesOSURL)
	made, err := salesos.CreateRecord(t.Context(), "leads", map[string]any{"name": "Ana Lima", "email": "ana@example.com", "status": "new"})
	require.NoError(t, err)
	turn := r.engine(integration)
	require.Eventually(t, func() bool { turn(); return r.crm.person("ana@example.com") != nil }, time.Minute, 50*time.Millisecond)
	require.Equal(t, "Ana Lima", r.crm.person("ana@example.com")["full_name"])
	require.Equal(t, made.ID, r.crm.person("ana@example.com")["ref"])

	require.True(t, r.crm.edit("ana@example.com", map[string]any{"full_name": "Ana Maria Lima", "unmapped": "theirs"}))
	require.Eventually(t, func() bool {
		turn()
		lead, err := salesos.Record(t.Context(), "leads", made.ID)
		return err == nil && lead.Fields["name"] == "Ana Maria Lima"
	}, time.Minute, 50*time.Millisecond)
	_, err = salesos.EditRecord(t.Context(), "leads", made.ID, map[string]any{"phone": "+55 11 97777-2222"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		turn()
		phone, _ := r.crm.person("ana@example.com")["phone"].(string)
		return strings.Contains(phone, "97777")
	}, time.Minute, 50*time.Millisecond)
	require.Equal(t, "theirs", r.crm.person("ana@example.com")["unmapped"], "a PUT of the whole keeps what is not mapped")

	people, writes := r.crm.count()
	require.Equal(t, 2, people)
	for range 3 {
		turn()
	}
	_, after := r.crm.count()
	require.Equal(t, writes, after, "when nothing happens, nothing is written")

	_, err = salesos.DeleteRecord(t.Context(), "leads", made.ID)
	require.NoError(t, err)
	require.Eventually(t, func() bool { turn(); return r.crm.person("ana@example.com") == nil }, time.Minute, 50*time.Millisecond)
	require.NotNil(t, r.crm.person("bruno@example.com"))
}

// engine installs the integration and answers a turn of polls, a comparison and drains.
func (r *reader) engine(integration string) func() {
	t := r.t
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(r.folder, "ledger.db"), sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32), Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	key := ledger.Key{Tenant: "default", Connection: "cn_guide"}
	require.NoError(t, store.CreateConnection(t.Context(), ledger.Connection{
		Key: key, Name: "salesos-pipeworks", State: ledger.Active, Version: 1, Integration: integration,
		Variables: map[string]string{"SALESOS_URL": r.sales.SalesOSURL + "/v1", "SALESOS_TOKEN_URL": r.sales.SalesOSURL + "/oauth/token", "SALESOS_CLIENT_ID": sandbox.DefaultClientID, "PIPEWORKS_URL": r.url},
		Secrets:   map[string]string{"salesos_client_secret": sandbox.DefaultClientSecret, "pipeworks_key": pipeKey},
	}))
	opener := app.NewOpener(app.OpenerOptions{Store: store, Installer: app.NewInstaller(app.Drivers()), AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Lease: 10 * time.Second, Log: log, Now: time.Now})
	running := engine.New(engine.Options{Store: store, Open: opener.Open, Log: log, Now: time.Now, NewID: app.NewID, Lease: 10 * time.Second})
	drain := func(run string) {
		_, err := running.Drain(t.Context(), key, engine.DrainRequest{RunID: run})
		require.NoError(t, err)
	}
	count := 0
	list := func(kind ledger.RunKind) {
		count++
		run, _, err := store.StartRun(t.Context(), ledger.Run{ID: string(kind) + strings.Repeat("x", count), Key: key, Kind: kind, State: ledger.RunRunning, Total: -1})
		require.NoError(t, err)
		for {
			listed, err := running.ListStep(t.Context(), key, engine.ListRequest{RunID: run.ID, Kind: kind})
			require.NoError(t, err)
			if listed.Finished {
				break
			}
		}
		drain(run.ID)
		_, err = store.EndRun(t.Context(), run.ID, ledger.RunSucceeded, "")
		require.NoError(t, err)
	}
	list(ledger.RunBackfill)
	return func() {
		_, err := running.Poll(t.Context(), key, "leads")
		require.NoError(t, err)
		list(ledger.RunCompare)
		drain("")
	}
}

// TestTheGuidesWebhook: the events that its manifest describes.
func TestTheGuidesWebhook(t *testing.T) {
	read, err := manifest.Parse([]byte(block(t, "# pipeworks.yaml")))
	require.NoError(t, err)
	body := []byte(`{"changes":[{"what":"edited","on":"person","number":7},{"what":"edited","on":"invoice","number":8}]}`)
	events, err := rest.New(read).ParseWebhook(signed(body, "hush"), body, []string{"hush"}, time.Now())
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "people", events[0].Object)
	require.Equal(t, "7", events[0].RecordID)
	_, err = rest.New(read).ParseWebhook(signed(body, "other"), body, []string{"hush"}, time.Now())
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
}
