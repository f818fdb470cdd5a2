package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func correctCommand(options Options) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use: "correct DEAD-LETTER FIELD=VALUE…", Short: "Give a parked record other values, for its next replay",
		Long: "Give a parked record other values, which its next replay sends instead of its own and writes to both systems.\n" +
			"FIELD is a field of the stream, VALUE is JSON in the form of the record's own system; null clears.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fault.New(fault.Usage, `DEAD-LETTER and at least one FIELD=VALUE are wanted, such as 'position="Director"'`)
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			fields, err := correctionsOf(args[1:])
			if err != nil {
				return err
			}
			return options.with(command.Context(), func(session *Session) error {
				letter, err := session.Control.PatchDeadLetter(command.Context(), args[0], fields)
				if err != nil {
					return err
				}
				state := string(letter.State)
				if !asJSON {
					state = "corrected; the command replay tries it with these values"
				}
				return tellState(command.OutOrStdout(), "dead letter", letter.ID, state, asJSON)
			})
		},
	}
	jsonFlag(command, &asJSON)
	return command
}

func correctionsOf(args []string) (ledger.Values, error) {
	fields := ledger.Values{}
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fault.New(fault.Usage, "FIELD=VALUE is wanted, not an argument without a field and a sign of equality")
		}
		value, err := jsonArgument("the value of "+name, text)
		if err != nil {
			return nil, err
		}
		fields[name] = value
	}
	return fields, nil
}

func discardCommand(options Options) *cobra.Command {
	var reason string
	var asJSON bool
	command := &cobra.Command{
		Use: "discard DEAD-LETTER", Short: "Give up a parked record until somebody edits it, and say why", Args: exactArgs("DEAD-LETTER"),
		RunE: func(command *cobra.Command, args []string) error {
			if reason == "" {
				return fault.New(fault.Usage, "--reason says why, for the next person who looks")
			}
			ctx := command.Context()
			return options.with(ctx, func(session *Session) error {
				if err := session.Control.Discard(ctx, args[0], reason); err != nil {
					return err
				}
				return tellState(command.OutOrStdout(), "dead letter", args[0], string(ledger.DeadLetterDiscarded), asJSON)
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why, for people")
	jsonFlag(command, &asJSON)
	return command
}
