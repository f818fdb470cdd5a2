package demo

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// invites lets a stream invite users, who are otherwise only matched.
func invites() []edited {
	return []edited{{"    left: {object: users}\n    right: {object: users}\n    match: [email]\n    mode: match_only\n",
		"    left: {object: users, allow: [invite]}\n    right: {object: users}\n    direction: right_to_left\n    match: [email]\n" +
			"    fields:\n      name: {left: name, right: name}\n      email: {left: email, right: email, as: email}\n"}}
}

// tourSalesOS plays what SalesOS has of its own.
func tourSalesOS(ctx context.Context, p *Play) (string, error) {
	read, err := at(ctx, p, integrations.SalesOSAcme, invites(), func(w *place) (string, error) { return w.colleague(ctx, 1) })
	if err != nil {
		return read, err
	}
	more, err := salesOSLeads(ctx, p)
	return "users allowed by name: " + read + "\n" + more, err
}

// colleague has a person join in Acme, and counts invitations by SalesOS.
func (w *place) colleague(ctx context.Context, invited int) (string, error) {
	if err := w.load(ctx); err != nil {
		return "", err
	}
	if _, err := w.right.CreateRecord(ctx, usersObject, map[string]any{"name": "Novo Colega", "email": "novo@example.com"}); err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	return w.p.await(ctx, fmt.Sprintf("%d invitation(s)", invited), patience, func(ctx context.Context) (bool, string, error) {
		made, err := w.written(ctx, w.left, sandboxclient.Filter{Object: usersObject, Op: "create"})
		return made == invited, fmt.Sprintf("a colleague joined in Acme; SalesOS sent %d invitation(s)", made), err
	})
}

func salesOSLeads(ctx context.Context, p *Play) (string, error) {
	return at(ctx, p, integrations.SalesOSAcme, nil, func(w *place) (string, error) {
		lead, contact, err := w.couple(ctx, "Davi Nunes", "davi@example.com")
		if err != nil {
			return "", err
		}
		if err := w.left.RepeatWebhooks(ctx, 2, 0); err != nil {
			return "", fmt.Errorf("repeat webhooks: %w", err)
		}
		// Status and tags of one edit: lead.updated and lead.status_changed, each twice.
		if _, err := w.left.EditRecord(ctx, leadsObject, lead, map[string]any{
			"status": "qualified", "tags": []any{"hot"}, "custom_fields": map[string]any{"score": 77, "campaign": "their own"}}); err != nil {
			return "", fmt.Errorf("edit as a user on SalesOS: %w", err)
		}
		read, err := w.value(ctx, w.right, contactObject, contact, "lifecycle", "qualified")
		if err != nil {
			return read, err
		}
		more, err := w.value(ctx, w.right, contactObject, contact, "score", "77")
		if err != nil {
			return read, err
		}
		if err := w.idle(ctx); err != nil {
			return read, err
		}
		updates, err := w.written(ctx, w.right, sandboxclient.Filter{Object: contactObject, ID: contact, Op: "update"})
		if err != nil {
			return read, err
		}
		read = fmt.Sprintf("%s; %s; %d update(s) for one edit with four events", read, more, updates)
		if updates != 1 {
			return read, fmt.Errorf("expected one update; read: %d", updates)
		}
		told, err := w.deal(ctx, lead, contact)
		if err != nil {
			return read + "\n" + told, err
		}
		if _, err := w.right.CreateRecord(ctx, usersObject, map[string]any{"name": "Sem Convite", "email": "sem@example.com"}); err != nil {
			return read, fmt.Errorf("create as a user on Acme: %w", err)
		}
		if err := pause(ctx, 2*quietFor); err != nil {
			return read, err
		}
		invited, err := w.written(ctx, w.left, sandboxclient.Filter{Object: usersObject})
		if err == nil && invited != 0 {
			err = fmt.Errorf("expected nobody to be invited; read: %d", invited)
		}
		return fmt.Sprintf("%s\n%s\nwithout allow: a colleague joined in Acme, %d writes to SalesOS' users", read, told, invited), err
	})
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

// tourAcme has a delete that no webhook tells of, and a merge.
func tourAcme(ctx context.Context, p *Play) (string, error) {
	return at(ctx, p, integrations.SalesOSAcme, nil, func(w *place) (string, error) {
		lead, contact, err := w.couple(ctx, "Eva Prado", "eva@example.com")
		if err != nil {
			return "", err
		}
		other, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Eva", "last_name": "P.", "email": "eva.p@example.com"})
		if err != nil {
			return "", fmt.Errorf("create as a user on Acme: %w", err)
		}
		twin, err := w.only(ctx, w.left, leadsObject, "email", "eva.p@example.com")
		if err != nil {
			return "", err
		}
		if err := w.idle(ctx); err != nil {
			return "", err
		}
		// The events of the delete are lost: Acme's list of deleted ids tells of it.
		if err := w.right.DropWebhooks(ctx, 10); err != nil {
			return "", fmt.Errorf("lose webhooks of Acme: %w", err)
		}
		if _, err := w.right.DeleteRecord(ctx, contactObject, other.ID); err != nil {
			return "", fmt.Errorf("delete as a user on Acme: %w", err)
		}
		read, err := p.await(ctx, "the lead of a deleted contact to be deleted", patience, func(ctx context.Context) (bool, string, error) {
			found, err := w.left.Record(ctx, leadsObject, twin.ID)
			return found.DeletedAt != nil, fmt.Sprintf("lead %s deleted: %t", twin.ID, found.DeletedAt != nil), err
		})
		if err != nil {
			return read, err
		}
		told, err := w.merged(ctx, lead, contact)
		return "by the deleted list: " + read + "\n" + told, err
	})
}

// merged has two contacts merged: the lead follows the survivor.
func (w *place) merged(ctx context.Context, lead, contact string) (string, error) {
	winner, err := w.right.CreateRecord(ctx, "companies", map[string]any{"name": "Prado Ltda", "domain": "prado.example.com"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	survivor, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Eva", "last_name": "Prado", "company_id": winner.ID, "company_name": "Prado Ltda"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	if err := w.idle(ctx); err != nil {
		return "", err
	}
	if _, err := w.right.MergeRecords(ctx, contactObject, survivor.ID, contact); err != nil {
		return "", fmt.Errorf("merge as a user on Acme: %w", err)
	}
	return w.p.await(ctx, "the links to tell of the merge", patience, func(ctx context.Context) (bool, string, error) {
		links, err := w.p.api.links(ctx, w.connection.ID, sideLeft, lead)
		if err != nil {
			return false, "", err
		}
		letters, err := w.p.api.deadLetters(ctx, w.connection.ID)
		if err != nil {
			return false, "", err
		}
		moved := len(links) == 1 && links[0].Right.ID == survivor.ID
		return moved || len(letters) > 0, fmt.Sprintf("after the merge lead %s is linked with the survivor: %t; told to a person: %d", lead, moved, len(letters)), nil
	})
}

// tourManifest keeps SalesOS and Acme in step with Acme's manifest in place of its connector.
func tourManifest(ctx context.Context, p *Play) (string, error) {
	edits := []edited{{"    connector: acme\n", "    connector: rest\n    manifest: acme\n"}}
	return at(ctx, p, integrations.SalesOSAcme, edits, func(w *place) (string, error) {
		read, err := w.edits(ctx, true)
		return "connector rest, manifest acme, " + read, err
	})
}

// tourHubSpot keeps SalesOS leads and HubSpot contacts in step.
func tourHubSpot(ctx context.Context, p *Play) (string, error) {
	return at(ctx, p, "salesos-hubspot.yaml", nil, func(w *place) (string, error) {
		w.variables["HUBSPOT_URL"], w.variables["HUBSPOT_SEARCH_LAG"], w.variables["HUBSPOT_REQUESTS_PER_MINUTE"] = w.servers.HubSpotURL, "0s", "60000"
		w.secrets["hubspot_token"], w.secrets["hubspot_client_secret"] = sandbox.DefaultPrivateToken, "client-secret"
		lead, err := w.left.CreateRecord(ctx, leadsObject, map[string]any{"name": "Fábio Luz", "email": "fabio@example.com", "company": "Luz"})
		if err != nil {
			return "", fmt.Errorf("create as a user on SalesOS: %w", err)
		}
		if err := w.load(ctx); err != nil {
			return "", err
		}
		contact, err := w.only(ctx, w.hub, contactObject, "email", "fabio@example.com")
		if err != nil {
			return "", err
		}
		read, err := w.value(ctx, w.hub, contactObject, contact.ID, "firstname", "Fábio")
		if err != nil {
			return read, err
		}
		if _, err := w.hub.EditRecord(ctx, contactObject, contact.ID, map[string]any{"jobtitle": "Diretor"}); err != nil {
			return read, fmt.Errorf("edit as a user on HubSpot: %w", err)
		}
		more, err := w.value(ctx, w.left, leadsObject, lead.ID, "position", "Diretor")
		return read + "; " + more, err
	})
}
