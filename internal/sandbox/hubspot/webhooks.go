package hubspot

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/fnv"
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

// nouns are the names of objects in events.
func nouns() map[string]string {
	return map[string]string{"contacts": "contact", "companies": "company", "deals": "deal", "meetings": "meeting", "calls": "call", "emails": "email", "owners": "owner"}
}

// subscription is one event that an app asked for, a property of it where it changes.
type subscription struct {
	ID       string    `json:"id"`
	Type     string    `json:"eventType"`
	Property string    `json:"propertyName,omitempty"`
	Active   bool      `json:"active"`
	Created  time.Time `json:"createdAt"`
}

// wanted reports whether an app listens to an event, and under which subscription.
func (s *Server) wanted(app, kind, property string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.subscriptions[app] {
		if one.Active && one.Type == kind && (property == "" || one.Property == property) {
			return one.ID, true
		}
	}
	return "", false
}

// publish tells a change as HubSpot does: one event for each property.
func (s *Server) publish(c world.Change) {
	noun := nouns()[c.New.Object]
	base := map[string]any{"objectId": number64(c.New.ID)}
	switch c.Op {
	case "create":
		s.tell(c, noun+".creation", "", with(base, "changeFlag", "CREATED"))
	case "delete":
		s.tell(c, noun+".deletion", "", with(base, "changeFlag", "DELETED"))
	case "merge":
		s.tell(c, noun+".merge", "", map[string]any{"objectId": number64(c.New.MergedInto), "primaryObjectId": number64(c.New.MergedInto),
			"mergedObjectIds": []any{number64(c.New.ID)}, "numberOfPropertiesMoved": 0})
	}
	if c.Op != "create" && c.Op != "update" {
		return
	}
	for _, name := range c.Fields {
		if name == associated {
			s.relinked(c)
			continue
		}
		s.tell(c, noun+".propertyChange", name, with(with(base, "propertyName", name), "propertyValue", c.New.Text(name)))
	}
}

// relinked tells each association that came or went.
func (s *Server) relinked(c world.Change) {
	var before []any
	if c.Old != nil {
		before, _ = c.Old.Fields[associated].([]any)
	}
	after, _ := c.New.Fields[associated].([]any)
	for _, id := range slices.Concat(before, after) {
		was, is := slices.Contains(before, id), slices.Contains(after, id)
		if was != is {
			s.tell(c, nouns()[c.New.Object]+".associationChange", "", map[string]any{"fromObjectId": number64(c.New.ID), "toObjectId": number64(textOf(id)),
				"associationType": relation(c.New.Object, "contacts"), "associationRemoved": was, "isPrimaryAssociation": false})
		}
	}
}

func with(event map[string]any, key string, value any) map[string]any {
	made := maps.Clone(event)
	made[key] = value
	return made
}

// nounsOfHooks are the names that forged events go by: those reach every app.
func nounsOfHooks() []string {
	var names []string
	for _, noun := range nouns() {
		names = append(names, noun+".*")
	}
	return names
}

// tell puts an event before every app.
func (s *Server) tell(c world.Change, kind, property string, event map[string]any) {
	at := s.World.Now()
	source := "CRM_UI"
	if strings.HasPrefix(c.Actor, "app:") {
		source = "INTEGRATION"
	}
	for _, hook := range s.Hooks.List() {
		id, ok := s.wanted(hook.ID, kind, property)
		if !ok {
			continue
		}
		s.Hooks.Publish(hook.ID+".event", func() hooks.Event {
			number := s.events.Add(1)
			data := maps.Clone(event)
			maps.Copy(data, map[string]any{"eventId": number, "subscriptionId": number64(id), "portalId": PortalID, "appId": hook.ID, "occurredAt": at.UnixMilli(),
				"subscriptionType": kind, "attemptNumber": 0, "changeSource": source})
			return hooks.Event{ID: strconv.FormatInt(number, 10), Name: kind, Record: cmp.Or(textOf(data["objectId"]), textOf(data["fromObjectId"])), At: at, Data: data}
		})
	}
}

// forge makes up an event.
func (s *Server) forge(f wire.Forge) (hooks.Event, error) {
	if !knownEvent(f.Event) {
		return hooks.Event{}, fmt.Errorf("there is no event %q", f.Event)
	}
	at, number := s.World.Now(), s.events.Add(1)
	data := map[string]any{"objectId": number64(f.ID), "eventId": number, "subscriptionType": f.Event, "portalId": PortalID, "occurredAt": at.UnixMilli(), "attemptNumber": 0}
	maps.Copy(data, f.Data)
	return hooks.Event{ID: strconv.FormatInt(number, 10), Name: f.Event, Record: f.ID, At: at, Data: data}, nil
}

func knownEvent(name string) bool {
	noun, verb, _ := strings.Cut(name, ".")
	for _, known := range nouns() {
		if known == noun && noun != "owner" {
			return slices.Contains([]string{"creation", "deletion", "merge", "restore", "propertyChange", "associationChange"}, verb)
		}
	}
	return false
}

// encode makes a batch in no order that anybody could rely on, and signs method, address,
// body and time (signature version 3).
func (s *Server) encode(h hooks.Hook, events []hooks.Event, shift time.Duration) ([]byte, http.Header, error) {
	events = slices.Clone(events)
	slices.SortFunc(events, func(a, b hooks.Event) int { return cmp.Compare(scattered(a.ID), scattered(b.ID)) })
	batch := make([]any, 0, len(events))
	for _, one := range events {
		batch = append(batch, one.Data)
	}
	raw, err := front.Encode(batch)
	if err != nil {
		return nil, nil, err
	}
	at := strconv.FormatInt(s.World.Now().Add(shift).UnixMilli(), 10)
	secret := h.Secret
	if secret == "" {
		secret = s.auth.Secret(h.ID) // the app's own
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(http.MethodPost + h.URL))
	mac.Write(raw)
	mac.Write([]byte(at))
	header := http.Header{}
	header.Set("X-HubSpot-Signature-v3", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	header.Set("X-HubSpot-Request-Timestamp", at)
	return raw, header, nil
}

func scattered(text string) uint32 {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(text)) // a hash takes everything
	return sum.Sum32()
}

// developer asks for the developer key of an app, "dev-<client id>", as hapikey.
func (s *Server) developer(h handler) handler {
	return func(r *front.Request) front.Response {
		app := r.PathValue("app")
		if s.auth.Secret(app) == "" || r.URL.Query().Get("hapikey") != "dev-"+app {
			return failure(http.StatusUnauthorized, "INVALID_AUTHENTICATION", "The API key provided is invalid.")
		}
		r.Call.Object, r.Call.ID = "webhooks", app
		return h(r)
	}
}

func (s *Server) showSettings(r *front.Request) front.Response {
	hook, ok := s.Hooks.Get(r.PathValue("app"))
	if !ok {
		return notFound()
	}
	return front.Response{Status: http.StatusOK, Body: map[string]any{"targetUrl": hook.URL, "throttling": map[string]any{"maxConcurrentRequests": 10},
		"createdAt": stamp(hook.CreatedAt), "updatedAt": stamp(hook.UpdatedAt)}}
}

// putSettings says where an app's events go.
func (s *Server) putSettings(r *front.Request) front.Response {
	var in struct {
		Target     string         `json:"targetUrl"`
		Throttling map[string]any `json:"throttling"`
	}
	if err := world.DecodeInto(r.Body, &in); err != nil {
		return badRequest("Invalid input JSON")
	}
	if wrong := hooks.CheckURL(in.Target, s.opts.AnyHookURL); wrong != "" {
		return badRequest("targetUrl " + wrong)
	}
	app := r.PathValue("app")
	now := s.World.Stamp()
	hook, there := s.Hooks.Get(app)
	if !there {
		hook = hooks.Hook{ID: app, Events: append(nounsOfHooks(), app+".*"), Active: true, CreatedAt: now}
	}
	hook.URL, hook.UpdatedAt = in.Target, now
	s.Hooks.Put(hook)
	return s.showSettings(r)
}

func (s *Server) listSubscriptions(r *front.Request) front.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	return front.Response{Status: http.StatusOK, Body: map[string]any{"results": slices.Concat([]subscription{}, s.subscriptions[r.PathValue("app")])}}
}

func (s *Server) createSubscription(r *front.Request) front.Response {
	in := subscription{Active: true}
	if err := world.DecodeInto(r.Body, &in); err != nil || !knownEvent(in.Type) {
		return badRequest("eventType is missing or unknown")
	}
	if strings.HasSuffix(in.Type, ".propertyChange") != (in.Property != "") {
		return badRequest("propertyName goes with propertyChange, and with nothing else")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in.ID, in.Created = strconv.FormatInt(s.ids.Add(1), 10), s.World.Stamp()
	app := r.PathValue("app")
	s.subscriptions[app] = append(s.subscriptions[app], in)
	return front.Response{Status: http.StatusCreated, Body: in}
}
