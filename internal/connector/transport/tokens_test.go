package transport_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

// issuer is a token endpoint with rotating refresh tokens.
type issuer struct {
	mu      sync.Mutex
	minted  int
	refresh string
	life    int
	basic   bool
	asked   []map[string]string
	status  int
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	form := map[string]string{"type": r.Header.Get("Content-Type")}
	if form["type"] == "application/json" {
		_ = json.NewDecoder(r.Body).Decode(&form) // a broken body leaves the form empty, and the test fails
	} else {
		_ = r.ParseForm() // as above
		for key := range r.PostForm {
			form[key] = r.PostForm.Get(key)
		}
	}
	i.asked = append(i.asked, form)
	_, secret, hasBasic := r.BasicAuth()
	switch {
	case i.status != 0:
		w.WriteHeader(i.status)
		return
	case i.basic && (!hasBasic || secret != "s"), !i.basic && form["client_secret"] != "s":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(401)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`)) // the client reads it all
		return
	case form["grant_type"] == "refresh_token" && form["refresh_token"] != i.refresh:
		w.WriteHeader(400)
		return
	}
	i.minted++
	answer := map[string]any{"access_token": "a" + strconv.Itoa(i.minted), "token_type": "bearer", "expires_in": i.life}
	if form["grant_type"] == "refresh_token" {
		i.refresh = "r" + strconv.Itoa(i.minted)
		answer["refresh_token"] = i.refresh
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client reads it all
}

type fixture struct {
	issuer *issuer
	store  *transport.MemoryTokens
	now    time.Time
	auth   connector.Auth
}

func newFixture(t *testing.T, kind string) *fixture {
	f := &fixture{issuer: &issuer{life: 1800, refresh: "r0"}, store: transport.NewMemoryTokens(), now: noon()}
	f.auth = connector.Auth{Kind: kind, TokenURL: serve(t, f.issuer.ServeHTTP) + "/oauth/token", ClientID: "c", ClientSecret: "s", RefreshToken: "r0",
		Scopes: []string{"one", "two"}, Audience: "aud"}
	return f
}

func (f *fixture) source(t *testing.T, form bool) *transport.TokenSource {
	t.Helper()
	now := func() time.Time { return f.now }
	client := transport.New(transport.Options{AllowPrivate: loopback()})
	grant := transport.JSONGrant(client, f.auth, "SalesOS", now)
	if form {
		grant = transport.FormGrant(client, f.auth, "Acme", now)
	}
	source, err := transport.NewTokenSource(connector.Config{Auth: f.auth, Tokens: f.store, Now: now}, "System", grant)
	require.NoError(t, err)
	return source
}

func access(t *testing.T, source *transport.TokenSource) string {
	t.Helper()
	token, err := source.Token(context.Background())
	require.NoError(t, err)
	return token.Access
}

func TestTokenIsSharedAndRenewedEarly(t *testing.T) {
	for _, form := range []bool{false, true} {
		f := newFixture(t, transport.KindClientCredentials)
		first, second := f.source(t, form), f.source(t, form)
		require.Equal(t, "a1", access(t, first))
		require.Equal(t, "a1", access(t, second), "another worker uses the stored token")
		f.now = f.now.Add(1800*time.Second - time.Minute - time.Second)
		require.Equal(t, "a1", access(t, first))
		f.now = f.now.Add(2 * time.Second)
		require.Equal(t, "a2", access(t, first), "renewed a minute before its end")
		require.Equal(t, "a2", access(t, second))
		require.Equal(t, 2, f.issuer.minted)
		asked := f.issuer.asked[0]
		require.Equal(t, "client_credentials", asked["grant_type"])
		require.Equal(t, "aud", asked["audience"])
		require.Equal(t, "one two", asked["scope"])
		token, err := first.OAuth2(context.Background()).Token()
		require.NoError(t, err)
		require.Equal(t, "a2", token.AccessToken)
	}
}

func TestRefusedTokenIsRenewedOnceForAll(t *testing.T) {
	f := newFixture(t, "")
	sources := []*transport.TokenSource{f.source(t, true), f.source(t, true), f.source(t, true)}
	stale, err := sources[0].Token(context.Background())
	require.NoError(t, err)
	var wait sync.WaitGroup
	got := make(chan string, 30)
	for i := range 30 {
		wait.Go(func() {
			token, err := sources[i%3].Renew(context.Background(), stale)
			if err != nil {
				got <- err.Error()
				return
			}
			got <- token.Access
		})
	}
	wait.Wait()
	close(got)
	for token := range got {
		require.Equal(t, "a2", token)
	}
	require.Equal(t, 2, f.issuer.minted)
}

func TestRefreshTokensRotate(t *testing.T) {
	for _, form := range []bool{false, true} {
		f := newFixture(t, transport.KindAuthorizationCode)
		require.Equal(t, "a1", access(t, f.source(t, form)))
		stored, err := f.store.Load(context.Background())
		require.NoError(t, err)
		require.Equal(t, "r1", stored.Refresh, "the new refresh token is stored")
		f.now = f.now.Add(time.Hour)
		require.Equal(t, "a2", access(t, f.source(t, form)))
		require.Equal(t, "r1", f.issuer.asked[1]["refresh_token"])

		f.issuer.refresh = "fresh consent"
		f.auth.RefreshToken = "fresh consent"
		f.now = f.now.Add(time.Hour)
		require.Equal(t, "a3", access(t, f.source(t, form)), "a consent given anew replaces a dead grant")
	}
}

func TestGiveUpWaitingDoesNotStopTheMint(t *testing.T) {
	f := newFixture(t, "")
	source := f.source(t, true)
	f.issuer.mu.Lock()
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := source.Token(ctx)
		failed <- err
	}()
	cancel()
	require.Equal(t, fault.Transient, fault.CodeOf(<-failed))
	f.issuer.mu.Unlock()
	require.Equal(t, "a1", access(t, source))
}

func TestBasicIsTriedWhenTheFormIsRefused(t *testing.T) {
	f := newFixture(t, "")
	f.issuer.basic = true
	source := f.source(t, true)
	require.Equal(t, "a1", access(t, source))
	f.now = f.now.Add(time.Hour)
	require.Equal(t, "a2", access(t, source))
	require.Len(t, f.issuer.asked, 3, "what worked is kept")
}

func TestTokenRefusals(t *testing.T) {
	for status, want := range map[int]fault.Code{400: fault.Auth, 401: fault.Auth, 403: fault.Auth, 404: fault.Auth,
		429: fault.Throttled, 500: fault.Transient, 503: fault.Transient, 302: fault.Transient} {
		for _, form := range []bool{false, true} {
			f := newFixture(t, "")
			f.issuer.status = status
			_, err := f.source(t, form).Token(context.Background())
			require.Equal(t, want, fault.CodeOf(err), "status %d, form %v", status, form)
			require.NotContains(t, err.Error(), f.auth.TokenURL)
			if want == fault.Auth {
				require.Contains(t, err.Error(), "token_url")
			}
		}
	}
}

func TestHopelessTokenIsNotMintedAgainAndAgain(t *testing.T) {
	f := newFixture(t, "")
	source := f.source(t, false)
	token, err := source.Token(context.Background())
	require.NoError(t, err)
	source.Refused(token)
	_, err = source.Renew(context.Background(), token)
	require.Equal(t, fault.Auth, fault.CodeOf(err))
	require.Equal(t, 1, f.issuer.minted)
	f.now = f.now.Add(time.Minute)
	fresh, err := source.Renew(context.Background(), token)
	require.NoError(t, err)
	require.Equal(t, "a2", fresh.Access)
}

func TestBadAuthSettings(t *testing.T) {
	for _, auth := range []connector.Auth{{}, {Kind: "magic"}, {Kind: transport.KindStatic}, {Kind: transport.KindAuthorizationCode, ClientID: "c"}} {
		_, err := transport.NewTokenSource(connector.Config{Auth: auth}, "System", nil)
		require.Equal(t, fault.Usage, fault.CodeOf(err))
	}
}

func TestRefreshTokenThatDoesNotRotateIsKept(t *testing.T) {
	f := newFixture(t, transport.KindAuthorizationCode)
	now := func() time.Time { return f.now }
	asked := []string{}
	source, err := transport.NewTokenSource(connector.Config{Auth: f.auth, Tokens: f.store, Now: now}, "System",
		func(_ context.Context, refresh string) (*oauth2.Token, error) {
			asked = append(asked, refresh)
			return &oauth2.Token{AccessToken: "a", ExpiresIn: 60}, nil
		})
	require.NoError(t, err)
	access(t, source)
	f.now = f.now.Add(time.Minute)
	access(t, source)
	require.Equal(t, []string{"r0", "r0"}, asked)
	stored, err := f.store.Load(context.Background())
	require.NoError(t, err)
	require.Equal(t, "r0", stored.Refresh)
}

func TestMintsAreNotPartOfThePlan(t *testing.T) {
	f := newFixture(t, "")
	spy := &quotaSpy{refuse: fault.New(fault.Throttled, "the plan is used up")}
	grant := transport.JSONGrant(transport.New(transport.Options{AllowPrivate: loopback(), Quota: spy}), f.auth, "SalesOS", noon)
	source, err := transport.NewTokenSource(connector.Config{Auth: f.auth, Now: noon}, "System", grant)
	require.NoError(t, err)
	require.Equal(t, "a1", access(t, source))
	require.Empty(t, spy.lanes)
	require.Empty(t, spy.seen)
}

// The token that a grant began with is used up by the first mint. A server that refuses
// the present one for a while would take it for stolen and end the grant.
func TestAUsedRefreshTokenIsNotSentAgain(t *testing.T) {
	f := newFixture(t, transport.KindAuthorizationCode)
	require.Equal(t, "a1", access(t, f.source(t, true)))
	f.now = f.now.Add(time.Hour)
	f.issuer.status = http.StatusUnauthorized
	_, err := f.source(t, true).Token(context.Background())
	require.Equal(t, fault.Auth, fault.CodeOf(err))
	f.issuer.status = 0
	require.Equal(t, "a2", access(t, f.source(t, true)), "credentials that work again are all it takes")
	for _, asked := range f.issuer.asked[1:] {
		require.Equal(t, "r1", asked["refresh_token"])
	}
}

// A pause that the token endpoint asks for is one of the system, and one that any other
// call was told of keeps the token endpoint from being asked.
func TestAPauseHoldsForTheTokenEndpoint(t *testing.T) {
	for _, form := range []bool{false, true} {
		f := newFixture(t, "")
		throttles := true
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if throttles {
				w.Header().Set("Retry-After", "7")
				w.Header().Set("RateLimit-Remaining", "3")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			f.issuer.ServeHTTP(w, r)
		})
		f.auth.TokenURL = url
		spy := &pausingSpy{}
		client := transport.New(transport.Options{AllowPrivate: loopback(), Quota: spy, Now: noon})
		grant := transport.JSONGrant(client, f.auth, "SalesOS", noon)
		if form {
			grant = transport.FormGrant(client, f.auth, "Acme", noon)
		}
		source, err := transport.NewTokenSource(connector.Config{Auth: f.auth, Now: noon}, "System", grant)
		require.NoError(t, err)
		_, err = source.Token(context.Background())
		require.Equal(t, fault.Throttled, fault.CodeOf(err))
		require.Equal(t, []connector.QuotaSeen{{PausedUntil: noon().Add(7 * time.Second)}}, spy.seen, "and nothing of the plan")
		throttles, spy.pause = false, 5*time.Second
		_, err = source.Token(context.Background())
		require.Equal(t, fault.Throttled, fault.CodeOf(err))
		require.Equal(t, 5*time.Second, fault.AfterOf(err))
		require.Empty(t, f.issuer.asked)
		spy.pause = 0
		require.Equal(t, "a1", access(t, source))
	}
}

// pausingSpy is a quota that knows of a pause.
type pausingSpy struct {
	quotaSpy
	pause time.Duration
}

func (q *pausingSpy) Paused(context.Context) (time.Duration, error) { return q.pause, nil }
