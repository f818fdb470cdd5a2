package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/control"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func statusCommand(options Options) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use: "status CONNECTION", Short: "Tell what waits, what is stuck, and how the two sides are", Args: exactArgs("CONNECTION"),
		RunE: func(command *cobra.Command, args []string) error {
			ctx := command.Context()
			return options.onConnection(ctx, args[0], func(session *Session, connection ledger.Connection) error {
				status, err := session.Control.Status(ctx, connection.Key)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(command.OutOrStdout(), status)
				}
				return printStatus(command.OutOrStdout(), connection, status)
			})
		},
	}
	jsonFlag(command, &asJSON)
	return command
}

func printStatus(out io.Writer, connection ledger.Connection, status control.Status) error {
	fmt.Fprintf(out, "connection %s (%s), version %d: %s\n", connection.Connection, connection.Name, connection.Version, status.State)
	if status.Reason != "" {
		fmt.Fprintf(out, "reason: %s\n", status.Reason)
	}
	if status.Restored != nil {
		fmt.Fprintln(out, restoredLine(*status.Restored))
	}
	fmt.Fprintf(out, "waiting: %s, %s whose outcome is unknown\n", several(status.Pending.Changes, "change", "changes"), several(status.Pending.Intents, "write", "writes"))
	fmt.Fprintf(out, "for a person: %s, %s, %s\n", several(status.OpenConflicts, "conflict", "conflicts"),
		several(status.DeadLetters, "dead letter", "dead letters"), several(status.Held, "held operation", "held operations"))
	printSide(out, "left", status.Sides.Left)
	printSide(out, "right", status.Sides.Right)
	for _, stream := range status.Streams {
		fmt.Fprintf(out, "stream %s: %d linked, %.1f s behind\n", stream.Name, stream.Linked, stream.LagSeconds)
	}
	for _, one := range status.Shapes {
		fmt.Fprintf(out, "WARNING stream %s, %s: %s (since %s)\n", one.Stream, one.Side, one.Text, clock(one.Since))
	}
	for _, run := range status.Runs {
		fmt.Fprintf(out, "run %s of %s: %s\n", run.Kind, orElse(run.Stream, "all streams"), howFar(run.Progress))
		if run.Problem != nil {
			fmt.Fprintf(out, "  it waits: %s\n", waitsFor(*run.Problem))
		}
	}
	return nil
}

// restoredLine says what is known of a ledger that was put back.
func restoredLine(restored ledger.Restored) string {
	from := "an older state"
	if !restored.From.IsZero() {
		from = "its state of " + restored.From.UTC().Format("2006-01-02 15:04:05") + " UTC"
	}
	line := "ledger: put back to " + from
	switch {
	case restored.Waiting():
		return line + "; nothing is written until an operator accepts it"
	case restored.Comparing():
		return line + "; accepted, everything is being compared"
	}
	return line + "; accepted and compared"
}

func printSide(out io.Writer, name string, side control.SideStatus) {
	words := []string{"reachable"}
	if !side.Reachable {
		words = []string{"not called yet"}
		if side.LastError != "" {
			words = []string{"not reachable (" + side.LastError + ")"}
		}
	}
	if side.PausedUntil != nil {
		words = append(words, "waits until "+clock(*side.PausedUntil))
	}
	if side.Quota.Limit != nil && side.Quota.Remaining != nil {
		words = append(words, fmt.Sprintf("%d of %d calls left", *side.Quota.Remaining, *side.Quota.Limit))
	}
	fmt.Fprintf(out, "%s: %s, webhook %s\n", name, strings.Join(words, ", "), side.Webhook.State)
	if side.Broker != nil {
		fmt.Fprintln(out, brokerLine(name, *side.Broker))
	}
}

// brokerLine tells how the messages of a side come in.
func brokerLine(name string, broker control.BrokerStatus) string {
	line := name + " broker: " + broker.State
	if broker.Reason != "" {
		line += " (" + broker.Reason + ")"
	}
	if broker.Since != nil {
		line += " since " + clock(*broker.Since)
	}
	if broker.TakenAt != nil {
		line += ", last message about " + clock(*broker.TakenAt)
	}
	if broker.Unreadable > 0 && broker.UnreadableAt != nil {
		line += fmt.Sprintf(", %s refused as unreadable, the last at %s (%s)", several(broker.Unreadable, "message", "messages"), clock(*broker.UnreadableAt), broker.UnreadableCode)
	}
	return line
}

func activateCommand(options Options) *cobra.Command {
	return steerCommand(options, "activate", "Check both systems, register webhooks and begin to sync",
		func(command *cobra.Command, session *Session, connection ledger.Connection) error {
			if err := session.Control.Activate(command.Context(), connection.Key); err != nil {
				return err
			}
			if err := activated(command.Context(), session, &connection, connection.StateReason); err != nil {
				return err
			}
			if connection.State == ledger.Failing {
				return fault.New(fault.Invalid, "connection %s is failing: %s; mend that, then activate it again", connection.Connection, connection.StateReason)
			}
			return nil
		})
}

func pauseCommand(options Options) *cobra.Command {
	var reason string
	command := steerCommand(options, "pause", "Stop reading and writing; webhooks are still stored",
		func(command *cobra.Command, session *Session, connection ledger.Connection) error {
			return session.Control.Pause(command.Context(), connection.Key, reason)
		})
	command.Flags().StringVar(&reason, "reason", "paused by an operator", "why, for people")
	return command
}

func resumeCommand(options Options) *cobra.Command {
	return steerCommand(options, "resume", "Go on after a pause",
		func(command *cobra.Command, session *Session, connection ledger.Connection) error {
			return session.Control.Resume(command.Context(), connection.Key)
		})
}

func restoredCommand(options Options) *cobra.Command {
	var from string
	command := steerCommand(options, "restored", "Go on after Accord's own ledger was put back to an older state, and compare everything",
		func(command *cobra.Command, session *Session, connection ledger.Connection) error {
			var at time.Time
			if from != "" {
				var err error
				if at, err = time.Parse(time.RFC3339, from); err != nil {
					return fault.New(fault.Usage, "--from wants a time such as 2026-11-21T03:00:00Z, not %q", from)
				}
			}
			return session.Control.AcceptRestored(command.Context(), connection.Key, at)
		})
	command.Flags().StringVar(&from, "from", "", "when the backup was made, if Accord did not notice by itself (RFC 3339)")
	return command
}

// steerCommand does one thing to a connection and tells its state afterwards.
func steerCommand(options Options, name, short string, do func(*cobra.Command, *Session, ledger.Connection) error) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use: name + " CONNECTION", Short: short, Args: exactArgs("CONNECTION"),
		RunE: func(command *cobra.Command, args []string) error {
			return options.onConnection(command.Context(), args[0], func(session *Session, connection ledger.Connection) error {
				if err := do(command, session, connection); err != nil {
					return err
				}
				after, err := session.Store.Connection(command.Context(), connection.Key)
				if err != nil {
					return err
				}
				if err := tellState(command.OutOrStdout(), "connection", after.Connection, string(after.State), asJSON); err != nil || asJSON {
					return err
				}
				return tellReason(command.OutOrStdout(), after)
			})
		},
	}
	jsonFlag(command, &asJSON)
	return command
}

// tellReason says what keeps a connection from becoming active.
func tellReason(out io.Writer, connection ledger.Connection) error {
	if connection.StateReason == "" || connection.State != ledger.Draft {
		return nil
	}
	_, err := fmt.Fprintf(out, "reason: %s\n", connection.StateReason)
	return err
}

func tellState(out io.Writer, what, id, state string, asJSON bool) error {
	if asJSON {
		return printJSON(out, row{"id": id, "state": state})
	}
	_, err := fmt.Fprintf(out, "%s %s is %s\n", what, id, state)
	return err
}

func resolveCommand(options Options) *cobra.Command {
	var value string
	var seenLeft, seenRight string
	var asJSON bool
	command := &cobra.Command{
		Use: "resolve CONFLICT left|right|value", Short: "Decide a conflict",
		Long: "Decide a conflict: left or right wins, or a value of your own (--value, as JSON, in the left system's form).\n" +
			"With --seen-left and --seen-right (JSON) the decision is refused when the values have moved since.",
		Args: exactArgs("CONFLICT", "left|right|value"),
		RunE: func(command *cobra.Command, args []string) error {
			resolution, err := resolutionOf(command, args[1], value, seenLeft, seenRight)
			if err != nil {
				return err
			}
			ctx := command.Context()
			return options.with(ctx, func(session *Session) error {
				if err := session.Control.Resolve(ctx, args[0], resolution); err != nil {
					return err
				}
				_, conflict, err := session.Store.FindConflict(ctx, args[0])
				if err != nil {
					return err
				}
				return tellState(command.OutOrStdout(), "conflict", conflict.ID, string(conflict.State), asJSON)
			})
		},
	}
	command.Flags().StringVar(&value, "value", "", "the value that both sides shall hold, as JSON; null clears")
	command.Flags().StringVar(&seenLeft, "seen-left", "", "the left value as you saw it, as JSON")
	command.Flags().StringVar(&seenRight, "seen-right", "", "the right value as you saw it, as JSON")
	command.MarkFlagsRequiredTogether("seen-left", "seen-right")
	jsonFlag(command, &asJSON)
	return command
}

func resolutionOf(command *cobra.Command, choose, value, seenLeft, seenRight string) (control.Resolution, error) {
	resolution := control.Resolution{Choose: ledger.Choice(choose), By: "operator"}
	given := command.Flags().Changed("value")
	switch {
	case choose != "left" && choose != "right" && choose != "value":
		return resolution, fault.New(fault.Usage, "a conflict is decided by left, right or value, not %q", choose)
	case (choose == "value") != given:
		return resolution, fault.New(fault.Usage, "--value goes with the choice value, and with no other")
	}
	var err error
	if given {
		if resolution.Value, err = jsonArgument("--value", value); err != nil {
			return resolution, err
		}
	}
	if !command.Flags().Changed("seen-left") {
		return resolution, nil
	}
	seen := &activities.ProposalSeen{}
	if seen.Left, err = jsonArgument("--seen-left", seenLeft); err != nil {
		return resolution, err
	}
	if seen.Right, err = jsonArgument("--seen-right", seenRight); err != nil {
		return resolution, err
	}
	resolution.Seen = seen
	return resolution, nil
}

// jsonArgument reads one JSON value with its numbers as written.
func jsonArgument(flag, text string) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return nil, fault.New(fault.Usage, `%s is not JSON; a text needs its quotes: '"text"'`, flag)
	}
	return value, nil
}

func replayCommand(options Options) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use: "replay CONNECTION [DEAD-LETTER…]", Short: "Try parked records again: those named, or all",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fault.New(fault.Usage, "CONNECTION is wanted; --help tells how it is used")
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			ctx := command.Context()
			return options.onConnection(ctx, args[0], func(session *Session, connection ledger.Connection) error {
				replayed, err := session.Control.ReplayDeadLetters(ctx, connection.Key, args[1:])
				if err != nil {
					return err
				}
				if asJSON {
					err = printJSON(command.OutOrStdout(), row{"replayed": replayed})
				} else {
					_, err = fmt.Fprintf(command.OutOrStdout(), "%s tried again\n", several(replayed, "parked record is", "parked records are"))
				}
				return errors.Join(err, allNamed(args[1:], replayed, "open dead letters of this connection", "dead-letters"))
			})
		},
	}
	jsonFlag(command, &asJSON)
	return command
}
