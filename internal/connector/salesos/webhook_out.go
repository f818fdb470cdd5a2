package salesos

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

const hooksPath = "/webhooks"

// maxHookPages bounds the list of registrations that is looked through.
const maxHookPages = 50

// EnsureWebhook finds the webhook by its address, and registers, corrects or
// switches it on. Other webhooks are left alone.
func (c *client) EnsureWebhook(ctx context.Context, spec connector.WebhookSpec) (connector.WebhookState, error) {
	events, err := wantedEvents(spec.Objects)
	if err != nil {
		return connector.WebhookState{}, err
	}
	hooks, err := c.hooks(ctx)
	if err != nil {
		return connector.WebhookState{}, err
	}
	wanted := map[string]any{"url": spec.URL, "events": events, "secret": spec.Secret, "active": true}
	held, ok := transport.FindHook(hooks, spec.ID, spec.URL)
	if !ok {
		wanted["description"] = "Accord keeps another system in step with this one"
		return c.register(ctx, wanted, spec.URL)
	}
	state := connector.WebhookState{ID: held.ID, Active: true, Reactivated: !held.Active}
	if held.Correct(spec.URL, events, spec.Secret) {
		return state, nil
	}
	_, err = c.api.Do(ctx, hookCall(http.MethodPatch, held.ID, wanted))
	if err != nil {
		return connector.WebhookState{}, err
	}
	return state, nil
}

// register makes a new webhook. A server that answers without an id is asked
// for its list.
func (c *client) register(ctx context.Context, wanted map[string]any, address string) (connector.WebhookState, error) {
	call := transport.Call{Method: http.MethodPost, Path: hooksPath, Body: wanted, Subject: "webhook"}
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return connector.WebhookState{}, err
	}
	if body, err := transport.DecodeJSON(reply.Body); err == nil {
		item, _ := single(body, object{})
		if hook, ok := transport.ReadHook(item, "url"); ok {
			return connector.WebhookState{ID: hook.ID, Active: hook.Active}, nil
		}
	}
	hooks, err := c.hooks(ctx)
	if err != nil {
		return connector.WebhookState{}, err
	}
	if hook, ok := transport.FindHook(hooks, "", address); ok {
		return connector.WebhookState{ID: hook.ID, Active: hook.Active}, nil
	}
	return connector.WebhookState{}, c.api.Malformed(call, reply, "the new webhook")
}

// WebhookStatus looks the webhook up in the list: the page documents no way to
// read a single one.
func (c *client) WebhookStatus(ctx context.Context, id string) (connector.WebhookState, error) {
	hooks, err := c.hooks(ctx)
	if err != nil {
		return connector.WebhookState{}, err
	}
	for _, hook := range hooks {
		if hook.ID == id {
			return connector.WebhookState{ID: hook.ID, Active: hook.Active}, nil
		}
	}
	return connector.WebhookState{}, fault.New(fault.Gone, "%s no longer has the webhook %s; it is registered anew", title, id)
}

// RemoveWebhook deletes the webhook; one already gone is no error.
func (c *client) RemoveWebhook(ctx context.Context, id string) error {
	_, err := c.api.Do(ctx, hookCall(http.MethodDelete, id, nil))
	if fault.Is(err, fault.Gone) {
		return nil
	}
	return err
}

func hookCall(method, id string, body any) transport.Call {
	return transport.Call{Method: method, Path: hooksPath + "/" + url.PathEscape(id), Body: body, Record: true, Subject: "webhook " + id}
}

// hooks reads all registrations.
func (c *client) hooks(ctx context.Context) ([]transport.Hook, error) {
	var hooks []transport.Hook
	for page := 1; page <= maxHookPages; page++ {
		call := get(hooksPath, url.Values{"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(maxPage)}}, "webhooks")
		reply, err := c.api.Do(ctx, call)
		if err != nil {
			return nil, err
		}
		body, err := c.api.Decode(call, reply)
		if err != nil {
			return nil, err
		}
		rows, meta, ok := items(body, "webhooks")
		if !ok {
			return nil, c.api.Malformed(call, reply, "a list of webhooks")
		}
		got := listed{total: -1, pages: -1, size: -1}
		got.readMeta(meta)
		known := len(hooks)
		for _, item := range rows {
			if hook, ok := transport.ReadHook(item, "url"); ok && !contains(hooks, hook.ID) {
				hooks = append(hooks, hook)
			}
		}
		// No page documents that this list has pages: one that brings nothing new ends it.
		if len(hooks) == known || got.pages >= 0 && page >= got.pages {
			return hooks, nil
		}
	}
	return hooks, nil
}

func contains(hooks []transport.Hook, id string) bool {
	for _, hook := range hooks {
		if hook.ID == id {
			return true
		}
	}
	return false
}

func wantedEvents(names []string) ([]string, error) {
	var events []string
	for _, name := range names {
		object, ok := objectOf(name)
		if !ok {
			return nil, fault.New(fault.Usage, "%s has no collection %q to get events of", title, name)
		}
		events = append(events, object.events...)
	}
	if len(events) == 0 {
		return nil, fault.New(fault.Usage, "%s has no events for the collections of this connection", title)
	}
	return events, nil
}
