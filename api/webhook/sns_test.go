package webhook_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const arn = "arn:aws:sns:eu-west-1:123456789012:crm"

// inbox keeps what is stored.
type inbox struct{ changes []ledger.Change }

func (i *inbox) Enqueue(_ context.Context, _ ledger.Key, changes []ledger.Change, _ time.Duration) (bool, error) {
	i.changes = append(i.changes, changes...)
	return false, nil
}

func TestWhatSNSPosts(t *testing.T) {
	stored := &inbox{}
	var answer []byte
	var refusal error
	topics := []string{}
	log, _ := test.NewNullLogger()
	source := webhook.Source{Driver: acme.Driver{}, SNS: arn, Streams: map[string][]string{"contacts": {"leads"}}}
	find := func(context.Context, string) (webhook.Target, error) {
		return webhook.Target{Key: ledger.Key{Tenant: "t", Connection: "c"}, State: ledger.Active, Right: source, Left: webhook.Source{Driver: acme.Driver{}}}, nil
	}
	receiver := webhook.New(webhook.Options{
		Inbox: stored, Directory: webhook.NewCache(find, time.Now), Log: log, Now: time.Now, Nudge: func(ledger.Key) {},
		SNS: func(_ context.Context, topic string, _ http.Header, _ []byte) ([]byte, error) {
			topics = append(topics, topic)
			return answer, refusal
		},
	})
	post := func(side record.Side, header http.Header) (int, error) {
		accepted, _, err := receiver.Receive(t.Context(), "c", side, header, []byte("posted"))
		return accepted, err
	}
	ofSNS := http.Header{"X-Amz-Sns-Message-Type": {"Notification"}}

	answer = []byte(`{"event_id":"e1","event":"contact.updated","object":"contact","id":"ct_1","version":2}`)
	accepted, err := post(record.Right, ofSNS)
	require.NoError(t, err)
	require.Equal(t, 1, accepted)
	require.Len(t, stored.changes, 1)
	require.Equal(t, record.Ref{Side: record.Right, Object: "contacts", ID: "ct_1"}, stored.changes[0].Ref)
	require.Equal(t, []string{arn}, topics)

	answer = nil // a confirmation
	accepted, err = post(record.Right, ofSNS)
	require.NoError(t, err)
	require.Zero(t, accepted)

	refusal = fault.New(fault.Unauthorized, "no")
	_, err = post(record.Right, ofSNS)
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))

	// Without its header a post is a webhook, and that needs a secret; so does another side.
	refusal = nil
	seen := len(topics)
	_, err = post(record.Right, http.Header{})
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
	_, err = post(record.Left, ofSNS)
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
	require.Len(t, topics, seen)
	require.Len(t, stored.changes, 1)
}
