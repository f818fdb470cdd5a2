package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func syncCommand(options Options) *cobra.Command {
	var kind, stream string
	var wait, asJSON bool
	limits := patience{}
	command := &cobra.Command{
		Use:   "sync CONNECTION",
		Short: "Start a run: look at what changed, or at everything",
		Long: "Start a run on a connection, or join the one of its kind that is running.\n" +
			"poll looks at what changed, compare at everything, backfill loads everything for the first time, replay tries parked records again.\n\n" +
			"Exit codes of --wait: 0 it succeeded; 1 it failed, or what a system refuses keeps it; 4 the connection is paused; 5 a system refuses the credentials;\n" +
			"75 a system does not answer, or the time was over. After 4, 5 and 75 the run itself goes on.",
		Args: exactArgs("CONNECTION"),
		RunE: func(command *cobra.Command, args []string) error {
			ctx := command.Context()
			if err := errors.Join(checkKind(kind), limits.check(command, wait)); err != nil {
				return err
			}
			return options.onConnection(ctx, args[0], func(session *Session, connection ledger.Connection) error {
				if connection.State == ledger.Draft || connection.State == ledger.Paused {
					return fault.New(fault.Conflict, "connection %s is %s: activate or resume it first", connection.Connection, connection.State)
				}
				if err := checkStream(ctx, session, connection, stream); err != nil {
					return err
				}
				run, joined, err := session.Control.StartRun(ctx, connection.Key, ledger.RunKind(kind), stream)
				if err != nil {
					return err
				}
				return options.follow(ctx, command.OutOrStdout(), session, run, follows{joined: joined, wait: wait, asJSON: asJSON, patience: limits})
			})
		},
	}
	command.Flags().StringVar(&kind, "kind", "poll", "poll, backfill, compare or replay")
	command.Flags().StringVar(&stream, "stream", "", "one stream only")
	command.Flags().BoolVar(&wait, "wait", false, "wait for the end; exit code 0 only if it succeeded")
	command.Flags().DurationVar(&limits.giveUp, "give-up", defaultGiveUp, "with --wait: how long the run may stand still; 0: for ever")
	command.Flags().DurationVar(&limits.timeout, "timeout", 0, "with --wait: how long to wait in all; 0: until it ends")
	jsonFlag(command, &asJSON)
	return command
}

func checkKind(kind string) error {
	switch ledger.RunKind(kind) {
	case ledger.RunPoll, ledger.RunBackfill, ledger.RunCompare, ledger.RunReplay:
		return nil
	}
	return fault.New(fault.Usage, "--kind is poll, backfill, compare or replay, not %q", kind)
}

// checkStream refuses a stream that the integration does not have.
func checkStream(ctx context.Context, session *Session, connection ledger.Connection, stream string) error {
	if stream == "" {
		return nil
	}
	_, streams, err := session.Describe(ctx, connection)
	if err != nil || slices.Contains(streams, stream) {
		return err
	}
	return fault.New(fault.Usage, "--stream is one of %s, not %q", strings.Join(streams, ", "), stream)
}

// follows says how a run that was started is followed.
type follows struct {
	patience
	joined, wait, asJSON bool
}

// follow tells of a run that was started, and waits for it if that is wanted.
func (o Options) follow(ctx context.Context, out io.Writer, session *Session, run ledger.Run, how follows) error {
	if !how.asJSON {
		word := "started"
		if how.joined {
			word = "joined"
		}
		fmt.Fprintf(out, "%s run %s (%s)\n", word, run.ID, run.Kind)
	}
	if how.wait {
		var err error
		if run, err = o.await(ctx, session, run, how.patience); err != nil {
			return err
		}
	}
	if how.asJSON {
		if err := printJSON(out, runRow(run)); err != nil {
			return err
		}
	} else if how.wait {
		printCounts(out, run)
	}
	if how.wait && run.State != ledger.RunSucceeded {
		return fault.New(fault.Invalid, "run %s %s: %s", run.ID, run.State, orElse(run.Error, "the command runs tells more"))
	}
	return nil
}

// await waits for the end of a run, no longer than it may.
func (o Options) await(ctx context.Context, session *Session, run ledger.Run, limits patience) (ledger.Run, error) {
	waits, end := context.WithCancelCause(ctx)
	defer end(nil)
	look := &waiting{patience: limits, progress: o.progress(), out: o.Err, clock: session.Store.Clock, end: end}
	ended, err := session.Control.WaitRun(waits, run.ID, look.look)
	look.progress.end()
	if err != nil && ctx.Err() == nil && waits.Err() != nil {
		return ended, context.Cause(waits)
	}
	return ended, err
}

func printCounts(out io.Writer, run ledger.Run) {
	counts := run.Counts
	fmt.Fprintf(out, "%s in %s: %d read, %d created, %d updated, %d deleted, %d linked, %d unchanged, %d conflicts, %d parked, %d held\n",
		run.State, run.EndedAt.Sub(run.StartedAt).Round(time.Millisecond), counts.Read, counts.Created, counts.Updated,
		counts.Deleted, counts.Linked, counts.Unchanged, counts.Conflicts, counts.Parked, counts.Held)
}

// progress shows how far a run is: a bar for a person, nothing for a script.
type progress struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

func (o Options) progress() *progress {
	if !o.Terminal {
		return &progress{}
	}
	return &progress{out: o.Err}
}

func (p *progress) show(run ledger.Run) {
	if p.out == nil {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription(string(run.Kind)),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	far := ledger.ProgressOf(run)
	done, total := far.Done, far.Total
	if far.Listing != nil {
		done, total = far.Listing.Done, far.Listing.Total
	}
	if total != nil && *total > 0 {
		if p.bar.GetMax64() != int64(*total) {
			p.bar.ChangeMax64(int64(*total))
		}
		// A full bar would end itself before the run does.
		done = min(done, *total-1)
	}
	p.bar.Describe(string(run.Kind) + ": " + howFar(far))
	_ = p.bar.Set64(int64(max(done, 0))) // a bar that cannot be drawn changes nothing
}

// line prints a line of its own beside the bar.
func (p *progress) line(out io.Writer, text string) {
	if p.bar != nil {
		_ = p.bar.Clear() // a bar that cannot be drawn changes nothing
	}
	fmt.Fprintln(out, text)
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
