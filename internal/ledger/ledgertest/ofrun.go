package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// inboxOfRun: what waits of a run and stream is read in the order of the refs, and
// claimed by stream.
func inboxOfRun(w *world) {
	var changes []ledger.Change
	for n, ref := range []record.Ref{left("2"), right("1"), left("1"), right("2")} {
		one := change(ref)
		one.RunID, one.Lane = "run", ledger.LaneBackfill
		if n%2 == 0 {
			one.Shown = &record.Record{Ref: ref, Fields: record.Fields{"name": "Ana"}}
		}
		changes = append(changes, one)
	}
	other := changes[0]
	other.Stream = "deals"
	apart := change(left("3"))
	apart.RunID = "another"
	w.enqueue(append(changes, other, apart)...)
	first, err := w.store.OfRun(w.ctx, w.key, "run", "leads", record.Ref{}, 3)
	w.ok(err)
	require.Len(w, first, 3)
	rest, err := w.store.OfRun(w.ctx, w.key, "run", "leads", first[2].Ref, 3)
	w.ok(err)
	var refs []record.Ref
	for _, one := range append(first, rest...) {
		refs = append(refs, one.Ref)
	}
	require.Equal(w, []record.Ref{left("1"), left("2"), right("1"), right("2")}, refs)
	require.Equal(w, "Ana", first[0].Shown.Fields["name"])
	require.Nil(w, first[2].Shown)
	_, err = w.store.OfRun(w.ctx, w.key, "", "leads", record.Ref{}, 3)
	w.code(fault.Usage, err)
	work, err := w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{RunID: "run", Stream: "deals", MaxLane: ledger.LaneBackfill, Limit: 10, TTL: time.Minute})
	w.ok(err)
	require.Len(w, work, 1)
	require.Equal(w, "deals", work[0].Stream)
}
