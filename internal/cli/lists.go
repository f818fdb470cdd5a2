package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// lister is a command that prints a list of one connection.
type lister[Item any] struct {
	page  func(command *cobra.Command, session *Session, key ledger.Key, options ledger.ListOptions) ([]Item, string, error)
	row   func(Item) row
	head  []string
	cells func(Item) []string
}

// command makes the cobra command; limit is a flag with a default of 50, 0 for all.
func (l lister[Item]) command(options Options, use, short string) *cobra.Command {
	var asJSON bool
	var limit int
	command := &cobra.Command{
		Use: use + " CONNECTION", Short: short, Args: exactArgs("CONNECTION"),
		RunE: func(command *cobra.Command, args []string) error {
			if limit < 0 {
				return fault.New(fault.Usage, "--limit is 0 (all) or more, not %d", limit)
			}
			return options.onConnection(command.Context(), args[0], func(session *Session, connection ledger.Connection) error {
				items, more, err := l.read(command, session, connection.Key, limit)
				if err != nil {
					return err
				}
				if err := l.print(command, items, asJSON); err != nil || !more {
					return err
				}
				_, err = fmt.Fprintf(command.ErrOrStderr(), "there are more than these %d: --limit 0 lists all\n", len(items))
				return err
			})
		},
	}
	command.Flags().IntVar(&limit, "limit", 50, "how many at most; 0: all")
	jsonFlag(command, &asJSON)
	return command
}

// read returns at most limit items (0: all), and whether there are more.
func (l lister[Item]) read(command *cobra.Command, session *Session, key ledger.Key, limit int) (items []Item, more bool, err error) {
	options := ledger.ListOptions{Limit: pageLimit}
	if limit > 0 {
		options.Limit = min(limit, pageLimit)
	}
	for {
		page, next, err := l.page(command, session, key, options)
		if err != nil {
			return nil, false, err
		}
		items = append(items, page...)
		if limit > 0 && len(items) >= limit {
			return items[:limit], len(items) > limit || next != "", nil
		}
		if next == "" {
			return items, false, nil
		}
		options.Cursor = next
	}
}

func (l lister[Item]) print(command *cobra.Command, items []Item, asJSON bool) error {
	out := command.OutOrStdout()
	if asJSON {
		rows := make([]row, 0, len(items))
		for _, item := range items {
			rows = append(rows, l.row(item))
		}
		return printJSON(out, list(rows))
	}
	if len(items) == 0 {
		_, err := fmt.Fprintln(out, "none")
		return err
	}
	rows := make([][]string, 0, len(items))
	for _, item := range items {
		rows = append(rows, l.cells(item))
	}
	return table(out, l.head, rows)
}

func runsCommand(options Options) *cobra.Command {
	return lister[ledger.Run]{
		page: func(command *cobra.Command, session *Session, key ledger.Key, paging ledger.ListOptions) ([]ledger.Run, string, error) {
			return session.Store.ListRuns(command.Context(), key, paging)
		},
		row: runRow, head: []string{"ID", "KIND", "STREAM", "STATE", "STARTED", "ENDED", "DONE", "PROGRESS", "CREATED", "UPDATED", "CONFLICTS", "PARKED", "PROBLEM"},
		cells: func(run ledger.Run) []string {
			return []string{run.ID, string(run.Kind), orElse(run.Stream, "all"), string(run.State), clock(run.StartedAt), clock(run.EndedAt),
				fmt.Sprint(run.Done), progressOf(run), fmt.Sprint(run.Counts.Created), fmt.Sprint(run.Counts.Updated), fmt.Sprint(run.Counts.Conflicts), fmt.Sprint(run.Counts.Parked), problemOf(run)}
		},
	}.command(options, "runs", "List runs, newest first")
}

func conflictsCommand(options Options) *cobra.Command {
	var state string
	command := lister[ledger.Conflict]{
		page: func(command *cobra.Command, session *Session, key ledger.Key, paging ledger.ListOptions) ([]ledger.Conflict, string, error) {
			switch ledger.ConflictState(state) {
			case "", ledger.ConflictOpen, ledger.ConflictDecided, ledger.ConflictClosed:
			default:
				return nil, "", fault.New(fault.Usage, "--state is open, decided or closed, not %q", state)
			}
			return session.Store.ListConflicts(command.Context(), key, ledger.ConflictState(state), paging)
		},
		row: conflictRow, head: []string{"ID", "STREAM", "FIELD", "LEFT", "RIGHT", "BASE", "OPENED", "DEADLINE", "STATE"},
		cells: func(conflict ledger.Conflict) []string {
			return []string{conflict.ID, conflict.Stream, orElse(conflict.Field, "(delete against edit)"), plain(conflict.Left), plain(conflict.Right),
				plain(conflict.Base), clock(conflict.OpenedAt), clock(conflict.Deadline), string(conflict.State)}
		},
	}.command(options, "conflicts", "List fields that both sides changed")
	command.Flags().StringVar(&state, "state", "open", "open, decided or closed; empty: all")
	return command
}

func linksCommand(options Options) *cobra.Command {
	var stream, side, id string
	command := lister[ledger.Link]{
		page: func(command *cobra.Command, session *Session, key ledger.Key, paging ledger.ListOptions) ([]ledger.Link, string, error) {
			if err := checkSide(side); err != nil {
				return nil, "", err
			}
			filter := ledger.LinkFilter{Stream: stream, Side: record.Side(side), ID: id}
			return session.Store.Links(command.Context(), key, filter, paging)
		},
		row: linkRow, head: []string{"ID", "STREAM", "LEFT", "RIGHT", "STATE"},
		cells: func(link ledger.Link) []string {
			return []string{link.ID, link.Stream, link.Left.ID, link.Right.ID, string(link.State)}
		},
	}.command(options, "links", "List which records belong together")
	recordFlags(command, &stream, &side, &id)
	return command
}

func historyCommand(options Options) *cobra.Command {
	var stream, side, id, field string
	command := lister[ledger.HistoryEntry]{
		page: func(command *cobra.Command, session *Session, key ledger.Key, paging ledger.ListOptions) ([]ledger.HistoryEntry, string, error) {
			if err := checkSide(side); err != nil {
				return nil, "", err
			}
			filter := ledger.HistoryFilter{Stream: stream, Side: record.Side(side), ID: id, Field: field}
			return session.Store.ListHistory(command.Context(), key, filter, paging)
		},
		row: historyRow, head: []string{"AT", "RECORD", "FIELD", "OLD", "NEW", "CAUSE"},
		cells: func(entry ledger.HistoryEntry) []string {
			return []string{clock(entry.At), entry.Ref.String(), entry.Field, plain(entry.Old), plain(entry.New), string(entry.Cause.Kind)}
		},
	}.command(options, "history", "Tell what each write replaced, and why; newest first")
	recordFlags(command, &stream, &side, &id)
	command.Flags().StringVar(&field, "field", "", "the field's name in the integration")
	return command
}

func recordFlags(command *cobra.Command, stream, side, id *string) {
	command.Flags().StringVar(stream, "stream", "", "one stream only")
	command.Flags().StringVar(side, "side", "", "left or right")
	command.Flags().StringVar(id, "id", "", "a record's id in its system")
}

func checkSide(side string) error {
	if side != "" && !record.Side(side).Valid() {
		return fault.New(fault.Usage, "--side is left or right, not %q", side)
	}
	return nil
}

func connectionsCommand(options Options) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use: "connections", Short: "List connections", Args: exactArgs(),
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			return options.with(ctx, func(session *Session) error {
				var items []ledger.Connection
				err := allPages(func(paging ledger.ListOptions) (string, error) {
					page, next, err := session.Store.ListConnections(ctx, options.Tenant, paging)
					items = append(items, page...)
					return next, err
				})
				if err != nil {
					return err
				}
				return lister[ledger.Connection]{
					row:  func(connection ledger.Connection) row { return connectionRow(connection, session.WebhookBase) },
					head: []string{"ID", "NAME", "STATE", "VERSION", "UPDATED"},
					cells: func(connection ledger.Connection) []string {
						return []string{connection.Connection, connection.Name, string(connection.State), fmt.Sprint(connection.Version), clock(connection.UpdatedAt)}
					},
				}.print(command, items, asJSON)
			})
		},
	}
	jsonFlag(command, &asJSON)
	return command
}
