// Package broker is the seam to message brokers, where systems leave messages for
// each other: what a message is, how it is received and sent. It knows nothing of
// connections and records. Package client has the implementations.
package broker

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Kind is the make of a broker.
type Kind string

// The kinds of Config.
const (
	// NATS is a NATS server with JetStream.
	NATS Kind = "nats"
	// RabbitMQ is RabbitMQ, or another server of AMQP 0-9-1.
	RabbitMQ Kind = "rabbitmq"
	// SNS is Amazon SNS, which calls us over HTTPS: there is nothing to subscribe to.
	SNS Kind = "sns"
	// SQS is a queue of Amazon SQS; what SNS puts into it is taken out of its wrapping.
	SQS Kind = "sqs"
	// Kafka is Apache Kafka, or what speaks its protocol.
	Kafka Kind = "kafka"
)

// Kinds are all of them.
func Kinds() []string {
	return []string{string(NATS), string(RabbitMQ), string(SNS), string(SQS), string(Kafka)}
}

// Title is the product's name in sentences for people.
func (k Kind) Title() string {
	return map[Kind]string{NATS: "NATS", RabbitMQ: "RabbitMQ", SNS: "Amazon SNS", SQS: "Amazon SQS", Kafka: "Kafka"}[k]
}

// Calls says whether the broker calls us, at the webhook address of its side.
func (k Kind) Calls() bool { return k == SNS }

// The kinds of Auth.
const (
	// AuthNone sends no credentials.
	AuthNone = "none"
	// AuthBasic is a user with a password.
	AuthBasic = "basic"
	// AuthToken is a token by itself (NATS).
	AuthToken = "token"
	// AuthAWS is an access key of Amazon.
	AuthAWS = "aws"
	// AuthSCRAM256 and AuthSCRAM512 prove a user's password without sending it (Kafka).
	AuthSCRAM256 = "scram_sha_256"
	AuthSCRAM512 = "scram_sha_512"
)

// Auth is how we log in.
type Auth struct {
	// Kind is AuthNone (default) or one of the others that the broker knows.
	Kind string
	// Username and Password of AuthBasic and of SCRAM, Token of AuthToken.
	Username, Password, Token string
	// AccessKeyID, SecretAccessKey and, for a temporary one, SessionToken of AuthAWS.
	AccessKeyID, SecretAccessKey, SessionToken string
}

// Config says where messages are and how they are reached.
type Config struct {
	Kind Kind
	// URL is the address of the broker, of SQS that of the queue; NATS and Kafka take several,
	// separated by commas.
	URL string
	// Stream is the JetStream stream of NATS.
	Stream string
	// Exchange of RabbitMQ: the queue is our own, and bound to it. Queue is the queue's
	// name; required without an exchange.
	Exchange, Queue string
	// Region is Amazon's; empty: that of URL.
	Region string
	// Since is from when on NATS and Kafka are read by a group that never read; zero: from now on.
	Since time.Time
	// Topic narrows what is received: a subject of NATS or a binding key of RabbitMQ's
	// exchange, with their wildcards. Empty: all that there is. Of SNS it is the ARN, of Kafka the topic.
	Topic string
	// Group is the name under which the broker remembers how far we are. All that
	// subscribe with the same one share the messages.
	Group string
	// Unreadable is the topic that messages are put on which cannot be read. Empty:
	// they are handed back as refused, where the broker has a place for such, or dropped.
	Unreadable string
	Auth       Auth
}

// AWSRegion is the region of an SQS queue: the one given, or that of its address; empty
// where neither says.
func (c Config) AWSRegion() string {
	if c.Region != "" {
		return c.Region
	}
	parsed, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	parts := strings.Split(parsed.Hostname(), ".")
	if len(parts) > 3 && parts[0] == "sqs" && parts[2] == "amazonaws" {
		return parts[1]
	}
	return ""
}

// Message is one message.
type Message struct {
	// ID is the publisher's own, empty for none. A broker that drops repeats does so by it.
	ID string
	// Header are the message's properties, which may be none.
	Header http.Header
	Body   []byte

	// Receipt is the client's own: by it a message is acknowledged.
	Receipt any
}

// The limits of what is received at once.
const (
	// MaxBatch is how many messages Receive answers at most.
	MaxBatch = 64
	// MaxBody is the largest message that is read, in bytes, as for a webhook.
	MaxBody = 1 << 20
)

// Subscription receives messages. It is used by one goroutine.
//
// What is neither acknowledged nor refused when the subscription is closed, or its
// process dies, is delivered again, to whoever subscribes in the same group.
type Subscription interface {
	// Receive waits for messages and answers one at least and MaxBatch at most. It
	// ends with ctx, and with fault.Unavailable when the broker is lost: close the
	// subscription then, and open another one.
	Receive(ctx context.Context) ([]Message, error)
	// Acknowledge tells the broker that messages are dealt with. After an error they
	// may come again.
	Acknowledge(ctx context.Context, messages []Message) error
	// Refuse tells it that messages are of no use: it does not deliver them again,
	// and puts them aside where it was told to.
	Refuse(ctx context.Context, messages []Message) error
	// Close ends the subscription and gives back what is still open.
	Close()
}

// Publisher sends messages. It is safe for concurrent use.
type Publisher interface {
	// Publish sends a message to a topic and returns when the broker has it for
	// good. A message whose fate is unknown is fault.Transient with MaybeApplied;
	// repeat it with the same ID.
	Publish(ctx context.Context, topic string, message Message) error
	// Close ends the connection.
	Close()
}
