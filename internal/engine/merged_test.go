package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
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

// Of two records with one key, one linked and one parked for it, a person makes one.
// The pair goes on with the one that is left, whether an event or a compare tells.
func TestAMergeOfTwinsWhateverTellsOfIt(t *testing.T) {
	for _, winner := range []string{"parked", "linked"} {
		for _, told := range []bool{true, false} {
			t.Run(fmt.Sprint(winner, " wins, told: ", told), func(t *testing.T) {
				b := start(t, setup{})
				require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"unique": false}))
				lead, contact := b.pair("ana@x.com")
				second := b.create(record.Right, map[string]any{"first_name": "Ana", "last_name": "Lima", "email": "ana@x.com", "job_title": "CTO"})
				b.quiet()
				require.Len(t, b.letters(), 1)
				b.clock.advance(time.Hour)
				win, lose := second, contact
				if winner == "linked" {
					win, lose = contact, second
				}
				_, err := b.right.MergeRecords(b.ctx, "contacts", win, lose)
				require.NoError(t, err)
				if told {
					b.look(record.Right, lose)
					b.look(record.Right, win)
					b.settle()
				} else {
					b.run(ledger.RunCompare)
				}
				b.idle()
				require.Empty(t, b.letters())
				require.Equal(t, win, b.other(record.Left, lead))
				require.Len(t, b.live(record.Left), 1)
				require.Equal(t, text(b.get(record.Right, win), "job_title"), text(b.get(record.Left, lead), "position"))
			})
		}
	}
}
