package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/fault"
)

// connectRabbitMQ logs in. A lost connection is the caller's to see.
func connectRabbitMQ(ctx context.Context, config broker.Config, network Network) (*amqp.Connection, error) {
	conn, err := amqp.DialConfig(config.URL, amqp.Config{
		SASL:      []amqp.Authentication{&amqp.PlainAuth{Username: config.Auth.Username, Password: config.Auth.Password}},
		Heartbeat: 10 * time.Second, Locale: "en_US",
		Properties: amqp.Table{"connection_name": network.Name, "product": network.Name},
		Dial: func(kind, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			dialled, err := network.Dial(ctx, kind, address)
			if err != nil {
				return nil, err
			}
			// The client ends this limit when the log-in is done.
			return dialled, dialled.SetDeadline(time.Now().Add(dialTimeout))
		},
	})
	if err != nil {
		return nil, rabbitFault(err)
	}
	return conn, nil
}

// rabbitFault codes an error of the client.
func rabbitFault(err error) error {
	var coded *fault.Error
	var refused *amqp.Error
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, amqp.ErrCredentials), errors.Is(err, amqp.ErrSASL), errors.Is(err, amqp.ErrVhost):
		return fault.Wrap(fault.Auth, err, "RabbitMQ refuses the log-in; check broker.auth and the virtual host at the end of broker.url")
	case errors.As(err, &refused):
		switch refused.Code {
		case amqp.NotFound:
			return fault.Wrap(fault.Usage, err, "RabbitMQ has no such queue or exchange; check broker.queue and broker.exchange, or make it first")
		case amqp.AccessRefused:
			return fault.Wrap(fault.Auth, err, "RabbitMQ does not let this user do that; check the user's permissions")
		case amqp.PreconditionFailed, amqp.ResourceLocked:
			return fault.Wrap(fault.Usage, err, "RabbitMQ has the queue, made otherwise; choose another broker.queue")
		case amqp.NotAllowed:
			return fault.Wrap(fault.Auth, err, "RabbitMQ does not let this user into the virtual host")
		}
	}
	return fault.Wrap(fault.Unavailable, err, "RabbitMQ does not answer")
}

// rabbitQueue finds the queue to read. With an exchange it is our own: made where it
// is missing, and bound.
func rabbitQueue(channel *amqp.Channel, config broker.Config, make bool) (string, error) {
	if config.Exchange == "" {
		_, err := channel.QueueDeclarePassive(config.Queue, true, false, false, false, nil)
		return config.Queue, err
	}
	if err := channel.ExchangeDeclarePassive(config.Exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil || !make {
		return "", err
	}
	name := config.Queue
	if name == "" {
		name = config.Group
	}
	if _, err := channel.QueueDeclare(name, true, false, false, false, nil); err != nil {
		return "", err
	}
	topic := config.Topic
	if topic == "" {
		topic = "#"
	}
	return name, channel.QueueBind(name, topic, config.Exchange, false, nil)
}

func checkRabbitMQ(ctx context.Context, config broker.Config, network Network) error {
	conn, err := connectRabbitMQ(ctx, config, network)
	if err != nil {
		return err
	}
	defer closeRabbit(conn)
	channel, err := conn.Channel()
	if err == nil {
		_, err = rabbitQueue(channel, config, false)
	}
	if err != nil {
		return rabbitFault(err)
	}
	return nil
}

// closeRabbit ends a connection; what is open goes back to its queue.
func closeRabbit(conn *amqp.Connection) {
	_ = conn.CloseDeadline(time.Now().Add(dialTimeout)) // it may be closed already
}

// rabbitSubscription consumes one queue.
type rabbitSubscription struct {
	conn *amqp.Connection
	from <-chan amqp.Delivery
}

var _ broker.Subscription = (*rabbitSubscription)(nil)

func subscribeRabbitMQ(ctx context.Context, config broker.Config, network Network) (broker.Subscription, error) {
	conn, err := connectRabbitMQ(ctx, config, network)
	if err != nil {
		return nil, err
	}
	from, err := consumeRabbit(conn, config)
	if err != nil {
		closeRabbit(conn)
		return nil, rabbitFault(err)
	}
	return &rabbitSubscription{conn: conn, from: from}, nil
}

func consumeRabbit(conn *amqp.Connection, config broker.Config) (<-chan amqp.Delivery, error) {
	channel, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	queue, err := rabbitQueue(channel, config, true)
	if err != nil {
		return nil, err
	}
	if err := channel.Qos(broker.MaxBatch, 0, false); err != nil {
		return nil, err
	}
	return channel.Consume(queue, "", false, false, false, false, nil)
}

// Receive implements broker.Subscription.
func (s *rabbitSubscription) Receive(ctx context.Context) ([]broker.Message, error) {
	var batch []broker.Message
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case delivery, ok := <-s.from:
		if !ok {
			return nil, fault.New(fault.Unavailable, "the connection to RabbitMQ, or its queue, is gone")
		}
		batch = append(batch, rabbitMessage(delivery))
	}
	for len(batch) < broker.MaxBatch {
		select {
		case delivery, ok := <-s.from:
			if !ok {
				return batch, nil // acknowledging them fails, and they come again
			}
			batch = append(batch, rabbitMessage(delivery))
		default:
			return batch, nil
		}
	}
	return batch, nil
}

func rabbitMessage(delivery amqp.Delivery) broker.Message {
	header := http.Header{}
	for key, value := range delivery.Headers {
		if text, ok := value.(string); ok {
			header.Add(key, text)
		}
	}
	return broker.Message{ID: delivery.MessageId, Header: header, Body: delivery.Body, Receipt: delivery}
}

// Acknowledge implements broker.Subscription. What is lost of it on the way comes again.
func (s *rabbitSubscription) Acknowledge(_ context.Context, messages []broker.Message) error {
	return eachRabbit(messages, func(delivery amqp.Delivery) error { return delivery.Ack(false) })
}

// Refuse implements broker.Subscription: a queue with a dead letter exchange moves
// them there, another one drops them.
func (s *rabbitSubscription) Refuse(_ context.Context, messages []broker.Message) error {
	return eachRabbit(messages, func(delivery amqp.Delivery) error { return delivery.Reject(false) })
}

func eachRabbit(messages []broker.Message, tell func(amqp.Delivery) error) error {
	for _, one := range messages {
		delivery, ok := one.Receipt.(amqp.Delivery)
		if !ok {
			return fault.New(fault.Internal, "a message of another broker is handed to RabbitMQ")
		}
		if err := tell(delivery); err != nil {
			return rabbitFault(err)
		}
	}
	return nil
}

// Close implements broker.Subscription.
func (s *rabbitSubscription) Close() { closeRabbit(s.conn) }

// rabbitPublisher publishes with confirmation, one message at a time.
type rabbitPublisher struct {
	conn     *amqp.Connection
	channel  *amqp.Channel
	exchange string
	returned chan amqp.Return
	// closed tells why the server closed the channel, as for an exchange that is not there.
	closed chan *amqp.Error
	one    sync.Mutex
}

var _ broker.Publisher = (*rabbitPublisher)(nil)

func publishRabbitMQ(ctx context.Context, config broker.Config, network Network) (broker.Publisher, error) {
	conn, err := connectRabbitMQ(ctx, config, network)
	if err != nil {
		return nil, err
	}
	channel, err := conn.Channel()
	if err == nil {
		err = channel.Confirm(false)
	}
	if err != nil {
		closeRabbit(conn)
		return nil, rabbitFault(err)
	}
	return &rabbitPublisher{
		conn: conn, channel: channel, exchange: config.Exchange,
		returned: channel.NotifyReturn(make(chan amqp.Return, 1)), closed: channel.NotifyClose(make(chan *amqp.Error, 1)),
	}, nil
}

// Publish implements broker.Publisher. The topic is the routing key of the exchange,
// or without an exchange the name of a queue. RabbitMQ drops no repeats.
func (p *rabbitPublisher) Publish(ctx context.Context, topic string, message broker.Message) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	p.one.Lock()
	defer p.one.Unlock()
	headers := amqp.Table{}
	for key := range message.Header {
		headers[key] = message.Header.Get(key)
	}
	confirmed, err := p.channel.PublishWithDeferredConfirmWithContext(ctx, p.exchange, topic, true, false, amqp.Publishing{
		Headers: headers, ContentType: "application/json", DeliveryMode: amqp.Persistent, MessageId: message.ID, Body: message.Body,
	})
	taken := false
	if err == nil {
		taken, err = confirmed.WaitContext(ctx)
	}
	if err == nil && taken {
		select {
		case <-p.returned: // it comes before the confirmation
			return fault.New(fault.Usage, "no queue of RabbitMQ takes what is published; bind one")
		default:
			return nil
		}
	}
	if refused := p.refused(); refused != nil {
		return refused
	}
	failed := fault.Wrap(fault.Transient, err, "RabbitMQ did not confirm a message")
	failed.MaybeApplied = true
	return failed
}

// refused is why the server closed the channel under a message, where that is told and
// does not pass; nil else.
func (p *rabbitPublisher) refused() error {
	select {
	case why, told := <-p.closed:
		if !told || why == nil {
			return nil
		}
		if err := rabbitFault(why); !fault.Is(err, fault.Unavailable) {
			return err
		}
	default:
	}
	return nil
}

// Close implements broker.Publisher.
func (p *rabbitPublisher) Close() { closeRabbit(p.conn) }
