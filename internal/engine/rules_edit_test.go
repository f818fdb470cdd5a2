package engine_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
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
