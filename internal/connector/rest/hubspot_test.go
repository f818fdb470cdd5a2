package rest_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/record"
)

// hubspot is a server that behaves as HubSpot's public documentation says, for
// contacts: properties as texts, only those asked for; lists behind an id;
// searches that count their rows and show no more than window of them; tokens
// that last until they are ended; refusals with a category.
type hubspot struct {
	mu       sync.Mutex
	now      func() time.Time
	contacts []*hubContact
	next     int
	tokens   map[string]bool
	window   int
	replace  bool
	searches int
	owner    string
}

type hubContact struct {
	id         int
	properties map[string]any
	made       time.Time
	changed    time.Time
}

var _ connectortest.Server = (*hubspot)(nil)

func newHubspot(now func() time.Time) *hubspot {
	return &hubspot{now: now, next: 100, window: 10_000, tokens: map[string]bool{}}
}

const hubContacts = "/crm/v3/objects/contacts"

// ServeHTTP implements http.Handler.
func (h *hubspot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/oauth/v1/token" {
		h.mint(w, r)
		return
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || !h.tokens[token] {
		h.refuse(w, http.StatusUnauthorized, "EXPIRED_AUTHENTICATION", "the token expired", "")
		return
	}
	rest, found := strings.CutPrefix(r.URL.Path, hubContacts)
	switch {
	case r.URL.Path == "/crm/v3/owners":
		show(w, map[string]any{"results": []any{map[string]any{"id": "900", "email": h.owner, "createdAt": hubTime(h.now()), "updatedAt": hubTime(h.now())}}})
	case r.URL.Path == "/crm/v3/owners/900":
		show(w, map[string]any{"id": "900", "email": h.owner})
	case !found:
		http.NotFound(w, r)
	case rest == "" && r.Method == http.MethodGet:
		h.list(w, r)
	case rest == "" && r.Method == http.MethodPost:
		h.create(w, r)
	case rest == "/search" && r.Method == http.MethodPost:
		h.search(w, r)
	default:
		h.one(w, r, strings.TrimPrefix(rest, "/"))
	}
}

func (h *hubspot) mint(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("client_id") != connectortest.ClientID || r.PostFormValue("client_secret") != connectortest.ClientSecret || r.PostFormValue("refresh_token") != "consent" {
		h.refuse(w, http.StatusBadRequest, "BAD_CLIENT", "missing or unknown client", "")
		return
	}
	token := fmt.Sprintf("token-%d", len(h.tokens))
	h.tokens[token] = true
	show(w, map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 1800, "refresh_token": "consent"})
}

func (h *hubspot) refuse(w http.ResponseWriter, status int, category, message, property string) {
	w.WriteHeader(status)
	said := map[string]any{"status": "error", "message": message, "correlationId": "7e1f-0a", "category": category}
	if property != "" {
		said["errors"] = []any{map[string]any{"message": "not valid", "context": map[string]any{"propertyName": []any{property}}}}
	}
	show(w, said)
}

// shown is a contact with the properties asked for, and those that are always there.
func (h *hubspot) shown(contact *hubContact, asked []string) map[string]any {
	properties := map[string]any{"hs_object_id": strconv.Itoa(contact.id), "createdate": hubTime(contact.made), "lastmodifieddate": hubTime(contact.changed)}
	for _, name := range asked {
		properties[name] = contact.properties[name]
	}
	return map[string]any{"id": strconv.Itoa(contact.id), "properties": properties, "createdAt": hubTime(contact.made), "updatedAt": hubTime(contact.changed), "archived": false}
}

func hubTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func (h *hubspot) list(w http.ResponseWriter, r *http.Request) {
	after, limit := number(r, "after"), number(r, "limit")
	if limit < 1 || limit > 100 {
		h.refuse(w, http.StatusBadRequest, "VALIDATION_ERROR", "limit", "")
		return
	}
	asked := strings.Split(r.URL.Query().Get("properties"), ",")
	answer := map[string]any{}
	results := []any{}
	for _, contact := range h.contacts {
		if contact.id <= after {
			continue
		}
		if len(results) == limit {
			answer["paging"] = map[string]any{"next": map[string]any{"after": strconv.Itoa(after)}}
			break
		}
		results = append(results, h.shown(contact, asked))
		after = contact.id
	}
	answer["results"] = results
	show(w, answer)
}

func (h *hubspot) search(w http.ResponseWriter, r *http.Request) {
	h.searches++
	var asked struct {
		Limit, After int
		Properties   []string
		Sorts        []struct{ PropertyName, Direction string }
		FilterGroups []struct {
			Filters []struct{ PropertyName, Operator, Value string }
		}
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.Limit < 1 || asked.Limit > 200 || len(asked.FilterGroups) != 1 || asked.After+asked.Limit > h.window {
		h.refuse(w, http.StatusBadRequest, "VALIDATION_ERROR", "There was a problem with the request.", "")
		return
	}
	found := []*hubContact{}
	for _, contact := range h.contacts {
		fits := true
		for _, filter := range asked.FilterGroups[0].Filters {
			value, _ := contact.properties[filter.PropertyName].(string)
			switch {
			case filter.PropertyName == "lastmodifieddate" && filter.Operator == "GTE":
				since, err := strconv.ParseInt(filter.Value, 10, 64)
				fits = fits && err == nil && contact.changed.UnixMilli() >= since
			default:
				fits = fits && filter.Operator == "EQ" && strings.EqualFold(value, filter.Value)
			}
		}
		if fits {
			found = append(found, contact)
		}
	}
	if len(asked.Sorts) == 1 && asked.Sorts[0].PropertyName == "lastmodifieddate" {
		slices.SortStableFunc(found, func(a, b *hubContact) int { return cmp.Compare(a.changed.UnixMilli(), b.changed.UnixMilli()) })
	}
	results := []any{}
	for _, contact := range found[min(asked.After, len(found)):min(asked.After+asked.Limit, len(found))] {
		results = append(results, h.shown(contact, asked.Properties))
	}
	answer := map[string]any{"total": len(found), "results": results}
	if asked.After+asked.Limit < len(found) {
		answer["paging"] = map[string]any{"next": map[string]any{"after": strconv.Itoa(asked.After + asked.Limit)}}
	}
	show(w, answer)
}

// read takes the properties of a write; nil: it was refused.
func (h *hubspot) read(w http.ResponseWriter, r *http.Request, own int) map[string]any {
	var body struct{ Properties map[string]any }
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Properties == nil {
		h.refuse(w, http.StatusBadRequest, "VALIDATION_ERROR", "Invalid input JSON", "")
		return nil
	}
	email, _ := body.Properties["email"].(string)
	if email != "" && !strings.Contains(email, "@") {
		h.refuse(w, http.StatusBadRequest, "VALIDATION_ERROR", "Property values were not valid", "email")
		return nil
	}
	for _, contact := range h.contacts {
		if held, _ := contact.properties["email"].(string); email != "" && strings.EqualFold(held, email) && contact.id != own {
			h.refuse(w, http.StatusConflict, "CONFLICT", fmt.Sprintf("Contact already exists. Existing ID: %d", contact.id), "")
			return nil
		}
	}
	return body.Properties
}

func (h *hubspot) create(w http.ResponseWriter, r *http.Request) {
	properties := h.read(w, r, 0)
	if properties == nil {
		return
	}
	made := h.add(properties)
	w.WriteHeader(http.StatusCreated)
	show(w, h.shown(made, nil))
}

func (h *hubspot) add(properties map[string]any) *hubContact {
	h.next++
	made := &hubContact{id: h.next, properties: properties, made: h.now(), changed: h.now()}
	h.contacts = append(h.contacts, made)
	return made
}

func (h *hubspot) one(w http.ResponseWriter, r *http.Request, id string) {
	at := slices.IndexFunc(h.contacts, func(contact *hubContact) bool { return strconv.Itoa(contact.id) == id })
	switch {
	case at < 0 && r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case at < 0:
		h.refuse(w, http.StatusNotFound, "OBJECT_NOT_FOUND", "resource not found", "")
	case r.Method == http.MethodGet:
		show(w, h.shown(h.contacts[at], strings.Split(r.URL.Query().Get("properties"), ",")))
	case r.Method == http.MethodDelete:
		h.contacts = slices.Delete(h.contacts, at, at+1)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPatch:
		if properties := h.read(w, r, h.contacts[at].id); properties != nil {
			h.write(h.contacts[at], properties, h.replace)
			show(w, h.shown(h.contacts[at], nil))
		}
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (h *hubspot) write(contact *hubContact, properties map[string]any, replace bool) {
	if replace {
		contact.properties = map[string]any{}
	}
	for name, value := range properties {
		if value != nil { // null says nothing, the empty text empties
			contact.properties[name] = value
		}
	}
	contact.changed = h.now()
}

// Seed implements connectortest.Server.
func (h *hubspot) Seed(_ *testing.T, n int) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, 0, n)
	for range n {
		made := h.add(map[string]any{"email": fmt.Sprintf("person%d@example.com", h.next), "firstname": "Person"})
		ids = append(ids, strconv.Itoa(made.id))
	}
	return ids
}

func (h *hubspot) held(t *testing.T, id string) *hubContact {
	t.Helper()
	for _, contact := range h.contacts {
		if strconv.Itoa(contact.id) == id {
			return contact
		}
	}
	t.Fatalf("there is no contact %s", id)
	return nil
}

// Edit implements connectortest.Server.
func (h *hubspot) Edit(t *testing.T, id string, fields map[string]any) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	properties := map[string]any{}
	for path, value := range fields {
		properties[strings.TrimPrefix(path, "properties.")] = value
	}
	h.write(h.held(t, id), properties, false)
}

// Remove implements connectortest.Server.
func (h *hubspot) Remove(_ *testing.T, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.contacts = slices.DeleteFunc(h.contacts, func(contact *hubContact) bool { return strconv.Itoa(contact.id) == id })
}

// Fields implements connectortest.Server.
func (h *hubspot) Fields(t *testing.T, id string) record.Fields {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	return record.Fields{"properties": map[string]any(record.Fields(h.held(t, id).properties).Clone())}
}

// ExpireTokens implements connectortest.Server.
func (h *hubspot) ExpireTokens(*testing.T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for token := range h.tokens {
		h.tokens[token] = false
	}
}

// ReplaceInner implements connectortest.Server.
func (h *hubspot) ReplaceInner(t *testing.T, replace bool) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replace = replace
	require.NotNil(t, h.tokens)
}
