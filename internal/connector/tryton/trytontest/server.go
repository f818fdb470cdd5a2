// Package trytontest is a real Tryton for tests: the server that ACCORD_TEST_TRYTON
// names, emptied, and a person at its screen. The tests that share it must not run
// at the same time.
package trytontest

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

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// Need answers the address of a real server with its database, or skips.
func Need(t *testing.T) string {
	t.Helper()
	address := os.Getenv("ACCORD_TEST_TRYTON")
	if address == "" {
		t.Skip(`no Tryton to test against: start one with eval "$(internal/demo/serve/tryton start FOLDER)", or run .ci/run tryton`)
	}
	return address
}

// Server is a real Tryton, seen by its administrator over a client of its own.
type Server struct {
	http.Handler
	// Address is the server's with the database.
	Address string
	session string
	next    int
}

var _ connectortest.Server = (*Server)(nil)

// Start deletes all parties and opportunities and makes sure of the suite's user,
// who is in all groups.
func Start(t *testing.T) *Server {
	t.Helper()
	address := Need(t)
	target, err := url.Parse(address)
	require.NoError(t, err)
	s := &Server{Address: address, Handler: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})}
	s.login(t, os.Getenv("ACCORD_TEST_TRYTON_USER"), os.Getenv("ACCORD_TEST_TRYTON_PASSWORD"))
	s.Unsell(t)
	if held := s.IDs(t, "party.party"); len(held) > 0 {
		s.Model(t, "party.party", "delete", held)
	}
	if len(s.users(t)) == 0 {
		s.Model(t, "res.user", "create", []any{map[string]any{"login": connectortest.ClientID, "name": "Sync", "password": connectortest.ClientSecret,
			"groups": []any{[]any{"add", s.IDs(t, "res.group")}}}})
	}
	return s
}

func (s *Server) users(t *testing.T) []any {
	t.Helper()
	return s.IDs(t, "res.user", []any{"login", "=", connectortest.ClientID})
}

// Seed makes n parties with an e-mail address each.
func (s *Server) Seed(t *testing.T, n int) []string {
	t.Helper()
	var rows []any
	for range n {
		s.next++
		rows = append(rows, map[string]any{"name": fmt.Sprintf("Person %d", s.next), "contact_mechanisms": []any{[]any{"create", []any{
			map[string]any{"type": "email", "value": fmt.Sprintf("person%d@example.com", s.next)}}}}})
	}
	made, ok := s.Model(t, "party.party", "create", rows).([]any)
	require.True(t, ok)
	ids := make([]string, 0, n)
	for _, id := range made {
		ids = append(ids, fmt.Sprint(id))
	}
	return ids
}

// Edit writes as a person at the screen does: parents and children each on their own.
func (s *Server) Edit(t *testing.T, id string, fields map[string]any) {
	t.Helper()
	for path, value := range fields {
		key, isIdentifier := strings.CutPrefix(path, "identifiers.")
		switch {
		case path == "name" || path == "code" || path == "active":
			s.Model(t, "party.party", "write", []any{Number(t, id)}, map[string]any{path: value})
		case isIdentifier:
			s.child(t, "party.identifier", id, []any{"code", "like", key + ":%"}, map[string]any{"code": fmt.Sprint(key, ":", value)})
		default:
			s.child(t, "party.contact_mechanism", id, []any{"type", "=", path}, map[string]any{"type": path, "value": value})
		}
	}
}

func (s *Server) child(t *testing.T, model, party string, which []any, values map[string]any) {
	t.Helper()
	if held := s.IDs(t, model, []any{"party", "=", Number(t, party)}, which); len(held) > 0 {
		s.Model(t, model, "write", held[:1], values)
		return
	}
	values["party"] = Number(t, party)
	s.Model(t, model, "create", []any{values})
}

// Remove deletes a party.
func (s *Server) Remove(t *testing.T, id string) {
	t.Helper()
	s.Model(t, "party.party", "delete", []any{Number(t, id)})
}

// Fields reads a party past the connector.
func (s *Server) Fields(t *testing.T, id string) record.Fields {
	t.Helper()
	rows, ok := s.Model(t, "party.party", "read", []any{Number(t, id)},
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

func (s *Server) login(t *testing.T, user, password string) {
	t.Helper()
	parts, ok := s.call(t, "common.db.login", user, map[string]any{"password": password}).([]any)
	require.True(t, ok)
	s.session = base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%s:%v:%v", user, parts[0], parts[1])))
}

// ExpireTokens ends the sessions of the suite's user, as a new password of its own does.
func (s *Server) ExpireTokens(t *testing.T) {
	t.Helper()
	itself := &Server{Address: s.Address}
	itself.login(t, connectortest.ClientID, connectortest.ClientSecret)
	itself.Model(t, "res.user", "write", s.users(t), map[string]any{"password": connectortest.ClientSecret})
}

// ReplaceInner has nothing to switch: identifiers are rows of their own.
func (s *Server) ReplaceInner(*testing.T, bool) {}

// IDs finds records, inactive ones included, by clauses.
func (s *Server) IDs(t *testing.T, model string, domain ...[]any) []any {
	t.Helper()
	if domain == nil {
		domain = [][]any{}
	}
	found, ok := s.Model(t, model, "search", domain, 0, nil, nil).([]any)
	require.True(t, ok)
	return found
}

// Model calls a method of a model and answers its result.
func (s *Server) Model(t *testing.T, model, method string, params ...any) any {
	t.Helper()
	return s.call(t, "model."+model+"."+method, append(params, map[string]any{"active_test": false})...)
}

func (s *Server) call(t *testing.T, method string, params ...any) any {
	t.Helper()
	body, err := json.Marshal(map[string]any{"id": 7, "method": method, "params": params})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.Address+"/", bytes.NewReader(body))
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

// Number is an id as Tryton has it.
func Number(t *testing.T, id string) int {
	t.Helper()
	value, err := strconv.Atoi(id)
	require.NoError(t, err)
	return value
}

// Route names a JSON-RPC call in the words of REST.
func Route(r *http.Request) (method, path string) {
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

// Company makes a company to sell for, which the suite's user and the administrator work in, and takes
// it away at the end of the test: the suite counts parties.
func (s *Server) Company(t *testing.T) string {
	t.Helper()
	one := func(model string, values map[string]any) any {
		ids, ok := s.Model(t, model, "create", []any{values}).([]any)
		require.True(t, ok)
		return ids[0]
	}
	currencies := s.IDs(t, "currency.currency", []any{"code", "=", "BRL"})
	if len(currencies) == 0 {
		currencies = []any{one("currency.currency", map[string]any{"name": "Real", "code": "BRL", "symbol": "R$", "digits": 2})}
	}
	party := one("party.party", map[string]any{"name": "Our company"})
	company := one("company.company", map[string]any{"party": party, "currency": currencies[0]})
	// The administrator too, who would not see what belongs to it.
	users := append(s.users(t), s.IDs(t, "res.user", []any{"login", "=", os.Getenv("ACCORD_TEST_TRYTON_USER")})...)
	s.Model(t, "res.user", "write", users, map[string]any{"companies": []any{[]any{"add", []any{company}}}, "company": company})
	t.Cleanup(func() {
		s.Unsell(t)
		s.Model(t, "res.user", "write", users, map[string]any{"companies": []any{[]any{"remove", []any{company}}}, "company": nil})
		s.Model(t, "company.company", "delete", []any{company})
		s.Model(t, "party.party", "delete", []any{party})
	})
	return fmt.Sprint(company)
}

// Unsell deletes all opportunities and the sales that were made of them.
func (s *Server) Unsell(t *testing.T) {
	t.Helper()
	if sales := s.IDs(t, "sale.sale"); len(sales) > 0 {
		s.Model(t, "sale.sale", "cancel", sales)
		s.Model(t, "sale.sale", "delete", sales)
	}
	if held := s.IDs(t, "sale.opportunity"); len(held) > 0 {
		s.Model(t, "sale.opportunity", "write", held, map[string]any{"state": "cancelled"}) // others are not deleted
		s.Model(t, "sale.opportunity", "delete", held)
	}
}

// Employee makes the suite's user an employee of a company until the end of the test:
// without one an opportunity stays a lead.
func (s *Server) Employee(t *testing.T, company string) {
	t.Helper()
	one := func(model string, values map[string]any) any {
		ids, ok := s.Model(t, model, "create", []any{values}).([]any)
		require.True(t, ok)
		return ids[0]
	}
	party := one("party.party", map[string]any{"name": "Our employee"})
	employee := one("company.employee", map[string]any{"party": party, "company": Number(t, company)})
	users := s.users(t)
	s.Model(t, "res.user", "write", users, map[string]any{"employees": []any{[]any{"add", []any{employee}}}, "employee": employee})
	t.Cleanup(func() {
		s.Unsell(t)
		s.Model(t, "res.user", "write", users, map[string]any{"employees": []any{[]any{"remove", []any{employee}}}, "employee": nil})
		s.Model(t, "company.employee", "delete", []any{employee})
		s.Model(t, "party.party", "delete", []any{party})
	})
}
