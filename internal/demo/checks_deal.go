package demo

import (
	"context"
	"fmt"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

const dealsObject = "deals"

// dealTranslated makes a lead and, at the same moment, a deal with it, and lets
// somebody in Acme win that deal for another contact.
func dealTranslated(ctx context.Context, p *Play) (string, error) {
	email, rep := "rita.rocha@example.com", sales()[0]+"@sales.example.com"
	lead, err := p.left.admin.CreateRecord(ctx, leadsObject, map[string]any{"name": "Rita Rocha", "email": email})
	if err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	deal, err := p.left.admin.CreateRecord(ctx, dealsObject, map[string]any{
		"name": "Rita's showroom", "value": 48000, "stage": map[string]any{"id": "stage_proposal", "name": "Proposal"}, "lead_id": lead.ID, "owner_id": idOf(p.left, rep)})
	if err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	p.out.did("created lead %s and deal %s in SalesOS at the same moment", lead.ID, deal.ID)
	if _, err := p.created(ctx, p.left, lead, email); err != nil {
		return "", err
	}
	made, read, err := p.acmeDeal(ctx, deal.ID, fmt.Sprintf("48000, proposal, contact %s, owner %s", p.pairs[email].right, rep))
	if err != nil {
		return read, err
	}
	p.cause(sideRight, made.ID)
	who, err := p.fresh()
	if err != nil {
		return read, err
	}
	// SalesOS takes the contact by PATCH and the deal's end by a call of its own.
	p.cause(sideLeft, deal.ID)
	p.cause(sideLeft, deal.ID)
	if _, err := p.right.admin.EditRecord(ctx, dealsObject, made.ID, map[string]any{"stage": "won", "contact_id": who.right}); err != nil {
		return read, fmt.Errorf("edit as a user on Acme: %w", err)
	}
	p.out.did("won deal %s in Acme, for contact %s", made.ID, who.right)
	want := fmt.Sprintf("won, lead %s, owner %s", who.left, rep)
	back, err := p.await(ctx, want, patience, func(ctx context.Context) (bool, string, error) {
		found, err := p.left.admin.Record(ctx, dealsObject, deal.ID)
		now := fmt.Sprintf("%s, lead %s, owner %s", text(found.Fields["status"]), text(found.Fields["lead_id"]), p.left.users[text(found.Fields["owner_id"])])
		return now == want, now, err
	})
	return fmt.Sprintf("Acme had %s: %s\nSalesOS has %s: %s", made.ID, read, deal.ID, back), err
}

// acmeDeal waits for the one deal in Acme that carries the id of a deal of SalesOS.
func (p *Play) acmeDeal(ctx context.Context, of, want string) (made wire.Record, read string, err error) {
	read, err = p.await(ctx, "one deal in Acme: "+want, patience, func(ctx context.Context) (bool, string, error) {
		found, err := p.right.admin.Records(ctx, dealsObject)
		if err != nil {
			return false, "", fmt.Errorf("read the deals of Acme: %w", err)
		}
		matches, now := 0, "none"
		for _, one := range found {
			if text(one.Fields["external_ref"]) != of {
				continue
			}
			matches++
			made = one
			amount, _ := one.Fields["amount"].(map[string]any)
			now = fmt.Sprintf("%s, %s, contact %s, owner %s", text(amount["value"]), text(one.Fields["stage"]), text(one.Fields["contact_id"]), p.right.users[text(one.Fields["owner_id"])])
		}
		return matches == 1 && now == want, now, nil
	})
	return made, read, err
}

// idOf is the id of a user of a server by e-mail.
func idOf(on *system, email string) string {
	for id, known := range on.users {
		if known == email {
			return id
		}
	}
	return ""
}
