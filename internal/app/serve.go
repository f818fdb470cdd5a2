package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
)

// stopTimeout is how long calls that are being answered may take to end.
const stopTimeout = 10 * time.Second

// Listen opens a port. A port in use, or one that may not be opened, is
// fault.Usage with the variable or flag to change.
func Listen(ctx context.Context, address, setting string) (net.Listener, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "cannot listen on %s (%s): choose another address with %s, or stop what uses it", address, reasonOf(err), setting)
	}
	return listener, nil
}

// reasonOf is the operating system's word for why a port cannot be opened.
func reasonOf(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	return err.Error()
}

// Serve answers HTTP on listener until ctx ends, then lets calls finish.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log logrus.FieldLogger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fault.Wrap(fault.Internal, err, "the HTTP server on %s ended", listener.Addr())
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		log.Warn("some calls did not end in time and were cut off")
		_ = server.Close()
	}
	return nil
}
