package rest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// touched is an API over a ledger with three touch-points, one by a linked user.
func touched(t *testing.T) (h *harness, base string) {
	h = start(t)
	key := h.active()
	point := func(id, kind, day, user, customer string) ledger.TouchPoint {
		return ledger.TouchPoint{Stream: kind, Ref: record.Ref{Side: record.Right, Object: "calls", ID: id}, Kind: kind, Day: day,
			User: user, UserStream: "users", Customer: customer, CustomerStream: "leads"}
	}
	require.NoError(t, h.store.Commit(t.Context(), key, ledger.Commit{
		PutTouchPoints: []ledger.TouchPoint{
			point("1", "call", "2026-03-01", "us_1", "=1+1"), point("2", "call", "2026-03-01", "us_1", "=1+1"), point("3", "email", "2026-03-02", "", "ct_9"),
		},
		PutLinks: []ledger.Link{{ID: "lk_user", Stream: "users", Left: record.Ref{Side: record.Left, Object: "users", ID: "17"},
			Right: record.Ref{Side: record.Right, Object: "users", ID: "us_1"}, State: ledger.LinkActive}},
	}))
	return h, "/api/v1/connections/" + key.Connection + "/touch-points"
}

func TestTouchPointsAreCounted(t *testing.T) {
	h, base := touched(t)
	require.Equal(t, []any{
		map[string]any{"day": "2026-03-01", "kind": "call", "user": map[string]any{"side": "left", "id": "17"}, "customer": map[string]any{"side": "right", "id": "=1+1"}, "count": 2.0},
		map[string]any{"day": "2026-03-02", "kind": "email", "customer": map[string]any{"side": "right", "id": "ct_9"}, "count": 1.0},
	}, h.call("GET", base, nil).items(t))
	require.Equal(t, []any{map[string]any{"kind": "call", "count": 2.0}, map[string]any{"kind": "email", "count": 1.0}}, h.call("GET", base+"?by=kind", nil).items(t))
	for query, count := range map[string]int{
		"?from=2026-03-02": 1, "?to=2026-03-01": 1, "?from=2026-03-03": 0, "?user=17": 1, "?user=us_1": 0, "?customer=ct_9": 1, "?kind=visit": 0,
	} {
		require.Len(t, h.call("GET", base+query, nil).items(t), count, query)
	}
	first := h.call("GET", base+"?limit=1&by=day", nil)
	require.Equal(t, []any{map[string]any{"day": "2026-03-01", "count": 2.0}}, first.items(t))
	next, _ := first.body["next_cursor"].(string)
	second := h.call("GET", base+"?limit=1&by=day&cursor="+next, nil)
	require.Equal(t, []any{map[string]any{"day": "2026-03-02", "count": 1.0}}, second.items(t))
	require.Nil(t, second.body["next_cursor"])
	for _, query := range []string{"?from=yesterday", "?to=2026-02-30", "?by=week", "?by=day,,kind", "?format=xml", "?limit=0", "?cursor=junk"} {
		h.call("GET", base+query, nil).problem(t, http.StatusUnprocessableEntity, "usage")
	}
	h.send("GET", base, nil).problem(t, http.StatusUnauthorized, "unauthorized")
}

func TestTouchPointsAsCSV(t *testing.T) {
	h, base := touched(t)
	whole := "day,kind,user,user_side,customer,customer_side,count\r\n2026-03-01,call,17,left,'=1+1,right,2\r\n2026-03-02,email,,,ct_9,right,1\r\n"
	for _, accept := range []string{"text/csv", "text/csv;q=0.9", "text/csv, */*"} {
		got := h.call("GET", base+"?limit=1", nil, "Accept", accept)
		require.Equal(t, http.StatusOK, got.status)
		require.Equal(t, "text/csv", got.header.Get("Content-Type"))
		require.Equal(t, whole, string(got.raw), accept)
	}
	require.Equal(t, "day,count\r\n2026-03-01,2\r\n2026-03-02,1\r\n", string(h.call("GET", base+"?format=csv&by=day", nil).raw))
	require.Len(t, h.call("GET", base+"?format=json", nil, "Accept", "text/csv").items(t), 2, "the format that is named wins")
	require.Len(t, h.call("GET", base, nil, "Accept", "application/json, text/csv").items(t), 2)
}
