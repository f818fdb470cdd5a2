package engine_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/ledger"
)

// A walk is what happens to a few deals, told by events that are repeated, late and out
// of order, on a worker that is killed and a chat that is down.
type walk []turn

// turn is one step of a walk; which of its numbers count depends on do.
type turn struct {
	do               string
	who, event, kill int
}

func drawWalk(t *rapid.T) walk {
	var w walk
	for range rapid.IntRange(50, 80).Draw(t, "turns") {
		w = append(w, turn{
			do:  oneOf(t, "do", "win", "win", "lose", "win", "lose", "edit", "delete", "event", "event", "event", "drain", "settle", "settle", "kill", "kill", "down", "up"),
			who: rapid.IntRange(0, 2).Draw(t, "who"), event: rapid.IntRange(1, 5).Draw(t, "event"), kill: rapid.IntRange(0, 25).Draw(t, "kill"),
		})
	}
	return w
}

const walkRule = `
  won:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    once: %s
    then:
      - call: {url: "${CHAT}/hook", body: {name: name}}
      - count: {metric: wins}
`

// walker plays a walk and knows what must come of it.
type walker struct {
	*bench
	chat *chat
	once string
	// deals are ids; gone says which are deleted, won what each is at its server,
	// matching what it was when it was looked at last, fired which events it fired for,
	// and waiting which were told since.
	deals          []string
	gone           map[int]bool
	won, matching  map[int]bool
	fired, waiting map[int]map[int]bool
	// want is how often the rule fires by then.
	want int
}

// looked is what the rule owes once it has looked at a deal.
func (w *walker) looked(who int) {
	matches := w.won[who] && !w.gone[who]
	if w.once == "match" && matches && !w.matching[who] {
		w.want++
	}
	w.matching[who] = matches
	for event := range w.waiting[who] {
		if w.once == "event" && matches && !w.fired[who][event] {
			w.fired[who][event] = true
			w.want++
		}
	}
	w.waiting[who] = map[int]bool{}
}

// settled polls and drains until nothing moves, so that every deal is looked at.
func (w *walker) settled() {
	w.clock.advance(11 * time.Second)
	w.chat.answering(0)
	w.ruleQuiet("rules.won")
	for who := range w.deals {
		w.looked(who)
	}
}

func (w *walker) edit(who int, fields map[string]any) {
	if w.gone[who] {
		return
	}
	fields["value"] = w.clock.now().UnixNano() % 1_000_000
	w.editDeal(w.deals[who], fields)
}

func (w *walker) turn(one turn) {
	switch one.do {
	case "win", "lose":
		w.edit(one.who, map[string]any{"status": map[string]string{"win": "won", "lose": "open"}[one.do]})
		w.won[one.who] = one.do == "win"
	case "edit":
		w.edit(one.who, map[string]any{})
	case "delete":
		if one.event == 5 && !w.gone[one.who] {
			_, err := w.left.DeleteRecord(w.ctx, "deals", w.deals[one.who])
			require.NoError(w.t, err)
			w.gone[one.who] = true
		}
	case "event":
		// The vendor's id of an event names one event of one record.
		event := fmt.Sprintf("e%d-%d", one.who, one.event)
		if w.once == "event" {
			w.eachEvent("won", w.deals[one.who], event)
		} else {
			w.event("won", w.deals[one.who], event)
		}
		w.waiting[one.who][one.event] = true
	case "drain":
		for who := range w.deals {
			if len(w.waiting[who]) > 0 {
				w.looked(who)
			}
		}
		w.drain()
	case "kill":
		w.killAt(one.kill)
		w.settled()
	case "settle":
		w.settled()
	case "down":
		w.chat.answering(http.StatusServiceUnavailable)
	case "up":
		w.chat.answering(0)
	}
}

// However a walk goes, the rule fires as often as it must: each message once by its key,
// each number added once.
func TestRulesFireExactlyOnce(t *testing.T) {
	for _, once := range []string{"match", "event"} {
		for seed := range 8 {
			t.Run(fmt.Sprintf("%s %d", once, seed), func(t *testing.T) {
				c := newChat(t)
				b := start(t, setup{edit: withRules(fmt.Sprintf(walkRule, once)), variables: map[string]string{"CHAT": c.URL}, memory: true})
				w := &walker{bench: b, chat: c, once: once, gone: map[int]bool{}, won: map[int]bool{}, matching: map[int]bool{},
					fired: map[int]map[int]bool{}, waiting: map[int]map[int]bool{}}
				for who := range 3 {
					w.deals = append(w.deals, b.deal(map[string]any{"name": fmt.Sprint("deal ", who), "status": "open"}))
					w.fired[who], w.waiting[who] = map[int]bool{}, map[int]bool{}
				}
				w.settled()
				played := rapid.Custom(drawWalk).Example(seed)
				for n, one := range played {
					w.turn(one)
					if one.do != "settle" && one.do != "kill" {
						continue
					}
					require.Len(t, c.said(), w.want, "after turn %d of %+v", n, played[:n+1])
				}
				w.settled()
				require.Len(t, c.said(), w.want, "%+v", played)
				require.Len(t, b.firings(ledger.FiringDone), w.want)
				require.Empty(t, b.firings(ledger.FiringOpen))
				require.Empty(t, b.letters())
				counts, err := b.store.RuleCounts(b.ctx, b.key)
				require.NoError(t, err)
				total := int64(0)
				for _, one := range counts {
					total += one.Count
				}
				require.EqualValues(t, w.want, total)
			})
		}
	}
}
