// Package auth is the OAuth 2 server inside a sandbox: clients with scopes,
// access tokens that expire, authorization codes with PKCE, and refresh tokens
// that may rotate. It knows no HTTP; the vendors' servers parse and answer.
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Client is an application that may ask for tokens.
type Client struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	// Scopes it may have; none means all.
	Scopes []string `json:"scopes,omitempty"`
	// RedirectURIs allowed for the code flow; none means any.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// Token is an access token that it always has, as the private apps of some vendors; empty: none.
	Token string `json:"token,omitempty"`
}

// State of a bearer token.
type State int

// The states of a bearer token.
const (
	Missing State = iota
	Invalid
	Expired
	OK
)

// Token is an access token.
type Token struct {
	Value   string
	Client  string
	Scopes  []string
	Expires time.Time
	grant   *grant
	revoked bool
}

// Has says whether the token carries one of the scopes.
func (t *Token) Has(scopes ...string) bool {
	for _, s := range scopes {
		if slices.Contains(t.Scopes, s) {
			return true
		}
	}
	return false
}

type grant struct {
	client  string
	scopes  []string
	refresh string
	old     map[string]bool
	revoked bool
}

type code struct {
	client, redirect, challenge string
	scopes                      []string
	expires                     time.Time
}

// Error is an OAuth 2 error answer (RFC 6749, section 5.2).
type Error struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

// Error gives code and description.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

// Options make a Server.
type Options struct {
	// Now is the server's clock, TTL the life of access tokens. Both required.
	Now     func() time.Time
	TTL     func() time.Duration
	Clients []Client
	// Scopes are all that exist.
	Scopes []string
	// Rotate gives a new refresh token with each refresh; using an old one revokes the grant.
	Rotate bool
	// Prefix starts every token's text.
	Prefix string
}

// Server issues and checks tokens. Safe for concurrent use.
type Server struct {
	opts Options

	mu      sync.Mutex
	clients map[string]Client
	tokens  map[string]*Token
	grants  map[string]*grant
	codes   map[string]code
}

// New makes a Server.
func New(o Options) *Server {
	s := &Server{opts: o, clients: map[string]Client{}, tokens: map[string]*Token{}, grants: map[string]*grant{}, codes: map[string]code{}}
	for _, c := range o.Clients {
		s.clients[c.ID] = c
	}
	return s
}

// Check looks up the token of an Authorization header.
func (s *Server) Check(header string) (*Token, State) {
	value, ok := bearer(header)
	if !ok {
		return nil, Missing
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if own, ok := s.private(value); ok {
		return own, OK
	}
	t := s.tokens[value]
	switch {
	case t == nil || t.revoked || (t.grant != nil && t.grant.revoked):
		return nil, Invalid
	case !s.opts.Now().Before(t.Expires):
		return nil, Expired
	}
	return t, OK
}

// private finds the client that always has the token.
func (s *Server) private(value string) (*Token, bool) {
	for _, c := range s.clients {
		if c.Token != "" && c.Token == value {
			scopes, _ := s.scopes(c, "") // those it has are never refused
			return &Token{Value: value, Client: c.ID, Scopes: scopes}, true
		}
	}
	return nil, false
}

// Secret is the present secret of a client, empty for an unknown one.
func (s *Server) Secret(clientID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[clientID].Secret
}

func bearer(header string) (string, bool) {
	kind, value, ok := strings.Cut(header, " ")
	return strings.TrimSpace(value), ok && strings.EqualFold(kind, "bearer")
}

// Expire ends the token of the header as if its time were over; "" ends all.
func (s *Server) Expire(header string) {
	now := s.opts.Now()
	s.each(header, func(t *Token) { t.Expires = now })
}

// Revoke makes the token of the header unknown; "" all, refresh tokens included.
func (s *Server) Revoke(header string) {
	s.each(header, func(t *Token) { t.revoked = true })
	if header != "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.grants {
		g.revoked = true
	}
}

func (s *Server) each(header string, f func(*Token)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if header != "" {
		value, _ := bearer(header)
		if t := s.tokens[value]; t != nil {
			f(t)
		}
		return
	}
	for _, t := range s.tokens {
		f(t)
	}
}

// Rotate sets a new secret for a client; the old one stops working at once.
func (s *Server) Rotate(clientID, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clients[clientID]
	if ok {
		c.Secret = secret
		s.clients[clientID] = c
	}
	return ok
}

// Reset forgets all tokens, grants and changed secrets.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens, s.grants, s.codes = map[string]*Token{}, map[string]*grant{}, map[string]code{}
	for _, c := range s.opts.Clients {
		s.clients[c.ID] = c
	}
}

// Answer is what the token endpoint gives.
type Answer struct {
	Token   *Token
	TTL     time.Duration
	Refresh string
}

// Grant answers a token request with the given parameters.
func (s *Server) Grant(p map[string]string) (*Answer, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clients[p["client_id"]]
	if !ok || subtle.ConstantTimeCompare([]byte(c.Secret), []byte(p["client_secret"])) != 1 {
		return nil, &Error{401, "invalid_client", "client authentication failed"}
	}
	switch p["grant_type"] {
	case "client_credentials":
		scopes, err := s.scopes(c, p["scope"])
		if err != nil {
			return nil, err
		}
		return s.issue(c.ID, scopes, nil), nil
	case "authorization_code":
		return s.redeem(c, p)
	case "refresh_token":
		return s.refresh(c, p["refresh_token"])
	}
	return nil, &Error{400, "unsupported_grant_type", "grant_type must be client_credentials, authorization_code or refresh_token"}
}

func (s *Server) scopes(c Client, asked string) ([]string, *Error) {
	allowed := c.Scopes
	if len(allowed) == 0 {
		allowed = s.opts.Scopes
	}
	if asked == "" {
		return allowed, nil
	}
	var out []string
	for _, scope := range strings.Fields(asked) {
		switch {
		case slices.Contains(allowed, scope):
			out = append(out, scope)
		case slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope):
		default:
			return nil, &Error{400, "invalid_scope", "the client may not ask for the scope " + scope}
		}
	}
	if len(out) == 0 {
		out = allowed
	}
	return out, nil
}

func (s *Server) issue(client string, scopes []string, g *grant) *Answer {
	ttl := s.opts.TTL()
	now := s.opts.Now()
	if len(s.tokens) > 10_000 {
		for k, t := range s.tokens {
			if t.Expires.Before(now.Add(-time.Hour)) {
				delete(s.tokens, k)
			}
		}
	}
	t := &Token{Value: s.random(), Client: client, Scopes: scopes, Expires: now.Add(ttl), grant: g}
	s.tokens[t.Value] = t
	return &Answer{Token: t, TTL: ttl}
}

func (s *Server) random() string { return s.opts.Prefix + rand.Text() + rand.Text() }

func (s *Server) redeem(c Client, p map[string]string) (*Answer, *Error) {
	k, ok := s.codes[p["code"]]
	delete(s.codes, p["code"])
	switch {
	case !ok || k.client != c.ID || s.opts.Now().After(k.expires):
		return nil, &Error{400, "invalid_grant", "the code is unknown, used or too old"}
	case k.redirect != p["redirect_uri"]:
		return nil, &Error{400, "invalid_grant", "redirect_uri is not the one of the authorization request"}
	case k.challenge != "" && k.challenge != challenge(p["code_verifier"]):
		return nil, &Error{400, "invalid_grant", "code_verifier does not match"}
	}
	g := &grant{client: c.ID, scopes: k.scopes, refresh: s.random(), old: map[string]bool{}}
	s.grants[g.refresh] = g
	a := s.issue(c.ID, k.scopes, g)
	a.Refresh = g.refresh
	return a, nil
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s *Server) refresh(c Client, token string) (*Answer, *Error) {
	g := s.grants[token]
	if g == nil || g.client != c.ID || g.revoked {
		return nil, &Error{400, "invalid_grant", "the refresh token is unknown or revoked"}
	}
	if g.old[token] {
		g.revoked = true
		return nil, &Error{400, "invalid_grant", "the refresh token was used before: the grant is revoked"}
	}
	if s.opts.Rotate {
		g.old[token] = true
		g.refresh = s.random()
		s.grants[g.refresh] = g
	}
	a := s.issue(c.ID, g.scopes, g)
	a.Refresh = g.refresh
	return a, nil
}

// Authorize answers an authorization request, which a sandbox approves at
// once, with the address to redirect the browser to.
func (s *Server) Authorize(q url.Values) (string, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clients[q.Get("client_id")]
	redirect := q.Get("redirect_uri")
	u, err := url.Parse(redirect)
	switch {
	case !ok:
		return "", &Error{400, "invalid_client", "client_id is unknown"}
	case err != nil || u.Host == "":
		return "", &Error{400, "invalid_request", "redirect_uri is missing or no URL"}
	case len(c.RedirectURIs) > 0 && !slices.Contains(c.RedirectURIs, redirect):
		return "", &Error{400, "invalid_request", "redirect_uri is not registered"}
	case q.Get("response_type") != "code":
		return "", &Error{400, "unsupported_response_type", "response_type must be code"}
	case q.Get("code_challenge") != "" && q.Get("code_challenge_method") != "S256":
		return "", &Error{400, "invalid_request", "code_challenge_method must be S256"}
	}
	scopes, oerr := s.scopes(c, q.Get("scope"))
	if oerr != nil {
		return "", oerr
	}
	value := s.random()
	s.codes[value] = code{client: c.ID, redirect: redirect, challenge: q.Get("code_challenge"), scopes: scopes, expires: s.opts.Now().Add(10 * time.Minute)}
	back := u.Query()
	back.Set("code", value)
	back.Set("state", q.Get("state"))
	u.RawQuery = back.Encode()
	return u.String(), nil
}

// ScopeText joins a token's scopes as OAuth answers do.
func (t *Token) ScopeText() string { return strings.Join(t.Scopes, " ") }

// Actor is how records and logs name the token's application.
func (t *Token) Actor() string { return fmt.Sprintf("app:%s", t.Client) }
