package rest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// server is a sandbox with a user at its screen.
type server struct {
	http.Handler
	admin  *sandboxclient.Client
	object string
	url    string
	// inside is the object of a record that holds its fields; empty: the record itself.
	inside string
	next   int
}

var _ connectortest.Server = (*server)(nil)

func startSandbox(object string) func(t *testing.T, now func() time.Time) connectortest.Server {
	return func(t *testing.T, now func() time.Time) connectortest.Server {
		t.Helper()
		return newServer(t, now, object)
	}
}

func newServer(t *testing.T, now func() time.Time, object string) *server {
	t.Helper()
	both := sandbox.New(sandbox.Options{Now: now})
	t.Cleanup(both.Close)
	screen := httptest.NewServer(both.Acme)
	t.Cleanup(screen.Close)
	return &server{Handler: both.Acme, admin: sandboxclient.New(screen.URL), object: object, url: screen.URL}
}

// open makes a connector to the server.
func (s *server) open(t *testing.T) connector.Connector { return s.openDriver(t, "acme") }

func (s *server) openDriver(t *testing.T, name string) connector.Connector {
	t.Helper()
	conn, err := shipped(t, name).Open(connector.Config{Side: record.Right, BaseURL: s.url + "/api/2", Objects: []string{s.object},
		Capabilities: shipped(t, name).Defaults(), Tokens: transport.NewMemoryTokens(),
		Auth: connector.Auth{ClientID: connectortest.ClientID, ClientSecret: connectortest.ClientSecret},
		Client: transport.New(transport.Options{Connection: "test", Side: record.Right,
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})})
	require.NoError(t, err)
	return conn
}

func (s *server) Seed(t *testing.T, n int) []string {
	t.Helper()
	ids, err := s.admin.Seed(context.Background(), wire.Seed{Object: s.object, Count: n, Start: s.next + 1})
	require.NoError(t, err)
	s.next += n
	return ids
}

func (s *server) Edit(t *testing.T, id string, fields map[string]any) {
	t.Helper()
	nested := transport.Nest(fields)
	if s.inside != "" {
		held, ok := nested[s.inside].(map[string]any)
		require.True(t, ok)
		nested = held
	}
	_, err := s.admin.EditRecord(context.Background(), s.object, id, nested)
	require.NoError(t, err)
}

func (s *server) Remove(t *testing.T, id string) {
	t.Helper()
	_, err := s.admin.DeleteRecord(context.Background(), s.object, id)
	require.NoError(t, err)
}

func (s *server) Fields(t *testing.T, id string) record.Fields {
	t.Helper()
	held, err := s.admin.Record(context.Background(), s.object, id)
	require.NoError(t, err)
	text, err := json.Marshal(held.Fields)
	require.NoError(t, err)
	value, err := transport.DecodeJSON(text)
	require.NoError(t, err)
	fields, ok := value.(map[string]any)
	require.True(t, ok)
	if s.inside != "" {
		return record.Fields{s.inside: fields}
	}
	return fields
}

func (s *server) ExpireTokens(t *testing.T) {
	t.Helper()
	require.NoError(t, s.admin.ExpireTokens(context.Background()))
}

func (s *server) ReplaceInner(t *testing.T, replace bool) {
	t.Helper()
	mode := wire.PatchMerge
	if replace {
		mode = wire.PatchReplace
	}
	require.NoError(t, s.admin.SetSwitches(context.Background(), map[string]any{"custom_fields": mode}))
}
