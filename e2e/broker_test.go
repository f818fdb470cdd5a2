//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/broker/brokertest"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// post is a broker of a world: how the world's Acme leaves its events there, and
// which ready-made file fetches them, after which edits.
type post struct {
	server *brokertest.Server
	file   string
	edits  []setting
	to     wire.Broker
}

func natsPost(t *testing.T) post {
	server := brokertest.NATS(t)
	server.Stream(t, "ACME", "acme.>")
	return post{server: server, file: "salesos-acme-nats.yaml",
		to: wire.Broker{Kind: "nats", URL: server.URL, Topic: "acme.events", Username: server.Username, Password: server.Password}}
}

// rabbitPost is the ready-made file with webhooks, after the lines of the guide.
func rabbitPost(t *testing.T) post {
	server := brokertest.RabbitMQ(t)
	server.Exchange(t, "crm")
	return post{
		server: server, file: "salesos-acme.yaml",
		edits: []setting{replaced(`    webhook: {secret: "${secret:acme_webhook}"}`, strings.Join([]string{
			"    broker:", "      kind: rabbitmq", "      url: ${ACME_BROKER_URL}", "      exchange: ${ACME_BROKER_EXCHANGE:-crm}", "      topic: ${ACME_BROKER_TOPIC:-acme.events}",
			`      auth: {kind: basic, username: "${ACME_BROKER_USER:-accord}", password: "${secret:acme_broker}"}`}, "\n"))},
		to: wire.Broker{Kind: "rabbitmq", URL: server.URL, Exchange: "crm", Topic: "acme.events", Username: server.Username, Password: server.Password},
	}
}

// byMessage has the events of Acme come through a broker, and nothing be found by
// polls.
func byMessage(t *testing.T, by post) setting {
	return func(w *world) {
		text, err := integrations.Read(by.file)
		require.NoError(t, err)
		w.integration = strings.ReplaceAll(string(text), "late_by: 60s", "late_by: 3s")
		withoutPolls()(w)
		w.variables["ACME_BROKER_URL"], w.variables["ACME_BROKER_USER"] = by.server.URL, by.server.Username
		for _, edit := range by.edits {
			edit(w)
		}
		w.secrets["acme_broker"] = by.server.Password
		require.NoError(t, w.right.admin.PublishTo(t.Context(), by.to))
	}
}

// awaitReceiving waits until the workers receive.
func (w *world) awaitReceiving(t testing.TB) {
	t.Helper()
	eventually(t, "messages are received", func(ctx context.Context) (bool, string) {
		found, err := get[struct {
			Sides struct {
				Right struct {
					Broker struct{ Kind, State, Reason string }
				}
			}
		}](ctx, w.s.api, w.path("/status"))
		return err == nil && found.Sides.Right.Broker.State == "receiving", fmt.Sprintf("%+v, error %v", found, err)
	})
}

func TestBrokerNATS(t *testing.T) { dayOfMessages(t, natsPost(t)) }

func TestBrokerRabbitMQ(t *testing.T) { dayOfMessages(t, rabbitPost(t)) }

// dayOfMessages: all that Acme has to tell comes through the broker.
func dayOfMessages(t *testing.T, by post) {
	s := newStack(t, stackOptions{})
	w := newWorld(t, s, byMessage(t, by))
	w.seed(t, 2, 2, 6)
	w.bringUp(t, 10)
	w.awaitReceiving(t)
	who := w.pair(t, 5)
	on := w.right

	edited := w.word("Por mensagem")
	w.edit(t, on, who, map[string]any{"company_name": edited})
	w.awaitBoth(t, who, person{"company": edited})
	t.Log("an edit in Acme came to SalesOS by message")

	require.NoError(t, on.admin.RepeatWebhooks(t.Context(), 3, 0))
	require.NoError(t, on.admin.HoldWebhooks(t.Context()))
	for n := range 5 {
		edited = w.word(fmt.Sprintf("Volta %d", n))
		w.edit(t, on, who, map[string]any{"company_name": edited})
	}
	require.NoError(t, on.admin.ReleaseWebhooks(t.Context(), wire.Release{Order: wire.Reversed}))
	w.awaitBoth(t, who, person{"company": edited})
	require.NoError(t, on.admin.RepeatWebhooks(t.Context(), 1, 0))
	w.awaitIdle(t)
	require.Equal(t, edited, w.holds(t, w.left, who)["company"])
	t.Log("five edits, each told three times and in the wrong order: the last one stands")

	wanted := map[pair]string{}
	for n := 1; n <= 10; n++ {
		who := w.pair(t, n)
		wanted[who] = w.word("Morto")
		w.edit(t, on, who, map[string]any{"company_name": wanted[who]})
		if n == 5 {
			s.strike(t, s.workers)
		}
	}
	s.strike(t, s.workers)
	for who, company := range wanted {
		w.awaitBoth(t, who, person{"company": company})
	}
	t.Log("ten edits while both workers were killed twice: none lost")

	by.server.Stop()
	edited = w.word("Sem correio")
	w.edit(t, on, who, map[string]any{"company_name": edited})
	time.Sleep(2 * time.Second) // the sandbox tries in vain meanwhile
	by.server.Start(t)
	require.NoError(t, on.admin.RetryWebhooks(t.Context()))
	w.awaitBoth(t, who, person{"company": edited})
	t.Log("the broker was away and came back")
	w.quiet(t)
}
