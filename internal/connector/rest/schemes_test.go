package rest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

const plainList = "list: {path: /rows}\n"

// TestAuthorization: what is sent for each kind of credentials.
func TestAuthorization(t *testing.T) {
	for _, row := range []struct {
		name string
		part string
		auth connector.Auth
		want func(t *testing.T, r *http.Request)
	}{
		{"none", "", connector.Auth{Kind: transport.KindNone}, func(t *testing.T, r *http.Request) {
			require.Empty(t, r.Header.Get("Authorization"))
		}},
		{"bearer", "", connector.Auth{Kind: transport.KindStatic, Token: "t0ken"}, func(t *testing.T, r *http.Request) {
			require.Equal(t, "Bearer t0ken", r.Header.Get("Authorization"))
		}},
		{"basic", "", connector.Auth{Kind: transport.KindBasic, ClientID: "ana", ClientSecret: "pa:ss"}, func(t *testing.T, r *http.Request) {
			user, password, _ := r.BasicAuth()
			require.Equal(t, "ana pa:ss", user+" "+password)
		}},
		{"key in a header", "", connector.Auth{Kind: transport.KindAPIKey, Token: "k"}, func(t *testing.T, r *http.Request) {
			require.Equal(t, "Key k", r.Header.Get("X-Key"))
			require.Empty(t, r.Header.Get("Authorization"))
		}},
		{"key in the query", "in: query, name: api_token", connector.Auth{Kind: transport.KindAPIKey, Token: "k&k"}, func(t *testing.T, r *http.Request) {
			require.Equal(t, "k&k", r.URL.Query().Get("api_token"))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := habit(plainList + "headers: {X-Api-Version: \"2\"}\n")
			if row.part != "" {
				text = strings.Replace(text, `name: X-Key, prefix: "Key "`, row.part, 1)
			}
			s := stock(1)
			conn := open(t, text, s.handler(func(s *shop, w http.ResponseWriter, _ *http.Request) { show(w, s.slice(0, 9)) }), row.auth)
			_, err := conn.List(t.Context(), connector.ListRequest{Object: "rows"})
			require.NoError(t, err)
			row.want(t, s.sent[0])
			require.Equal(t, "2", s.sent[0].Header.Get("X-Api-Version"))
		})
	}
}

// TestTokens: minted with a form or with JSON, by client credentials or by a refresh token that rotates.
func TestTokens(t *testing.T) {
	for _, body := range []string{"form", "json"} {
		for _, kind := range []string{transport.KindClientCredentials, transport.KindAuthorizationCode} {
			t.Run(body+" "+kind, func(t *testing.T) {
				s := stock(1)
				asked := map[string]any{}
				handler := s.handler(func(s *shop, w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/oauth/token" {
						if r.Header.Get("Authorization") != "Bearer minted" {
							w.WriteHeader(http.StatusUnauthorized)
						}
						show(w, s.slice(0, 9))
						return
					}
					if body == "json" {
						_ = json.NewDecoder(r.Body).Decode(&asked) // looked at below
					} else {
						for _, name := range []string{"grant_type", "refresh_token", "client_id"} {
							asked[name] = r.PostFormValue(name)
						}
					}
					show(w, map[string]any{"access_token": "minted", "token_type": "bearer", "expires_in": 1800, "refresh_token": "next"})
				})
				text := strings.Replace(habit(plainList), "auth: {", "auth: {token_body: "+body+", ", 1)
				conn := open(t, text, handler, connector.Auth{Kind: kind, ClientID: "id", ClientSecret: "secret", RefreshToken: "first"})
				_, err := conn.List(t.Context(), connector.ListRequest{Object: "rows"})
				require.NoError(t, err)
				require.Equal(t, "id", asked["client_id"])
				if kind == transport.KindAuthorizationCode {
					require.Equal(t, "refresh_token", asked["grant_type"])
					require.Equal(t, "first", asked["refresh_token"])
				} else {
					require.Equal(t, "client_credentials", asked["grant_type"])
				}
			})
		}
	}
}

func TestCredentialsThatDoNotGoWithTheManifest(t *testing.T) {
	text := strings.Replace(habit(plainList), "kinds: [none, bearer, basic, api_key,", "kinds: [api_key,", 1)
	for _, auth := range []connector.Auth{{Kind: transport.KindStatic, Token: "t"}, {Kind: transport.KindNone}, {Kind: transport.KindAPIKey}, {Kind: "magic"}} {
		_, err := openAt(t, text, "https://shop.example/api", auth)
		require.Equal(t, fault.Usage, fault.CodeOf(err), auth.Kind)
	}
	_, err := openAt(t, text, "not an address", connector.Auth{Kind: transport.KindAPIKey, Token: "k"})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

// TestErrorsByCase: what an answer means is the manifest's word, but only of the system's own answers.
func TestErrorsByCase(t *testing.T) {
	text := habit(plainList) + "  notes: {create: {path: /notes}, update: {path: '/notes/{id}'}, delete: {path: '/notes/{id}'}}\n"
	text = strings.Replace(text, "  rows: {read_only: true}\n"+plainList, plainList+"", 1)
	text = strings.Replace(text, "objects:\n", "", 1)
	text = strings.Replace(text, plainList, plainList+"objects:\n", 1)
	text = strings.Replace(text, "existing_id: other}", `message: text, existing_id: text, existing_match: "ID: ([0-9]+)", cases: [`+
		`{status: 400, code: no_such, means: gone}, {status: 400, code: taken, means: duplicate}, {status: 409, code: old, means: stale}, `+
		`{code: quota, means: throttled}, {status: 403, code: "77", means: invalid}]}`, 1)
	for _, row := range []struct {
		status int
		body   string
		want   fault.Code
	}{
		{400, `{"error":"no_such"}`, fault.Gone},
		{400, `{"error":"taken","text":"Contact already exists. Existing ID: 77"}`, fault.Duplicate},
		{409, `{"error":"old"}`, fault.Stale},
		{409, `{"error":"else"}`, fault.Duplicate},
		{400, `{"error":"quota"}`, fault.Throttled},
		{403, `{"error":77}`, fault.Invalid},
		{403, `{"error":"no"}`, fault.Forbidden},
		{400, `{"error":"bad","fields":{"b":["is long"],"a":["is short"]}}`, fault.Invalid},
		{400, `<html>no_such</html>`, fault.Invalid},
		{404, `{"error":"x"}`, fault.Gone},
		{404, `{"other":"x"}`, fault.Transient},
		{404, `<html>`, fault.Transient},
	} {
		s := stock(0)
		conn := open(t, text, s.handler(func(_ *shop, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.body) // the client is this test
		}), connector.Auth{Kind: transport.KindNone})
		current := record.Record{Ref: record.Ref{Side: record.Right, Object: "notes", ID: "7"}}
		_, err := conn.Update(t.Context(), current, map[string]any{"a": "x"}, connector.WriteOptions{})
		require.Equal(t, row.want, fault.CodeOf(err), row.body)
		require.Equal(t, row.status, fault.As(err).Status)
		switch {
		case strings.Contains(row.body, "Existing"):
			require.Equal(t, "77", fault.As(err).ExistingID)
		case strings.Contains(row.body, "fields"):
			require.Equal(t, "a", fault.As(err).Field)
		}
		require.NotContains(t, err.Error(), "Existing", "the vendor's words go to the ledger only")
	}
}

// TestWritesOfOtherHabits: wrapped bodies, PUT of the whole record, answers of an id or of nothing.
func TestWritesOfOtherHabits(t *testing.T) {
	const text = `manifest: notes
title: Notes
auth: {kinds: [none]}
errors: {known: error}
records: {updated_at: meta.changed, created_at: meta.made}
list: {path: /notes}
get: {path: "/notes/{id}", row: note}
create: {path: /notes, wrap: note, row: ".", returns: id, body: {source: accord, kind: "{singular}"}}
update: {method: PUT, path: "/notes/{id}", wrap: note, returns: nothing, omit: [link]}
delete: {method: POST, path: "/notes/{id}/archive"}
objects:
  notes:
`
	s := stock(0)
	conn := open(t, text, s.handler(func(s *shop, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.body = append(s.body, r.Method+" "+r.URL.Path+" "+string(body))
		switch r.Method {
		case http.MethodGet:
			show(w, map[string]any{"note": map[string]any{"id": 7, "title": "new", "meta": map[string]any{"changed": "2026-11-22T12:00:00Z"}}})
		case http.MethodPost:
			show(w, map[string]any{"id": 7})
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}), connector.Auth{Kind: transport.KindNone})
	made, err := conn.Create(t.Context(), "notes", map[string]any{"title": "new", "place.city": "Rio", "gone": nil}, connector.WriteOptions{IdempotencyKey: "k"})
	require.NoError(t, err)
	require.Equal(t, "7", made.Ref.ID)
	require.Equal(t, "new", made.Fields["title"])
	current := record.Record{Ref: made.Ref, Fields: record.Fields{"id": json.Number("7"), "title": "old", "link": "x", "kept": "y", "place": map[string]any{"city": "Rio", "zip": "1"},
		"meta": map[string]any{"changed": "z", "made": "z", "by": "ana"}}}
	_, err = conn.Update(t.Context(), current, map[string]any{"title": "new", "place.city": nil}, connector.WriteOptions{IfMatch: "v"})
	require.NoError(t, err)
	require.NoError(t, conn.Delete(t.Context(), "notes", "7", connector.WriteOptions{}))
	require.Equal(t, []string{
		`POST /api/notes {"kind":"note","note":{"place":{"city":"Rio"},"title":"new"},"source":"accord"}`, "GET /api/notes/7 ",
		`PUT /api/notes/7 {"note":{"kept":"y","meta":{"by":"ana"},"place":{"city":null,"zip":"1"},"title":"new"}}`, "GET /api/notes/7 ",
		"POST /api/notes/7/archive ",
	}, s.body)
	for _, request := range s.sent {
		require.Empty(t, request.Header.Get("Idempotency-Key")+request.Header.Get("If-Match"), "only servers that honour them get them")
	}
	require.Equal(t, "old", current.Fields["title"], "what was read is not changed")
}

// TestPlanHeaders: a vendor's own headers tell when the plan is used up.
func TestPlanHeaders(t *testing.T) {
	s := stock(1)
	conn := open(t, habit(plainList+"limits: {remaining: X-Calls-Left, reset: X-Calls-Reset}\n"), s.handler(func(_ *shop, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Calls-Left", "0")
		w.Header().Set("X-Calls-Reset", "42")
		w.WriteHeader(http.StatusTooManyRequests)
	}), connector.Auth{Kind: transport.KindNone})
	_, err := conn.List(t.Context(), connector.ListRequest{Object: "rows"})
	require.Equal(t, fault.Throttled, fault.CodeOf(err))
	require.Equal(t, 42*time.Second, fault.AfterOf(err).Round(time.Second))
}
