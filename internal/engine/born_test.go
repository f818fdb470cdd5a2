package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
)

// A server that makes each new record with a value of its own, whatever it is sent,
// is told again by an update; its value is no edit of a person.
func TestAValueThatACreateDoesNotTakeIsSentAgain(t *testing.T) {
	b := start(t, setup{})
	b.xStore(record.Left, xStoring{path: "status", atBirth: "new"})
	contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com", "lifecycle": "qualified"})
	b.hint(record.Right, contact)
	b.settle()
	b.quiet()
	lead := b.other(record.Right, contact)
	require.Equal(t, "qualified", text(b.get(record.Right, contact), "lifecycle"))
	require.Equal(t, "qualified", text(b.get(record.Left, lead), "status"))
	require.Equal(t, 2, b.writes(record.Left), "a create and an update")
	require.Zero(t, b.writes(record.Right), "nothing flows back")
}
