package demo

import (
	"context"
	"fmt"
	"net/http"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// tourHubSpot keeps SalesOS leads and deals and HubSpot contacts and deals in step, and
// then Acme's appointments, calls and e-mails and those of HubSpot.
func tourHubSpot(ctx context.Context, p *Play) (string, error) {
	read, err := at(ctx, p, "salesos-hubspot.yaml", nil, func(w *place) (string, error) {
		w.useHubSpot()
		return w.hubContacts(ctx)
	})
	if err != nil {
		return read, err
	}
	more, err := at(ctx, p, "acme-hubspot.yaml", nil, func(w *place) (string, error) {
		w.useHubSpot()
		return w.activities(ctx)
	})
	return read + "\n" + more, err
}

func (w *place) useHubSpot() {
	w.variables["HUBSPOT_URL"], w.variables["HUBSPOT_SEARCH_LAG"], w.variables["HUBSPOT_REQUESTS_PER_MINUTE"] = w.servers.HubSpotURL, "0s", "60000"
	w.secrets["hubspot_token"], w.secrets["hubspot_client_secret"] = sandbox.DefaultPrivateToken, sandbox.DefaultClientSecret
}

// hubContacts has a lead and its deal appear in HubSpot, and an edit come back by webhook.
func (w *place) hubContacts(ctx context.Context) (string, error) {
	lead, err := w.left.CreateRecord(ctx, leadsObject, map[string]any{"name": "Fábio Luz", "email": "fabio@example.com", "company": "Luz"})
	if err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	if _, err := w.left.CreateRecord(ctx, dealsObject, map[string]any{"name": "Roof", "value": 1250, "lead_id": lead.ID}); err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	if err := w.load(ctx); err != nil {
		return "", err
	}
	contact, err := w.only(ctx, w.hub, contactObject, "email", "fabio@example.com")
	if err != nil {
		return "", err
	}
	deal, err := w.only(ctx, w.hub, dealsObject, "dealname", "Roof")
	if err != nil {
		return "", err
	}
	read, err := w.value(ctx, w.hub, dealsObject, deal.ID, "associated_contacts", "["+contact.ID+"]")
	if err != nil {
		return read, err
	}
	if err := w.registerByHand(ctx); err != nil {
		return read, err
	}
	if _, err := w.hub.EditRecord(ctx, contactObject, contact.ID, map[string]any{"jobtitle": "Diretor"}); err != nil {
		return read, fmt.Errorf("edit as a user on HubSpot: %w", err)
	}
	more, err := w.value(ctx, w.left, leadsObject, lead.ID, "position", "Diretor")
	if err != nil {
		return read + "; " + more, err
	}
	state, err := w.webhook(ctx, "active")
	return fmt.Sprintf("%s; %s; the webhook that a person registered is %s since its first delivery", read, more, state), err
}

// registerByHand does what a person does in the settings of the app, after the service has
// said that nobody has.
func (w *place) registerByHand(ctx context.Context) error {
	if _, err := w.webhook(ctx, "by_hand"); err != nil {
		return err
	}
	installed, err := w.p.api.connection(ctx, w.connection.ID)
	if err != nil {
		return err
	}
	developer := newClient(w.servers.HubSpotURL, "")
	path := "/webhooks/v3/" + sandbox.DefaultClientID + "/"
	key := "?hapikey=dev-" + sandbox.DefaultClientID
	if err := developer.call(ctx, http.MethodPut, path+"settings"+key, map[string]any{"targetUrl": installed.Webhooks.Right.URL}, nil); err != nil {
		return err
	}
	return developer.call(ctx, http.MethodPost, path+"subscriptions"+key, map[string]any{"eventType": "contact.propertyChange", "propertyName": "jobtitle"}, nil)
}

// webhook waits until the status tells a state of the right side's webhook.
func (w *place) webhook(ctx context.Context, want string) (string, error) {
	return w.p.await(ctx, "the webhook to be "+want, patience, func(ctx context.Context) (bool, string, error) {
		now, err := w.p.api.status(ctx, w.connection.ID)
		return now.Sides.Right.Webhook.State == want, now.Sides.Right.Webhook.State, err
	})
}

// activities has an appointment, a call and an e-mail of Acme appear in HubSpot, and an
// edit come back.
func (w *place) activities(ctx context.Context) (string, error) {
	contact, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Lia", "last_name": "Moura", "email": "lia@example.com"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	made := map[string]wire.Record{}
	for object, fields := range map[string]map[string]any{
		"appointments": {"title": "Visit", "starts_at": "2026-12-07T09:00:00-03:00", "ends_at": "2026-12-07T10:00:00-03:00"},
		"calls":        {"at": "2026-12-01T12:00:00Z", "direction": "in", "duration_s": 95, "outcome": "wants a roof"},
		"emails":       {"at": "2026-12-01T13:00:00Z", "subject": "Offer"},
	} {
		fields["contact_id"] = contact.ID
		if made[object], err = w.right.CreateRecord(ctx, object, fields); err != nil {
			return "", fmt.Errorf("create as a user on Acme: %w", err)
		}
	}
	if err := w.load(ctx); err != nil {
		return "", err
	}
	there, err := w.only(ctx, w.hub, contactObject, "email", "lia@example.com")
	if err != nil {
		return "", err
	}
	read := ""
	for _, one := range []struct{ object, field, value, path, want string }{
		{"meetings", "hs_meeting_title", "Visit", "hs_meeting_start_time", "2026-12-07T12:00:00.000Z"},
		{"calls", "hs_call_body", "wants a roof", "hs_call_duration", "95000"},
		{"emails", "hs_email_subject", "Offer", "hs_email_direction", "EMAIL"},
	} {
		found, err := w.only(ctx, w.hub, one.object, one.field, one.value)
		if err != nil {
			return read, err
		}
		for path, want := range map[string]string{one.path: one.want, "associated_contacts": "[" + there.ID + "]"} {
			told, err := w.value(ctx, w.hub, one.object, found.ID, path, want)
			read += told + "; "
			if err != nil {
				return read, err
			}
		}
		made[one.object+" there"] = found
	}
	if _, err := w.hub.EditRecord(ctx, "meetings", made["meetings there"].ID, map[string]any{"hs_meeting_outcome": "COMPLETED"}); err != nil {
		return read, fmt.Errorf("edit as a user on HubSpot: %w", err)
	}
	told, err := w.value(ctx, w.right, "appointments", made["appointments"].ID, "status", "done")
	return "with Acme: " + read + told, err
}
