package brokertest

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

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
