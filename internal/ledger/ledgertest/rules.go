package ledgertest

import (
	"bytes"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func ruleTests() []test {
	return []test{
		{"a rule begins once", ruleBegins},
		{"what a rule knows comes back", ruleMatches},
		{"one firing for one occurrence", ruleFirings},
		{"each event is kept once until it was seen", ruleEvents},
		{"what a removed rule left is ended", rulesEnded},
		{"firings are listed, newest first", ruleList},
		{"numbers add up", ruleCounts},
	}
}

func ruleBegins(w *world) {
	book, err := w.store.RuleBook(w.ctx, w.key, "won", left("1"))
	w.ok(err)
	require.Equal(w, ledger.RuleBook{}, book)
	first, err := w.store.BeginRule(w.ctx, w.key, "won")
	w.ok(err)
	require.False(w, first.IsZero())
	w.clock.Advance(time.Hour)
	again, err := w.store.BeginRule(w.ctx, w.key, "won")
	w.ok(err)
	require.Equal(w, first, again)
	other, err := w.store.BeginRule(w.ctx, w.key, "lost")
	w.ok(err)
	require.True(w, other.After(first))
}

func ruleMatches(w *world) {
	one := ledger.Match{Rule: "won", Ref: left("1"), Matching: true, Turn: 2, Print: "p", Found: ledger.Values{"owner": map[string]any{"name": "Ana Lima"}}}
	two := ledger.Match{Rule: "won", Ref: left("2")}
	w.commit(ledger.Commit{PutMatches: []ledger.Match{one, two}})
	found, err := w.store.Matches(w.ctx, w.key, "won", record.Left, []string{"1", "2", "3"})
	w.ok(err)
	require.Equal(w, map[string]ledger.Match{"1": one, "2": two}, found)
	require.False(w, bytes.Contains(w.db.Raw(w.T), []byte("Ana Lima")))
	// A listing notes only what the rule has never met.
	three := ledger.Match{Rule: "won", Ref: left("3"), Matching: true, Print: "q"}
	_, err = w.store.CommitPage(w.ctx, w.key, ledger.PageCommit{Stream: "rules.won", Side: record.Left, Scope: "poll",
		Matches: []ledger.Match{{Rule: "won", Ref: left("1")}, three}})
	w.ok(err)
	found, err = w.store.Matches(w.ctx, w.key, "won", record.Left, []string{"1", "3"})
	w.ok(err)
	require.Equal(w, map[string]ledger.Match{"1": one, "3": three}, found)
	w.code(fault.Usage, w.store.Commit(w.ctx, w.key, ledger.Commit{PutMatches: []ledger.Match{{Rule: "won"}}}))
}

func firing(id, ref, occurrence string, at time.Time) ledger.Firing {
	return ledger.Firing{ID: id, Rule: "won", Ref: left(ref), Occurrence: occurrence, State: ledger.FiringOpen, DecidedAt: at, Effects: []ledger.FiringEffect{
		{Kind: "call", State: ledger.FiringOpen, Query: map[string]string{"q": "hidden one"}, Body: []byte(`{"text": "hidden two"}`)},
	}}
}

func ruleFirings(w *world) {
	at := w.now()
	want := firing("f1", "1", "match:1", at)
	w.commit(ledger.Commit{PutFirings: []ledger.Firing{want}})
	w.code(fault.Conflict, w.store.Commit(w.ctx, w.key, ledger.Commit{PutFirings: []ledger.Firing{firing("f2", "1", "match:1", at)}}))
	book, err := w.store.RuleBook(w.ctx, w.key, "won", left("1"))
	w.ok(err)
	require.Equal(w, []ledger.Firing{want}, book.Waiting)
	require.False(w, bytes.Contains(w.db.Raw(w.T), []byte("hidden")))
	want.State, want.EndedAt, want.Effects[0].State, want.Effects[0].Tries = ledger.FiringDone, at, ledger.FiringDone, 1
	w.commit(ledger.Commit{PutFirings: []ledger.Firing{want}})
	book, err = w.store.RuleBook(w.ctx, w.key, "won", left("1"))
	w.ok(err)
	require.Empty(w, book.Waiting)
}

func ruleEvents(w *world) {
	event := func(id string, keep bool) ledger.Change {
		return ledger.Change{Stream: "rules.won", Ref: left("1"), EventID: id, KeepEvent: keep}
	}
	arrive := func(changes ...ledger.Change) {
		_, err := w.store.Enqueue(w.ctx, w.key, changes, time.Minute)
		w.ok(err)
		w.clock.Advance(time.Second)
	}
	arrive(event("e2", true), event("e2", true))
	arrive(event("e1", true), event("e0", false), ledger.Change{Stream: "rules.won", Ref: left("2"), EventID: "e3", KeepEvent: true})
	arrive(event("e2", true))
	w.commit(ledger.Commit{PutFirings: []ledger.Firing{firing("f1", "1", ledger.EventOccurrence("e2"), w.now())}})
	book, err := w.store.RuleBook(w.ctx, w.key, "won", left("1"))
	w.ok(err)
	require.Equal(w, []ledger.RuleEvent{{ID: "e2", Known: true}, {ID: "e1"}}, book.Events)
	work, err := w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{Limit: 10, TTL: time.Minute, MaxLane: ledger.LanePoll})
	w.ok(err)
	require.Len(w, work, 2, "it is one row for all of them")
	w.commit(ledger.Commit{DropEvents: []ledger.Change{event("e2", true)}})
	book, err = w.store.RuleBook(w.ctx, w.key, "won", left("1"))
	w.ok(err)
	require.Equal(w, []ledger.RuleEvent{{ID: "e1"}}, book.Events)
	// What was given up is not done with the next event.
	w.commit(ledger.Commit{PutDeadLetters: []ledger.DeadLetter{{ID: "d1", Stream: "rules.won", Ref: left("1"), State: ledger.DeadLetterOpen}}})
	w.ok(w.store.DiscardDeadLetter(w.ctx, w.key, "d1", "no"))
	book, err = w.store.RuleBook(w.ctx, w.key, "won", left("1"))
	w.ok(err)
	require.Empty(w, book.Events)
	book, err = w.store.RuleBook(w.ctx, w.key, "won", left("2"))
	w.ok(err)
	require.Len(w, book.Events, 1)
}

func rulesEnded(w *world) {
	at := w.now()
	known := ledger.Match{Rule: "won", Ref: left("1"), Matching: true, Turn: 2, Print: "p", Found: ledger.Values{"owner": "Ana Lima"}}
	kept := known
	kept.Rule = "lost"
	parked, done, other := firing("f2", "2", "match:1", at), firing("f3", "3", "match:1", at), firing("f4", "4", "match:1", at)
	parked.State, parked.Effects[0].State = ledger.FiringParked, ledger.FiringParked
	parked.Effects = append(parked.Effects, ledger.FiringEffect{Kind: "count", State: ledger.FiringDone})
	done.State, done.Effects[0].State, other.Rule = ledger.FiringDone, ledger.FiringDone, "lost"
	w.commit(ledger.Commit{
		PutMatches: []ledger.Match{known, kept}, PutFirings: []ledger.Firing{firing("f1", "1", "match:1", at), parked, done, other},
		PutDeadLetters: []ledger.DeadLetter{
			{ID: "d1", Stream: "rules.won", Ref: left("2"), State: ledger.DeadLetterOpen}, {ID: "d2", Stream: "rules.won.upsert", Ref: left("3"), State: ledger.DeadLetterOpen},
			{ID: "d3", Stream: "rules.lost", Ref: left("2"), State: ledger.DeadLetterOpen},
		},
		Enqueue: []ledger.Change{{Stream: "rules.gone", Ref: left("1"), EventID: "e1", KeepEvent: true}},
	})
	for _, want := range []map[string]int{{"won": 4}, {}} {
		ended, err := w.store.EndRules(w.ctx, w.key, []string{"lost"})
		w.ok(err)
		require.Equal(w, want, ended)
	}
	cancelled, _, err := w.store.ListFirings(w.ctx, w.key, ledger.FiringFilter{State: ledger.FiringCancelled}, ledger.ListOptions{})
	w.ok(err)
	require.Len(w, cancelled, 2)
	for _, one := range cancelled {
		require.Equal(w, ledger.FiringCancelled, one.Effects[0].State)
		require.False(w, one.EndedAt.IsZero())
	}
	require.Equal(w, ledger.FiringDone, cancelled[0].Effects[1].State)
	open, _, err := w.store.ListFirings(w.ctx, w.key, ledger.FiringFilter{State: ledger.FiringOpen}, ledger.ListOptions{})
	w.ok(err)
	require.Len(w, open, 1)
	found, err := w.store.Matches(w.ctx, w.key, "won", record.Left, []string{"1"})
	w.ok(err)
	known.Found = nil
	require.Equal(w, known, found["1"])
	found, err = w.store.Matches(w.ctx, w.key, "lost", record.Left, []string{"1"})
	w.ok(err)
	require.Equal(w, kept, found["1"])
	letters, _, err := w.store.ListDeadLetters(w.ctx, w.key, ledger.DeadLetterFilter{}, ledger.ListOptions{})
	w.ok(err)
	require.Len(w, letters, 1)
	require.Equal(w, "d3", letters[0].ID)
	letters, _, err = w.store.ListDeadLetters(w.ctx, w.key, ledger.DeadLetterFilter{State: ledger.DeadLetterDiscarded}, ledger.ListOptions{})
	w.ok(err)
	require.Len(w, letters, 2)
	require.Contains(w, letters[0].DiscardReason, "won")
	book, err := w.store.RuleBook(w.ctx, w.key, "gone", left("1"))
	w.ok(err)
	require.Empty(w, book.Events)
}

func ruleList(w *world) {
	at := w.now()
	for n, id := range []string{"f1", "f2", "f3"} {
		w.commit(ledger.Commit{PutFirings: []ledger.Firing{firing(id, id, "record", at.Add(time.Duration(n)*time.Second))}})
	}
	parked := firing("f2", "f2", "record", at.Add(time.Second))
	parked.State = ledger.FiringParked
	w.commit(ledger.Commit{PutFirings: []ledger.Firing{parked}})
	page, next, err := w.store.ListFirings(w.ctx, w.key, ledger.FiringFilter{}, ledger.ListOptions{Limit: 2})
	w.ok(err)
	require.Len(w, page, 2)
	require.Equal(w, "f3", page[0].ID)
	require.Nil(w, page[0].Effects[0].Body, "what is sent is not listed")
	rest, next, err := w.store.ListFirings(w.ctx, w.key, ledger.FiringFilter{}, ledger.ListOptions{Limit: 2, Cursor: next})
	w.ok(err)
	require.Len(w, rest, 1)
	require.Equal(w, "f1", rest[0].ID)
	require.Empty(w, next)
	found, _, err := w.store.ListFirings(w.ctx, w.key, ledger.FiringFilter{Rule: "won", State: ledger.FiringParked}, ledger.ListOptions{})
	w.ok(err)
	require.Len(w, found, 1)
	found, _, err = w.store.ListFirings(w.ctx, w.key, ledger.FiringFilter{Rule: "lost"}, ledger.ListOptions{})
	w.ok(err)
	require.Empty(w, found)
	totals, err := w.store.FiringTotals(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, []ledger.FiringTotal{{Rule: "won", State: ledger.FiringOpen, Count: 2}, {Rule: "won", State: ledger.FiringParked, Count: 1}}, totals)
	totals, err = w.store.FiringTotals(w.ctx, ledger.Key{Tenant: "tenant-2", Connection: w.key.Connection})
	w.ok(err)
	require.Empty(w, totals)
}

func ruleCounts(w *world) {
	one := ledger.RuleCount{Rule: "won", Metric: "deals", Labels: `{"status":"won"}`, Count: 2}
	w.commit(ledger.Commit{AddCounts: []ledger.RuleCount{one, one, {Rule: "won", Metric: "deals", Labels: `{}`, Count: 1}}})
	counts, err := w.store.RuleCounts(w.ctx, w.key)
	w.ok(err)
	one.Count = 4
	require.Equal(w, []ledger.RuleCount{one, {Rule: "won", Metric: "deals", Labels: `{}`, Count: 1}}, sortedCounts(counts))

	other := ledger.Key{Tenant: "tenant-2", Connection: "connection-2"}
	w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: other, Name: "other"}))
	w.ok(w.store.Commit(w.ctx, other, ledger.Commit{AddCounts: []ledger.RuleCount{{Rule: "won", Metric: "deals", Labels: `{}`, Count: 7}}}))
	totals, err := w.store.RuleTotals(w.ctx)
	w.ok(err)
	require.ElementsMatch(w, []ledger.RuleTotal{{Key: w.key, RuleCount: counts[0]}, {Key: w.key, RuleCount: counts[1]},
		{Key: other, RuleCount: ledger.RuleCount{Rule: "won", Metric: "deals", Labels: `{}`, Count: 7}}}, totals)
}

func sortedCounts(counts []ledger.RuleCount) []ledger.RuleCount {
	if len(counts) == 2 && counts[0].Labels == "{}" {
		counts[0], counts[1] = counts[1], counts[0]
	}
	return counts
}
