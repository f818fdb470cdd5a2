package client

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/accord-sync/accord/internal/fault"
)

// TestKafkaFaults: what Kafka answers to a wrong password and the like. The server of
// the other tests only hangs up then.
func TestKafkaFaults(t *testing.T) {
	for err, want := range map[error]fault.Code{
		kerr.SaslAuthenticationFailed: fault.Auth, kerr.GroupAuthorizationFailed: fault.Auth, kerr.TopicAuthorizationFailed: fault.Auth,
		kerr.UnknownTopicOrPartition: fault.Usage, kerr.MessageTooLarge: fault.TooLarge, kerr.CoordinatorNotAvailable: fault.Unavailable, io.EOF: fault.Unavailable,
		fault.New(fault.Forbidden, "a private address"): fault.Forbidden,
	} {
		require.Equal(t, want, fault.CodeOf(kafkaFault(fmt.Errorf("wrapped: %w", err))), "%v", err)
	}
}
