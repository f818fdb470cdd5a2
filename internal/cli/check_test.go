package cli_test

import (
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/app/shell"
	"github.com/accord-sync/accord/internal/broker/brokertest"
	"github.com/accord-sync/accord/internal/cli"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
)

// shipped is the integration that users get.
const shipped = "../../integrations/salesos-acme.yaml"

// check runs accord check against the sandboxes.
func check(t *testing.T, running *sandbox.Running, secret, file string, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	options := cli.Options{Name: "accord", Tenant: "default", Out: &stdout, Err: &stderr}
	root := cli.New(options)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cli.AddAccord(root, options, cli.Hooks{Plan: shell.CheckPlan(loopback, time.Now), Known: shell.Known, Now: time.Now})
	all := append([]string{
		"check", file,
		"--var", "SALESOS_URL=" + running.SalesOSURL + "/v1", "--var", "SALESOS_TOKEN_URL=" + running.SalesOSURL + "/oauth/token", "--var", "SALESOS_CLIENT_ID=accord",
		"--var", "ACME_URL=" + running.AcmeURL + "/api/2", "--var", "ACME_TOKEN_URL=" + running.AcmeURL + "/oauth/token", "--var", "ACME_CLIENT_ID=accord",
		"--secret", "salesos_client_secret=" + secret, "--secret", "acme_client_secret=accord-secret", "--secret", "salesos_webhook=x", "--secret", "acme_webhook=y",
	}, args...)
	code = cli.Run(t.Context(), root, all)
	return code, stdout.String(), stderr.String()
}

func admin(t *testing.T, address, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Less(t, response.StatusCode, 300)
}

func TestCheckLive(t *testing.T) {
	running, err := sandbox.Listen(context.WithoutCancel(t.Context()), sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	admin(t, running.SalesOSURL+"/_admin/records/leads", `{"fields":{"name":"Jane Doe","email":"jane.doe@example.com","status":"new"}}`)

	code, out, errors := check(t, running, "accord-secret", shipped)
	require.Zero(t, code, out+errors)
	for _, line := range []string{
		"When a lead is created in SalesOS", "ok    left: token:", "ok    right: scope contacts: can be read", "ok    left: filter:",
		"ok    left: mapping leads: a sample record went through the mapping and back unchanged",
		"ok    right: mapping leads: there is no record yet", "ok    left: webhook: a secret is set",
	} {
		require.Contains(t, out, line)
	}
	require.NotContains(t, out, "jane.doe")

	code, out, _ = check(t, running, "wrong", shipped, "--json")
	require.Equal(t, fault.ExitCode(fault.Invalid), code)
	require.Contains(t, out, `"ok": false`)
	require.NotContains(t, out, "wrong\"")

	// Nothing was written to either side, and no webhook registered.
	code, out, _ = check(t, running, "accord-secret", shipped, "--json")
	require.Zero(t, code)
	require.Contains(t, out, `"ok": true`)

	running.Close()
	code, out, _ = check(t, running, "accord-secret", shipped)
	require.Equal(t, fault.ExitCode(fault.Invalid), code)
	require.Contains(t, out, "WRONG left: token:")
	require.Contains(t, out, "WRONG right: token:")
}

func TestCheckTellsWhatTheMappingCannotHold(t *testing.T) {
	running, err := sandbox.Listen(context.WithoutCancel(t.Context()), sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	admin(t, running.SalesOSURL+"/_admin/records/leads", `{"fields":{"name":"Jane Doe","email":"jane.doe@example.com","status":"new"}}`)
	text, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	without := strings.Replace(string(text), "new: lead, ", "", 1)
	require.NotEqual(t, string(text), without)
	file := filepath.Join(t.TempDir(), "without.yaml")
	require.NoError(t, os.WriteFile(file, []byte(without), 0o600))

	code, out, errors := check(t, running, "accord-secret", file)
	require.Equal(t, fault.ExitCode(fault.Invalid), code)
	require.Contains(t, out, "WRONG left: mapping leads.stage: ")
	require.Contains(t, out, `WRONG right: shape leads: stage: lifecycle may hold "lead", which has no counterpart under values`)
	require.Contains(t, errors, "mistakes found: 2")
	require.NotContains(t, out, "jane.doe")
}

// TestCheckLiveByManifest: the same test of a system that is reached by a manifest.
func TestCheckLiveByManifest(t *testing.T) {
	running, err := sandbox.Listen(context.WithoutCancel(t.Context()), sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	admin(t, running.AcmeURL+"/_admin/records/contacts", `{"fields":{"first_name":"Jane","last_name":"Doe","email":"jane.doe@example.com","lifecycle":"lead"}}`)
	text, err := os.ReadFile(shipped)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "by-manifest.yaml")
	edited := strings.Replace(string(text), "connector: acme", "connector: rest\n    manifest: acme", 1)
	require.NoError(t, os.WriteFile(file, []byte(edited), 0o600))
	code, out, errors := check(t, running, "accord-secret", file)
	require.Zero(t, code, out+errors)
	for _, line := range []string{"created in Acme CRM", "ok    right: token:", "ok    right: scope contacts: can be read", "ok    right: filter:", "ok    right: mapping leads: a sample record went"} {
		require.Contains(t, out, line)
	}

	wrong := strings.Replace(edited, "manifest: acme", "manifest: {manifest: x}", 1)
	require.NoError(t, os.WriteFile(file, []byte(wrong), 0o600))
	code, _, errors = check(t, running, "accord-secret", file, "--offline")
	require.Equal(t, fault.ExitCode(fault.Usage), code)
	require.Contains(t, errors, "systems.right.manifest: the key title is missing")
}

func TestCheckLiveTriesTheBroker(t *testing.T) {
	running, err := sandbox.Listen(context.WithoutCancel(t.Context()), sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	const file = "../../integrations/salesos-acme-nats.yaml"
	given := func(url string) []string {
		return []string{"--var", "ACME_BROKER_URL=" + url, "--secret", "acme_broker=a-broker-password"}
	}

	code, out, _ := check(t, running, "accord-secret", file, given("nats://127.0.0.1:1")...)
	require.Equal(t, fault.ExitCode(fault.Invalid), code)
	require.Contains(t, out, "WRONG right: broker: NATS does not answer")
	require.NotContains(t, out, "right: webhook")

	code, out, _ = check(t, running, "accord-secret", file, given("nats://10.0.0.1:4222")...)
	require.Equal(t, fault.ExitCode(fault.Invalid), code)
	require.Contains(t, out, "WRONG right: broker: the address 10.0.0.1 is private")

	server := brokertest.NATS(t)
	server.Stream(t, "ACME", "acme.>")
	code, out, errors := check(t, running, "accord-secret", file, append(given(server.URL), "--secret", "acme_broker="+server.Password)...)
	require.Zero(t, code, out+errors)
	require.Contains(t, out, "by message of NATS, stream ACME, topic acme.events, at once")
	require.Contains(t, out, "ok    right: broker: NATS lets us in, and has what the file names")
	require.NotContains(t, out, server.Password)
}

// TestCheckTellsThatAPersonRegistersTheWebhook: where a system has no call for it, nothing is
// known of the registration, and it is not called active.
func TestCheckTellsThatAPersonRegistersTheWebhook(t *testing.T) {
	running, err := sandbox.Listen(context.WithoutCancel(t.Context()), sandbox.Options{})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	s := newConsole(t, "crm")
	key := ledger.Key{Tenant: "default", Connection: "cn_a"}
	for _, side := range []record.Side{record.Left, record.Right} {
		_, err := s.store.UpdateSideState(t.Context(), key, side, func(state *ledger.SideState) { state.WebhookID = "by-hand" })
		require.NoError(t, err)
	}
	var out, stderr bytes.Buffer
	options := cli.Options{Name: "accord", Tenant: "default", Out: &out, Err: &stderr, Connect: func(context.Context) (*cli.Session, error) {
		return &cli.Session{Store: s.store, Close: func() {}}, nil
	}}
	root := cli.New(options)
	cli.AddAccord(root, options, cli.Hooks{Plan: shell.CheckPlan([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, time.Now), Known: shell.Known, Now: time.Now})
	cli.Run(t.Context(), root, []string{
		"check", "../../integrations/salesos-hubspot.yaml", "--connection", "cn_a",
		"--var", "SALESOS_URL=" + running.SalesOSURL + "/v1", "--var", "SALESOS_TOKEN_URL=" + running.SalesOSURL + "/oauth/token", "--var", "SALESOS_CLIENT_ID=accord",
		"--var", "HUBSPOT_URL=" + running.HubSpotURL, "--secret", "salesos_client_secret=accord-secret", "--secret", "salesos_webhook=x",
		"--secret", "hubspot_token=pat-na1-accord", "--secret", "hubspot_client_secret=accord-secret",
	})
	require.Contains(t, out.String(), "WRONG left: webhook: the registered webhook is gone", stderr.String())
	require.Contains(t, out.String(), "ok    right: webhook: a person registers it in the system's settings")
	require.NotContains(t, out.String(), "registered and active")
}
