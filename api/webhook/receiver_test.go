package webhook_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// driver takes any body "signed" with a secret in the header, and answers its events.
type driver struct {
	connector.Driver
	events []connector.Event
}

func (d driver) ParseWebhook(header http.Header, _ []byte, secrets []string, _ time.Time) ([]connector.Event, error) {
	if !slices.Contains(secrets, header.Get("Secret")) {
		return nil, fault.New(fault.Unauthorized, "bad signature")
	}
	return d.events, nil
}

// setup is a receiver whose parts can be changed between deliveries.
type setup struct {
	target   webhook.Target
	finds    int
	enqueued []ledger.Change
	fails    error
	needs    bool
	nudged   []ledger.Key
	now      time.Time
	registry *prometheus.Registry
	receiver *webhook.Receiver
}

func (s *setup) Enqueue(_ context.Context, _ ledger.Key, changes []ledger.Change, nudgeFor time.Duration) (bool, error) {
	if s.fails != nil || nudgeFor <= 0 {
		return false, s.fails
	}
	s.enqueued = append(s.enqueued, changes...)
	return s.needs, nil
}

func receiving(events ...connector.Event) *setup {
	source := webhook.Source{
		Driver: driver{events: events}, Secrets: []string{"new", "old"},
		Streams: map[string][]string{"contacts": {"leads"}, "users": {"users", "people"}},
	}
	s := &setup{
		target: webhook.Target{Key: ledger.Key{Tenant: "t", Connection: "c"}, State: ledger.Active, Left: webhook.Source{Driver: driver{}}, Right: source},
		needs:  true, now: time.Unix(1000, 0), registry: prometheus.NewRegistry(),
	}
	find := func(_ context.Context, id string) (webhook.Target, error) {
		s.finds++
		if id != "c" {
			return webhook.Target{}, fault.New(fault.NotFound, "there is no connection")
		}
		return s.target, nil
	}
	log, _ := test.NewNullLogger()
	s.receiver = webhook.New(webhook.Options{
		Inbox: s, Directory: webhook.NewCache(find, func() time.Time { return s.now }),
		Nudge: func(key ledger.Key) { s.nudged = append(s.nudged, key) }, Log: log, Now: func() time.Time { return s.now },
		Tracer: sdktrace.NewTracerProvider().Tracer("test"), Observe: webhook.NewMetrics(s.registry),
	})
	return s
}

func (s *setup) deliver(t *testing.T, connection string, side record.Side, secret string) (int, int, error) {
	t.Helper()
	return s.receiver.Receive(t.Context(), connection, side, http.Header{"Secret": {secret}}, []byte("{}"))
}

// series counts the label sets of a metric.
func series(t *testing.T, registry *prometheus.Registry, name string) int {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return len(family.GetMetric())
		}
	}
	return 0
}

func TestMergesAndManyStreams(t *testing.T) {
	s := receiving(
		connector.Event{ID: "e1", Object: "contacts", RecordID: "loser", MergedInto: "winner"},
		connector.Event{ID: "e2", Object: "users", RecordID: "u1"},
		connector.Event{ID: "e3", Object: "deals", RecordID: "d1"},
		connector.Event{ID: "e4", Object: "contacts"},
	)
	accepted, ignored, err := s.deliver(t, "c", record.Right, "new")
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, []int{accepted, ignored})
	var seen []string
	for _, change := range s.enqueued {
		seen = append(seen, change.Stream+" "+change.Ref.String()+" "+change.EventID)
		require.Equal(t, ledger.LaneLive, change.Lane)
		require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, change.Trace)
	}
	require.Equal(t, []string{
		"leads right/contacts/loser e1", "leads right/contacts/winner e1", "users right/users/u1 e2", "people right/users/u1 e2",
	}, seen)
	require.Equal(t, []ledger.Key{{Tenant: "t", Connection: "c"}}, s.nudged)
	require.Equal(t, 2, series(t, s.registry, "accord_webhook_events_total"), "accepted and unmapped")
}

// An event is kept apart for rules that fire once per event, if it is one that they name.
func TestEventsThatCountOneByOne(t *testing.T) {
	s := receiving(
		connector.Event{ID: "e1", Object: "contacts", RecordID: "loser", MergedInto: "winner", Kind: "contact.merged"},
		connector.Event{ID: "e2", Object: "users", RecordID: "u1", Kind: "user.updated"},
		connector.Event{ID: "e3", Object: "users", RecordID: "u1", Kind: "user.created"},
	)
	s.target.Right.Each = map[string][]string{"leads": nil, "people": {"user.created"}}
	_, _, err := s.deliver(t, "c", record.Right, "new")
	require.NoError(t, err)
	var kept []string
	for _, change := range s.enqueued {
		if change.KeepEvent {
			kept = append(kept, change.Stream+" "+change.Ref.ID+" "+change.EventID)
		}
	}
	require.Equal(t, []string{"leads loser e1", "people u1 e3"}, kept)
}

func TestTheTraceOfTheCallerGoesOn(t *testing.T) {
	s := receiving(connector.Event{ID: "e", Object: "contacts", RecordID: "r"})
	header := http.Header{"Secret": {"new"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
	_, _, err := s.receiver.Receive(t.Context(), "c", record.Right, header, nil)
	require.NoError(t, err)
	require.Contains(t, s.enqueued[0].Trace, "0af7651916cd43dd8448eb211c80319c")
}

func TestSecrets(t *testing.T) {
	s := receiving(connector.Event{ID: "e", Object: "contacts", RecordID: "r"})
	for _, secret := range []string{"new", "old"} {
		_, _, err := s.deliver(t, "c", record.Right, secret)
		require.NoError(t, err, "both secrets count during rotation")
	}
	_, _, err := s.deliver(t, "c", record.Right, "wrong")
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
	_, _, err = s.deliver(t, "c", record.Left, "")
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err), "a side without a secret takes nothing")
	_, _, err = s.deliver(t, "other", record.Right, "new")
	require.Equal(t, fault.NotFound, fault.CodeOf(err))
	require.Len(t, s.enqueued, 2)
	require.Equal(t, 3, series(t, s.registry, "accord_webhooks_refused_total"), "two sides refused, one unknown")
}

func TestStates(t *testing.T) {
	tests := map[ledger.ConnectionState]struct{ stored, nudged int }{
		ledger.Draft: {0, 0}, ledger.Active: {1, 1}, ledger.Paused: {1, 0}, ledger.Failing: {1, 1},
	}
	for state, want := range tests {
		t.Run(string(state), func(t *testing.T) {
			s := receiving(connector.Event{ID: "e", Object: "contacts", RecordID: "r"})
			s.target.State = state
			_, _, err := s.deliver(t, "c", record.Right, "new")
			require.NoError(t, err)
			require.Len(t, s.enqueued, want.stored)
			require.Len(t, s.nudged, want.nudged)
		})
	}
}

func TestWhatIsNotStoredIsNotAcknowledged(t *testing.T) {
	s := receiving(connector.Event{ID: "e", Object: "contacts", RecordID: "r"})
	s.fails = fault.New(fault.Unavailable, "the database does not answer")
	_, _, err := s.deliver(t, "c", record.Right, "new")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.Empty(t, s.nudged)
	s.fails, s.needs = nil, false
	_, _, err = s.deliver(t, "c", record.Right, "new")
	require.NoError(t, err)
	require.Empty(t, s.nudged, "a nudge that is under way is not repeated")
}

func TestConnectionsAreRemembered(t *testing.T) {
	s := receiving(connector.Event{ID: "e", Object: "contacts", RecordID: "r"})
	for range 100 {
		_, _, err := s.deliver(t, "c", record.Right, "new")
		require.NoError(t, err)
	}
	require.Equal(t, 1, s.finds)
	s.now = s.now.Add(webhook.CacheFor)
	_, _, err := s.deliver(t, "c", record.Right, "new")
	require.NoError(t, err)
	require.Equal(t, 2, s.finds)

	// A secret that was put in place a moment ago counts at once.
	s.target.Right.Secrets = []string{"newest"}
	s.now = s.now.Add(webhook.CacheFor / 2)
	_, _, err = s.deliver(t, "c", record.Right, "newest")
	require.NoError(t, err)
	require.Equal(t, 3, s.finds)

	// A flood of bad signatures does not become a flood of look-ups.
	for range 100 {
		_, _, err = s.deliver(t, "c", record.Right, "wrong")
		require.Error(t, err)
	}
	require.Equal(t, 3, s.finds)
}

func TestNudgerNeverBlocks(t *testing.T) {
	log, _ := test.NewNullLogger()
	var told atomic.Int64
	release := make(chan struct{})
	nudger := webhook.NewNudger(func(ctx context.Context, _ ledger.Key) error {
		told.Add(1)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return fault.New(fault.Unavailable, "Temporal does not answer")
	}, log)
	for range 5000 {
		nudger.Nudge(ledger.Key{Connection: "c"})
	}
	require.Eventually(t, func() bool { return told.Load() == 4 }, 10*time.Second, time.Millisecond)
	close(release)
	require.Eventually(t, func() bool { return told.Load() > 1000 }, 10*time.Second, time.Millisecond, "a failed nudge does not end the worker")
	var closing sync.WaitGroup
	closing.Go(nudger.Close)
	closing.Wait()
}

// addressed is a driver whose vendor signs the address that it calls.
type addressed struct {
	driver
	asked *[]string
}

func (a addressed) ParseWebhookAt(address string, header http.Header, body []byte, secrets []string, now time.Time) ([]connector.Event, error) {
	*a.asked = append(*a.asked, address)
	return a.ParseWebhook(header, body, secrets, now)
}

// TestTheAddressIsTold: to drivers that want it, as the vendor was given it.
func TestTheAddressIsTold(t *testing.T) {
	var asked []string
	s := receiving()
	s.target.Right.Driver = addressed{driver: driver{events: []connector.Event{{ID: "e", Object: "contacts", RecordID: "1"}}}, asked: &asked}
	log, _ := test.NewNullLogger()
	for _, public := range []string{"https://accord.example", ""} {
		receiver := webhook.New(webhook.Options{
			Inbox: s, PublicURL: public, Directory: webhook.NewCache(func(context.Context, string) (webhook.Target, error) { return s.target, nil }, func() time.Time { return s.now }),
			Nudge: func(ledger.Key) {}, Log: log, Now: func() time.Time { return s.now },
		})
		accepted, _, err := receiver.Receive(t.Context(), "c", record.Right, http.Header{"Secret": {"new"}}, []byte("{}"))
		require.NoError(t, err)
		require.Equal(t, 1, accepted)
	}
	require.Equal(t, []string{"https://accord.example/webhooks/c/right", ""}, asked)
}
