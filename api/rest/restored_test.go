package rest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
)

func TestARestoredLedgerIsSeenAndAccepted(t *testing.T) {
	h := start(t)
	key := h.install()
	path := "/api/v1/connections/" + key.Connection
	require.Equal(t, http.StatusAccepted, h.call("POST", path+"/activate", nil).status)
	require.Nil(t, h.call("GET", path+"/status", nil).body["restored"])
	h.call("POST", path+"/restored", nil).problem(t, http.StatusConflict, "conflict")

	mark, _, _, err := h.store.Witness(t.Context())
	require.NoError(t, err)
	mark.Count += 10
	_, found, _, err := h.store.Witness(t.Context(), mark)
	require.NoError(t, err)
	require.NotNil(t, found)

	status := h.call("GET", path+"/status", nil).body
	require.Equal(t, "failing", status["state"])
	require.Contains(t, status["state_reason"], "put back")
	require.NotEmpty(t, object(status["restored"])["from"])
	require.Nil(t, object(status["restored"])["accepted_at"])
	h.call("POST", path+"/resume", nil).problem(t, http.StatusConflict, "conflict")

	accepted := h.call("POST", path+"/restored", nil)
	require.Equal(t, http.StatusAccepted, accepted.status, string(accepted.raw))
	require.Equal(t, "active", accepted.body["state"])
	require.NotEmpty(t, object(h.call("GET", path+"/status", nil).body["restored"])["accepted_at"])
}

func TestARestoreThatNobodyNoticedIsToldByHand(t *testing.T) {
	h := start(t)
	key := h.install()
	path := "/api/v1/connections/" + key.Connection + "/restored"
	h.call("POST", path, map[string]any{"from": "yesterday"}).problem(t, http.StatusUnprocessableEntity, "usage")
	from := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	require.Equal(t, http.StatusAccepted, h.call("POST", path, map[string]any{"from": from}).status)
	standing, err := h.store.Standing(t.Context(), key)
	require.NoError(t, err)
	require.True(t, standing.Restored.From.Equal(from))
	require.True(t, standing.Restored.Comparing())
	require.Equal(t, ledger.Draft, standing.State)
}
