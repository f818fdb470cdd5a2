package rest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
)

// Whoever corrects a connection whose activation gave up wants it to work.
func TestAnEditOfAFailingConnectionActivatesIt(t *testing.T) {
	h := start(t)
	key := h.install()
	path := "/api/v1/connections/" + key.Connection
	require.NoError(t, h.store.SetConnectionState(t.Context(), key, ledger.Failing, "left: the credentials are refused"))
	require.Equal(t, http.StatusOK, h.call("PUT", path, map[string]any{"secrets": map[string]string{"acme_client_secret": "right"}}).status)
	require.Equal(t, "active", h.call("GET", path, nil).body["state"])
	require.NoError(t, h.store.SetConnectionState(t.Context(), key, ledger.Paused, ""))
	require.Equal(t, http.StatusOK, h.call("PUT", path, map[string]any{"secrets": map[string]string{"acme_client_secret": "other"}}).status)
	require.Equal(t, "paused", h.call("GET", path, nil).body["state"], "a pause is for a person to end")
}
