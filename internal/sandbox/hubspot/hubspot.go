// Package hubspot is a server that behaves as HubSpot's public documentation says: CRM
// objects whose properties are texts, searches that count their rows, trail behind and end
// at 10,000, associations, archived and merged records, two rate limits, tokens of thirty
// minutes, and webhooks in unordered batches with signature version 3.
//
// What it follows, read in November 2026:
//
//   - https://developers.hubspot.com/docs/api/crm/understanding-the-crm (objects, properties, archived records)
//   - https://developers.hubspot.com/docs/api/crm/search (filters, 10,000 results, five requests a second, no rate-limit headers)
//   - https://developers.hubspot.com/docs/api/usage-details (110 requests in ten seconds, headers, the body of a 429)
//   - https://developers.hubspot.com/docs/api/crm/associations (version 4)
//   - https://developers.hubspot.com/docs/api/oauth/tokens (30 minutes, refresh)
//   - https://developers.hubspot.com/docs/api/webhooks (events, batches of 100, ten retries)
//   - https://developers.hubspot.com/docs/api/webhooks/validating-requests (signature version 3, five minutes)
package hubspot

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/admin"
	"github.com/accord-sync/accord/internal/sandbox/auth"
	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/hooks"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// PortalID is the account that events name.
const PortalID = 62515

// Options make a Server.
type Options struct {
	// Now is the true time. Required.
	Now func() time.Time
	// Clients are the apps that may ask for tokens. One with a Token is a private app.
	Clients []auth.Client
	// TimeScale divides the pauses between webhook attempts; default 1.
	TimeScale float64
	// HookTimeout is how long a receiver may take; default 5 s.
	HookTimeout time.Duration
	// BatchWait is how long events are collected into one message; default 20 ms.
	BatchWait time.Duration
	// AnyHookURL accepts plain http to any host; else only to loopback and private ones.
	AnyHookURL bool
}

// Server is the HubSpot sandbox. Safe for concurrent use.
type Server struct {
	World *world.World
	Hooks *hooks.Queue

	opts     Options
	auth     *auth.Server
	front    *front.Front
	searches *front.Limiter
	ids      *atomic.Int64
	events   atomic.Int64

	mu            sync.Mutex
	subscriptions map[string][]subscription // by app
}

// Switches are the behaviours a fresh server has.
func Switches() wire.Switches {
	return wire.Switches{
		Unique: true, ExistingID: true, UpdatedAfter: wire.FilterSupported, CustomFields: wire.PatchMerge, Tags: wire.PatchReplace,
		FilterBound: wire.BoundInclusive, MergedIDs: wire.MergedSurvivor, Alter: true,
		GranularityMS: 1, RetryAfter: wire.RetryAbsent, WebhookForm: wire.FormEnvelope, DealWrites: wire.DealEndpoints, TokenTTLMS: 30 * 60 * 1000,
	}
}

// Limits are what HubSpot documents for an app. A fresh server has none.
func Limits() wire.Limits { return wire.Limits{Requests: 110, WindowMS: 10_000, SearchPerSecond: 5} }

// firstID makes ids that are ordered as texts too.
const firstID = 10_000_000

// New starts a server. Close it.
func New(o Options) *Server {
	if o.HookTimeout == 0 {
		o.HookTimeout = 5 * time.Second
	}
	if o.BatchWait == 0 {
		o.BatchWait = 20 * time.Millisecond
	}
	s := &Server{opts: o, ids: &atomic.Int64{}, subscriptions: map[string][]subscription{}, searches: front.NewRolling()}
	s.ids.Store(firstID)
	s.World = world.New(world.Options{Now: o.Now, Schemas: schemas(), Switches: Switches(),
		NewID: func(string) string { return strconv.FormatInt(s.ids.Add(1), 10) }})
	s.auth = auth.New(auth.Options{Now: s.World.Now, Clients: o.Clients, Prefix: "hub_", Scopes: scopes(),
		TTL: func() time.Duration { return time.Duration(s.World.Switches().TokenTTLMS) * time.Millisecond }})
	// "up to 10 times … over the next 24 hours with varying delays".
	s.Hooks = hooks.New(hooks.Options{Encode: s.encode, Timeout: o.HookTimeout, Scale: o.TimeScale, BatchMax: 100, BatchWait: o.BatchWait,
		Pauses: []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 7 * time.Hour}})
	s.World.Listen(s.publish)
	s.front = front.New(s.World, s.auth, front.Dialect{
		Problem: problem, Quota: setQuota,
		EmptyList: func(*http.Request) any { return map[string]any{"results": []any{}, "total": 0} },
		Free: func(path string) bool {
			return strings.HasPrefix(path, "/oauth/") || strings.HasPrefix(path, "/webhooks/")
		},
		Apart: func(path string) (*front.Limiter, string) {
			if strings.HasPrefix(path, "/crm/v3/objects/") && strings.HasSuffix(path, "/search") {
				return s.searches, policySecondly
			}
			return nil, ""
		},
	})
	s.front.Limits = front.NewRolling()
	s.front.Admin(admin.New(admin.Options{World: s.World, Hooks: s.Hooks, Auth: s.auth, Faults: s.front.Faults, Limits: s.front.Limits, Searches: s.searches,
		Template: template, Forge: s.forge, Complete: complete, OnReset: s.reset}))
	s.routes()
	return s
}

// ServeHTTP answers API and admin requests.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.front.ServeHTTP(w, r) }

// Close stops the webhook deliveries.
func (s *Server) Close() { s.Hooks.Close() }

func (s *Server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions = map[string][]subscription{}
}

func (s *Server) routes() {
	f := s.front
	f.Handle("POST /oauth/v1/token", s.token)
	f.Handle("GET /oauth/authorize", s.authorize)
	for _, object := range s.World.Objects() {
		t := s.World.Table(object)
		if t.Schema.ReadOnly {
			continue
		}
		at, scope := "/crm/v3/objects/"+object, scopeOf(object)
		f.Handle("GET "+at, s.need(scope+".read", s.list(t)))
		f.Handle("POST "+at, s.need(scope+".write", s.create(t)))
		f.Handle("POST "+at+"/search", s.need(scope+".read", s.search(t)))
		f.Handle("POST "+at+"/merge", s.need(scope+".write", s.merge(t)))
		f.Handle("POST "+at+"/batch/read", s.need(scope+".read", s.batchRead(t)))
		f.Handle("GET "+at+"/{id}", s.need(scope+".read", s.get(t)))
		f.Handle("PATCH "+at+"/{id}", s.need(scope+".write", s.patch(t)))
		f.Handle("DELETE "+at+"/{id}", s.need(scope+".write", s.archive(t)))
		f.Handle("GET /crm/v3/properties/"+object, s.need(scope+".read", s.properties(t)))
	}
	f.Handle("GET /crm/v3/owners", s.need("crm.objects.owners.read", s.owners))
	f.Handle("GET /crm/v3/owners/{id}", s.need("crm.objects.owners.read", s.owner))
	f.Handle("GET /crm/v3/pipelines/deals", s.need("crm.objects.deals.read", s.pipelines))
	f.Handle("GET /crm/v4/objects/{from}/{id}/associations/{to}", s.need("", s.associations))
	f.Handle("PUT /crm/v4/objects/{from}/{id}/associations/default/{to}/{other}", s.need("", s.associate))
	f.Handle("DELETE /crm/v4/objects/{from}/{id}/associations/{to}/{other}", s.need("", s.dissociate))
	f.Handle("POST /crm/v4/associations/{from}/{to}/batch/read", s.need("", s.batchAssociations))
	f.Handle("GET /webhooks/v3/{app}/settings", s.developer(s.showSettings))
	f.Handle("PUT /webhooks/v3/{app}/settings", s.developer(s.putSettings))
	f.Handle("GET /webhooks/v3/{app}/subscriptions", s.developer(s.listSubscriptions))
	f.Handle("POST /webhooks/v3/{app}/subscriptions", s.developer(s.createSubscription))
	f.Handle("/", s.need("", func(*front.Request) front.Response { return notFound() }))
}

// scopes are all that exist here. Meetings, calls and e-mails go by those of contacts.
func scopes() []string {
	out := []string{"oauth", "crm.objects.owners.read"}
	for _, object := range []string{"contacts", "companies", "deals"} {
		out = append(out, "crm.objects."+object+".read", "crm.objects."+object+".write")
	}
	return out
}

func scopeOf(object string) string {
	switch object {
	case "companies", "deals":
		return "crm.objects." + object
	}
	return "crm.objects.contacts"
}

// need asks for a token and, unless empty, for a scope.
func (s *Server) need(scope string, h func(*front.Request) front.Response) func(*front.Request) front.Response {
	return func(r *front.Request) front.Response {
		switch r.State {
		case auth.OK:
		case auth.Expired:
			return failure(http.StatusUnauthorized, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call has expired.")
		default:
			return failure(http.StatusUnauthorized, "INVALID_AUTHENTICATION", "Authentication credentials not found or not valid.")
		}
		if scope != "" && !r.Token.Has(scope) {
			return failure(http.StatusForbidden, "MISSING_SCOPES", "This app hasn't been granted all required scopes to make this call: "+scope)
		}
		return h(r)
	}
}

// The policies that a 429 names.
const (
	policyPlan     = "TEN_SECONDLY_ROLLING"
	policySecondly = "SECONDLY"
)

func failure(status int, category, message string) front.Response {
	return front.Response{Status: status, Body: said(category, message)}
}

func said(category, message string) map[string]any {
	return map[string]any{"status": "error", "message": message, "correlationId": correlation(), "category": category}
}

// correlation is the id of one call.
func correlation() string {
	text := strings.ToLower(rand.Text())
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

func notFound() front.Response {
	return failure(http.StatusNotFound, "OBJECT_NOT_FOUND", "resource not found")
}

func badRequest(message string) front.Response {
	return failure(http.StatusBadRequest, "VALIDATION_ERROR", message)
}

// problem is what the shell has to say: a limit, or a fault that was asked for.
func problem(p front.Problem) any {
	switch p.Status {
	case http.StatusTooManyRequests:
		policy, words := policyPlan, "ten_secondly_rolling"
		if p.Policy == policySecondly {
			policy, words = policySecondly, "secondly"
		}
		return map[string]any{"status": "error", "message": "You have reached your " + words + " limit.", "errorType": "RATE_LIMIT",
			"correlationId": correlation(), "policyName": policy, "requestId": correlation()}
	case http.StatusConflict:
		return said("CONFLICT", existing("Contact", p.ExistingID))
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		if p.Field != "" {
			return invalidBody([]world.Problem{{Field: p.Field, Message: p.Message}})
		}
		return said("VALIDATION_ERROR", p.Message)
	case http.StatusNotFound:
		return said("OBJECT_NOT_FOUND", "resource not found")
	case http.StatusUnauthorized:
		return said("EXPIRED_AUTHENTICATION", p.Message)
	}
	return said("INTERNAL_ERROR", p.Message)
}

// existing is what a 409 says; without an id it does not tell which record is in the way.
func existing(title, id string) string {
	if id == "" {
		return title + " already exists."
	}
	return title + " already exists. Existing ID: " + id
}

// setQuota sets the headers of the ten-second limit. No header says when it ends.
func setQuota(h http.Header, limit, remaining int, _, _ time.Time) {
	h.Set("X-HubSpot-RateLimit-Max", strconv.Itoa(limit))
	h.Set("X-HubSpot-RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
}
