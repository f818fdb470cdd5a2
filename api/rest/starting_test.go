package rest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/rest"
)

func TestStarting(t *testing.T) {
	h := &harness{t: t, schema: readDocument(t), server: httptest.NewServer(rest.Starting(func() string { return "1" }))}
	defer h.server.Close()
	require.Equal(t, http.StatusOK, h.send("GET", "/healthz", nil).status)
	require.Equal(t, http.StatusServiceUnavailable, h.send("GET", "/readyz", nil).status)
	h.call("GET", "/api/v1/connections", nil).problem(t, http.StatusServiceUnavailable, "unavailable")
	h.send("POST", "/webhooks/c/left", "{}").problem(t, http.StatusServiceUnavailable, "unavailable")
}
