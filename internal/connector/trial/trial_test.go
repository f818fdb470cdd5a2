package trial_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/connector/trial"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// tried runs a trial of the shipped Acme manifest with one edit against the sandbox.
func tried(t *testing.T, from, to, secret string) ([]trial.Step, int) {
	t.Helper()
	both := sandbox.New(sandbox.Options{})
	t.Cleanup(both.Close)
	server := httptest.NewServer(both.Acme)
	t.Cleanup(server.Close)
	admin := sandboxclient.New(server.URL)
	_, err := admin.Seed(t.Context(), wire.Seed{Object: "contacts", Count: 5, Start: 1})
	require.NoError(t, err)
	text, err := connectors.Read("acme")
	require.NoError(t, err)
	require.Contains(t, string(text), from)
	read, err := manifest.Parse([]byte(strings.Replace(string(text), from, to, 1)))
	require.NoError(t, err, fmt.Sprintf("%+v", err))
	driver := rest.New(read)
	conn, err := driver.Open(connector.Config{
		Side: record.Right, BaseURL: server.URL + "/api/2", Objects: read.Names(), Capabilities: driver.Defaults(),
		Auth:   connector.Auth{ClientID: sandbox.DefaultClientID, ClientSecret: secret},
		Client: transport.New(transport.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
	})
	require.NoError(t, err)
	steps := trial.Run(t.Context(), trial.Options{Connector: conn, Manifest: read, Objects: []string{"contacts"}, Now: time.Now,
		Write: map[string]map[string]any{"contacts": {"email": "trial@example.com", "first_name": "Trial", "properties.source": "trial"}}})
	left, err := admin.Records(t.Context(), "contacts")
	require.NoError(t, err)
	live := 0
	for _, one := range left {
		if one.DeletedAt == nil {
			live++
		}
	}
	return steps, live
}

func TestAGoodManifest(t *testing.T) {
	steps, live := tried(t, "title: Acme CRM", "title: Acme CRM", sandbox.DefaultClientSecret)
	outcomes := map[string]string{}
	for _, one := range steps {
		require.NotEqual(t, trial.Wrong, one.Outcome, fmt.Sprintf("%+v", one))
		require.NotContains(t, one.Text, "@", "no values")
		outcomes[one.Operation] = one.Outcome
	}
	for _, operation := range []string{"token", "list", "next page", "changes", "get", "missing", "search by email", "deleted", "create", "duplicate", "update", "stale", "delete"} {
		require.Equal(t, trial.Right, outcomes[operation], operation)
	}
	require.Zero(t, trial.Failed(steps))
	require.Equal(t, 5, live, "what was made is gone")
}

// TestWhatToMend: one mistake each, found by the operation that it breaks.
func TestWhatToMend(t *testing.T) {
	for _, row := range []struct{ name, from, to, operation, mend string }{
		{"the list is elsewhere", "since: rfc3339_ms\n  rows: items", "since: rfc3339_ms\n  rows: data", "list", "list: path, query and rows"},
		{"the path is wrong", "get: {path: \"/{path}/{id}\"}", "get: {path: \"/{path}/one/{id}\"}", "get", "get"},
		{"the times are elsewhere", "updated_at: updated_at", "updated_at: changed", "list", "records.updated_at"},
		{"the version is elsewhere", "version: version\n", "version: revision\n", "list", "records.version"},
		{"the version has another form", `'"v{version}"'`, "'{version}'", "get", "version_form"},
		{"the filter has another name", "updated_since:", "since:", "changes", "the name of the parameter"},
		{"the cursor has another name", "query: {limit: \"{size}\", cursor:", "query: {limit: \"{size}\", after:", "next page", "list.paging"},
		{"the search is elsewhere", "path: /{path}/search", "path: /{path}/find", "search by email", "search: path"},
		{"the search is refused", "query: {\"{field}\":", "query: {\"x.{field}\":", "search by email", "where {field}"},
		{"refusals are not known", "known: error.type", "known: error.kind", "missing", "errors.known"},
		{"duplicates do not point", "existing_id: error.existing_id", "existing_id: error.other", "duplicate", "errors.existing_id"},
		{"the fields are wrapped", "create: {path: \"/{path}\"}", "create: {path: \"/{path}\", wrap: contact}", "create", "wrap"},
		{"deletes go elsewhere", "delete: {path: \"/{path}/{id}\"}", "delete: {path: \"/{path}/{id}/x\"}", "delete", "delete"},
	} {
		t.Run(row.name, func(t *testing.T) {
			steps, _ := tried(t, row.from, row.to, sandbox.DefaultClientSecret)
			told := ""
			for _, one := range steps {
				if one.Outcome == trial.Wrong && one.Operation == row.operation {
					told = one.Mend
				}
			}
			require.Contains(t, told, row.mend, fmt.Sprintf("%+v", steps))
			require.Positive(t, trial.Failed(steps))
		})
	}
}

func TestWrongCredentials(t *testing.T) {
	steps, _ := tried(t, "title: Acme CRM", "title: Acme CRM", "wrong")
	require.Len(t, steps, 1)
	require.Equal(t, "token", steps[0].Operation)
	require.Equal(t, trial.Wrong, steps[0].Outcome)
	require.NotContains(t, steps[0].Text, "\"wrong\"")
}
