package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func shipped(t *testing.T) *Integration {
	t.Helper()
	src, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	parsed, err := Parse(src)
	require.NoError(t, err)
	return parsed
}

func shippedValues() (variables, secrets map[string]string) {
	return map[string]string{
			"SALESOS_CLIENT_ID": "left-client", "ACME_URL": "http://127.0.0.1:9002/api/2",
			"ACME_TOKEN_URL": "http://127.0.0.1:9002/oauth/token", "ACME_CLIENT_ID": "right-client", "POLL_EVERY": "1s",
		}, map[string]string{
			"salesos_client_secret": "s1", "salesos_webhook": "s2", "acme_client_secret": "s3", "acme_webhook": "s4",
		}
}

func TestShippedIntegration(t *testing.T) {
	parsed := shipped(t)
	require.False(t, parsed.Resolved())
	require.Equal(t, "${SALESOS_URL:-https://api.play2sell.com/v1}", parsed.Systems.Left.BaseURL)
	require.Equal(t, "${secret:salesos_webhook}", parsed.Systems.Left.Webhook.Secret)
	require.Equal(t, 30*time.Second, parsed.Streams[0].Poll.Every)
	require.Equal(t, []string{"salesos_client_secret", "salesos_webhook", "acme_client_secret", "acme_webhook"}, parsed.SecretNames())
	require.Equal(t, "SALESOS_URL", parsed.Variables()[0].Name)
	require.Equal(t, "https://api.play2sell.com/v1", parsed.Variables()[0].Default)

	resolved, err := parsed.Resolve(shippedValues())
	require.NoError(t, err)
	require.True(t, resolved.Resolved())
	require.Equal(t, "https://api.play2sell.com/v1", resolved.Systems.Left.BaseURL)
	require.Equal(t, "s2", resolved.Systems.Left.Webhook.Secret)
	require.Equal(t, time.Second, resolved.Streams[0].Poll.Every)
	require.Equal(t, 660, resolved.Systems.Right.Limits.RequestsPerMinute)
	require.Equal(t, Yes, resolved.Systems.Right.Capabilities.Versions)
	require.Equal(t, []string{"email", "external_ref"}, resolved.Systems.Right.Capabilities.Unique.List)

	streams, err := resolved.Compile()
	require.NoError(t, err)
	require.Len(t, streams, 3)
	require.Equal(t, "deals", streams[1].Name())
	require.Equal(t, record.Kind{Name: record.KindRef, Stream: "leads"}, streams[1].Field("lead").Kind())
	require.Equal(t, "users", streams[2].Name())
	require.Equal(t, record.KindEmail, streams[2].Field("email").Kind().Name)
	require.False(t, streams[2].Field("email").Writable(record.Right))
}

func TestShippedNames(t *testing.T) {
	streams, err := shipped(t).Compile()
	require.NoError(t, err)
	name := streams[0].Field("name")
	for typed, want := range map[string]map[string]any{
		"Ana":               {"first_name": "Ana", "last_name": nil},
		"Ana Souza":         {"first_name": "Ana", "last_name": "Souza"},
		" Ana  Maria Souza": {"first_name": "Ana", "last_name": "Maria Souza"},
		"":                  {"first_name": nil, "last_name": nil},
	} {
		patch, err := name.Convert(record.Left, typed, nil)
		require.NoError(t, err, typed)
		require.Equal(t, want, patch, typed)
	}
	raw, present, err := name.Read(record.Right, record.Fields{"first_name": "Ana", "last_name": nil})
	require.NoError(t, err)
	require.True(t, present)
	require.Equal(t, "Ana", raw)
	_, present, err = name.Read(record.Right, record.Fields{"email": "a@example.com"})
	require.NoError(t, err)
	require.False(t, present)
}

// Acme has one word for the stage and the status of a SalesOS deal.
func TestShippedStages(t *testing.T) {
	streams, err := shipped(t).Compile()
	require.NoError(t, err)
	stage := streams[1].Field("stage")
	for word, want := range map[string]map[string]any{
		"proposal": {"status": "open", "stage.name": "Proposal"},
		"won":      {"status": "won", "stage.name": nil},
	} {
		patch, err := stage.Convert(record.Right, word, nil)
		require.NoError(t, err)
		require.Equal(t, want, patch)
	}
	for word, deal := range map[string]record.Fields{
		"proposal": {"status": "open", "stage": map[string]any{"id": "stage_proposal", "name": "Proposal"}},
		"lost":     {"status": "lost", "stage": map[string]any{"name": "Proposal"}},
		"new":      {"stage": map[string]any{"name": "New"}},
	} {
		raw, _, err := stage.Read(record.Left, deal)
		require.NoError(t, err)
		patch, err := stage.Convert(record.Left, raw, nil)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"stage": word}, patch)
	}
	raw, _, err := stage.Read(record.Left, record.Fields{"status": "open"})
	require.NoError(t, err)
	require.Nil(t, raw, "a deal without a stage")
	_, err = stage.Convert(record.Left, "stage_of_their_own", nil)
	require.Equal(t, fault.Invalid, fault.CodeOf(err), "it is parked, with the stage named")
}

func TestResolveNamesWhatIsMissing(t *testing.T) {
	variables, secrets := shippedValues()
	delete(variables, "ACME_URL")
	delete(secrets, "acme_webhook")
	variables["POLL_EVERY"] = "soon"
	_, err := shipped(t).Resolve(variables, secrets)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	messages := map[string]string{}
	for _, detail := range fault.As(err).Details {
		require.Positive(t, detail.Line)
		messages[detail.Path] = detail.Message
	}
	require.Equal(t, "the variable ACME_URL has no value", messages["systems.right.base_url"])
	require.Equal(t, "the secret acme_webhook has no value", messages["systems.right.webhook.secret"])
	require.Contains(t, messages["streams.leads.poll.every"], "not a duration")
	require.NotContains(t, err.Error(), "s3")
}

func TestJSONObjectIsTheSame(t *testing.T) {
	document := map[string]any{
		"integration": "j",
		"systems":     map[string]any{"left": system("salesos"), "right": system("acme")},
		"streams": map[string]any{"leads": map[string]any{
			"left":  map[string]any{"object": "leads", "where": "score > 5 && name != '<&>/'"},
			"right": map[string]any{"object": "contacts"},
			"fields": map[string]any{
				"name":  map[string]any{"left": "name", "right": map[string]any{"read": "first", "write": map[string]any{"first": "value"}}},
				"stage": map[string]any{"left": "s", "right": "t", "values": map[string]any{"😀": 1, "b": true}},
			},
			"poll": map[string]any{"every": "${EVERY:-2s}"},
		}},
	}
	for _, indent := range []string{"", "\t", "  "} {
		src, err := json.MarshalIndent(document, "", indent)
		require.NoError(t, err)
		parsed, err := Parse(src)
		require.NoError(t, err, string(src))
		require.Equal(t, 2*time.Second, parsed.Streams[0].Poll.Every)
		require.Equal(t, "score > 5 && name != '<&>/'", parsed.Streams[0].Left.Where)
		require.ElementsMatch(t, []Pair{{"😀", json.Number("1")}, {"b", true}}, parsed.Streams[0].field("stage").Values)
	}
}

func system(connector string) map[string]any {
	return map[string]any{"connector": connector, "base_url": "http://127.0.0.1:1",
		"auth":    map[string]any{"kind": "bearer", "token": "${secret:t}"},
		"webhook": map[string]any{"secret": "${secret:w}"}}
}

func TestBasicAuth(t *testing.T) {
	text := strings.Replace(base(t), "{kind: bearer, token: ${secret:right}}", "{kind: basic, username: sync, password: \"${secret:right}\"}", 1)
	parsed, err := Parse([]byte(text))
	require.NoError(t, err)
	resolved, err := parsed.Resolve(map[string]string{"RIGHT_URL": "http://127.0.0.1:1"}, map[string]string{"right": "s3cret", "left": "x", "hook": "y"})
	require.NoError(t, err)
	require.Equal(t, Auth{Kind: AuthBasic, Username: "sync", Password: "s3cret"}, resolved.Systems.Right.Auth)
	_, err = Parse([]byte(strings.Replace(text, "username: sync, ", "", 1)))
	require.Contains(t, report(t, err), "systems.right.auth: the key username is missing")
}

func TestShippedTrytonFile(t *testing.T) {
	text, err := os.ReadFile("../../integrations/salesos-tryton.yaml")
	require.NoError(t, err)
	parsed, err := Parse(text)
	require.NoError(t, err)
	resolved, err := parsed.Resolve(map[string]string{"SALESOS_CLIENT_ID": "a", "TRYTON_URL": "https://erp.example/crm", "TRYTON_USER": "sync"},
		map[string]string{"salesos_client_secret": "a", "salesos_webhook": "b", "tryton_password": "c"})
	require.NoError(t, err)
	streams, err := resolved.Compile()
	require.NoError(t, err)
	require.Len(t, streams, 2)
	require.Empty(t, resolved.Systems.Right.Webhook.Secret, "Tryton is only polled")
}

// TestManifests: by name and in place, YAML and JSON.
func TestManifests(t *testing.T) {
	const small = `{"manifest":"small","title":"Small CRM","auth":{"kinds":["api_key"],"api_key":{"name":"X-Key"}},"errors":{"known":"error"},` +
		`"list":{"path":"/{path}"},"get":{"path":"/{path}/{id}"},"objects":{"contacts":null}}`
	named := strings.Replace(base(t), "connector: acme", "connector: rest\n    manifest: acme", 1)
	require.Equal(t, "Acme CRM", mustParse(t, named).Systems.Right.Manifest.Title)
	inPlace := strings.Replace(base(t), "connector: acme", "connector: rest\n    manifest: "+small, 1)
	inPlace = strings.Replace(inPlace, "kind: bearer", "kind: api_key", 1)
	parsed := mustParse(t, inPlace)
	require.Equal(t, "contact", parsed.Systems.Right.Manifest.Objects["contacts"].Singular)
	require.Contains(t, fmt.Sprint(Sentences(parsed)), "created in Small CRM")
	require.True(t, parsed.Systems.Right.Capabilities.Unique.Probe, "what is left out is what the manifest says")
	require.False(t, parsed.Systems.Left.Capabilities.SearchLag.Probe)
	resolved, err := parsed.Resolve(map[string]string{"RIGHT_URL": "https://crm.example"}, map[string]string{"left": "a", "hook": "b", "right": "c"})
	require.NoError(t, err)
	require.Equal(t, "c", resolved.Systems.Right.Auth.Token)
	require.Equal(t, AuthAPIKey, resolved.Systems.Right.Auth.Kind)
	require.NotNil(t, resolved.Systems.Right.Manifest)
}

func TestShippedCalendarFile(t *testing.T) {
	text, err := os.ReadFile("../../integrations/acme-calendar.yaml")
	require.NoError(t, err)
	parsed, err := Parse(text)
	require.NoError(t, err)
	variables := map[string]string{"ACME_CLIENT_ID": "a", "ACME_URL": "https://acme.example/api/2", "ACME_TOKEN_URL": "https://acme.example/oauth/token",
		"CALENDAR_URL": "https://dav.example/ana/work", "CALENDAR_USER": "ana"}
	secrets := map[string]string{"acme_client_secret": "a", "acme_webhook": "b", "calendar_password": "c"}
	for category, inScope := range map[string][]bool{"Acme": {true, true, false}, "": {true, true, true}, "Work": {true, false, true}} {
		variables["CALENDAR_CATEGORY"] = category
		resolved, err := parsed.Resolve(variables, secrets)
		require.NoError(t, err)
		require.Empty(t, resolved.Systems.Right.Webhook.Secret, "calendars are only polled")
		streams, err := resolved.Compile()
		require.NoError(t, err)
		for n, event := range []record.Fields{
			{"x": map[string]any{"accord_source": "ap_1"}, "categories": []any{}},
			{"x": map[string]any{}, "categories": []any{"Acme"}},
			{"x": map[string]any{}, "categories": []any{"Work"}},
		} {
			got, err := streams[0].InScope(record.Right, event)
			require.NoError(t, err)
			require.Equal(t, inScope[n], got, "%s: event %d", category, n)
		}
	}
	all := ""
	for _, said := range Sentences(parsed) {
		all += said.Text + "\n"
	}
	require.Contains(t, all, "When an appointment is created in Acme, then an event is created in CalDAV and linked to it.\n")
	require.Contains(t, all, "Changes in CalDAV are noticed only by asking every 30s")
}
