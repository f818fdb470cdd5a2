package rest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
)

// TestRowsWithoutAnIDAtASeam: they are no records, and do not keep a page from
// joining the one before.
func TestRowsWithoutAnIDAtASeam(t *testing.T) {
	for _, kind := range []string{"offset", "page"} {
		t.Run(kind, func(t *testing.T) {
			s := stock(30)
			for i := range 6 {
				delete(s.rows[4+i], "id")
			}
			part := pagings()[kind]
			conn := open(t, habit(part.part), s.handler(func(s *shop, w http.ResponseWriter, r *http.Request) { part.serve(s, w, r) }), connector.Auth{Kind: transport.KindNone})
			seen := map[string]bool{}
			request := connector.ListRequest{Object: "rows"}
			for more, pages := true, 0; more; pages++ {
				require.Less(t, pages, 100)
				page, err := conn.List(t.Context(), request)
				require.NoError(t, err)
				for _, one := range page.Records {
					seen[one.Ref.ID] = true
				}
				request.Cursor, more = page.Next, page.Next != ""
			}
			require.Len(t, seen, 24)
		})
	}
}
