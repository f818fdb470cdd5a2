package engine_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// chat is a receiver of messages that honours Idempotency-Key.
type chat struct {
	*httptest.Server

	mu sync.Mutex
	// requests are all that came, messages those that were not repeats, by key.
	requests int
	messages map[string]string
	keys     []string
	// answer, if set, is the status of the next answers.
	answer int
	header http.Header
}

func newChat(t *testing.T) *chat {
	t.Helper()
	c := &chat{messages: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.Header.Get("Idempotency-Key") == "" {
			// Whoever had this port before is called by somebody else.
			w.WriteHeader(http.StatusNotFound)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests++
		c.header = r.Header.Clone()
		if c.answer != 0 {
			w.WriteHeader(c.answer)
			_, _ = w.Write([]byte(`{"message": "no", "field": "text"}`)) // a test's answer
			return
		}
		key := r.Header.Get("Idempotency-Key")
		if _, again := c.messages[key]; !again {
			c.keys = append(c.keys, key)
		}
		c.messages[key] = string(body)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *chat) answering(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = status
}

// said are the messages in the order in which they first came.
func (c *chat) said() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, key := range c.keys {
		all = append(all, c.messages[key])
	}
	return all
}

// withRules adds rules to the integration of a bench.
func withRules(rules string) func(string) string {
	return func(yaml string) string { return yaml + "\nrules:\n" + rules }
}

const wonRule = `
  won:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    then:
      - call: {url: "${CHAT}/hook", headers: {X-Team: sales}, body: {text: '"Won: " + name', deal.value: value}, sign: {header: X-Signature, prefix: "sha256=", secret: "${secret:salesos_webhook}"}}
      - count: {metric: deals_won, labels: {status: status}}
`

func (b *bench) deal(fields map[string]any) string {
	b.t.Helper()
	made, err := b.left.CreateRecord(b.ctx, "deals", fields)
	require.NoError(b.t, err)
	return made.ID
}

func (b *bench) editDeal(id string, fields map[string]any) {
	b.t.Helper()
	_, err := b.left.EditRecord(b.ctx, "deals", id, fields)
	require.NoError(b.t, err)
}

// event is what a webhook leaves for a rule.
func (b *bench) event(rule, deal, event string) {
	b.t.Helper()
	b.enqueue(ledger.Change{Stream: "rules." + rule, Ref: record.Ref{Side: record.Left, Object: "deals", ID: deal}, EventID: event})
}

// ruleQuiet polls the streams of rules and drains until nothing moves.
func (b *bench) ruleQuiet(streams ...string) {
	b.t.Helper()
	for range 3 {
		b.clock.advance(2 * time.Second)
		for _, stream := range streams {
			_, err := b.engine.Poll(b.ctx, b.key, stream)
			require.NoError(b.t, err)
		}
		b.settle()
	}
}

func (b *bench) firings(state ledger.FiringState) []ledger.Firing {
	b.t.Helper()
	found, _, err := b.store.ListFirings(b.ctx, b.key, ledger.FiringFilter{State: state}, ledger.ListOptions{})
	require.NoError(b.t, err)
	return found
}

func TestRuleFiresEachTimeItBeginsToMatch(t *testing.T) {
	c := newChat(t)
	b := start(t, setup{edit: withRules(wonRule), variables: map[string]string{"CHAT": c.URL}})
	deal := b.deal(map[string]any{"name": "Big one", "value": 75000, "status": "open"})
	b.ruleQuiet("rules.won")
	require.Empty(t, c.said(), "an open deal is not won")
	b.editDeal(deal, map[string]any{"status": "won"})
	b.event("won", deal, "e1")
	b.settle()
	require.Equal(t, []string{`{"deal":{"value":75000},"text":"Won: Big one"}`}, c.said())
	require.Equal(t, "sales", c.header.Get("X-Team"))
	require.True(t, strings.HasPrefix(c.header.Get("X-Signature"), "sha256="))
	for range 3 {
		// The event comes again, and so does the poll.
		b.event("won", deal, "e1")
		b.ruleQuiet("rules.won")
	}
	b.editDeal(deal, map[string]any{"value": 76000})
	b.ruleQuiet("rules.won")
	require.Len(t, c.said(), 1, "it is still the same win")
	b.editDeal(deal, map[string]any{"status": "open"})
	b.ruleQuiet("rules.won")
	b.editDeal(deal, map[string]any{"status": "won"})
	// The event of the first win comes late, before that of the second.
	b.event("won", deal, "e1")
	b.event("won", deal, "e2")
	b.ruleQuiet("rules.won")
	require.Len(t, c.said(), 2, "won again")
	require.Equal(t, 2, c.requests, "nothing was sent twice")
	firings := b.firings(ledger.FiringDone)
	require.Len(t, firings, 2)
	require.Equal(t, "match:2", firings[0].Occurrence)
	require.Nil(t, firings[0].Effects[0].Body, "what was sent is not kept")
	counts, err := b.store.RuleCounts(b.ctx, b.key)
	require.NoError(t, err)
	require.Equal(t, []ledger.RuleCount{{Rule: "won", Metric: "deals_won", Labels: `{"status":"won"}`, Count: 2}}, counts)
	require.Empty(t, b.letters())
}

func TestRuleLeavesAloneWhatMatchedBefore(t *testing.T) {
	for _, backfill := range []bool{false, true} {
		c := newChat(t)
		rules := wonRule
		if backfill {
			rules += "    backfill: true\n"
		}
		b := newBenchWith(t, t.TempDir(), setup{edit: withRules(rules), variables: map[string]string{"CHAT": c.URL}}, func(b *bench) {
			for range 3 {
				b.deal(map[string]any{"name": "Old", "value": 1, "status": "won"})
			}
			b.clock.advance(time.Minute)
		})
		t.Cleanup(b.end)
		b.ruleQuiet("rules.won")
		old := b.dealsNow()[0].ID
		if backfill {
			require.Len(t, c.said(), 3)
			continue
		}
		b.event("won", old, "late")
		b.run(ledger.RunCompare)
		b.ruleQuiet("rules.won")
		require.Empty(t, c.said(), "they were won before")
		b.editDeal(old, map[string]any{"status": "lost"})
		b.ruleQuiet("rules.won")
		b.editDeal(old, map[string]any{"status": "won"})
		b.ruleQuiet("rules.won")
		require.Len(t, c.said(), 1, "this one was won now")
		b.deal(map[string]any{"name": "New", "value": 1, "status": "won"})
		b.ruleQuiet("rules.won")
		require.Len(t, c.said(), 2, "and this one came as won")
	}
}

func (b *bench) dealsNow() []wire.Record {
	b.t.Helper()
	found, err := b.left.Records(b.ctx, "deals")
	require.NoError(b.t, err)
	return found
}

func TestRuleKilledAtEveryStep(t *testing.T) {
	for n := 0; ; n++ {
		c := newChat(t)
		b := start(t, setup{edit: withRules(wonRule), variables: map[string]string{"CHAT": c.URL}, memory: true})
		deal := b.deal(map[string]any{"name": "Big one", "value": 75000, "status": "won"})
		b.event("won", deal, "e1")
		reached := b.killAt(n)
		b.event("won", deal, "e1")
		b.clock.advance(11 * time.Second)
		b.ruleQuiet("rules.won")
		require.Len(t, c.said(), 1, "killed at step %d", n)
		require.Len(t, b.firings(ledger.FiringDone), 1)
		counts, err := b.store.RuleCounts(b.ctx, b.key)
		require.NoError(t, err)
		require.EqualValues(t, 1, counts[0].Count, "killed at step %d", n)
		if !reached {
			require.Greater(t, n, 5, "the kills have reached the call")
			return
		}
	}
}

func TestRuleCallThatFailsOrIsRefused(t *testing.T) {
	c := newChat(t)
	b := start(t, setup{edit: withRules(wonRule), variables: map[string]string{"CHAT": c.URL}})
	c.answering(http.StatusServiceUnavailable)
	deal := b.deal(map[string]any{"name": "Big one", "value": 75000, "status": "won"})
	b.event("won", deal, "e1")
	for range 4 {
		b.drain()
		b.clock.advance(time.Minute)
	}
	require.Empty(t, b.letters(), "what is down comes back")
	require.Len(t, b.firings(ledger.FiringOpen), 1)
	c.answering(0)
	b.settle()
	require.Len(t, c.said(), 1)

	c.answering(http.StatusUnprocessableEntity)
	other := b.deal(map[string]any{"name": "Refused", "value": 1, "status": "won"})
	b.ruleQuiet("rules.won")
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, "invalid", letters[0].Reason.Code)
	require.Equal(t, 422, letters[0].Reason.Status)
	require.Equal(t, other, letters[0].Ref.ID)
	require.Equal(t, "rules.won", letters[0].Stream)
	require.Len(t, b.firings(ledger.FiringParked), 1)
	sent := c.requests
	b.ruleQuiet("rules.won")
	require.Equal(t, sent, c.requests, "it is not tried again by itself")
	c.answering(0)
	_, err := b.store.PatchDeadLetter(b.ctx, b.key, letters[0].ID, ledger.Values{"name": "Corrected"})
	require.NoError(t, err)
	_, err = b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
	require.NoError(t, err)
	b.settle()
	require.Empty(t, b.letters())
	require.Equal(t, `{"deal":{"value":1},"text":"Won: Corrected"}`, c.said()[1])
	require.Empty(t, b.firings(ledger.FiringParked))
}

const orderRule = `
  order:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    then:
      - upsert: {object: orders, marker: external_ref, fields: {title: name, amount.value: value, amount.currency: '"BRL"', customer_email: {value: contact_email, as: email}}}
      - call: {url: "${CHAT}/hook", body: '{"text": name}'}
`

func (b *bench) orders() []wire.Record {
	b.t.Helper()
	found, err := b.right.Records(b.ctx, "orders")
	require.NoError(b.t, err)
	return found
}

func TestRuleMakesOneRecordThatFollows(t *testing.T) {
	for n := 0; ; n++ {
		c := newChat(t)
		b := newBenchWith(t, t.TempDir(), setup{edit: withRules(orderRule), variables: map[string]string{"CHAT": c.URL}, memory: true}, func(b *bench) {
			b.deal(map[string]any{"name": "Old", "value": 1, "status": "won"})
			b.clock.advance(time.Minute)
		})
		deal := b.deal(map[string]any{"name": "Big one", "value": 75000, "status": "won"})
		b.event("order", deal, "e1")
		b.enqueue(ledger.Change{Stream: "rules.order.upsert", Ref: record.Ref{Side: record.Left, Object: "deals", ID: deal}, EventID: "e1"})
		reached := b.killAt(n)
		b.clock.advance(11 * time.Second)
		b.ruleQuiet("rules.order", "rules.order.upsert")
		require.Len(t, b.orders(), 1, "killed at step %d", n)
		require.Equal(t, "Big one", text(b.orders()[0], "title"))
		require.Equal(t, deal, text(b.orders()[0], "external_ref"))
		require.Equal(t, []string{`{"text":"Big one"}`}, c.said(), "killed at step %d", n)
		b.editDeal(deal, map[string]any{"name": "Bigger", "status": "lost"})
		b.ruleQuiet("rules.order", "rules.order.upsert")
		b.editDeal(deal, map[string]any{"status": "won"})
		b.ruleQuiet("rules.order", "rules.order.upsert")
		require.Len(t, b.orders(), 1)
		require.Equal(t, "Bigger", text(b.orders()[0], "title"))
		require.Len(t, c.said(), 2, "it was won a second time")
		require.Empty(t, b.letters())
		b.end()
		if !reached {
			require.Greater(t, n, 12, "the kills have reached the create")
			return
		}
	}
}

// A deal that is won when the connection is active, but before its first load has listed
// deals or anybody looked at one, is news.
func TestWhatHappensBeforeTheFirstListingIsNews(t *testing.T) {
	c := newChat(t)
	b := newBenchWith(t, t.TempDir(), setup{edit: withRules(wonRule), variables: map[string]string{"CHAT": c.URL}}, func(fresh *bench) {
		old := fresh.deal(map[string]any{"name": "Old one", "value": 1, "status": "won"})
		fresh.clock.advance(time.Minute)
		fresh.restart()
		require.NoError(t, fresh.engine.ScheduleStreams(fresh.ctx, fresh.key))
		fresh.clock.advance(time.Minute)
		deal := fresh.deal(map[string]any{"name": "Big one", "value": 75000, "status": "won"})
		fresh.clock.advance(time.Minute)
		fresh.event("won", deal, "e1")
		fresh.event("won", old, "e2")
		fresh.settle()
	})
	t.Cleanup(b.end)
	b.ruleQuiet("rules.won")
	require.Equal(t, []string{`{"deal":{"value":75000},"text":"Won: Big one"}`}, c.said())
}
