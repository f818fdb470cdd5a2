package connectortest

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func webhooks(t *testing.T, h Harness) {
	if h.HookPath == "" {
		t.Skip("this system has no webhooks, it is only polled")
	}
	ctx := context.Background()
	t.Run("registered once, others kept, removed", func(t *testing.T) {
		b := h.bench(t)
		spec := func(name string) connector.WebhookSpec {
			return connector.WebhookSpec{URL: "https://127.0.0.1:9/hooks/" + name, Secret: "s3cret-s3cret-s3cret", Objects: []string{b.Object}}
		}
		other, err := b.conn.EnsureWebhook(ctx, spec("other"))
		require.NoError(t, err)
		first, err := b.conn.EnsureWebhook(ctx, spec("ours"))
		require.NoError(t, err)
		require.True(t, first.Active)
		require.False(t, first.Reactivated)
		require.NotEqual(t, other.ID, first.ID)
		again, err := b.conn.EnsureWebhook(ctx, spec("ours"))
		require.NoError(t, err)
		require.Equal(t, first, again)
		require.Equal(t, 2, b.front.Count("POST", b.HookPath))
		state, err := b.conn.WebhookStatus(ctx, first.ID)
		require.NoError(t, err)
		require.Equal(t, first, state)
		require.NoError(t, b.conn.RemoveWebhook(ctx, first.ID))
		require.NoError(t, b.conn.RemoveWebhook(ctx, first.ID))
		_, err = b.conn.WebhookStatus(ctx, first.ID)
		require.Equal(t, fault.Gone, fault.CodeOf(err))
		_, err = b.conn.WebhookStatus(ctx, other.ID)
		require.NoError(t, err)
	})
	t.Run("switched off is switched on and told", func(t *testing.T) {
		b := h.bench(t)
		spec := connector.WebhookSpec{URL: "https://127.0.0.1:9/hooks/ours", Secret: "s3cret-s3cret-s3cret", Objects: []string{b.Object}}
		first, err := b.conn.EnsureWebhook(ctx, spec)
		require.NoError(t, err)
		b.switchOff(t, first.ID)
		state, err := b.conn.WebhookStatus(ctx, first.ID)
		require.NoError(t, err)
		require.False(t, state.Active)
		spec.ID = first.ID
		again, err := b.conn.EnsureWebhook(ctx, spec)
		require.NoError(t, err)
		require.Equal(t, connector.WebhookState{ID: first.ID, Active: true, Reactivated: true}, again)
		state, err = b.conn.WebhookStatus(ctx, first.ID)
		require.NoError(t, err)
		require.True(t, state.Active)
	})
	t.Run("signatures", func(t *testing.T) { signatures(t, h) })
}

// switchOff is what the vendor does after many failures, done with the same
// credentials through the API.
func (b *bench) switchOff(t *testing.T, id string) {
	t.Helper()
	token := ""
	b.front.On(http.MethodGet, b.HookPath, 1, func(w http.ResponseWriter, r *http.Request, inner http.Handler) {
		token = r.Header.Get("Authorization")
		inner.ServeHTTP(w, r)
	})
	_, err := b.conn.WebhookStatus(context.Background(), id)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, b.url+b.APIPath+b.HookPath+"/"+id, jsonBody(`{"active": false}`))
	require.NoError(t, err)
	request.Header.Set("Authorization", token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Less(t, response.StatusCode, 300)
}

func signatures(t *testing.T, h Harness) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	body := h.Event("rec-1")
	parse := func(header http.Header, body []byte, secrets ...string) ([]connector.Event, error) {
		return h.Driver.ParseWebhook(header, body, secrets, now)
	}
	events, err := parse(h.Sign(body, "new", now), body, "old", "new")
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, h.Object, events[0].Object)
	require.Equal(t, "rec-1", events[0].RecordID)
	require.NotEmpty(t, events[0].ID)
	require.NotEmpty(t, events[0].Kind)
	again, err := parse(h.Sign(body, "new", now), body, "new")
	require.NoError(t, err)
	require.Equal(t, events, again)

	tampered := append([]byte(nil), body...)
	tampered[len(tampered)-2] ^= 1
	for name, try := range map[string]func() ([]connector.Event, error){
		"wrong secret": func() ([]connector.Event, error) { return parse(h.Sign(body, "x", now), body, "new") },
		"no secret":    func() ([]connector.Event, error) { return parse(h.Sign(body, "", now), body, "") },
		"no secrets":   func() ([]connector.Event, error) { return parse(h.Sign(body, "new", now), body) },
		"no header":    func() ([]connector.Event, error) { return parse(http.Header{}, body, "new") },
		"changed body": func() ([]connector.Event, error) { return parse(h.Sign(body, "new", now), tampered, "new") },
		"malformed": func() ([]connector.Event, error) {
			header := h.Sign(body, "new", now)
			for key := range header {
				header.Set(key, header.Get(key)+"zz")
			}
			return parse(header, body, "new")
		},
	} {
		events, err := try()
		require.Equal(t, fault.Unauthorized, fault.CodeOf(err), name)
		require.Empty(t, events, name)
	}
	for _, broken := range []string{"", "not json", "7", `"text"`} {
		_, err := parse(h.Sign([]byte(broken), "new", now), []byte(broken), "new")
		require.Equal(t, fault.Invalid, fault.CodeOf(err), broken)
	}
}

func jsonBody(text string) io.Reader { return strings.NewReader(text) }
