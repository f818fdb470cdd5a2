package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// TestManyParkedRecords are listed by what they are, corrected, there and back as a
// table, replayed and discarded.
func TestManyParkedRecords(t *testing.T) {
	s := newConsole(t, "crm")
	key := ledger.Key{Tenant: "default", Connection: "cn_a"}
	for i, field := range []string{"phone", "phone", "stage"} {
		require.NoError(t, s.store.Commit(t.Context(), key, ledger.Commit{PutDeadLetters: []ledger.DeadLetter{{
			ID: "dl" + string(rune('a'+i)), Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: string(rune('1' + i))}, State: ledger.DeadLetterOpen,
			Reason: ledger.Reason{Code: "invalid", Field: field}, FirstAt: time.Unix(int64(i+1), 0), LastAt: time.Unix(1, 0), Values: ledger.Values{field: "+1"},
		}}}))
	}
	require.Zero(t, s.run("dead-letters", "crm", "--field", "stage"), s.err.String())
	require.Contains(t, s.out.String(), "dlc")
	require.NotContains(t, s.out.String(), "dla")

	require.Zero(t, s.run("dead-letters", "crm", "--csv"), s.err.String())
	table := filepath.Join(t.TempDir(), "table.csv")
	require.NoError(t, os.WriteFile(table, []byte(strings.Replace(s.out.String(), "'+1", "'+55 11 5555-0000", 1)), 0o600))
	require.Zero(t, s.run("dead-letters", "crm", "--import", table, "--json"), s.err.String())
	require.JSONEq(t, `{"counts": {"done": 1, "unchanged": 2}, "failed": []}`, s.out.String())
	_, letter, err := s.store.FindDeadLetter(t.Context(), "dla")
	require.NoError(t, err)
	require.Equal(t, ledger.Values{"phone": "+55 11 5555-0000"}, letter.Overrides)

	require.Equal(t, fault.ExitCode(fault.Conflict), s.run("dead-letters", "crm", "--field", "stage", "--set", `stge="new"`), "a field that nothing has")
	require.Contains(t, s.out.String(), "done: 0\nrefused: 1\ndlc refused: stge is no field of the stream leads")
	gone := filepath.Join(t.TempDir(), "gone.csv")
	text, err := os.ReadFile(table)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(gone, []byte(strings.Replace(string(text), "dlc", "dlx", 1)), 0o600))
	require.Equal(t, fault.ExitCode(fault.Conflict), s.run("dead-letters", "crm", "--import", gone))
	require.Regexp(t, `line \d: dlx not_found`, s.out.String())

	require.Zero(t, s.run("dead-letters", "crm", "--field", "phone", "--set", `phone="+49 1"`), s.err.String())
	require.Equal(t, "done: 2\n", s.out.String())
	require.Zero(t, s.run("dead-letters", "crm", "--field", "stage", "--discard", "test"), s.err.String())
	require.Zero(t, s.run("dead-letters", "crm", "--all", "--replay"), s.err.String())
	require.Equal(t, "done: 2\n", s.out.String())
	require.NotZero(t, s.run("dead-letters", "crm", "--state", "all"))
	require.Contains(t, s.err.String(), "list them state by state")
	for _, args := range [][]string{{"--replay"}, {"--all", "--replay", "--csv"}, {"--all", "--set", "phone"}, {"--side", "up"}, {"--state", "x"}, {"--state", "discarded", "--all", "--replay"}, {"--import", "/none"},
		{"--all"}, {"--all", "--csv"}, {"--import", table, "--field", "phone"}, {"--import", table, "--all"}, {"--import", ""}, {"--all", "--discard", ""},
		{"--csv", "--json"}, {"--csv", "--limit", "1"}, {"--field", "phone", "--limit", "1", "--replay"}} {
		require.Equal(t, fault.ExitCode(fault.Usage), s.run(append([]string{"dead-letters", "crm"}, args...)...), args)
	}
}
