//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// legacy installs the integration with Acme's old doors instead.
func legacy(t *testing.T) setting {
	text, err := integrations.Read("salesos-acme-legacy.yaml")
	require.NoError(t, err)
	return func(w *world) {
		w.integration = strings.ReplaceAll(string(text), "late_by: 60s", "late_by: 3s")
		w.variables["EXPORT_EVERY"] = "2s"
	}
}

// dayOfOldDoors: companies in XML both ways and contacts out of an export in CSV, over
// the real processes. A bad row is parked with its line while the rest goes on, a
// lead that is refused is corrected in a table with others, and both are cleared.
func dayOfOldDoors(t *testing.T, s *stack) {
	w := newWorld(t, s, legacy(t))
	ctx := t.Context()
	require.NoError(t, w.right.admin.SetSwitches(ctx, map[string]any{"encoding": wire.EncodingWindows}))
	company, err := w.right.admin.CreateRecord(ctx, "companies", map[string]any{"name": "Müller & Söhne " + w.canary, "domain": w.canary + ".example"})
	require.NoError(t, err)
	var contacts []string
	for n := range 5 {
		made, err := w.right.admin.CreateRecord(ctx, "contacts", w.contact(n+2))
		require.NoError(t, err)
		contacts = append(contacts, made.ID)
	}
	require.NoError(t, w.right.admin.SpoilRow(ctx, wire.BadRow{Object: "contacts", ID: contacts[2], Kind: wire.RowQuote}))
	_, err = w.right.admin.CreateRecord(ctx, "companies", map[string]any{"name": "Padaria " + w.canary, "phone": w.phone(1)})
	require.NoError(t, err)
	require.NoError(t, w.left.admin.RejectField(ctx, wire.Rejection{Object: "leads", Field: "phone", Value: w.phone(1)}))
	w.install(t)
	w.activate(t)
	run := w.awaitRun(t, "backfill")
	require.Equal(t, "succeeded", run.State)
	require.Equal(t, 2, run.Counts.Parked, "a row and a record")

	lead := w.leadNamed(t, "Müller & Söhne "+w.canary)
	_, err = w.left.admin.EditRecord(ctx, "leads", lead, map[string]any{"phone": "+55 11 3333-4444"})
	require.NoError(t, err)
	eventually(t, "the company's phone", func(ctx context.Context) (bool, string) {
		found, err := w.right.admin.Record(ctx, "companies", company.ID)
		return err == nil && strings.HasSuffix(fmt.Sprint(found.Fields["phone"]), "4444"), fmt.Sprint(err)
	})
	rows := w.table(t)
	require.Len(t, rows, 3, "a header and two")
	codes := rows[1][7] + " " + rows[2][7]
	require.Contains(t, codes, "unreadable_row")
	require.Contains(t, codes, "invalid")

	// The refused one gets another phone number, in a table: both sides take it.
	var out bytes.Buffer
	at := slices.Index(rows[0], "field:phone")
	for i, row := range rows {
		if i > 0 && row[7] == "invalid" {
			row[at] = "'" + w.phone(9)
		}
	}
	require.NoError(t, csv.NewWriter(&out).WriteAll(rows))
	var outcome struct{ Counts map[string]int }
	require.NoError(t, json.Unmarshal(w.file(t, http.MethodPut, &out), &outcome))
	require.Equal(t, map[string]int{"done": 1, "unchanged": 1}, outcome.Counts)
	var replayed struct{ Replayed int }
	s.api.post(t, w.path("/dead-letters/replay"), map[string]any{"filter": map[string]any{"code": "invalid"}}, &replayed)
	require.Equal(t, 1, replayed.Replayed)

	require.NoError(t, w.right.admin.MendRows(ctx))
	w.startRun(t, "compare")
	require.Equal(t, "succeeded", w.awaitRun(t, "compare").State)
	w.awaitNoLetters(t)
	all, err := w.left.admin.Records(ctx, "leads")
	require.NoError(t, err)
	require.Len(t, all, 7, "five contacts and two companies, each once")
}

// leadNamed waits for the lead of a name.
func (w *world) leadNamed(t *testing.T, name string) (id string) {
	t.Helper()
	eventually(t, "the lead", func(ctx context.Context) (bool, string) {
		all, err := w.left.admin.Records(ctx, "leads")
		for _, lead := range all {
			if lead.Fields["name"] == name {
				id = lead.ID
			}
		}
		return id != "", fmt.Sprint(err)
	})
	return id
}

// table reads the dead letters as a table.
func (w *world) table(t *testing.T) [][]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(w.file(t, http.MethodGet, nil))).ReadAll()
	require.NoError(t, err)
	return rows
}

// file gets or puts the table of dead letters.
func (w *world) file(t *testing.T, method string, body io.Reader) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.s.api.root+w.path("/dead-letters/table"), body)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+w.s.api.token)
	request.Header.Set("Content-Type", "text/csv")
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode, string(text))
	return text
}

func (w *world) awaitNoLetters(t *testing.T) {
	t.Helper()
	eventually(t, "no dead letters", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		return err == nil && now.DeadLetters == 0 && now.Pending.Changes == 0, fmt.Sprintf("%+v %v", now, err)
	})
}
