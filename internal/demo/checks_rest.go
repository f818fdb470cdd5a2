package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func deletePropagated(ctx context.Context, p *Play) (string, error) {
	var read []string
	for _, from := range p.systems() {
		who, err := p.fresh()
		if err != nil {
			return strings.Join(read, "\n"), err
		}
		line, err := p.deleteOn(ctx, from, who)
		if err != nil {
			return strings.Join(append(read, line), "\n"), err
		}
		read = append(read, line)
	}
	return strings.Join(read, "\n"), nil
}

// deleteOn deletes a record on one server and waits for the other to follow.
func (p *Play) deleteOn(ctx context.Context, from *system, who pair) (string, error) {
	across := p.other(from)
	since, err := p.latest(ctx, from)
	if err != nil {
		return "", fmt.Errorf("read the request log of %s: %w", from.name, err)
	}
	p.cause(across.side, who.on(across.side))
	if _, err := from.admin.DeleteRecord(ctx, from.object, who.on(from.side)); err != nil {
		return "", fmt.Errorf("delete as a user on %s: %w", from.name, err)
	}
	p.out.did("deleted %s in %s", who.on(from.side), from.name)
	var gone wire.Record
	_, err = p.await(ctx, "the counterpart to be deleted on "+across.name, patience, func(ctx context.Context) (bool, string, error) {
		if gone, err = p.record(ctx, across, who.on(across.side)); err != nil {
			return false, "", err
		}
		return gone.DeletedAt != nil, "it is still there", nil
	})
	if err != nil {
		return "", err
	}
	verified, err := p.verifiedGone(ctx, from, who, since)
	if err != nil {
		return "", err
	}
	origin, err := p.record(ctx, from, who.on(from.side))
	if err != nil {
		return "", err
	}
	read := fmt.Sprintf("%s: %s deleted; %s: %s deleted by %s; the service asked %s %d times before it believed",
		from.name, who.on(from.side), across.name, who.on(across.side), gone.UpdatedBy, from.name, verified)
	switch {
	case origin.DeletedAt == nil:
		return read, errors.New("expected the record to stay deleted where the user deleted it; read: it came back")
	case verified < 2:
		return read, fmt.Errorf("expected the delete to be verified twice; read: %d", verified)
	}
	return read, nil
}

// verifiedGone counts how often the service was told "no such record" before it
// deleted the counterpart.
func (p *Play) verifiedGone(ctx context.Context, from *system, who pair, since int64) (int, error) {
	across := p.other(from)
	calls, err := p.calls(ctx, across, 0)
	if err != nil {
		return 0, err
	}
	var deleted time.Time
	for _, one := range calls {
		if one.Method == http.MethodDelete && one.ID == who.on(across.side) && one.Effect {
			deleted = one.At
		}
	}
	if calls, err = p.calls(ctx, from, since); err != nil {
		return 0, err
	}
	verified := 0
	for _, one := range calls {
		if one.Method == http.MethodGet && one.Status == http.StatusNotFound && one.ID == who.on(from.side) && one.At.Before(deleted) {
			verified++
		}
	}
	return verified, nil
}

func customFieldsSurvive(ctx context.Context, p *Play) (string, error) {
	who, err := p.fresh()
	if err != nil {
		return "", err
	}
	want := map[string]string{"note": "loves long walks", "score": "77"}
	if _, err := p.edit(ctx, p.right, who, map[string]any{"note": want["note"], "score": 77}); err != nil {
		return "", err
	}
	p.out.did("set note and score of contact %s in Acme, which live in custom_fields of SalesOS", who.right)
	read, err := p.awaitEqual(ctx, who, want)
	if err != nil {
		return read, err
	}
	kept, lost := 0, []string{}
	for _, one := range p.systems() {
		found, err := one.admin.AllRecords(ctx, one.object)
		if err != nil {
			return read, fmt.Errorf("read everything from %s: %w", one.name, err)
		}
		for _, record := range found {
			before, seeded := p.before[one.side+"/"+record.ID]
			switch {
			case !seeded:
			case own(one, record.Fields) == before:
				kept++
			default:
				lost = append(lost, fmt.Sprintf("%s %s was %s and is %s", one.name, record.ID, before, own(one, record.Fields)))
			}
		}
	}
	read += fmt.Sprintf("\nrecords with the customer's own values as they were: %d of %d", kept, len(p.before))
	if len(lost) > 0 || kept != len(p.before) {
		return read, fmt.Errorf("expected all of them to survive; read: %s", strings.Join(lost[:min(len(lost), 3)], "; "))
	}
	return read, nil
}

// own is what a customer keeps in a record that no mapping knows.
func own(on *system, found map[string]any) string {
	if on.side == sideLeft {
		return ownOfLead(found)
	}
	return ownOfContact(found)
}

// remember reads the customer's own values right after the seeding.
func (p *Play) remember(ctx context.Context) error {
	for _, one := range p.systems() {
		found, err := one.admin.Records(ctx, one.object)
		if err != nil {
			return fmt.Errorf("read everything from %s: %w", one.name, err)
		}
		for _, record := range found {
			p.before[one.side+"/"+record.ID] = own(one, record.Fields)
		}
		users, err := one.admin.Records(ctx, usersObject)
		if err != nil {
			return fmt.Errorf("read the users of %s: %w", one.name, err)
		}
		for _, user := range users {
			one.users[user.ID] = normalEmail(text(user.Fields["email"]))
		}
	}
	return nil
}

func historyTellsWhy(ctx context.Context, p *Play) (string, error) {
	if len(p.overwritten) == 0 {
		return "", errors.New("expected the checks before to overwrite values; read: none did")
	}
	var read []string
	for _, wanted := range p.overwritten {
		on := p.system(wanted.side)
		entries, err := p.api.history(ctx, p.connection.ID, wanted.side, wanted.id, wanted.field)
		if err != nil {
			return strings.Join(read, "\n"), err
		}
		now, err := p.person(ctx, on, wanted.id)
		if err != nil {
			return strings.Join(read, "\n"), err
		}
		line, ok := explained(entries, wanted, now[wanted.field])
		if !ok {
			return strings.Join(read, "\n"), fmt.Errorf("expected history of %s %s %s to say %q was replaced with %q by cause %s, as the server holds; read: %+v, server holds %q",
				on.name, wanted.id, wanted.field, wanted.old, wanted.new, wanted.cause, entries, now[wanted.field])
		}
		read = append(read, on.name+" "+wanted.id+": "+line)
	}
	return strings.Join(read, "\n"), nil
}

// explained finds the entry of an overwrite; held is what the server has now.
func explained(entries []historyEntry, wanted overwrite, held string) (string, bool) {
	same := func(a, b string) bool { return normalField(wanted.field, a) == normalField(wanted.field, b) }
	for _, one := range entries {
		if one.Field == wanted.field && one.Cause.Kind == wanted.cause && same(text(one.Old), wanted.old) && same(text(one.New), wanted.new) && held == normalField(wanted.field, wanted.new) {
			return fmt.Sprintf("%s %q became %q, cause %s %s; the server holds %q", one.Field, text(one.Old), text(one.New), one.Cause.Kind, one.Cause.Side, held), true
		}
	}
	return "", false
}
