package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/accord-sync/accord/integrations"
)

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
		if err := w.right.DropWebhooks(ctx, 0); err != nil {
			return read, fmt.Errorf("lose no more webhooks of Acme: %w", err)
		}
		told, err := w.merged(ctx, lead, contact)
		return "by the deleted list: " + read + "\n" + told, err
	})
}

// merged has two contacts merged that both have a lead: a person decides, as the dead
// letter asks, and the survivor goes on with the one lead that is left.
func (w *place) merged(ctx context.Context, lead, contact string) (string, error) {
	survivor, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Eva", "last_name": "Prado Lima", "email": "eva.lima@example.com"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	kept, err := w.only(ctx, w.left, leadsObject, "email", "eva.lima@example.com")
	if err != nil {
		return "", err
	}
	if err := w.idle(ctx); err != nil {
		return "", err
	}
	if _, err := w.right.MergeRecords(ctx, contactObject, survivor.ID, contact); err != nil {
		return "", fmt.Errorf("merge as a user on Acme: %w", err)
	}
	asked, err := w.letters(ctx, 1)
	if err != nil {
		return asked, err
	}
	if !strings.Contains(asked, lead) || strings.Contains(asked, kept.ID) {
		return asked, fmt.Errorf("expected to be asked about lead %s; read: %s", lead, asked)
	}
	if _, err := w.left.DeleteRecord(ctx, leadsObject, lead); err != nil {
		return asked, fmt.Errorf("delete as a user on SalesOS: %w", err)
	}
	if told, err := w.letters(ctx, 0); err != nil {
		return asked + "\n" + told, err
	}
	if _, err := w.left.EditRecord(ctx, leadsObject, kept.ID, map[string]any{"company": "After the merge"}); err != nil {
		return asked, fmt.Errorf("edit as a user on SalesOS: %w", err)
	}
	read, err := w.value(ctx, w.right, contactObject, survivor.ID, "company_name", "After the merge")
	if err != nil {
		return asked + "\n" + read, err
	}
	links, err := w.p.api.links(ctx, w.connection.ID, sideRight, survivor.ID)
	if err == nil && (len(links) != 1 || links[0].State != "active" || links[0].Left.ID != kept.ID) {
		err = fmt.Errorf("expected survivor %s to be linked with lead %s; read: %+v", survivor.ID, kept.ID, links)
	}
	return "after a merge a person is asked: " + asked + "\nthe lead was deleted, and the survivor goes on with lead " + kept.ID + ": " + read, err
}

// letters waits until so many dead letters are open, and tells what they say.
func (w *place) letters(ctx context.Context, want int) (string, error) {
	return w.p.await(ctx, fmt.Sprintf("%d open dead letter(s)", want), patience, func(ctx context.Context) (bool, string, error) {
		found, err := w.p.api.deadLetters(ctx, w.connection.ID)
		var told []string
		for _, one := range found {
			told = append(told, one.Reason.Message)
		}
		return len(found) == want, strings.Join(told, " | "), err
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
