package engine_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const twoChats = `
  won:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    then:
      - call: {url: "${ONE}/hook", body: {text: '"one " + name'}}
      - call: {url: "${TWO}/hook", body: {text: '"two " + name'}}
`

const (
	callOne = `      - call: {url: "${ONE}/hook", body: {text: '"one " + name'}}` + "\n"
	callTwo = `      - call: {url: "${TWO}/hook", body: {text: '"two " + name'}}` + "\n"
)

// What is left to send keeps its own meaning when the rule is edited: it goes where it
// was decided to go, with what it was decided to say, or it is cancelled.
func TestAnEditOfARuleSendsNothingElsewhere(t *testing.T) {
	counting := "      - count: {metric: wins}\n"
	one, two := []string{`{"text":"one a"}`}, []string{`{"text":"two a"}`}
	for name, edit := range map[string]struct {
		before, after   string
		one, two, three []string
		cancelled       int
	}{
		"turned round":       {callOne + callTwo, callTwo + callOne, one, two, nil, 0},
		"another before":     {callOne + callTwo, counting + callOne + callTwo, one, two, nil, 0},
		"one removed":        {callOne + callTwo, callTwo, nil, two, nil, 1},
		"moved house":        {callOne + callTwo, replacedIn(t, callOne, "ONE", "THREE") + callTwo, nil, two, one, 0},
		"says it otherwise":  {callOne + callTwo, callTwo + replacedIn(t, callOne, "one ", "1 "), one, two, nil, 0},
		"something else":     {callOne + callTwo, `      - call: {url: "${THREE}/hook", body: {order: id}}` + "\n" + callTwo, nil, two, nil, 1},
		"same words, two of": {callOne + replacedIn(t, callTwo, "two", "one"), replacedIn(t, callOne, "ONE", "TWO"), nil, one, nil, 1},
		"by name": {replacedIn(t, callOne, "- call", "- name: team\n        call") + callTwo,
			callTwo + `      - {name: team, call: {url: "${THREE}/hook", body: {order: id}}}` + "\n", nil, two, one, 0},
	} {
		t.Run(name, func(t *testing.T) {
			chats := []*chat{newChat(t), newChat(t), newChat(t)}
			rule := replacedIn(t, twoChats, callOne+callTwo, edit.before)
			b := start(t, setup{edit: withRules(rule), variables: map[string]string{"ONE": chats[0].URL, "TWO": chats[1].URL, "THREE": chats[2].URL}})
			for _, c := range chats {
				c.answering(http.StatusServiceUnavailable)
			}
			deal := b.deal(map[string]any{"name": "a", "status": "won"})
			b.event("won", deal, "e1")
			b.drain()
			require.Len(t, b.firings(ledger.FiringOpen), 1)
			yAmend(b, edit.before, edit.after)
			for _, c := range chats {
				c.answering(0)
			}
			b.clock.advance(time.Minute)
			b.settle()
			for n, want := range [][]string{edit.one, edit.two, edit.three} {
				require.Equal(t, want, chats[n].said(), "chat %d", n+1)
			}
			cancelled := b.firings(ledger.FiringCancelled)
			require.Len(t, cancelled, edit.cancelled)
			require.Len(t, b.firings(ledger.FiringDone), 1-edit.cancelled)
			if edit.cancelled > 0 {
				require.Contains(t, []ledger.FiringState{cancelled[0].Effects[0].State, cancelled[0].Effects[1].State}, ledger.FiringCancelled)
			}
			require.Empty(t, b.letters())
		})
	}
}

// What was refused is evaluated by the effect as it is now, wherever it stands; one that
// was taken away is cancelled, and the record is parked no longer.
func TestWhatWasRefusedFindsItsEffect(t *testing.T) {
	for name, edit := range map[string]struct {
		after string
		two   []string
		state ledger.FiringState
	}{
		"turned round and mended": {replacedIn(t, callTwo, `"two " + name`, `"mended " + name`) + callOne, []string{`{"text":"mended a"}`}, ledger.FiringDone},
		"taken away":              {callOne, nil, ledger.FiringCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			ones, twos := newChat(t), newChat(t)
			b := start(t, setup{edit: withRules(twoChats), variables: map[string]string{"ONE": ones.URL, "TWO": twos.URL}})
			twos.answering(http.StatusUnprocessableEntity)
			deal := b.deal(map[string]any{"name": "a", "status": "won"})
			b.event("won", deal, "e1")
			b.settle()
			letters := b.letters()
			require.Len(t, letters, 1)
			yAmend(b, callOne+callTwo, edit.after)
			twos.answering(0)
			_, err := b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
			require.NoError(t, err)
			b.settle()
			require.Empty(t, b.letters())
			require.Len(t, ones.said(), 1)
			require.Equal(t, edit.two, twos.said())
			require.Len(t, b.firings(edit.state), 1)
		})
	}
}

// What a removed rule had left to do is cancelled when the edit takes effect, for all to
// see, and what it looked up is forgotten. Under its old name it goes on where it stood.
func TestARemovedRuleLeavesNothingOpen(t *testing.T) {
	c := newChat(t)
	const then = `
    then:
      - upsert: {object: orders, marker: external_ref, fields: {title: name, customer_name: 'owner?.name ?? "nobody"'}}
      - call: {url: "${CHAT}/hook", body: {name: name}}
`
	const when = `
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    look_up: [{name: owner, side: left, object: users, id: owner_id}]`
	const won, renamed = "  won:" + when + then, "  sold:" + when + then
	b := start(t, setup{edit: withRules(won), variables: map[string]string{"CHAT": c.URL}})
	user, err := b.left.CreateRecord(b.ctx, "users", map[string]any{"name": "Rui", "email": "rui@x.com"})
	require.NoError(t, err)
	win := func(name string) string {
		id := b.deal(map[string]any{"name": name, "status": "won", "owner_id": user.ID})
		b.event("won", id, name)
		return id
	}
	deal := win("a")
	b.ruleQuiet("rules.won", "rules.won.upsert")
	require.Equal(t, "Rui", text(b.orders()[0], "customer_name"))
	c.answering(http.StatusUnprocessableEntity)
	win("b")
	b.settle()
	require.Len(t, b.letters(), 1)
	c.answering(http.StatusServiceUnavailable)
	win("c")
	b.drain()
	require.Len(t, b.firings(ledger.FiringOpen), 1)

	yAmend(b, won, renamed)
	require.NoError(t, b.engine.ScheduleStreams(b.ctx, b.key))
	require.Empty(t, b.letters())
	require.Empty(t, b.firings(ledger.FiringOpen))
	require.Empty(t, b.firings(ledger.FiringParked))
	require.Len(t, b.firings(ledger.FiringCancelled), 2)
	met, err := b.store.Matches(b.ctx, b.key, "won", record.Left, []string{deal})
	require.NoError(t, err)
	require.Nil(t, met[deal].Found)
	c.answering(0)
	b.clock.advance(time.Minute)
	b.settle()
	require.Len(t, c.said(), 1, "nothing goes out any more")

	yAmend(b, renamed, won)
	require.NoError(t, b.engine.ScheduleStreams(b.ctx, b.key))
	b.editDeal(deal, map[string]any{"name": "A"})
	b.ruleQuiet("rules.won", "rules.won.upsert")
	require.Len(t, c.said(), 1, "they were won before")
	titles := map[string]string{}
	for _, order := range b.orders() {
		require.Equal(t, "Rui", text(order, "customer_name"), "what was looked up is looked up again")
		titles[text(order, "external_ref")] = text(order, "title")
	}
	require.Equal(t, "A", titles[deal])
	require.Empty(t, b.letters())
}
