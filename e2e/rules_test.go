//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
)

// messages receives what a rule sends; it honours Idempotency-Key and takes its time
// now and then.
type messages struct {
	mutex sync.Mutex
	byKey map[string]string
	down  bool
	asked int
}

func (m *messages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.asked++
	if m.down || err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	m.byKey[r.Header.Get("Idempotency-Key")] = string(body)
}

func (m *messages) set(down bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.down = down
}

// texts counts the messages by their text.
func (m *messages) texts() (texts map[string]int, asked int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	texts = map[string]int{}
	for _, text := range m.byKey {
		texts[text]++
	}
	return texts, m.asked
}

// TestWonDealsBecomeOrdersOnce installs salesos-orders.yaml over real processes, wins
// deals while the chat is down and workers die, and has every webhook come again: one
// order and one message for each deal, and none for those that were won before.
func TestWonDealsBecomeOrdersOnce(t *testing.T) {
	s := newStack(t, stackOptions{})
	chat := &messages{byKey: map[string]string{}}
	server := httptest.NewServer(chat)
	t.Cleanup(server.Close)
	m := newWorld(t, s, func(w *world) {
		text, err := integrations.Read("salesos-orders.yaml")
		require.NoError(t, err)
		w.integration = string(text)
		w.variables["SALESOS_LATE_BY"], w.variables["ACME_LATE_BY"] = "3s", "3s"
		w.secrets["chat_webhook"] = server.URL + "/T000/" + w.secrets["acme_webhook"]
	})
	ctx := t.Context()
	deal := func(name, status string) string {
		made, err := m.left.admin.CreateRecord(ctx, "deals", map[string]any{"name": name + " " + m.canary, "value": 10, "status": status})
		require.NoError(t, err)
		return made.ID
	}
	// What changes in the second of the installation may be before it or after it.
	require.NoError(t, m.left.admin.SetSwitches(ctx, map[string]any{"clock_offset_ms": -time.Hour.Milliseconds()}))
	deal("old", "won")
	require.NoError(t, m.left.admin.SetSwitches(ctx, map[string]any{"clock_offset_ms": 0}))
	var open []string
	for n := range 20 {
		open = append(open, deal(fmt.Sprintf("deal %d", n), "open"))
	}
	m.install(t)
	m.activate(t)
	require.Equal(t, "succeeded", m.awaitRun(t, "backfill").State)
	require.NoError(t, m.left.admin.RepeatWebhooks(ctx, 3, 1000))
	chat.set(true)
	for n, id := range open {
		_, err := m.left.admin.EditRecord(ctx, "deals", id, map[string]any{"status": "won"})
		require.NoError(t, err)
		if n == 10 {
			s.strike(t, s.workers)
		}
	}
	eventually(t, "the chat was called while it was down", func(context.Context) (bool, string) {
		_, asked := chat.texts()
		return asked > 0, fmt.Sprint(asked)
	})
	s.strike(t, s.workers)
	chat.set(false)
	eventually(t, "each deal has its order and its message", func(ctx context.Context) (bool, string) {
		orders, err := m.right.admin.Records(ctx, "orders")
		texts, asked := chat.texts()
		return err == nil && len(orders) >= len(open) && len(texts) >= len(open), fmt.Sprintf("%d orders, %d messages, %d calls, %v", len(orders), len(texts), asked, err)
	})
	eventually(t, "nothing waits", func(ctx context.Context) (bool, string) {
		now, err := m.status(ctx)
		return err == nil && now.Pending.Changes+now.Pending.Intents == 0, fmt.Sprintf("%+v %v", now, err)
	})
	orders, err := m.right.admin.Records(ctx, "orders")
	require.NoError(t, err)
	require.Len(t, orders, len(open))
	texts, asked := chat.texts()
	require.Len(t, texts, len(open))
	for text, times := range texts {
		require.Equal(t, 1, times, "one key for one message")
		require.False(t, strings.Contains(text, "old"), "it was won before")
	}
	fired, err := all[map[string]any](ctx, s.api, m.path("/firings"), nil)
	require.NoError(t, err)
	require.Len(t, fired, len(open))
	counted, err := all[struct{ Count int }](ctx, s.api, m.path("/counts"), nil)
	require.NoError(t, err)
	require.Equal(t, len(open), counted[0].Count)
	t.Logf("%d deals were won: %d orders, %d messages out of %d calls, counted %d", len(open), len(orders), len(texts), asked, counted[0].Count)
}
