package cli_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func TestAParkedRecordIsCorrectedAndDiscarded(t *testing.T) {
	s := newConsole(t, "crm")
	key := ledger.Key{Tenant: "default", Connection: "cn_a"}
	require.NoError(t, s.store.Commit(t.Context(), key, ledger.Commit{PutDeadLetters: []ledger.DeadLetter{{
		ID: "dl", Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: "1"}, State: ledger.DeadLetterOpen,
		Reason: ledger.Reason{Code: "invalid", Field: "position"}, FirstAt: time.Unix(1, 0), LastAt: time.Unix(1, 0),
	}}}))
	require.Zero(t, s.run("correct", "dl", `position="Director"`, "score=75000.00", "note=null"), s.err.String())
	require.Equal(t, "dead letter dl is corrected; the command replay tries it with these values\n", s.out.String())
	_, letter, err := s.store.FindDeadLetter(t.Context(), "dl")
	require.NoError(t, err)
	require.Equal(t, ledger.Values{"position": "Director", "score": json.Number("75000.00"), "note": nil}, letter.Overrides)

	for _, args := range [][]string{{"correct", "dl"}, {"correct", "dl", "Director"}, {"correct", "dl", "position=Director"}, {"discard", "dl"}, {"discard"}} {
		require.Equal(t, fault.ExitCode(fault.Usage), s.run(args...), args)
	}
	require.NotContains(t, s.err.String(), "Director", "a value is nobody's business in an error")
	require.Equal(t, fault.ExitCode(fault.NotFound), s.run("discard", "unknown", "--reason", "test record"))
	require.Zero(t, s.run("discard", "dl", "--reason", "test record", "--json"), s.err.String())
	require.JSONEq(t, `{"id": "dl", "state": "discarded"}`, s.out.String())
	require.Equal(t, fault.ExitCode(fault.Conflict), s.run("discard", "dl", "--reason", "again"))
}
