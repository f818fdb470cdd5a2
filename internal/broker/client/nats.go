package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/fault"
)

// How JetStream is used.
const (
	// natsAckWait is how long a message may be open before it is delivered again.
	natsAckWait = 30 * time.Second
	// natsPull is how long one request for messages lasts.
	natsPull = 5 * time.Second
)

// natsDialer lets the client use our dialer.
type natsDialer struct{ network Network }

var _ nats.CustomDialer = natsDialer{}

// Dial implements nats.CustomDialer.
func (d natsDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	return d.network.Dial(ctx, network, address)
}

// connectNATS does not let the client reconnect by itself: a lost connection is the
// caller's to see, and what was open is delivered again.
func connectNATS(config broker.Config, network Network) (*nats.Conn, jetstream.JetStream, error) {
	options := []nats.Option{
		nats.Name(network.Name), nats.NoReconnect(), nats.Timeout(dialTimeout), nats.SetCustomDialer(natsDialer{network}),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
	}
	switch config.Auth.Kind {
	case broker.AuthBasic:
		options = append(options, nats.UserInfo(config.Auth.Username, config.Auth.Password))
	case broker.AuthToken:
		options = append(options, nats.Token(config.Auth.Token))
	}
	conn, err := nats.Connect(config.URL, options...)
	if err != nil {
		return nil, nil, natsFault(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, nil, natsFault(err)
	}
	return conn, js, nil
}

// natsFault codes an error of the client. Its text may hold an address with
// credentials, so it is only the cause.
func natsFault(err error) error {
	var coded *fault.Error
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrPermissionViolation):
		return fault.Wrap(fault.Auth, err, "NATS refuses the log-in; check broker.auth")
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fault.Wrap(fault.Usage, err, "NATS has no such stream; check broker.stream, or make it first")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fault.Wrap(fault.Usage, err, "the NATS server has no JetStream, which keeps messages until they are acknowledged; switch it on")
	}
	return fault.Wrap(fault.Unavailable, err, "NATS does not answer")
}

// natsStream finds the stream, and checks that the topic is one of its subjects.
func natsStream(ctx context.Context, js jetstream.JetStream, config broker.Config) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, config.Stream)
	if err != nil {
		return nil, natsFault(err)
	}
	// A stream that copies others has no subjects of its own.
	if had := stream.CachedInfo().Config; config.Topic != "" && len(had.Subjects) > 0 && had.Mirror == nil && len(had.Sources) == 0 &&
		!slices.ContainsFunc(had.Subjects, func(subject string) bool { return subjectsMeet(subject, config.Topic) }) {
		return nil, fault.New(fault.Usage, "the stream of NATS has no subject that broker.topic could mean; correct one of them")
	}
	return stream, nil
}

// subjectsMeet reports whether a subject can match both patterns: "*" is any word,
// ">" any words at the end.
func subjectsMeet(one, other string) bool {
	left, right := strings.Split(one, "."), strings.Split(other, ".")
	for n := range min(len(left), len(right)) {
		if left[n] == ">" || right[n] == ">" {
			return true
		}
		if left[n] != right[n] && left[n] != "*" && right[n] != "*" {
			return false
		}
	}
	return len(left) == len(right)
}

func checkNATS(ctx context.Context, config broker.Config, network Network) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, js, err := connectNATS(config, network)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = natsStream(ctx, js, config)
	return err
}

// natsSubscription pulls from a durable consumer.
type natsSubscription struct {
	conn     *nats.Conn
	consumer jetstream.Consumer
	open     map[jetstream.Msg]bool
}

var _ broker.Subscription = (*natsSubscription)(nil)

func subscribeNATS(ctx context.Context, config broker.Config, network Network) (broker.Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, js, err := connectNATS(config, network)
	if err != nil {
		return nil, err
	}
	consumer, err := natsConsumer(ctx, js, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &natsSubscription{conn: conn, consumer: consumer, open: map[jetstream.Msg]bool{}}, nil
}

// natsConsumer finds the durable consumer, which goes on where it stood, or makes it.
// A new one begins with what comes from config.Since on, or from now on: a first load
// lists what there is.
func natsConsumer(ctx context.Context, js jetstream.JetStream, config broker.Config) (jetstream.Consumer, error) {
	stream, err := natsStream(ctx, js, config)
	if err != nil {
		return nil, err
	}
	wanted := jetstream.ConsumerConfig{
		Durable: config.Group, FilterSubject: config.Topic, AckPolicy: jetstream.AckExplicitPolicy, AckWait: natsAckWait,
		DeliverPolicy: jetstream.DeliverNewPolicy, MaxAckPending: 16 * broker.MaxBatch,
	}
	if !config.Since.IsZero() {
		wanted.DeliverPolicy, wanted.OptStartTime = jetstream.DeliverByStartTimePolicy, &config.Since
	}
	held, err := stream.Consumer(ctx, config.Group)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		made, err := stream.CreateOrUpdateConsumer(ctx, wanted)
		return made, natsMade(err)
	case err != nil:
		return nil, natsFault(err)
	}
	if held.CachedInfo().Config.FilterSubject != wanted.FilterSubject {
		return refilter(ctx, stream, held, wanted.FilterSubject)
	}
	return held, nil
}

// refilter gives a consumer another topic; it goes on where it stood. One that began at
// a time cannot be edited (servers of 2.9 refuse that), so it is made anew behind what
// was acknowledged.
func refilter(ctx context.Context, stream jetstream.Stream, held jetstream.Consumer, topic string) (jetstream.Consumer, error) {
	had := held.CachedInfo().Config
	had.FilterSubject = topic
	if had.DeliverPolicy == jetstream.DeliverByStartTimePolicy {
		had.DeliverPolicy, had.OptStartTime = jetstream.DeliverByStartSequencePolicy, nil
		had.OptStartSeq = held.CachedInfo().AckFloor.Stream + 1
		if err := stream.DeleteConsumer(ctx, had.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, natsFault(err)
		}
	}
	made, err := stream.CreateOrUpdateConsumer(ctx, had)
	return made, natsMade(err)
}

func natsMade(err error) error {
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.Code >= 400 && refused.Code < 500 {
		return fault.Wrap(fault.Usage, err, "NATS refuses a consumer for this topic; check broker.topic, broker.group and the user's permissions")
	}
	if err != nil {
		return natsFault(err)
	}
	return nil
}

// Receive implements broker.Subscription.
func (s *natsSubscription) Receive(ctx context.Context) ([]broker.Message, error) {
	for {
		batch, err := s.pull(ctx)
		if len(batch) > 0 || err != nil {
			return batch, err
		}
	}
}

// pull asks once. The server answers what it has; only when it has nothing it waits.
func (s *natsSubscription) pull(ctx context.Context) ([]broker.Message, error) {
	asked, cancel := context.WithTimeout(ctx, natsPull)
	defer cancel()
	found, err := s.consumer.FetchNoWait(broker.MaxBatch)
	if err != nil {
		return nil, natsFault(err)
	}
	batch := s.take(found)
	if len(batch) == 0 && found.Error() == nil {
		if found, err = s.consumer.Fetch(1, jetstream.FetchContext(asked)); err != nil {
			return nil, natsFault(err)
		}
		batch = s.take(found)
	}
	switch {
	case ctx.Err() != nil:
		return batch, ctx.Err()
	case len(batch) > 0:
		return batch, nil
	case s.conn.IsClosed():
		return nil, fault.New(fault.Unavailable, "the connection to NATS is lost")
	case found.Error() != nil && !errors.Is(found.Error(), context.DeadlineExceeded) && !errors.Is(found.Error(), nats.ErrTimeout):
		return nil, natsFault(found.Error())
	}
	return nil, nil
}

func (s *natsSubscription) take(found jetstream.MessageBatch) []broker.Message {
	var batch []broker.Message
	for message := range found.Messages() {
		s.open[message] = true
		header := http.Header{}
		for key, values := range message.Headers() {
			for _, value := range values {
				header.Add(key, value)
			}
		}
		batch = append(batch, broker.Message{ID: header.Get(nats.MsgIdHdr), Header: header, Body: message.Data(), Receipt: message})
	}
	return batch
}

// Acknowledge implements broker.Subscription. Only the last one waits for the server's
// word: the server reads them in order.
func (s *natsSubscription) Acknowledge(ctx context.Context, messages []broker.Message) error {
	for n, one := range messages {
		message, ok := one.Receipt.(jetstream.Msg)
		if !ok {
			return fault.New(fault.Internal, "a message of another broker is acknowledged to NATS")
		}
		tell := message.Ack
		if n == len(messages)-1 {
			tell = func() error { return message.DoubleAck(ctx) }
		}
		if err := tell(); err != nil {
			return natsFault(err)
		}
		delete(s.open, message)
	}
	return nil
}

// Refuse implements broker.Subscription: the server tells it in an advisory, and delivers
// the message no more. It stays in the stream as long as the stream keeps it.
func (s *natsSubscription) Refuse(_ context.Context, messages []broker.Message) error {
	for _, one := range messages {
		message, ok := one.Receipt.(jetstream.Msg)
		if !ok {
			return fault.New(fault.Internal, "a message of another broker is refused to NATS")
		}
		if err := message.TermWithReason("cannot be read"); err != nil {
			return natsFault(err)
		}
		delete(s.open, message)
	}
	return nil
}

// Close implements broker.Subscription.
func (s *natsSubscription) Close() {
	for message := range s.open {
		if message.Nak() != nil {
			break // the connection is gone: the server notices by itself
		}
	}
	_ = s.conn.FlushTimeout(time.Second) // as above
	s.conn.Close()
}

// natsPublisher publishes into streams.
type natsPublisher struct {
	conn *nats.Conn
	js   jetstream.JetStream
}

var _ broker.Publisher = (*natsPublisher)(nil)

func publishNATS(_ context.Context, config broker.Config, network Network) (broker.Publisher, error) {
	conn, js, err := connectNATS(config, network)
	if err != nil {
		return nil, err
	}
	return &natsPublisher{conn: conn, js: js}, nil
}

// Publish implements broker.Publisher. JetStream drops a repeated ID within the stream's
// window (two minutes by default).
func (p *natsPublisher) Publish(ctx context.Context, topic string, message broker.Message) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	header := nats.Header{}
	for key, values := range message.Header {
		header[key] = values
	}
	var options []jetstream.PublishOpt
	if message.ID != "" {
		options = append(options, jetstream.WithMsgID(message.ID))
	}
	_, err := p.js.PublishMsg(ctx, &nats.Msg{Subject: topic, Header: header, Data: message.Body}, options...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fault.Wrap(fault.Usage, err, "no stream of NATS has the subject to publish to; make one that has it")
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.Wrap(fault.TooLarge, err, "NATS takes no message as large as this one")
	}
	failed := fault.Wrap(fault.Transient, err, "NATS did not confirm a message")
	failed.MaybeApplied = true
	return failed
}

// Close implements broker.Publisher.
func (p *natsPublisher) Close() { p.conn.Close() }
