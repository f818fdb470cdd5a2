package acme_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

// TestRowsOfContactsThatAreNoneAnyMore: rows that say of themselves that they were
// deleted or merged are no records; by its id a merged one leads to the survivor.
func TestRowsOfContactsThatAreNoneAnyMore(t *testing.T) {
	const deleted = `{"id":"ct_8","email":"ana@x.com","updated_at":"2026-11-22T12:00:00Z","is_deleted":true}`
	const merged = `{"id":"ct_9","email":"ana@x.com","updated_at":"2026-11-22T12:00:00Z","merged_into":"ct_1"}`
	conn, _ := scripted(t, connector.Capabilities{}, func(r *http.Request) (int, string) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/ct_1"):
			return 200, contact
		case strings.HasSuffix(r.URL.Path, "/ct_8"):
			return 200, deleted
		case strings.HasSuffix(r.URL.Path, "/ct_9"):
			return 200, merged
		case strings.HasSuffix(r.URL.Path, "/ct_7"):
			return 410, `gone`
		}
		return 200, `{"items":[` + deleted + `,` + merged + `,` + contact + `],"next_cursor":null}`
	})
	for _, id := range []string{"ct_7", "ct_8"} {
		_, err := conn.Get(context.Background(), "contacts", id)
		require.True(t, fault.Is(err, fault.Gone), "%s: %v", id, err)
	}
	got, err := conn.Get(context.Background(), "contacts", "ct_9")
	require.NoError(t, err)
	require.Equal(t, "ct_1", got.Ref.ID)
	page, err := conn.List(context.Background(), connector.ListRequest{Object: "contacts"})
	require.NoError(t, err)
	require.Len(t, page.Records, 1)
	found, err := conn.Search(context.Background(), connector.SearchRequest{Object: "contacts", Path: "email", Value: "ana@x.com"})
	require.NoError(t, err)
	for _, one := range found {
		require.Equal(t, "ct_1", one.Ref.ID)
	}
}
