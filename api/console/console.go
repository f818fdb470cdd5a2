// Package console is the pages for people, under /console/: plain HTML made here,
// without scripts. It shows, and changes nothing but what becomes of dead letters.
package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// Store is what the pages read of the ledger.
type Store interface {
	ledger.TouchPoints
	ledger.DeadLetters
	// FiringTotals counts the firings of a connection, by rule and state.
	FiringTotals(ctx context.Context, key ledger.Key) ([]ledger.FiringTotal, error)
	// ListFirings pages them, newest first, without what they send.
	ListFirings(ctx context.Context, key ledger.Key, filter ledger.FiringFilter, options ledger.ListOptions) ([]ledger.Firing, string, error)
	// Connection returns one, or NotFound.
	Connection(ctx context.Context, key ledger.Key) (ledger.Connection, error)
	// ListConnections pages the connections of a tenant.
	ListConnections(ctx context.Context, tenant string, options ledger.ListOptions) ([]ledger.Connection, string, error)
}

// Options make a Console. All fields but PublicURL are required.
type Options struct {
	Store Store
	// Token is the admin token: the password, under any name. Tenant is whose
	// connections are shown.
	Token, Tenant string
	// PublicURL is the address by which people reach the console; empty: not known.
	PublicURL string
	// Replay makes open dead letters of a connection due, and says how many.
	Replay func(ctx context.Context, key ledger.Key, ids []string) (int, error)
	Log    logrus.FieldLogger
	Now    func() time.Time
}

// Console answers everything under /console/. It is safe for concurrent use.
type Console struct {
	options Options
	pages   *template.Template
	routes  *http.ServeMux
	// origins lets in forms of our own pages only: a browser sends the password with
	// those of others too.
	origins *http.CrossOriginProtection
}

var _ http.Handler = (*Console)(nil)

//go:embed page
var files embed.FS

// pageTime bounds the making of one page.
const pageTime = 30 * time.Second

// policy lets a page load its own style and nothing else.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New makes a Console.
func New(options Options) *Console {
	c := &Console{options: options, pages: template.Must(template.ParseFS(files, "page/*.html")), routes: http.NewServeMux(), origins: http.NewCrossOriginProtection()}
	if public, err := url.Parse(options.PublicURL); err == nil && public.Host != "" {
		_ = c.origins.AddTrustedOrigin(public.Scheme + "://" + public.Host) // refused if it is no origin: then the host of the request counts
	}
	c.routes.HandleFunc("GET /console/{$}", c.page(c.index))
	c.routes.HandleFunc("GET /console/connections/{connection}/touch-points", c.page(c.touchPoints))
	c.routes.HandleFunc("GET /console/connections/{connection}/touch-points.csv", c.page(c.touchTable))
	c.routes.HandleFunc("GET /console/connections/{connection}/firings", c.page(c.firings))
	c.routes.HandleFunc("GET /console/connections/{connection}/dead-letters", c.page(c.letters))
	c.routes.HandleFunc("POST /console/connections/{connection}/dead-letters", c.page(c.workOnLetters))
	c.routes.HandleFunc("GET /console/style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "page/style.css")
	})
	return c
}

// ServeHTTP answers one request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cache-Control", "no-store")
	if !c.allowed(r) {
		head.Set("WWW-Authenticate", `Basic realm="accord", charset="UTF-8"`)
		http.Error(w, "The password is the token of ACCORD_TOKEN; the name may be anything.", http.StatusUnauthorized)
		return
	}
	if c.origins.Check(r) != nil {
		http.Error(w, "This form was sent by a page of somebody else.", http.StatusForbidden)
		return
	}
	c.routes.ServeHTTP(w, r)
}

// allowed compares the password with the admin token in constant time.
func (c *Console) allowed(r *http.Request) bool {
	_, password, ok := r.BasicAuth()
	given, wanted := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(c.options.Token))
	return ok && c.options.Token != "" && subtle.ConstantTimeCompare(given[:], wanted[:]) == 1
}

// page turns the error of a page into an answer.
func (c *Console) page(make func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTime)
		defer cancel()
		err := make(w, r.WithContext(ctx))
		if err == nil {
			return
		}
		status, text := http.StatusInternalServerError, "Something went wrong; the log says what."
		switch {
		case fault.Is(err, fault.NotFound):
			status, text = http.StatusNotFound, "There is no such connection."
		case fault.Is(err, fault.Usage, fault.TooLarge):
			status, text = http.StatusBadRequest, err.Error()
		case fault.Is(err, fault.Forbidden):
			status, text = http.StatusForbidden, err.Error()
		case fault.Is(err, fault.Unavailable) || errors.Is(err, context.DeadlineExceeded):
			status, text = http.StatusServiceUnavailable, "The ledger does not answer now; try again."
		}
		c.options.Log.WithFields(logrus.Fields{"route": r.Pattern, "status": status, "code": fault.CodeOf(err)}).Warn("a page of the console was not made")
		http.Error(w, text, status)
	}
}

func (c *Console) index(w http.ResponseWriter, r *http.Request) error {
	var shown struct{ Connections []ledger.Connection }
	for options := (ledger.ListOptions{Limit: 200}); ; {
		items, next, err := c.options.Store.ListConnections(r.Context(), c.options.Tenant, options)
		if err != nil {
			return err
		}
		shown.Connections = append(shown.Connections, items...)
		if options.Cursor = next; next == "" {
			return c.show(w, "index.html", shown)
		}
	}
}
