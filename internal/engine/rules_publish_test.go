package engine_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/brokertest"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const publishRule = `
  won:
    when: {side: left, object: deals, events: [deal.won], every: 1s}
    then:
      - count: {metric: deals_won}
      - publish: {broker: {kind: nats, url: "${NATS:-nats://127.0.0.1:1}", auth: {kind: basic, username: accord, password: "${NATS_PASSWORD:-x}"}}, to: crm.deals.won, body: {text: '"Won: " + name', deal.value: value}}
`

// table is a broker that drops what comes again under the same id.
type table struct {
	mu       sync.Mutex
	requests int
	messages map[string]string
	topics   map[string]bool
	config   broker.Config
	// opening and publishing fail with these; lost: the message arrives, the answer does not.
	opening, publishing error
	lost                bool
}

func newTable() *table { return &table{messages: map[string]string{}, topics: map[string]bool{}} }

func (b *table) open(_ context.Context, config broker.Config) (broker.Publisher, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config = config
	if b.opening != nil {
		return nil, b.opening
	}
	return b, nil
}

// Publish implements broker.Publisher.
func (b *table) Publish(_ context.Context, topic string, message broker.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	if b.publishing == nil || b.lost {
		b.messages[message.ID], b.topics[topic] = string(message.Body), true
	}
	return b.publishing
}

// Close implements broker.Publisher.
func (b *table) Close() {}

func (b *table) failing(opening, publishing error, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opening, b.publishing, b.lost = opening, publishing, lost
}

func TestRulePublishesOnceAndTriesAgain(t *testing.T) {
	broken := newTable()
	b := start(t, setup{edit: withRules(publishRule), publisher: broken.open})
	lost := fault.New(fault.Transient, "the broker did not confirm a message")
	lost.MaybeApplied = true
	deal := b.deal(map[string]any{"name": "Big one", "value": 75000, "status": "won"})
	b.event("won", deal, "e1")
	for _, failure := range []struct {
		opening, publishing error
		lost                bool
	}{{fault.New(fault.Unavailable, "the broker is not reached"), nil, false}, {nil, lost, true}} {
		broken.failing(failure.opening, failure.publishing, failure.lost)
		for range 3 {
			b.drain()
			b.clock.advance(time.Minute)
		}
		require.Empty(t, b.letters(), "what is down comes back")
		require.Len(t, b.firings(ledger.FiringOpen), 1)
	}
	b.editDeal(deal, map[string]any{"name": "Renamed"})
	broken.failing(nil, nil, false)
	b.settle()
	done := b.firings(ledger.FiringDone)
	require.Len(t, done, 1)
	require.Equal(t, map[string]string{done[0].ID + ".1": `{"deal":{"value":75000},"text":"Won: Big one"}`}, broken.messages, "as it was when it fired, under one id")
	require.Greater(t, broken.requests, 1)
	require.Equal(t, map[string]bool{"crm.deals.won": true}, broken.topics)
	require.Equal(t, broker.NATS, broken.config.Kind)
	require.Equal(t, "publish", done[0].Effects[1].Kind)
	require.Nil(t, done[0].Effects[1].Body, "what was sent is not kept")
	counts, err := b.store.RuleCounts(b.ctx, b.key)
	require.NoError(t, err)
	require.EqualValues(t, 1, counts[0].Count)
}

func TestRuleMessageThatIsRefused(t *testing.T) {
	broken := newTable()
	b := start(t, setup{edit: withRules(publishRule), publisher: broken.open})
	broken.failing(nil, fault.New(fault.Usage, "no stream has the subject to publish to; make one that has it"), false)
	deal := b.deal(map[string]any{"name": "Big one", "value": 1, "status": "won"})
	b.event("won", deal, "e1")
	b.ruleQuiet("rules.won")
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, "invalid", letters[0].Reason.Code)
	require.Contains(t, letters[0].Reason.Message, "rules.won then[1]: no stream has the subject")
	require.Len(t, b.firings(ledger.FiringParked), 1)
	sent := broken.requests
	b.ruleQuiet("rules.won")
	require.Equal(t, sent, broken.requests, "it is not tried again by itself")
	broken.failing(nil, nil, false)
	_, err := b.store.PatchDeadLetter(b.ctx, b.key, letters[0].ID, ledger.Values{"name": "Corrected"})
	require.NoError(t, err)
	_, err = b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
	require.NoError(t, err)
	b.settle()
	require.Empty(t, b.letters())
	done := b.firings(ledger.FiringDone)
	require.Len(t, done, 1)
	require.Equal(t, map[string]string{done[0].ID + ".1": `{"deal":{"value":1},"text":"Won: Corrected"}`}, broken.messages)
}

func TestRulePublishKilledAtEveryStep(t *testing.T) {
	for n := 0; ; n++ {
		taken := newTable()
		b := start(t, setup{edit: withRules(publishRule), publisher: taken.open, memory: true})
		deal := b.deal(map[string]any{"name": "Big one", "value": 75000, "status": "won"})
		b.event("won", deal, "e1")
		reached := b.killAt(n)
		b.event("won", deal, "e1")
		b.clock.advance(11 * time.Second)
		b.ruleQuiet("rules.won")
		require.Len(t, taken.messages, 1, "killed at step %d", n)
		require.Len(t, b.firings(ledger.FiringDone), 1)
		if !reached {
			require.Greater(t, n, 5, "the kills have reached the message")
			return
		}
	}
}

func TestRulePublishesToNATS(t *testing.T) {
	server := brokertest.NATS(t)
	b := start(t, setup{edit: withRules(publishRule), variables: map[string]string{"NATS": server.URL, "NATS_PASSWORD": server.Password}})
	deal := b.deal(map[string]any{"name": "Big one", "value": 75000, "status": "won"})
	b.event("won", deal, "e1")
	b.drain()
	letters := b.letters()
	require.Len(t, letters, 1, "there is no stream with that subject")
	require.NotContains(t, letters[0].Reason.Message, server.Password)

	server.Stream(t, "CRM", "crm.>")
	_, err := b.store.ReplayDeadLetters(b.ctx, b.key, []string{letters[0].ID}, "")
	require.NoError(t, err)
	// There is a reader before the message: a new one begins with what comes from then on.
	subscribe := func() broker.Subscription {
		dialer := &net.Dialer{}
		reader, err := client.Subscribe(t.Context(), broker.Config{
			Kind: broker.NATS, URL: server.URL, Stream: "CRM", Group: "reader",
			Auth: broker.Auth{Kind: broker.AuthBasic, Username: server.Username, Password: server.Password},
		}, client.Network{Dial: dialer.DialContext, Now: time.Now, Name: "test"})
		require.NoError(t, err)
		return reader
	}
	subscribe().Close()
	server.Stop()
	b.drain()
	require.Empty(t, b.firings(ledger.FiringDone), "nobody has taken it")
	server.Start(t)
	b.clock.advance(time.Minute)
	b.settle()
	done := b.firings(ledger.FiringDone)
	require.Len(t, done, 1)
	reader := subscribe()
	defer reader.Close()
	got, err := reader.Receive(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, done[0].ID+".1", got[0].ID)
	require.JSONEq(t, `{"deal": {"value": 75000}, "text": "Won: Big one"}`, string(got[0].Body))
}
