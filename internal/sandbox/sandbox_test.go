package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// clock is a hand-set clock.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// side is one server of the pair under test, with a token.
type side struct {
	t     *testing.T
	url   string
	token string
	admin *sandboxclient.Client
}

type pair struct {
	clock   *clock
	salesos *side
	acme    *side
	hubspot *side
}

func start(t *testing.T, o sandbox.Options) *pair {
	t.Helper()
	p := &pair{clock: newClock()}
	if o.Now == nil {
		o.Now = p.clock.Now
	}
	r, err := sandbox.Listen(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	p.salesos = &side{t: t, url: r.SalesOSURL, admin: sandboxclient.New(r.SalesOSURL)}
	p.acme = &side{t: t, url: r.AcmeURL, admin: sandboxclient.New(r.AcmeURL)}
	p.hubspot = &side{t: t, url: r.HubSpotURL, token: sandbox.DefaultPrivateToken, admin: sandboxclient.New(r.HubSpotURL)}
	p.salesos.login("accord", "accord-secret")
	p.acme.login("accord", "accord-secret")
	return p
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    []byte
	err    error
}

func (a answer) at(path ...string) any {
	var v any = a.body
	for _, k := range path {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

func (a answer) text(path ...string) string {
	s, _ := a.at(path...).(string)
	return s
}

func (a answer) list(path ...string) []any {
	l, _ := a.at(path...).([]any)
	return l
}

// idOf gives the id of a record in an answer, "" when there is none.
func idOf(v any) string {
	m, _ := v.(fields)
	id, _ := m["id"].(string)
	return id
}

func (s *side) do(method, path string, body any, headers ...string) answer {
	s.t.Helper()
	var in io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case url.Values:
		in, kind = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	case string:
		in = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		require.NoError(s.t, err)
		in = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, in)
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", kind)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	out := answer{status: res.StatusCode, header: res.Header}
	out.raw, out.err = io.ReadAll(res.Body)
	_ = json.Unmarshal(out.raw, &out.body)
	return out
}

func (s *side) login(id, secret string) {
	s.t.Helper()
	a := s.do("POST", "/oauth/token", map[string]any{"client_id": id, "client_secret": secret, "audience": "https://api.play2sell.com", "grant_type": "client_credentials"})
	if a.status == http.StatusBadRequest {
		a = s.do("POST", "/oauth/token", url.Values{"client_id": {id}, "client_secret": {secret}, "grant_type": {"client_credentials"}})
	}
	require.Equal(s.t, http.StatusOK, a.status, string(a.raw))
	s.token = a.text("access_token")
}

type fields = map[string]any

func TestRoundTrip(t *testing.T) {
	p := start(t, sandbox.Options{})
	a := p.salesos.do("POST", "/v1/leads", fields{"name": "Ana", "email": "ana@example.com", "custom_fields": fields{"x": "1"}, "tags": []string{"a"}})
	require.Equal(t, 201, a.status, string(a.raw))
	id := a.text("data", "id")
	a = p.salesos.do("PATCH", "/v1/leads/"+id, fields{"phone": "+55 11 5555"})
	require.Equal(t, 200, a.status, string(a.raw))
	a = p.salesos.do("GET", "/v1/leads/"+id, nil)
	require.Equal(t, "+55 11 5555", a.text("data", "phone"))
	require.Equal(t, "1", a.text("data", "custom_fields", "x"))
	a = p.salesos.do("GET", "/v1/leads?search=ana@example.com", nil)
	require.Len(t, a.list("data"), 1)
	require.Equal(t, 204, p.salesos.do("DELETE", "/v1/leads/"+id, nil).status)
	require.Equal(t, 404, p.salesos.do("GET", "/v1/leads/"+id, nil).status)

	a = p.acme.do("POST", "/api/2/contacts", fields{"first_name": "Ana", "email": "ana@example.com"})
	require.Equal(t, 201, a.status, string(a.raw))
	require.Equal(t, `"v1"`, a.header.Get("ETag"))
	id = a.text("id")
	require.Equal(t, "/api/2/contacts/"+id, a.header.Get("Location"))
	a = p.acme.do("PATCH", "/api/2/contacts/"+id, fields{"first_name": "Anna"}, "If-Match", `"v1"`)
	require.Equal(t, 200, a.status, string(a.raw))
	require.Equal(t, "app:accord", a.text("updated_by"))
	require.Equal(t, 412, p.acme.do("PATCH", "/api/2/contacts/"+id, fields{"first_name": "X"}, "If-Match", `"v1"`).status)
	rec, err := p.acme.admin.EditRecord(t.Context(), "contacts", id, fields{"last_name": "B"})
	require.NoError(t, err)
	require.Equal(t, int64(3), rec.Version)
	require.Equal(t, "user:operator", rec.UpdatedBy)
	a = p.acme.do("GET", "/api/2/contacts/search?email=ANA@example.com", nil)
	require.Len(t, a.list("items"), 1)
	require.Equal(t, 204, p.acme.do("DELETE", "/api/2/contacts/"+id, nil).status)
	require.Equal(t, 404, p.acme.do("GET", "/api/2/contacts/"+id, nil).status)
	a = p.acme.do("GET", "/api/2/deleted?object=contacts", nil)
	require.Len(t, a.list("items"), 1)
}
