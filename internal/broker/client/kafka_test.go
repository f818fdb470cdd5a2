package client_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/fault"
)

// newKafka starts a server that speaks Kafka's protocol, in memory, with one topic per name.
func newKafka(t *testing.T, options ...kfake.Opt) (*kfake.Cluster, broker.Config) {
	t.Helper()
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1), kfake.SeedTopics(1, "crm", "other"))...)
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	return cluster, broker.Config{
		Kind: broker.Kafka, URL: "kafka://" + cluster.ListenAddrs()[0], Topic: "crm", Group: "accord-c1-right", Since: time.Now().Add(-time.Minute), Auth: broker.Auth{Kind: broker.AuthNone},
	}
}

func TestKafka(t *testing.T) {
	for name, test := range map[string]func(*testing.T, conformance){
		"in order, once, with header and id": delivered,
		"what is left open comes again":      openComesAgain,
		"refused ones do not come again":     refusedStays,
		"kept while nobody listens":          kept,
		"the end of the context":             contextEnds,
	} {
		t.Run(name, func(t *testing.T) {
			_, config := newKafka(t)
			test(t, conformance{config: config, topic: "crm", elsewhere: "other"})
		})
	}
	t.Run("a group that never read begins with what came since", func(t *testing.T) {
		_, config := newKafka(t)
		send(t, config, "crm", "before")
		from, err := client.Subscribe(t.Context(), config, loopback())
		require.NoError(t, err)
		defer from.Close()
		require.Equal(t, []string{"before"}, bodies(take(t, from, 1)))
	})
	t.Run("the broker goes", func(t *testing.T) {
		cluster, config := newKafka(t)
		from, err := client.Subscribe(t.Context(), config, loopback())
		require.NoError(t, err)
		defer from.Close()
		cluster.Close()
		_, err = from.Receive(t.Context())
		require.Equal(t, fault.Unavailable, fault.CodeOf(err), "%v", err)
	})
}

func TestKafkaWhatIsNotThere(t *testing.T) {
	_, config := newKafka(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "accord", "a-kafka-password"), kfake.Superuser("SCRAM-SHA-256", "accord", "a-kafka-password"))
	config.Auth = broker.Auth{Kind: broker.AuthBasic, Username: "accord", Password: "a-kafka-password"}
	for name, one := range map[string]struct {
		edit func(*broker.Config)
		code fault.Code
	}{
		"all there":      {func(*broker.Config) {}, ""},
		"SCRAM":          {func(c *broker.Config) { c.Auth.Kind = broker.AuthSCRAM256 }, ""},
		"topic":          {func(c *broker.Config) { c.Topic = "none" }, fault.Usage},
		"nobody answers": {func(c *broker.Config) { c.URL = "kafka://127.0.0.1:1" }, fault.Unavailable},
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
			require.NotContains(t, err.Error(), "a-kafka-password")
		})
	}
}
