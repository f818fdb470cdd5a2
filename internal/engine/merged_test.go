package engine_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
)

// The vendor merged two records that both have a counterpart. The dead letter names the
// one to delete; then the survivor's pair goes on, and nothing else is deleted.
func TestAMergeOfTwoPairsIsEndedByTheDeleteThatItsLetterAsksFor(t *testing.T) {
	b := start(t, setup{})
	leadA, contactA := b.pair("ana@x.com")
	leadB, contactB := b.pair("bia@x.com")
	b.pair("cia@x.com")
	_, err := b.right.MergeRecords(b.ctx, "contacts", contactB, contactA)
	require.NoError(t, err)
	b.hint(record.Right, contactA)
	b.turns(20)
	letters := b.letters()
	require.Len(t, letters, 1)
	told := letters[0].Reason.Message
	require.Contains(t, told, "take over there what is needed of left/leads/"+leadA)
	require.False(t, strings.Contains(told, leadB), "that one is not to be deleted")
	b.remove(record.Left, leadA)
	b.hint(record.Left, leadA)
	b.turns(40)
	b.quiet()
	require.Empty(t, b.letters())
	require.Nil(t, b.get(record.Right, contactB).DeletedAt)
	require.Nil(t, b.get(record.Left, leadB).DeletedAt)
	require.Equal(t, contactB, b.other(record.Left, leadB))
	b.edit(record.Left, leadB, map[string]any{"company": "Afterwards"})
	b.hint(record.Left, leadB)
	b.quiet()
	require.Equal(t, "Afterwards", text(b.get(record.Right, contactB), "company_name"))
}
