package ledgertest

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func inboxShown(w *world) {
	shows := func(name, version string) ledger.Change {
		one := change(left("1"))
		one.Shown = &record.Record{
			Ref: one.Ref, Version: version, Fields: record.Fields{"name": name, "score": json.Number("75000.00"), "none": nil, "deep": map[string]any{"a": []any{"b"}}},
			CreatedAt: w.now().UTC().Truncate(time.Second), UpdatedAt: w.now().UTC(),
		}
		return one
	}
	first := shows("Ana", "v1")
	w.enqueue(first)
	w.enqueue(first)
	got := w.claimOne()
	require.Equal(w, first.Shown, got.Shown, "the same shown twice is kept")
	w.enqueue(shows("Bia", "v2"))
	w.commit(ledger.Commit{Lease: got.Lease, Done: &got})
	got = w.claimOne()
	require.Nil(w, got.Shown, "two arrivals that show different things show nothing")
	w.commit(ledger.Commit{Lease: got.Lease, Done: &got})
	w.enqueue(first)
	w.enqueue(change(left("1")))
	got = w.claimOne()
	require.Nil(w, got.Shown, "a change that shows nothing asks for a look")
	w.commit(ledger.Commit{Lease: got.Lease, Done: &got})
	deleted := change(left("1"))
	deleted.Deleted = true
	for _, arrivals := range [][]ledger.Change{{deleted}, {first, deleted}, {deleted, first, change(left("1"))}} {
		for _, arrival := range arrivals {
			w.enqueue(arrival)
		}
		got = w.claimOne()
		require.True(w, got.Deleted, "that it was deleted stays told, whatever else arrives")
		require.Nil(w, got.Shown)
		w.commit(ledger.Commit{Lease: got.Lease, Done: &got})
	}
	big := shows(strings.Repeat("x", 40<<10), "v3")
	w.enqueue(big)
	require.Nil(w, w.claimOne().Shown, "a large record is not carried along")
}
