package transport

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

// The kinds of connector.Auth.
const (
	// KindClientCredentials is the default.
	KindClientCredentials = "oauth2_client_credentials"
	// KindAuthorizationCode lives on a refresh token.
	KindAuthorizationCode = "oauth2_authorization_code"
	// KindStatic sends a fixed token.
	KindStatic = "static"
	// KindBasic is a user with a password, for drivers that send or exchange them
	// themselves; a TokenSource does not know it.
	KindBasic = "basic"
	// KindAPIKey is a key that a driver sends in its own way; a TokenSource does not know it.
	KindAPIKey = "api_key"
	// KindNone sends nothing: see NoTokens.
	KindNone = "none"
)

const (
	// mintTimeout bounds one mint, whoever waits for it.
	mintTimeout = 30 * time.Second
	// refusedFor is how long a token that was refused although fresh is not
	// replaced by yet another one: mints are metered.
	refusedFor = 5 * time.Second
)

// Grant asks a token endpoint for a token. refresh is the newest refresh token
// (empty for client credentials).
type Grant func(ctx context.Context, refresh string) (*oauth2.Token, error)

// TokenSource gives the access token of one side. It renews early, mints once
// for all callers in this process and, through the TokenStore, for all workers.
type TokenSource struct {
	auth  connector.Auth
	store connector.TokenStore
	grant Grant
	title string
	now   func() time.Time

	flight  singleflight.Group
	mu      sync.Mutex
	cached  connector.Token
	refused connector.Token
	since   time.Time
}

// NewTokenSource makes a source of cfg's credentials with the given grant
// (JSONGrant or FormGrant). title names the system in errors.
func NewTokenSource(cfg connector.Config, title string, grant Grant) (*TokenSource, error) {
	source := &TokenSource{auth: cfg.Auth, store: cfg.Tokens, grant: grant, title: title, now: cfg.Now}
	if source.now == nil {
		source.now = time.Now
	}
	if source.store == nil {
		source.store = NewMemoryTokens()
	}
	switch cfg.Auth.Kind {
	case "", KindClientCredentials:
		source.auth.Kind = KindClientCredentials
		if cfg.Auth.ClientID == "" || cfg.Auth.ClientSecret == "" {
			return nil, fault.New(fault.Usage, "%s: auth needs client_id and client_secret", title)
		}
	case KindAuthorizationCode:
		if cfg.Auth.ClientID == "" || cfg.Auth.RefreshToken == "" {
			return nil, fault.New(fault.Usage, "%s: auth needs client_id and a refresh token; give consent first", title)
		}
	case KindStatic:
		if cfg.Auth.Token == "" {
			return nil, fault.New(fault.Usage, "%s: auth of kind static needs token", title)
		}
	default:
		return nil, fault.New(fault.Usage, "%s: auth kind %q is not known; use %s, %s or %s", title, cfg.Auth.Kind,
			KindClientCredentials, KindAuthorizationCode, KindStatic)
	}
	return source, nil
}

// NoTokens is the source of a system that wants no credentials: its tokens are empty.
func NoTokens(title string) *TokenSource {
	return &TokenSource{auth: connector.Auth{Kind: KindNone}, title: title, now: time.Now}
}

// Token returns a token that is good now, and mints one if need be. Errors:
// fault.Auth when the credentials are refused, Transient or Throttled when the
// token endpoint cannot answer.
func (s *TokenSource) Token(ctx context.Context) (connector.Token, error) {
	if s.fixed() {
		return connector.Token{Access: s.auth.Token}, nil
	}
	if token := s.held(); s.good(token) {
		return token, nil
	}
	stored, err := s.store.Load(ctx)
	if err != nil {
		return connector.Token{}, storeFault(err)
	}
	if s.good(stored) {
		s.hold(stored)
		return stored, nil
	}
	return s.renew(ctx, stored)
}

// Renew replaces a token that the server refused, unless somebody already did.
func (s *TokenSource) Renew(ctx context.Context, stale connector.Token) (connector.Token, error) {
	if s.auth.Kind == KindNone {
		return connector.Token{}, fault.New(fault.Auth, "%s wants credentials; give them under auth", s.title)
	}
	if s.fixed() {
		return connector.Token{}, fault.New(fault.Auth, "%s refuses the static token; put a valid one into the credentials", s.title)
	}
	s.mu.Lock()
	held, hopeless := s.cached, s.refused.Access == stale.Access && s.now().Sub(s.since) < refusedFor
	s.mu.Unlock()
	if hopeless {
		return connector.Token{}, fault.New(fault.Auth, "%s refuses even a fresh token; check audience and scopes", s.title)
	}
	if held.Access != stale.Access && s.good(held) {
		return held, nil
	}
	return s.renew(ctx, stale)
}

// fixed reports whether there is nothing to mint.
func (s *TokenSource) fixed() bool { return s.auth.Kind == KindStatic || s.auth.Kind == KindNone }

// Refused tells that a token was refused although it was fresh.
func (s *TokenSource) Refused(token connector.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused, s.since = token, s.now()
}

// OAuth2 is this source as the oauth2 package knows it.
func (s *TokenSource) OAuth2(ctx context.Context) oauth2.TokenSource {
	return oauthSource{ctx: ctx, inner: s}
}

type oauthSource struct {
	ctx   context.Context
	inner *TokenSource
}

var _ oauth2.TokenSource = oauthSource{}

// Token implements oauth2.TokenSource.
func (o oauthSource) Token() (*oauth2.Token, error) {
	token, err := o.inner.Token(o.ctx)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token.Access, TokenType: "Bearer", Expiry: token.Expires}, nil
}

func (s *TokenSource) held() connector.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cached
}

func (s *TokenSource) hold(token connector.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cached = token
}

// good reports whether a token need not be renewed yet. Expires was stored
// with the margin taken off.
func (s *TokenSource) good(token connector.Token) bool {
	return token.Access != "" && (token.Expires.IsZero() || s.now().Before(token.Expires))
}

// renew mints once for everybody who waits. The mint goes on when one of them
// gives up, so that a rotated refresh token is never lost half-way.
func (s *TokenSource) renew(ctx context.Context, stale connector.Token) (connector.Token, error) {
	lasting := context.WithoutCancel(ctx)
	result := s.flight.DoChan(stale.Access, func() (any, error) {
		minting, cancel := context.WithTimeout(lasting, mintTimeout)
		defer cancel()
		token, err := s.store.Refresh(minting, stale, s.mint)
		if err != nil {
			return connector.Token{}, storeFault(err)
		}
		s.hold(token)
		return token, nil
	})
	select {
	case done := <-result:
		token, _ := done.Val.(connector.Token)
		return token, done.Err
	case <-ctx.Done():
		return connector.Token{}, fault.Wrap(fault.Transient, ctx.Err(), "no access token for %s in time; it is tried again", s.title)
	}
}

// mint asks the token endpoint. The caller (the store) stores the result, new
// refresh token included, before anybody uses it.
func (s *TokenSource) mint(ctx context.Context, old connector.Token) (connector.Token, error) {
	refresh, origin := "", old.Origin
	if s.auth.Kind == KindAuthorizationCode {
		if refresh = old.Refresh; refresh == "" {
			refresh, origin = s.auth.RefreshToken, s.origin()
		}
	}
	asked := s.now()
	token, err := s.grant(withoutQuota(ctx), refresh)
	if fault.Is(err, fault.Auth) && refresh != "" && refresh != s.auth.RefreshToken && origin != s.origin() {
		// The stored grant is dead: consent may have been given anew since. The token
		// that it began with itself is used up: sending it again would end the grant.
		refresh, origin = s.auth.RefreshToken, s.origin()
		token, err = s.grant(withoutQuota(ctx), refresh)
	}
	if err != nil {
		return connector.Token{}, err
	}
	minted := connector.Token{Access: token.AccessToken, Refresh: token.RefreshToken, Origin: origin}
	if minted.Refresh == "" {
		minted.Refresh = refresh
	}
	if life := time.Duration(token.ExpiresIn) * time.Second; life > 0 {
		// Renewed a tenth of its life before the end, at most a minute.
		minted.Expires = asked.Add(life - min(life/10, time.Minute))
	}
	return minted, nil
}

// origin names the consent of the settings without telling its token.
func (s *TokenSource) origin() string {
	sum := sha256.Sum256([]byte(s.auth.RefreshToken))
	return hex.EncodeToString(sum[:8])
}

func storeFault(err error) error {
	if fault.As(err) != nil {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "the stored access token cannot be read or written; it is tried again")
}

// MemoryTokens keeps one token in this process's memory.
type MemoryTokens struct {
	turn  chan struct{}
	token connector.Token
}

var _ connector.TokenStore = (*MemoryTokens)(nil)

// NewMemoryTokens makes an empty store.
func NewMemoryTokens() *MemoryTokens {
	return &MemoryTokens{turn: make(chan struct{}, 1)}
}

// Load returns the token, zero if there is none. It waits for a running mint.
func (m *MemoryTokens) Load(ctx context.Context) (connector.Token, error) {
	if err := m.enter(ctx); err != nil {
		return connector.Token{}, err
	}
	defer m.leave()
	return m.token, nil
}

// Refresh mints unless another token than stale is already there.
func (m *MemoryTokens) Refresh(ctx context.Context, stale connector.Token,
	mint func(ctx context.Context, old connector.Token) (connector.Token, error)) (connector.Token, error) {
	if err := m.enter(ctx); err != nil {
		return connector.Token{}, err
	}
	defer m.leave()
	if m.token.Access != "" && m.token.Access != stale.Access {
		return m.token, nil
	}
	token, err := mint(ctx, m.token)
	if err != nil {
		return connector.Token{}, err
	}
	m.token = token
	return token, nil
}

func (m *MemoryTokens) enter(ctx context.Context) error {
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.Wrap(fault.Transient, ctx.Err(), "no access token in time; it is tried again")
	}
}

func (m *MemoryTokens) leave() { <-m.turn }

// httpClient hands our client to the oauth2 package.
func httpClient(ctx context.Context, client *http.Client) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}
