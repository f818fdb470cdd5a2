package sheet

import (
	"context"
	"io"
	"slices"
	"strconv"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// MaxRows is the longest table that is written.
const MaxRows = 200_000

// Touch writes counts of touch-points as CSV, one column for each word they are
// counted by (two for users and customers: whose id, and the id). Longer ones than
// MaxRows are refused with fault.TooLarge before anything is written to out.
func Touch(ctx context.Context, out io.Writer, store ledger.TouchPoints, key ledger.Key, filter ledger.TouchFilter) error {
	if len(filter.By) == 0 {
		filter.By = ledger.Touches()
	}
	var all []ledger.TouchCount
	for cursor := ""; ; {
		items, next, err := store.CountTouchPoints(ctx, key, filter, ledger.MaxTouchPage, cursor)
		if err != nil {
			return err
		}
		if all = append(all, items...); next == "" {
			break
		}
		if cursor = next; len(all) >= MaxRows {
			return fault.New(fault.TooLarge, "the table has more than %d lines: choose fewer days, or count by fewer things", MaxRows)
		}
	}
	var head []string
	for _, word := range ledger.Touches() {
		if !slices.Contains(filter.By, word) {
			continue
		}
		head = append(head, string(word))
		if word == ledger.TouchUser || word == ledger.TouchCustomer {
			head = append(head, string(word)+"_side")
		}
	}
	table, err := NewCSV(out, append(head, "count"))
	if err != nil {
		return err
	}
	for _, item := range all {
		if err := table.Row(touchRow(item, filter.By)); err != nil {
			return err
		}
	}
	return table.Close()
}

func touchRow(item ledger.TouchCount, by []ledger.Touch) []string {
	var cells []string
	for _, word := range ledger.Touches() {
		if !slices.Contains(by, word) {
			continue
		}
		switch word {
		case ledger.TouchDay:
			cells = append(cells, item.Day)
		case ledger.TouchKind:
			cells = append(cells, item.Kind)
		case ledger.TouchUser:
			cells = append(cells, item.User.ID, string(item.User.Side))
		case ledger.TouchCustomer:
			cells = append(cells, item.Customer.ID, string(item.Customer.Side))
		}
	}
	return append(cells, strconv.Itoa(item.Count))
}
