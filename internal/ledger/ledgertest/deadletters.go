package ledgertest

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func deadLetterTests() []test {
	return []test{
		{"a dead letter comes back as it was", deadLetterRoundTrip},
		{"whatever a vendor says can be stored", deadLetterTexts},
		{"listed oldest first", deadLetterList},
		{"listed by what they are", deadLetterFiltered},
		{"corrected, replayed, discarded", deadLetterSteps},
		{"replayed all at once", deadLetterReplayAll},
		{"thousands are replayed", deadLetterReplayMany},
	}
}

func deadLetterReplayMany(w *world) {
	w.letters(numbered("dl", 1201)...)
	count, err := w.store.ReplayDeadLetters(w.ctx, w.key, nil, "run")
	w.ok(err)
	require.Equal(w, 1201, count)
	pending, err := w.store.Pending(w.ctx, w.key, ledger.PendingFilter{RunID: "run"})
	w.ok(err)
	require.Equal(w, 1201, pending.Changes)
	count, err = w.store.ReplayDeadLetters(w.ctx, w.key, nil, "run")
	w.ok(err)
	require.Zero(w, count)
}

func deadLetterRoundTrip(w *world) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := ledger.DeadLetter{
		ID: "d", Stream: "leads", Ref: left("1"), LinkID: "link-1",
		Reason: ledger.Reason{Code: "invalid", Field: "phone", Message: "no", Status: 422, RequestID: "r"},
		Tries:  3, Values: ledger.Values{"phone": "x", "score": nil}, Overrides: ledger.Values{"phone": "1"}, FirstAt: at, LastAt: at.Add(time.Minute), State: ledger.DeadLetterOpen,
		SourcePrint: "s", TargetPrint: "t",
	}
	w.commit(ledger.Commit{PutDeadLetters: []ledger.DeadLetter{want}})
	key, got, err := w.store.FindDeadLetter(w.ctx, "d")
	w.ok(err)
	require.Equal(w, w.key, key)
	require.Equal(w, want, got)
	require.Equal(w, []ledger.DeadLetter{want}, w.load(left("1")).DeadLetters)
	_, _, err = w.store.FindDeadLetter(w.ctx, "none")
	w.code(fault.NotFound, err)
}

// deadLetterTexts: a text with a NUL or bytes that are no UTF-8 is kept as far as
// text goes, and looking for one finds nothing; neither is an outage.
func deadLetterTexts(w *world) {
	const odd = "no \x00 \xff way"
	w.commit(ledger.Commit{PutDeadLetters: []ledger.DeadLetter{{
		ID: "d", Stream: "leads", Ref: left("1"), State: ledger.DeadLetterOpen, FirstAt: w.now(),
		Reason: ledger.Reason{Code: "invalid", Message: odd, RequestID: odd}, Overrides: ledger.Values{"phone": odd},
	}}})
	_, got, err := w.store.FindDeadLetter(w.ctx, "d")
	w.ok(err)
	require.Contains(w, got.Reason.Message, "no ")
	require.Contains(w, got.Reason.Message, " way")
	_, _, err = w.store.FindDeadLetter(w.ctx, odd)
	w.code(fault.NotFound, err)
	_, err = w.store.FindConnection(w.ctx, odd)
	w.code(fault.NotFound, err)
	_, err = w.store.Enqueue(w.ctx, w.key, []ledger.Change{{Stream: "leads", Ref: left("2"), Lane: ledger.LaneLive, EventID: odd, Trace: odd}}, time.Minute)
	w.ok(err)
}

func (w *world) letters(ids ...string) {
	w.Helper()
	at := w.now()
	var commit ledger.Commit
	for i, id := range ids {
		commit.PutDeadLetters = append(commit.PutDeadLetters, ledger.DeadLetter{
			ID: id, Stream: "leads", Ref: left(id), State: ledger.DeadLetterOpen, FirstAt: at.Add(time.Duration(i) * time.Second),
		})
	}
	w.commit(commit)
}

func (w *world) listLetters(state ledger.DeadLetterState) []string {
	w.Helper()
	return pages(w, func(o ledger.ListOptions) ([]ledger.DeadLetter, string, error) {
		return w.store.ListDeadLetters(w.ctx, w.key, ledger.DeadLetterFilter{State: state}, o)
	}, func(d ledger.DeadLetter) string { return d.ID })
}

func deadLetterList(w *world) {
	w.letters("c", "b", "a")
	require.Equal(w, []string{"c", "b", "a"}, w.listLetters(""))
	require.Empty(w, w.listLetters(ledger.DeadLetterReplayed))
}

func deadLetterFiltered(w *world) {
	at := w.now()
	put := func(id, stream string, side record.Side, code, field string) {
		at = at.Add(time.Second)
		w.commit(ledger.Commit{PutDeadLetters: []ledger.DeadLetter{{ID: id, Stream: stream, Ref: record.Ref{Side: side, Object: "o", ID: id},
			State: ledger.DeadLetterOpen, FirstAt: at, Reason: ledger.Reason{Code: code, Field: field}}}})
	}
	put("a", "leads", record.Left, "invalid", "phone")
	put("b", "leads", record.Right, "invalid", "email")
	put("c", "deals", record.Left, "duplicate", "email")
	for want, filter := range map[string]ledger.DeadLetterFilter{
		"a b c": {}, "a b": {Stream: "leads"}, "a c": {Side: record.Left}, "c": {Code: "duplicate"}, "b c": {Field: "email"},
		"b": {Stream: "leads", Field: "email"}, "": {State: ledger.DeadLetterDiscarded},
	} {
		found := pages(w, func(o ledger.ListOptions) ([]ledger.DeadLetter, string, error) {
			return w.store.ListDeadLetters(w.ctx, w.key, filter, o)
		}, func(d ledger.DeadLetter) string { return d.ID })
		require.Equal(w, want, strings.Join(found, " "))
	}
}

func deadLetterSteps(w *world) {
	w.letters("a", "b")
	_, err := w.store.PatchDeadLetter(w.ctx, w.key, "a", ledger.Values{"x": "1", "y": "2"})
	w.ok(err)
	patched, err := w.store.PatchDeadLetter(w.ctx, w.key, "a", ledger.Values{"y": "3"})
	w.ok(err)
	require.Equal(w, ledger.Values{"x": "1", "y": "3"}, patched.Overrides)
	count, err := w.store.ReplayDeadLetters(w.ctx, w.key, []string{"a", "none"}, "run")
	w.ok(err)
	require.Equal(w, 1, count)
	work := w.claimOne()
	require.Equal(w, "a", work.Ref.ID)
	require.Equal(w, "run", work.RunID)
	_, got, err := w.store.FindDeadLetter(w.ctx, "a")
	w.ok(err)
	require.Equal(w, ledger.DeadLetterReplayed, got.State)
	require.Equal(w, patched.Overrides, got.Overrides)
	_, err = w.store.PatchDeadLetter(w.ctx, w.key, "a", ledger.Values{})
	w.code(fault.Conflict, err)
	w.ok(w.store.DiscardDeadLetter(w.ctx, w.key, "b", "spam"))
	w.code(fault.Conflict, w.store.DiscardDeadLetter(w.ctx, w.key, "b", "spam"))
	w.code(fault.NotFound, w.store.DiscardDeadLetter(w.ctx, w.key, "none", "spam"))
	_, got, err = w.store.FindDeadLetter(w.ctx, "b")
	w.ok(err)
	require.Equal(w, "spam", got.DiscardReason)
	require.Equal(w, []string{"b"}, w.listLetters(ledger.DeadLetterDiscarded))
	require.Empty(w, w.listLetters(""))
}

func deadLetterReplayAll(w *world) {
	w.letters(numbered("d", 30)...)
	count, err := w.store.ReplayDeadLetters(w.ctx, w.key, nil, "")
	w.ok(err)
	require.Equal(w, 30, count)
	require.Equal(w, 30, w.pending().DueNow)
	count, err = w.store.ReplayDeadLetters(w.ctx, w.key, nil, "")
	w.ok(err)
	require.Zero(w, count)
}
