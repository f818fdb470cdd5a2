package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/fault"
)

// How Kafka is used.
const (
	// kafkaWait is how long one look for records lasts before the brokers are asked
	// whether they are there.
	kafkaWait = 5 * time.Second
	// kafkaFetch bounds what is fetched ahead, in bytes.
	kafkaFetch = 8 << 20
	// kafkaID is the header that carries a publisher's own id.
	kafkaID = "Message-Id"
)

// kafkaOptions are how brokers are reached and logged in to.
func kafkaOptions(config broker.Config, network Network) []kgo.Opt {
	var seeds []string
	secure := false
	for one := range strings.SplitSeq(config.URL, ",") {
		scheme, address, _ := strings.Cut(strings.TrimSpace(one), "://")
		seeds, secure = append(seeds, strings.TrimSuffix(address, "/")), secure || scheme == "kafkas"
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.ClientID(network.Name), kgo.Dialer(kafkaDialer(network, secure)),
		kgo.RetryTimeout(dialTimeout), kgo.RequestTimeoutOverhead(dialTimeout),
	}
	var mechanism sasl.Mechanism
	auth := scram.Auth{User: config.Auth.Username, Pass: config.Auth.Password}
	switch config.Auth.Kind {
	case broker.AuthBasic:
		mechanism = plain.Auth{User: config.Auth.Username, Pass: config.Auth.Password}.AsMechanism()
	case broker.AuthSCRAM256:
		mechanism = auth.AsSha256Mechanism()
	case broker.AuthSCRAM512:
		mechanism = auth.AsSha512Mechanism()
	}
	if mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	return options
}

// kafkaDialer dials as all else is dialled, then with TLS if that is wanted.
func kafkaDialer(network Network, secure bool) func(ctx context.Context, kind, address string) (net.Conn, error) {
	return func(ctx context.Context, kind, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := network.Dial(ctx, kind, address)
		if err != nil || !secure {
			return conn, err
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = conn.Close() // nothing was said on it
			return nil, err
		}
		encrypted := tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
		if err := encrypted.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // as above
			return nil, err
		}
		return encrypted, nil
	}
}

// kafkaFault codes an error of the client.
func kafkaFault(err error) error {
	var coded *fault.Error
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.TopicAuthorizationFailed),
		errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fault.Wrap(fault.Auth, err, "Kafka refuses the log-in, or does not let this user read the topic in this group; check broker.auth and the permissions")
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.InvalidTopicException):
		return fault.Wrap(fault.Usage, err, "Kafka has no such topic; check broker.topic, or make it first")
	case errors.Is(err, kerr.MessageTooLarge):
		return fault.Wrap(fault.TooLarge, err, "Kafka takes no message as large as this one")
	}
	return fault.Wrap(fault.Unavailable, err, "Kafka does not answer")
}

// askKafka asks whether the topic is there; the question makes none.
func askKafka(ctx context.Context, client *kgo.Client, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	request := kmsg.NewMetadataRequest()
	one := kmsg.NewMetadataRequestTopic()
	one.Topic = kmsg.StringPtr(topic)
	request.Topics, request.AllowAutoTopicCreation = append(request.Topics, one), false
	answer, err := request.RequestWith(ctx, client)
	if err != nil {
		return kafkaFault(err)
	}
	for _, found := range answer.Topics {
		if err := kerr.ErrorForCode(found.ErrorCode); err != nil {
			return kafkaFault(err)
		}
	}
	return nil
}

func checkKafka(ctx context.Context, config broker.Config, network Network) error {
	client, err := kgo.NewClient(kafkaOptions(config, network)...)
	if err != nil {
		return kafkaFault(err)
	}
	defer client.Close()
	return askKafka(ctx, client, config.Topic)
}

// kafkaSubscription reads a topic in a group.
type kafkaSubscription struct {
	client *kgo.Client
	topic  string
}

var _ broker.Subscription = (*kafkaSubscription)(nil)

// subscribeKafka begins where the group stands; a group that stands nowhere begins
// with what came after the connection was made.
func subscribeKafka(ctx context.Context, config broker.Config, network Network) (broker.Subscription, error) {
	begin := kgo.NewOffset().AtEnd()
	if !config.Since.IsZero() {
		begin = kgo.NewOffset().AfterMilli(config.Since.UnixMilli())
	}
	client, err := kgo.NewClient(append(kafkaOptions(config, network),
		kgo.ConsumerGroup(config.Group), kgo.ConsumeTopics(config.Topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(begin),
		kgo.FetchMaxBytes(kafkaFetch), kgo.BrokerMaxReadBytes(4*kafkaFetch), kgo.FetchMaxWait(time.Second))...)
	if err != nil {
		return nil, kafkaFault(err)
	}
	if err := askKafka(ctx, client, config.Topic); err != nil {
		client.Close()
		return nil, err
	}
	return &kafkaSubscription{client: client, topic: config.Topic}, nil
}

// Receive implements broker.Subscription.
func (s *kafkaSubscription) Receive(ctx context.Context) ([]broker.Message, error) {
	for {
		looking, cancel := context.WithTimeout(ctx, kafkaWait)
		fetched := s.client.PollRecords(looking, broker.MaxBatch)
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err() // what was fetched was not acknowledged
		}
		for _, failed := range fetched.Errors() {
			if !errors.Is(failed.Err, context.DeadlineExceeded) {
				return nil, kafkaFault(failed.Err)
			}
		}
		if records := fetched.Records(); len(records) > 0 {
			batch := make([]broker.Message, 0, len(records))
			for _, one := range records {
				batch = append(batch, kafkaMessage(one))
			}
			return batch, nil
		}
		// The client waits for lost brokers without a word.
		if err := askKafka(ctx, s.client, s.topic); err != nil {
			return nil, err
		}
	}
}

func kafkaMessage(one *kgo.Record) broker.Message {
	header := http.Header{}
	for _, pair := range one.Headers {
		header.Add(pair.Key, string(pair.Value))
	}
	return broker.Message{ID: header.Get(kafkaID), Header: header, Body: one.Value, Receipt: one}
}

// Acknowledge implements broker.Subscription: the group stands behind the last of
// them then, in each partition.
func (s *kafkaSubscription) Acknowledge(ctx context.Context, messages []broker.Message) error {
	records := make([]*kgo.Record, 0, len(messages))
	for _, one := range messages {
		record, ok := one.Receipt.(*kgo.Record)
		if !ok {
			return fault.New(fault.Internal, "a message of another broker is handed to Kafka")
		}
		records = append(records, record)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := s.client.CommitRecords(ctx, records...); err != nil {
		return kafkaFault(err)
	}
	return nil
}

// Refuse implements broker.Subscription: Kafka knows no refusal; the record stays in
// the topic as long as the topic keeps it.
func (s *kafkaSubscription) Refuse(ctx context.Context, messages []broker.Message) error {
	return s.Acknowledge(ctx, messages)
}

// Close implements broker.Subscription.
func (s *kafkaSubscription) Close() { s.client.Close() }

// kafkaPublisher waits for all replicas.
type kafkaPublisher struct{ client *kgo.Client }

var _ broker.Publisher = (*kafkaPublisher)(nil)

func publishKafka(ctx context.Context, config broker.Config, network Network) (broker.Publisher, error) {
	client, err := kgo.NewClient(append(kafkaOptions(config, network), kgo.RecordDeliveryTimeout(dialTimeout))...)
	if err != nil {
		return nil, kafkaFault(err)
	}
	asked, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := client.Ping(asked); err != nil {
		client.Close()
		return nil, kafkaFault(err)
	}
	return &kafkaPublisher{client: client}, nil
}

// Publish implements broker.Publisher. Repeats of a later try are not dropped.
func (p *kafkaPublisher) Publish(ctx context.Context, topic string, message broker.Message) error {
	record := &kgo.Record{Topic: topic, Value: message.Body}
	for key := range message.Header {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: key, Value: []byte(message.Header.Get(key))})
	}
	if message.ID != "" {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: kafkaID, Value: []byte(message.ID)})
	}
	err := p.client.ProduceSync(ctx, record).FirstErr()
	if err == nil {
		return nil
	}
	failed := kafkaFault(err)
	if fault.Is(failed, fault.Unavailable) {
		unknown := fault.Wrap(fault.Transient, err, "Kafka did not confirm a message")
		unknown.MaybeApplied = true
		return unknown
	}
	return failed
}

// Close implements broker.Publisher.
func (p *kafkaPublisher) Close() { p.client.Close() }
