package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sheet"
)

// touchFlags say what is counted.
type touchFlags struct {
	filter   ledger.TouchFilter
	kind, by string
}

func (f *touchFlags) read() (ledger.TouchFilter, error) {
	filter := f.filter
	for flag, day := range map[string]string{"--from": filter.From, "--to": filter.To} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return filter, fault.New(fault.Usage, "%s wants a day such as 2026-03-01, not %q", flag, day)
		}
	}
	if f.kind != "" {
		filter.Kinds = []string{f.kind}
	}
	if f.by == "" {
		return filter, nil
	}
	for word := range strings.SplitSeq(f.by, ",") {
		if !slices.Contains(ledger.Touches(), ledger.Touch(word)) {
			return filter, fault.New(fault.Usage, "--by is day, kind, user and customer with commas between, not %q", f.by)
		}
		filter.By = append(filter.By, ledger.Touch(word))
	}
	return filter, nil
}

func touchPointsCommand(options Options) *cobra.Command {
	var flags touchFlags
	var asCSV bool
	command := lister[ledger.TouchCount]{
		page: func(command *cobra.Command, session *Session, key ledger.Key, paging ledger.ListOptions) ([]ledger.TouchCount, string, error) {
			filter, err := flags.read()
			if err != nil {
				return nil, "", err
			}
			return session.Store.CountTouchPoints(command.Context(), key, filter, paging.Limit, paging.Cursor)
		},
		row: touchRow, head: []string{"DAY", "KIND", "USER", "CUSTOMER", "COUNT"},
		cells: func(count ledger.TouchCount) []string {
			// What was asked for is known, also where it is not counted apart.
			return []string{orElse(count.Day, "-"), orElse(count.Kind, orElse(flags.kind, "-")), partyCell(count.User, flags.filter.User),
				partyCell(count.Customer, flags.filter.Customer), fmt.Sprint(count.Count)}
		},
	}.command(options, "touch-points", "Count e-mails and calls by day, kind, user and customer")
	list := command.RunE
	command.RunE = func(command *cobra.Command, args []string) error {
		if !asCSV {
			return list(command, args)
		}
		filter, err := flags.read()
		if err != nil {
			return err
		}
		return options.onConnection(command.Context(), args[0], func(session *Session, connection ledger.Connection) error {
			return sheet.Touch(command.Context(), command.OutOrStdout(), session.Store, connection.Key, filter)
		})
	}
	command.Flags().StringVar(&flags.filter.From, "from", "", "the first day, YYYY-MM-DD")
	command.Flags().StringVar(&flags.filter.To, "to", "", "the last day")
	command.Flags().StringVar(&flags.kind, "kind", "", "one kind only")
	command.Flags().StringVar(&flags.filter.User, "user", "", "one user only, by id")
	command.Flags().StringVar(&flags.filter.Customer, "customer", "", "one customer only, by id")
	command.Flags().StringVar(&flags.by, "by", "", "what is counted apart: day, kind, user, customer; without it, by all four")
	command.Flags().BoolVar(&asCSV, "csv", false, "print all as CSV")
	command.MarkFlagsMutuallyExclusive("csv", "json")
	command.MarkFlagsMutuallyExclusive("csv", "limit")
	return command
}

func touchRow(count ledger.TouchCount) row {
	told := row{"count": count.Count}
	for name, text := range map[string]string{"day": count.Day, "kind": count.Kind} {
		if text != "" {
			told[name] = text
		}
	}
	for name, party := range map[string]ledger.Party{"user": count.User, "customer": count.Customer} {
		if party.ID != "" {
			told[name] = row{"side": party.Side, "id": party.ID}
		}
	}
	return told
}

// partyCell is a user or customer with the side that the id belongs to; else the id
// that was asked for.
func partyCell(party ledger.Party, asked string) string {
	if party.ID == "" {
		return orElse(asked, "-")
	}
	return string(party.Side) + "/" + party.ID
}
