package tryton_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// needTryton answers the address of a real server with its database, or skips.
func needTryton(t *testing.T) string {
	t.Helper()
	address := os.Getenv("ACCORD_TEST_TRYTON")
	if address == "" {
		t.Skip(`no Tryton to test against: start one with eval "$(e2e/tryton/serve start FOLDER)", or run .ci/run tryton`)
	}
	return address
}

// server is a real Tryton, seen by its administrator over a client of its own.
type server struct {
	http.Handler
	address, session string
	next             int
}

var _ connectortest.Server = (*server)(nil)

// startTryton empties the database and makes sure of the suite's user.
func startTryton(t *testing.T, _ func() time.Time) connectortest.Server {
	t.Helper()
	return newServer(t)
}

func newServer(t *testing.T) *server {
	t.Helper()
	address := needTryton(t)
	target, err := url.Parse(address)
	require.NoError(t, err)
	s := &server{address: address, Handler: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})}
	user := os.Getenv("ACCORD_TEST_TRYTON_USER")
	opened := s.call(t, "common.db.login", user, map[string]any{"password": os.Getenv("ACCORD_TEST_TRYTON_PASSWORD")})
	parts, ok := opened.([]any)
	require.True(t, ok)
	s.session = base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%s:%v:%v", user, parts[0], parts[1])))
	for _, model := range []string{"sale.opportunity", "party.party"} {
		if held := s.ids(t, model, []any{}); len(held) > 0 {
			s.model(t, model, "delete", held)
		}
	}
	if len(s.ids(t, "res.user", []any{[]any{"login", "=", connectortest.ClientID}})) == 0 {
		s.model(t, "res.user", "create", []any{map[string]any{"login": connectortest.ClientID, "name": "Sync", "password": connectortest.ClientSecret,
			"groups": []any{[]any{"add", s.ids(t, "res.group", []any{})}}}})
	}
	return s
}

func (s *server) Seed(t *testing.T, n int) []string {
	t.Helper()
	var rows []any
	for range n {
		s.next++
		rows = append(rows, map[string]any{"name": fmt.Sprintf("Person %d", s.next), "contact_mechanisms": []any{[]any{"create", []any{
			map[string]any{"type": "email", "value": fmt.Sprintf("person%d@example.com", s.next)}}}}})
	}
	made, ok := s.model(t, "party.party", "create", rows).([]any)
	require.True(t, ok)
	ids := make([]string, 0, n)
	for _, id := range made {
		ids = append(ids, fmt.Sprint(id))
	}
	return ids
}

// Edit writes as a person at the screen does: parents and children each on their own.
func (s *server) Edit(t *testing.T, id string, fields map[string]any) {
	t.Helper()
	for path, value := range fields {
		key, isIdentifier := strings.CutPrefix(path, "identifiers.")
		switch {
		case path == "name" || path == "code" || path == "active":
			s.model(t, "party.party", "write", []any{number(t, id)}, map[string]any{path: value})
		case isIdentifier:
			s.child(t, "party.identifier", id, []any{"code", "like", key + ":%"}, map[string]any{"code": fmt.Sprint(key, ":", value)})
		default:
			s.child(t, "party.contact_mechanism", id, []any{"type", "=", path}, map[string]any{"type": path, "value": value})
		}
	}
}

func (s *server) child(t *testing.T, model, party string, which []any, values map[string]any) {
	t.Helper()
	if held := s.ids(t, model, []any{[]any{"party", "=", number(t, party)}, which}); len(held) > 0 {
		s.model(t, model, "write", held[:1], values)
		return
	}
	values["party"] = number(t, party)
	s.model(t, model, "create", []any{values})
}

func (s *server) Remove(t *testing.T, id string) {
	t.Helper()
	s.model(t, "party.party", "delete", []any{number(t, id)})
}

func (s *server) Fields(t *testing.T, id string) record.Fields {
	t.Helper()
	rows, ok := s.model(t, "party.party", "read", []any{number(t, id)},
		[]string{"name", "code", "active", "email", "phone", "mobile", "website", "identifiers.code"}).([]any)
	require.True(t, ok)
	row, ok := rows[0].(map[string]any)
	require.True(t, ok)
	flat := map[string]any{}
	children, _ := row["identifiers."].([]any)
	for _, child := range children {
		held, _ := child.(map[string]any)
		key, value, _ := strings.Cut(fmt.Sprint(held["code"]), ":")
		flat[key] = value
	}
	delete(row, "identifiers.")
	row["identifiers"] = flat
	return row
}

func (s *server) ExpireTokens(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), os.Getenv("ACCORD_TEST_TRYTON_DATABASE"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(context.Background(), `DELETE FROM ir_session WHERE create_uid <> 1`)
	require.NoError(t, err)
}

// ReplaceInner has nothing to switch: identifiers are rows of their own.
func (s *server) ReplaceInner(*testing.T, bool) {}

func (s *server) ids(t *testing.T, model string, domain []any) []any {
	t.Helper()
	found, ok := s.model(t, model, "search", domain, 0, nil, nil).([]any)
	require.True(t, ok)
	return found
}

func (s *server) model(t *testing.T, model, method string, params ...any) any {
	t.Helper()
	return s.call(t, "model."+model+"."+method, append(params, map[string]any{"active_test": false})...)
}

func (s *server) call(t *testing.T, method string, params ...any) any {
	t.Helper()
	body, err := json.Marshal(map[string]any{"id": 7, "method": method, "params": params})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.address+"/", bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	if s.session != "" {
		request.Header.Set("Authorization", "Session "+s.session)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", method, answer)
	value, err := transport.DecodeJSON(answer)
	require.NoError(t, err)
	said, ok := value.(map[string]any)
	require.True(t, ok)
	require.Nil(t, said["error"], method)
	return said["result"]
}

func number(t *testing.T, id string) int {
	t.Helper()
	value, err := strconv.Atoi(id)
	require.NoError(t, err)
	return value
}

// route names a JSON-RPC call in the words of REST.
func route(r *http.Request) (method, path string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r.Method, r.URL.Path
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var call struct {
		Method string `json:"method"`
		Params []any  `json:"params"`
	}
	if json.Unmarshal(body, &call) != nil || call.Method == "common.db.login" {
		return http.MethodPost, "/login"
	}
	parts := strings.Split(call.Method, ".")
	collection := "/" + strings.Join(parts[1:len(parts)-1], ".")
	if collection == "/party.party" {
		collection = "/parties"
	}
	verbs := map[string]string{"create": http.MethodPost, "read": http.MethodGet, "search_read": http.MethodGet, "write": http.MethodPatch, "delete": http.MethodDelete}
	name := parts[len(parts)-1]
	if slices.Contains([]string{"read", "write", "delete"}, name) {
		if ids, ok := call.Params[0].([]any); ok && len(ids) == 1 {
			return verbs[name], collection + "/" + fmt.Sprint(ids[0])
		}
	}
	return verbs[name], collection
}
