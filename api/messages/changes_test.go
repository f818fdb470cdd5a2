package messages_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func TestConnectionsComeChangeAndGo(t *testing.T) {
	b := newBench(t)
	b.state(ledger.Draft)
	b.worker()
	standing := func(want float64) {
		t.Helper()
		require.Eventually(t, func() bool { return b.sum("accord_subscriptions", "") == want }, patience, 20*time.Millisecond)
	}
	standing(0)
	b.state(ledger.Active)
	standing(1)
	// A paused one goes on storing, and tells nobody to work.
	b.state(ledger.Paused)
	time.Sleep(webhook.CacheFor) // what the receiver knows of it may be so old
	b.publish("crm.events", event("ct_1"))
	b.stored("ct_1")
	b.mutex.Lock()
	require.Zero(t, b.nudged)
	b.mutex.Unlock()
	// An edit moves it to another topic.
	b.mutex.Lock()
	b.config.Topic = "crm.others"
	b.mutex.Unlock()
	connection, err := b.store.Connection(t.Context(), b.key)
	require.NoError(t, err)
	connection.Version++
	require.NoError(t, b.store.UpdateConnection(t.Context(), connection))
	require.Eventually(t, func() bool {
		b.publish("crm.others", event("ct_2"))
		pending, err := b.store.Pending(t.Context(), b.key, ledger.PendingFilter{})
		return err == nil && pending.Changes == 2
	}, patience, 100*time.Millisecond)
	require.NoError(t, b.store.DeleteConnection(t.Context(), b.key))
	standing(0)
}

func TestADriverThatFallsOverAMessage(t *testing.T) {
	b := newBench(t)
	find := func(ctx context.Context, id string) (webhook.Target, error) {
		return webhook.Target{Key: b.key, State: ledger.Active, Right: webhook.Source{Driver: falling{}, Streams: map[string][]string{"contacts": {"leads"}}}}, nil
	}
	receiver := webhook.New(webhook.Options{Inbox: b, Directory: webhook.NewCache(find, time.Now), Log: quiet(), Now: time.Now, Nudge: func(ledger.Key) {}})
	refused, err := receiver.Take(t.Context(), b.key.Connection, record.Right, []webhook.Message{{Body: []byte("fall")}, {Body: []byte("stand")}})
	require.NoError(t, err)
	require.Len(t, refused, 1)
	require.Equal(t, fault.Internal, fault.CodeOf(refused[0]))
	b.stored("stand")
}

type falling struct{ acme.Driver }

func (falling) ReadMessage(_ http.Header, body []byte) ([]connector.Event, error) {
	if string(body) == "fall" {
		panic("over a message")
	}
	return []connector.Event{{ID: "e", Object: "contacts", RecordID: string(body), Kind: "contact.updated"}}, nil
}
