package salesos_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

// TestRowsOfDeletedLeads: a server that keeps deleted rows lists them, finds them and
// answers them by their ids. They are no records, whichever page they fill.
func TestRowsOfDeletedLeads(t *testing.T) {
	const living = `{"id":"l-3","email":"ana@x.com","created_at":"2026-11-22T12:00:03Z","updated_at":"2026-11-22T12:00:03Z"}`
	gone := []string{
		`{"id":"l-1","email":"ana@x.com","created_at":"2026-11-22T12:00:01Z","updated_at":"2026-11-22T12:00:01Z","deleted_at":"2026-11-22T12:00:09Z"}`,
		`{"id":"l-2","email":"ana@x.com","created_at":"2026-11-22T12:00:02Z","updated_at":"2026-11-22T12:00:02Z","deleted":true}`,
	}
	conn, _ := scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/l-1"):
			return 200, `{"data":` + gone[0] + `}`
		case strings.HasSuffix(r.URL.Path, "/l-2"):
			return 410, ``
		case r.URL.Query().Get("page") == "2":
			return 200, `{"data":[` + living + `],"meta":{"total":3,"page":2,"per_page":2,"total_pages":2}}`
		}
		return 200, `{"data":[` + strings.Join(gone, ",") + `],"meta":{"total":3,"page":1,"per_page":2,"total_pages":2}}`
	})
	for _, id := range []string{"l-1", "l-2"} {
		_, err := conn.Get(context.Background(), "leads", id)
		require.True(t, fault.Is(err, fault.Gone), "%s: %v", id, err)
	}
	var ids []string
	request := connector.ListRequest{Object: "leads"}
	for range 10 {
		page, err := conn.List(context.Background(), request)
		require.NoError(t, err)
		for _, row := range page.Records {
			ids = append(ids, row.Ref.ID)
		}
		if request.Cursor = page.Next; request.Cursor == "" {
			break
		}
	}
	require.Contains(t, ids, "l-3")
	require.NotContains(t, ids, "l-1")
	require.NotContains(t, ids, "l-2")
	found, err := conn.Search(context.Background(), connector.SearchRequest{Object: "leads", Path: "email", Value: "ana@x.com"})
	require.NoError(t, err)
	require.Len(t, found, 1)
}

func TestAnEventThatShowsADeletedLead(t *testing.T) {
	events, err := parse(t, `{"type":"lead.updated","data":{"id":"l-1","name":"Ana","deleted_at":"2026-11-22T12:00:09Z"}}`)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.True(t, events[0].Deleted)
	require.Nil(t, events[0].Shown)
}
