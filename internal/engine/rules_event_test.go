package engine_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// An event that comes while the record is parked for the call of an earlier one fires
// too: what was refused once says nothing of it.
func TestAnEventFiresBesideOneThatWasRefused(t *testing.T) {
	c := newChat(t)
	rule := `
  won:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    once: event
    then: [{call: {url: "${CHAT}/hook", body: {name: name}}}]
`
	b := start(t, setup{edit: withRules(rule), variables: map[string]string{"CHAT": c.URL}})
	c.answering(http.StatusUnprocessableEntity)
	deal := b.deal(map[string]any{"name": "a", "status": "won"})
	b.event("won", deal, "e1")
	b.settle()
	require.Len(t, b.letters(), 1)
	require.Len(t, b.firings(ledger.FiringParked), 1)
	b.event("won", deal, "e1")
	b.settle()
	require.Len(t, b.firings(""), 1, "the same event is no news")
	c.answering(0)
	b.event("won", deal, "e2")
	b.settle()
	require.Len(t, b.firings(""), 2)
	require.Len(t, c.said(), 2, "with it goes what waited")
	require.Empty(t, b.letters())
}

// What was decided for a record is done, though the vendor merges it into another.
func TestWhatWasDecidedIsDoneThoughTheRecordIsMerged(t *testing.T) {
	c := newChat(t)
	rule := `
  met:
    when: {side: right, object: contacts, events: [contact.updated], every: 1s, if: 'score > 5'}
    then: [{call: {url: "${CHAT}/hook", body: {name: first_name}}}]
`
	b := start(t, setup{edit: withRules(rule), variables: map[string]string{"CHAT": c.URL}})
	c.answering(http.StatusServiceUnavailable)
	made := func(fields map[string]any) string {
		one, err := b.right.CreateRecord(b.ctx, "contacts", fields)
		require.NoError(t, err)
		return one.ID
	}
	into := made(map[string]any{"first_name": "Ana", "score": 1})
	from := made(map[string]any{"first_name": "Ane", "score": 9})
	look := func() {
		b.enqueue(ledger.Change{Stream: "rules.met", Ref: record.Ref{Side: record.Right, Object: "contacts", ID: from}})
	}
	look()
	b.drain()
	require.Len(t, b.firings(ledger.FiringOpen), 1)
	_, err := b.right.MergeRecords(b.ctx, "contacts", into, from)
	require.NoError(t, err)
	c.answering(0)
	b.clock.advance(time.Minute)
	look()
	b.settle()
	require.Empty(t, b.firings(ledger.FiringOpen))
	require.Contains(t, c.said(), `{"name":"Ane"}`)
}

// What was discarded is not sent with what fires later.
func TestWhatWasDiscardedIsNotSentLater(t *testing.T) {
	c := newChat(t)
	b := start(t, setup{edit: withRules(wonRule), variables: map[string]string{"CHAT": c.URL}})
	c.answering(http.StatusUnprocessableEntity)
	deal := b.deal(map[string]any{"name": "Big one", "value": 1, "status": "won"})
	b.event("won", deal, "e1")
	b.settle()
	letters := b.letters()
	require.Len(t, letters, 1)
	require.NoError(t, b.store.DiscardDeadLetter(b.ctx, b.key, letters[0].ID, "told by phone"))
	require.Empty(t, b.firings(ledger.FiringParked))
	c.answering(0)
	b.editDeal(deal, map[string]any{"status": "open"})
	b.event("won", deal, "e2")
	b.settle()
	require.Empty(t, c.said())
	b.editDeal(deal, map[string]any{"status": "won", "value": 2})
	b.event("won", deal, "e3")
	b.settle()
	require.Len(t, c.said(), 1, "the second win alone")
}
