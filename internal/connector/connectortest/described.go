package connectortest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
)

// Described asks a connector for the fields of a collection, by path. The test fails if
// it cannot tell them, or tells one twice.
func Described(t *testing.T, conn connector.Connector, object string) map[string]connector.FieldShape {
	t.Helper()
	server, ok := conn.(connector.Describer)
	require.True(t, ok)
	shapes, err := server.Describe(t.Context(), object)
	require.NoError(t, err)
	found := map[string]connector.FieldShape{}
	for _, shape := range shapes {
		found[shape.Name] = shape
	}
	require.Len(t, found, len(shapes), "each once")
	return found
}
