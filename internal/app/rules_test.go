package app_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// TestShippedRules reads the integrations with rules in full, each with what it needs.
func TestShippedRules(t *testing.T) {
	variables := map[string]string{
		"SALESOS_CLIENT_ID": "id", "ACME_CLIENT_ID": "id", "ACME_URL": "https://acme.example/api/2", "ACME_TOKEN_URL": "https://acme.example/oauth/token",
		"CALENDAR_URL": "https://dav.example/ana/work", "CALENDAR_USER": "ana",
	}
	secrets := map[string]string{
		"salesos_client_secret": "s", "acme_client_secret": "s", "salesos_webhook": "s", "acme_webhook": "s", "calendar_password": "s",
		"chat_webhook": "https://chat.example/T000/B000",
	}
	installer := app.NewInstaller(app.Drivers())
	for file, objects := range map[string][2][]string{
		"salesos-orders.yaml":       {{"deals", "users"}, {"orders"}},
		"webforms-salesos.yaml":     {{"leads", "deals"}, {"submissions", "orders"}},
		"appointment-calendar.yaml": {{"appointments", "contacts"}, {"events"}},
	} {
		text, err := integrations.Read(file)
		require.NoError(t, err)
		plan, err := installer.Plan(string(text), variables, secrets)
		require.NoError(t, err, file)
		require.Equal(t, objects[0], plan.Objects(record.Left), file)
		require.Equal(t, objects[1], plan.Objects(record.Right), file)
	}
	text, err := integrations.Read("salesos-orders.yaml")
	require.NoError(t, err)
	secrets["chat_webhook"] = "not an address"
	_, err = installer.Plan(string(text), variables, secrets)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.NotContains(t, err.Error(), "not an address", "a secret is never quoted")
}

// The receiver is told which events count one by one: those that a rule names which
// fires once per event.
func TestEventsThatCountOneByOne(t *testing.T) {
	text, err := integrations.Read("salesos-orders.yaml")
	require.NoError(t, err)
	connection := ledger.Connection{
		Integration: strings.Replace(string(text), "    then:", "    once: event\n    then:", 1),
		Variables:   map[string]string{"SALESOS_CLIENT_ID": "id", "ACME_CLIENT_ID": "id", "ACME_URL": "https://acme.example/api/2", "ACME_TOKEN_URL": "https://acme.example/oauth/token"},
		Secrets:     map[string]string{"salesos_client_secret": "s", "acme_client_secret": "s", "salesos_webhook": "s", "acme_webhook": "s", "chat_webhook": "https://chat.example/T"},
	}
	target, err := app.NewInstaller(app.Drivers()).Target(connection)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"rules.won": {"deal.won"}}, target.Left.Each)
	require.Empty(t, target.Right.Each)
}
