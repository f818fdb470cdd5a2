package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
)

func TestTokenRequests(t *testing.T) {
	p := start(t, sandbox.Options{})
	good := fields{"client_id": "accord", "client_secret": "accord-secret", "audience": "x", "grant_type": "client_credentials"}
	with := func(k string, v any) fields {
		out := fields{}
		for key, val := range good {
			out[key] = val
		}
		out[k] = v
		return out
	}
	form := func(secret, grant, scope string) url.Values {
		return url.Values{"client_id": {"accord"}, "client_secret": {secret}, "grant_type": {grant}, "scope": {scope}}
	}
	for _, c := range []struct {
		name   string
		side   *side
		body   any
		status int
		code   string
	}{
		{"salesos ok", p.salesos, good, 200, ""},
		{"salesos wrong secret", p.salesos, with("client_secret", "x"), 401, "invalid_client"},
		{"salesos unknown client", p.salesos, with("client_id", "x"), 401, "invalid_client"},
		{"salesos no audience", p.salesos, with("audience", ""), 400, "invalid_request"},
		{"salesos form", p.salesos, form("accord-secret", "client_credentials", ""), 400, "invalid_request"},
		{"salesos grant", p.salesos, with("grant_type", "password"), 400, "unsupported_grant_type"},
		{"acme ok", p.acme, form("accord-secret", "client_credentials", "contacts.read"), 200, ""},
		{"acme json", p.acme, good, 400, "invalid_request"},
		{"acme wrong secret", p.acme, form("x", "client_credentials", ""), 401, "invalid_client"},
		{"acme unknown scope", p.acme, form("accord-secret", "client_credentials", "world.rule"), 400, "invalid_scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.side.do("POST", "/oauth/token", c.body)
			require.Equal(t, c.status, a.status, string(a.raw))
			require.Equal(t, c.code, a.text("error"))
		})
	}
	a := p.salesos.do("POST", "/oauth/token", good)
	require.EqualValues(t, 86400, a.at("expires_in"))
	require.Equal(t, "Bearer", a.text("token_type"))
	a = p.acme.do("POST", "/api/2/oauth/token", url.Values{"grant_type": {"client_credentials"}}, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("accord:accord-secret")))
	require.EqualValues(t, 1800, a.at("expires_in"))
	require.Contains(t, a.text("scope"), "contacts.write")
}

func TestTokensEnd(t *testing.T) {
	p := start(t, sandbox.Options{})
	for _, c := range []struct {
		name          string
		side          *side
		path          string
		ttl           time.Duration
		expired, gone string
		at            []string
	}{
		{"salesos", p.salesos, "/v1/leads", 24 * time.Hour, "token expired", "invalid token", []string{"error", "message"}},
		{"acme", p.acme, "/api/2/contacts", 30 * time.Minute, "token_expired", "token_invalid", []string{"error", "code"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.side.login("accord", "accord-secret")
			p.clock.Add(c.ttl - time.Second)
			require.Equal(t, 200, c.side.do("GET", c.path, nil).status)
			p.clock.Add(time.Second)
			a := c.side.do("GET", c.path, nil)
			require.Equal(t, 401, a.status)
			require.Equal(t, c.expired, a.text(c.at...))
			c.side.login("accord", "accord-secret")
			require.NoError(t, c.side.admin.ExpireTokens(t.Context()))
			require.Equal(t, c.expired, c.side.do("GET", c.path, nil).text(c.at...))
			c.side.login("accord", "accord-secret")
			require.NoError(t, c.side.admin.RevokeTokens(t.Context()))
			require.Equal(t, c.gone, c.side.do("GET", c.path, nil).text(c.at...))
			c.side.token = ""
			require.Equal(t, 401, c.side.do("GET", c.path, nil).status)
			require.NoError(t, c.side.admin.SetClientSecret(t.Context(), "accord", "new"))
			c.side.login("accord", "new")
			require.Equal(t, 200, c.side.do("GET", c.path, nil).status)
		})
	}
}

func TestScopes(t *testing.T) {
	p := start(t, sandbox.Options{Clients: []sandbox.Client{
		{ID: "accord", Secret: "accord-secret"},
		{ID: "reader", Secret: "r", Scopes: []string{"leads:read", "contacts.read"}},
		{ID: "syncer", Secret: "s", Scopes: []string{"default:sync", "contacts.write"}},
	}})
	for _, c := range []struct {
		side           *side
		client, secret string
		method, path   string
		status         int
	}{
		{p.salesos, "reader", "r", "GET", "/v1/leads", 200},
		{p.salesos, "reader", "r", "POST", "/v1/leads", 403},
		{p.salesos, "syncer", "s", "POST", "/v1/leads", 201},
		{p.acme, "reader", "r", "GET", "/api/2/contacts", 200},
		{p.acme, "reader", "r", "POST", "/api/2/contacts", 403},
		{p.acme, "reader", "r", "GET", "/api/2/deleted?object=companies", 403},
		{p.acme, "reader", "r", "GET", "/api/2/fields?object=companies", 403},
		{p.acme, "syncer", "s", "GET", "/api/2/contacts", 403},
		{p.acme, "syncer", "s", "POST", "/api/2/contacts", 201},
	} {
		t.Run(c.client+" "+c.method+" "+c.path, func(t *testing.T) {
			c.side.login(c.client, c.secret)
			var body any
			if c.method == "POST" {
				body = fields{"name": "A"}
				if c.side == p.acme {
					body = fields{"first_name": "A"}
				}
			}
			a := c.side.do(c.method, c.path, body)
			require.Equal(t, c.status, a.status, string(a.raw))
		})
	}
	p.acme.login("reader", "r")
	require.Equal(t, "contacts.write", p.acme.do("POST", "/api/2/contacts", fields{}).text("error", "scope"))
}

// consent goes through the authorization page and gives the code.
func consent(t *testing.T, s *side, path, verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{"response_type": {"code"}, "client_id": {"accord"}, "redirect_uri": {"http://127.0.0.1/cb"}, "state": {"xyz"}}
	if verifier != "" {
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	a := s.do("GET", path+"?"+q.Encode(), nil)
	require.Equal(t, http.StatusFound, a.status, string(a.raw))
	u, err := url.Parse(a.header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, "xyz", u.Query().Get("state"))
	return u.Query().Get("code")
}

func TestAcmeCodeFlowRotatesRefreshTokens(t *testing.T) {
	p := start(t, sandbox.Options{})
	verifier := "a-verifier-that-is-long-enough-for-the-rules-of-pkce"
	redeem := func(code, v string) answer {
		return p.acme.do("POST", "/oauth/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"accord"}, "client_secret": {"accord-secret"},
			"code": {code}, "redirect_uri": {"http://127.0.0.1/cb"}, "code_verifier": {v}})
	}
	refresh := func(token string) answer {
		return p.acme.do("POST", "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"accord"}, "client_secret": {"accord-secret"}, "refresh_token": {token}})
	}
	require.Equal(t, 400, redeem(consent(t, p.acme, "/oauth/authorize", verifier), "wrong").status)
	code := consent(t, p.acme, "/oauth/authorize", verifier)
	first := redeem(code, verifier)
	require.Equal(t, 200, first.status, string(first.raw))
	require.Equal(t, 400, redeem(code, verifier).status, "a code works once")
	second := refresh(first.text("refresh_token"))
	require.Equal(t, 200, second.status)
	require.NotEqual(t, first.text("refresh_token"), second.text("refresh_token"))
	p.acme.token = second.text("access_token")
	require.Equal(t, 200, p.acme.do("GET", "/api/2/contacts", nil).status)
	require.Equal(t, "invalid_grant", refresh(first.text("refresh_token")).text("error"))
	require.Equal(t, "invalid_grant", refresh(second.text("refresh_token")).text("error"), "reuse revokes the grant")
	require.Equal(t, 401, p.acme.do("GET", "/api/2/contacts", nil).status)
}

func TestSalesOSCodeFlow(t *testing.T) {
	p := start(t, sandbox.Options{})
	body := fields{"grant_type": "authorization_code", "client_id": "accord", "client_secret": "accord-secret",
		"code": consent(t, p.salesos, "/authorize", ""), "redirect_uri": "http://127.0.0.1/cb"}
	a := p.salesos.do("POST", "/oauth/token", body)
	require.Equal(t, 200, a.status, string(a.raw))
	require.NotEmpty(t, a.text("id_token"))
	again := fields{"grant_type": "refresh_token", "client_id": "accord", "client_secret": "accord-secret", "refresh_token": a.text("refresh_token")}
	require.Equal(t, 200, p.salesos.do("POST", "/oauth/token", again).status)
	require.Equal(t, 200, p.salesos.do("POST", "/oauth/token", again).status, "SalesOS does not rotate")
}
