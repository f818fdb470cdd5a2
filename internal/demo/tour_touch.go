package demo

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// tourTouchPoints counts calls and e-mails of Acme beside a full sync of leads, while
// every event is told three times.
func tourTouchPoints(ctx context.Context, p *Play) (string, error) {
	own, err := integrations.Read("acme-touch-points.yaml")
	if err != nil {
		return "", fmt.Errorf("read acme-touch-points.yaml of this binary: %w", err)
	}
	_, section, ok := strings.Cut(string(own), "\ntouch_points:\n")
	if !ok {
		return "", errors.New("expected acme-touch-points.yaml to have the section touch_points; read: it has not")
	}
	return at(ctx, p, integrations.SalesOSAcme, nil, func(w *place) (string, error) {
		w.integration = strings.TrimRight(w.integration, "\n") + "\n\ntouch_points:\n" + section
		counted := &tally{w: w}
		for _, on := range w.all()[:2] {
			made, err := on.CreateRecord(ctx, usersObject, map[string]any{"name": "Paula Reis", "email": "paula@example.com"})
			if err != nil {
				return "", fmt.Errorf("create a user: %w", err)
			}
			counted.user, counted.owner = counted.owner, made.ID
		}
		if counted.lead, counted.contact, err = w.couple(ctx, "Davi Luz", "davi@example.com"); err != nil {
			return "", err
		}
		if err := w.right.RepeatWebhooks(ctx, 3, 0); err != nil {
			return "", fmt.Errorf("repeat webhooks: %w", err)
		}
		return counted.play(ctx)
	})
}

// tally is one user and one customer of SalesOS, and what Acme calls them.
type tally struct {
	w                          *place
	user, owner, lead, contact string
}

func (c *tally) play(ctx context.Context) (string, error) {
	before, err := c.w.right.WebhookCounts(ctx)
	if err != nil {
		return "", fmt.Errorf("read webhooks: %w", err)
	}
	var made []wire.Record
	for _, one := range []struct{ object, at string }{
		{"calls", "2026-03-01T12:00:00Z"}, {"calls", "2026-03-02T02:30:00Z"}, {"emails", "2026-03-02T15:00:00Z"},
	} {
		record, err := c.w.right.CreateRecord(ctx, one.object, map[string]any{"contact_id": c.contact, "owner_id": c.owner, "at": one.at})
		if err != nil {
			return "", fmt.Errorf("log as a user on Acme: %w", err)
		}
		made = append(made, record)
	}
	// 02:30 in UTC is 23:30 of the day before in São Paulo.
	first, err := c.counts(ctx, map[string]int{"2026-03-01 call": 2, "2026-03-02 email": 1})
	if err != nil {
		return first, err
	}
	if _, err := c.w.right.EditRecord(ctx, "calls", made[0].ID, map[string]any{"at": "2026-03-05T12:00:00Z"}); err != nil {
		return first, fmt.Errorf("edit as a user on Acme: %w", err)
	}
	moved, err := c.counts(ctx, map[string]int{"2026-03-01 call": 1, "2026-03-02 email": 1, "2026-03-05 call": 1})
	if err != nil {
		return first + "\n" + moved, err
	}
	if _, err := c.w.right.DeleteRecord(ctx, "calls", made[1].ID); err != nil {
		return first, fmt.Errorf("delete as a user on Acme: %w", err)
	}
	last, err := c.counts(ctx, map[string]int{"2026-03-02 email": 1, "2026-03-05 call": 1})
	if err == nil {
		err = c.repeated(ctx, before.Delivered)
	}
	read := "told three times: " + first + "\na call moved to another day: " + moved + "\na call deleted: " + last
	if err != nil {
		return read, err
	}
	return read + "\nthe same as JSON, as CSV and as metrics, on the lead, and for one user and one lead of SalesOS", nil
}

// repeated waits until each of the five events was told three times.
func (c *tally) repeated(ctx context.Context, before int) error {
	_, err := c.w.p.await(ctx, "each event to be told three times", patience, func(ctx context.Context) (bool, string, error) {
		now, err := c.w.right.WebhookCounts(ctx)
		return now.Delivered-before >= 15, fmt.Sprintf("%d messages", now.Delivered-before), err
	})
	return err
}

// counts waits until the API, its CSV, the metrics and the lead say what is wanted,
// keyed by day and kind.
func (c *tally) counts(ctx context.Context, wanted map[string]int) (string, error) {
	kinds, total := map[string]int{}, 0
	for key, count := range wanted {
		kinds[strings.Fields(key)[1]] += count
		total += count
	}
	read, err := c.w.p.await(ctx, "the touch-points as JSON and CSV", patience, func(ctx context.Context) (bool, string, error) {
		items, err := c.items(ctx)
		if err != nil || !maps.Equal(items, wanted) {
			return false, told(items), err
		}
		rows, err := c.rows(ctx)
		return maps.Equal(rows, wanted), told(rows), err
	})
	if err != nil {
		return read, err
	}
	field, err := c.w.value(ctx, c.w.left, leadsObject, c.lead, "custom_fields.touch_points", strconv.Itoa(total))
	if err != nil {
		return read + "; " + field, err
	}
	_, err = c.w.p.await(ctx, "the touch-points as metrics", loadPatience, func(ctx context.Context) (bool, string, error) {
		page, err := c.page(ctx, "/metrics", "")
		for kind, count := range kinds {
			line := fmt.Sprintf("accord_touch_points{connection=%q,kind=%q,tenant=\"default\"} %d\n", c.w.connection.ID, kind, count)
			if !strings.Contains(page, line) {
				return false, "no line " + line, err
			}
		}
		return true, "all there", err
	})
	return read + "; " + field, err
}

// items reads the touch-points as JSON. Those of somebody else are keyed apart.
func (c *tally) items(ctx context.Context) (map[string]int, error) {
	type party struct {
		Side string `json:"side"`
		ID   string `json:"id"`
	}
	items, err := all[struct {
		Day      string `json:"day"`
		Kind     string `json:"kind"`
		User     *party `json:"user"`
		Customer *party `json:"customer"`
		Count    int    `json:"count"`
	}](ctx, c.w.p.api, c.path(), nil)
	found := map[string]int{}
	for _, one := range items {
		user, customer := party{}, party{}
		if one.User != nil {
			user = *one.User
		}
		if one.Customer != nil {
			customer = *one.Customer
		}
		found[c.key(one.Day, one.Kind, user.Side, user.ID, customer.Side, customer.ID)] += one.Count
	}
	return found, err
}

// rows reads the touch-points as CSV.
func (c *tally) rows(ctx context.Context) (map[string]int, error) {
	page, err := c.page(ctx, c.path(), "text/csv")
	if err != nil {
		return nil, err
	}
	lines, err := csv.NewReader(strings.NewReader(page)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the touch-points as CSV: %w", err)
	}
	if len(lines) == 0 {
		return nil, errors.New("expected the columns of touch-points; read: nothing")
	}
	if head := strings.Join(lines[0], ","); head != "day,kind,user,user_side,customer,customer_side,count" {
		return nil, errors.New("expected the columns of touch-points; read: " + head)
	}
	found := map[string]int{}
	for _, row := range lines[1:] {
		count, err := strconv.Atoi(row[6])
		if err != nil {
			return nil, fmt.Errorf("read the touch-points as CSV: %w", err)
		}
		found[c.key(row[0], row[1], row[3], row[2], row[5], row[4])] += count
	}
	return found, nil
}

// key is day and kind, and who it is if that is not the one user and customer of SalesOS.
func (c *tally) key(day, kind, userSide, user, customerSide, customer string) string {
	key := day + " " + kind
	if userSide != sideLeft || user != c.user {
		key += fmt.Sprintf(" user %s/%s", userSide, user)
	}
	if customerSide != sideLeft || customer != c.lead {
		key += fmt.Sprintf(" customer %s/%s", customerSide, customer)
	}
	return key
}

func (c *tally) path() string {
	return "/api/v1/connections/" + c.w.connection.ID + "/touch-points"
}

// page reads what is not JSON.
func (c *tally) page(ctx context.Context, path, accept string) (string, error) {
	api := c.w.p.api
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, api.root+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("GET %s: %w", path, err)
	}
	request.Header.Set("Authorization", "Bearer "+api.token)
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	answer, err := api.http.Do(request)
	if err != nil {
		return "", fmt.Errorf("call the API: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s answered %d", path, answer.StatusCode)
	}
	return string(raw), err
}

// told is counts in the order of their days.
func told(counts map[string]int) string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, key+": "+strconv.Itoa(counts[key]))
	}
	return strings.Join(words, ", ")
}
