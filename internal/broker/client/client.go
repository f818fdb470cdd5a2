// Package client speaks to the brokers that Accord knows. Errors never hold an
// address with credentials, nor anything of a message.
package client

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/fault"
)

// Network is how a broker is reached.
type Network struct {
	// Dial opens connections; it refuses addresses that may not be called.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// HTTP makes the calls of brokers that are reached so; it must refuse the same
	// addresses, and let a call last SQSTimeout.
	HTTP *http.Client
	// Now is the clock.
	Now func() time.Time
	// Name is how we appear in the broker's own lists.
	Name string
}

// dialTimeout bounds log-in and each question to a broker.
const dialTimeout = 10 * time.Second

// Subscribe connects, checks that there is something to receive from, and answers a
// subscription. Errors: fault.Unavailable (not reached), fault.Auth (log-in refused),
// fault.Usage (what the settings name is not there).
func Subscribe(ctx context.Context, config broker.Config, network Network) (broker.Subscription, error) {
	switch config.Kind {
	case broker.NATS:
		return subscribeNATS(ctx, config, network)
	case broker.RabbitMQ:
		return subscribeRabbitMQ(ctx, config, network)
	case broker.SQS:
		return subscribeSQS(ctx, config, network)
	case broker.Kafka:
		return subscribeKafka(ctx, config, network)
	}
	return nil, unknown(config.Kind)
}

// OpenPublisher connects and answers a publisher. Errors are those of Subscribe.
func OpenPublisher(ctx context.Context, config broker.Config, network Network) (broker.Publisher, error) {
	switch config.Kind {
	case broker.NATS:
		return publishNATS(ctx, config, network)
	case broker.RabbitMQ:
		return publishRabbitMQ(ctx, config, network)
	case broker.SQS:
		return publishSQS(ctx, config, network)
	case broker.Kafka:
		return publishKafka(ctx, config, network)
	}
	return nil, unknown(config.Kind)
}

// Check connects, and tells whether what the settings name is there. Nothing is
// received, and nothing is made that was not there. Errors are those of Subscribe.
func Check(ctx context.Context, config broker.Config, network Network) error {
	switch config.Kind {
	case broker.NATS:
		return checkNATS(ctx, config, network)
	case broker.RabbitMQ:
		return checkRabbitMQ(ctx, config, network)
	case broker.SQS:
		return checkSQS(ctx, config, network)
	case broker.Kafka:
		return checkKafka(ctx, config, network)
	}
	return unknown(config.Kind)
}

func unknown(kind broker.Kind) error {
	return fault.New(fault.Usage, "there is no broker of kind %q; there are %s", kind, strings.Join(broker.Kinds(), ", "))
}
