package engine_test

import (
	"fmt"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func drawCalls(t *rapid.T) walk {
	var w walk
	for range rapid.IntRange(70, 100).Draw(t, "turns") {
		w = append(w, turn{
			do:  oneOf(t, "do", "log", "log", "log", "move", "day", "wrong", "right", "delete", "tell", "tell", "tell", "drain", "settle", "kill", "kill", "compare"),
			who: rapid.IntRange(0, 9).Draw(t, "who"), event: rapid.IntRange(0, 2).Draw(t, "event"), kill: rapid.IntRange(0, 40).Draw(t, "kill"),
		})
	}
	return w
}

// calls plays a walk over the calls of two customers.
type calls struct {
	touchBench
	second, secondLead string
	ids                []string
}

func (w *calls) turn(one turn) {
	if one.do != "log" && one.do != "kill" && one.do != "compare" && len(w.ids) == 0 {
		return
	}
	id := ""
	if len(w.ids) > 0 {
		id = w.ids[one.who%len(w.ids)]
	}
	day := time.Date(2026, 3, 10+one.event, 12, 0, 0, 0, time.UTC).Format(time.RFC3339)
	switch one.do {
	case "log":
		fields := w.aCall()
		fields["at"], fields["contact_id"] = day, []any{w.contact, w.second, nil}[one.event]
		w.ids = append(w.ids, w.log("calls", fields))
	case "move":
		w.changed(id, map[string]any{"contact_id": []any{w.contact, w.second, nil}[one.event]})
	case "day":
		w.changed(id, map[string]any{"at": day})
	case "wrong":
		w.changed(id, map[string]any{"outcome": "wrong number"})
	case "right":
		w.changed(id, map[string]any{"outcome": "reached"})
	case "delete":
		if _, there := w.now()[id]; there {
			w.unlog("calls", id)
		}
	case "tell":
		for range one.event + 1 {
			w.tell("calls", id)
		}
	case "drain":
		w.drain()
	case "settle":
		w.settle()
	case "kill":
		w.killAt(one.kill)
		w.clock.advance(11 * time.Second)
	case "compare":
		w.run(ledger.RunCompare)
	}
}

func (w *calls) changed(id string, fields map[string]any) {
	if _, there := w.now()[id]; there {
		w.relog("calls", id, fields)
	}
}

// now are the calls that Acme has, by id, as each counts.
func (w *calls) now() map[string]ledger.TouchCount {
	found, err := w.right.Records(w.ctx, "calls")
	require.NoError(w.t, err)
	calls := map[string]ledger.TouchCount{}
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(w.t, err)
	for _, one := range found {
		at, err := time.Parse(time.RFC3339, text(one, "at"))
		require.NoError(w.t, err)
		count := ledger.TouchCount{Day: at.In(zone).Format(time.DateOnly), Kind: "call", User: of(record.Left, w.leftUser)}
		switch text(one, "contact_id") {
		case w.contact:
			count.Customer = of(record.Left, w.lead)
		case w.second:
			count.Customer = of(record.Left, w.secondLead)
		}
		if text(one, "outcome") == "wrong number" {
			count.Kind = ""
		}
		calls[one.ID] = count
	}
	return calls
}

// want is what must be counted by then.
func (w *calls) want() []ledger.TouchCount {
	sums := map[ledger.TouchCount]int{}
	for _, one := range w.now() {
		if one.Kind != "" {
			sums[one]++
		}
	}
	want := []ledger.TouchCount{}
	for one, sum := range sums {
		one.Count = sum
		want = append(want, one)
	}
	sort.Slice(want, func(i, j int) bool { return fmt.Sprint(want[i]) < fmt.Sprint(want[j]) })
	return want
}

// However calls are logged, told again, moved, deleted and interrupted: when everything
// was looked at, each is counted once, where it is now, and the leads say so.
func TestCallsAreCountedExactlyOnce(t *testing.T) {
	for seed := range 8 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &calls{touchBench: startTouching(t, setup{memory: true})}
			w.secondLead = w.create(record.Left, map[string]any{"name": "Bia", "email": "bia@x.com"})
			w.quiet()
			w.second = w.other(record.Left, w.secondLead)
			played := rapid.Custom(drawCalls).Example(seed)
			for _, one := range played {
				w.turn(one)
			}
			w.told()
			w.run(ledger.RunCompare)
			w.told()
			require.ElementsMatch(t, w.want(), w.counts(), "%+v", played)
			for _, lead := range []string{w.lead, w.secondLead} {
				count := 0
				for _, one := range w.want() {
					if one.Customer.ID == lead {
						count += one.Count
					}
				}
				held := w.held(lead)
				require.True(t, held == nil && count == 0 || fmt.Sprint(number(held)) == fmt.Sprint(count), "the lead says %v and not %d: %+v", held, count, played)
			}
			require.Empty(t, w.letters())
		})
	}
}
