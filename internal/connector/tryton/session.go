package tryton

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

// maxLogin bounds the answer of a log-in in bytes.
const maxLogin = 64 << 10

// login asks for a session with user and password. The token is what the
// Authorization header carries: base64 of user:uid:session. Tryton ends a session
// after five idle minutes by default and answers 401 from then on.
func login(cfg connector.Config, address string) transport.Grant {
	return func(ctx context.Context, _ string) (*oauth2.Token, error) {
		body, err := json.Marshal(envelope("common.db.login", []any{cfg.Auth.ClientID, map[string]any{"password": cfg.Auth.ClientSecret}}))
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "the log-in could not be encoded")
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			return nil, fault.New(fault.Usage, "%s: base_url is not a valid address", title)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := cfg.Client.Do(request)
		if err != nil {
			return nil, unreachable(err)
		}
		defer func() { _ = response.Body.Close() }() // it was read as far as it counts
		answer, err := io.ReadAll(io.LimitReader(response.Body, maxLogin))
		if response.StatusCode != http.StatusOK {
			return nil, loginRefused(cfg, response)
		}
		if err != nil {
			return nil, unreachable(err)
		}
		return readSession(cfg.Auth.ClientID, answer)
	}
}

func unreachable(err error) error {
	if coded := fault.As(err); coded != nil {
		return coded
	}
	var located *url.Error
	if errors.As(err, &located) {
		err = located.Err
	}
	return fault.Wrap(fault.Transient, err, "%s did not answer the log-in; check base_url and the network, it is tried again", title)
}

func loginRefused(cfg connector.Config, response *http.Response) error {
	var coded *fault.Error
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		coded = badLogin()
	case http.StatusTooManyRequests:
		coded = fault.New(fault.Throttled, "%s asks to wait with the next log-in: there were too many wrong ones; check client_id and client_secret", title)
		coded.After = transport.DefaultRetryAfter
		if after, ok := transport.RetryAfter(response.Header, cfg.Now()); ok {
			coded.After = after
		}
	default:
		coded = fault.New(fault.Transient, "%s does not take the log-in at the moment; if this lasts, check the database in base_url", title)
		coded.After, _ = transport.RetryAfter(response.Header, cfg.Now())
	}
	coded.Status = response.StatusCode
	return coded
}

func badLogin() *fault.Error {
	return fault.New(fault.Auth, "%s refuses the log-in; check the user (username, client_id) and the password (client_secret)", title)
}

// readSession reads [uid, session].
func readSession(user string, answer []byte) (*oauth2.Token, error) {
	value, err := transport.DecodeJSON(answer)
	body, ok := value.(map[string]any)
	if err != nil || !ok {
		return nil, fault.New(fault.Transient, "%s answered the log-in with something that is not JSON; is base_url right?", title)
	}
	if failed, present := body["error"]; present {
		coded := badLogin()
		coded.VendorCode, _ = named(failed)
		return nil, coded
	}
	parts, _ := body["result"].([]any)
	if len(parts) != 2 {
		return nil, fault.New(fault.Transient, "%s answered the log-in without a session; is base_url right?", title)
	}
	uid, hasUID := transport.ParseID(parts[0])
	session, hasSession := parts[1].(string)
	if !hasUID || !hasSession || session == "" {
		return nil, fault.New(fault.Transient, "%s answered the log-in without a session; is base_url right?", title)
	}
	return &oauth2.Token{AccessToken: base64.StdEncoding.EncodeToString([]byte(user + ":" + uid + ":" + session))}, nil
}
