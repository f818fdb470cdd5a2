package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// The two numbers that two people enter for the same lead.
const (
	phoneLeft  = "+55 11 95555-0001"
	phoneRight = "+55 11 95555-0002"
)

func sameField(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	err = p.editBoth(ctx, who,
		map[string]any{"phone": phoneLeft, "company": "Duas Mãos SA"},
		map[string]any{"phone": phoneRight, "note": "changed her number"})
	if err != nil {
		return "", err
	}
	p.out.did("lead %s: phone %s and a company in SalesOS, phone %s and a note in Acme; webhooks held until both were done", who.left, phoneLeft, phoneRight)
	open, err := p.awaitConflict(ctx, who, "phone")
	if err != nil {
		return "", err
	}
	p.out.did("GET conflicts: %s, field %s, waits in workflow %s", open.ID, open.Field, open.WorkflowID)
	waiting, err := p.awaitApart(ctx, who)
	if err != nil {
		return waiting, err
	}
	p.out.did("read both servers while it waits: %s", waiting)
	if err := p.refuseStale(ctx, open); err != nil {
		return waiting, err
	}
	p.cause(sideLeft, who.left)
	if err := p.api.resolve(ctx, open.ID, sideRight, open.Left, open.Right); err != nil {
		return waiting, err
	}
	p.out.did("POST /api/v1/conflicts/%s/resolve: choose right; accepted", open.ID)
	p.overwritten = append(p.overwritten, overwrite{side: sideLeft, id: who.left, field: "phone", old: phoneLeft, new: phoneRight, cause: "decision"})
	read, err := p.awaitEqual(ctx, who, map[string]string{"phone": normalPhone(phoneRight), "company": "Duas Mãos SA", "note": "changed her number"})
	if err != nil {
		return read, err
	}
	return read, p.awaitNoConflict(ctx)
}

// awaitConflict waits until the API lists an open conflict of the lead and field.
func (p *Play) awaitConflict(ctx context.Context, who pair, field string) (conflict, error) {
	var open conflict
	_, err := p.await(ctx, "an open conflict about "+field, patience, func(ctx context.Context) (bool, string, error) {
		links, err := p.api.links(ctx, p.connection.ID, sideLeft, who.left)
		if err != nil {
			return false, "", err
		}
		found, err := p.api.openConflicts(ctx, p.connection.ID)
		if err != nil {
			return false, "", err
		}
		for _, one := range found {
			for _, link := range links {
				if one.Link == link.ID && one.Field == field {
					open = one
					return true, "", nil
				}
			}
		}
		return false, fmt.Sprintf("%d open conflicts, none of this link and field", len(found)), nil
	})
	return open, err
}

// awaitApart waits until all fields but the phone have flowed, and verifies
// that each server has kept its own number.
func (p *Play) awaitApart(ctx context.Context, who pair) (string, error) {
	about := map[string]string{"phone": "", "company": "", "note": ""}
	return p.await(ctx, "both numbers kept and all other fields equal", patience, func(ctx context.Context) (bool, string, error) {
		left, right, err := p.both(ctx, who)
		if err != nil {
			return false, "", err
		}
		read := readback(left, right, about)
		if left["phone"] != normalPhone(phoneLeft) || right["phone"] != normalPhone(phoneRight) {
			return false, read, errors.New("expected each server to keep its own number; read: " + read)
		}
		flowed := left["company"] == "Duas Mãos SA" && right["note"] == "changed her number"
		right["phone"] = left["phone"]
		return flowed && left.difference(right) == "", read, nil
	})
}

// refuseStale decides about values that nobody sees any more, which must be refused.
func (p *Play) refuseStale(ctx context.Context, open conflict) error {
	err := p.api.resolve(ctx, open.ID, sideLeft, open.Base, open.Base)
	var refused *problem
	switch {
	case err == nil:
		return errors.New("expected 409 for a decision about values that have moved; read: it was accepted")
	case !errors.As(err, &refused) || refused.Status != http.StatusConflict:
		return fmt.Errorf("expected 409 for a decision about values that have moved; read: %w", err)
	}
	p.out.did("POST /api/v1/conflicts/%s/resolve with values that have moved since: refused with 409", open.ID)
	return nil
}

func (p *Play) awaitNoConflict(ctx context.Context) error {
	_, err := p.await(ctx, "no open conflict", patience, func(ctx context.Context) (bool, string, error) {
		found, err := p.api.openConflicts(ctx, p.connection.ID)
		return len(found) == 0, fmt.Sprintf("%d open", len(found)), err
	})
	return err
}
