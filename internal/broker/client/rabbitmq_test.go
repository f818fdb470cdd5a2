package client_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/brokertest"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/fault"
)

// TestRabbitMQ shares one server, which is slow to start.
func TestRabbitMQ(t *testing.T) {
	server := brokertest.RabbitMQ(t)
	server.Exchange(t, "crm", "crm.other", "crm.plain", "crm.unreadable")
	config := broker.Config{
		Kind: broker.RabbitMQ, URL: server.URL, Exchange: "crm", Topic: "crm.events.#", Group: "accord-c1-right",
		Auth: broker.Auth{Kind: broker.AuthBasic, Username: server.Username, Password: server.Password},
	}
	t.Run("what is not there", func(t *testing.T) {
		for name, one := range map[string]struct {
			edit func(*broker.Config)
			code fault.Code
		}{
			"all there":      {func(*broker.Config) {}, ""},
			"a queue":        {func(c *broker.Config) { c.Exchange, c.Queue = "", "crm.plain" }, ""},
			"no such queue":  {func(c *broker.Config) { c.Exchange, c.Queue = "", "none" }, fault.Usage},
			"exchange":       {func(c *broker.Config) { c.Exchange = "none" }, fault.Usage},
			"password":       {func(c *broker.Config) { c.Auth.Password = "wrong" }, fault.Auth},
			"virtual host":   {func(c *broker.Config) { c.URL += "/elsewhere" }, fault.Auth},
			"nobody answers": {func(c *broker.Config) { c.URL = "amqp://127.0.0.1:1" }, fault.Unavailable},
		} {
			t.Run(name, func(t *testing.T) {
				config := config
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
	})
	t.Run("nobody takes it", func(t *testing.T) {
		publisher, err := client.OpenPublisher(t.Context(), config, loopback())
		require.NoError(t, err)
		defer publisher.Close()
		err = publisher.Publish(t.Context(), "nobody.listens", broker.Message{Body: []byte("x")})
		require.Equal(t, fault.Usage, fault.CodeOf(err), "%v", err)
		require.NoError(t, publisher.Publish(t.Context(), "crm.plain", broker.Message{Body: []byte("x")}), "and the next one is taken")
	})
	t.Run("no such exchange to publish to", func(t *testing.T) {
		config := config
		config.Exchange = "none"
		publisher, err := client.OpenPublisher(t.Context(), config, loopback())
		require.NoError(t, err)
		defer publisher.Close()
		err = publisher.Publish(t.Context(), "crm.plain", broker.Message{Body: []byte("x")})
		require.Equal(t, fault.Usage, fault.CodeOf(err), "%v", err)
		require.False(t, fault.As(err).MaybeApplied)
		require.Contains(t, err.Error(), "check broker.queue and broker.exchange")
	})
	t.Run("an exchange", func(t *testing.T) {
		conforms(t, conformance{server: server, config: config, topic: "crm.events.contact", elsewhere: "crm.other"})
	})
}
