package console

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sheet"
)

const (
	// shownDays is how many days are shown unless somebody asks for others,
	// maxDays how many at most.
	shownDays = 30
	maxDays   = 366
	// shownParties is how many users and customers are listed, the busiest first.
	shownParties = 20
)

// touchPage is what the page of touch-points shows.
type touchPage struct {
	Connection ledger.Connection
	Filter     ledger.TouchFilter
	Kind       string
	// Table is the address of the same as CSV.
	Table            string
	Chart            chart
	Total            int
	Users, Customers []partyLine
}

// partyLine is one user or customer.
type partyLine struct {
	ledger.Party
	Count int
	// Share is how long its bar is, of 100.
	Share int
}

// touchPoints shows how many e-mails and calls there were.
func (c *Console) touchPoints(w http.ResponseWriter, r *http.Request) error {
	connection, filter, err := c.asked(r)
	if err != nil {
		return err
	}
	shown := touchPage{Connection: connection, Filter: filter, Kind: r.URL.Query().Get("kind")}
	query := r.URL.Query()
	query.Set("from", filter.From)
	query.Set("to", filter.To)
	shown.Table = (&url.URL{Path: r.URL.Path + ".csv", RawQuery: query.Encode()}).String()
	days, err := c.counted(r.Context(), connection.Key, filter, ledger.TouchDay, ledger.TouchKind)
	if err != nil {
		return err
	}
	for _, item := range days {
		shown.Total += item.Count
	}
	shown.Chart = drawChart(filter.From, filter.To, days)
	if shown.Users, err = c.parties(r.Context(), connection.Key, filter, ledger.TouchUser); err != nil {
		return err
	}
	if shown.Customers, err = c.parties(r.Context(), connection.Key, filter, ledger.TouchCustomer); err != nil {
		return err
	}
	return c.show(w, "touch-points.html", shown)
}

// touchTable is the same as CSV, counted by everything.
func (c *Console) touchTable(w http.ResponseWriter, r *http.Request) error {
	connection, filter, err := c.asked(r)
	if err != nil {
		return err
	}
	var table bytes.Buffer
	if err := sheet.Touch(r.Context(), &table, c.options.Store, connection.Key, filter); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="touch-points-%s-%s.csv"`, filter.From, filter.To))
	_, err = w.Write(table.Bytes())
	return err
}

// asked reads which connection and which days a page is about.
func (c *Console) asked(r *http.Request) (ledger.Connection, ledger.TouchFilter, error) {
	query := r.URL.Query()
	filter := ledger.TouchFilter{
		From: query.Get("from"), To: query.Get("to"), User: query.Get("user"), Customer: query.Get("customer"),
	}
	if kind := query.Get("kind"); kind != "" {
		filter.Kinds = []string{kind}
	}
	connection, err := c.options.Store.Connection(r.Context(), ledger.Key{Tenant: c.options.Tenant, Connection: r.PathValue("connection")})
	if err != nil {
		return connection, filter, err
	}
	last := c.options.Now().UTC()
	if filter.To != "" {
		if last, err = time.Parse(time.DateOnly, filter.To); err != nil {
			return connection, filter, fault.New(fault.Usage, "to is not a day: write YYYY-MM-DD")
		}
	}
	first := last.AddDate(0, 0, 1-shownDays)
	if filter.From != "" {
		if first, err = time.Parse(time.DateOnly, filter.From); err != nil {
			return connection, filter, fault.New(fault.Usage, "from is not a day: write YYYY-MM-DD")
		}
	}
	filter.From, filter.To = first.Format(time.DateOnly), last.Format(time.DateOnly)
	if filter.From > filter.To || last.Sub(first) > maxDays*24*time.Hour {
		return connection, filter, fault.New(fault.Usage, "from must not be after to, nor more than %d days before it", maxDays)
	}
	return connection, filter, nil
}

// counted reads a count to its end.
func (c *Console) counted(ctx context.Context, key ledger.Key, filter ledger.TouchFilter, by ...ledger.Touch) ([]ledger.TouchCount, error) {
	filter.By = by
	var all []ledger.TouchCount
	for cursor := ""; ; {
		items, next, err := c.options.Store.CountTouchPoints(ctx, key, filter, ledger.MaxTouchPage, cursor)
		if err != nil {
			return nil, err
		}
		if all = append(all, items...); len(all) > sheet.MaxRows {
			return nil, fault.New(fault.TooLarge, "there are too many to show; choose fewer days")
		}
		if cursor = next; next == "" {
			return all, nil
		}
	}
}

// parties lists the busiest users or customers.
func (c *Console) parties(ctx context.Context, key ledger.Key, filter ledger.TouchFilter, by ledger.Touch) ([]partyLine, error) {
	items, err := c.counted(ctx, key, filter, by)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(items, func(a, b ledger.TouchCount) int { return cmp.Compare(b.Count, a.Count) })
	lines := make([]partyLine, 0, shownParties)
	for _, item := range items[:min(len(items), shownParties)] {
		line := partyLine{Party: item.User, Count: item.Count, Share: max(1, 100*item.Count/items[0].Count)}
		if by == ledger.TouchCustomer {
			line.Party = item.Customer
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// show makes a page in full before anything of it is sent.
func (c *Console) show(w http.ResponseWriter, name string, shown any) error {
	var page bytes.Buffer
	if err := c.pages.ExecuteTemplate(&page, name, shown); err != nil {
		return fault.Wrap(fault.Internal, err, "the page %s cannot be made", name)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := w.Write(page.Bytes())
	return err
}
