package rest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/rest"
	"github.com/accord-sync/accord/internal/app"
)

func TestTheConsoleIsFoundWithoutItsSlash(t *testing.T) {
	log := logrus.New()
	log.SetOutput(t.Output())
	server := rest.New(rest.Options{
		Log: log, Now: time.Now, NewID: app.NewID, Token: token, Tenant: "default",
		Console: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
	})
	get := func(path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		return answer
	}
	require.Equal(t, http.StatusTeapot, get("/console/").Code)
	answer := get("/console")
	require.Equal(t, http.StatusFound, answer.Code)
	require.Equal(t, "/console/", answer.Header().Get("Location"))
}
