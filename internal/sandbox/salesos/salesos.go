// Package salesos is a server that behaves like the SalesOS v1 API: envelopes,
// page listings, JSON tokens of a day, times to the second, one webhook per event.
// What the vendor leaves undocumented is a switch.
package salesos

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/accord-sync/accord/internal/sandbox/admin"
	"github.com/accord-sync/accord/internal/sandbox/auth"
	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/hooks"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// Options make a Server.
type Options struct {
	// Now is the true time. Required.
	Now func() time.Time
	// Clients may ask for tokens.
	Clients []auth.Client
	// TimeScale divides the pauses between webhook attempts; default 1.
	TimeScale float64
	// HookTimeout is how long a receiver may take; default 10 s.
	HookTimeout time.Duration
	// AnyHookURL accepts plain http to any host; else only to loopback and private ones.
	AnyHookURL bool
}

// Server is the SalesOS sandbox. Safe for concurrent use.
type Server struct {
	World *world.World
	Hooks *hooks.Queue

	opts  Options
	auth  *auth.Server
	front *front.Front
	seq   atomic.Int64
}

// Switches are the behaviours a fresh server has.
func Switches() wire.Switches {
	return wire.Switches{
		UpdatedAfter: wire.FilterSupported, CustomFields: wire.PatchMerge, Tags: wire.PatchReplace,
		FilterBound: wire.BoundExclusive, MergedIDs: wire.MergedSurvivor, Alter: true,
		GranularityMS: 1000, RetryAfter: wire.RetrySeconds, WebhookForm: wire.FormEnvelope,
		DealWrites: wire.DealEndpoints, TokenTTLMS: 24 * 60 * 60 * 1000,
	}
}

// New starts a server. Close it.
func New(o Options) *Server {
	if o.HookTimeout == 0 {
		o.HookTimeout = 10 * time.Second
	}
	s := &Server{opts: o}
	s.World = world.New(world.Options{Now: o.Now, NewID: func(string) string { return uuid.NewString() }, Schemas: schemas(), Switches: Switches()})
	s.auth = auth.New(auth.Options{Now: s.World.Now, Clients: o.Clients, Prefix: "p2s_",
		TTL:    func() time.Duration { return time.Duration(s.World.Switches().TokenTTLMS) * time.Millisecond },
		Scopes: []string{"leads:read", "leads:write", "default:sync"}})
	s.Hooks = hooks.New(hooks.Options{Encode: s.encode, Timeout: o.HookTimeout, Scale: o.TimeScale, DisableAfter: 10,
		Pauses: []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 12 * time.Hour}})
	s.World.Listen(s.publish)
	s.front = front.New(s.World, s.auth, front.Dialect{
		Problem: s.problem, EmptyList: s.emptyList, Quota: setQuota,
		Free: func(path string) bool { return strings.HasSuffix(path, "/oauth/token") || path == "/authorize" },
	})
	s.front.Admin(admin.New(admin.Options{World: s.World, Hooks: s.Hooks, Auth: s.auth, Faults: s.front.Faults, Limits: s.front.Limits, Template: template, Complete: complete, Forge: s.forge}))
	s.routes()
	return s
}

// ServeHTTP answers API and admin requests.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.front.ServeHTTP(w, r) }

// Close stops the webhook deliveries.
func (s *Server) Close() { s.Hooks.Close() }

func (s *Server) routes() {
	f := s.front
	for _, prefix := range []string{"", "/v1"} {
		f.Handle("POST "+prefix+"/oauth/token", s.token)
	}
	f.Handle("GET /authorize", s.authorize)
	for _, object := range []string{"leads", "deals"} {
		f.Handle("GET /v1/"+object, s.need("read", s.list(object)))
		f.Handle("POST /v1/"+object, s.need("write", s.create(object)))
		f.Handle("GET /v1/"+object+"/{id}", s.need("read", s.get(object)))
		f.Handle("PATCH /v1/"+object+"/{id}", s.need("write", s.patch(object)))
		f.Handle("DELETE /v1/"+object+"/{id}", s.need("write", s.remove(object)))
	}
	f.Handle("POST /v1/leads/{id}/convert", s.need("write", s.convert))
	f.Handle("POST /v1/deals/{id}/move", s.need("write", s.move))
	f.Handle("POST /v1/deals/{id}/close", s.need("write", s.closeDeal))
	f.Handle("GET /v1/stages", s.need("", s.stages))
	f.Handle("GET /v1/teams", s.need("", s.teams))
	f.Handle("GET /v1/users", s.need("", s.list("users")))
	f.Handle("POST /v1/users", s.need("write", s.invite))
	f.Handle("GET /v1/users/{id}", s.need("", s.get("users")))
	f.Handle("DELETE /v1/users/{id}", s.need("write", s.deactivate))
	f.Handle("GET /v1/webhooks", s.need("", s.listHooks))
	f.Handle("POST /v1/webhooks", s.need("", s.createHook))
	f.Handle("GET /v1/webhooks/{id}", s.need("", s.getHook))
	f.Handle("PATCH /v1/webhooks/{id}", s.need("", s.patchHook))
	f.Handle("DELETE /v1/webhooks/{id}", s.need("", s.deleteHook))
	f.Handle("/", s.need("", func(*front.Request) front.Response {
		return s.fail(http.StatusNotFound, "there is no such path or method")
	}))
}

// need asks for a token, and for a scope: "read" or "write" of leads, or default:sync.
func (s *Server) need(right string, h func(*front.Request) front.Response) func(*front.Request) front.Response {
	return func(r *front.Request) front.Response {
		if r.State != auth.OK {
			return s.fail(http.StatusUnauthorized, tokenProblem(r.State))
		}
		if right != "" && !r.Token.Has("leads:"+right, "default:sync") {
			return s.fail(http.StatusForbidden, "the token lacks the scope leads:"+right)
		}
		return h(r)
	}
}

func tokenProblem(state auth.State) string {
	switch state {
	case auth.Missing:
		return "missing bearer token"
	case auth.Expired:
		return "token expired"
	}
	return "invalid token"
}

func (s *Server) meta() map[string]any {
	return map[string]any{"request_id": fmt.Sprintf("req_%012x", s.seq.Add(1)), "timestamp": stamp(s.World.Now())}
}

func (s *Server) ok(status int, data any) front.Response {
	return front.Response{Status: status, Body: map[string]any{"data": data, "meta": s.meta()}}
}

func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "BAD_REQUEST"
	case http.StatusUnauthorized:
		return "UNAUTHORIZED"
	case http.StatusForbidden:
		return "FORBIDDEN"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusConflict:
		return "DUPLICATE"
	case http.StatusPreconditionFailed:
		return "PRECONDITION_FAILED"
	case http.StatusRequestEntityTooLarge:
		return "PAYLOAD_TOO_LARGE"
	case http.StatusUnprocessableEntity:
		return "VALIDATION_ERROR"
	case http.StatusTooManyRequests:
		return "RATE_LIMITED"
	case http.StatusServiceUnavailable:
		return "SERVICE_UNAVAILABLE"
	}
	return "INTERNAL_ERROR"
}

func (s *Server) problem(p front.Problem) any {
	body := map[string]any{"code": codeOf(p.Status), "message": p.Message}
	if p.ExistingID != "" {
		body["existing_id"] = p.ExistingID
	}
	if p.Field != "" {
		body["details"] = []map[string]any{{"field": p.Field, "message": p.Message}}
	}
	return map[string]any{"error": body, "meta": s.meta()}
}

func (s *Server) fail(status int, message string) front.Response {
	return front.Response{Status: status, Body: s.problem(front.Problem{Status: status, Message: message})}
}

func (s *Server) invalid(problems []world.Problem) front.Response {
	details := make([]map[string]any, 0, len(problems))
	for _, p := range problems {
		details = append(details, map[string]any{"field": p.Field, "message": p.Message})
	}
	return front.Response{Status: http.StatusUnprocessableEntity, Body: map[string]any{
		"error": map[string]any{"code": "VALIDATION_ERROR", "message": "validation failed", "details": details}, "meta": s.meta()}}
}

func (s *Server) emptyList(*http.Request) any {
	m := s.meta()
	m["total"], m["page"], m["per_page"], m["total_pages"] = 0, 1, 25, 0
	return map[string]any{"data": []any{}, "meta": m}
}

func setQuota(h http.Header, limit, remaining int, _, reset time.Time) {
	h.Set("X-RateLimit-Limit", fmt.Sprint(limit))
	h.Set("X-RateLimit-Remaining", fmt.Sprint(remaining))
	h.Set("X-RateLimit-Reset", fmt.Sprint(reset.Unix()))
}

// template is what seeding makes when no template is given.
func template(object string) map[string]any {
	switch object {
	case "leads":
		return map[string]any{"name": "Lead {n}", "email": "lead{n}@example.com", "phone": "+55 11 9{n}", "company": "Company {n}", "source": "seed", "tags": []any{"seed"},
			"custom_fields": map[string]any{"segment": "s{n}"}}
	case "users":
		return map[string]any{"name": "User {n}", "email": "user{n}@example.com"}
	}
	return map[string]any{"name": "Deal {n}"}
}
