package salesos_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/salesos"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

const userBody = `{"data":{"id":"u1","name":"Rep","email":"rep@example.com","status":"deactivated","created_at":"2026-11-22T12:00:00Z"},"meta":{}}`

func usersDesk(t *testing.T, allowed ...string) (connector.Connector, *script) {
	s := &script{answer: func(r *http.Request, _ string) (int, string) {
		if r.Method == "DELETE" {
			return 204, ""
		}
		return 200, userBody
	}}
	conn, err := salesos.Driver{}.Open(connector.Config{Side: record.Left, BaseURL: "https://api.example/v1", Allowed: map[string][]string{"users": allowed},
		Auth: connector.Auth{Kind: transport.KindStatic, Token: "t"}, Client: transport.New(transport.Options{Transport: s})})
	require.NoError(t, err)
	return conn, s
}

// TestPeopleAreLeftAloneUnlessAskedByName: neither an invitation nor a lock-out
// happens because another word is allowed, or another collection.
func TestPeopleAreLeftAloneUnlessAskedByName(t *testing.T) {
	user := record.Record{Ref: record.Ref{Side: record.Left, Object: "users", ID: "u1"}}
	for _, row := range []struct {
		allowed             []string
		invites, deactivate bool
	}{
		{nil, false, false}, {[]string{"create", "delete"}, false, false},
		{[]string{"invite"}, true, false}, {[]string{"deactivate"}, false, true}, {[]string{"invite", "deactivate"}, true, true},
	} {
		conn, s := usersDesk(t, row.allowed...)
		_, err := conn.Create(t.Context(), "users", map[string]any{"name": "Rep", "email": "rep@example.com", "status": "active"}, connector.WriteOptions{})
		require.Equal(t, row.invites, err == nil, row.allowed)
		_, err = conn.Update(t.Context(), user, map[string]any{"status": "deactivated"}, connector.WriteOptions{})
		require.Equal(t, row.deactivate, err == nil, row.allowed)
		err = conn.Delete(t.Context(), "users", "u1", connector.WriteOptions{})
		require.Equal(t, row.deactivate, err == nil, row.allowed)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.CodeOf(err), "it is parked")
		}
		var sent []string
		if row.invites {
			sent = append(sent, `POST /v1/users {"email":"rep@example.com","name":"Rep"}`)
		}
		if row.deactivate {
			sent = append(sent, "DELETE /v1/users/u1 ", "GET /v1/users/u1 ", "DELETE /v1/users/u1 ")
		}
		require.Equal(t, sent, s.sent, row.allowed)
	}
	conn, s := usersDesk(t, "invite")
	_, err := conn.Create(t.Context(), "stages", map[string]any{"name": "x"}, connector.WriteOptions{})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.Empty(t, s.sent)
}

func TestAUserTakesNothingButTheEnd(t *testing.T) {
	user := record.Record{Ref: record.Ref{Side: record.Left, Object: "users", ID: "u1"}}
	conn, s := usersDesk(t, "invite", "deactivate")
	for _, fields := range []map[string]any{{"name": "New"}, {"status": "active"}, {"status": nil}, {"status": "deactivated", "role": "admin"}} {
		_, err := conn.Update(t.Context(), user, fields, connector.WriteOptions{})
		require.Equal(t, fault.Invalid, fault.CodeOf(err), fields)
		require.Equal(t, "left/users/u1", fault.As(err).Subject)
	}
	_, err := conn.Create(t.Context(), "users", map[string]any{"email": "rep@example.com", "status": "deactivated"}, connector.WriteOptions{})
	require.Equal(t, "status", fault.As(err).Field, "somebody who is gone gets no invitation")
	require.Empty(t, s.sent)
	divided := conn.(connector.Divided)
	require.NotEqual(t, divided.CallOf("users", map[string]any{"name": "x"}), divided.CallOf("users", map[string]any{"status": "x"}))
}
