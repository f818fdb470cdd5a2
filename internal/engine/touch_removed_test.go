package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// What a source counted is not counted any more when the source is taken out, and the
// leads say so; one that gets another name keeps its counts, and nobody's count moves.
func TestARemovedSourceCountsNoMore(t *testing.T) {
	tb := startTouching(t, setup{})
	for range 3 {
		tb.log("calls", tb.aCall())
	}
	tb.log("emails", map[string]any{"contact_id": tb.contact, "at": "2026-03-05T12:00:00Z", "subject": "Hi"})
	tb.told()
	want := tb.counts()
	require.EqualValues(t, "4", number(tb.held(tb.lead)))

	yAmend(tb.bench, "    calls:\n", "    phone:\n")
	writes := tb.writes(record.Left)
	require.NoError(t, tb.engine.ScheduleStreams(tb.ctx, tb.key))
	require.Equal(t, want, tb.counts())
	tb.run(ledger.RunBackfill)
	tb.quiet()
	require.Equal(t, want, tb.counts(), "the first load counts nothing a second time")
	require.Equal(t, writes, tb.writes(record.Left))

	yAmend(tb.bench, "    emails: {side: right, object: emails, kind: email, at: at, user: {id: owner_id, ref: users}, customer: {id: contact_id, ref: leads}, verify_after: 1s}\n", "")
	require.NoError(t, tb.engine.ScheduleStreams(tb.ctx, tb.key))
	tb.quiet()
	require.Equal(t, want[:1], tb.counts())
	require.EqualValues(t, "3", number(tb.held(tb.lead)))
	totals, err := tb.store.TouchTotals(tb.ctx)
	require.NoError(t, err)
	require.Len(t, totals, 1)
	require.Equal(t, 3, totals[0].Count)
}
