package engine_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// legacy is a bench of the integration with Acme's old interfaces.
func legacy(t *testing.T, variables map[string]string) *bench {
	t.Helper()
	return legacyWith(t, variables, setup{})
}

func legacyWith(t *testing.T, variables map[string]string, with setup) *bench {
	t.Helper()
	text, err := integrations.Read("salesos-acme-legacy.yaml")
	require.NoError(t, err)
	if variables == nil {
		variables = map[string]string{}
	}
	variables["EXPORT_EVERY"] = "1s"
	with.edit, with.variables = func(string) string { return string(text) }, variables
	return start(t, with)
}

// timeless is a server that does not say what time it is, nor what changed: it shows all.
type timeless struct{ connector.Connector }

func (c timeless) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	request.Since = time.Time{}
	page, err := c.Connector.List(ctx, request)
	page.ServerTime = time.Time{}
	return page, err
}

// TestABadRowIsClearedWhateverTheTime: one poll is told from the next also where the
// server sends no Date and no row is newer.
func TestABadRowIsClearedWhateverTheTime(t *testing.T) {
	b := legacyWith(t, nil, setup{connector: func(_ *engine.Installed, _ record.Side, real connector.Connector) connector.Connector {
		return timeless{real}
	}})
	bad := b.contact("Bia", "bia@example.com")
	b.clock.advance(time.Minute)
	b.contact("Ana", "ana@example.com")
	b.quietLegacy()
	require.NoError(t, b.right.SpoilRow(b.ctx, wire.BadRow{Object: "contacts", ID: bad, Kind: wire.RowNoID}))
	b.quietLegacy()
	require.Len(t, b.letters(), 1)
	require.NoError(t, b.right.MendRows(b.ctx))
	b.quietLegacy()
	require.Empty(t, b.letters(), "the next poll clears it")
}

func (b *bench) quietLegacy() {
	b.t.Helper()
	for range 3 {
		b.clock.advance(2 * time.Second)
		for _, stream := range []string{"companies", "leads"} {
			_, err := b.engine.Poll(b.ctx, b.key, stream)
			require.NoError(b.t, err)
		}
		b.settle()
	}
}

// byMail finds the one lead of an address.
func (b *bench) byMail(email string) (found []wire.Record) {
	for _, lead := range b.live(record.Left) {
		if text(lead, "email") == email {
			found = append(found, lead)
		}
	}
	return found
}

// TestCompaniesInXMLBothWays: creates, edits of different fields, clears and deletes.
func TestCompaniesInXMLBothWays(t *testing.T) {
	b := legacy(t, nil)
	require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"encoding": wire.EncodingWindows}))
	made, err := b.right.CreateRecord(b.ctx, "companies", map[string]any{"name": "Müller & Söhne", "domain": "mueller.example.com", "phone": "+55 11 3333-4444"})
	require.NoError(t, err)
	lead := b.create(record.Left, map[string]any{"name": "Padaria São João", "phone": "+551133335555",
		"custom_fields": map[string]any{"kind": "company", "domain": "padaria.example.com", "city": "São Paulo"}})
	b.quietLegacy()
	twin := b.linked("companies", record.Right, made.ID)
	require.Equal(t, "Müller & Söhne", text(b.get(record.Left, twin), "name"))
	require.Equal(t, "company", text(b.get(record.Left, twin), "custom_fields.kind"))
	company := b.linked("companies", record.Left, lead)
	held, err := b.right.Record(b.ctx, "companies", company)
	require.NoError(t, err)
	require.Equal(t, "Padaria São João", text(held, "name"))
	require.Equal(t, "São Paulo", text(held, "properties.city"))

	b.edit(record.Left, lead, map[string]any{"name": "Padaria \"São\" <João> €"})
	_, err = b.right.EditRecord(b.ctx, "companies", company, map[string]any{"phone": nil, "properties": map[string]any{"city": "Santos"}})
	require.NoError(t, err)
	b.quietLegacy()
	held, err = b.right.Record(b.ctx, "companies", company)
	require.NoError(t, err)
	require.Equal(t, "Padaria \"São\" <João> €", text(held, "name"))
	require.Empty(t, text(b.get(record.Left, lead), "phone"))
	require.Equal(t, "Santos", text(b.get(record.Left, lead), "custom_fields.city"))

	writes := b.writes(record.Left) + b.writes(record.Right)
	b.run(ledger.RunCompare)
	b.quietLegacy()
	require.Equal(t, writes, b.writes(record.Left)+b.writes(record.Right), "nothing happened, nothing is written")
	require.Empty(t, b.letters())

	_, err = b.right.DeleteRecord(b.ctx, "companies", company)
	require.NoError(t, err)
	b.run(ledger.RunCompare)
	b.quietLegacy()
	require.NotNil(t, b.get(record.Left, lead).DeletedAt)
}

// linked is the counterpart of a record of a stream.
func (b *bench) linked(stream string, side record.Side, id string) string {
	b.t.Helper()
	links, _, err := b.store.Links(b.ctx, b.key, ledger.LinkFilter{Stream: stream, Side: side, ID: id, State: ledger.LinkActive}, ledger.ListOptions{})
	require.NoError(b.t, err)
	require.Len(b.t, links, 1, "record %s/%s has one active link", side, id)
	return links[0].Ref(side.Other()).ID
}

func (b *bench) contact(first, mail string) string {
	b.t.Helper()
	return b.create(record.Right, map[string]any{"first_name": first, "email": mail, "company_name": "Dahlia", "labels": []any{"a", "b"}, "score": 7.5})
}

// TestOneBadRowOfAnExport: it is parked with its line, the rest goes on; it is never
// taken for a record that was deleted; and a good row clears it.
func TestOneBadRowOfAnExport(t *testing.T) {
	for _, kind := range []string{wire.RowColumns, wire.RowNoID, wire.RowQuote, wire.RowEncoding, wire.RowTwice} {
		t.Run(kind, func(t *testing.T) {
			b := legacy(t, nil)
			ids := []string{b.contact("Ana", "ana@example.com"), b.contact("Bia", "bia@example.com"), b.contact("Caio", "caio@example.com")}
			require.NoError(t, b.right.SpoilRow(b.ctx, wire.BadRow{Object: "contacts", ID: ids[1], Kind: kind}))
			run := b.run(ledger.RunCompare)
			require.Equal(t, 1, run.Counts.Parked)
			good := 2
			if kind == wire.RowTwice {
				good = 3
			}
			require.Equal(t, good, run.Counts.Created, "the rest goes on")
			require.Equal(t, good+1, run.Counts.Read)
			require.Len(t, b.byMail("ana@example.com"), 1)
			letters := b.letters()
			require.Len(t, letters, 1)
			require.Equal(t, "unreadable_row", letters[0].Reason.Code)
			require.Regexp(t, "^line [2-5] of the file", letters[0].Reason.Message)
			require.NotContains(t, letters[0].Reason.Message, "Bia")

			// Again and again: one letter, and nothing is written.
			writes := b.writes(record.Left)
			b.run(ledger.RunCompare)
			b.quietLegacy()
			require.Equal(t, letters[0].ID, b.letters()[0].ID)
			require.Len(t, b.letters(), 1)
			require.Equal(t, writes, b.writes(record.Left))

			// A person's replay only asks for the next listing.
			_, err := b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
			require.NoError(t, err)
			b.settle()
			require.Len(t, b.letters(), 1)

			require.NoError(t, b.right.MendRows(b.ctx))
			b.run(ledger.RunCompare)
			b.quietLegacy()
			require.Empty(t, b.letters(), "a good row clears it")
			require.Len(t, b.byMail("bia@example.com"), 1)
			require.Len(t, b.live(record.Left), 3)
		})
	}
}

// TestABadRowIsNoDeletedRecord: of linked records whose rows turn bad nothing is
// deleted, nor of the others, and an edit made meanwhile comes through.
func TestABadRowIsNoDeletedRecord(t *testing.T) {
	b := legacy(t, nil)
	ids := []string{b.contact("Ana", "ana@example.com"), b.contact("Bia", "bia@example.com"), b.contact("Caio", "caio@example.com")}
	b.quietLegacy()
	require.Len(t, b.live(record.Left), 3)
	for i, kind := range []string{wire.RowNoID, wire.RowQuote, wire.RowEncoding} {
		require.NoError(t, b.right.SpoilRow(b.ctx, wire.BadRow{Object: "contacts", ID: ids[i], Kind: kind}))
	}
	b.clock.advance(time.Hour)
	for range 2 {
		run := b.run(ledger.RunCompare)
		require.Equal(t, 3, run.Counts.Parked)
		b.quietLegacy()
	}
	require.Len(t, b.letters(), 3)
	require.Len(t, b.live(record.Left), 3)
	for _, id := range ids {
		b.linked("leads", record.Right, id)
	}
	require.NoError(t, b.right.MendRows(b.ctx))
	b.edit(record.Right, ids[0], map[string]any{"company_name": "Lima; \"Ltda\"\nFilial", "score": 8})
	b.run(ledger.RunCompare)
	b.quietLegacy()
	require.Empty(t, b.letters())
	lead := b.byMail("ana@example.com")[0]
	require.Equal(t, "Lima; \"Ltda\"\nFilial", text(lead, "company"))
	require.Equal(t, "8", strings.TrimSpace(strings.Trim(toJSON(t, field(lead, "custom_fields.score")), `"`)))
}

// TestADiscardedRowStaysDiscarded as long as it stands there as it is.
func TestADiscardedRowStaysDiscarded(t *testing.T) {
	b := legacy(t, nil)
	id := b.contact("Ana", "ana@example.com")
	require.NoError(t, b.right.SpoilRow(b.ctx, wire.BadRow{Object: "contacts", ID: id, Kind: wire.RowNoID}))
	b.run(ledger.RunCompare)
	require.NoError(t, b.store.DiscardDeadLetter(b.ctx, b.key, b.letters()[0].ID, "a test row"))
	b.run(ledger.RunCompare)
	require.Empty(t, b.letters())
	b.edit(record.Right, id, map[string]any{"first_name": "Bia"})
	b.run(ledger.RunCompare)
	require.Len(t, b.letters(), 1, "another row")
}

// TestAFileThatIsNoExport: nothing of it is taken for records or their absence.
func TestAFileThatIsNoExport(t *testing.T) {
	b := legacy(t, nil)
	id := b.contact("Ana", "ana@example.com")
	b.quietLegacy()
	for _, body := range []string{"", "<html><body>down for maintenance</body></html>", "id;email\r\n1;2\r\n"} {
		_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 200, Path: "/api/2/export/contacts.csv", Body: body + " ", Times: 2,
			Headers: map[string]string{"Content-Type": "text/csv"}})
		require.NoError(t, err)
		b.run(ledger.RunCompare)
		b.quietLegacy()
	}
	require.Len(t, b.live(record.Left), 1)
	require.Empty(t, b.letters())
	b.linked("leads", record.Right, id)
}

func toJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

// TestACorrectionOfWhatIsNeverWritten: the source of a one-way stream keeps what was
// refused; the correction stands on the other side until the source is edited.
func TestACorrectionOfWhatIsNeverWritten(t *testing.T) {
	b := legacy(t, nil)
	require.NoError(t, b.left.RejectField(b.ctx, wire.Rejection{Object: "leads", Field: "company", Value: "Bad"}))
	id := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@example.com", "company_name": "Bad", "job_title": "CTO"})
	b.quietLegacy()
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, "company", letters[0].Reason.Field)
	require.Equal(t, 422, letters[0].Reason.Status)
	require.Equal(t, "Bad", letters[0].Values["company"], "the record, as it was parked")
	_, err := b.store.PatchDeadLetter(b.ctx, b.key, letters[0].ID, ledger.Values{"company": "Good"})
	require.NoError(t, err)
	_, err = b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
	require.NoError(t, err)
	b.settle()
	b.quietLegacy()
	b.run(ledger.RunCompare)
	b.quietLegacy()
	require.Empty(t, b.letters())
	require.Equal(t, "Good", text(b.byMail("ana@example.com")[0], "company"))
	require.Equal(t, "Bad", text(b.get(record.Right, id), "company_name"), "it is never written")

	b.edit(record.Right, id, map[string]any{"company_name": "Better"})
	b.quietLegacy()
	require.Equal(t, "Better", text(b.byMail("ana@example.com")[0], "company"), "until somebody edits it there")
}

// TestACorrectionOfALinkedRecordThatIsNeverWritten: an edit that was refused is corrected
// on the side that is written, and stands there until the source is edited again.
func TestACorrectionOfALinkedRecordThatIsNeverWritten(t *testing.T) {
	b := legacy(t, nil)
	require.NoError(t, b.left.RejectField(b.ctx, wire.Rejection{Object: "leads", Field: "company", Value: "Bad"}))
	id := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@example.com", "company_name": "Acme", "job_title": "CTO"})
	b.quietLegacy()
	b.edit(record.Right, id, map[string]any{"company_name": "Bad"})
	b.quietLegacy()
	letters := b.letters()
	require.Len(t, letters, 1)
	_, err := b.store.PatchDeadLetter(b.ctx, b.key, letters[0].ID, ledger.Values{"company": "Good"})
	require.NoError(t, err)
	_, err = b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
	require.NoError(t, err)
	b.settle()
	b.quietLegacy()
	b.run(ledger.RunCompare)
	b.quietLegacy()
	require.Empty(t, b.letters())
	require.Equal(t, "Good", text(b.byMail("ana@example.com")[0], "company"))

	b.edit(record.Right, id, map[string]any{"company_name": "Better"})
	b.quietLegacy()
	require.Equal(t, "Better", text(b.byMail("ana@example.com")[0], "company"))
}
