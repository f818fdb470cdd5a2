package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// tourPatterns plays the same edits with two files that differ in one line: what goes
// both ways goes one way. Changes are found without webhooks, each minute by a timetable.
func tourPatterns(ctx context.Context, p *Play) (string, error) {
	both, err := at(ctx, p, integrations.SalesOSAcme, nil, func(w *place) (string, error) { return w.edits(ctx, true) })
	if err != nil {
		return both, err
	}
	one, err := at(ctx, p, integrations.SalesOSAcme, []edited{{"    direction: both\n    # Records that exist", "    direction: left_to_right\n    # Records that exist"}},
		func(w *place) (string, error) { return w.edits(ctx, false) })
	if err != nil {
		return both + "\n" + one, err
	}
	timed, err := at(ctx, p, integrations.SalesOSAcme, []edited{
		{`poll: {every: "${POLL_EVERY:-30s}"`, `poll: {cron: "* * * * *", time_zone: America/Sao_Paulo`},
		{`    webhook: {secret: "${secret:salesos_webhook}"}`, ""}, {`    webhook: {secret: "${secret:acme_webhook}"}`, ""},
	}, func(w *place) (string, error) { return w.timetable(ctx) })
	if err != nil {
		return both + "\n" + one + "\n" + timed, err
	}
	forms, err := at(ctx, p, "webforms-salesos.yaml", nil, func(w *place) (string, error) { return w.forms(ctx) })
	return both + "\n" + one + "\n" + timed + "\n" + forms, err
}

// forms has a visitor send a form and an order be paid, in a system that calls nobody.
func (w *place) forms(ctx context.Context) (string, error) {
	w.variables["SALESOS_LATE_BY"], w.variables["ACME_LATE_BY"] = "1s", "1s"
	order, err := w.right.CreateRecord(ctx, "orders", map[string]any{"title": "Roof", "customer_name": "Ana Lima", "amount": map[string]any{"value": 1250, "currency": "BRL"}})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	if err := w.load(ctx); err != nil {
		return "", err
	}
	if _, err := w.right.CreateRecord(ctx, "submissions", map[string]any{"form": "contact", "name": "Ana Lima", "email": "ana@example.com", "message": "Call me"}); err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	lead, err := w.only(ctx, w.left, leadsObject, "email", "ana@example.com")
	if err != nil {
		return "", err
	}
	read, err := w.value(ctx, w.left, leadsObject, lead.ID, "source", "web form contact")
	if err != nil {
		return read, err
	}
	if _, err := w.right.EditRecord(ctx, "orders", order.ID, map[string]any{"status": "paid"}); err != nil {
		return read, fmt.Errorf("edit as a user on Acme: %w", err)
	}
	deal, err := w.only(ctx, w.left, dealsObject, "custom_fields.external_id", order.ID)
	if err != nil {
		return read, err
	}
	more, err := w.value(ctx, w.left, dealsObject, deal.ID, "value", "1250")
	if err != nil {
		return read + "; " + more, err
	}
	written, err := w.written(ctx, w.right, sandboxclient.Filter{})
	if err == nil && written != 0 {
		err = fmt.Errorf("expected nothing to be written back; read: %d", written)
	}
	return fmt.Sprintf("to SalesOS only, by polls: %s; the paid order: %s; %d writes to the other system", read, more, written), err
}

// edits has a lead edited on both sides; back says whether SalesOS is to follow Acme.
func (w *place) edits(ctx context.Context, back bool) (string, error) {
	lead, contact, err := w.couple(ctx, "Ana Lima", "ana@example.com")
	if err != nil {
		return "", err
	}
	if _, err := w.left.EditRecord(ctx, leadsObject, lead, map[string]any{"company": "From SalesOS"}); err != nil {
		return "", fmt.Errorf("edit as a user on SalesOS: %w", err)
	}
	read, err := w.value(ctx, w.right, contactObject, contact, "company_name", "From SalesOS")
	if err != nil {
		return read, err
	}
	if _, err := w.right.EditRecord(ctx, contactObject, contact, map[string]any{"job_title": "From Acme"}); err != nil {
		return read, fmt.Errorf("edit as a user on Acme: %w", err)
	}
	if back {
		more, err := w.value(ctx, w.left, leadsObject, lead, "position", "From Acme")
		return "both ways: " + read + "; " + more, err
	}
	if err := w.quiet(ctx); err != nil {
		return read, err
	}
	found, err := w.left.Record(ctx, leadsObject, lead)
	if err != nil {
		return read, fmt.Errorf("read a lead: %w", err)
	}
	writes, err := w.written(ctx, w.left, sandboxclient.Filter{})
	if err == nil && (writes != 0 || text(found.Fields["position"]) != "") {
		err = fmt.Errorf("expected SalesOS to be left alone; read: %d writes, position %q", writes, text(found.Fields["position"]))
	}
	return fmt.Sprintf("one way: %s; SalesOS counts %d writes of the service, position is still %q", read, writes, text(found.Fields["position"])), err
}

// couple makes a lead, loads it, and gives it with its contact.
func (w *place) couple(ctx context.Context, name, email string) (lead, contact string, err error) {
	made, err := w.left.CreateRecord(ctx, leadsObject, map[string]any{"name": name, "email": email})
	if err != nil {
		return "", "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	if err := w.load(ctx); err != nil {
		return "", "", err
	}
	found, err := w.only(ctx, w.right, contactObject, "email", email)
	return made.ID, found.ID, err
}

// timetable waits for the minute to turn. There are no webhooks.
func (w *place) timetable(ctx context.Context) (string, error) {
	lead, contact, err := w.couple(ctx, "Bia Reis", "bia@example.com")
	if err != nil {
		return "", err
	}
	if _, err := w.left.EditRecord(ctx, leadsObject, lead, map[string]any{"company": "At the full minute"}); err != nil {
		return "", fmt.Errorf("edit as a user on SalesOS: %w", err)
	}
	read, err := w.p.await(ctx, "the edit to arrive when the minute turns", minutePatience, func(ctx context.Context) (bool, string, error) {
		found, err := w.right.Record(ctx, contactObject, contact)
		now := text(found.Fields["company_name"])
		return now == "At the full minute", fmt.Sprintf("contact %s has company %q", contact, now), err
	})
	if err != nil {
		return read, err
	}
	hooks, err := w.left.WebhookCounts(ctx)
	if err == nil && len(hooks.Hooks) > 0 {
		err = fmt.Errorf("expected no webhook; read: %d", len(hooks.Hooks))
	}
	return "by timetable (* * * * *, America/Sao_Paulo), without webhooks: " + read, err
}

// tourCollisions lets a create meet a record with the same key that a listing did not show.
func tourCollisions(ctx context.Context, p *Play) (string, error) {
	var told []string
	for choice, want := range map[string]int{"upsert": 1, "ignore": 1, "create": 2} {
		read, err := at(ctx, p, integrations.SalesOSAcme, []edited{{"    collision: upsert\n    fields:\n      # SalesOS has one name", "    collision: " + choice + "\n    fields:\n      # SalesOS has one name"}},
			func(w *place) (string, error) { return w.collide(ctx, choice, want) })
		told = append(told, read)
		if err != nil {
			return strings.Join(told, "\n"), fmt.Errorf("collision %s: %w", choice, err)
		}
	}
	return strings.Join(told, "\n"), nil
}

func (w *place) collide(ctx context.Context, choice string, want int) (string, error) {
	// Acme keeps addresses unique; a second contact is possible only where it does not.
	if err := w.right.SetSwitches(ctx, map[string]any{"unique": choice != "create"}); err != nil {
		return "", fmt.Errorf("set a switch of Acme: %w", err)
	}
	lead, err := w.left.CreateRecord(ctx, leadsObject, map[string]any{"name": "Caio Melo", "email": "caio@example.com"})
	if err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	contact, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Caio", "last_name": "Melo", "email": "Caio@Example.com"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	if err := w.load(ctx); err != nil {
		return "", err
	}
	if err := w.idle(ctx); err != nil {
		return "", err
	}
	contacts, err := w.right.Records(ctx, contactObject)
	if err != nil {
		return "", fmt.Errorf("read the contacts: %w", err)
	}
	links, err := w.p.api.links(ctx, w.connection.ID, sideLeft, lead.ID)
	if err != nil {
		return "", err
	}
	linked := len(links) == 1 && links[0].State == "active" && links[0].Right.ID == contact.ID
	read := fmt.Sprintf("%s: %d contact(s) of that address, lead and contact linked: %t", choice, len(contacts), linked)
	if len(contacts) != want || linked != (choice == "upsert") {
		return read, fmt.Errorf("expected %d contact(s), linked: %t; read: %s", want, choice == "upsert", read)
	}
	return read, nil
}
