package rest_test

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

const object = "contacts"

// server is a sandbox with a user at its screen.
type server struct {
	http.Handler
	admin *sandboxclient.Client
	next  int
}

var _ connectortest.Server = (*server)(nil)

func startSandbox(t *testing.T, now func() time.Time) connectortest.Server {
	t.Helper()
	both := sandbox.New(sandbox.Options{Now: now})
	t.Cleanup(both.Close)
	screen := httptest.NewServer(both.Acme)
	t.Cleanup(screen.Close)
	return &server{Handler: both.Acme, admin: sandboxclient.New(screen.URL)}
}

func (s *server) Seed(t *testing.T, n int) []string {
	t.Helper()
	ids, err := s.admin.Seed(context.Background(), wire.Seed{Object: object, Count: n, Start: s.next + 1})
	require.NoError(t, err)
	s.next += n
	return ids
}

func (s *server) Edit(t *testing.T, id string, fields map[string]any) {
	t.Helper()
	_, err := s.admin.EditRecord(context.Background(), object, id, transport.Nest(fields))
	require.NoError(t, err)
}

func (s *server) Remove(t *testing.T, id string) {
	t.Helper()
	_, err := s.admin.DeleteRecord(context.Background(), object, id)
	require.NoError(t, err)
}

func (s *server) Fields(t *testing.T, id string) record.Fields {
	t.Helper()
	held, err := s.admin.Record(context.Background(), object, id)
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
