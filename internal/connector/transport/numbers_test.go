package transport_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/transport"
)

func TestNumbers(t *testing.T) {
	references := map[string]string{"owner_id": "users", "lead_id": "leads"}
	var n transport.Numbers
	fields := map[string]any{"owner_id": "7", "lead_id": "8", "name": "9"}
	require.Equal(t, fields, n.Refer(fields, references), "nothing is known of their ids")

	n.See("deals", map[string]any{"id": "d-1", "owner_id": json.Number("3"), "lead_id": nil}, references)
	require.Equal(t, map[string]any{"owner_id": json.Number("7"), "lead_id": "8", "name": "9"}, n.Refer(fields, references))
	require.Equal(t, "7", fields["owner_id"], "what is given is not changed")

	n.See("leads", map[string]any{"id": json.Number("1")}, references)
	require.Equal(t, json.Number("8"), n.Refer(fields, references)["lead_id"])
	require.Equal(t, "7", fields["owner_id"])
	for _, id := range []string{"u-7", "007", "7.0", ""} {
		require.Equal(t, id, n.ID("users", id))
	}
	require.Nil(t, n.Refer(map[string]any{"owner_id": nil}, references)["owner_id"], "cleared is cleared")
	require.Equal(t, "1", n.ID("deals", "1"))
}
