package rest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func TestFiringsAndCounts(t *testing.T) {
	h := start(t)
	key := h.active()
	ref := record.Ref{Side: record.Left, Object: "deals", ID: "d1"}
	require.NoError(t, h.store.Commit(t.Context(), key, ledger.Commit{
		PutFirings: []ledger.Firing{
			{ID: "f1", Rule: "won", Ref: ref, Occurrence: "match:1", State: ledger.FiringDone, DecidedAt: time.Unix(1, 0), EndedAt: time.Unix(2, 0)},
			{ID: "f2", Rule: "won", Ref: ref, Occurrence: "match:2", State: ledger.FiringParked, DecidedAt: time.Unix(3, 0), Effects: []ledger.FiringEffect{
				{Kind: "call", State: ledger.FiringParked, Tries: 2, Code: "invalid", Status: 422, Body: []byte(`"Ana"`)}}},
		},
		AddCounts: []ledger.RuleCount{{Rule: "won", Metric: "deals_won", Labels: `{"stage":"won"}`, Count: 3}},
	}))
	list := "/api/v1/connections/" + key.Connection + "/firings"
	require.Len(t, h.call("GET", list, nil).items(t), 2)
	parked := h.call("GET", list+"?rule=won&state=parked", nil)
	require.Len(t, parked.items(t), 1)
	require.NotContains(t, string(parked.raw), "Ana", "what is sent is nobody's business")
	firing := object(parked.items(t)[0])
	require.Equal(t, "match:2", firing["occurrence"])
	require.Equal(t, map[string]any{"side": "left", "object": "deals", "id": "d1"}, firing["ref"])
	require.Equal(t, []any{map[string]any{"kind": "call", "state": "parked", "tries": 2.0, "code": "invalid", "status": 422.0}}, firing["effects"])
	require.Empty(t, h.call("GET", list+"?rule=lost", nil).items(t))
	h.call("GET", list+"?state=gone", nil).problem(t, http.StatusUnprocessableEntity, "usage")
	h.call("GET", "/api/v1/connections/none/firings", nil).problem(t, http.StatusNotFound, "not_found")
	counts := h.call("GET", "/api/v1/connections/"+key.Connection+"/counts", nil)
	require.Equal(t, []any{map[string]any{"rule": "won", "metric": "deals_won", "labels": map[string]any{"stage": "won"}, "count": 3.0}}, counts.items(t))
}
