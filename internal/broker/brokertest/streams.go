package brokertest

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
)

// Exchange makes a durable topic exchange of a RabbitMQ, and queues bound to it by
// the topics that are their names.
func (s *Server) Exchange(t testing.TB, name string, queues ...string) {
	t.Helper()
	conn, err := amqp.DialConfig(s.URL, amqp.Config{SASL: []amqp.Authentication{&amqp.PlainAuth{Username: s.Username, Password: s.Password}}})
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	channel, err := conn.Channel()
	require.NoError(t, err)
	require.NoError(t, channel.ExchangeDeclare(name, amqp.ExchangeTopic, true, false, false, false, nil))
	for _, queue := range queues {
		_, err := channel.QueueDeclare(queue, true, false, false, false, nil)
		require.NoError(t, err)
		require.NoError(t, channel.QueueBind(queue, queue, name, false, nil))
	}
}

// Stream makes a JetStream stream of a NATS server that keeps the subjects on disk.
func (s *Server) Stream(t testing.TB, name string, subjects ...string) {
	t.Helper()
	conn, err := nats.Connect(s.URL, nats.UserInfo(s.Username, s.Password))
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: subjects})
	require.NoError(t, err)
}
