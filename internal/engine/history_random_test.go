package engine_test

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/record"
)

// randomHistory makes the history of a seed; the same seed makes the same one.
func randomHistory(seed int) history { return rapid.Custom(drawHistory).Example(seed) }

func oneOf[T any](t *rapid.T, name string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, name)
}

// often is true in one of n cases when n is more than one.
func rarely(t *rapid.T, name string, n int) bool { return rapid.IntRange(1, n).Draw(t, name) == n }

func drawHistory(t *rapid.T) history {
	h := history{settings: drawSettings(t)}
	if !rarely(t, "no pairs", 8) {
		for who := range rapid.IntRange(2, 3).Draw(t, "pairs") {
			h.steps = append(h.steps, step{do: "create", side: drawSide(t), who: who + 1})
		}
		h.steps = append(h.steps, step{do: "poll"}, step{do: "settle"})
	}
	for range rapid.IntRange(8, 40).Draw(t, "steps") {
		if rarely(t, "play", 12) {
			h.steps = append(h.steps, drawPlay(t)...)
			continue
		}
		h.steps = append(h.steps, drawStep(t))
	}
	return h
}

func drawSettings(t *rapid.T) settings {
	s := plain()
	s.policy = oneOf(t, "policy", "newest", "left", "right", "manual")
	s.phone = oneOf(t, "phone", "manual", "left", "right", "newest")
	s.deletes = oneOf(t, "deletes", "propagate", "propagate", "propagate", "ignore")
	s.edited = oneOf(t, "edited", "keep", "delete", "recreate")
	s.guard = oneOf(t, "guard", 1000, 1000, 1)
	s.versions = oneOf(t, "versions", true, false)
	s.unique = oneOf(t, "unique", true, false)
	s.keys = oneOf(t, "keys", true, false)
	s.customFields = oneOf(t, "custom fields", "merge", "replace")
	s.updatedAfter = oneOf(t, "filter", "supported", "ignored", "rejected")
	s.retryAfter = oneOf(t, "retry after", "seconds", "date", "absent")
	if rarely(t, "coarse", 3) {
		s.tick = oneOf(t, "tick", 1000, 60000)
	}
	if rarely(t, "skewed", 3) {
		s.leftOff = rapid.IntRange(-300, 300).Draw(t, "left off") * 1000
		s.rightOff = rapid.IntRange(-300, 300).Draw(t, "right off") * 1000
	}
	if rarely(t, "late", 3) {
		s.late = rapid.IntRange(1, 60).Draw(t, "visible late") * 1000
	}
	if rarely(t, "lagging", 3) {
		s.lag = 5000
	}
	return s
}

func drawSide(t *rapid.T) record.Side { return oneOf(t, "side", record.Left, record.Right) }

// drawStep makes one step. Edits are the most frequent, and what users do comes
// close together, so that they meet.
func drawStep(t *rapid.T) step {
	do := oneOf(t, "do",
		"edit", "edit", "edit", "edit", "edit", "edit", "edit", "both", "both", "both",
		"create", "twins", "delete", "delete", "deliver", "repeat", "drain", "drain", "drain", "settle", "settle", "poll", "poll",
		"crash", "crash", "crash", "freeze", "freeze", "meanwhile", "race", "race", "fault", "fault", "fault", "calm", "refuse", "decide", "decide", "approve", "compare", "wait")
	one := step{do: do}
	switch do {
	case "edit", "both", "race":
		return drawEdit(t, one)
	case "create", "twins", "delete":
		one.side, one.who, one.event = drawSide(t), rapid.IntRange(1, 5).Draw(t, "who"), drawEvent(t)
	case "deliver":
		one.what = oneOf(t, "order", "first", "last", "all", "reversed")
	case "repeat":
		one.n = rapid.IntRange(0, 40).Draw(t, "event")
	case "crash":
		one.n, one.what = rapid.IntRange(0, 40).Draw(t, "at"), oneOf(t, "work", "drain", "drain", "drain", "poll", "compare")
	case "freeze", "meanwhile":
		one.n, one.side = rapid.IntRange(0, 25).Draw(t, "at"), drawSide(t)
		one.who, one.field = rapid.IntRange(1, 3).Draw(t, "who"), oneOf(t, "field", "company", "position", "note", "colour")
		one.value = oneOf(t, "value", values(one.field)...)
	case "fault":
		return drawFault(t, one)
	case "refuse":
		one.side = drawSide(t)
	case "decide":
		one.n, one.what = rapid.IntRange(0, 5).Draw(t, "conflict"), oneOf(t, "choice", "left", "right", "value")
	case "wait":
		one.n = oneOf(t, "seconds", 1, 3, 10, 45, 90)
	}
	return one
}

// drawPlay makes a few steps that belong together, which chance alone would
// seldom put side by side.
func drawPlay(t *rapid.T) []step {
	side, who := drawSide(t), rapid.IntRange(1, 3).Draw(t, "who")
	edit := func(side record.Side, field, value, event string) step {
		return step{do: "edit", side: side, who: who, field: field, value: value, event: event}
	}
	at := rapid.IntRange(0, 12).Draw(t, "at")
	switch oneOf(t, "which", "old cursor", "late decision", "anonymous", "storm", "retry", "guard", "paused", "stranger", "echo") {
	case "old cursor":
		return []step{{do: "settle"}, edit(side, "company", "Gamma", "lost"), {do: "wait", n: 600}, {do: "crash", n: at, what: "poll"}}
	case "late decision":
		return []step{{do: "settle"}, edit(record.Left, "phone", "+5511900000001", "now"), edit(record.Right, "phone", "+55 11 90000-0002", "now"), {do: "settle"},
			{do: "decide", n: 0, what: oneOf(t, "choice", "left", "right")}, edit(side, "phone", "+55 11 90000 0003", "now"), {do: "drain"}}
	case "anonymous":
		return []step{{do: "create", side: side, who: 6, what: "anonymous", event: "now"},
			{do: "fault", side: side.Other(), what: oneOf(t, "fault", "500", "cut"), method: "POST", when: "after", times: 1}, {do: "drain"}, {do: "settle"}}
	case "storm":
		return []step{{do: "settle"}, {do: "fault", side: side, what: oneOf(t, "fault", "storm", "403"), method: "GET", when: "before", times: 6},
			edit(side.Other(), "position", "Beta", "now"), {do: "drain"}, {do: "wait", n: 3}, {do: "drain"}, {do: "wait", n: 3}, {do: "drain"}, {do: "calm"}}
	case "paused":
		return []step{{do: "pause"}, edit(side, "company", "Gamma", "now"), {do: "drain"}, {do: "poll"}, edit(side.Other(), "position", "Beta", "lost"), {do: "pause"}}
	case "stranger":
		// Deleted on one side, and somebody with the same key comes.
		return []step{{do: "settle"}, {do: "delete", side: side, who: who, event: drawEvent(t)}, {do: "settle"},
			{do: "create", side: side, who: who, event: "now"}, {do: "repeat", n: at}, {do: "settle"}}
	case "echo":
		// An edit right after our own write, which restores what stood there.
		return []step{edit(side, "company", "Beta", "now"), {do: "settle"}, edit(side, "company", "Gamma", "now"), {do: "drain"},
			edit(side.Other(), "company", "Beta", drawEvent(t)), {do: "wait", n: 1}}
	case "retry":
		return []step{{do: "settle"}, edit(side.Other(), "company", "Beta", "now"),
			{do: "fault", side: side, what: "503", method: "PATCH", when: oneOf(t, "when", "before", "after"), times: 1}, {do: "drain"},
			edit(side, oneOf(t, "field", "company", "position"), "Gamma", "now"), {do: "wait", n: 10}, {do: "drain"}}
	}
	return []step{{do: "settle"}, {do: "delete", side: side, who: 1, event: "now"}, {do: "delete", side: side, who: 2, event: "now"},
		{do: "delete", side: side, who: 3, event: "now"}, {do: "settle"}}
}

func drawEvent(t *rapid.T) string { return oneOf(t, "event", "now", "now", "later", "lost", "thrice") }

func drawEdit(t *rapid.T, one step) step {
	one.side, one.who = drawSide(t), rapid.IntRange(1, 3).Draw(t, "who")
	one.field = oneOf(t, "field", "company", "company", "position", "phone", "note", "tags", "tags", "score", "stage", "name", "owner", "email", "source", "colour")
	one.value = oneOf(t, "value", values(one.field)...)
	one.event = drawEvent(t)
	if one.do == "both" {
		// The other side's edit of the same field, or of another one.
		one.what = oneOf(t, "and", "same", "other", "equal")
	}
	return one
}

func drawFault(t *rapid.T, one step) step {
	one.side = drawSide(t)
	one.what = oneOf(t, "fault", "500", "503", "429", "429", "403", "reset", "cut", "empty_list", "expire_token", "revoke_token", "408")
	one.method = oneOf(t, "method", "GET", "POST", "PATCH", "DELETE")
	one.when, one.times = oneOf(t, "when", "before", "after"), rapid.IntRange(1, 3).Draw(t, "times")
	if one.what == "429" || one.what == "403" {
		// Refusals: a server that answers these has done nothing.
		one.when = "before"
	}
	return one
}

// values are what users type into a field: few, so that they meet, and in forms
// that differ and mean the same.
func values(field string) []string {
	switch field {
	case "phone":
		return []string{"", "+5511900000001", "(11) 90000-0001", "+55 11 90000-0002", "11900000002", "1234", "+55 11 90000 0003"}
	case "tags":
		return []string{"", "a", "a,b", "b,a", "b,c", "c,a,b", "d"}
	case "score":
		return []string{"", "0", "1", "1.0", "2.5", "100"}
	case "stage":
		return []string{"new", "contacted", "qualified", "unqualified", "converted"}
	case "name":
		return []string{"Ana Lima", " Ana Lima ", "Bia", "José da Silva", "Jose\u0301 da Silva"}
	case "owner":
		return []string{"", "rep1", "rep2", "lonely"}
	case "email":
		return []string{"{who}@x.com", "{WHO}@X.com", "{who}.new@x.com", "1@x.com"}
	case "note":
		return []string{"", "called", "called twice", "a longer note about everything"}
	}
	return []string{"", "Acme", "acme ", "Beta", "Gamma", "refused", fmt.Sprintf("Delta %s", field)}
}
