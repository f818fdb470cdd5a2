// Package acme is a server that behaves like the Acme CRM API: versions with
// ETag and If-Match, unique e-mails, cursor listings by time of change,
// Idempotency-Key, batches of thin webhook events, merges.
package acme

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/admin"
	"github.com/accord-sync/accord/internal/sandbox/auth"
	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/hooks"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// base is the prefix of all API paths.
const base = "/api/2"

// Options make a Server.
type Options struct {
	// Now is the true time. Required.
	Now func() time.Time
	// Clients may ask for tokens.
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

// Server is the Acme sandbox. Safe for concurrent use.
type Server struct {
	World *world.World
	Hooks *hooks.Queue

	opts  Options
	auth  *auth.Server
	front *front.Front
	keys  *keys
}

// Switches are the behaviours a fresh server has.
func Switches() wire.Switches {
	return wire.Switches{
		Unique: true, ExistingID: true, Versions: true, IdempotencyKeys: true,
		UpdatedAfter: wire.FilterSupported, CustomFields: wire.PatchMerge, Tags: wire.PatchReplace,
		FilterBound: wire.BoundInclusive, MergedIDs: wire.MergedSurvivor, Alter: true,
		Encoding: wire.EncodingUTF8, CSVDelimiter: ",", CSVRanges: true,
		GranularityMS: 1, RetryAfter: wire.RetrySeconds, WebhookForm: wire.FormEnvelope, DealWrites: wire.DealEndpoints, TokenTTLMS: 30 * 60 * 1000,
	}
}

// New starts a server. Close it.
func New(o Options) *Server {
	if o.HookTimeout == 0 {
		o.HookTimeout = 5 * time.Second
	}
	if o.BatchWait == 0 {
		o.BatchWait = 20 * time.Millisecond
	}
	s := &Server{opts: o}
	s.World = world.New(world.Options{Now: o.Now, NewID: newID, Schemas: schemas(), Switches: Switches()})
	s.keys = newKeys(s.World.Now)
	s.auth = auth.New(auth.Options{Now: s.World.Now, Clients: o.Clients, Prefix: "acme_", Rotate: true, Scopes: s.scopes(),
		TTL: func() time.Duration { return time.Duration(s.World.Switches().TokenTTLMS) * time.Millisecond }})
	s.Hooks = hooks.New(hooks.Options{Encode: s.encode, Timeout: o.HookTimeout, Scale: o.TimeScale, BatchMax: 100, BatchWait: o.BatchWait,
		Pauses: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour}})
	s.World.Listen(s.publish)
	s.front = front.New(s.World, s.auth, front.Dialect{
		Problem: problem, Quota: setQuota,
		EmptyList: func(*http.Request) any { return map[string]any{"items": []any{}, "next_cursor": nil} },
		Free:      func(path string) bool { return strings.Contains(path, "/oauth/") },
	})
	s.front.Admin(admin.New(admin.Options{World: s.World, Hooks: s.Hooks, Auth: s.auth, Faults: s.front.Faults, Limits: s.front.Limits, Template: template, Forge: s.forge, OnReset: s.keys.reset}))
	s.routes()
	return s
}

// ServeHTTP answers API and admin requests.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.front.ServeHTTP(w, r) }

// Close stops the webhook deliveries.
func (s *Server) Close() { s.Hooks.Close() }

func (s *Server) scopes() []string {
	var out []string
	for _, object := range s.World.Objects() {
		out = append(out, object+".read")
		if !s.World.Table(object).Schema.ReadOnly {
			out = append(out, object+".write")
		}
	}
	return out
}

func (s *Server) routes() {
	f := s.front
	for _, prefix := range []string{"", base} {
		f.Handle("POST "+prefix+"/oauth/token", s.token)
		f.Handle("GET "+prefix+"/oauth/authorize", s.authorize)
	}
	for _, object := range s.World.Objects() {
		t := s.World.Table(object)
		at := base + "/" + object
		f.Handle("GET "+at, s.need(object+".read", s.list(t)))
		f.Handle("GET "+at+"/search", s.need(object+".read", s.search(t)))
		f.Handle("GET "+at+"/batch", s.need(object+".read", s.getBatch(t)))
		f.Handle("GET "+at+"/{id}", s.need(object+".read", s.get(t)))
		f.Handle("GET "+base+"/export/"+object+".csv", s.need(object+".read", s.export(t)))
		if t.Schema.ReadOnly {
			continue
		}
		f.Handle("POST "+at, s.need(object+".write", s.once(s.create(t))))
		f.Handle("POST "+at+"/batch", s.need(object+".write", s.once(s.batch(t))))
		f.Handle("PATCH "+at+"/{id}", s.need(object+".write", s.patch(t)))
		f.Handle("DELETE "+at+"/{id}", s.need(object+".write", s.remove(t)))
	}
	s.oldRoutes()
	f.Handle("GET "+base+"/deleted", s.need("", s.deleted))
	f.Handle("GET "+base+"/fields", s.need("", s.fields))
	f.Handle("GET "+base+"/hooks", s.need("", s.listHooks))
	f.Handle("POST "+base+"/hooks", s.need("", s.once(s.createHook)))
	f.Handle("GET "+base+"/hooks/{id}", s.need("", s.getHook))
	f.Handle("PATCH "+base+"/hooks/{id}", s.need("", s.patchHook))
	f.Handle("DELETE "+base+"/hooks/{id}", s.need("", s.deleteHook))
	f.Handle("/", s.need("", func(*front.Request) front.Response { return notFound() }))
}

// oldRoutes are those of the old interface of companies, in XML.
func (s *Server) oldRoutes() {
	t, at := s.World.Table("companies"), base+"/xml/companies"
	handle := func(method, path, scope string, h handler) {
		s.front.Handle(method+" "+at+path, s.legacy("companies", "company", s.need("companies."+scope, h)))
	}
	handle("GET", "", "read", s.list(t))
	handle("GET", "/search", "read", s.search(t))
	handle("GET", "/{id}", "read", s.get(t))
	handle("POST", "", "write", s.once(s.create(t)))
	handle("PATCH", "/{id}", "write", s.patch(t))
	handle("DELETE", "/{id}", "write", s.remove(t))
	s.front.Handle(base+"/xml/", s.need("", s.notFoundXML))
}

// need asks for a token and, unless empty, for a scope.
func (s *Server) need(scope string, h func(*front.Request) front.Response) func(*front.Request) front.Response {
	return func(r *front.Request) front.Response {
		switch r.State {
		case auth.OK:
		case auth.Expired:
			return failure(http.StatusUnauthorized, "auth", "token_expired", "the access token has expired")
		default:
			return failure(http.StatusUnauthorized, "auth", "token_invalid", "the access token is missing or unknown")
		}
		if scope != "" && !r.Token.Has(scope) {
			return missingScope(scope)
		}
		return h(r)
	}
}

func missingScope(scope string) front.Response {
	return front.Response{Status: http.StatusForbidden, Body: map[string]any{"error": map[string]any{
		"type": "forbidden", "code": "scope_missing", "message": "the token lacks the scope " + scope, "scope": scope}}}
}

func failure(status int, typ, code, message string) front.Response {
	return front.Response{Status: status, Body: map[string]any{"error": map[string]any{"type": typ, "code": code, "message": message}}}
}

func notFound() front.Response {
	return failure(http.StatusNotFound, "not_found", "not_found", "there is no such record or path")
}

func badRequest(message string) front.Response {
	return failure(http.StatusBadRequest, "request", "invalid_request", message)
}

func problem(p front.Problem) any {
	status, message := p.Status, p.Message
	typ := "server"
	switch {
	case status == http.StatusTooManyRequests:
		typ = "rate_limit"
	case status == http.StatusNotFound:
		typ = "not_found"
	case status == http.StatusUnauthorized:
		typ = "auth"
	case status == http.StatusForbidden:
		typ = "forbidden"
	case status == http.StatusConflict:
		typ = "conflict"
	case status == http.StatusUnprocessableEntity:
		typ = "validation"
	case status < 500:
		typ = "request"
	}
	code := strings.ToLower(strings.ReplaceAll(http.StatusText(status), " ", "_"))
	body := map[string]any{"type": typ, "code": code, "message": message}
	if status == http.StatusConflict {
		body["code"] = "duplicate"
	}
	if p.ExistingID != "" {
		body["existing_id"] = p.ExistingID
	}
	if p.Field != "" {
		body["fields"] = map[string][]string{p.Field: {message}}
	}
	return map[string]any{"error": body}
}

func invalid(problems []world.Problem) front.Response {
	fields := map[string][]string{}
	for _, p := range problems {
		fields[p.Field] = append(fields[p.Field], p.Message)
	}
	return front.Response{Status: http.StatusUnprocessableEntity, Body: map[string]any{"error": map[string]any{
		"type": "validation", "code": "invalid", "message": "validation failed", "fields": fields}}}
}

func setQuota(h http.Header, limit, remaining int, now, reset time.Time) {
	h.Set("RateLimit-Limit", fmt.Sprint(limit))
	h.Set("RateLimit-Remaining", fmt.Sprint(remaining))
	h.Set("RateLimit-Reset", fmt.Sprint(max(int64((reset.Sub(now)+time.Second-1)/time.Second), 0)))
}

// token answers POST /oauth/token, form-encoded; the client may use Basic instead of the form.
func (s *Server) token(r *front.Request) front.Response {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return oauthError(&auth.Error{Status: 400, Code: "invalid_request", Description: "Content-Type must be application/x-www-form-urlencoded"})
	}
	p, err := form(r)
	if err != nil {
		return oauthError(&auth.Error{Status: 400, Code: "invalid_request", Description: "the body is no form"})
	}
	r.Call.Actor = "app:" + p["client_id"]
	a, oerr := s.auth.Grant(p)
	if oerr != nil {
		return oauthError(oerr)
	}
	body := map[string]any{"access_token": a.Token.Value, "token_type": "bearer", "expires_in": int64(a.TTL.Seconds()), "scope": a.Token.ScopeText()}
	if a.Refresh != "" {
		body["refresh_token"] = a.Refresh
	}
	return front.Response{Status: http.StatusOK, Header: map[string]string{"Cache-Control": "no-store"}, Body: body}
}

func oauthError(e *auth.Error) front.Response { return front.Response{Status: e.Status, Body: e} }

// authorize approves at once and redirects back with a code.
func (s *Server) authorize(r *front.Request) front.Response {
	back, err := s.auth.Authorize(r.URL.Query())
	if err != nil {
		return oauthError(err)
	}
	return front.Response{Status: http.StatusFound, Header: map[string]string{"Location": back}}
}
