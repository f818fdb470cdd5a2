package app

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/accord-sync/accord/api/console"
	"github.com/accord-sync/accord/api/rest"
	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/telemetry"
)

// RunAPI serves the API until ctx ends. It waits for a ledger or a Temporal
// that does not answer, and goes on when they do; meanwhile it says so.
func RunAPI(ctx context.Context, process Process) error {
	address := process.Settings.Listen
	if address == "" {
		address = config.DefaultListen
	}
	listener, err := Listen(ctx, address, config.EnvListen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	front := newFront(rest.Starting(process.NewID))
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- Serve(ctx, listener, front, process.Telemetry.Log)
	}()
	process.Telemetry.Log.WithField("address", listener.Addr().String()).Info("the API listens")
	parts, err := process.Open(ctx)
	if err != nil {
		late := ended(ctx, err)
		cancel()
		if serveErr := <-served; serveErr != nil || late {
			return serveErr
		}
		return err
	}
	defer parts.Close()
	return process.serveParts(ctx, parts, front, served)
}

// ServeAPI serves the API of open parts on listener until ctx ends.
func ServeAPI(ctx context.Context, process Process, parts *Parts, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	front := newFront(rest.Starting(process.NewID))
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- Serve(ctx, listener, front, process.Telemetry.Log)
	}()
	process.Telemetry.Log.WithField("address", listener.Addr().String()).Info("the API listens")
	return process.serveParts(ctx, parts, front, served)
}

// serveParts puts the real API behind front and waits for the end of the server.
func (p Process) serveParts(ctx context.Context, parts *Parts, front *front, served <-chan error) error {
	learning, stop := context.WithCancel(ctx)
	learned := make(chan struct{})
	go func() {
		defer close(learned)
		if err := p.learn(learning, parts); err != nil && !ended(learning, err) {
			p.Telemetry.Log.WithError(err).Warn("workflows go without search attributes")
		}
	}()
	handler, closeHandler := p.handler(parts)
	front.put(handler)
	err := <-served
	stop()
	<-learned
	closeHandler()
	return err
}

// front hands requests to a handler that may be replaced.
type front struct {
	inner atomic.Pointer[http.Handler]
}

func newFront(first http.Handler) *front {
	f := &front{}
	f.put(first)
	return f
}

func (f *front) put(next http.Handler) { f.inner.Store(&next) }

// ServeHTTP answers one request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*f.inner.Load()).ServeHTTP(w, r) }

// handler is the whole HTTP side; close stops what works behind it.
func (p Process) handler(parts *Parts) (handler http.Handler, close func()) {
	log := p.Telemetry.Log
	nudger := webhook.NewNudger(parts.Steering.Nudge, log)
	receiver := webhook.New(webhook.Options{
		PublicURL: p.Settings.PublicURL, SNS: p.snsReader(),
		Inbox: parts.Store, Sides: parts.Store, Directory: webhook.NewCache(WebhookTargets(parts.Store, parts.Installer), p.Now), Nudge: nudger.Nudge, Log: log, Now: p.Now,
		Tracer: p.Telemetry.Tracer.Tracer("github.com/accord-sync/accord/api/webhook"), Observe: webhook.NewMetrics(p.Telemetry.Registry),
	})
	forget := tellFigures(p.Telemetry.Registry, parts.Store, log, p.Now)
	server := rest.New(rest.Options{
		Store: parts.Store, Control: parts.Steering, Installer: parts.Installer, Receiver: receiver,
		Metrics: telemetry.MetricsHandler(p.Telemetry.Registry), Document: rest.Document(),
		Token: p.Settings.Token, Tenant: DefaultTenant, PublicURL: p.Settings.PublicURL,
		Log: log, Now: p.Now, NewID: p.NewID,
		Console: console.New(console.Options{Store: parts.Store, Token: p.Settings.Token, Tenant: DefaultTenant, PublicURL: p.Settings.PublicURL, Log: log, Now: p.Now,
			Replay: func(ctx context.Context, key ledger.Key, ids []string) (int, error) {
				_, replayed, err := parts.Steering.ReplayDeadLetters(ctx, key, ids)
				return replayed, err
			}}),
	})
	return server, func() {
		nudger.Close()
		forget()
	}
}

// rotation is for how long after an edit deliveries that are signed with the
// secret of before are taken: the vendor learns of the new one a little later,
// and repeats what it signed earlier.
const rotation = time.Hour

// WebhookTargets looks connections up for the webhook receiver.
func WebhookTargets(store ledger.Connections, installer *Installer) func(ctx context.Context, id string) (webhook.Target, error) {
	return func(ctx context.Context, id string) (webhook.Target, error) {
		connection, err := store.FindConnection(ctx, id)
		if err != nil {
			return webhook.Target{}, err
		}
		var replaced []ledger.Connection
		if connection.Version > 1 {
			if replaced, err = store.ReplacedVersions(ctx, connection.Key, rotation); err != nil {
				return webhook.Target{}, err
			}
		}
		return installer.Target(connection, replaced...)
	}
}

var _ webhook.Inbox = ledger.Store(nil)
