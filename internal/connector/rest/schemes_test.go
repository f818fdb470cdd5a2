package rest_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
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

// signing is a scheme and the headers that sign a body with it.
type signing struct {
	part string
	sign func(body []byte, secret string, at time.Time) http.Header
}

func mac(with func() hash.Hash, key string, parts ...string) []byte {
	sum := hmac.New(with, []byte(key))
	for _, part := range parts {
		sum.Write([]byte(part))
	}
	return sum.Sum(nil)
}

func signings() map[string]signing {
	seconds := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	return map[string]signing{
		"hex with a prefix": {`kind: hmac, header: X-Sign, prefix: "sha256="`, func(body []byte, secret string, _ time.Time) http.Header {
			return http.Header{"X-Sign": {"sha256=" + hex.EncodeToString(mac(sha256.New, secret, string(body)))}}
		}},
		"base64": {`kind: hmac, header: X-Sign, encoding: base64`, func(body []byte, secret string, _ time.Time) http.Header {
			return http.Header{"X-Sign": {base64.StdEncoding.EncodeToString(mac(sha256.New, secret, string(body)))}}
		}},
		"sha1": {`kind: hmac, header: X-Sign, hash: sha1`, func(body []byte, secret string, _ time.Time) http.Header {
			return http.Header{"X-Sign": {hex.EncodeToString(mac(sha1.New, secret, string(body)))}}
		}},
		"sha512 with a time of its own": {`kind: hmac, header: X-Sign, hash: sha512, time_header: X-Time, signed: "{body}|{time}"`, func(body []byte, secret string, at time.Time) http.Header {
			ms := strconv.FormatInt(at.UnixMilli(), 10)
			return http.Header{"X-Sign": {hex.EncodeToString(mac(sha512.New, secret, string(body), "|", ms))}, "X-Time": {ms}}
		}},
		"parts with a time": {`kind: hmac, header: X-Sign, part: v1, time_part: t, signed: "{time}.{body}"`, func(body []byte, secret string, at time.Time) http.Header {
			return http.Header{"X-Sign": {"t=" + seconds(at) + ",v1=" + strings.Repeat("0", 64) + ",v1=" + hex.EncodeToString(mac(sha256.New, secret, seconds(at), ".", string(body)))}}
		}},
		"standard webhooks": {`kind: standard_webhooks`, func(body []byte, secret string, at time.Time) http.Header {
			key, marked := strings.CutPrefix(secret, "whsec_")
			if plain, err := base64.StdEncoding.DecodeString(key); marked && err == nil {
				secret = string(plain)
			}
			sum := base64.StdEncoding.EncodeToString(mac(sha256.New, secret, "msg_1.", seconds(at), ".", string(body)))
			return http.Header{"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {seconds(at)}, "Webhook-Signature": {"v2,xx v1," + sum}}
		}},
		"token": {`kind: token, header: X-Token, prefix: "Token "`, func(_ []byte, secret string, _ time.Time) http.Header {
			return http.Header{"X-Token": {"Token " + secret}}
		}},
	}
}

func receiver(t testing.TB, part, events string) rest.Driver {
	t.Helper()
	read, err := manifest.Parse([]byte(habit(plainList + "webhook: {signature: {" + part + "}, events: {" + events + "}}\n")))
	require.NoError(t, err)
	return rest.New(read)
}

func TestSignatures(t *testing.T) {
	body := []byte(`{"type":"row.updated","id":"7"}`)
	timed := map[string]bool{"sha512 with a time of its own": true, "parts with a time": true, "standard webhooks": true}
	for name, scheme := range signings() {
		t.Run(name, func(t *testing.T) {
			driver := receiver(t, scheme.part, "kind: type")
			for _, secret := range []string{"s3cret", "whsec_" + base64.StdEncoding.EncodeToString([]byte("s3cret"))} {
				events, err := driver.ParseWebhook(scheme.sign(body, secret, noon()), body, []string{"older", secret}, noon())
				require.NoError(t, err)
				require.Len(t, events, 1)
				require.Equal(t, "7", events[0].RecordID)
			}
			for what, try := range map[string]func() (http.Header, []byte, []string){
				"wrong secret": func() (http.Header, []byte, []string) {
					return scheme.sign(body, "x", noon()), body, []string{"s3cret"}
				},
				"no secret": func() (http.Header, []byte, []string) { return scheme.sign(body, "", noon()), body, []string{""} },
				"no header": func() (http.Header, []byte, []string) { return http.Header{}, body, []string{"s3cret"} },
				"malformed": func() (http.Header, []byte, []string) {
					header := scheme.sign(body, "s3cret", noon())
					for key := range header {
						header.Set(key, header.Get(key)+"zz")
					}
					return header, body, []string{"s3cret"}
				},
				"twice": func() (http.Header, []byte, []string) {
					header := scheme.sign(body, "s3cret", noon())
					for key := range header {
						header.Add(key, header.Get(key))
					}
					return header, body, []string{"s3cret"}
				},
			} {
				header, body, secrets := try()
				_, err := driver.ParseWebhook(header, body, secrets, noon())
				require.Equal(t, fault.Unauthorized, fault.CodeOf(err), what)
			}
			_, err := driver.ParseWebhook(scheme.sign(body, "s3cret", noon()), append([]byte(" "), body...), []string{"s3cret"}, noon())
			require.Equal(t, name != "token", fault.Is(err, fault.Unauthorized), "a token signs no body")
			_, err = driver.ParseWebhook(scheme.sign(body, "s3cret", noon()), body, []string{"s3cret"}, noon().Add(6*time.Minute))
			require.Equal(t, timed[name], fault.Is(err, fault.Unauthorized), "an old event is refused where it tells its time")
		})
	}
}

// TestEventShapes: one event, a batch, a batch inside, and what they show.
func TestEventShapes(t *testing.T) {
	sign := signings()["token"]
	for _, row := range []struct {
		name, events, body string
		want               []connector.Event
	}{
		{"one, the collection in its kind", "id: eid, kind: type", `{"eid":"e1","type":"row.updated","id":7}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "row.updated"}}},
		{"a batch inside", "list: events, id: eid, kind: what, object: on, record: ref.id, merged_into: into",
			`{"events":[{"eid":"e1","what":"changed","on":"rows","ref":{"id":"7"}},{"eid":"e2","what":"merged","on":"row","ref":{"id":"8"},"into":"7"},{"what":"x","on":"dragons","ref":{"id":"1"}}]}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "changed"}, {ID: "e2", Object: "rows", RecordID: "8", Kind: "merged", MergedInto: "7"}}},
		{"the record in the event", "id: eid, kind: type, record: data.id, row: data", `{"eid":"e1","type":"row.updated","data":{"id":"7","name":"x"}}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "row.updated", Shown: &record.Record{Fields: record.Fields{"id": "7", "name": "x"}}}}},
		{"the record in a delete", "id: eid, kind: type, record: data.id, row: data", `{"eid":"e1","type":"row.deleted","data":{"id":"7"}}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "row.deleted"}}},
		{"a person's edit shows nothing", "id: eid, kind: type, row: data, record: data.id, actor: by, apps: 'app:'", `{"eid":"e1","type":"row.updated","by":"user:1","data":{"id":"7"}}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "row.updated"}}},
		{"a slash in the kind", "kind: type", `{"type":"rows/create","id":"7"}`, []connector.Event{{Object: "rows", RecordID: "7", Kind: "other"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			driver := receiver(t, sign.part, row.events)
			got, err := driver.ParseWebhook(sign.sign([]byte(row.body), "s", noon()), []byte(row.body), []string{"s"}, noon())
			require.NoError(t, err)
			for i := range got {
				require.NotEmpty(t, got[i].ID)
				if i < len(row.want) && row.want[i].ID == "" {
					got[i].ID = ""
				}
			}
			require.Equal(t, row.want, got)
		})
	}
}

// TestWebhooksByHand: a system whose webhooks a person registers, and one that has none.
func TestWebhooksByHand(t *testing.T) {
	spec := connector.WebhookSpec{URL: "https://x.example", Objects: []string{"rows"}}
	s := stock(1)
	serve := s.handler(func(s *shop, w http.ResponseWriter, _ *http.Request) { show(w, s.slice(0, 9)) })
	conn := open(t, habit(plainList+"webhook: {signature: {kind: standard_webhooks}, events: {kind: type}}\n"), serve, connector.Auth{Kind: transport.KindNone})
	state, err := conn.EnsureWebhook(t.Context(), spec)
	require.NoError(t, err)
	require.True(t, state.Active)
	again, err := conn.WebhookStatus(t.Context(), state.ID)
	require.NoError(t, err)
	require.Equal(t, state, again)
	require.NoError(t, conn.RemoveWebhook(t.Context(), state.ID))

	conn = open(t, habit(plainList), serve, connector.Auth{Kind: transport.KindNone})
	_, err = conn.EnsureWebhook(t.Context(), spec)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	_, err = conn.WebhookStatus(t.Context(), "1")
	require.Equal(t, fault.Gone, fault.CodeOf(err))
	require.NoError(t, conn.RemoveWebhook(t.Context(), "1"))
	require.Empty(t, s.sent)
	_, err = rest.New(mustRead(t, habit(plainList))).ParseWebhook(http.Header{}, nil, []string{"s"}, noon())
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
}

// TestReadOnlyObjects: nothing is written, and nothing is called for it.
func TestReadOnlyObjects(t *testing.T) {
	s := stock(1)
	conn := open(t, habit(plainList), s.handler(func(s *shop, w http.ResponseWriter, _ *http.Request) { show(w, s.slice(0, 9)) }), connector.Auth{Kind: transport.KindNone})
	_, err := conn.Create(t.Context(), "rows", map[string]any{"a": 1}, connector.WriteOptions{})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	_, err = conn.Update(t.Context(), record.Record{Ref: record.Ref{Object: "rows", ID: "1"}}, map[string]any{"a": 1}, connector.WriteOptions{})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.Equal(t, fault.Usage, fault.CodeOf(conn.Delete(t.Context(), "rows", "1", connector.WriteOptions{})))
	require.Empty(t, s.sent)
}

func mustRead(t *testing.T, text string) *manifest.Manifest {
	t.Helper()
	read, err := manifest.Parse([]byte(text))
	require.NoError(t, err)
	return read
}
