package telemetry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/accord-sync/accord/internal/fault"
)

// The bounds of the small server.
const (
	readTimeout   = 10 * time.Second
	healthTimeout = 5 * time.Second
	stopTimeout   = 5 * time.Second
	maxHeader     = 16 << 10
)

// MetricsHandler shows what is registered.
func MetricsHandler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry})
}

// Handler serves /metrics and /healthz. healthy returns nil while all is well;
// its error is told by its code alone.
func Handler(registry *prometheus.Registry, healthy func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", MetricsHandler(registry))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text := "ok\n"
		if err := healthy(ctx); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = string(fault.CodeOf(err)) + "\n"
		}
		// A caller that went away needs no answer.
		_, _ = w.Write([]byte(text))
	})
	return mux
}

// Serve serves handler on address until ctx ends. listening, if not nil, is told
// the address once it is bound, which tells the port when address asks for any.
func Serve(ctx context.Context, address string, handler http.Handler, listening func(net.Addr)) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "cannot listen on %s: is the port in use?", address)
	}
	if listening != nil {
		listening(listener.Addr())
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: 6 * readTimeout, MaxHeaderBytes: maxHeader,
	}
	stopped := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		// What does not end in time is cut off: metrics are asked for again.
		_ = server.Shutdown(last)
	})
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fault.Wrap(fault.Internal, err, "serving on %s ended", address)
	}
	return nil
}
