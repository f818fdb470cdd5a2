package cli_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// TestAListThatWasCutSaysSo: whoever looks for a record in a list must know that it is not all.
func TestAListThatWasCutSaysSo(t *testing.T) {
	s := newConsole(t, "crm")
	key := ledger.Key{Tenant: "default", Connection: "cn_a"}
	var letters []ledger.DeadLetter
	for n := range 3 {
		letters = append(letters, ledger.DeadLetter{
			ID: fmt.Sprintf("dl%d", n), Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprint(n)}, State: ledger.DeadLetterOpen,
			Reason: ledger.Reason{Code: "invalid"}, FirstAt: time.Unix(1, 0), LastAt: time.Unix(1, 0),
		})
	}
	require.NoError(t, s.store.Commit(t.Context(), key, ledger.Commit{PutDeadLetters: letters}))
	for limit, told := range map[string]string{"0": "", "2": "there are more than these 2: --limit 0 lists all\n", "3": "", "4": ""} {
		require.Zero(t, s.run("dead-letters", "crm", "--limit", limit))
		require.Equal(t, told, s.err.String(), "limit %s", limit)
	}
	require.Zero(t, s.run("dead-letters", "crm", "--limit", "2", "--json"))
	require.NotContains(t, s.out.String(), "more", "what is printed stays JSON")
}
