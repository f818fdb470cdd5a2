package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// play makes one call and gives its status.
func play(t *testing.T, handler http.Handler, method, path, match, body string) int {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("If-Match", match)
	res := httptest.NewRecorder()
	handler.ServeHTTP(res, req)
	return res.Code
}
