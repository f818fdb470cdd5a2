package rest

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// byHandID is the id of a registration that a person makes in the system's settings.
const byHandID = "by-hand"

// byHand is all that is known of such a registration: the system does not tell about
// it. It is not taken for switched off.
func byHand() connector.WebhookState {
	return connector.WebhookState{ID: byHandID, Active: true, ByHand: true}
}

// maxHookPages bounds the list of registrations that is looked through.
const maxHookPages = 50

// EnsureWebhook finds the registration by its address, and registers, corrects or
// switches it on. Others are left alone. Where a person registers webhooks it makes no call.
func (c *client) EnsureWebhook(ctx context.Context, spec connector.WebhookSpec) (connector.WebhookState, error) {
	said, err := c.registration()
	if err != nil || said == nil {
		return byHand(), err
	}
	events, err := c.wantedEvents(spec.Objects, said)
	if err != nil {
		return connector.WebhookState{}, err
	}
	hooks, err := c.hooks(ctx, said)
	if err != nil {
		return connector.WebhookState{}, err
	}
	wanted := map[string]any{said.URL: spec.URL, said.Events: events}
	if said.Secret != "" {
		wanted[said.Secret] = spec.Secret
	}
	if said.Active != "" {
		wanted[said.Active] = true
	}
	held, ok := transport.FindHook(hooks, spec.ID, spec.URL)
	if !ok {
		return c.register(ctx, said, wanted, spec.URL)
	}
	state := connector.WebhookState{ID: held.ID, Active: true, Reactivated: !held.Active}
	secret := spec.Secret
	if said.Secret == "" {
		secret = held.Secret // the system has no place for it
	}
	if held.Correct(spec.URL, events, secret) {
		return state, nil
	}
	if _, err = c.api.Do(ctx, c.hookCall(said, said.Update, held.ID, wanted)); err != nil {
		return connector.WebhookState{}, err
	}
	return state, nil
}

// registration is how webhooks are registered; nil: by hand. fault.Usage: there are none.
func (c *client) registration() (*manifest.Registration, error) {
	if c.manifest.Webhook == nil {
		return nil, fault.New(fault.Usage, "%s has no webhooks, it is only polled; leave out webhook in its section", c.title)
	}
	return c.manifest.Webhook.Registration, nil
}

// register makes a new one. A server that answers without an id is asked for its list.
func (c *client) register(ctx context.Context, said *manifest.Registration, wanted map[string]any, address string) (connector.WebhookState, error) {
	call := c.hookCall(said, http.MethodPost, "", wanted)
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return connector.WebhookState{}, err
	}
	if body, err := transport.DecodeJSON(reply.Body); err == nil {
		if hook, ok := readHook(body, said); ok {
			return connector.WebhookState{ID: hook.ID, Active: hook.Active}, nil
		}
	}
	hooks, err := c.hooks(ctx, said)
	if err != nil {
		return connector.WebhookState{}, err
	}
	if hook, ok := transport.FindHook(hooks, "", address); ok {
		return connector.WebhookState{ID: hook.ID, Active: hook.Active}, nil
	}
	return connector.WebhookState{}, c.api.Malformed(call, reply, "the new webhook")
}

// WebhookStatus looks the registration up in the list.
func (c *client) WebhookStatus(ctx context.Context, id string) (connector.WebhookState, error) {
	said, err := c.registration()
	if err != nil {
		return connector.WebhookState{}, fault.Wrap(fault.Gone, err, "%s has no webhooks", c.title)
	}
	if said == nil {
		return byHand(), nil
	}
	hooks, err := c.hooks(ctx, said)
	if err != nil {
		return connector.WebhookState{}, err
	}
	for _, hook := range hooks {
		if hook.ID == id {
			return connector.WebhookState{ID: hook.ID, Active: hook.Active}, nil
		}
	}
	return connector.WebhookState{}, fault.New(fault.Gone, "%s no longer has the webhook %s; it is registered anew", c.title, id)
}

// RemoveWebhook deletes the registration; one already gone is no error.
func (c *client) RemoveWebhook(ctx context.Context, id string) error {
	said, err := c.registration()
	if err != nil || said == nil {
		return nil // what was never registered need not be removed
	}
	_, err = c.api.Do(ctx, c.hookCall(said, http.MethodDelete, id, nil))
	if fault.Is(err, fault.Gone) {
		return nil
	}
	return err
}

// hookCall is a call about one registration; without an id it makes one.
func (c *client) hookCall(said *manifest.Registration, method, id string, body any) transport.Call {
	call := c.plain(method, said.Path, "webhook")
	call.Body = body
	if id != "" {
		call.Path += "/" + url.PathEscape(id)
		call.Record, call.Subject = true, "webhook "+id
	}
	return call
}

// plain is a call with the headers of every call.
func (c *client) plain(method, path, subject string) transport.Call {
	call := transport.Call{Method: method, Path: path, Query: url.Values{}, Header: http.Header{}, Subject: subject}
	for key, value := range c.manifest.Headers {
		call.Header.Set(key, value)
	}
	return call
}

// hooks reads all registrations.
func (c *client) hooks(ctx context.Context, said *manifest.Registration) ([]transport.Hook, error) {
	var hooks []transport.Hook
	call := c.plain(http.MethodGet, said.Path, "webhooks")
	// Registrations are in JSON, whatever the collections are in.
	object := &manifest.Object{Common: manifest.Common{Format: manifest.FormatJSON}}
	for range maxHookPages {
		items, got, err := c.items(ctx, call, object, &manifest.Listing{Rows: said.Rows})
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			if hook, ok := readHook(item, said); ok {
				hooks = append(hooks, hook)
			}
		}
		next := cursorAt(got.body, said.Next)
		if next == "" || next == call.Query.Get(said.Cursor) {
			return hooks, nil
		}
		call.Query.Set(said.Cursor, next)
	}
	return hooks, nil
}

// readHook reads a registration by the manifest's names of its keys.
func readHook(item any, said *manifest.Registration) (transport.Hook, bool) {
	object, ok := item.(map[string]any)
	if !ok {
		return transport.Hook{}, false
	}
	usual := map[string]any{"id": object["id"], said.URL: object[said.URL], "events": object[said.Events]}
	if said.Secret != "" {
		usual["secret"] = object[said.Secret]
	}
	if said.Active != "" {
		usual["active"] = object[said.Active]
	}
	return transport.ReadHook(usual, said.URL)
}

func (c *client) wantedEvents(names []string, said *manifest.Registration) ([]string, error) {
	var events []string
	for _, name := range names {
		object, err := c.object(name)
		if err != nil {
			return nil, err
		}
		for _, form := range said.Names {
			if event, ok := manifest.Fill(form, valuesOf(object)); ok {
				events = append(events, event)
			}
		}
		events = append(events, object.Events...)
	}
	if len(events) == 0 {
		return nil, fault.New(fault.Usage, "%s has no events for the collections of this connection", c.title)
	}
	slices.Sort(events)
	return slices.Compact(events), nil
}
