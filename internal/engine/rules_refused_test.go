package engine_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
)

// A look-up that will never be answered parks the record; where the rule says that a 404
// means nothing, it is an answer.
func TestALookUpThatIsRefusedForGood(t *testing.T) {
	rule := `
  asked:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    look_up: [{name: rate, get: "${RATES}/latest"}]
    then: [{call: {url: "${CHAT}/hook", body: {rate: rate?.value}}}]
`
	for name, one := range map[string]struct {
		status int
		edit   func(string) string
		letter int
		tries  int
	}{
		"404":         {status: 404, letter: 404, tries: 1},
		"410":         {status: 410, letter: 410, tries: 1},
		"405":         {status: 405, letter: 405, tries: 1},
		"no JSON":     {status: 200, letter: 0, tries: 5},
		"nothing":     {status: 404, edit: func(yaml string) string { return replacedIn(t, yaml, "/latest\"", "/latest\", not_found: nothing") }, letter: -1, tries: 1},
		"not nothing": {status: 400, edit: func(yaml string) string { return replacedIn(t, yaml, "/latest\"", "/latest\", not_found: nothing") }, letter: 400, tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t)
			var asked atomic.Int64
			rates := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/latest" {
					asked.Add(1)
				}
				w.WriteHeader(one.status)
				_, _ = w.Write([]byte("<html>")) // a test's answer
			}))
			t.Cleanup(rates.Close)
			text := rule
			if one.edit != nil {
				text = one.edit(rule)
			}
			b := start(t, setup{edit: withRules(text), variables: map[string]string{"CHAT": c.URL, "RATES": rates.URL}})
			b.event("asked", b.deal(map[string]any{"name": "a", "status": "won"}), "e1")
			for range 8 {
				b.drain()
				b.clock.advance(time.Minute)
			}
			require.EqualValues(t, one.tries, asked.Load())
			letters := b.letters()
			if one.letter < 0 {
				require.Empty(t, letters)
				require.Equal(t, []string{`{"rate":null}`}, c.said())
				return
			}
			require.Len(t, letters, 1)
			require.Equal(t, "invalid", letters[0].Reason.Code)
			require.Equal(t, one.letter, letters[0].Reason.Status)
			require.Contains(t, letters[0].Reason.Message, "look_up[0]")
			require.Empty(t, c.said())
		})
	}
}

// A call that is refused for good is parked, also one that is forbidden again and again.
func TestACallThatIsRefusedForGood(t *testing.T) {
	for name, one := range map[string]struct {
		method        string
		status, tries int
	}{
		"GET 404":  {"GET", 404, 1},
		"POST 404": {"POST", 404, 1},
		"POST 412": {"POST", 412, 1},
		"GET 409":  {"GET", 409, 1},
		"POST 403": {"POST", 403, 5},
	} {
		t.Run(name, func(t *testing.T) {
			c := newChat(t)
			rule := `
  won:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    then: [{call: {method: ` + one.method + `, url: "${CHAT}/hook", query: {name: name}}}]
`
			b := start(t, setup{edit: withRules(rule), variables: map[string]string{"CHAT": c.URL}})
			c.answering(one.status)
			b.event("won", b.deal(map[string]any{"name": "a", "status": "won"}), "e1")
			for range 8 {
				b.drain()
				b.clock.advance(time.Minute)
			}
			require.Equal(t, one.tries, c.requests)
			letters := b.letters()
			require.Len(t, letters, 1)
			require.Equal(t, one.status, letters[0].Reason.Status)
			require.Len(t, b.firings(ledger.FiringParked), 1)
			c.answering(0)
			_, err := b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
			require.NoError(t, err)
			b.settle()
			require.Len(t, b.firings(ledger.FiringDone), 1)
			require.Len(t, c.keys, 1)
		})
	}
}
