package demo

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func editLeft(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	before, err := p.person(ctx, p.right, who.right)
	if err != nil {
		return "", err
	}
	want := map[string]string{"company": "Vértice Engenharia", "stage": "unqualified"}
	if _, err := p.edit(ctx, p.left, who, map[string]any{"company": want["company"], "status": want["stage"]}); err != nil {
		return "", err
	}
	p.out.did("set company and status of lead %s in SalesOS", who.left)
	p.overwritten = append(p.overwritten, overwrite{side: sideRight, id: who.right, field: "company", old: before["company"], new: want["company"], cause: "change"})
	return p.awaitEqual(ctx, who, want)
}

func editRight(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	want := map[string]string{"name": "Luísa Prado Meireles", "note": "prefers to be called in the morning", "score": "0"}
	_, err = p.edit(ctx, p.right, who, map[string]any{"first_name": "Luísa", "last_name": "Prado Meireles", "note": want["note"], "score": 0})
	if err != nil {
		return "", err
	}
	p.out.did("set name, note and score of contact %s in Acme", who.right)
	return p.awaitEqual(ctx, who, want)
}

func createLeft(ctx context.Context, p *Play) (string, error) {
	email := "nina.nova@example.com"
	made, err := p.left.admin.CreateRecord(ctx, leadsObject, map[string]any{
		"name": "Nina Nova", "email": " Nina.Nova@Example.com", "phone": "(11) 97777-1234", "company": "Nova & Filhos", "tags": []any{"referral"},
		"custom_fields": map[string]any{"campaign": "word of mouth", "score": 42}})
	if err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	p.out.did("created lead %s in SalesOS", made.ID)
	return p.created(ctx, p.left, made, email)
}

func createRight(ctx context.Context, p *Play) (string, error) {
	email := "otto.outono@example.com"
	made, err := p.right.admin.CreateRecord(ctx, contactObject, map[string]any{
		"first_name": "Otto", "last_name": "Outono", "email": email, "phone": "+55 11 96666-4321", "lifecycle": "qualified", "labels": []any{"vip", "fair"},
		"note": "asked for a quote", "properties": map[string]any{"segment": "enterprise"}})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	p.out.did("created contact %s in Acme", made.ID)
	return p.created(ctx, p.right, made, email)
}

// created waits for the counterpart of a new record: exactly one, equal, carrying the origin's id.
func (p *Play) created(ctx context.Context, origin *system, made wire.Record, email string) (string, error) {
	target := p.other(origin)
	var counterpart wire.Record
	_, err := p.await(ctx, "one record with the e-mail "+email+" on "+target.name, patience, func(ctx context.Context) (bool, string, error) {
		found, err := target.admin.Records(ctx, target.object)
		if err != nil {
			return false, "", fmt.Errorf("read everything from %s: %w", target.name, err)
		}
		matches := 0
		for _, one := range found {
			if normalEmail(text(one.Fields["email"])) == email {
				counterpart = one
				matches++
			}
		}
		return matches == 1, fmt.Sprintf("%d records", matches), nil
	})
	if err != nil {
		return "", err
	}
	p.cause(target.side, counterpart.ID)
	marker := text(counterpart.Fields["external_ref"])
	who := pair{left: made.ID, right: counterpart.ID}
	if target == p.left {
		custom, _ := counterpart.Fields["custom_fields"].(map[string]any)
		marker = text(custom["external_id"])
		who = pair{left: counterpart.ID, right: made.ID}
	}
	p.pairs[email] = who
	read, err := p.awaitEqual(ctx, who, map[string]string{"email": email})
	if err != nil {
		return read, err
	}
	read = fmt.Sprintf("%s has %s, which carries the id %s; %s", target.name, counterpart.ID, marker, read)
	if marker != made.ID {
		return read, fmt.Errorf("expected the new record on %s to carry the id %s; read: %q", target.name, made.ID, marker)
	}
	return read, nil
}

// holdWebhooks keeps both servers' webhooks back, so that what follows is
// unknown to the service on either side until they are let go.
func (p *Play) holdWebhooks(ctx context.Context) error {
	for _, one := range p.systems() {
		if err := one.admin.HoldWebhooks(ctx); err != nil {
			return fmt.Errorf("hold the webhooks of %s: %w", one.name, err)
		}
	}
	return nil
}

func (p *Play) releaseWebhooks(ctx context.Context, order string) error {
	for _, one := range p.systems() {
		if err := one.admin.ReleaseWebhooks(ctx, wire.Release{Order: order}); err != nil {
			return fmt.Errorf("release the webhooks of %s: %w", one.name, err)
		}
	}
	return nil
}

// editBoth edits both sides at the same moment.
func (p *Play) editBoth(ctx context.Context, who pair, left, right map[string]any) error {
	if err := p.holdWebhooks(ctx); err != nil {
		return err
	}
	// The counts of causes are not made for two at once.
	p.cause(sideLeft, who.left)
	p.cause(sideRight, who.right)
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := p.left.admin.EditRecord(both, leadsObject, who.left, left)
		return err
	})
	group.Go(func() error {
		_, err := p.right.admin.EditRecord(both, contactObject, who.right, right)
		return err
	})
	failed := group.Wait()
	if err := p.releaseWebhooks(ctx, wire.InOrder); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("edit both sides as users: %w", failed)
	}
	return nil
}

func disjointEdits(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	err = p.editBoth(ctx, who,
		map[string]any{"company": "Aurora Têxtil", "tags": []any{"inbound", "fair", "hot"}},
		map[string]any{"job_title": "Head of Purchasing", "labels": []any{"fair", "inbound", "newsletter"}})
	if err != nil {
		return "", err
	}
	p.out.did("lead %s in SalesOS: company, and the tag hot; contact %s in Acme: job_title, and the label newsletter; webhooks held until both were done", who.left, who.right)
	return p.awaitEqual(ctx, who, map[string]string{"company": "Aurora Têxtil", "position": "Head of Purchasing", "tags": "fair, hot, inbound, newsletter"})
}
