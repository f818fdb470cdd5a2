package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
)

// BenchmarkCalls measures calls without the network, on 100,000 contacts.
func BenchmarkCalls(b *testing.B) {
	sb := sandbox.New(sandbox.Options{})
	b.Cleanup(sb.Close)
	call := func(method, path, body, kind, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(b.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		sb.Acme.ServeHTTP(w, r)
		return w
	}
	w := call("POST", "/oauth/token", "grant_type=client_credentials&client_id=accord&client_secret=accord-secret", "application/x-www-form-urlencoded", "")
	token := strings.Split(strings.Split(w.Body.String(), `"access_token":"`)[1], `"`)[0]
	w = call("POST", "/_admin/seed", `{"object": "contacts", "count": 100000}`, "application/json", "")
	require.Equal(b, http.StatusOK, w.Code)
	id := strings.Split(w.Body.String(), `"`)[3]
	n := 0
	for _, c := range []struct{ name, method, path, body string }{
		{"get", "GET", "/api/2/contacts/" + id, ""},
		{"patch", "PATCH", "/api/2/contacts/" + id, `{"note": "%d"}`},
		{"create", "POST", "/api/2/contacts", `{"email": "new%d@example.com"}`},
		{"search", "GET", "/api/2/contacts/search?email=contact500@example.com", ""},
		{"page", "GET", "/api/2/contacts?limit=100", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				n++
				body := c.body
				if body != "" {
					body = fmt.Sprintf(body, n)
				}
				if w := call(c.method, c.path, body, "application/json", token); w.Code >= 300 {
					b.Fatal(w.Code, w.Body.String())
				}
			}
		})
	}
}
