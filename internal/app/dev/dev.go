// Package dev runs all of Accord in one process on a data folder: Temporal with
// its UI, a worker and the API. The embedded Temporal is handed in, so that
// only the shipped binary carries it.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"
	"go.temporal.io/api/enums/v1"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/telemetry"
)

// Names in the data folder.
const (
	// LedgerFile is the SQLite file of the ledger, TemporalFolder holds Temporal's data.
	LedgerFile     = "accord.db"
	TemporalFolder = "temporal"
	// KeyFile and TokenFile hold what was made up because the environment did not say.
	KeyFile   = "accord.key"
	TokenFile = "accord.token"
)

// embeddedNamespace is the one that the embedded server makes.
const embeddedNamespace = "default"

// Temporal is a running embedded server.
type Temporal interface {
	// Address is where clients reach it, UIURL its web page (empty: none).
	Address() string
	// UIURL is the address of its web page; empty: there is none.
	UIURL() string
	// Stop ends it; clients must be gone.
	Stop()
}

// TemporalOptions say how to start the embedded server.
type TemporalOptions struct {
	// DataDir is its folder, Listen and UIListen are host:port (empty UI: none).
	DataDir, Listen, UIListen string
	SearchAttributes          map[string]enums.IndexedValueType
	Log                       logrus.FieldLogger
}

// Options say what to run.
type Options struct {
	// DataDir holds everything that must survive a restart.
	DataDir string
	// API and UI are host:port; an empty UI is none. Port 0 takes a free one.
	API, UI string
	// TemporalAddress is a Temporal that runs already; empty: Start makes one.
	TemporalAddress string
	// PublicURL is where vendors reach us; empty: the environment's, or not at all.
	PublicURL string
	// Version is the build's.
	Version string
	// Getenv reads the environment.
	Getenv func(string) string
	// Out gets a few lines for the person who started it; nil: none.
	Out io.Writer
	// Start starts the embedded Temporal.
	Start func(ctx context.Context, options TemporalOptions) (Temporal, error)
	// Ready, if set, is called once the API answers.
	Ready func(Addresses)
	// Telemetry, if set, is used instead of a new one.
	Telemetry *telemetry.Telemetry
}

// Addresses are where the parts answer.
type Addresses struct {
	// API is a URL, Temporal host:port, UI a URL or empty.
	API, Temporal, UI string
	// Token is the admin token of the API, TokenFile where it lies (empty: in the environment).
	Token, TokenFile string
}

// Run runs everything until ctx ends, then stops it in order: API and worker,
// clients, UI, Temporal.
func Run(ctx context.Context, options Options) error {
	data, err := openData(options)
	if err != nil {
		return err
	}
	watched := options.Telemetry
	if watched == nil {
		if watched, err = telemetry.New(ctx, telemetry.Options{Service: "dev", Version: options.Version, Getenv: options.Getenv}); err != nil {
			return err
		}
	}
	// The port comes first: it is the likeliest to be taken, and the cheapest to try.
	listener, err := app.Listen(ctx, options.API, "--api")
	if err != nil {
		return err
	}
	temporal, err := startTemporal(ctx, options, watched.Log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer temporal.Stop()
	process := app.NewProcess(data.settings, watched)
	process.TemporalAddress = temporal.Address()
	if options.TemporalAddress == "" {
		// The embedded server has one namespace, whatever the environment says of another server.
		process.TemporalNamespace = embeddedNamespace
	}
	parts, err := process.Open(ctx)
	if err != nil {
		_ = listener.Close()
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer parts.Close()
	addresses := Addresses{
		API: "http://" + listener.Addr().String(), Temporal: temporal.Address(), UI: temporal.UIURL(),
		Token: data.settings.Token, TokenFile: data.tokenFile,
	}
	data.tell(options.Out, addresses)
	if options.Ready != nil {
		options.Ready(addresses)
	}
	return together(ctx, process, parts, listener)
}

// together runs the API and the worker; when one ends, so does the other.
func together(ctx context.Context, process app.Process, parts *app.Parts, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	var serveErr, workErr error
	running.Go(func() {
		defer cancel()
		serveErr = app.ServeAPI(ctx, process, parts, listener)
	})
	running.Go(func() {
		defer cancel()
		workErr = app.Work(ctx, process, parts)
	})
	running.Wait()
	return errors.Join(serveErr, workErr)
}

// elsewhere is a Temporal that others run.
type elsewhere string

// Address is where clients reach it.
func (e elsewhere) Address() string { return string(e) }

// UIURL is not known.
func (elsewhere) UIURL() string { return "" }

// Stop leaves it running.
func (elsewhere) Stop() {}

func startTemporal(ctx context.Context, options Options, log logrus.FieldLogger) (Temporal, error) {
	if options.TemporalAddress != "" {
		return elsewhere(options.TemporalAddress), nil
	}
	started, err := options.Start(ctx, TemporalOptions{
		DataDir: filepath.Join(options.DataDir, TemporalFolder), Listen: temporalListen(ctx), UIListen: options.UI, SearchAttributes: app.SearchAttributes(), Log: log,
	})
	if err != nil {
		if fault.As(err) == nil {
			err = fault.Wrap(fault.Usage, err, "%s", err)
		}
		return nil, err
	}
	return started, nil
}

// temporalListen is Temporal's usual address, so that it stays the same from one
// start to the next; where it is taken, a free port.
func temporalListen(ctx context.Context) string {
	const usual = "127.0.0.1:7233"
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", usual)
	if err != nil || listener.Close() != nil {
		return "127.0.0.1:0"
	}
	return usual
}

// tell says to the person who started it where everything is.
func (d data) tell(out io.Writer, at Addresses) {
	if out == nil {
		return
	}
	fmt.Fprintf(out, "API          %s/api/v1\n", at.API)
	fmt.Fprintf(out, "console      %s/console/ (any name, the token as the password)\n", at.API)
	if at.UI != "" {
		fmt.Fprintf(out, "Temporal UI  %s\n", at.UI)
	}
	fmt.Fprintf(out, "Temporal     %s\n", at.Temporal)
	ledger := "as " + config.EnvDB + " says"
	if !d.fromEnvironment {
		ledger = d.settings.DB
	}
	fmt.Fprintf(out, "ledger       %s\n", ledger)
	fmt.Fprintf(out, "token        %s\n", d.where(d.tokenFile, config.EnvToken))
	fmt.Fprintf(out, "key          %s\n", d.where(d.keyFile, config.EnvKey))
	if d.settings.PublicURL == "" {
		fmt.Fprintln(out, "webhooks     none: without --public-url changes are found by polling only")
	} else {
		fmt.Fprintf(out, "webhooks     %s/webhooks/…\n", d.settings.PublicURL)
	}
	fmt.Fprintf(out, "for commands in another shell (accord status, sync …):\n  %s\n", d.exports(at))
	fmt.Fprintln(out, "Ctrl-C stops it; nothing is lost.")
}

// exports is a line for a shell that sets the environment of commands.
func (d data) exports(at Addresses) string {
	line := "export TEMPORAL_ADDRESS=" + quoted(at.Temporal)
	if !d.fromEnvironment {
		line += " ACCORD_DB=" + quoted(d.settings.DB)
	}
	if d.keyFile != "" {
		line += ` ACCORD_KEY="$(cat ` + quoted(d.keyFile) + `)"`
	}
	if d.settings.PublicURL != "" {
		line += " " + config.EnvPublicURL + "=" + quoted(d.settings.PublicURL)
	}
	if len(d.settings.AllowPrivate) > 0 {
		ranges := make([]string, len(d.settings.AllowPrivate))
		for i, prefix := range d.settings.AllowPrivate {
			ranges[i] = prefix.String()
		}
		line += " " + config.EnvAllowPrivate + "=" + quoted(strings.Join(ranges, ","))
	}
	return line
}

// quoted is a word for a POSIX shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func (data) where(file, variable string) string {
	if file == "" {
		return "as " + variable + " says"
	}
	return "in " + file
}
