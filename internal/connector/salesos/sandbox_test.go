package salesos_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	next   int
}

var _ connectortest.Server = (*server)(nil)

func startSandbox(t *testing.T, now func() time.Time) connectortest.Server {
	t.Helper()
	return startOf("leads")(t, now)
}

// startOf starts a sandbox whose user works on one collection.
func startOf(object string) func(t *testing.T, now func() time.Time) connectortest.Server {
	return func(t *testing.T, now func() time.Time) connectortest.Server {
		t.Helper()
		return newServer(t, now, object)
	}
}

func newServer(t *testing.T, now func() time.Time, object string) *server {
	t.Helper()
	both := sandbox.New(sandbox.Options{Now: now})
	t.Cleanup(both.Close)
	screen := httptest.NewServer(both.SalesOS)
	t.Cleanup(screen.Close)
	return &server{Handler: both.SalesOS, admin: sandboxclient.New(screen.URL), object: object}
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
	_, err := s.admin.EditRecord(context.Background(), s.object, id, transport.Nest(fields))
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

func (s *server) set(t *testing.T, name string, value any) {
	t.Helper()
	require.NoError(t, s.admin.SetSwitches(context.Background(), map[string]any{name: value}))
}
