// Package devserver runs a Temporal server and its web UI inside this process, for one machine: no cluster, no
// Docker, data in one SQLite file (or in memory). It is the only importer of go.temporal.io/server and of the UI,
// which are large; import it from the shipped binary and from end-to-end tests only.
package devserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/temporal"
)

// Defaults of the fields of Options, and the name of the data file.
const (
	// DefaultNamespace is the namespace used when Options.Namespace is empty.
	DefaultNamespace = "default"
	// DefaultRetention is how long closed workflows stay readable when Options.Retention is zero.
	DefaultRetention = 72 * time.Hour
	// MinRetention is the shortest retention that Temporal accepts.
	MinRetention = time.Hour
	// DatabaseFile is the name, inside Options.DataDir, of the SQLite file that holds all Temporal state.
	DatabaseFile = "temporal.db"
)

// readyTimeout bounds the wait for the started server to answer; a start takes 0.5 to 3 s on an idle machine, and
// the rest is room for a machine that is busy compiling.
const readyTimeout = 60 * time.Second

// Options say where the server listens and where it keeps its data.
type Options struct {
	// DataDir is the folder of the data file; it is created when missing. Empty keeps everything in memory, lost at
	// Stop. One process at a time may use a folder: a lock file inside it makes sure. A process that deletes a folder
	// it has used must not use the same path again, since the server's library keeps the old file open.
	DataDir string
	// Listen is the host:port of the gRPC frontend. Port 0 takes a free port, which Address tells; empty is
	// 127.0.0.1:0. There is no authentication: listen beyond loopback only on a network you trust.
	Listen string
	// UIListen is the host:port of the web UI, with the same rules; empty starts no UI.
	UIListen string
	// Namespace is created when missing. Empty is DefaultNamespace.
	Namespace string
	// Retention is how long closed workflows stay readable, at least MinRetention. Zero is DefaultRetention. A value
	// that differs from the stored one is applied at start.
	Retention time.Duration
	// SearchAttributes are the custom search attributes of the namespace, by name. Missing ones are added at start;
	// none is ever removed. One that exists with another type is an error.
	SearchAttributes map[string]enums.IndexedValueType
	// Log receives the server's warnings and errors. Nil drops them, except for the reason why the server had to end
	// the process, which goes to standard error.
	Log logrus.FieldLogger
}

// Server is a running embedded Temporal server. Its methods are safe for concurrent use.
type Server struct {
	temporal temporal.Server
	ui       *webUI
	lock     *folderLock
	logger   *logAdapter
	address  string
	stopOnce sync.Once
}

// Start brings the server up and returns when the namespace and its search attributes are usable. It reads and
// writes the same data across restarts, kill -9 included. On an error nothing is left running and no lock held. ctx
// bounds the start only; call Stop to end the server.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts, err := withDefaults(opts)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start of the embedded Temporal server was cancelled: %w", err)
	}
	s := &Server{logger: newLogAdapter(opts.Log)}
	if err := s.start(ctx, opts); err != nil {
		s.Stop()
		return nil, err
	}
	s.logger.setQuiet(false)
	return s, nil
}

// Address is the host:port where a Temporal client on this machine reaches the server.
func (s *Server) Address() string { return s.address }

// UIURL is the address of the web UI for a browser on this machine, without a slash at the end. Empty when the
// server was started without a UI.
func (s *Server) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.url
}

// Stop ends the UI, then the server, then gives up the data folder; it takes one to two seconds. Stop workers and
// clients before it. Calling it again does nothing.
func (s *Server) Stop() {
	s.stopOnce.Do(func() {
		s.logger.setQuiet(true)
		if s.ui != nil {
			s.ui.stop()
		}
		if s.temporal != nil {
			if err := s.temporal.Stop(); err != nil {
				s.logger.log.WithError(err).Warn("the embedded Temporal server did not stop cleanly; its data is safe")
			}
		}
		if s.lock != nil {
			s.lock.release()
		}
	})
}

func withDefaults(opts Options) (Options, error) {
	if opts.Listen == "" {
		opts.Listen = net.JoinHostPort(loopback, "0")
	}
	if opts.Namespace == "" {
		opts.Namespace = DefaultNamespace
	}
	if opts.Retention == 0 {
		opts.Retention = DefaultRetention
	}
	if opts.Retention < MinRetention {
		return opts, fmt.Errorf("retention %s of the embedded Temporal server is too short: use %s or more", opts.Retention, MinRetention)
	}
	if opts.Log == nil {
		fatalOnly := logrus.New()
		fatalOnly.SetLevel(logrus.FatalLevel)
		opts.Log = fatalOnly
	}
	return opts, nil
}

// start fills s step by step, so that Stop can undo whatever was reached.
func (s *Server) start(ctx context.Context, opts Options) error {
	if err := s.claimFolder(opts.DataDir); err != nil {
		return err
	}
	if err := s.build(opts); err != nil {
		return err
	}
	if err := s.temporal.Start(); err != nil {
		return fmt.Errorf("start the embedded Temporal server on %s: %w", s.address, err)
	}
	if err := s.settle(ctx, opts); err != nil {
		return err
	}
	if opts.UIListen == "" {
		return nil
	}
	ui, err := startUI(ctx, opts.UIListen, s.address, opts.Namespace)
	s.ui = ui
	return err
}

// build prepares the store and creates the server, which opens its ports at once but serves nothing yet.
func (s *Server) build(opts Options) error {
	ports, err := reservePorts(opts.Listen)
	if err != nil {
		return err
	}
	defer ports.release()
	s.address = ports.clientAddress()
	sqlConfig, err := sqliteConfig(opts.DataDir)
	if err != nil {
		return err
	}
	if err := prepareStore(sqlConfig, opts); err != nil {
		return err
	}
	ports.release()
	s.temporal, err = newTemporal(serverConfig(sqlConfig, ports), ports, s.logger)
	return err
}

// claimFolder makes the data folder and takes its lock. In memory there is nothing to claim.
func (s *Server) claimFolder(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot create the Temporal data folder %s: choose another folder or fix its permissions: %w", dir, err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	s.lock = lock
	return nil
}

func newTemporal(cfg *config.Config, ports *portSet, logger *logAdapter) (temporal.Server, error) {
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(ports.staticHosts()),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithDynamicConfigClient(dynamicConfig()),
	)
	if err != nil {
		return nil, fmt.Errorf("set up the embedded Temporal server: %w", err)
	}
	return server, nil
}

// databasePath is the data file of a folder.
func databasePath(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, DatabaseFile))
	if err != nil {
		return "", fmt.Errorf("find the Temporal data folder %s: %w", dir, err)
	}
	return path, nil
}
