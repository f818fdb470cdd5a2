package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func loadTests() []test {
	return []test{
		{"a link comes back as it was", loadLink},
		{"an intent comes back as it was", loadIntent},
		{"intents by link, source and target", loadIntents},
		{"what belongs to a link", loadAttached},
		{"tombstones", loadTombstones},
		{"many at once", loadMany},
		{"links are listed and counted", loadLinks},
		{"counterparts", loadCounterparts},
		{"some linked", loadSomeLinked},
		{"match candidates", loadCandidates},
		{"linked elsewhere", loadElsewhere},
	}
}

func loadLink(w *world) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	want := link("1")
	want.Base = ledger.Base{
		Left:      ledger.Values{"n": number("75000.00"), "s": "é", "nil": nil, "list": []any{"a"}, "o": map[string]any{"x": true}},
		Right:     ledger.Values{},
		LeftWrote: at,
	}
	want.LeftVersion, want.RightVersion = "v1", "v2"
	want.GoneSide, want.GoneAt, want.Flagged = record.Right, at, true
	want.CreatedAt, want.UpdatedAt = at, at.Add(time.Second)
	w.commit(ledger.Commit{PutLinks: []ledger.Link{want}})
	got, err := w.store.Link(w.ctx, w.key, want.ID)
	w.ok(err)
	require.Equal(w, want, got)
	require.Equal(w, want, *w.load(left("l1")).Link)
	require.Equal(w, want, *w.load(right("r1")).Link)
	// Replaced, not merged; the creation stays.
	replaced := link("1")
	replaced.UpdatedAt = at.Add(time.Hour)
	w.commit(ledger.Commit{PutLinks: []ledger.Link{replaced}})
	replaced.CreatedAt = want.CreatedAt
	require.Equal(w, replaced, *w.load(left("l1")).Link)
	_, err = w.store.Link(w.ctx, ledger.Key{Tenant: "other", Connection: w.key.Connection}, want.ID)
	w.code(fault.NotFound, err)
	require.Zero(w, w.load(right("l1")))
}

func loadIntent(w *world) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := ledger.Intent{
		ID: "i", Stream: "leads", Op: ledger.OpUpdate, LinkID: "link-1", Source: left("l1"), Target: right("r1"),
		Sent: ledger.Values{"f": "new"}, Before: ledger.Values{"f": nil}, From: ledger.Values{"f": number("1.0")},
		Patch: map[string]any{"a.b": "new"}, IfMatch: "v", IdempotencyKey: "k",
		Cause:  ledger.Cause{Kind: ledger.CauseChange, Side: record.Left, EventID: "e"},
		Causes: map[string]ledger.Cause{"f": {Kind: ledger.CausePolicy}}, RunID: "run", OpenedAt: at,
	}
	w.commit(ledger.Commit{OpenIntents: []ledger.Intent{want}})
	require.Equal(w, []ledger.Intent{want}, w.load(left("l1")).Intents)
	want.SentAt = at.Add(time.Second)
	w.commit(ledger.Commit{OpenIntents: []ledger.Intent{want}})
	require.Equal(w, []ledger.Intent{want}, w.load(right("r1")).Intents)
	w.commit(ledger.Commit{CloseIntents: []string{"i", "unknown"}})
	require.Empty(w, w.load(left("l1")).Intents)
}

func loadIntents(w *world) {
	at := w.now()
	intent := func(id string, seconds int, linkID string, source, target record.Ref) ledger.Intent {
		return ledger.Intent{
			ID: id, Stream: "leads", LinkID: linkID, Source: source, Target: target,
			OpenedAt: at.Add(time.Duration(seconds) * time.Second),
		}
	}
	create := intent("create", 3, "", left("l1"), record.Ref{Side: record.Right, Object: "contacts"})
	byTarget := intent("target", 1, "", left("l2"), right("r1"))
	byLink := intent("link", 2, "link-1", left("l9"), right("r9"))
	deal := intent("deal", 0, "", left("l1"), right("r1"))
	deal.Stream = "deals"
	w.commit(ledger.Commit{OpenIntents: []ledger.Intent{create, byTarget, byLink, deal}})
	names := func(ref record.Ref) []string {
		var out []string
		for _, i := range w.load(ref).Intents {
			out = append(out, i.ID)
		}
		return out
	}
	require.Equal(w, []string{"create"}, names(left("l1")))
	require.Equal(w, []string{"target"}, names(right("r1")))
	require.Empty(w, names(right("l1")), "the same id on the other side is another record")
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1")}})
	require.Equal(w, []string{"link", "create"}, names(left("l1")))
	require.Equal(w, []string{"target", "link"}, names(right("r1")))
}

func loadAttached(w *world) {
	w.commit(everything("1"))
	closed := ledger.Conflict{ID: "closed", Stream: "leads", LinkID: "link-1", Field: "g", State: ledger.ConflictClosed}
	decided := ledger.Conflict{ID: "decided", Stream: "leads", LinkID: "link-1", Field: "h", State: ledger.ConflictDecided, Decision: &ledger.Decision{Choose: ledger.ChooseLeft, By: "me", At: w.now().Truncate(time.Second)}}
	done := ledger.Held{ID: "done", Stream: "leads", LinkID: "link-1", Ref: left("l1"), State: ledger.HeldDone}
	approved := ledger.Held{ID: "approved", Stream: "leads", LinkID: "link-1", Ref: left("l1"), State: ledger.HeldApproved}
	old := ledger.DeadLetter{ID: "old", Stream: "leads", Ref: left("l1"), State: ledger.DeadLetterResolved}
	w.commit(ledger.Commit{PutConflicts: []ledger.Conflict{closed, decided}, PutHeld: []ledger.Held{done, approved}, PutDeadLetters: []ledger.DeadLetter{old}})
	w.commit(everything("2"))
	for _, ref := range []record.Ref{left("l1"), right("r1")} {
		state := w.load(ref)
		var names []string
		for _, c := range state.Conflicts {
			names = append(names, c.ID)
		}
		for _, d := range state.DeadLetters {
			names = append(names, d.ID)
		}
		for _, h := range state.Held {
			names = append(names, h.ID)
		}
		require.ElementsMatch(w, []string{"conflict-1", "decided", "letter-1", "held-1", "approved"}, names, ref.String())
		for _, c := range state.Conflicts {
			if c.ID == "decided" {
				require.Equal(w, decided.Decision, c.Decision)
			}
		}
	}
}

func loadTombstones(w *world) {
	at := w.now().Truncate(time.Second)
	old, newer := link("1"), link("1")
	old.State, newer.State = ledger.LinkTombstone, ledger.LinkTombstone
	old.ID, newer.ID = "z-old", "a-newer"
	old.UpdatedAt, newer.UpdatedAt = at, at.Add(time.Second)
	newer.Right = right("r2")
	w.commit(ledger.Commit{PutLinks: []ledger.Link{newer, old}})
	state := w.load(left("l1"))
	require.Nil(w, state.Link)
	require.Equal(w, "a-newer", state.Tombstone.ID)
	require.Equal(w, "z-old", w.load(right("r1")).Tombstone.ID)
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1")}})
	state = w.load(left("l1"))
	require.Equal(w, "link-1", state.Link.ID)
	require.Nil(w, state.Tombstone)
}

func loadMany(w *world) {
	var commit ledger.Commit
	names := numbered("", 450)
	var ids []string
	for _, name := range names {
		commit.PutLinks = append(commit.PutLinks, link(name))
		ids = append(ids, "l"+name)
	}
	w.commit(commit)
	w.commit(everything("x"))
	states, err := w.store.LoadMany(w.ctx, w.key, "leads", record.Left, append(ids, "lx", "unknown", "lx"))
	w.ok(err)
	require.Len(w, states, 452)
	for _, name := range names {
		require.Equal(w, "link-"+name, states["l"+name].Link.ID)
	}
	require.Len(w, states["lx"].Conflicts, 1)
	require.Zero(w, states["unknown"])
	none, err := w.store.LoadMany(w.ctx, w.key, "leads", record.Left, nil)
	w.ok(err)
	require.Empty(w, none)
	_, err = w.store.LoadMany(w.ctx, w.key, "leads", "middle", ids)
	w.code(fault.Usage, err)
}

func loadLinks(w *world) {
	tombstone, deal := link("4"), link("5")
	tombstone.State, deal.Stream = ledger.LinkTombstone, "deals"
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1"), link("2"), link("3"), tombstone, deal}})
	list := func(filter ledger.LinkFilter) []string {
		return pages(w, func(o ledger.ListOptions) ([]ledger.Link, string, error) {
			return w.store.Links(w.ctx, w.key, filter, o)
		}, func(l ledger.Link) string { return l.ID })
	}
	require.Equal(w, []string{"link-1", "link-2", "link-3", "link-4", "link-5"}, list(ledger.LinkFilter{}))
	require.Equal(w, []string{"link-1", "link-2", "link-3", "link-4"}, list(ledger.LinkFilter{Stream: "leads"}))
	require.Equal(w, []string{"link-4"}, list(ledger.LinkFilter{State: ledger.LinkTombstone}))
	require.Equal(w, []string{"link-4"}, list(ledger.LinkFilter{Side: record.Right, ID: "r4"}))
	require.Equal(w, []string{"link-2"}, list(ledger.LinkFilter{ID: "l2"}))
	require.Equal(w, []string{"link-2"}, list(ledger.LinkFilter{ID: "r2", Stream: "leads", State: ledger.LinkActive}))
	require.Empty(w, list(ledger.LinkFilter{Side: record.Left, ID: "r2"}))
	counts, err := w.store.CountLinks(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, map[string]int{"leads": 3, "deals": 1}, counts)
}

func loadCounterparts(w *world) {
	detached := link("2")
	detached.State = ledger.LinkDetached
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1"), detached, link("3")}})
	got, err := w.store.Counterparts(w.ctx, w.key, "leads", record.Right, []string{"r1", "r2", "r3", "r4"})
	w.ok(err)
	require.Equal(w, map[string]string{"r1": "l1", "r3": "l3"}, got)
}

func loadSomeLinked(w *world) {
	gone, tombstone := link("3"), link("4")
	gone.GoneSide, gone.GoneAt = record.Left, w.now()
	tombstone.State = ledger.LinkTombstone
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1"), link("2"), gone, tombstone, link("5")}})
	got, err := w.store.SomeLinked(w.ctx, w.key, "leads", record.Left, "l1", 5)
	w.ok(err)
	require.ElementsMatch(w, []string{"l2", "l5"}, got)
	got, err = w.store.SomeLinked(w.ctx, w.key, "leads", record.Right, "", 2)
	w.ok(err)
	require.Len(w, got, 2)
}

func loadElsewhere(w *world) {
	elsewhere := func(key ledger.Key, a, b record.Ref) []ledger.Key {
		keys, err := w.store.LinkedElsewhere(w.ctx, key, a, b)
		w.ok(err)
		return keys
	}
	second := ledger.Key{Tenant: w.key.Tenant, Connection: "second"}
	stranger := ledger.Key{Tenant: "stranger", Connection: "third"}
	for _, key := range []ledger.Key{second, stranger} {
		w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: key, State: ledger.Active, Version: 1}))
	}
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("1")}, OpenIntents: []ledger.Intent{
		{ID: "i", Stream: "leads", Op: ledger.OpCreate, Source: right("r2"), Target: left("")},
	}})
	require.Equal(w, []ledger.Key{w.key}, elsewhere(second, left("l1"), right("r1")))
	require.Equal(w, []ledger.Key{w.key}, elsewhere(second, right("r1"), left("l1")))
	require.Equal(w, []ledger.Key{w.key}, elsewhere(second, left("l9"), right("r2")), "it may be the fruit of a create under way")
	require.Empty(w, elsewhere(second, right("l9"), left("r2")))
	require.Empty(w, elsewhere(second, left("l1"), right("r2x")))
	require.Empty(w, elsewhere(w.key, left("l1"), right("r1")), "the connection itself is not elsewhere")
	require.Empty(w, elsewhere(stranger, left("l1"), right("r1")), "nor is another tenant's")
	gone := link("1")
	gone.State = ledger.LinkTombstone
	w.commit(ledger.Commit{PutLinks: []ledger.Link{gone}})
	require.Empty(w, elsewhere(second, left("l1"), right("r1")))
	_, err := w.store.LinkedElsewhere(w.ctx, w.key, left("l1"), left("r1"))
	w.code(fault.Usage, err)
}

func loadCandidates(w *world) {
	seen := func(id, hash string, inScope bool) ledger.Seen {
		return ledger.Seen{Stream: "leads", Ref: left(id), MatchHash: hash, InScope: inScope}
	}
	detached, tombstone := link("2"), link("3")
	detached.State, tombstone.State = ledger.LinkDetached, ledger.LinkTombstone
	w.commit(ledger.Commit{
		PutLinks: []ledger.Link{link("1"), detached, tombstone},
		PutSeen:  []ledger.Seen{seen("l1", "h", true), seen("l2", "h", false), seen("l3", "h", true), seen("l4", "other", true), seen("l5", "", true)},
	})
	got, err := w.store.MatchCandidates(w.ctx, w.key, "leads", record.Left, "h")
	w.ok(err)
	require.Equal(w, []ledger.Candidate{
		{Ref: left("l1"), InScope: true, LinkID: "link-1", LinkState: ledger.LinkActive},
		{Ref: left("l3"), InScope: true},
		{Ref: left("l2"), LinkID: "link-2", LinkState: ledger.LinkDetached},
	}, got)
	got, err = w.store.MatchCandidates(w.ctx, w.key, "leads", record.Left, "")
	w.ok(err)
	require.Empty(w, got, "a blank key matches nobody")
}
