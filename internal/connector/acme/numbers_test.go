package acme_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
)

// TestIdsThatAreNumbers: where ids are numbers, what refers to them is a number too.
func TestIdsThatAreNumbers(t *testing.T) {
	const numbered = `{"id":1,"version":1,"owner_id":3,"first_name":"Ana","updated_at":"2026-11-22T12:00:00.250Z"}`
	conn, s := scripted(t, connector.Capabilities{}, func(*http.Request) (int, string) { return 200, numbered })
	current, err := conn.Get(context.Background(), "contacts", "1")
	require.NoError(t, err)
	require.Equal(t, "1", current.Ref.ID)
	_, err = conn.Update(context.Background(), current, map[string]any{"owner_id": "4"}, connector.WriteOptions{})
	require.NoError(t, err)
	_, err = conn.Create(context.Background(), "deals", map[string]any{"title": "Flat", "contact_id": "1", "company_id": "2"}, connector.WriteOptions{})
	require.NoError(t, err)
	require.JSONEq(t, `{"owner_id":4}`, s.bodies[1])
	require.JSONEq(t, `{"title":"Flat","contact_id":1,"company_id":"2"}`, s.bodies[2], "of companies nothing is known")
}
