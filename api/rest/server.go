// Package rest is Accord's own HTTP API, as openapi.yaml says it: gin handlers
// over the ledger (reads) and control (everything that changes what happens).
package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Store is what the API reads and writes of the ledger.
type Store interface {
	ledger.Connections
	ledger.Conflicts
	ledger.DeadLetters
	ledger.Histories
	ledger.Firings
	ledger.Guards
	ledger.Runs
	ledger.Requests
	ledger.Sides
	ledger.TouchPoints

	// Links lists links; empty filter fields match all.
	Links(ctx context.Context, key ledger.Key, filter ledger.LinkFilter, options ledger.ListOptions) ([]ledger.Link, string, error)
	// CountLinks counts active links by stream.
	CountLinks(ctx context.Context, key ledger.Key) (map[string]int, error)
	// Pending says how much is waiting.
	Pending(ctx context.Context, key ledger.Key, filter ledger.PendingFilter) (ledger.Pending, error)
	// StreamStates returns the schedules of a connection.
	StreamStates(ctx context.Context, key ledger.Key) ([]ledger.StreamState, error)
	// ShapeStates returns what the checks of a connection's shapes have found.
	ShapeStates(ctx context.Context, key ledger.Key) ([]ledger.ShapeState, error)
	// Now is the store's clock.
	Now(ctx context.Context) (time.Time, error)
	// Ping answers nil when the database works.
	Ping(ctx context.Context) error
}

// Control steers what runs. Every method returns *fault.Error: Unavailable
// when Temporal does not answer, Conflict when the state forbids it.
type Control interface {
	// Activate begins to sync a draft; webhook URLs are under the public URL.
	Activate(ctx context.Context, key ledger.Key) error
	// Pause stops reading and writing; Resume goes on.
	Pause(ctx context.Context, key ledger.Key) error
	// Resume goes on after a pause.
	Resume(ctx context.Context, key ledger.Key) error
	// AcceptRestored goes on after the ledger was put back to an older state; from
	// says how old, zero: as noticed.
	AcceptRestored(ctx context.Context, key ledger.Key, from time.Time) error
	// Delete removes webhooks, workflows and the connection itself.
	Delete(ctx context.Context, key ledger.Key) error
	// Nudge tells the connection's workflow that something is due.
	Nudge(ctx context.Context, key ledger.Key) error
	// StartRun starts a run, or joins the running one of its kind and stream.
	StartRun(ctx context.Context, key ledger.Key, kind ledger.RunKind, stream string) (run ledger.Run, joined bool, err error)
	// Resolve decides a conflict; nil seen binds it to what is read now.
	Resolve(ctx context.Context, conflictID string, decision Decided) error
	// ReplayDeadLetters makes parked records due (ids empty: all open ones) and
	// returns the run that carries them, empty for none, and how many.
	ReplayDeadLetters(ctx context.Context, key ledger.Key, ids []string) (runID string, replayed int, err error)
	// PatchDeadLetter gives values for the next replay.
	PatchDeadLetter(ctx context.Context, id string, overrides ledger.Values) (ledger.DeadLetter, error)
	// DiscardDeadLetter gives a parked record up.
	DiscardDeadLetter(ctx context.Context, id, reason string) error
	// DecideGuard approves or rejects held operations (ids empty: all).
	DecideGuard(ctx context.Context, key ledger.Key, ids []string, approve bool) (int, error)
	// Ping answers nil when Temporal answers.
	Ping(ctx context.Context) error
}

// Decided is an operator's decision on a conflict.
type Decided struct {
	Choose ledger.Choice
	// Value is for ledger.ChooseValue, in the left system's form.
	Value any
	// Seen, if set, holds the values the operator saw: left, then right.
	Seen *[2]any
}

// Installer knows integration files.
type Installer interface {
	// Describe parses, fills in and compiles the integration of a connection in
	// full. Mistakes are fault.Usage with positions.
	Describe(ctx context.Context, connection ledger.Connection) (Description, error)
}

// Description is what the API tells about an integration.
type Description struct {
	// Name is the integration's name.
	Name string
	// Streams are in the order of the file.
	Streams []StreamDescription
	// Brokers names the make of each side's broker; a side without one is missing.
	Brokers map[record.Side]string
}

// StreamDescription is what the API tells about a stream.
type StreamDescription struct {
	Name string
	// Guards are what the guard holds; operations that it does not hold are missing.
	Guards []GuardDescription
}

// GuardDescription is one limit of a stream: Max operations pass per Per.
type GuardDescription struct {
	Op  ledger.GuardOp
	Max int
	Per time.Duration
}

// Receiver takes signed events. Its errors are fault.NotFound (no such
// connection), Unauthorized (bad or missing signature), Invalid (signed, but
// not understood), Unavailable (not stored).
type Receiver interface {
	// Receive stores the changes of one delivery before it returns.
	Receive(ctx context.Context, connection string, side record.Side, header http.Header, body []byte) (accepted, ignored int, err error)
}

// Options make a Server. All fields but PublicURL and Console are required.
type Options struct {
	Store     Store
	Control   Control
	Installer Installer
	Receiver  Receiver
	// Metrics serves /metrics, Document is openapi.yaml.
	Metrics  http.Handler
	Document []byte
	// Token is the admin token; Tenant is whose connections it sees.
	Token, Tenant string
	// PublicURL is where vendors reach us, without a trailing slash; empty:
	// webhook addresses are told as the caller reaches us.
	PublicURL string
	Log       logrus.FieldLogger
	Now       func() time.Time
	// NewID makes unique, sortable, lower-case ids.
	NewID func() string
	// Console serves everything under /console/; nil: nothing is there.
	Console http.Handler
}

// Server answers the API. It is safe for concurrent use.
type Server struct {
	options Options
	bodies  map[string]body
	router  *gin.Engine
}

var (
	_ http.Handler          = (*Server)(nil)
	_ StrictServerInterface = (*Server)(nil)
)

// Time limits of a call. Vendors wait 5 to 10 s for the answer to an event.
const (
	callTimeout    = 30 * time.Second
	webhookTimeout = 5 * time.Second
	readyTimeout   = 2 * time.Second
)

// New makes the server.
func New(options Options) *Server {
	// gin prints its routes unless told that it is not being debugged.
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	// Handlers hand the gin context (a copy, see ownContext) on as their context:
	// it ends with the request.
	router.ContextWithFallback = true
	router.HandleMethodNotAllowed = true
	router.RedirectTrailingSlash = false
	s := &Server{options: options, bodies: bodies(), router: router}
	router.Use(s.identify(), s.logAccess, s.recoverPanic)
	router.NoRoute(func(c *gin.Context) {
		s.fail(c, fault.New(fault.NotFound, "there is no such path; /openapi.yaml lists them"))
	})
	router.NoMethod(func(c *gin.Context) {
		s.fail(c, fault.New(methodNotAllowed, "this path does not take %s", c.Request.Method))
	})
	for _, route := range s.openRoutes() {
		router.Handle(route.method, route.path, limitTime(route.limit), route.handler)
	}
	if options.Console != nil {
		router.Any("/console/*path", gin.WrapH(options.Console))
		router.GET("/console", func(c *gin.Context) { c.Redirect(http.StatusFound, "/console/") })
	}
	s.registerAPI()
	return s
}

// openRoute is a call that needs no token.
type openRoute struct {
	method, path string
	limit        time.Duration
	handler      gin.HandlerFunc
}

func (s *Server) openRoutes() []openRoute {
	return []openRoute{
		{http.MethodGet, "/healthz", callTimeout, s.healthz},
		{http.MethodGet, "/readyz", callTimeout, s.readyz},
		{http.MethodGet, "/metrics", callTimeout, gin.WrapH(s.options.Metrics)},
		{http.MethodGet, "/openapi.yaml", callTimeout, s.document},
		{http.MethodPost, "/webhooks/:connection/:side", webhookTimeout, s.receiveWebhook},
	}
}

// registerAPI puts the generated table of routes behind the token.
func (s *Server) registerAPI() {
	api := s.router.Group("/", limitTime(callTimeout), s.authorize, s.readBody, s.repeatable)
	strict := NewStrictHandlerWithOptions(s, []StrictMiddlewareFunc{ownContext}, StrictGinServerOptions{
		RequestErrorHandlerFunc:  s.badRequest,
		HandlerErrorFunc:         s.fail,
		ResponseErrorHandlerFunc: s.fail,
	})
	RegisterHandlersWithOptions(api, strict, GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.badRequest(c, err) },
	})
}

// ownContext gives a handler a copy of the gin context. The original is used for
// another request as soon as this one is answered, while a database driver may
// still watch it for its end.
func ownContext(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) { return next(c.Copy(), request) }
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }
