package messages_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/messages"
	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/brokertest"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

const patience = 2 * time.Minute

// bench is a ledger with a connection, and a real broker.
type bench struct {
	*testing.T
	store  *sqlstore.Store
	key    ledger.Key
	server *brokertest.Server
	config broker.Config

	mutex  sync.Mutex
	fails  error
	nudged int
	gather []*prometheus.Registry
}

func newBench(t *testing.T) *bench {
	t.Helper()
	server := brokertest.NATS(t)
	server.Stream(t, "CRM", "crm.>")
	b := &bench{T: t, key: ledger.Key{Tenant: "default", Connection: "cn_1"}, server: server}
	b.config = broker.Config{Kind: broker.NATS, URL: server.URL, Stream: "CRM", Topic: "crm.events",
		Auth: broker.Auth{Kind: broker.AuthBasic, Username: server.Username, Password: server.Password}}
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"),
		sqlstore.Options{Key: []byte("0123456789abcdef0123456789abcdef"), Now: time.Now, Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	b.store = store
	require.NoError(t, store.CreateConnection(t.Context(), ledger.Connection{Key: b.key, Name: "n", Integration: "i"}))
	b.state(ledger.Active)
	return b
}

func quiet() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func (b *bench) state(state ledger.ConnectionState) {
	require.NoError(b, b.store.SetConnectionState(b.Context(), b.key, state, ""))
}

// Enqueue stores, or fails as the ledger would.
func (b *bench) Enqueue(ctx context.Context, key ledger.Key, changes []ledger.Change, nudgeFor time.Duration) (bool, error) {
	b.mutex.Lock()
	fails := b.fails
	b.mutex.Unlock()
	if fails != nil {
		return false, fails
	}
	return b.store.Enqueue(ctx, key, changes, nudgeFor)
}

func (b *bench) failWith(err error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.fails = err
}

// worker runs a listener; stop ends it. edit changes what it subscribes with.
func (b *bench) worker(edit ...func(*messages.Options)) (stop func()) {
	b.Helper()
	registry := prometheus.NewRegistry()
	metrics := messages.NewMetrics(registry)
	b.gather = append(b.gather, registry)
	find := func(ctx context.Context, id string) (webhook.Target, error) {
		connection, err := b.store.FindConnection(ctx, id)
		streams := map[string][]string{"contacts": {"leads"}}
		return webhook.Target{Key: connection.Key, State: connection.State, Right: webhook.Source{Driver: acme.Driver{}, Streams: streams}}, err
	}
	receiver := webhook.New(webhook.Options{
		Inbox: b, Directory: webhook.NewCache(find, time.Now), Log: quiet(), Now: time.Now, Observe: metrics,
		Nudge: func(ledger.Key) { b.mutex.Lock(); defer b.mutex.Unlock(); b.nudged++ },
	})
	network := client.Network{Dial: (&net.Dialer{}).DialContext, Name: "accord-test"}
	options := messages.Options{
		Store: b.store, Inbox: receiver, Log: quiet(), Observe: metrics,
		Brokers: func(ledger.Connection) (map[record.Side]broker.Config, error) {
			b.mutex.Lock()
			defer b.mutex.Unlock()
			return map[record.Side]broker.Config{record.Right: b.config}, nil
		},
		Subscribe: func(ctx context.Context, config broker.Config) (broker.Subscription, error) {
			return client.Subscribe(ctx, config, network)
		},
		Publisher: func(ctx context.Context, config broker.Config) (broker.Publisher, error) {
			return client.OpenPublisher(ctx, config, network)
		},
	}
	for _, change := range edit {
		change(&options)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		messages.New(options).Run(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	b.Cleanup(stop)
	return stop
}

// receiving waits until a subscription stands.
func (b *bench) receiving() {
	b.Helper()
	require.Eventually(b, func() bool { return b.broker().State == "receiving" }, patience, 20*time.Millisecond)
}

func (b *bench) broker() ledger.BrokerState {
	state, err := b.store.SideState(b.Context(), b.key, record.Right)
	require.NoError(b, err)
	return state.Broker
}

// publish sends bodies to a topic, each with an id of its own.
func (b *bench) publish(topic string, bodies ...string) {
	b.Helper()
	publisher, err := client.OpenPublisher(b.Context(), b.config, client.Network{Dial: (&net.Dialer{}).DialContext, Name: "crm"})
	require.NoError(b, err)
	defer publisher.Close()
	for _, body := range bodies {
		require.NoError(b, publisher.Publish(b.Context(), topic, broker.Message{Body: []byte(body)}))
	}
}

func event(id string) string {
	return fmt.Sprintf(`[{"event_id":"ev-%s","event":"contact.updated","object":"contact","id":%q,"version":2,"actor":"user:x"}]`, id, id)
}

// stored waits until the inbox has these records, and no others.
func (b *bench) stored(ids ...string) {
	b.Helper()
	require.Eventually(b, func() bool {
		pending, err := b.store.Pending(b.Context(), b.key, ledger.PendingFilter{})
		require.NoError(b, err)
		return pending.Changes == len(ids)
	}, patience, 20*time.Millisecond, "%d records", len(ids))
	work, err := b.store.Claim(b.Context(), b.key, ledger.ClaimRequest{Limit: 100, TTL: time.Minute, MaxLane: ledger.LaneBackfill})
	require.NoError(b, err)
	found := []string{}
	for _, one := range work {
		require.Equal(b, ledger.LaneLive, one.Lane)
		require.Equal(b, "leads", one.Stream)
		found = append(found, one.Ref.ID)
		require.NoError(b, b.store.Release(b.Context(), b.key, one.Lease))
	}
	require.ElementsMatch(b, ids, found)
}

// count is how many messages had an outcome, in all workers.
func (b *bench) count(outcome string) float64 { return b.sum("accord_messages_total", outcome) }

// sum adds a metric over all workers; with an outcome only of that.
func (b *bench) sum(name, outcome string) float64 {
	sum := 0.0
	for _, registry := range b.gather {
		found, err := registry.Gather()
		require.NoError(b, err)
		for _, family := range found {
			if family.GetName() != name {
				continue
			}
			for _, one := range family.GetMetric() {
				hit := outcome == ""
				for _, label := range one.GetLabel() {
					hit = hit || label.GetName() == "outcome" && label.GetValue() == outcome
				}
				if hit {
					sum += one.GetCounter().GetValue() + one.GetGauge().GetValue()
				}
			}
		}
	}
	return sum
}

func TestMessagesAreStoredAndAcknowledged(t *testing.T) {
	b := newBench(t)
	stop := b.worker()
	b.receiving()
	b.publish("crm.events", event("ct_1"), event("ct_2"), event("ct_1"))
	b.stored("ct_1", "ct_2")
	require.Eventually(t, func() bool { return b.count("stored") == 3 }, patience, 20*time.Millisecond)
	require.False(t, b.broker().TakenAt.IsZero())
	stop()
	// Nothing comes again: what is published next is all that a second worker sees.
	b.publish("crm.events", event("ct_3"))
	b.worker()
	b.stored("ct_1", "ct_2", "ct_3")
	require.Eventually(t, func() bool { return b.count("stored") == 4 }, patience, 20*time.Millisecond)
}

func TestALedgerThatFailsLosesNothing(t *testing.T) {
	b := newBench(t)
	b.failWith(fault.New(fault.Unavailable, "the ledger does not answer"))
	b.worker()
	b.receiving()
	b.publish("crm.events", event("ct_1"), event("ct_2"))
	require.Eventually(t, func() bool { return b.count("again") >= 2 }, patience, 20*time.Millisecond, "tried, and left with the broker")
	require.Zero(t, b.count("stored"))
	b.failWith(nil)
	b.stored("ct_1", "ct_2")
}

func TestAWorkerThatDiesBeforeItAcknowledges(t *testing.T) {
	b := newBench(t)
	b.worker(func(o *messages.Options) { o.Subscribe = dying(o.Subscribe) })
	b.receiving()
	b.publish("crm.events", event("ct_1"))
	b.stored("ct_1") // stored, and never acknowledged
	require.NoError(t, b.store.DeleteConnection(t.Context(), b.key))
	require.NoError(t, b.store.CreateConnection(t.Context(), ledger.Connection{Key: b.key, Name: "n", Integration: "i"}))
	b.state(ledger.Active)
	b.worker()
	b.stored("ct_1")
}

// dying never tells the broker anything any more, as a killed worker.
func dying(subscribe func(context.Context, broker.Config) (broker.Subscription, error)) func(context.Context, broker.Config) (broker.Subscription, error) {
	return func(ctx context.Context, config broker.Config) (broker.Subscription, error) {
		opened, err := subscribe(ctx, config)
		return mute{opened}, err
	}
}

type mute struct{ broker.Subscription }

func (m mute) Acknowledge(context.Context, []broker.Message) error {
	return fault.New(fault.Unavailable, "the worker is dead")
}

func TestWhatCannotBeRead(t *testing.T) {
	for name, unreadable := range map[string]string{"is told": "", "is put aside": "crm.unreadable"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.config.Unreadable = unreadable
			b.worker()
			b.receiving()
			b.publish("crm.events", "{not JSON", event("ct_1"), `[{"event":"contact.updated"}]`, event("ct_2"))
			b.stored("ct_1", "ct_2")
			require.Eventually(t, func() bool { return b.broker().Unreadable == 2 }, patience, 20*time.Millisecond)
			require.Equal(t, "invalid", b.broker().UnreadableCode)
			require.InDelta(t, 2, b.count("unreadable"), 0)
			if unreadable == "" {
				return
			}
			aside, err := client.Subscribe(t.Context(), broker.Config{Kind: broker.NATS, URL: b.config.URL, Stream: "CRM", Topic: unreadable, Group: "person", Auth: b.config.Auth}, client.Network{Dial: (&net.Dialer{}).DialContext})
			require.NoError(t, err)
			defer aside.Close()
			b.publish("crm.events", "{again")
			got, err := aside.Receive(t.Context())
			require.NoError(t, err)
			require.Equal(t, "{again", string(got[0].Body))
			require.Equal(t, "invalid", got[0].Header.Get("Accord-Reason"))
		})
	}
}

func TestAPlaceForUnreadableMessagesThatIsNotThere(t *testing.T) {
	b := newBench(t)
	b.config.Unreadable = "nowhere.at.all"
	b.worker()
	b.receiving()
	b.publish("crm.events", "{not JSON", event("ct_1"))
	b.stored("ct_1")
	require.Eventually(t, func() bool { return b.broker().Unreadable == 1 }, patience, 20*time.Millisecond, "it holds up nothing")
	b.publish("crm.events", event("ct_2"))
	b.stored("ct_1", "ct_2")
	require.Equal(t, "receiving", b.broker().State)
}

// one is a subscription with one message.
type one struct {
	message broker.Message
	refused chan broker.Message
}

func (o *one) Receive(ctx context.Context) ([]broker.Message, error) {
	if o.message.Body == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	got := o.message
	o.message.Body = nil
	return []broker.Message{got}, nil
}

func (o *one) Acknowledge(context.Context, []broker.Message) error { return nil }
func (o *one) Refuse(_ context.Context, messages []broker.Message) error {
	o.refused <- messages[0]
	return nil
}
func (o *one) Close() {}

func TestAMessageThatIsTooLarge(t *testing.T) {
	b := newBench(t)
	large := &one{message: broker.Message{Body: []byte(event(strings.Repeat("x", broker.MaxBody)))}, refused: make(chan broker.Message, 1)}
	b.worker(func(o *messages.Options) {
		o.Subscribe = func(context.Context, broker.Config) (broker.Subscription, error) { return large, nil }
	})
	select {
	case got := <-large.refused:
		require.Greater(t, len(got.Body), broker.MaxBody)
	case <-time.After(patience):
		t.Fatal("the message was not refused")
	}
	require.Equal(t, "too_large", b.broker().UnreadableCode)
	b.stored()
}

func TestTheBrokerGoesAndComesBack(t *testing.T) {
	b := newBench(t)
	b.worker()
	b.receiving()
	b.publish("crm.events", event("ct_1"))
	b.stored("ct_1")
	b.server.Stop()
	require.Eventually(t, func() bool { return b.broker().State == "failed" }, patience, 20*time.Millisecond)
	require.Equal(t, "unavailable", b.broker().Reason)
	b.server.Start(t)
	b.publish("crm.events", event("ct_2"))
	b.stored("ct_1", "ct_2")
	b.receiving()
}

func TestTwoWorkersShare(t *testing.T) {
	b := newBench(t)
	b.worker()
	b.worker()
	b.receiving()
	require.Eventually(t, func() bool { return b.sum("accord_subscriptions", "") == 2 }, patience, 20*time.Millisecond)
	ids, bodies := []string{}, []string{}
	for n := range 50 {
		ids = append(ids, fmt.Sprintf("ct_%d", n))
		bodies = append(bodies, event(ids[n]))
	}
	b.publish("crm.events", bodies...)
	b.stored(ids...)
	require.Eventually(t, func() bool { return b.count("stored") == 50 }, patience, 20*time.Millisecond, "each message is stored by one of them")
}
