package acme

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/hooks"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// nouns are the objects that have events, by the name that events use.
func nouns() map[string]string {
	return map[string]string{"contacts": "contact", "companies": "company", "deals": "deal", "appointments": "appointment", "calls": "call", "emails": "email", "orders": "order", "submissions": "submission", "users": "user"}
}

func (s *Server) publish(c world.Change) {
	verb := map[string]string{"create": "created", "update": "updated", "delete": "deleted", "merge": "merged"}[c.Op]
	name := nouns()[c.New.Object] + "." + verb
	s.Hooks.Publish(name, func() hooks.Event {
		at := s.World.Now()
		id := "ev_" + rand.Text()
		data := map[string]any{"event_id": id, "event": name, "object": c.New.Object, "id": c.New.ID, "version": c.New.Version,
			"changes": append([]string{}, c.Fields...), "actor": c.Actor, "occurred_at": at.UnixMilli()}
		if c.New.MergedInto != "" {
			data["merged_into"] = c.New.MergedInto
		}
		return hooks.Event{ID: id, Name: name, Record: c.New.ID, At: at, Data: data}
	})
}

// forge makes up an event.
func (s *Server) forge(f wire.Forge) (hooks.Event, error) {
	noun, _, _ := strings.Cut(f.Event, ".")
	for object, name := range nouns() {
		if name != noun || !knownEvent(f.Event) {
			continue
		}
		at, id := s.World.Now(), "ev_"+rand.Text()
		data := map[string]any{"event_id": id, "event": f.Event, "object": object, "id": f.ID, "version": 999, "changes": []string{},
			"actor": "user:forger", "occurred_at": at.UnixMilli()}
		maps.Copy(data, f.Data)
		return hooks.Event{ID: id, Name: f.Event, Record: f.ID, At: at, Data: data}, nil
	}
	return hooks.Event{}, fmt.Errorf("there is no event %q", f.Event)
}

// encode makes a batch and signs "<t>.<body>" with each secret in use.
func (s *Server) encode(h hooks.Hook, events []hooks.Event, shift time.Duration) ([]byte, http.Header, error) {
	batch := make([]any, 0, len(events))
	for _, e := range events {
		batch = append(batch, e.Data)
	}
	raw, err := front.Encode(batch)
	if err != nil {
		return nil, nil, err
	}
	t := strconv.FormatInt(s.World.Now().Add(shift).Unix(), 10)
	value := "t=" + t
	for _, secret := range []string{h.Secret, h.OldSecret} {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(t + "."))
		mac.Write(raw)
		value += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	header := http.Header{}
	header.Set("X-Acme-Signature", value)
	return raw, header, nil
}

func showHook(h hooks.Hook) map[string]any {
	return map[string]any{"id": h.ID, "target_url": h.URL, "events": h.Events, "active": h.Active, "created_at": stamp(h.CreatedAt), "updated_at": stamp(h.UpdatedAt)}
}

func (s *Server) listHooks(*front.Request) front.Response {
	items := []any{}
	for _, h := range s.Hooks.List() {
		items = append(items, showHook(h))
	}
	return front.Response{Status: http.StatusOK, Body: map[string]any{"items": items, "next_cursor": nil}}
}

type hookBody struct {
	TargetURL *string   `json:"target_url"`
	Events    *[]string `json:"events"`
	Secret    *string   `json:"secret"`
	Active    *bool     `json:"active"`
}

// apply reads a hook's body into h. A changed secret signs together with the old one.
func (s *Server) apply(raw []byte, h *hooks.Hook) ([]world.Problem, error) {
	var b hookBody
	if err := world.DecodeInto(raw, &b); err != nil {
		return nil, err
	}
	if b.TargetURL != nil {
		h.URL = *b.TargetURL
	}
	if b.Events != nil {
		h.Events = *b.Events
	}
	if b.Secret != nil && *b.Secret != h.Secret {
		h.OldSecret, h.Secret = h.Secret, *b.Secret
	}
	if b.Active != nil {
		h.Active = *b.Active
	}
	var out []world.Problem
	if msg := hooks.CheckURL(h.URL, s.opts.AnyHookURL); msg != "" {
		out = append(out, world.Problem{Field: "target_url", Message: msg})
	}
	if len(h.Events) == 0 {
		out = append(out, world.Problem{Field: "events", Message: "is required"})
	}
	if h.Secret == "" {
		out = append(out, world.Problem{Field: "secret", Message: "is required"})
	}
	for _, e := range h.Events {
		if !knownEvent(e) {
			out = append(out, world.Problem{Field: "events", Message: "there is no event " + e})
		}
	}
	return out, nil
}

func knownEvent(name string) bool {
	noun, verb, _ := strings.Cut(name, ".")
	for _, known := range nouns() {
		if known == noun {
			return verb == "*" || slices.Contains([]string{"created", "updated", "deleted", "merged"}, verb)
		}
	}
	return name == "*"
}

func (s *Server) createHook(r *front.Request) front.Response {
	h := hooks.Hook{ID: "hk_" + rand.Text()[:16], Active: true, CreatedAt: s.World.Stamp(), UpdatedAt: s.World.Stamp()}
	return s.saveHook(r, h, http.StatusCreated)
}

func (s *Server) patchHook(r *front.Request) front.Response {
	h, ok := s.Hooks.Get(r.PathValue("id"))
	if !ok {
		return notFound()
	}
	h.UpdatedAt = s.World.Stamp()
	return s.saveHook(r, h, http.StatusOK)
}

func (s *Server) saveHook(r *front.Request, h hooks.Hook, status int) front.Response {
	problems, err := s.apply(r.Body, &h)
	if err != nil {
		return badRequest(err.Error())
	}
	if len(problems) > 0 {
		return invalid(problems)
	}
	s.Hooks.Put(h)
	r.Call.Object, r.Call.ID = "hooks", h.ID
	return front.Response{Status: status, Body: showHook(h)}
}

func (s *Server) getHook(r *front.Request) front.Response {
	h, ok := s.Hooks.Get(r.PathValue("id"))
	if !ok {
		return notFound()
	}
	return front.Response{Status: http.StatusOK, Body: showHook(h)}
}

func (s *Server) deleteHook(r *front.Request) front.Response {
	if !s.Hooks.Remove(r.PathValue("id")) {
		return notFound()
	}
	r.Call.Object, r.Call.ID = "hooks", r.PathValue("id")
	return front.Response{Status: http.StatusNoContent}
}
