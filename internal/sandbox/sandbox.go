// Package sandbox runs a SalesOS server, an Acme CRM server and a HubSpot server that
// behave like the real ones, in memory, with faults on demand. An integration can be
// developed and tested against them without an account anywhere. README.md
// tables the admin API that all have under /_admin/.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/sandbox/acme"
	"github.com/accord-sync/accord/internal/sandbox/auth"
	"github.com/accord-sync/accord/internal/sandbox/hubspot"
	"github.com/accord-sync/accord/internal/sandbox/salesos"
)

// Credentials of the client that every sandbox knows unless Options.Clients says otherwise.
const (
	DefaultClientID     = "accord"
	DefaultClientSecret = "accord-secret"
	// DefaultPrivateToken is the access token of a private app of HubSpot, which never ends.
	DefaultPrivateToken = "pat-na1-accord"
)

// Client is an application that may ask for tokens, with its scopes (none: all).
type Client = auth.Client

// Options make the servers. The zero value is usable.
type Options struct {
	// Now is the true time; default time.Now. Each server's own clock can be put off by a switch.
	Now func() time.Time
	// Clients are valid on all servers; default accord / accord-secret with all scopes.
	Clients []Client
	// TimeScale divides the pauses between webhook attempts: 60 makes a minute a second. Default 1.
	TimeScale float64
	// HookTimeout is how long a webhook receiver may take; default 10 s (SalesOS) and 5 s (Acme).
	HookTimeout time.Duration
	// BatchWait is how long Acme collects events into one message; default 20 ms.
	BatchWait time.Duration
	// AnyHookURL accepts plain http webhooks to any host; else only to loopback and private ones.
	AnyHookURL bool
	// SalesOSAddr and AcmeAddr are where Listen and Run listen; default 127.0.0.1 on a free port.
	// HubSpotAddr is that of HubSpot.
	SalesOSAddr, AcmeAddr, HubSpotAddr string
	// Log gets a line per start and stop in Run; default the standard logger.
	Log logrus.FieldLogger
}

// Sandbox is the servers, without listeners. Safe for concurrent use.
type Sandbox struct {
	SalesOS *salesos.Server
	Acme    *acme.Server
	HubSpot *hubspot.Server
}

var (
	_ http.Handler = (*salesos.Server)(nil)
	_ http.Handler = (*acme.Server)(nil)
	_ http.Handler = (*hubspot.Server)(nil)
)

// New makes the servers. Close them.
func New(o Options) *Sandbox {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Clients == nil {
		o.Clients = []Client{{ID: DefaultClientID, Secret: DefaultClientSecret}}
	}
	return &Sandbox{
		SalesOS: salesos.New(salesos.Options{Now: o.Now, Clients: slices.Clone(o.Clients), TimeScale: o.TimeScale, HookTimeout: o.HookTimeout, AnyHookURL: o.AnyHookURL}),
		Acme: acme.New(acme.Options{Now: o.Now, Clients: slices.Clone(o.Clients), TimeScale: o.TimeScale, HookTimeout: o.HookTimeout,
			BatchWait: o.BatchWait, AnyHookURL: o.AnyHookURL}),
		HubSpot: hubspot.New(hubspot.Options{Now: o.Now, Clients: privateApp(o.Clients), TimeScale: o.TimeScale, HookTimeout: o.HookTimeout,
			BatchWait: o.BatchWait, AnyHookURL: o.AnyHookURL}),
	}
}

// privateApp gives the first client the token of a private app.
func privateApp(clients []Client) []Client {
	clients = slices.Clone(clients)
	if len(clients) > 0 && clients[0].Token == "" {
		clients[0].Token = DefaultPrivateToken
	}
	return clients
}

// Close stops all webhook deliveries.
func (s *Sandbox) Close() {
	s.SalesOS.Close()
	s.Acme.Close()
	s.HubSpot.Close()
}

// Running is the servers with their listeners.
type Running struct {
	*Sandbox
	// SalesOSURL and AcmeURL are the roots, e.g. http://127.0.0.1:41233, without a path:
	// the APIs are under /v1 and /api/2, tokens at /oauth/token, the admin API under /_admin.
	SalesOSURL, AcmeURL string
	// HubSpotURL is the root of HubSpot: the API is under /crm, tokens at /oauth/v1/token.
	HubSpotURL string

	servers []*http.Server
	failed  chan error
}

// Listen starts the servers. They end with Close, or when ctx ends. Errors
// name the address that could not be listened on.
func Listen(ctx context.Context, o Options) (*Running, error) {
	lc := net.ListenConfig{}
	left, err := lc.Listen(ctx, "tcp", addr(o.SalesOSAddr))
	if err != nil {
		return nil, fmt.Errorf("sandbox: listen for SalesOS on %s: %w (choose another address with --salesos)", addr(o.SalesOSAddr), err)
	}
	right, err := lc.Listen(ctx, "tcp", addr(o.AcmeAddr))
	if err != nil {
		_ = left.Close()
		return nil, fmt.Errorf("sandbox: listen for Acme on %s: %w (choose another address with --acme)", addr(o.AcmeAddr), err)
	}
	third, err := lc.Listen(ctx, "tcp", addr(o.HubSpotAddr))
	if err != nil {
		_, _ = left.Close(), right.Close()
		return nil, fmt.Errorf("sandbox: listen for HubSpot on %s: %w (choose another address with --hubspot)", addr(o.HubSpotAddr), err)
	}
	r := &Running{Sandbox: New(o), SalesOSURL: "http://" + left.Addr().String(), AcmeURL: "http://" + right.Addr().String(),
		HubSpotURL: "http://" + third.Addr().String(), failed: make(chan error, 3)}
	r.serve(left, r.SalesOS)
	r.serve(right, r.Acme)
	r.serve(third, r.HubSpot)
	context.AfterFunc(ctx, r.Close)
	return r, nil
}

func addr(a string) string {
	if a == "" {
		return "127.0.0.1:0"
	}
	return a
}

func (r *Running) serve(l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	r.servers = append(r.servers, srv)
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.failed <- fmt.Errorf("sandbox: serve %s: %w", l.Addr(), err)
		}
	}()
}

// Close stops listeners, connections and deliveries at once. It may be called twice.
func (r *Running) Close() {
	for _, s := range r.servers {
		_ = s.Close()
	}
	r.Sandbox.Close()
}

// Run serves the sandboxes until ctx ends; nil then. Errors are those of listening and serving.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = logrus.StandardLogger()
	}
	r, err := Listen(ctx, o)
	if err != nil {
		return err
	}
	defer r.Close()
	o.Log.WithFields(logrus.Fields{"url": r.SalesOSURL + "/v1", "admin": r.SalesOSURL + "/_admin"}).Info("SalesOS sandbox is up")
	o.Log.WithFields(logrus.Fields{"url": r.AcmeURL + "/api/2", "admin": r.AcmeURL + "/_admin"}).Info("Acme sandbox is up")
	o.Log.WithFields(logrus.Fields{"url": r.HubSpotURL, "admin": r.HubSpotURL + "/_admin"}).Info("HubSpot sandbox is up")
	select {
	case <-ctx.Done():
		o.Log.Info("sandboxes stopped")
		return nil
	case err := <-r.failed:
		return err
	}
}
