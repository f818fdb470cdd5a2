package client_test

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/brokertest"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/fault"
)

func loopback() client.Network {
	return client.Network{Dial: (&net.Dialer{}).DialContext, HTTP: &http.Client{Timeout: client.SQSTimeout}, Now: time.Now, Name: "accord-test"}
}

func natsConfig(server *brokertest.Server) broker.Config {
	return broker.Config{
		Kind: broker.NATS, URL: server.URL, Stream: "CRM", Topic: "crm.events.>", Group: "accord-c1-right",
		Auth: broker.Auth{Kind: broker.AuthBasic, Username: server.Username, Password: server.Password},
	}
}

func TestNATS(t *testing.T) {
	server := brokertest.NATS(t)
	server.Stream(t, "CRM", "crm.>")
	conforms(t, conformance{server: server, config: natsConfig(server), topic: "crm.events.contact", elsewhere: "crm.other"})
}

// TestNATSBeginsWhereItShall: a durable consumer that is new begins at a time, and one
// that is known where it stood.
func TestNATSBeginsWhereItShall(t *testing.T) {
	server := brokertest.NATS(t)
	server.Stream(t, "CRM", "crm.>")
	config := natsConfig(server)
	c := conformance{server: server, config: config}
	send(t, config, "crm.events.contact", "before")
	c.config.Group, c.config.Since = "since", time.Now().Add(-time.Minute)
	since := subscribe(t, c)
	require.Equal(t, []string{"before"}, bodies(take(t, since, 1)))
	since.Close()
	c.config.Group, c.config.Since = "from-now-on", time.Time{}
	fromNow := subscribe(t, c)
	send(t, config, "crm.events.contact", "after")
	got := take(t, fromNow, 1)
	require.Equal(t, []string{"after"}, bodies(got))
	require.NoError(t, fromNow.Acknowledge(t.Context(), got))
	fromNow.Close()
	send(t, config, "crm.events.contact", "meanwhile")
	c.config.Since = time.Now().Add(-time.Hour)
	again := subscribe(t, c)
	defer again.Close()
	require.Equal(t, []string{"meanwhile"}, bodies(take(t, again, 1)), "a known one goes on where it stood")

	c.config.Group = "since"
	first := subscribe(t, c)
	require.NoError(t, first.Acknowledge(t.Context(), take(t, first, 3)))
	first.Close()
	send(t, config, "crm.others", "another topic")
	c.config.Topic = "crm.>"
	moved := subscribe(t, c)
	defer moved.Close()
	require.Equal(t, []string{"another topic"}, bodies(take(t, moved, 1)), "nor does another topic begin anew")
}

func TestNATSWhatIsNotThere(t *testing.T) {
	server := brokertest.NATS(t)
	server.Stream(t, "CRM", "crm.>")
	for name, one := range map[string]struct {
		edit func(*broker.Config)
		code fault.Code
	}{
		"all there":      {func(*broker.Config) {}, ""},
		"stream":         {func(c *broker.Config) { c.Stream = "NONE" }, fault.Usage},
		"topic":          {func(c *broker.Config) { c.Topic = "elsewhere.>" }, fault.Usage},
		"password":       {func(c *broker.Config) { c.Auth.Password = "wrong" }, fault.Auth},
		"no log-in":      {func(c *broker.Config) { c.Auth = broker.Auth{Kind: broker.AuthNone} }, fault.Auth},
		"nobody answers": {func(c *broker.Config) { c.URL = "nats://127.0.0.1:1" }, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			config := natsConfig(server)
			one.edit(&config)
			checked := client.Check(t.Context(), config, loopback())
			subscription, err := client.Subscribe(t.Context(), config, loopback())
			if one.code == "" {
				require.NoError(t, checked)
				require.NoError(t, err)
				subscription.Close()
				return
			}
			require.Equal(t, one.code, fault.CodeOf(checked), "%v", checked)
			require.Equal(t, one.code, fault.CodeOf(err), "%v", err)
		})
	}
}

func TestNATSNewTopicOfAnEdit(t *testing.T) {
	server := brokertest.NATS(t)
	server.Stream(t, "CRM", "crm.>")
	config := natsConfig(server)
	first, err := client.Subscribe(t.Context(), config, loopback())
	require.NoError(t, err)
	first.Close()
	config.Topic = "crm.other"
	second, err := client.Subscribe(t.Context(), config, loopback())
	require.NoError(t, err)
	defer second.Close()
	send(t, config, "crm.events.contact", "1")
	send(t, config, "crm.other", "2")
	got := take(t, second, 1)
	require.Equal(t, "2", string(got[0].Body))
}

// send publishes one message; its body is its id.
func send(t *testing.T, config broker.Config, topic, body string) {
	t.Helper()
	publisher, err := client.OpenPublisher(t.Context(), config, loopback())
	require.NoError(t, err)
	defer publisher.Close()
	require.NoError(t, publisher.Publish(t.Context(), topic, broker.Message{ID: body, Header: map[string][]string{"Traceparent": {"00-" + body}}, Body: []byte(body)}))
}

// take receives until there are so many, and acknowledges none.
func take(t *testing.T, from broker.Subscription, count int) []broker.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []broker.Message
	for len(got) < count {
		batch, err := from.Receive(ctx)
		require.NoError(t, err)
		got = append(got, batch...)
	}
	return got
}

// nothing checks that no message comes any more: the one that is sent now is the next.
func nothing(t *testing.T, c conformance, from broker.Subscription) {
	t.Helper()
	mark := strconv.FormatInt(time.Now().UnixNano(), 10)
	send(t, c.config, c.topic, mark)
	got := take(t, from, 1)
	require.Equal(t, mark, string(got[0].Body))
	require.NoError(t, from.Acknowledge(t.Context(), got))
}
