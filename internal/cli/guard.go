package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func guardCommand(options Options) *cobra.Command {
	return lister[ledger.Held]{
		page: func(command *cobra.Command, session *Session, key ledger.Key, paging ledger.ListOptions) ([]ledger.Held, string, error) {
			return session.Store.ListHeld(command.Context(), key, ledger.HeldWaiting, paging)
		},
		row: heldRow, head: []string{"ID", "STREAM", "RECORD", "WOULD", "FIELDS", "SINCE"},
		cells: func(held ledger.Held) []string {
			return []string{held.ID, held.Stream, held.Ref.String(), string(held.Op), orElse(strings.Join(held.Fields, ", "), "-"), clock(held.Since)}
		},
	}.command(options, "guard", "List deletes, clears and rewrites that wait for an operator")
}

func heldRow(held ledger.Held) row {
	return row{
		"id": held.ID, "stream": held.Stream, "side": held.Ref.Side, "ref": held.Ref, "op": held.Op, "fields": held.Fields,
		"since": held.Since.UTC(), "link": held.LinkID,
	}
}

func approveCommand(options Options) *cobra.Command {
	return decideHeldCommand(options, "approve", "Let held operations happen: those named, or --all",
		"They are carried out at once.", ledger.HeldApproved)
}

func rejectCommand(options Options) *cobra.Command {
	return decideHeldCommand(options, "reject", "Refuse held operations: those named, or --all",
		"A refused delete unlinks the pair for good and keeps the survivor. A refused clear or rewrite puts the other side's value back.", ledger.HeldRejected)
}

func decideHeldCommand(options Options, name, short, long string, state ledger.HeldState) *cobra.Command {
	var all, asJSON bool
	command := &cobra.Command{
		Use: name + " CONNECTION [HELD…]", Short: short, Long: short + ".\n" + long,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || all == (len(args) > 1) {
				return fault.New(fault.Usage, "CONNECTION and either the held operations or --all are wanted; --help tells how it is used")
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			ctx := command.Context()
			return options.onConnection(ctx, args[0], func(session *Session, connection ledger.Connection) error {
				decide := session.Control.ApproveGuard
				if state == ledger.HeldRejected {
					decide = session.Control.RejectGuard
				}
				decided, err := decide(ctx, connection.Key, args[1:])
				if err != nil {
					return err
				}
				if asJSON {
					err = printJSON(command.OutOrStdout(), row{"decided": decided})
				} else {
					_, err = fmt.Fprintf(command.OutOrStdout(), "%s %s\n", several(decided, "held operation is", "held operations are"), state)
				}
				return errors.Join(err, allNamed(args[1:], decided, "operations of this connection that wait", "guard"))
			})
		},
	}
	command.Flags().BoolVar(&all, "all", false, "all that wait")
	jsonFlag(command, &asJSON)
	return command
}
