package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/app/dev"
	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/demo"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/telemetry"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	once, tour, freePorts, verbose bool
	data                           string
	only                           []string
}

func demoCommand() *cobra.Command {
	var given demoOptions
	command := &cobra.Command{
		Use:   "demo",
		Short: "Show a day of work: two simulated systems are kept in step, with everything that goes wrong",
		Long: "Starts Temporal with its UI, a worker, the API and two simulated systems in one process, installs\n" +
			"integrations/salesos-acme.yaml through the API, loads 1,000 leads and plays a day of work. Every step is\n" +
			"verified by reading both servers. It stays up until Ctrl-C; with --once it ends, and its last line is JSON.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return runDemo(command.Context(), given, command.OutOrStdout(), command.ErrOrStderr())
		},
	}
	flags := command.Flags()
	flags.BoolVar(&given.once, "once", false, "use free ports and a temporary folder, end after the play; exit code 0 only if every check is ok")
	flags.BoolVar(&given.tour, "tour", false, "in place of the day of work, show one thing after another that an integration has to cope with, each on servers of its own; ends as with --once. Exit code 75: something that a check needs is not there")
	flags.StringSliceVar(&given.only, "only", nil, "with --tour: the names of the checks to play, separated by commas (default: all)")
	flags.BoolVar(&given.freePorts, "free-ports", false, "listen on free ports instead of the usual ones")
	flags.BoolVar(&given.verbose, "verbose", false, "write the logs to standard error instead of a file")
	flags.StringVar(&given.data, "data", "", "a new folder for the data, kept afterwards (default: a temporary one, removed at the end)")
	return command
}

func runDemo(ctx context.Context, given demoOptions, out, errOut io.Writer) (err error) {
	if len(given.only) > 0 && !given.tour {
		return fault.New(fault.Usage, "--only chooses checks of the tour: give --tour too")
	}
	forgetTemporal()
	given.once = given.once || given.tour
	at := demo.DefaultAddresses()
	if given.once || given.freePorts {
		if at, err = demo.FreeAddresses(ctx); err != nil {
			return err
		}
	}
	dir, remove, err := demoFolder(given.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	logs, place, closeLogs, err := demoLogs(given, dir, errOut)
	if err != nil {
		return err
	}
	defer closeLogs()
	watched, err := telemetry.New(ctx, telemetry.Options{Service: "demo", Version: app.Version(), Output: logs, Getenv: demoEnvironment(at, given.tour)})
	if err != nil {
		return err
	}
	// Libraries that log on their own must not write into the story.
	logrus.SetOutput(logs)
	var bar io.Writer
	if term.IsTerminal(int(os.Stdout.Fd())) && term.IsTerminal(int(os.Stderr.Fd())) {
		bar = errOut
	}
	return demo.Run(ctx, demo.Options{
		Out: out, Bar: bar, Once: given.once, Tour: given.tour, Only: given.only, At: at, Logs: place, Log: watched.Log, Now: time.Now,
		Start: func(ctx context.Context) (demo.Stack, error) { return startDemo(ctx, dir, at, given.tour, watched) },
	})
}

// demoFolder makes the folder of the data; remove takes it away again unless
// somebody asked for it.
func demoFolder(given string) (dir string, remove func() error, err error) {
	keep := func() error { return nil }
	if given == "" {
		if dir, err = os.MkdirTemp("", "accord-demo-*"); err != nil {
			return "", keep, fault.Wrap(fault.Usage, err, "cannot make a temporary folder (%s): name a folder with --data", err)
		}
		return dir, func() error { return os.RemoveAll(dir) }, nil
	}
	if dir, err = filepath.Abs(given); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", keep, fault.Wrap(fault.Usage, err, "cannot use the folder %s (%s): choose another one with --data", given, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return "", keep, fault.New(fault.Usage, "the folder %s is not empty: the simulated systems begin anew each time, so choose a new folder with --data", given)
	}
	return dir, keep, nil
}

// demoLogs says where the logs go, and how to tell it.
func demoLogs(given demoOptions, dir string, errOut io.Writer) (logs io.Writer, place string, closeLogs func(), err error) {
	if given.verbose {
		return errOut, "", func() {}, nil
	}
	path := filepath.Join(dir, "demo.log")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, "", nil, fault.Wrap(fault.Usage, err, "cannot write %s (%s): choose another folder with --data", path, err)
	}
	return file, "in " + path, func() { _ = file.Close() }, nil
}

// demoEnvironment is what the demo's service sees of the environment: none of
// the settings of a real deployment, whose ledger it must never touch.
func demoEnvironment(at demo.Addresses, tour bool) func(string) string {
	return func(name string) string {
		switch name {
		case config.EnvAllowPrivate:
			return "127.0.0.0/8"
		case config.EnvPublicURL:
			return "http://" + at.API
		case config.EnvHousekeeping:
			if tour {
				return "2s"
			}
		case config.EnvLog, telemetry.TraceVariable:
			return os.Getenv(name)
		}
		return ""
	}
}

// forgetTemporal takes away the settings of somebody's real Temporal: the demo
// uses the one it starts.
func forgetTemporal() {
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "TEMPORAL_") {
			_ = os.Unsetenv(name) // fails for names that no system has
		}
	}
}

// startDemo brings up what `dev` does and returns when the API answers.
func startDemo(ctx context.Context, dir string, at demo.Addresses, tour bool, watched *telemetry.Telemetry) (demo.Stack, error) {
	// It ends in its own order, when Stop is called.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready, ended := make(chan dev.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- dev.Run(running, dev.Options{
			DataDir: dir, API: at.API, UI: at.UI, Version: app.Version(), Getenv: demoEnvironment(at, tour),
			Start: startTemporal, Telemetry: watched, Ready: func(addresses dev.Addresses) { ready <- addresses },
		})
	}()
	var once sync.Once
	var failed error
	stop := func() error {
		once.Do(func() {
			cancel()
			failed = <-ended
		})
		return failed
	}
	select {
	case up := <-ready:
		return demo.Stack{API: up.API, UI: up.UI, Token: up.Token, TokenFile: up.TokenFile, Stop: stop}, nil
	case err := <-ended:
		cancel()
		if err == nil {
			err = fault.New(fault.Internal, "the service ended before it was up")
		}
		return demo.Stack{}, err
	case <-ctx.Done():
		return demo.Stack{}, errors.Join(ctx.Err(), stop())
	}
}
