package letters_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/letters"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

// newDesk has so many parked leads; each batch is enough for it.
func newDesk(t *testing.T, parked int) letters.Desk {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), "sqlite::memory:", sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	key := ledger.Key{Tenant: "t", Connection: "c"}
	require.NoError(t, store.CreateConnection(t.Context(), ledger.Connection{Key: key, Name: "c", Version: 1}))
	var commit ledger.Commit
	for n := range parked {
		commit.PutDeadLetters = append(commit.PutDeadLetters, ledger.DeadLetter{
			ID: fmt.Sprintf("dl%03d", n), Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprint(n)}, State: ledger.DeadLetterOpen,
			FirstAt: time.Unix(int64(n), 0), Values: ledger.Values{"phone": "x"}, Reason: ledger.Reason{Code: "invalid", Field: "phone"},
		})
	}
	require.NoError(t, store.Commit(t.Context(), key, commit))
	return letters.Desk{Store: store, Key: key, Enough: func() bool { return true }, Replay: func(ctx context.Context, ids []string) (int, error) {
		return store.ReplayDeadLetters(ctx, key, ids, "")
	}}
}

// TestBulkWorkGoesOnWhereItStopped: whatever the time allows, each is done once.
func TestBulkWorkGoesOnWhereItStopped(t *testing.T) {
	var names []string
	for n := range 450 {
		names = append(names, fmt.Sprintf("dl%03d", n), fmt.Sprintf("dl%03d", n))
	}
	for choice, chosen := range map[string]letters.Chosen{
		"all": {All: true}, "a filter": {Filter: ledger.DeadLetterFilter{Code: "invalid"}}, "named, some twice": {IDs: names},
	} {
		for work, do := range map[string]func(letters.Desk, letters.Chosen) (letters.Outcome, error){
			"correct": func(d letters.Desk, c letters.Chosen) (letters.Outcome, error) {
				return d.Correct(t.Context(), c, ledger.Values{"phone": "+55"})
			},
			"replay": func(d letters.Desk, c letters.Chosen) (letters.Outcome, error) { return d.Again(t.Context(), c) },
			"discard": func(d letters.Desk, c letters.Chosen) (letters.Outcome, error) {
				return d.Discard(t.Context(), c, "over")
			},
		} {
			t.Run(work+" "+choice, func(t *testing.T) {
				desk := newDesk(t, 450)
				var done []int
				for chosen := chosen; ; {
					outcome, err := do(desk, chosen)
					require.NoError(t, err)
					require.Empty(t, outcome.Failed)
					done = append(done, outcome.Counts[letters.Done])
					if chosen.Cursor = outcome.Next; outcome.Next == "" {
						break
					}
				}
				require.Equal(t, []int{200, 200, 50}, done)
				// The same once more finds nothing that is open, or corrects what is corrected.
				desk.Enough = nil
				outcome, err := do(desk, chosen)
				require.NoError(t, err)
				if work != "correct" {
					require.Zero(t, outcome.Counts[letters.Done])
				}
			})
		}
	}
	desk := newDesk(t, 1)
	_, err := desk.Discard(t.Context(), letters.Chosen{IDs: []string{"dl000"}, Cursor: "elsewhere"}, "x")
	require.ErrorContains(t, err, "the cursor is not one of a call with these ids")
}

// TestATableIsReadOnceMoreForWhatIsLeft: rows that were done are unchanged then.
func TestATableIsReadOnceMoreForWhatIsLeft(t *testing.T) {
	desk := newDesk(t, 250)
	table := "id,field:phone\n"
	for n := range 250 {
		table += fmt.Sprintf("dl%03d,+55 %d\n", n, n)
	}
	outcome, err := desk.Import(t.Context(), strings.NewReader(table))
	require.NoError(t, err)
	require.Equal(t, map[string]int{letters.Done: 199, letters.Left: 51}, outcome.Counts)
	desk.Enough = nil
	outcome, err = desk.Import(t.Context(), strings.NewReader(table))
	require.NoError(t, err)
	require.Equal(t, map[string]int{letters.Done: 51, "unchanged": 199}, outcome.Counts)
}

// TestATableNamesWhatACorrectionMayName: one rule says which names there are.
func TestATableNamesWhatACorrectionMayName(t *testing.T) {
	desk := newDesk(t, 1)
	store, ok := desk.Store.(ledger.Store)
	require.True(t, ok)
	require.NoError(t, store.Commit(t.Context(), desk.Key, ledger.Commit{PutDeadLetters: []ledger.DeadLetter{
		{ID: "rule", Stream: "rules.won", Ref: record.Ref{Side: record.Left, Object: "deals", ID: "9"}, State: ledger.DeadLetterOpen, Values: ledger.Values{"title": "Casa"}},
	}}))
	for id, accepted := range map[string]bool{"rule": true, "dl000": false} {
		_, err := letters.Correct(t.Context(), desk.Store, desk.Key, id, ledger.Values{"other": "1"})
		require.Equal(t, accepted, err == nil, id)
	}
	desk.Enough = nil
	outcome, err := desk.Import(t.Context(), strings.NewReader("id,field:another\nrule,1\ndl000,1\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]int{letters.Done: 1, letters.Refused: 1}, outcome.Counts)
	require.Equal(t, "another is no field of the stream leads: name a key under its fields", outcome.Failed[0].Message)
}
