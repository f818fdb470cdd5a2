package engine_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
)

// invited is the users stream of somebody whose people are kept in Acme.
const invited = `  users:
    left: {object: users, allow: [invite, deactivate]}
    right: {object: users, where: active}
    direction: right_to_left
    match: [email]
    fields:
      email: {left: email, right: email, as: email}
      name: {left: name, right: name}
      active: {left: {read: 'status != "deactivated"', write: {status: 'value == false ? "deactivated" : "active"'}}, right: active}
    deletes: {policy: propagate, edited: delete, verify_after: 1s}
`

func withPeople(t *testing.T) func(yaml string) string {
	return func(yaml string) string {
		at := strings.Index(yaml, "  users:\n")
		require.Positive(t, at)
		return yaml[:at] + invited
	}
}

// TestPeopleAreInvitedAndDeactivatedByName: where the file asks for it, once
// each, and nobody twice; killed at every step.
func TestPeopleAreInvitedAndDeactivatedByName(t *testing.T) {
	for n := 0; ; n++ {
		b := trade{newBench(t, t.TempDir(), setup{edit: withPeople(t)})}
		known := b.put(record.Left, "users", map[string]any{"name": "Known", "email": "Known@example.com"})
		was := b.put(record.Right, "users", map[string]any{"name": "Known", "email": "known@example.com"})
		gone := b.put(record.Right, "users", map[string]any{"name": "Gone", "email": "gone@example.com", "active": false})
		b.rest()
		require.Equal(t, known, b.twin(record.Right, "users", was), "somebody who is there is not invited")
		fresh := b.put(record.Right, "users", map[string]any{"name": "Fresh", "email": "fresh@example.com"})
		b.tell(record.Right, "users", fresh)
		reached := b.killAt(n)
		b.clock.advance(80e9)
		b.rest()
		require.Len(t, b.alive(record.Left, "users"), 2, "killed at step %d; %s is left out", n, gone)
		made := b.twin(record.Right, "users", fresh)
		require.Equal(t, "invited", b.held(record.Left, "users", made, "status"))

		b.set(record.Right, "users", was, map[string]any{"active": false})
		b.drop(record.Right, "users", fresh)
		b.tell(record.Right, "users", fresh)
		b.rest()
		b.clock.advance(80e9)
		b.rest()
		require.Equal(t, "deactivated", b.held(record.Left, "users", known, "status"))
		require.Equal(t, "deactivated", b.held(record.Left, "users", made, "status"))
		require.Empty(t, b.letters())
		b.silent()
		b.end()
		if !reached {
			require.Greater(t, n, 3)
			return
		}
	}
}
