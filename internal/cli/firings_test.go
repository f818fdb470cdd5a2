package cli_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func TestFiringsAreListed(t *testing.T) {
	s := newConsole(t, "crm")
	key := ledger.Key{Tenant: "default", Connection: "cn_a"}
	ref := record.Ref{Side: record.Left, Object: "deals", ID: "1"}
	require.NoError(t, s.store.Commit(t.Context(), key, ledger.Commit{PutFirings: []ledger.Firing{
		{ID: "f1", Rule: "won", Ref: ref, Occurrence: "match:1", State: ledger.FiringParked, DecidedAt: time.Unix(1, 0), Effects: []ledger.FiringEffect{
			{Kind: "upsert", State: ledger.FiringDone}, {Kind: "call", State: ledger.FiringParked, Tries: 1, Code: "invalid", Status: 422, Body: []byte("Ana")},
		}},
		{ID: "f2", Rule: "lost", Ref: ref, Occurrence: "record", State: ledger.FiringDone, DecidedAt: time.Unix(2, 0)},
	}}))
	require.Zero(t, s.run("firings", "crm"), s.err.String())
	require.Regexp(t, `(?s)f2 +lost .*f1 +won +left/deals/1 +match:1 +upsert done, call parked \(invalid 422, tries: 1\)`, s.out.String())
	require.Zero(t, s.run("firings", "crm", "--rule", "won", "--state", "parked", "--json"), s.err.String())
	require.Contains(t, s.out.String(), `"occurrence": "match:1"`)
	require.NotContains(t, s.out.String(), "Ana")
	require.NotContains(t, s.out.String(), "f2")
	require.Equal(t, fault.ExitCode(fault.Usage), s.run("firings", "crm", "--state", "gone"))
}
