package engine_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/record"
)

// byManifest puts the shipped manifest in the place of the connector in Go. The
// whole suite of this package runs that way with ACCORD_TEST_MANIFEST=1.
func byManifest(yaml string) string {
	return strings.Replace(yaml, "connector: acme", "connector: rest\n    manifest: acme", 1)
}

// inPlace writes the manifest into the integration, as for a system that Accord
// ships no manifest for.
func inPlace(t *testing.T) func(yaml string) string {
	text, err := connectors.Read("acme")
	require.NoError(t, err)
	indented := strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n      ")
	return func(yaml string) string {
		return strings.Replace(yaml, "connector: acme", "connector: rest\n    manifest:\n      "+indented, 1)
	}
}

// TestSyncByManifest: creates, edits of both sides, a conflict, a merge and deletes,
// with Acme reached by its manifest.
func TestSyncByManifest(t *testing.T) {
	for name, edit := range map[string]func(string) string{"by name": byManifest, "in place": inPlace(t)} {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{edit: edit})
			lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@example.com", "status": "new", "tags": []any{"a"}})
			contact := b.create(record.Right, map[string]any{"first_name": "Bruno", "last_name": "Reis", "email": "bruno@example.com", "lifecycle": "lead"})
			b.quiet()
			twin, brother := b.other(record.Left, lead), b.other(record.Right, contact)
			require.Equal(t, "Ana", b.get(record.Right, twin).Fields["first_name"])
			require.Equal(t, "Bruno Reis", b.get(record.Left, brother).Fields["name"])

			b.edit(record.Left, lead, map[string]any{"company": "Lima Ltda"})
			b.edit(record.Right, twin, map[string]any{"job_title": "CTO", "labels": []any{"a", "b"}})
			b.quiet()
			require.Equal(t, "Lima Ltda", b.get(record.Right, twin).Fields["company_name"])
			require.Equal(t, "CTO", b.get(record.Left, lead).Fields["position"])

			b.edit(record.Left, lead, map[string]any{"phone": "+55 11 98888-1111"})
			b.edit(record.Right, twin, map[string]any{"phone": "+55 11 98888-2222"})
			b.quiet()
			require.Len(t, b.openConflicts(), 1, "about phone numbers a person decides")

			b.remove(record.Left, brother)
			b.hint(record.Left, brother)
			b.quiet()
			require.NotNil(t, b.get(record.Right, contact).DeletedAt, "a delete is made on the other side too")
			require.Len(t, b.live(record.Left), 1)
			require.Len(t, b.live(record.Right), 1)
		})
	}
}
