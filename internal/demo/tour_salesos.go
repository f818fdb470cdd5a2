package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// people lets a stream invite and deactivate users, who are otherwise only matched.
func people() []edited {
	return []edited{{"    left: {object: users}\n    right: {object: users}\n    match: [email]\n    mode: match_only\n",
		"    left: {object: users, allow: [invite, deactivate]}\n    right: {object: users, where: active}\n    direction: right_to_left\n    match: [email]\n" +
			"    fields:\n      name: {left: name, right: name}\n      email: {left: email, right: email, as: email}\n" +
			"      active: {left: {read: 'status != \"deactivated\"', write: {status: 'value == false ? \"deactivated\" : \"active\"'}}, right: active}\n" +
			"    deletes: {policy: propagate, edited: delete, verify_after: 1s}\n"}}
}

// tourSalesOS plays what SalesOS has of its own.
func tourSalesOS(ctx context.Context, p *Play) (string, error) {
	read, err := at(ctx, p, integrations.SalesOSAcme, people(), func(w *place) (string, error) { return w.colleague(ctx) })
	if err != nil {
		return read, err
	}
	more, err := at(ctx, p, integrations.SalesOSAcme, nil, func(w *place) (string, error) { return w.ownWays(ctx) })
	return "users allowed by name: " + read + "\n" + more, err
}

// colleague has a person join in Acme and leave again, and reads what became of the user of SalesOS.
func (w *place) colleague(ctx context.Context) (string, error) {
	if err := w.load(ctx); err != nil {
		return "", err
	}
	joined, err := w.right.CreateRecord(ctx, usersObject, map[string]any{"name": "Novo Colega", "email": "novo@example.com"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	user, err := w.only(ctx, w.left, usersObject, "email", "novo@example.com")
	if err != nil {
		return "", err
	}
	read, err := w.value(ctx, w.left, usersObject, user.ID, "status", "invited")
	if err != nil {
		return read, err
	}
	if _, err := w.right.EditRecord(ctx, usersObject, joined.ID, map[string]any{"active": false}); err != nil {
		return read, fmt.Errorf("edit as a user on Acme: %w", err)
	}
	gone, err := w.value(ctx, w.left, usersObject, user.ID, "status", "deactivated")
	read += "; when the colleague had left Acme: " + gone
	if err != nil {
		return read, err
	}
	for op, want := range map[string]int{"create": 1, "delete": 1} {
		made, err := w.written(ctx, w.left, sandboxclient.Filter{Object: usersObject, Op: op})
		if err != nil {
			return read, err
		}
		if made != want {
			return read, fmt.Errorf("expected %d %s call(s) to SalesOS' users; read: %d", want, op, made)
		}
	}
	return read + "; one invitation and one deactivation were sent", nil
}

// ownWays plays an edit with several events, a deal, a conversion, and somebody who is not invited.
func (w *place) ownWays(ctx context.Context) (string, error) {
	lead, contact, err := w.couple(ctx, "Davi Nunes", "davi@example.com")
	if err != nil {
		return "", err
	}
	read, err := w.oneEditManyEvents(ctx, lead, contact)
	if err != nil {
		return read, err
	}
	for _, next := range []func(ctx context.Context, lead, contact string) (string, error){w.deal, w.converted, w.notInvited} {
		told, err := next(ctx, lead, contact)
		read += "\n" + told
		if err != nil {
			return read, err
		}
	}
	return read, nil
}

// oneEditManyEvents edits status, tags and custom fields at once: lead.updated and
// lead.status_changed, each told twice, are one update.
func (w *place) oneEditManyEvents(ctx context.Context, lead, contact string) (string, error) {
	if err := w.left.RepeatWebhooks(ctx, 2, 0); err != nil {
		return "", fmt.Errorf("repeat webhooks: %w", err)
	}
	if _, err := w.left.EditRecord(ctx, leadsObject, lead, map[string]any{
		"status": "qualified", "tags": []any{"hot"}, "custom_fields": map[string]any{"score": 77, "campaign": "their own"}}); err != nil {
		return "", fmt.Errorf("edit as a user on SalesOS: %w", err)
	}
	read, err := w.value(ctx, w.right, contactObject, contact, "lifecycle", "qualified")
	if err != nil {
		return read, err
	}
	for path, want := range map[string]string{"score": "77", "labels": "[hot]"} {
		more, err := w.value(ctx, w.right, contactObject, contact, path, want)
		read += "; " + more
		if err != nil {
			return read, err
		}
	}
	if err := w.idle(ctx); err != nil {
		return read, err
	}
	updates, err := w.written(ctx, w.right, sandboxclient.Filter{Object: contactObject, ID: contact, Op: "update"})
	read += fmt.Sprintf("; %d update(s) for one edit with four events", updates)
	if err == nil && updates != 1 {
		err = fmt.Errorf("expected one update; read: %d", updates)
	}
	return read, err
}

// deal has a deal made, moved and won, from both sides.
func (w *place) deal(ctx context.Context, lead, contact string) (string, error) {
	made, err := w.left.CreateRecord(ctx, dealsObject, map[string]any{"name": "Showroom", "value": 48000, "lead_id": lead})
	if err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	twin, err := w.only(ctx, w.right, dealsObject, "external_ref", made.ID)
	if err != nil {
		return "", err
	}
	if got := text(twin.Fields["contact_id"]); got != contact {
		return "", fmt.Errorf("expected the deal to be of contact %s; read: %s", contact, got)
	}
	if _, err := w.right.EditRecord(ctx, dealsObject, twin.ID, map[string]any{"stage": "negotiation"}); err != nil {
		return "", fmt.Errorf("edit as a user on Acme: %w", err)
	}
	read, err := w.value(ctx, w.left, dealsObject, made.ID, "stage.name", "Negotiation")
	if err != nil {
		return read, err
	}
	if _, err := w.right.EditRecord(ctx, dealsObject, twin.ID, map[string]any{"stage": "won"}); err != nil {
		return read, fmt.Errorf("edit as a user on Acme: %w", err)
	}
	won, err := w.value(ctx, w.left, dealsObject, made.ID, "status", "won")
	if err != nil {
		return read, err
	}
	calls, err := w.left.Calls(ctx, 0)
	if err != nil {
		return read, fmt.Errorf("read the request log of SalesOS: %w", err)
	}
	moves, closes := 0, 0
	for _, one := range calls {
		if one.Actor == service && one.Method == http.MethodPost {
			moves += count(strings.HasSuffix(one.Path, "/"+made.ID+"/move"))
			closes += count(strings.HasSuffix(one.Path, "/"+made.ID+"/close"))
		}
	}
	read = fmt.Sprintf("%s; %s; %d move and %d close call(s)", read, won, moves, closes)
	if moves != 1 || closes != 1 {
		err = fmt.Errorf("expected one call each; read: %s", read)
	}
	return read, err
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// converted has another program convert the lead: its contact becomes a customer, and the
// new deal appears in Acme as that contact's.
func (w *place) converted(ctx context.Context, lead, contact string) (string, error) {
	made, err := w.convert(ctx, lead)
	if err != nil {
		return "", err
	}
	read, err := w.value(ctx, w.right, contactObject, contact, "lifecycle", "customer")
	if err != nil {
		return read, err
	}
	twin, err := w.only(ctx, w.right, dealsObject, "external_ref", made)
	if err != nil {
		return read, err
	}
	whose, err := w.value(ctx, w.right, dealsObject, twin.ID, "contact_id", contact)
	return "the lead was converted to deal " + made + " in SalesOS: " + read + "; " + whose, err
}

// otherProgram is a client of the servers that is neither a person nor the service.
const otherProgram = "other-program"

// convert calls POST /v1/leads/:id/convert, and gives the id of the deal.
func (w *place) convert(ctx context.Context, lead string) (string, error) {
	var token struct {
		AccessToken string `json:"access_token"`
	}
	err := w.asOther(ctx, "/oauth/token", "", map[string]any{"grant_type": "client_credentials", "client_id": otherProgram,
		"client_secret": sandbox.DefaultClientSecret, "audience": "https://api.play2sell.com"}, &token)
	if err != nil {
		return "", err
	}
	var answer struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	err = w.asOther(ctx, "/v1/leads/"+lead+"/convert", token.AccessToken, map[string]any{}, &answer)
	if err == nil && answer.Data.ID == "" {
		err = fmt.Errorf("expected a deal of lead %s; read: no id", lead)
	}
	return answer.Data.ID, err
}

// asOther posts to SalesOS.
func (w *place) asOther(ctx context.Context, path, token string, body map[string]any, out any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode POST %s: %w", path, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.servers.SalesOSURL+path, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := w.p.api.http.Do(request)
	if err != nil {
		return fmt.Errorf("call SalesOS: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if raw, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer)); err != nil {
		return fmt.Errorf("read the answer of POST %s: %w", path, err)
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("SalesOS answered %d to POST %s", answer.StatusCode, path)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("decode the answer of POST %s: %w", path, err)
	}
	return nil
}

// notInvited has a colleague join in Acme where no mapping allows an invitation.
func (w *place) notInvited(ctx context.Context, _, _ string) (string, error) {
	if _, err := w.right.CreateRecord(ctx, usersObject, map[string]any{"name": "Sem Convite", "email": "sem@example.com"}); err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	if err := pause(ctx, 2*quietFor); err != nil {
		return "", err
	}
	invited, err := w.written(ctx, w.left, sandboxclient.Filter{Object: usersObject})
	if err == nil && invited != 0 {
		err = fmt.Errorf("expected nobody to be invited; read: %d", invited)
	}
	return fmt.Sprintf("without allow: a colleague joined in Acme, %d writes to SalesOS' users", invited), err
}
