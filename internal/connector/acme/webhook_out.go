package acme

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

const hooksPath = "/hooks"

// maxHookPages bounds the list of registrations that is looked through.
const maxHookPages = 50

// EnsureWebhook finds the hook by its address, and registers, corrects or
// switches it on. Other hooks are left alone. No page says that what is only read
// (users) has events: a vendor that refuses them is asked for the others.
func (c *client) EnsureWebhook(ctx context.Context, spec connector.WebhookSpec) (connector.WebhookState, error) {
	if _, err := wantedEvents(spec.Objects); err != nil {
		return connector.WebhookState{}, err
	}
	hooks, err := c.hooks(ctx)
	if err != nil {
		return connector.WebhookState{}, err
	}
	state, err := c.ensured(ctx, spec, hooks, spec.Objects)
	if others := creatable(spec.Objects); fault.Is(err, fault.Invalid) && len(others) > 0 && len(others) < len(spec.Objects) {
		return c.ensured(ctx, spec, hooks, others)
	}
	return state, err
}

// creatable are those of the collections that can be written.
func creatable(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		object, known := objectOf(name)
		return known && !object.Creatable
	})
}

// ensured sees to a hook for the events of some collections.
func (c *client) ensured(ctx context.Context, spec connector.WebhookSpec, hooks []transport.Hook, objects []string) (connector.WebhookState, error) {
	events, err := wantedEvents(objects)
	if err != nil {
		return connector.WebhookState{}, err
	}
	wanted := map[string]any{"target_url": spec.URL, "events": events, "secret": spec.Secret, "active": true}
	held, ok := transport.FindHook(hooks, spec.ID, spec.URL)
	if !ok {
		return c.register(ctx, wanted, spec.URL)
	}
	state := connector.WebhookState{ID: held.ID, Active: true, Reactivated: !held.Active}
	if held.Correct(spec.URL, events, spec.Secret) {
		return state, nil
	}
	if _, err = c.api.Do(ctx, hookCall(http.MethodPatch, held.ID, wanted)); err != nil {
		return connector.WebhookState{}, err
	}
	return state, nil
}

// register makes a new hook. A server that answers without an id is asked for
// its list.
func (c *client) register(ctx context.Context, wanted map[string]any, address string) (connector.WebhookState, error) {
	call := transport.Call{Method: http.MethodPost, Path: hooksPath, Body: wanted, Subject: "webhook"}
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return connector.WebhookState{}, err
	}
	if body, err := transport.DecodeJSON(reply.Body); err == nil {
		if hook, ok := transport.ReadHook(body, "target_url"); ok {
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

// WebhookStatus looks the hook up in the list.
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

// RemoveWebhook deletes the hook; one already gone is no error.
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
	query := url.Values{}
	for range maxHookPages {
		found, next, _, err := c.items(ctx, get(hooksPath, query, "webhooks"))
		if err != nil {
			return nil, err
		}
		for _, item := range found {
			if hook, ok := transport.ReadHook(item, "target_url"); ok {
				hooks = append(hooks, hook)
			}
		}
		if next == "" || next == query.Get("cursor") {
			return hooks, nil
		}
		query.Set("cursor", next)
	}
	return hooks, nil
}

func wantedEvents(names []string) ([]string, error) {
	var events []string
	for _, name := range names {
		object, ok := objectOf(name)
		if !ok {
			return nil, fault.New(fault.Usage, "%s has no collection %q to get events of", title, name)
		}
		for _, kind := range []string{"created", "updated", "deleted"} {
			events = append(events, object.Singular+"."+kind)
		}
		if object.Name == "contacts" {
			events = append(events, "contact.merged")
		}
	}
	if len(events) == 0 {
		return nil, fault.New(fault.Usage, "%s has no events for the collections of this connection", title)
	}
	slices.Sort(events)
	return slices.Compact(events), nil
}
