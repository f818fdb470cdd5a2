package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
)

// TestChangeFilters: the moment itself is included, in each form of time.
func TestChangeFilters(t *testing.T) {
	since := time.Unix(1795348800+10, 0)
	for form, want := range map[string]string{
		"rfc3339": since.UTC().Format(time.RFC3339), "rfc3339_ms": since.UTC().Format("2006-01-02T15:04:05.000Z"),
		"epoch_s": "1795348810", "epoch_ms": "1795348810000", "date": since.UTC().Format(time.DateOnly), "epoch_s, after: true": "1795348809",
	} {
		s := stock(20)
		conn := open(t, habit(`list: {path: /rows, query: {since: "{since}"}, since: `+form+`}`), s.handler(func(s *shop, w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("since") {
				show(w, s.slice(10, 1000))
				return
			}
			show(w, s.slice(0, 1000))
		}), connector.Auth{Kind: transport.KindNone})
		page, err := conn.List(t.Context(), connector.ListRequest{Object: "rows", Since: since})
		require.NoError(t, err)
		require.Len(t, page.Records, 10)
		require.False(t, page.Whole)
		require.Equal(t, want, s.sent[0].URL.Query().Get("since"))
		page, err = conn.List(t.Context(), connector.ListRequest{Object: "rows"})
		require.NoError(t, err)
		require.True(t, page.Whole)
		require.Len(t, page.Records, 20)
	}
	s := stock(3)
	conn := open(t, habit(`list: {path: /rows}`), s.handler(func(s *shop, w http.ResponseWriter, _ *http.Request) { show(w, s.slice(0, 9)) }), connector.Auth{Kind: transport.KindNone})
	page, err := conn.List(t.Context(), connector.ListRequest{Object: "rows", Since: since})
	require.NoError(t, err)
	require.True(t, page.Whole, "without a filter everything is read")
	require.False(t, strings.Contains(s.sent[0].URL.RawQuery, "since"))
}

// TestAWindowGoesOnWithAnotherCall: where a listing shows only so many rows, it goes on with
// the call for what changed, in pages of that one's size.
func TestAWindowGoesOnWithAnotherCall(t *testing.T) {
	s := stock(60)
	const part = `list: {path: /rows, query: {offset: "{offset}", limit: "{size}", since: "{since}"}, since: epoch_s, size: 10, rows: rows, paging: {kind: offset, window: 30}}
changes: {path: /changed, query: {page: "{page}", since: "{since}"}, since: epoch_s, size: 5, rows: rows, paging: {kind: page}}
`
	conn := open(t, habit(part), s.handler(func(s *shop, w http.ResponseWriter, r *http.Request) {
		from, count := number(r, "offset"), number(r, "limit")
		if strings.HasSuffix(r.URL.Path, "/changed") {
			require.Positive(t, number(r, "page"))
			from, count = number(r, "since")-1795348800+5*(number(r, "page")-1), 5
		} else if from+count > 30 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		show(w, map[string]any{"rows": s.slice(from, from+count)})
	}), connector.Auth{Kind: transport.KindNone})
	require.Len(t, listed(t, conn, connector.ListRequest{Object: "rows"}, nil), 60)
}
