package webcall_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/webcall"
	"github.com/accord-sync/accord/internal/fault"
)

func loopback(log logrus.FieldLogger) webcall.Options {
	return webcall.Options{Connection: "c", AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: log, Now: time.Now}
}

func TestACallCarriesWhatItIsGiven(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(r.Context())
		body, _ = io.ReadAll(r.Body) // a test's request
		_, _ = w.Write([]byte("ok")) // a test's answer
	}))
	t.Cleanup(server.Close)
	var lines bytes.Buffer
	log := logrus.New()
	log.SetOutput(&lines)
	call, err := webcall.New(webcall.Spec{
		Name: "rules.won then[0]", Method: http.MethodPost, URL: server.URL + "/hooks/T0SECRET?token=abc", Header: http.Header{"X-Team": {"sales"}},
		SignHeader: "X-Signature", SignPrefix: "sha256=", SignSecret: "s",
	}, loopback(log))
	require.NoError(t, err)
	answer, err := call.Send(t.Context(), map[string]string{"deal": "d 1"}, []byte(`{"text":"Ana"}`), "f1.0")
	require.NoError(t, err)
	require.Equal(t, "ok", string(answer))
	require.Equal(t, "/hooks/T0SECRET", got.URL.Path)
	require.Equal(t, "abc", got.URL.Query().Get("token"))
	require.Equal(t, "d 1", got.URL.Query().Get("deal"))
	require.Equal(t, "sales", got.Header.Get("X-Team"))
	require.Equal(t, "f1.0", got.Header.Get("Idempotency-Key"))
	require.Empty(t, got.Header.Get("Authorization"))
	mac := hmac.New(sha256.New, []byte("s"))
	mac.Write(body)
	require.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), got.Header.Get("X-Signature"))
	require.Contains(t, lines.String(), "rules.won then[0]")
	for _, secret := range []string{"T0SECRET", "abc", "Ana", "d 1"} {
		require.NotContains(t, lines.String(), secret)
	}
}

func TestWhatARefusalMeans(t *testing.T) {
	for _, one := range []struct {
		method string
		status int
		code   fault.Code
	}{
		{http.MethodPost, 400, fault.Invalid}, {http.MethodPost, 404, fault.Invalid}, {http.MethodPut, 410, fault.Invalid}, {http.MethodPost, 405, fault.Invalid},
		{http.MethodPost, 409, fault.Duplicate}, {http.MethodPost, 422, fault.Invalid}, {http.MethodPost, 401, fault.Auth}, {http.MethodPost, 403, fault.Forbidden},
		{http.MethodPost, 429, fault.Throttled}, {http.MethodPost, 408, fault.Transient}, {http.MethodPost, 500, fault.Transient}, {http.MethodPost, 503, fault.Transient},
		{http.MethodPost, 302, fault.Transient}, {http.MethodGet, 404, fault.Gone}, {http.MethodGet, 410, fault.Gone}, {http.MethodGet, 500, fault.Transient},
		{http.MethodGet, 400, fault.Invalid}, {http.MethodGet, 405, fault.Invalid}, {http.MethodGet, 406, fault.Invalid}, {http.MethodGet, 409, fault.Invalid},
		{http.MethodGet, 414, fault.Invalid}, {http.MethodGet, 401, fault.Auth}, {http.MethodGet, 451, fault.Forbidden}, {http.MethodGet, 408, fault.Transient},
		{http.MethodGet, 425, fault.Transient}, {http.MethodGet, 429, fault.Throttled}, {http.MethodPost, 412, fault.Invalid}, {http.MethodPost, 413, fault.Invalid},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(one.status)
			_, _ = w.Write([]byte(`{"message": "Ana is wrong", "field": "text", "code": "bad"}`)) // a test's answer
		}))
		call, err := webcall.New(webcall.Spec{Name: "rules.won then[0]", Method: one.method, URL: server.URL}, loopback(nil))
		require.NoError(t, err)
		_, err = call.Send(t.Context(), nil, nil, "")
		require.Equal(t, one.code, fault.CodeOf(err), "%s %d: %v", one.method, one.status, err)
		require.Equal(t, one.status, fault.As(err).Status)
		require.NotContains(t, err.Error(), "Ana")
		require.NotContains(t, err.Error(), server.URL)
		server.Close()
	}
}

func TestACallThatCannotBeMade(t *testing.T) {
	_, err := webcall.New(webcall.Spec{Name: "rules.won then[0]", URL: "nowhere"}, loopback(nil))
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	private, err := webcall.New(webcall.Spec{Name: "rules.won then[0]", Method: http.MethodPost, URL: "http://127.0.0.1:9/SECRET"}, webcall.Options{Now: time.Now})
	require.NoError(t, err)
	_, err = private.Send(t.Context(), nil, nil, "")
	require.Equal(t, fault.Forbidden, fault.CodeOf(err), "private addresses are not called")
	require.NotContains(t, err.Error(), "SECRET")
	down, err := webcall.New(webcall.Spec{Name: "rules.won then[0]", Method: http.MethodPost, URL: "http://127.0.0.1:1/SECRET"}, loopback(nil))
	require.NoError(t, err)
	_, err = down.Send(t.Context(), nil, nil, "")
	require.Equal(t, fault.Transient, fault.CodeOf(err))
	require.NotContains(t, err.Error(), "SECRET")
}
