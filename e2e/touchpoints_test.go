//go:build e2e

package e2e

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// touchFile is the ready-made file that counts touch-points.
const touchFile = "acme-touch-points.yaml"

// counting installs the ready-made file as it is.
func counting() setting {
	return func(w *world) {
		text, err := integrations.Read(touchFile)
		if err != nil {
			panic(err)
		}
		w.integration = strings.ReplaceAll(string(text), "late_by: 60s", "late_by: 3s")
	}
}

// countingToo puts its section into the file that keeps leads and contacts in step,
// as docs/guides/touch-points.md says.
func countingToo() setting {
	return func(w *world) {
		text, err := integrations.Read(touchFile)
		if err != nil {
			panic(err)
		}
		_, section, _ := strings.Cut(string(text), "\ntouch_points:\n")
		w.integration = strings.TrimRight(w.integration, "\n") + "\n\ntouch_points:\n" + section
	}
}

// touched is a world whose calls and e-mails are counted.
type touched struct {
	*world
	made map[string][]string
}

// log makes calls and e-mails of contacts: n of each object.
func (w *touched) log(t *testing.T, object string, n int) {
	t.Helper()
	_, contacts, err := w.right.people(t.Context())
	require.NoError(t, err)
	emails := slices.Sorted(maps.Keys(contacts))
	for i := range n {
		// Late in the evening in São Paulo is the next day in UTC.
		at := time.Date(2026, 3, 1+i%3, 1+i%20, 30, 0, 0, time.UTC)
		fields := map[string]any{"contact_id": contacts[emails[i%len(emails)]], "at": at.Format(time.RFC3339), "outcome": "nota " + w.canary}
		if i%4 != 0 {
			fields["owner_id"] = w.ownerID(w.right, i%2)
		}
		made, err := w.right.admin.CreateRecord(t.Context(), object, fields)
		require.NoError(t, err)
		w.made[object] = append(w.made[object], made.ID)
	}
}

// wanted counts what Acme holds now, by ids of SalesOS where there are any.
func (w *touched) wanted(ctx context.Context) (map[string]int, error) {
	zone, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		return nil, err
	}
	parties := map[string]string{"": ""}
	for _, on := range w.systems() {
		for id, email := range on.users {
			for other, known := range w.left.users {
				if on == w.right && known == email {
					parties[id] = "left/" + other
				}
			}
		}
	}
	_, contacts, err := w.right.people(ctx)
	if err != nil {
		return nil, err
	}
	_, leads, err := w.left.people(ctx)
	if err != nil {
		return nil, err
	}
	for email, id := range contacts {
		parties[id] = "right/" + id
		if lead, ok := leads[email]; ok {
			parties[id] = "left/" + lead
		}
	}
	counts := map[string]int{}
	for object, kind := range map[string]string{"calls": "call", "emails": "email"} {
		records, err := w.right.admin.Records(ctx, object)
		if err != nil {
			return nil, err
		}
		for _, one := range records {
			at, err := time.Parse(time.RFC3339, text(one.Fields["at"]))
			if err != nil {
				return nil, err
			}
			counts[strings.Join([]string{at.In(zone).Format(time.DateOnly), kind, parties[text(one.Fields["owner_id"])], parties[text(one.Fields["contact_id"])]}, " ")]++
		}
	}
	return counts, nil
}

// told is what the API says, in the words of wanted.
func (w *touched) told(ctx context.Context) (map[string]int, error) {
	type party struct{ Side, ID string }
	items, err := all[struct {
		Day, Kind      string
		User, Customer *party
		Count          int
	}](ctx, w.s.api, w.path("/touch-points"), nil)
	word := func(one *party) string {
		if one == nil {
			return ""
		}
		return one.Side + "/" + one.ID
	}
	counts := map[string]int{}
	for _, item := range items {
		counts[strings.Join([]string{item.Day, item.Kind, word(item.User), word(item.Customer)}, " ")] += item.Count
	}
	return counts, err
}

// awaitCounts waits until the API tells what Acme holds, and each lead too.
func (w *touched) awaitCounts(t *testing.T) map[string]int {
	t.Helper()
	var last map[string]int
	eventually(t, "touch-points are counted as Acme has them", func(ctx context.Context) (bool, string) {
		wanted, err := w.wanted(ctx)
		if err != nil {
			return false, err.Error()
		}
		told, err := w.told(ctx)
		if err != nil || !maps.Equal(wanted, told) {
			return false, fmt.Sprintf("wanted %v, told %v, error %v; %s", wanted, told, err, w.parked(ctx))
		}
		last = told
		seen, err := w.fieldsDiffer(ctx, told)
		return seen == "" && err == nil, fmt.Sprintf("%s, error %v", seen, err)
	})
	return last
}

// fieldsDiffer compares the custom field of each lead with its count.
func (w *touched) fieldsDiffer(ctx context.Context, told map[string]int) (string, error) {
	sums := map[string]int{}
	for line, count := range told {
		words := strings.Split(line, " ")
		sums[strings.TrimPrefix(words[3], "left/")] += count
	}
	leads, err := w.left.admin.Records(ctx, "leads")
	for _, lead := range leads {
		custom, _ := lead.Fields["custom_fields"].(map[string]any)
		held := 0
		if custom["touch_points"] != nil {
			held, _ = strconv.Atoi(text(custom["touch_points"]))
		}
		if held != sums[lead.ID] {
			return fmt.Sprintf("lead %s says %v, %d wanted", lead.ID, custom["touch_points"], sums[lead.ID]), err
		}
	}
	return "", err
}

// TestTouchPoints lets calls and e-mails be logged, edited and deleted in Acme while
// webhooks come three times, in the wrong order or never and workers die, beside a
// full sync of leads.
func TestTouchPoints(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db string) {
		s := newStack(t, stackOptions{db: db})
		w := &touched{world: newWorld(t, s, countingToo()), made: map[string][]string{}}
		w.seed(t, 2, 2, 6)
		w.log(t, "calls", 12)
		w.bringUp(t, 10)
		w.awaitCounts(t)
		t.Log("what was there before was counted by the first load")

		admin := w.right.admin
		require.NoError(t, admin.RepeatWebhooks(t.Context(), 3, 0))
		require.NoError(t, admin.HoldWebhooks(t.Context()))
		w.log(t, "calls", 10)
		w.log(t, "emails", 10)
		_, contacts, err := w.right.people(t.Context())
		require.NoError(t, err)
		for n, id := range w.made["calls"][:6] {
			changes := []map[string]any{{"at": "2026-04-01T12:00:00Z"}, {"owner_id": nil}, {"contact_id": contacts[w.email(9)]}}[n%3]
			_, err := admin.EditRecord(t.Context(), "calls", id, changes)
			require.NoError(t, err)
		}
		_, err = admin.DeleteRecord(t.Context(), "emails", w.made["emails"][0])
		require.NoError(t, err)
		s.strike(t, s.workers)
		require.NoError(t, admin.ReleaseWebhooks(t.Context(), wire.Release{Order: wire.Reversed}))
		s.strike(t, s.workers)
		w.awaitCounts(t)
		t.Log("logged, edited and deleted, told three times and in the wrong order, workers killed")

		require.NoError(t, admin.RepeatWebhooks(t.Context(), 1, 0))
		require.NoError(t, admin.DropWebhooks(t.Context(), 1000))
		w.log(t, "emails", 5)
		_, err = admin.DeleteRecord(t.Context(), "calls", w.made["calls"][1])
		require.NoError(t, err)
		told := w.awaitCounts(t)
		t.Log("webhooks lost, found by polls")
		require.NoError(t, admin.DropWebhooks(t.Context(), 0))
		w.everywhere(t, told)
		w.awaitAgreement(t, 10)
		w.quiet(t)
		require.Equal(t, told, w.awaitCounts(t))
	})
}

// everywhere reads the counts as CSV, on the console, as metrics and in the shell.
func (w *touched) everywhere(t *testing.T, told map[string]int) {
	t.Helper()
	status, header, raw, err := w.s.api.do(t.Context(), http.MethodGet, w.path("/touch-points"), map[string]string{"Accept": "text/csv"}, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, header.Get("Content-Type"), "text/csv")
	rows, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"day", "kind", "user", "user_side", "customer", "customer_side", "count"}, rows[0])
	table, kinds := map[string]int{}, map[string]int{}
	for _, row := range rows[1:] {
		count, err := strconv.Atoi(row[6])
		require.NoError(t, err)
		word := func(id, side string) string {
			if id == "" {
				return ""
			}
			return side + "/" + id
		}
		table[strings.Join([]string{row[0], row[1], word(row[2], row[3]), word(row[4], row[5])}, " ")] += count
		kinds[row[1]] += count
	}
	require.Equal(t, told, table)
	for kind, count := range kinds {
		line := fmt.Sprintf("accord_touch_points{connection=%q,kind=%q,tenant=\"default\"} %d\n", w.id, kind, count)
		eventually(t, "the metrics say "+line, func(ctx context.Context) (bool, string) {
			_, _, page, err := w.s.api.do(ctx, http.MethodGet, "/metrics", nil, nil)
			return strings.Contains(string(page), line), fmt.Sprintf("error %v", err)
		})
	}
	page := w.console(t, "/console/connections/"+w.id+"/touch-points?from=2026-02-01&to=2026-04-30")
	for kind, count := range kinds {
		require.Contains(t, page, fmt.Sprintf("%s: %d", kind, count))
	}
	require.Contains(t, page, "<svg class=\"chart\"")
}

// console reads a page of the console as a browser would.
func (w *touched) console(t *testing.T, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.s.api.root+path, nil)
	require.NoError(t, err)
	request.SetBasicAuth("anybody", w.s.token)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, string(body))
	return string(body)
}

// dayOfTouchPointsAlone installs the ready-made file: nothing but the count is written.
func dayOfTouchPointsAlone(t *testing.T, s *stack) {
	w := &touched{world: newWorld(t, s, counting()), made: map[string][]string{}}
	w.seed(t, 0, 2, 6)
	w.log(t, "calls", 10)
	w.log(t, "emails", 5)
	w.install(t)
	w.activate(t)
	require.Equal(t, "succeeded", w.awaitRun(t, "backfill").State)
	w.awaitIdle(t)
	told := w.awaitCounts(t)
	require.NotEmpty(t, told)
	_, err := w.right.admin.DeleteRecord(t.Context(), "calls", w.made["calls"][0])
	require.NoError(t, err)
	w.awaitCounts(t)
	w.awaitIdle(t)
	_, writes, err := w.right.admin.WriteTotals(t.Context(), sandboxclient.Filter{Actor: service})
	require.NoError(t, err)
	require.Zero(t, writes, "nothing is written in Acme")
	created, _, err := w.left.admin.WriteTotals(t.Context(), sandboxclient.Filter{Actor: service, Op: "create"})
	require.NoError(t, err)
	require.Zero(t, created)
	w.quiet(t)
}
