//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// useHubSpot puts a HubSpot in the place of the world's Acme. Nothing is found by polls.
func (w *world) useHubSpot(t *testing.T) {
	t.Helper()
	secret := w.secrets["salesos_client_secret"]
	boxes := sandbox.New(sandbox.Options{Clients: []sandbox.Client{{ID: "accord", Secret: secret}}, TimeScale: 60})
	server := httptest.NewServer(w.tokens.watch(boxes.HubSpot))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		boxes.Close()
	})
	w.right = &system{side: "right", object: "contacts", root: server.URL, lists: "/crm/v3/objects/contacts", admin: sandboxclient.New(server.URL), users: map[string]string{}}
	text, err := integrations.Read("salesos-hubspot.yaml")
	require.NoError(t, err)
	w.integration = strings.ReplaceAll(string(text), "late_by: 60s", "late_by: 3s")
	for name := range w.variables {
		if strings.HasPrefix(name, "ACME_") {
			delete(w.variables, name)
		}
	}
	withoutPolls()(w)
	w.variables["HUBSPOT_URL"], w.variables["HUBSPOT_REQUESTS_PER_MINUTE"], w.variables["HUBSPOT_SEARCH_LAG"] = server.URL, "60000", "0s"
	delete(w.secrets, "acme_client_secret")
	delete(w.secrets, "acme_webhook")
	w.secrets["hubspot_token"], w.secrets["hubspot_client_secret"] = sandbox.DefaultPrivateToken, secret
}

// registerByHand does what a person does in the settings of the app.
func (w *world) registerByHand(t *testing.T) {
	t.Helper()
	developer := &client{root: w.right.root, http: http.DefaultClient}
	set := func(method, what string, in map[string]any) {
		require.NoError(t, developer.call(t.Context(), method, "/webhooks/v3/accord/"+what+"?hapikey=dev-accord", in, nil))
	}
	set(http.MethodPut, "settings", map[string]any{"targetUrl": w.s.api.root + "/webhooks/" + w.id + "/right"})
	for _, kind := range []string{"contact.creation", "contact.deletion", "contact.merge"} {
		set(http.MethodPost, "subscriptions", map[string]any{"eventType": kind})
	}
	for _, property := range []string{"jobtitle", "company", "phone"} {
		set(http.MethodPost, "subscriptions", map[string]any{"eventType": "contact.propertyChange", "propertyName": property})
	}
}

// awaitWebhook waits until the status tells a state of HubSpot's webhook.
func (w *world) awaitWebhook(t *testing.T, want string) {
	t.Helper()
	eventually(t, "the webhook is told as "+want, func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		return err == nil && now.Sides.Right.Webhook.State == want, fmt.Sprintf("%q, error %v", now.Sides.Right.Webhook.State, err)
	})
}

// awaitLead waits until a lead holds a value.
func (w *world) awaitLead(t *testing.T, id, field, want string) {
	t.Helper()
	eventually(t, "the lead has "+field+" "+want, func(ctx context.Context) (bool, string) {
		found, err := w.left.admin.Record(ctx, "leads", id)
		return err == nil && found.Fields[field] == want, fmt.Sprintf("%v, error %v; %s", found.Fields[field], err, w.parked(ctx))
	})
}

// dayOfHubSpot: its webhooks, which a person registers, come in batches and in no order,
// several times, signed with the time; one signed wrongly, not at all or too long ago is
// refused, and taken when it comes again as it should.
func dayOfHubSpot(t *testing.T, s *stack) {
	w := newWorld(t, s)
	w.useHubSpot(t)
	ctx, hub := t.Context(), w.right.admin
	var leads []string
	for n := 1; n <= 3; n++ {
		made, err := w.left.admin.CreateRecord(ctx, "leads", map[string]any{"name": "Ana Lima", "email": w.email(n)})
		require.NoError(t, err)
		leads = append(leads, made.ID)
	}
	w.install(t)
	w.activate(t)
	require.Equal(t, "succeeded", w.awaitRun(t, "backfill").State)
	contacts := map[string]string{}
	found, err := hub.Records(ctx, "contacts")
	require.NoError(t, err)
	for _, one := range found {
		contacts[fmt.Sprint(one.Fields["accord_ref"])] = one.ID
	}
	require.Len(t, contacts, len(leads))
	w.awaitIdle(t)
	w.awaitWebhook(t, "by_hand")
	edit := func(lead int, property, value string) {
		_, err := hub.EditRecord(ctx, "contacts", contacts[leads[lead]], map[string]any{property: value})
		require.NoError(t, err)
	}
	w.registerByHand(t)
	first := w.word("Diretora")
	edit(0, "jobtitle", first)
	w.awaitLead(t, leads[0], "position", first)
	w.awaitWebhook(t, "active")

	last := map[int]string{}
	require.NoError(t, hub.RepeatWebhooks(ctx, 3, 0))
	require.NoError(t, hub.HoldWebhooks(ctx))
	for n := range 9 {
		last[n%3] = w.word("Em lote")
		edit(n%3, "company", last[n%3])
	}
	require.NoError(t, hub.ReleaseWebhooks(ctx, wire.Release{Order: wire.Reversed, Batch: 100}))
	for lead, company := range last {
		w.awaitLead(t, leads[lead], "company", company)
	}
	require.NoError(t, hub.RepeatWebhooks(ctx, 1, 0))
	t.Log("a batch of nine edits in no order, each told three times: the last of each stands")

	for _, kind := range []string{wire.SpoilStale, wire.SpoilSignature, wire.SpoilUnsigned} {
		require.NoError(t, hub.SpoilWebhooks(ctx, wire.Spoil{Kind: kind}))
		title := w.word(kind)
		edit(1, "jobtitle", title)
		w.awaitLead(t, leads[1], "position", title)
	}
	hooks, err := hub.Webhooks(ctx)
	require.NoError(t, err)
	refused := 0
	for _, one := range hooks.Deliveries {
		if one.Spoilt != "" {
			require.GreaterOrEqual(t, one.Attempts, 2, "%s was taken at once", one.Spoilt)
			refused++
		}
	}
	require.Equal(t, 3, refused, "each refused, and taken when it came again")

	made, err := hub.CreateRecord(ctx, "contacts", map[string]any{"firstname": "Nova", "email": w.email(9)})
	require.NoError(t, err)
	id := w.leadNamed(t, "Nova")
	w.awaitIdle(t) // what SalesOS fills in by itself reaches HubSpot before: else it would count as an edit, which is kept
	_, err = hub.DeleteRecord(ctx, "contacts", made.ID)
	require.NoError(t, err)
	eventually(t, "the lead of a deleted contact is deleted", func(ctx context.Context) (bool, string) {
		found, err := w.left.admin.Record(ctx, "leads", id)
		return err == nil && found.DeletedAt != nil, fmt.Sprintf("error %v", err)
	})
	w.quiet(t)
}

// dayOfVendorsUpdate: the scheduled live check finds what Acme changes of its fields, tells
// it in the status and as a metric, and takes it back when it was changed back.
func dayOfVendorsUpdate(t *testing.T, s *stack) {
	w := newWorld(t, s, replaced("integration: salesos-acme\n", "integration: salesos-acme\ncheck: {every: 1s}\n"))
	w.seed(t, 1, 1, 1)
	w.bringUp(t, 3)
	ctx := t.Context()
	await := func(what string, want ...string) {
		eventually(t, what, func(ctx context.Context) (bool, string) {
			now, err := get[struct {
				Shapes []struct{ Code, Stream, Side, Field string }
			}](ctx, s.api, w.path("/status"))
			told := []string{}
			for _, one := range now.Shapes {
				told = append(told, strings.Join([]string{one.Code, one.Stream, one.Side, one.Field}, " "))
			}
			return err == nil && strings.Join(told, "; ") == strings.Join(want, "; "), fmt.Sprintf("%v, error %v", told, err)
		})
	}
	await("the mapping fits")
	require.NoError(t, w.right.admin.SetShape(ctx, wire.Shape{Object: "contacts", Field: "job_title", Gone: true}))
	await("a field that is gone is told", "missing_field leads right position")
	line := fmt.Sprintf("accord_shape_findings{connection=%q} 1", "default/"+w.id)
	eventually(t, "a worker's metrics tell it", func(context.Context) (bool, string) {
		for _, address := range s.metrics {
			if strings.Contains(string(download(t, address)), line) {
				return true, ""
			}
		}
		return false, "no line " + line
	})
	require.NoError(t, w.right.admin.ClearShapes(ctx, "", ""))
	await("what was changed back is told no more")
}
