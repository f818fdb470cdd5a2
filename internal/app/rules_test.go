package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/fault"
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
