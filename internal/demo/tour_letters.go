package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// batchOfLeads are names and companies; those of refusedCompanies are not taken by Acme.
func batchOfLeads() map[string]string {
	return map[string]string{"gil": "Unwanted Inc", "hugo": "Banned Ltd", "iara": "Iara Ltda", "jose": "Jose Ltda",
		"lia": "Wrong SA", "mia": "Wrong SA", "noa": "Rubbish Ltd", "oto": "Rubbish Ltd", "pia": "Later Ltd", "rui": "Later Ltd"}
}

func refusedCompanies() []string {
	return []string{"Unwanted Inc", "Banned Ltd", "Wrong SA", "Rubbish Ltd", "Later Ltd"}
}

// bad are the leads of a batch that were parked: what each is called, and its dead letter.
type bad struct {
	w       *place
	leads   map[string]string
	letters map[string]deadLetter
}

// tourDeadLetters loads a batch in which eight of ten records are refused.
func tourDeadLetters(ctx context.Context, p *Play) (string, error) {
	return at(ctx, p, integrations.SalesOSAcme, nil, func(w *place) (string, error) {
		b := &bad{w: w, leads: map[string]string{}, letters: map[string]deadLetter{}}
		read, err := b.parked(ctx)
		for _, step := range []func(context.Context) (string, error){b.one, b.edited, b.manyCorrected, b.manyDiscarded, b.manyReplayed} {
			if err != nil {
				break
			}
			var told string
			told, err = step(ctx)
			read += "\n" + told
		}
		if err != nil {
			return read, err
		}
		if told, err := w.letters(ctx, 0); err != nil {
			return read + "\n" + told, err
		}
		return read + "\nno dead letter is open", nil
	})
}

// parked loads the batch, and sees that the bad ones stopped none of the others.
func (b *bad) parked(ctx context.Context) (string, error) {
	w := b.w
	for _, company := range refusedCompanies() {
		if err := w.right.RejectField(ctx, wire.Rejection{Object: contactObject, Field: "company_name", Value: company, Message: "is not accepted"}); err != nil {
			return "", fmt.Errorf("set a rule of Acme: %w", err)
		}
	}
	for name, company := range batchOfLeads() {
		made, err := w.left.CreateRecord(ctx, leadsObject, map[string]any{"name": name, "email": name + "@example.com", "company": company})
		if err != nil {
			return "", fmt.Errorf("create as a user on SalesOS: %w", err)
		}
		b.leads[made.ID] = name
	}
	if err := w.begin(ctx); err != nil {
		return "", err
	}
	ended, err := w.loaded(ctx)
	if err != nil {
		return "", err
	}
	letters, err := w.p.api.deadLetters(ctx, w.connection.ID)
	if err != nil {
		return "", err
	}
	read := fmt.Sprintf("a batch of ten: %d created, %d parked; %d dead letters", ended.Counts.Created, ended.Counts.Parked, len(letters))
	if len(letters) != 8 || ended.Counts.Created != 2 || ended.Counts.Parked != 8 {
		return read, errors.New("expected two created and eight parked; read: " + read)
	}
	for _, one := range letters {
		if one.Reason.Status != http.StatusUnprocessableEntity || one.Reason.Field != "company" || b.leads[one.Ref.ID] == "" {
			return read, fmt.Errorf("expected the refusal with status, field and record; read: %+v", one)
		}
		b.letters[b.leads[one.Ref.ID]] = one
	}
	first := b.letters["gil"]
	return read + fmt.Sprintf("\neach tells its record and why: %s, %d, field %s, %q", first.Ref.ID, first.Reason.Status, first.Reason.Field, first.Reason.Message), nil
}

// arrived waits until leads have a contact with a company, and their dead letters a state.
func (b *bad) arrived(ctx context.Context, company, state string, names ...string) (string, error) {
	var told []string
	for _, name := range names {
		contact, err := b.w.only(ctx, b.w.right, contactObject, "email", name+"@example.com")
		if err != nil {
			return strings.Join(told, "; "), err
		}
		read, err := b.w.value(ctx, b.w.right, contactObject, contact.ID, "company_name", company)
		told = append(told, read)
		if err == nil {
			err = b.ended(ctx, name, state)
		}
		if err != nil {
			return strings.Join(told, "; "), err
		}
	}
	return strings.Join(told, "; "), nil
}

// ended waits until a dead letter has a state; a letter whose record was read meanwhile
// may be resolved before its replay.
func (b *bad) ended(ctx context.Context, name, state string) error {
	_, err := b.w.p.await(ctx, "the dead letter of "+name+" to be "+state, patience, func(ctx context.Context) (bool, string, error) {
		now, err := b.w.p.api.deadLetter(ctx, b.letters[name].ID)
		return now.State == state || state == "replayed" && now.State == "resolved", now.State, err
	})
	return err
}

// one is corrected by hand and replayed.
func (b *bad) one(ctx context.Context) (string, error) {
	id := b.letters["gil"].ID
	if err := b.w.p.api.correct(ctx, id, map[string]any{"company": "Wanted Inc"}); err != nil {
		return "", err
	}
	if err := b.w.p.api.replay(ctx, id); err != nil {
		return "", err
	}
	read, err := b.arrived(ctx, "Wanted Inc", "replayed", "gil")
	return "one corrected and replayed: " + read, err
}

// edited has the source of another one mended: that clears it.
func (b *bad) edited(ctx context.Context) (string, error) {
	if _, err := b.w.left.EditRecord(ctx, leadsObject, b.letters["hugo"].Ref.ID, map[string]any{"company": "Wanted Ltd"}); err != nil {
		return "", fmt.Errorf("edit as a user on SalesOS: %w", err)
	}
	read, err := b.arrived(ctx, "Wanted Ltd", "resolved", "hugo")
	return "one cleared by a good edit: " + read, err
}

// ids are those of the dead letters of some leads.
func (b *bad) ids(names ...string) []string {
	var ids []string
	for _, name := range names {
		ids = append(ids, b.letters[name].ID)
	}
	return ids
}

// outcome is what became of many.
type outcome struct {
	Counts   map[string]int `json:"counts"`
	Replayed int            `json:"replayed"`
}

func (b *bad) many(ctx context.Context, what string, in map[string]any) (outcome, error) {
	return ask[outcome](ctx, b.w.p.api, http.MethodPost, "/api/v1/connections/"+b.w.connection.ID+"/dead-letters/"+what, in)
}

// manyCorrected gives two the same value, and replays both.
func (b *bad) manyCorrected(ctx context.Context) (string, error) {
	ids := b.ids("lia", "mia")
	done, err := b.many(ctx, "correct", map[string]any{"ids": ids, "fields": map[string]any{"company": "Right SA"}})
	if err == nil && done.Counts["done"] != len(ids) {
		err = fmt.Errorf("expected both to be corrected; read: %v", done.Counts)
	}
	if err != nil {
		return "", err
	}
	if done, err = b.many(ctx, "replay", map[string]any{"ids": ids}); err != nil {
		return "", err
	}
	read, err := b.arrived(ctx, "Right SA", "replayed", "lia", "mia")
	return fmt.Sprintf("two corrected and replayed at once (%d): %s", done.Replayed, read), err
}

// manyDiscarded gives two up, for a reason: they are not written.
func (b *bad) manyDiscarded(ctx context.Context) (string, error) {
	ids := b.ids("noa", "oto")
	done, err := b.many(ctx, "discard", map[string]any{"ids": ids, "reason": "made up by a bot"})
	if err == nil && done.Counts["done"] != len(ids) {
		err = fmt.Errorf("expected both to be discarded; read: %v", done.Counts)
	}
	if err != nil {
		return "", err
	}
	for _, name := range []string{"noa", "oto"} {
		if err := b.ended(ctx, name, "discarded"); err != nil {
			return "", err
		}
	}
	contacts, err := b.w.right.Records(ctx, contactObject)
	if err != nil {
		return "", fmt.Errorf("read the contacts: %w", err)
	}
	for _, one := range contacts {
		if slices.Contains([]string{"noa@example.com", "oto@example.com"}, text(one.Fields["email"])) {
			return "", fmt.Errorf("expected discarded leads not to be written; read: contact %s", one.ID)
		}
	}
	return "two discarded with a reason: Acme has neither", nil
}

// manyReplayed has Acme take what it refused, and replays what is left, by a filter.
func (b *bad) manyReplayed(ctx context.Context) (string, error) {
	if err := b.w.right.ClearRejections(ctx); err != nil {
		return "", fmt.Errorf("lift the rules of Acme: %w", err)
	}
	before, err := b.w.written(ctx, b.w.right, sandboxclient.Filter{Object: contactObject, Op: "create"})
	if err != nil {
		return "", err
	}
	done, err := b.many(ctx, "replay", map[string]any{"filter": map[string]any{"stream": leadsStream, "field": "company"}})
	if err == nil && done.Replayed != 2 {
		err = fmt.Errorf("expected the two that are left to be replayed; read: %d", done.Replayed)
	}
	if err != nil {
		return "", err
	}
	read, err := b.arrived(ctx, "Later Ltd", "replayed", "pia", "rui")
	if err != nil {
		return read, err
	}
	after, err := b.w.written(ctx, b.w.right, sandboxclient.Filter{Object: contactObject, Op: "create"})
	if err == nil && after-before != 2 {
		err = fmt.Errorf("expected two contacts to be made; read: %d", after-before)
	}
	return "Acme takes them now, and the rest is replayed by a filter: " + read, err
}
