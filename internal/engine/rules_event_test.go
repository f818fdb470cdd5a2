package engine_test

import (
	"fmt"
	"net/http"
	"strings"
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
	b.eachEvent("won", deal, "e1")
	b.settle()
	require.Len(t, b.letters(), 1)
	require.Len(t, b.firings(ledger.FiringParked), 1)
	b.eachEvent("won", deal, "e1")
	b.settle()
	require.Len(t, b.firings(""), 1, "the same event is no news")
	c.answering(0)
	b.eachEvent("won", deal, "e2")
	b.settle()
	require.Len(t, b.firings(""), 2)
	require.Len(t, c.said(), 2, "with it goes what waited")
	require.Empty(t, b.letters())
}

// eachEvent is what a webhook leaves for a rule that fires once per event.
func (b *bench) eachEvent(rule, deal string, events ...string) {
	b.t.Helper()
	for _, event := range events {
		b.enqueue(ledger.Change{Stream: "rules." + rule, Ref: record.Ref{Side: record.Left, Object: "deals", ID: deal}, EventID: event, KeepEvent: true})
	}
}

const movedRule = `
  moved:
    when: {side: left, object: deals, events: [deal.stage_changed], every: 1s}
    once: event
    look_up: [{name: owner, side: left, object: users, id: owner_id, limit: 2/min}]
    then:
      - call: {url: "${CHAT}/hook", body: {name: name}}
      - count: {metric: moves}
`

// Events that come before the first of them is looked at fire one by one, each once,
// whatever is told again and wherever the worker dies.
func TestEveryEventFiresOnce(t *testing.T) {
	for n := 0; ; n++ {
		c := newChat(t)
		b := start(t, setup{edit: withRules(movedRule), variables: map[string]string{"CHAT": c.URL}, memory: true})
		deal := b.deal(map[string]any{"name": "a", "status": "open"})
		b.eachEvent("moved", deal, "e1", "e2", "e3", "e2")
		reached := b.killAt(n)
		b.eachEvent("moved", deal, "e2", "e1")
		b.clock.advance(11 * time.Second)
		b.ruleQuiet("rules.moved")
		require.Len(t, c.said(), 3, "killed at step %d", n)
		b.eachEvent("moved", deal, "e3", "e4")
		b.ruleQuiet("rules.moved")
		require.Len(t, c.said(), 4, "killed at step %d", n)
		require.Len(t, b.firings(ledger.FiringDone), 4)
		counts, err := b.store.RuleCounts(b.ctx, b.key)
		require.NoError(t, err)
		require.EqualValues(t, 4, counts[0].Count, "killed at step %d", n)
		if !reached {
			require.Greater(t, n, 5, "the kills have reached the call")
			return
		}
	}
}

// More events than are read at once are all worked on.
func TestManyEventsOfOneRecord(t *testing.T) {
	c := newChat(t)
	b := start(t, setup{edit: withRules(movedRule), variables: map[string]string{"CHAT": c.URL}})
	deal := b.deal(map[string]any{"name": "a", "status": "open"})
	for n := range ledger.MaxRuleEvents + 3 {
		b.eachEvent("moved", deal, fmt.Sprint("e", n))
	}
	b.settle()
	require.Len(t, c.said(), ledger.MaxRuleEvents+3)
}

// An event of a record that does not match is over: it fires for nothing that comes later.
func TestAnEventOfARecordThatDoesNotMatch(t *testing.T) {
	c := newChat(t)
	b := start(t, setup{edit: withRules(strings.Replace(movedRule, "every: 1s", `if: "value > 5", every: 1s`, 1)), variables: map[string]string{"CHAT": c.URL}})
	deal := b.deal(map[string]any{"name": "a", "status": "open", "value": 1})
	b.eachEvent("moved", deal, "e1")
	b.settle()
	b.editDeal(deal, map[string]any{"value": 9})
	b.ruleQuiet("rules.moved")
	require.Empty(t, b.firings(""))
	b.eachEvent("moved", deal, "e2")
	b.settle()
	require.Len(t, b.firings(ledger.FiringDone), 1)
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

// What was refused for a record goes to the one that it was merged into: there it is
// corrected, evaluated anew and sent, and nothing waits under the id that is gone.
func TestWhatWasRefusedFollowsAMerge(t *testing.T) {
	for _, once := range []string{"match", "record", "event"} {
		c := newChat(t)
		rule := `
  met:
    when: {side: right, object: contacts, events: [contact.updated], every: 1s, if: 'score > 5'}
    once: ` + once + `
    then: [{call: {url: "${CHAT}/hook", body: {name: first_name}}}]
`
		b := start(t, setup{edit: withRules(rule), variables: map[string]string{"CHAT": c.URL}})
		made := func(fields map[string]any) string {
			one, err := b.right.CreateRecord(b.ctx, "contacts", fields)
			require.NoError(t, err)
			return one.ID
		}
		look := func(id, event string) {
			b.enqueue(ledger.Change{Stream: "rules.met", Ref: record.Ref{Side: record.Right, Object: "contacts", ID: id}, EventID: event, KeepEvent: once == "event"})
			b.settle()
		}
		into, from := made(map[string]any{"first_name": "Ana", "score": 9}), made(map[string]any{"first_name": "Ane", "score": 9})
		look(into, "e1")
		require.Len(t, c.said(), 1)
		c.answering(http.StatusUnprocessableEntity)
		look(from, "e1")
		require.Len(t, b.letters(), 1)
		_, err := b.right.MergeRecords(b.ctx, "contacts", into, from)
		require.NoError(t, err)
		look(from, "e1")
		letters := b.letters()
		require.Len(t, letters, 1, once)
		require.Equal(t, into, letters[0].Ref.ID, once)
		require.Equal(t, into, b.firings(ledger.FiringParked)[0].Ref.ID)
		c.answering(0)
		_, err = b.store.PatchDeadLetter(b.ctx, b.key, letters[0].ID, ledger.Values{"first_name": "Corrected"})
		require.NoError(t, err)
		_, err = b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
		require.NoError(t, err)
		b.settle()
		require.Equal(t, []string{`{"name":"Ana"}`, `{"name":"Corrected"}`}, c.said(), once)
		look(from, "e1")
		look(into, "e1")
		require.Empty(t, b.letters())
		require.Len(t, c.said(), 2, once)
	}
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
