package engine_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestAWebhookThatWasLostIsNoticed: the vendor switches it off after ten failed
// deliveries, or a person deletes it there. Both are noticed by the next look,
// mended, and everything is due to be polled and compared, also where the answer to
// the mending call was lost.
func TestAWebhookThatWasLostIsNoticed(t *testing.T) {
	mends := map[string]string{"switched off after ten failures": "PATCH", "deleted by a person": "POST"}
	lose := map[string]func(b *bench){
		"switched off after ten failures": func(b *bench) {
			lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
			for n := range 12 {
				b.edit(record.Left, lead, map[string]any{"position": string(rune('a' + n))})
			}
			require.Eventually(b.t.(*testing.T), func() bool {
				hooks, err := b.left.WebhookCounts(b.ctx)
				require.NoError(b.t, err)
				return len(hooks.Hooks) == 1 && !hooks.Hooks[0].Active
			}, time.Minute, 20*time.Millisecond)
		},
		"deleted by a person": func(b *bench) {
			in, err := b.engine.Installed(b.ctx, b.key)
			require.NoError(b.t, err)
			side, err := b.store.SideState(b.ctx, b.key, record.Left)
			require.NoError(b.t, err)
			require.NoError(b.t, in.Left.RemoveWebhook(b.ctx, side.WebhookID))
		},
	}
	for name, do := range lose {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{})
			down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
			t.Cleanup(down.Close)
			urls := map[record.Side]string{record.Left: down.URL}
			state := func() string {
				side, err := b.store.SideState(b.ctx, b.key, record.Left)
				require.NoError(t, err)
				return side.WebhookState
			}
			due := func() bool {
				streams, err := b.store.StreamStates(b.ctx, b.key)
				require.NoError(t, err)
				require.NotEmpty(t, streams)
				return !streams[0].NextCompareAt.IsZero() && !streams[0].NextPollAt.After(b.clock.now())
			}
			require.NoError(t, b.engine.EnsureWebhooks(b.ctx, b.key, urls))
			require.Equal(t, "active", state())
			require.False(t, due(), "nothing was lost yet")
			do(b)
			_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 500, When: wire.After, Method: mends[name], PathRegexp: "/webhooks"})
			require.NoError(t, err)
			require.Error(t, b.engine.EnsureWebhooks(b.ctx, b.key, urls))
			require.Equal(t, "off", state(), "nobody knows that it is on again")
			require.False(t, due())
			require.NoError(t, b.engine.EnsureWebhooks(b.ctx, b.key, urls))
			require.Equal(t, "active", state())
			require.True(t, due(), "the gap is polled and compared")
			hooks, err := b.left.WebhookCounts(b.ctx)
			require.NoError(t, err)
			require.Len(t, hooks.Hooks, 1)
			require.True(t, hooks.Hooks[0].Active)
		})
	}
}

// TestAVendorThatDoesNotAnswerKeepsNoOthersWebhook: each is removed by itself.
func TestAVendorThatDoesNotAnswerKeepsNoOthersWebhook(t *testing.T) {
	b := start(t, setup{})
	require.NoError(t, b.engine.EnsureWebhooks(b.ctx, b.key, map[record.Side]string{record.Left: "https://accord.example/left", record.Right: "https://accord.example/right"}))
	_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 503, Method: "DELETE", PathRegexp: "/webhooks"})
	require.NoError(t, err)
	require.Error(t, b.engine.RemoveWebhooks(b.ctx, b.key))
	hooks, err := b.right.WebhookCounts(b.ctx)
	require.NoError(t, err)
	require.Empty(t, hooks.Hooks)
	require.NoError(t, b.engine.RemoveWebhooks(b.ctx, b.key))
	hooks, err = b.left.WebhookCounts(b.ctx)
	require.NoError(t, err)
	require.Empty(t, hooks.Hooks)
}

// TestAWebhookWhoseSecretIsTakenOutIsRemoved: its deliveries would all be refused.
func TestAWebhookWhoseSecretIsTakenOutIsRemoved(t *testing.T) {
	b := start(t, setup{})
	urls := map[record.Side]string{record.Left: "https://accord.example/left", record.Right: "https://accord.example/right"}
	require.NoError(t, b.engine.EnsureWebhooks(b.ctx, b.key, urls))
	yAmend(b, `    webhook: {secret: "${secret:salesos_webhook}"}`+"\n", "")
	require.NoError(t, b.engine.EnsureWebhooks(b.ctx, b.key, urls))
	left, err := b.left.WebhookCounts(b.ctx)
	require.NoError(t, err)
	require.Empty(t, left.Hooks)
	right, err := b.right.WebhookCounts(b.ctx)
	require.NoError(t, err)
	require.Len(t, right.Hooks, 1)
}

// TestAWebhookMadeByHandIsKnownByItsDeliveries: where a person registers it, that is told
// and nothing else; what came to an old address says nothing about a new one.
func TestAWebhookMadeByHandIsKnownByItsDeliveries(t *testing.T) {
	text, err := connectors.Read("acme")
	require.NoError(t, err)
	manifest, _, ok := strings.Cut(string(text), "  registration:\n")
	require.True(t, ok)
	manifest = strings.ReplaceAll(strings.TrimSpace(manifest), "\n", "\n      ")
	b := start(t, setup{edit: func(yaml string) string {
		return strings.Replace(yaml, "connector: acme", "connector: rest\n    manifest:\n      "+manifest, 1)
	}})
	ensured := func(url string) ledger.SideState {
		require.NoError(t, b.engine.EnsureWebhooks(b.ctx, b.key, map[record.Side]string{record.Right: url}))
		side, err := b.store.SideState(b.ctx, b.key, record.Right)
		require.NoError(t, err)
		return side
	}
	require.Equal(t, ledger.WebhookByHand, ensured("https://one.example").WebhookState)
	_, err = b.store.UpdateSideState(b.ctx, b.key, record.Right, func(side *ledger.SideState) { side.WebhookTakenAt = b.clock.now() })
	require.NoError(t, err)
	again := ensured("https://one.example")
	require.Equal(t, ledger.WebhookByHand, again.WebhookState)
	require.False(t, again.WebhookTakenAt.IsZero())
	require.True(t, ensured("https://two.example").WebhookTakenAt.IsZero())
}
