package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

// JSONGrant asks for tokens with a JSON body, as SalesOS wants it.
func JSONGrant(client *http.Client, auth connector.Auth, title string, now func() time.Time) Grant {
	return func(ctx context.Context, refresh string) (*oauth2.Token, error) {
		body := map[string]any{"client_id": auth.ClientID, "client_secret": auth.ClientSecret, "grant_type": "client_credentials"}
		if auth.Audience != "" {
			body["audience"] = auth.Audience
		}
		if len(auth.Scopes) > 0 {
			body["scope"] = strings.Join(auth.Scopes, " ")
		}
		if refresh != "" {
			body["grant_type"], body["refresh_token"] = "refresh_token", refresh
		}
		return postGrant(ctx, client, auth.TokenURL, title, body, now)
	}
}

func postGrant(ctx context.Context, client *http.Client, target, title string, body map[string]any, now func() time.Time) (*oauth2.Token, error) {
	payload, err := encode(body)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the token request could not be encoded")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(payload))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, withoutURL(err), "%s: token_url is not a valid address", title)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, tokenNetworkFault(err, title)
	}
	defer closeBody(response.Body)
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, tokenRefusal(response, title, now())
	}
	if err != nil {
		return nil, tokenNetworkFault(err, title)
	}
	return readToken(answer, title)
}

// readToken reads a token answer, bare or inside the vendor's data envelope.
func readToken(answer []byte, title string) (*oauth2.Token, error) {
	value, err := DecodeJSON(answer)
	object, ok := value.(map[string]any)
	if err != nil || !ok {
		return nil, fault.New(fault.Transient, "the token endpoint of %s answered something that is not JSON; is token_url right?", title)
	}
	if inner, ok := object["data"].(map[string]any); ok && object["access_token"] == nil {
		object = inner
	}
	token := &oauth2.Token{}
	token.AccessToken, _ = object["access_token"].(string)
	token.RefreshToken, _ = object["refresh_token"].(string)
	if seconds, ok := ParseInt(object["expires_in"]); ok {
		token.ExpiresIn = int64(seconds)
	}
	if token.AccessToken == "" {
		return nil, fault.New(fault.Transient, "the token endpoint of %s answered without access_token; is token_url right?", title)
	}
	return token, nil
}

// FormGrant asks for tokens with a form, as RFC 6749 has it. The client's
// secret goes into the form; a server that refuses that is asked once more
// with HTTP Basic, and what worked is kept.
func FormGrant(client *http.Client, auth connector.Auth, title string, now func() time.Time) Grant {
	var basic atomic.Bool
	return func(ctx context.Context, refresh string) (*oauth2.Token, error) {
		style := oauth2.AuthStyleInParams
		if basic.Load() {
			style = oauth2.AuthStyleInHeader
		}
		token, err := formGrant(httpClient(ctx, client), auth, refresh, style)
		if badClient(err) && !basic.Load() {
			second, secondErr := formGrant(httpClient(ctx, client), auth, refresh, oauth2.AuthStyleInHeader)
			if secondErr == nil {
				basic.Store(true)
				return second, nil
			}
		}
		if err != nil {
			return nil, oauthFault(err, title, now())
		}
		return token, nil
	}
}

func formGrant(ctx context.Context, auth connector.Auth, refresh string, style oauth2.AuthStyle) (*oauth2.Token, error) {
	var source oauth2.TokenSource
	if refresh != "" {
		config := oauth2.Config{ClientID: auth.ClientID, ClientSecret: auth.ClientSecret,
			Endpoint: oauth2.Endpoint{TokenURL: auth.TokenURL, AuthStyle: style}}
		source = config.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh})
	} else {
		config := clientcredentials.Config{ClientID: auth.ClientID, ClientSecret: auth.ClientSecret,
			TokenURL: auth.TokenURL, Scopes: auth.Scopes, AuthStyle: style}
		if auth.Audience != "" {
			config.EndpointParams = url.Values{"audience": {auth.Audience}}
		}
		source = config.TokenSource(ctx)
	}
	token, err := source.Token()
	if err == nil && token.ExpiresIn == 0 && !token.Expiry.IsZero() {
		// clientcredentials keeps the end only, by the machine's clock; ours may be another.
		token.ExpiresIn = int64(time.Until(token.Expiry).Round(time.Second) / time.Second)
	}
	return token, err
}

// badClient reports whether the endpoint did not recognise the client at all.
func badClient(err error) bool {
	var retrieve *oauth2.RetrieveError
	return errors.As(err, &retrieve) && retrieve.ErrorCode == "invalid_client"
}

// oauthFault codes an error of the oauth2 package, whose text quotes the answer.
func oauthFault(err error, title string, now time.Time) error {
	var retrieve *oauth2.RetrieveError
	if errors.As(err, &retrieve) && retrieve.Response != nil {
		if retrieve.Response.StatusCode > 299 || retrieve.ErrorCode != "" {
			return tokenRefusal(retrieve.Response, title, now)
		}
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fault.New(fault.Transient, "the token endpoint of %s answered something that is not JSON; is token_url right?", title)
	}
	return tokenNetworkFault(err, title)
}

func tokenNetworkFault(err error, title string) error {
	if coded := fault.As(err); coded != nil {
		return coded
	}
	return fault.Wrap(fault.Transient, withoutURL(err), "the token endpoint of %s did not give a token (%s); check token_url and the network, it is tried again",
		title, failureKind(err))
}

// tokenRefusal codes a refused mint: the credentials for every 4xx, the server
// otherwise. The answer's text is not kept: it may quote the credentials.
func tokenRefusal(response *http.Response, title string, now time.Time) error {
	status := response.StatusCode
	var coded *fault.Error
	switch {
	case status == http.StatusTooManyRequests:
		coded = fault.New(fault.Throttled, "the token endpoint of %s asks to slow down; the side waits", title)
		coded.After = clampPause(ParseQuota(status, response.Header, now).PausedUntil.Sub(now))
	case status >= 500, status == http.StatusRequestTimeout, status >= 300 && status < 400:
		coded = fault.New(fault.Transient, "the token endpoint of %s cannot answer at the moment; it is tried again", title)
		coded.After, _ = RetryAfter(response.Header, now)
	default:
		coded = fault.New(fault.Auth, "%s gives no access token; check client_id, client_secret, audience, scopes and token_url", title)
	}
	coded.Status = status
	coded.RequestID = requestID(response.Header)
	return coded
}
