package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// TestWhatReachesPeopleIsAskedForByName: an integration that would write users
// without a word is refused before anything runs, and so is a word nobody knows.
func TestWhatReachesPeopleIsAskedForByName(t *testing.T) {
	file := func(left, rest string) string {
		return "integration: people\nsystems:\n" +
			"  left: {connector: salesos, base_url: \"http://127.0.0.1:1/v1\", auth: {kind: bearer, token: t}}\n" +
			"  right: {connector: acme, base_url: \"http://127.0.0.1:1/api/2\", auth: {kind: bearer, token: t}}\n" +
			"streams:\n  users:\n    left: {object: users" + left + "}\n    right: {object: users}\n    match: [email]\n" + rest
	}
	fields := "    fields: {email: {left: email, right: email}}\n"
	installer := NewInstaller(Drivers())
	for _, row := range []struct{ left, rest, path string }{
		{"", "    mode: match_only\n", ""},
		{"", "    direction: left_to_right\n" + fields, ""},
		{", allow: [invite]", "    direction: right_to_left\n" + fields, ""},
		{"", "    direction: right_to_left\n" + fields, "streams.users.left"},
		{"", fields, "streams.users.left"},
		{", allow: [dismiss]", fields, "streams.users.left.allow"},
	} {
		plan, err := installer.Plan(file(row.left, row.rest), nil, nil)
		if row.path == "" {
			require.NoError(t, err, row)
			require.Equal(t, row.left != "", len(allowedOf(plan.Integration, record.Left)["users"]) == 1)
			require.Empty(t, allowedOf(plan.Integration, record.Right))
			continue
		}
		require.Equal(t, fault.Usage, fault.CodeOf(err), row)
		require.Equal(t, row.path, fault.As(err).Details[0].Path)
	}
}
