package salesos

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/hooks"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

func known() []string {
	return []string{"lead.created", "lead.updated", "lead.status_changed", "lead.converted", "lead.deleted",
		"deal.created", "deal.updated", "deal.stage_changed", "deal.won", "deal.lost", "deal.deleted",
		"user.created", "user.activated", "user.updated", "user.deactivated"}
}

// publish turns a change into its events; one change can have several.
func (s *Server) publish(c world.Change) {
	noun := strings.TrimSuffix(c.New.Object, "s")
	for _, name := range names(noun, c) {
		s.Hooks.Publish(name, func() hooks.Event {
			return hooks.Event{ID: "evt_" + uuid.NewString(), Name: name, Record: c.New.ID, At: s.World.Now(), Data: render(c.New)}
		})
	}
}

func names(noun string, c world.Change) []string {
	switch c.Op {
	case "create":
		return []string{noun + ".created"}
	case "delete", "merge":
		if noun == "user" {
			return []string{"user.deactivated"}
		}
		return []string{noun + ".deleted"}
	}
	out := []string{noun + ".updated"}
	status := slices.Contains(c.Fields, "status")
	now := c.New.Text("status")
	switch {
	case noun == "lead" && status:
		out = append(out, "lead.status_changed")
		if now == "converted" {
			out = append(out, "lead.converted")
		}
	case noun == "user" && status && now == "active":
		out = append(out, "user.activated")
	case noun == "user" && status && now == "deactivated":
		out = append(out, "user.deactivated")
	case noun == "deal":
		if slices.Contains(c.Fields, "stage") {
			out = append(out, "deal.stage_changed")
		}
		if status && (now == "won" || now == "lost") {
			out = append(out, "deal."+now)
		}
	}
	return out
}

// forge makes up an event.
func (s *Server) forge(f wire.Forge) (hooks.Event, error) {
	if !slices.Contains(known(), f.Event) {
		return hooks.Event{}, fmt.Errorf("there is no event %q", f.Event)
	}
	at := s.World.Now()
	data := map[string]any{"id": f.ID, "updated_at": stamp(at)}
	maps.Copy(data, f.Data)
	return hooks.Event{ID: "evt_" + uuid.NewString(), Name: f.Event, Record: f.ID, At: at, Data: data}, nil
}

// encode makes the body of one event in the form switched on, and signs it. The time is no part of that.
func (s *Server) encode(h hooks.Hook, events []hooks.Event, _ time.Duration) ([]byte, http.Header, error) {
	e := events[0]
	header := http.Header{}
	body := map[string]any{"type": e.Name, "data": e.Data}
	if s.World.Switches().WebhookForm == wire.FormEnvelope {
		body["id"], body["version"], body["ts"], body["tenant"] = e.ID, "1", stamp(e.At), "sandbox"
		header.Set("X-SalesOS-Event", e.Name)
		header.Set("X-SalesOS-Event-Id", e.ID)
	}
	raw, err := front.Encode(body)
	if err != nil {
		return nil, nil, err
	}
	mac := hmac.New(sha256.New, []byte(h.Secret))
	mac.Write(raw)
	header.Set("x-salesos-signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return raw, header, nil
}

func showHook(h hooks.Hook) map[string]any {
	return map[string]any{"id": h.ID, "url": h.URL, "events": h.Events, "description": h.Description, "active": h.Active,
		"failure_count": h.Failures, "created_at": stamp(h.CreatedAt), "updated_at": stamp(h.UpdatedAt)}
}

func (s *Server) listHooks(*front.Request) front.Response {
	data := []any{}
	for _, h := range s.Hooks.List() {
		data = append(data, showHook(h))
	}
	m := s.meta()
	m["total"], m["page"], m["per_page"], m["total_pages"] = len(data), 1, maxPerPage, 1
	return front.Response{Status: http.StatusOK, Body: map[string]any{"data": data, "meta": m}}
}

type hookBody struct {
	URL         *string   `json:"url"`
	Events      *[]string `json:"events"`
	Secret      *string   `json:"secret"`
	Description *string   `json:"description"`
	Active      *bool     `json:"active"`
}

// apply reads a hook's body into h; the problems are those of the fields given.
func (s *Server) apply(raw []byte, h *hooks.Hook) ([]world.Problem, error) {
	var b hookBody
	if err := world.DecodeInto(raw, &b); err != nil {
		return nil, err
	}
	if b.URL != nil {
		h.URL = *b.URL
	}
	if b.Events != nil {
		h.Events = *b.Events
	}
	if b.Secret != nil {
		h.Secret = *b.Secret
	}
	if b.Description != nil {
		h.Description = *b.Description
	}
	if b.Active != nil {
		if *b.Active && !h.Active {
			h.Failures = 0
		}
		h.Active = *b.Active
	}
	var out []world.Problem
	if msg := hooks.CheckURL(h.URL, s.opts.AnyHookURL); msg != "" {
		out = append(out, world.Problem{Field: "url", Message: msg})
	}
	if len(h.Events) == 0 {
		out = append(out, world.Problem{Field: "events", Message: "is required"})
	}
	for _, e := range h.Events {
		if !slices.Contains(known(), e) {
			out = append(out, world.Problem{Field: "events", Message: "there is no event " + e})
		}
	}
	return out, nil
}

func (s *Server) createHook(r *front.Request) front.Response {
	h := hooks.Hook{ID: uuid.NewString(), Active: true, CreatedAt: s.World.Now(), UpdatedAt: s.World.Now()}
	problems, err := s.apply(r.Body, &h)
	if err != nil {
		return s.fail(http.StatusBadRequest, err.Error())
	}
	if len(problems) > 0 {
		return s.invalid(problems)
	}
	if h.Secret == "" {
		h.Secret = "whsec_" + rand.Text()
	}
	s.Hooks.Put(h)
	r.Call.Object, r.Call.ID = "webhooks", h.ID
	out := showHook(h)
	// The secret is shown once, when the hook is made.
	out["secret"] = h.Secret
	return s.ok(http.StatusCreated, out)
}

func (s *Server) getHook(r *front.Request) front.Response {
	h, ok := s.Hooks.Get(r.PathValue("id"))
	if !ok {
		return s.fail(http.StatusNotFound, "not found")
	}
	return s.ok(http.StatusOK, showHook(h))
}

func (s *Server) patchHook(r *front.Request) front.Response {
	h, ok := s.Hooks.Get(r.PathValue("id"))
	if !ok {
		return s.fail(http.StatusNotFound, "not found")
	}
	problems, err := s.apply(r.Body, &h)
	if err != nil {
		return s.fail(http.StatusBadRequest, err.Error())
	}
	if len(problems) > 0 {
		return s.invalid(problems)
	}
	h.UpdatedAt = s.World.Now().Truncate(time.Second)
	s.Hooks.Put(h)
	r.Call.Object, r.Call.ID = "webhooks", h.ID
	return s.ok(http.StatusOK, showHook(h))
}

func (s *Server) deleteHook(r *front.Request) front.Response {
	if !s.Hooks.Remove(r.PathValue("id")) {
		return s.fail(http.StatusNotFound, "not found")
	}
	r.Call.Object, r.Call.ID = "webhooks", r.PathValue("id")
	return front.Response{Status: http.StatusNoContent}
}
