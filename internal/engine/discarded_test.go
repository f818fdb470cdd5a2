package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestWhatWasDiscardedStaysSo until its record is edited: no poll, no compare and no event
// parks it anew or writes it, also when the vendor would take it by now.
func TestWhatWasDiscardedStaysSo(t *testing.T) {
	for _, linked := range []bool{false, true} {
		b := start(t, setup{})
		b.pair("bia@x.com")
		require.NoError(t, b.right.RejectField(b.ctx, wire.Rejection{Object: "contacts", Field: "company_name", Value: "Bad", Message: "no"}))
		var lead string
		if linked {
			lead, _ = b.pair("ana@x.com")
			b.edit(record.Left, lead, map[string]any{"company": "Bad"})
		} else {
			lead = b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "company": "Bad"})
		}
		b.hint(record.Left, lead)
		b.settle()
		letters := b.letters()
		require.Len(t, letters, 1)
		require.NoError(t, b.store.DiscardDeadLetter(b.ctx, b.key, letters[0].ID, "a test"))
		before := b.writes(record.Right)
		look := func() {
			b.poll()
			b.settle()
			b.clock.advance(time.Minute)
			b.run(ledger.RunCompare)
			b.settle()
			b.hint(record.Left, lead)
			b.settle()
		}
		look()
		require.Empty(t, b.letters(), "linked: %t", linked)
		require.NoError(t, b.right.ClearRejections(b.ctx))
		look()
		require.Empty(t, b.letters())
		require.Equal(t, before, b.writes(record.Right), "linked: %t", linked)

		require.NoError(t, b.right.RejectField(b.ctx, wire.Rejection{Object: "contacts", Field: "company_name", Value: "Worse", Message: "no"}))
		b.edit(record.Left, lead, map[string]any{"company": "Worse"})
		b.hint(record.Left, lead)
		b.settle()
		require.Len(t, b.letters(), 1, "an edit that is refused too is told")
		b.edit(record.Left, lead, map[string]any{"company": "Good"})
		b.hint(record.Left, lead)
		b.quiet()
		require.Empty(t, b.letters())
		require.Equal(t, "Good", text(b.get(record.Right, b.other(record.Left, lead)), "company_name"))
		b.edit(record.Left, lead, map[string]any{"company": "Bad"})
		b.hint(record.Left, lead)
		b.quiet()
		require.Equal(t, "Bad", text(b.get(record.Right, b.other(record.Left, lead)), "company_name"), "what was given up once is not given up for good")
	}
}
