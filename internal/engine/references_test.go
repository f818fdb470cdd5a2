package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// trade is a bench with deals and users beside the leads.
type trade struct{ *bench }

func startTrade(t *testing.T, with setup) trade {
	t.Helper()
	return trade{start(t, with)}
}

// objectOf is the collection of a stream on a side.
func objectOf(stream string, side record.Side) string {
	if stream == "leads" && side == record.Right {
		return "contacts"
	}
	return stream
}

func (b trade) put(side record.Side, stream string, fields map[string]any) string {
	b.t.Helper()
	client, _ := b.client(side)
	made, err := client.CreateRecord(b.ctx, objectOf(stream, side), fields)
	require.NoError(b.t, err)
	return made.ID
}

func (b trade) set(side record.Side, stream, id string, fields map[string]any) {
	b.t.Helper()
	client, _ := b.client(side)
	_, err := client.EditRecord(b.ctx, objectOf(stream, side), id, fields)
	require.NoError(b.t, err)
}

func (b trade) drop(side record.Side, stream, id string) {
	b.t.Helper()
	client, _ := b.client(side)
	_, err := client.DeleteRecord(b.ctx, objectOf(stream, side), id)
	require.NoError(b.t, err)
}

// tell is what a webhook leaves: a ref.
func (b trade) tell(side record.Side, stream, id string) {
	b.t.Helper()
	_, err := b.store.Enqueue(b.ctx, b.key, []ledger.Change{{Stream: stream, Ref: record.Ref{Side: side, Object: objectOf(stream, side), ID: id}}}, time.Second)
	require.NoError(b.t, err)
}

// held is the value of a path as the server of a side stores it; nil if the
// record is not there.
func (b trade) held(side record.Side, stream, id, path string) any {
	b.t.Helper()
	client, _ := b.client(side)
	found, err := client.Record(b.ctx, objectOf(stream, side), id)
	require.NoError(b.t, err)
	return field(found, path)
}

// alive are the ids of the records of a side that are not deleted.
func (b trade) alive(side record.Side, stream string) []string {
	b.t.Helper()
	client, _ := b.client(side)
	all, err := client.Records(b.ctx, objectOf(stream, side))
	require.NoError(b.t, err)
	var ids []string
	for _, one := range all {
		if one.DeletedAt == nil && one.MergedInto == "" {
			ids = append(ids, one.ID)
		}
	}
	return ids
}

// twin is the id of the counterpart by an active link.
func (b trade) twin(side record.Side, stream, id string) string {
	b.t.Helper()
	found, err := b.store.Counterparts(b.ctx, b.key, stream, side, []string{id})
	require.NoError(b.t, err)
	require.NotEmpty(b.t, found[id], "%s %s/%s has a counterpart", stream, side, id)
	return found[id]
}

// rest brings everything to rest, as polls of all streams do.
func (b trade) rest() {
	b.t.Helper()
	for range 3 {
		b.clock.advance(2 * time.Second)
		for _, stream := range []string{"deals", "users", "leads"} {
			_, err := b.engine.Poll(b.ctx, b.key, stream)
			require.NoError(b.t, err)
		}
		b.settle()
	}
}

func (b trade) written() int {
	b.t.Helper()
	return b.writes(record.Left) + b.writes(record.Right)
}

// silent makes sure that nothing is written when nothing happens.
func (b trade) silent() {
	b.t.Helper()
	before := b.written()
	b.rest()
	b.run(ledger.RunCompare)
	b.rest()
	require.Equal(b.t, before, b.written(), "nothing happens, nothing is written")
}

func TestDealsGoBothWays(t *testing.T) {
	b := startTrade(t, setup{})
	leftRep, rightRep := b.put(record.Left, "users", map[string]any{"name": "Rep", "email": "Rep@x.com"}), b.put(record.Right, "users", map[string]any{"name": "Rep", "email": "rep@x.com"})
	lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": "ana@x.com"})
	contact := b.put(record.Right, "leads", map[string]any{"first_name": "Rui", "email": "rui@x.com"})
	deal := b.put(record.Left, "deals", map[string]any{"name": "House", "value": 75000.5, "lead_id": lead, "owner_id": leftRep,
		"stage": map[string]any{"id": "stage_proposal", "name": "Proposal", "probability": 40}, "expected_close_date": "2027-01-31"})
	sale := b.put(record.Right, "deals", map[string]any{"title": "Flat", "amount": map[string]any{"value": 900, "currency": "EUR"}, "contact_id": contact,
		"owner_id": rightRep, "stage": "won", "close_date": "2027-02-01"})
	run := b.run(ledger.RunBackfill)
	require.Equal(t, 4, run.Counts.Created)
	require.Equal(t, 1, run.Counts.Linked)

	made := b.twin(record.Left, "deals", deal)
	for path, want := range map[string]any{"title": "House", "contact_id": b.twin(record.Left, "leads", lead), "owner_id": rightRep, "stage": "proposal",
		"close_date": "2027-01-31", "external_ref": deal} {
		require.Equal(t, want, b.held(record.Right, "deals", made, path), path)
	}
	require.EqualValues(t, "75000.5", b.held(record.Right, "deals", made, "amount.value"))
	sold := b.twin(record.Right, "deals", sale)
	for path, want := range map[string]any{"name": "Flat", "lead_id": b.twin(record.Right, "leads", contact), "owner_id": leftRep, "status": "won",
		"expected_close_date": "2027-02-01", "custom_fields.external_id": sale} {
		require.Equal(t, want, b.held(record.Left, "deals", sold, path), path)
	}
	require.EqualValues(t, "900", b.held(record.Left, "deals", sold, "value"))
	require.Equal(t, 4, b.written(), "one create each")
	b.silent()

	b.set(record.Left, "deals", sold, map[string]any{"value": 950, "status": "lost"})
	b.set(record.Right, "deals", made, map[string]any{"stage": "negotiation"})
	b.rest()
	require.EqualValues(t, "950", b.held(record.Right, "deals", sale, "amount.value"))
	require.Equal(t, "EUR", b.held(record.Right, "deals", sale, "amount.currency"), "the rest of the amount stays")
	require.Equal(t, "lost", b.held(record.Right, "deals", sale, "stage"))
	require.Equal(t, "stage_negotiation", b.held(record.Left, "deals", deal, "stage.id"))
	require.Equal(t, "Negotiation", b.held(record.Left, "deals", deal, "stage.name"))
	require.Equal(t, 6, b.written(), "one write each")
	b.set(record.Right, "deals", sale, map[string]any{"stage": "new", "amount": map[string]any{"currency": "USD"}})
	b.rest()
	require.Equal(t, "open", b.held(record.Left, "deals", sold, "status"), "a deal that is opened again")
	require.Equal(t, "stage_new", b.held(record.Left, "deals", sold, "stage.id"))
	require.Equal(t, 7, b.written())
	require.Empty(t, b.letters())
	require.Empty(t, b.openConflicts())
	b.silent()
}

// replaceOnce edits an integration file at the one place where old stands.
func replaceAll(t *testing.T, yaml, old, with string) string {
	t.Helper()
	require.Contains(t, yaml, old)
	return strings.ReplaceAll(yaml, old, with)
}

func replaceOnce(t *testing.T, yaml, old, with string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(yaml, old))
	return strings.Replace(yaml, old, with, 1)
}
