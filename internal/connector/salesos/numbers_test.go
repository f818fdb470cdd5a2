package salesos_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/record"
)

// TestIdsThatAreNumbers: where ids are numbers, what refers to them is a number too.
func TestIdsThatAreNumbers(t *testing.T) {
	const deal = `{"id":1,"name":"Flat","owner_id":3,"status":"open","stage":{"id":10,"name":"New"},"created_at":"2026-11-22T12:00:00Z","updated_at":"2026-11-22T12:00:00Z"}`
	conn, s := scripted(t, connector.Capabilities{}, func(r *http.Request, _ string) (int, string) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/stages"):
			return 200, `{"data":[{"id":10,"name":"New"},{"id":11,"name":"Won soon"}],"meta":{"total":2,"page":1,"per_page":25,"total_pages":1}}`
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/deals"):
			return 201, `{"data":` + deal + `}`
		}
		return 200, `{"data":` + deal + `}`
	})
	ctx := context.Background()
	current, err := conn.Get(ctx, "deals", "1")
	require.NoError(t, err)
	_, err = conn.Update(ctx, current, map[string]any{"owner_id": "4"}, connector.WriteOptions{})
	require.NoError(t, err)
	_, err = conn.Update(ctx, current, map[string]any{"stage.name": "Won soon"}, connector.WriteOptions{})
	require.NoError(t, err)
	_, err = conn.Update(ctx, current, map[string]any{"status": "won", "stage.id": "10"}, connector.WriteOptions{})
	require.NoError(t, err, "it is in that stage")
	_, err = conn.Create(ctx, "deals", map[string]any{"name": "Flat", "stage.name": "New", "owner_id": "3"}, connector.WriteOptions{})
	require.NoError(t, err)
	said := strings.Join(s.sent, "\n")
	for _, part := range []string{`"owner_id":4`, `"stage_id":11`, `"stage":{"id":10}`, `"owner_id":3`} {
		require.Contains(t, said, part)
	}
	require.Equal(t, record.Ref{Side: current.Ref.Side, Object: "deals", ID: "1"}, current.Ref)
}
