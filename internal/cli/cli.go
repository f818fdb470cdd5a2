// Package cli holds the commands of Accord: those that accord and starter
// share, which work on the ledger and Temporal through control, and those of
// accord alone. An error is one clear text on standard error, and the exit code
// says its kind (see fault.ExitCode).
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/control"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// Control is what the commands ask of control.Control.
type Control interface {
	// Activate begins to sync a draft.
	Activate(ctx context.Context, key ledger.Key) error
	// Pause stops reading and writing, for a reason.
	Pause(ctx context.Context, key ledger.Key, reason string) error
	// AcceptRestored goes on after the ledger was put back to an older state.
	AcceptRestored(ctx context.Context, key ledger.Key, from time.Time) error
	// Resume goes on after a pause.
	Resume(ctx context.Context, key ledger.Key) error
	// StartRun starts a run, or joins the running one.
	StartRun(ctx context.Context, key ledger.Key, kind ledger.RunKind, stream string) (run ledger.Run, joined bool, err error)
	// WaitRun waits for the end of a run and tells of each look at it.
	WaitRun(ctx context.Context, id string, onProgress func(ledger.Run)) (ledger.Run, error)
	// Resolve decides a conflict.
	Resolve(ctx context.Context, conflictID string, resolution control.Resolution) error
	// ReplayDeadLetters makes parked records due; no ids: all open ones.
	ReplayDeadLetters(ctx context.Context, key ledger.Key, ids []string) (int, error)
	// PatchDeadLetter gives a parked record values for its next replay.
	PatchDeadLetter(ctx context.Context, id string, overrides ledger.Values) (ledger.DeadLetter, error)
	// Discard ends an open dead letter; reason is the person's.
	Discard(ctx context.Context, id, reason string) error
	// ApproveGuard lets held operations happen; no ids: all that wait.
	ApproveGuard(ctx context.Context, key ledger.Key, ids []string) (int, error)
	// RejectGuard refuses held operations; no ids: all that wait.
	RejectGuard(ctx context.Context, key ledger.Key, ids []string) (int, error)
	// Status puts together what is known of a connection.
	Status(ctx context.Context, key ledger.Key) (control.Status, error)
	// Ping answers nil when the ledger and Temporal answer.
	Ping(ctx context.Context) error
}

var _ Control = (*control.Control)(nil)

// Session is an open ledger and the way to Temporal.
type Session struct {
	Store   ledger.Store
	Control Control
	// Describe checks an integration in full and tells its name and streams.
	Describe func(ctx context.Context, connection ledger.Connection) (name string, streams []string, err error)
	// NewID makes unique, sortable, lower-case ids.
	NewID func() string
	// WebhookBase is the public URL; empty: there is none.
	WebhookBase string
	// Close gives everything back.
	Close func()
}

// Options make the root command.
type Options struct {
	// Name is the program's, About its one line.
	Name, About string
	// Version is the build's.
	Version string
	// Tenant is whose connections are meant.
	Tenant string
	// Connect opens a session; it may wait for the ledger, not for Temporal.
	Connect func(ctx context.Context) (*Session, error)
	// In, Out and Err are the standard streams.
	In       io.Reader
	Out, Err io.Writer
	// Terminal is set when a person watches Err: progress is then a bar.
	Terminal bool
}

// New makes the root command with the shared commands. A binary adds its own.
func New(options Options) *cobra.Command {
	root := &cobra.Command{
		Use: options.Name, Short: options.About, Version: options.Version,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.SetOut(options.Out)
	root.SetErr(options.Err)
	root.SetIn(options.In)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(
		syncCommand(options), statusCommand(options), runsCommand(options),
		conflictsCommand(options), resolveCommand(options),
		deadLettersCommand(options), correctCommand(options), replayCommand(options), discardCommand(options),
		guardCommand(options), approveCommand(options), rejectCommand(options),
		activateCommand(options), pauseCommand(options), resumeCommand(options), restoredCommand(options),
		connectionsCommand(options), installCommand(options), historyCommand(options), linksCommand(options), firingsCommand(options), touchPointsCommand(options),
	)
	return root
}

// Run runs root with args, prints an error if there is one, and returns the exit code.
func Run(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return interrupted
	}
	if fault.As(err) == nil {
		err = usage(err)
	}
	fmt.Fprintf(root.ErrOrStderr(), "%s: %s\n", command.CommandPath(), err)
	return fault.ExitCode(fault.CodeOf(err))
}

// interrupted is the exit code after Ctrl-C, as shells have it.
const interrupted = 130

// usage codes what cobra says of flags and arguments.
func usage(err error) error {
	return &fault.Error{Code: fault.Usage, Message: err.Error() + "; --help tells how it is used", Err: err}
}

// exactArgs is cobra's, with names in its words.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(names) == 0 && len(args) > 0 {
			return fault.New(fault.Usage, "no arguments are wanted, %d given; --help tells how it is used", len(args))
		}
		if len(args) != len(names) {
			return fault.New(fault.Usage, "%s is wanted, %d given; --help tells how it is used", strings.Join(names, " "), len(args))
		}
		return nil
	}
}

// with opens a session for the length of do.
func (o Options) with(ctx context.Context, do func(session *Session) error) error {
	session, err := o.Connect(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	return do(session)
}

// onConnection opens a session and finds the connection that word names.
func (o Options) onConnection(ctx context.Context, word string, do func(session *Session, connection ledger.Connection) error) error {
	return o.with(ctx, func(session *Session) error {
		connection, err := find(ctx, session.Store, o.Tenant, word)
		if err != nil {
			return err
		}
		return do(session, connection)
	})
}

// find takes an id, or a name that only one connection has.
func find(ctx context.Context, store ledger.Store, tenant, word string) (ledger.Connection, error) {
	connection, err := store.Connection(ctx, ledger.Key{Tenant: tenant, Connection: word})
	if err == nil || !fault.Is(err, fault.NotFound) {
		return connection, err
	}
	var named []ledger.Connection
	err = allPages(func(options ledger.ListOptions) (string, error) {
		items, next, err := store.ListConnections(ctx, tenant, options)
		for _, item := range items {
			if item.Name == word {
				named = append(named, item)
			}
		}
		return next, err
	})
	switch {
	case err != nil:
		return ledger.Connection{}, err
	case len(named) == 1:
		return named[0], nil
	case len(named) > 1:
		return ledger.Connection{}, fault.New(fault.Usage, "%d connections are called %q: give an id (the command connections lists them)", len(named), word)
	}
	return ledger.Connection{}, fault.New(fault.NotFound, "there is no connection %q: the command connections lists them", word)
}

// pageLimit is the largest page of the ledger.
const pageLimit = 200

// allPages reads a list to its end.
func allPages(page func(options ledger.ListOptions) (next string, err error)) error {
	options := ledger.ListOptions{Limit: pageLimit}
	for {
		next, err := page(options)
		if err != nil || next == "" {
			return err
		}
		options.Cursor = next
	}
}

// printJSON prints one value, indented.
func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
