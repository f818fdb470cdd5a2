package rest_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/rest"
	"github.com/accord-sync/accord/internal/ledger"
)

func objectOf(t *testing.T, text string) map[string]any {
	t.Helper()
	var parsed map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &parsed))
	return parsed
}

func TestTokens(t *testing.T) {
	h := start(t)
	for _, header := range []string{"", "Bearer", "Bearer wrong", "Basic " + token, token, "Bearer " + token + "x"} {
		h.send("GET", "/api/v1/connections", nil, "Authorization", header).problem(t, http.StatusUnauthorized, "unauthorized")
	}
	require.Equal(t, http.StatusOK, h.send("GET", "/api/v1/connections", nil, "Authorization", "bearer "+token).status)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	h := start(t)
	h.call("GET", "/api/v2/connections", nil).problem(t, http.StatusNotFound, "not_found")
	h.call("GET", "/", nil).problem(t, http.StatusNotFound, "not_found")
	h.call("PATCH", "/api/v1/connections", nil).problem(t, http.StatusMethodNotAllowed, "method_not_allowed")
	h.send("GET", "/webhooks/x/left", nil).problem(t, http.StatusMethodNotAllowed, "method_not_allowed")
}

func TestBodies(t *testing.T) {
	h := start(t)
	path := "/api/v1/connections"
	h.call("POST", path, strings.Repeat(" ", rest.MaxBody+1)).problem(t, http.StatusRequestEntityTooLarge, "too_large")
	tests := map[string]struct {
		path         string
		line, column int
	}{
		"":                                  {},
		"null":                              {line: 1, column: 4},
		"[]":                                {line: 1, column: 1},
		"{\n  \"integration\": }":           {line: 2, column: 18},
		"{\"integration\": \"x\", \"a\":1}": {path: "a", line: 1, column: 22},
		"{\"variables\": [1]}":              {path: "variables", line: 1, column: 15},
		"{\"integration\"":                  {line: 1, column: 14},
		"{\"integration\": 7}":              {path: "integration"},
		"{} {}":                             {line: 1, column: 3},
	}
	for body, want := range tests {
		t.Run(body, func(t *testing.T) {
			got := h.call("POST", path, body)
			got.problem(t, http.StatusUnprocessableEntity, "usage")
			if want == (struct {
				path         string
				line, column int
			}{}) {
				return
			}
			first := object(got.body["errors"].([]any)[0])
			require.Equal(t, want.path, first["path"], string(got.raw))
			if want.line > 0 {
				require.EqualValues(t, want.line, first["line"], string(got.raw))
				require.InDelta(t, want.column, first["column"], 1, string(got.raw))
			}
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	h := start(t)
	given := input(t)
	first := h.call("POST", "/api/v1/connections", given, "Idempotency-Key", "k1")
	require.Equal(t, http.StatusCreated, first.status)
	again := h.call("POST", "/api/v1/connections", given, "Idempotency-Key", "k1")
	require.Equal(t, http.StatusCreated, again.status)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, string(first.raw), string(again.raw))
	require.Len(t, h.call("GET", "/api/v1/connections", nil).items(t), 1)
	given["variables"] = map[string]string{}
	h.call("POST", "/api/v1/connections", given, "Idempotency-Key", "k1").problem(t, http.StatusConflict, "conflict")

	// What was refused may be corrected under its key.
	h.call("POST", "/api/v1/connections", `{"integration":"junk"}`, "Idempotency-Key", "k2").problem(t, http.StatusUnprocessableEntity, "usage")
	require.Equal(t, http.StatusCreated, h.call("POST", "/api/v1/connections", input(t), "Idempotency-Key", "k2").status)
	h.call("POST", "/api/v1/connections", input(t), "Idempotency-Key", strings.Repeat("k", 201)).problem(t, http.StatusUnprocessableEntity, "usage")
}

func TestReadiness(t *testing.T) {
	h := start(t)
	require.Equal(t, http.StatusOK, h.send("GET", "/healthz", nil).status)
	require.Equal(t, http.StatusOK, h.send("GET", "/readyz", nil).status)
	h.control.down.Store(true)
	got := h.send("GET", "/readyz", nil)
	require.Equal(t, http.StatusServiceUnavailable, got.status)
	require.Equal(t, map[string]any{"status": "unavailable", "ledger": "ok", "temporal": "does not answer"}, got.body)
	require.Equal(t, http.StatusOK, h.send("GET", "/healthz", nil).status)
	key := h.install()
	refused := h.call("POST", "/api/v1/connections/"+key.Connection+"/activate", nil)
	refused.problem(t, http.StatusServiceUnavailable, "unavailable")
	require.NotEmpty(t, refused.header.Get("Retry-After"))
}

func sign(body string) string {
	mac := hmac.New(sha256.New, []byte("hook-left"))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestWebhooks(t *testing.T) {
	h := start(t)
	key := h.install()
	path := "/webhooks/" + key.Connection + "/left"
	event := `{"type":"lead.updated","data":{"id":"l1","status":"new"}}`
	post := func(path, body, signature string) answer {
		return h.send("POST", path, body, "x-salesos-signature", signature)
	}
	pending := func() int {
		waiting, err := h.store.Pending(t.Context(), key, ledger.PendingFilter{})
		require.NoError(t, err)
		return waiting.Changes
	}
	require.Equal(t, http.StatusOK, post(path, event, sign(event)).status, "a draft takes nothing, but answers 2xx")
	require.Zero(t, pending())
	require.Equal(t, http.StatusAccepted, h.call("POST", "/api/v1/connections/"+key.Connection+"/activate", nil).status)
	require.Eventually(t, func() bool { return post(path, event, sign(event)).status == http.StatusAccepted }, waitLong, waitShort)
	require.Equal(t, 1, pending())
	require.Equal(t, http.StatusAccepted, post(path, event, sign(event)).status)
	require.Equal(t, 1, pending(), "a repeated event is one change")
	require.EqualValues(t, 1, h.control.nudges.Load(), "one nudge for both")

	unmapped := `{"type":"stage.updated","data":{"id":"s1"}}`
	require.Equal(t, map[string]any{"accepted": 0.0, "ignored": 1.0}, post(path, unmapped, sign(unmapped)).body)
	for _, signature := range []string{"", "junk", sign(event + " "), strings.TrimPrefix(sign(event), "sha256=")} {
		post(path, event, signature).problem(t, http.StatusUnauthorized, "unauthorized")
	}
	post("/webhooks/cn_nope/left", event, sign(event)).problem(t, http.StatusNotFound, "not_found")
	post("/webhooks/"+key.Connection+"/middle", event, sign(event)).problem(t, http.StatusNotFound, "not_found")
	large := fmt.Sprintf(`{"type":"lead.updated","data":{"id":"l1","note":%q}}`, strings.Repeat("n", rest.MaxWebhook))
	post(path, large, sign(large)).problem(t, http.StatusRequestEntityTooLarge, "too_large")

	require.Equal(t, http.StatusAccepted, h.call("POST", "/api/v1/connections/"+key.Connection+"/pause", nil).status)
	second := `{"type":"lead.updated","data":{"id":"l2"}}`
	require.Equal(t, http.StatusAccepted, post(path, second, sign(second)).status)
	require.Equal(t, 2, pending(), "a paused connection keeps hints for its resumption")
}

func TestLogsHoldNoQueriesAndNoSecrets(t *testing.T) {
	h := start(t)
	key := h.active()
	h.call("GET", "/api/v1/connections/"+key.Connection+"/links?id=jane.doe@example.com", nil)
	h.call("POST", "/api/v1/connections", `{"integration":"jane.doe@example.com"}`)
	require.NotEmpty(t, h.log.AllEntries())
	for _, entry := range h.log.AllEntries() {
		line, err := entry.String()
		require.NoError(t, err)
		require.NotContains(t, line, "jane.doe")
		require.NotContains(t, line, "hush")
		require.NotContains(t, line, token)
	}
}

func TestRequestIDs(t *testing.T) {
	h := start(t)
	require.Equal(t, "mine-1", h.call("GET", "/nope", nil, "X-Request-Id", "mine-1").body["request_id"])
	require.True(t, strings.HasPrefix(h.call("GET", "/nope", nil, "X-Request-Id", "bad id\t").body["request_id"].(string), "rq_"))
}

// TestALargeBodyIsAnsweredAfterItWasSent: many clients send all of a body before they
// look for an answer.
func TestALargeBodyIsAnsweredAfterItWasSent(t *testing.T) {
	h := start(t)
	key := h.active()
	to, err := net.Dial("tcp", strings.TrimPrefix(h.server.URL, "http://"))
	require.NoError(t, err)
	defer func() { _ = to.Close() }()
	const size = 12 << 20
	_, err = fmt.Fprintf(to, "POST /webhooks/%s/left HTTP/1.1\r\nHost: accord\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", key.Connection, size)
	require.NoError(t, err)
	for range size >> 20 {
		_, err = to.Write(bytes.Repeat([]byte("x"), 1<<20))
		require.NoError(t, err)
	}
	response, err := http.ReadResponse(bufio.NewReader(to), nil)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
}
