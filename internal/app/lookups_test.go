package app

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func TestLookUps(t *testing.T) {
	text, err := integrations.Read("acme-calendar.yaml")
	require.NoError(t, err)
	plan := func(text string) (Plan, error) {
		return NewInstaller(Drivers()).Plan(text, map[string]string{"ACME_CLIENT_ID": "a", "ACME_URL": "https://acme.example/api/2",
			"ACME_TOKEN_URL": "https://acme.example/oauth/token", "CALENDAR_URL": "https://dav.example/ana/work", "CALENDAR_USER": "ana"},
			map[string]string{"acme_client_secret": "a", "acme_webhook": "b", "calendar_password": "c"})
	}
	good, err := plan(string(text))
	require.NoError(t, err)
	require.Equal(t, []string{"appointments", "contacts"}, good.Objects(record.Left), "what is looked up needs its right too")

	_, err = plan(strings.Replace(string(text), "{object: contacts, id: contact_id}", "{object: dragons, id: contact_id}", 1))
	require.Equal(t, []fault.Detail{{Path: "streams.appointments.left.look_up.customer.object", Message: "Acme CRM has no collection dragons that this build can speak"}}, fault.As(err).Details)

	_, err = plan(string(text) + `
  others:
    left: {object: appointments, look_up: {customer: {object: companies, id: contact_id}}}
    right: {object: events}
    fields: {title: {left: title, right: title}}
`)
	require.Len(t, fault.As(err).Details, 1)
	require.Contains(t, fault.As(err).Details[0].Message, "looks something else up under this name")
}
