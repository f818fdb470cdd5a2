package engine_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const askingRule = `
  asked:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    look_up:
      - {name: owner, side: left, object: users, id: owner_id, cache: 1h}
      - {name: customer, side: right, object: contacts, find: {email: contact_email}, cache: 0s}
      - {name: rate, get: "${RATES}/latest?key=k", query: {base: '"BRL"'}, cache: 1m, limit: 2/min}
    then:
      - upsert: {object: orders, marker: external_ref, fields: {title: name, contact_id: customer?.id, customer_name: 'owner?.name ?? "nobody"'}}
      - call: {url: "${CHAT}/hook", body: {who: owner?.name, customer: customer?.first_name, rate: rate.value}}
`

func TestLookUpsOfARule(t *testing.T) {
	c := newChat(t)
	var asked atomic.Int64
	rates := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Query().Get("key") != "k" || r.URL.Query().Get("base") != "BRL" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`{"value": 5.25}`)) // a test's answer
	}))
	t.Cleanup(rates.Close)
	b := start(t, setup{edit: withRules(askingRule), variables: map[string]string{"CHAT": c.URL, "RATES": rates.URL}})
	user, err := b.left.CreateRecord(b.ctx, "users", map[string]any{"name": "Rui", "email": "rui@x.com"})
	require.NoError(t, err)
	contact, err := b.right.CreateRecord(b.ctx, "contacts", map[string]any{"first_name": "Ana", "email": "Ana@x.com"})
	require.NoError(t, err)
	win := func(fields map[string]any) string {
		fields["status"] = "won"
		id := b.deal(fields)
		b.ruleQuiet("rules.asked", "rules.asked.upsert")
		return id
	}
	win(map[string]any{"name": "One", "owner_id": user.ID, "contact_email": "ana@x.com"})
	require.Equal(t, `{"customer":"Ana","rate":5.25,"who":"Rui"}`, c.said()[0])
	require.Equal(t, contact.ID, text(b.orders()[0], "contact_id"))
	require.Equal(t, "Rui", text(b.orders()[0], "customer_name"))
	win(map[string]any{"name": "Two", "owner_id": user.ID})
	require.Equal(t, `{"customer":null,"rate":5.25,"who":"Rui"}`, c.said()[1], "nobody has no address")
	require.EqualValues(t, 1, asked.Load(), "an answer is good for a minute")
	b.clock.advance(2 * time.Minute)
	win(map[string]any{"name": "Three"})
	require.EqualValues(t, 2, asked.Load())
	require.Equal(t, `{"customer":null,"rate":5.25,"who":null}`, c.said()[2])
	// A user who is renamed is not asked for again within the hour.
	_, err = b.left.EditRecord(b.ctx, "users", user.ID, map[string]any{"name": "Rui Costa"})
	require.NoError(t, err)
	win(map[string]any{"name": "Four", "owner_id": user.ID})
	require.Contains(t, c.said()[3], `"who":"Rui"`)
	require.Empty(t, b.letters())
	require.Empty(t, b.firings(ledger.FiringOpen))
}

func TestLimitOfALookUpHoldsTheFiringBack(t *testing.T) {
	c := newChat(t)
	var asked atomic.Int64
	rates := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(`{"value": 1}`)) // a test's answer
	}))
	t.Cleanup(rates.Close)
	rule := `
  asked:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    look_up: [{name: rate, get: "${RATES}/latest", query: {of: name}, limit: 2/min}]
    then: [{call: {url: "${CHAT}/hook", body: {name: name}}}]
`
	b := start(t, setup{edit: withRules(rule), variables: map[string]string{"CHAT": c.URL, "RATES": rates.URL}})
	for _, name := range []string{"a", "b", "c"} {
		b.deal(map[string]any{"name": name, "status": "won"})
	}
	b.clock.advance(2 * time.Second)
	_, err := b.engine.Poll(b.ctx, b.key, "rules.asked")
	require.NoError(t, err)
	b.drain()
	require.Len(t, c.said(), 2)
	require.EqualValues(t, 2, asked.Load())
	b.settle()
	require.Len(t, c.said(), 3, "the third waited for its turn")
	require.EqualValues(t, 3, asked.Load())
}

func TestARuleByTimetableCatchesUp(t *testing.T) {
	c := newChat(t)
	rule := `
  won:
    when: {side: left, object: deals, events: [deal.won], cron: "0 6 * * *", time_zone: America/Sao_Paulo}
    then: [{call: {url: "${CHAT}/hook", body: {name: name}}}]
`
	b := start(t, setup{edit: withRules(rule), variables: map[string]string{"CHAT": c.URL}})
	b.deal(map[string]any{"name": "a", "status": "won"})
	b.clock.advance(80 * time.Hour)
	b.ruleQuiet("rules.won")
	require.Len(t, c.said(), 1, "three mornings were missed, and one win")
	states, err := b.store.StreamStates(b.ctx, b.key)
	require.NoError(t, err)
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	for _, state := range states {
		if state.Stream == "rules.won" {
			require.Equal(t, "06:00", state.NextPollAt.In(zone).Format("15:04"))
			return
		}
	}
	require.Fail(t, "the rule has no timetable")
}

// shippedBench is a bench of an integration that stands ready.
func shippedBench(t *testing.T, file string, variables map[string]string, edit func(string) string) *bench {
	t.Helper()
	return start(t, setup{variables: variables, edit: func(string) string {
		content, err := os.ReadFile("../../integrations/" + file)
		require.NoError(t, err)
		return edit(string(content))
	}})
}

func TestShippedOrders(t *testing.T) {
	c := newChat(t)
	b := shippedBench(t, "salesos-orders.yaml", map[string]string{"CHAT": c.URL}, func(yaml string) string {
		return replacedIn(t, yaml, "${secret:chat_webhook}", "${CHAT}/T000/B000")
	})
	user, err := b.left.CreateRecord(b.ctx, "users", map[string]any{"name": "Rui", "email": "rui@x.com"})
	require.NoError(t, err)
	deal := b.deal(map[string]any{"name": "Roof", "value": 1200, "owner_id": user.ID, "contact_email": "ana@x.com", "contact_name": "Ana", "priority": "high"})
	b.ruleQuiet("rules.won", "rules.won.upsert")
	require.Empty(t, b.orders())
	b.editDeal(deal, map[string]any{"status": "won"})
	for range 2 {
		b.event("won", deal, "e1")
		b.ruleQuiet("rules.won", "rules.won.upsert")
	}
	require.Len(t, b.orders(), 1)
	require.Equal(t, "Roof", text(b.orders()[0], "title"))
	require.Equal(t, "ana@x.com", text(b.orders()[0], "customer_email"))
	require.Equal(t, []string{`{"text":"Rui won Roof (1200 BRL)"}`}, c.said())
	require.Empty(t, b.letters())
}

func TestShippedWebForms(t *testing.T) {
	b := shippedBench(t, "webforms-salesos.yaml", nil, func(yaml string) string { return yaml })
	_, err := b.right.CreateRecord(b.ctx, "submissions", map[string]any{"form": "contact", "name": "Ana Lima", "email": "ana@x.com", "message": "Call me"})
	require.NoError(t, err)
	_, err = b.right.CreateRecord(b.ctx, "submissions", map[string]any{"form": "contact", "email": "spam@x.com", "spam": true})
	require.NoError(t, err)
	order, err := b.right.CreateRecord(b.ctx, "orders", map[string]any{"title": "Roof", "customer_name": "Ana Lima", "amount": map[string]any{"value": 12.5, "currency": "BRL"}})
	require.NoError(t, err)
	all := []string{"leads", "rules.order", "rules.order.upsert"}
	b.ruleQuiet(all...)
	require.Len(t, b.live(record.Left), 1)
	require.Equal(t, "web form contact", text(b.live(record.Left)[0], "source"))
	require.Empty(t, b.dealsNow(), "nobody has paid yet")
	_, err = b.right.EditRecord(b.ctx, "orders", order.ID, map[string]any{"status": "paid"})
	require.NoError(t, err)
	b.ruleQuiet(all...)
	require.Len(t, b.dealsNow(), 1)
	require.Equal(t, "Roof", text(b.dealsNow()[0], "name"))
	require.Equal(t, order.ID, text(b.dealsNow()[0], "custom_fields.external_id"))
	writes := b.writes(record.Left)
	b.run(ledger.RunCompare)
	b.ruleQuiet(all...)
	require.Equal(t, writes, b.writes(record.Left), "when nothing happens, nothing is written")
	require.Zero(t, b.writes(record.Right), "one way")
	require.Empty(t, b.letters())
}

func replacedIn(t *testing.T, text, old, with string) string {
	t.Helper()
	require.Contains(t, text, old)
	return strings.ReplaceAll(text, old, with)
}
