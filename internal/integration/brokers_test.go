package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/broker"
)

// withBroker is base.yaml with a broker on the right side.
func withBroker(t *testing.T, text string) *Integration {
	t.Helper()
	parsed, err := Parse([]byte(strings.Replace(base(t), "connector: acme", "connector: acme\n    broker: "+text, 1)))
	require.NoError(t, err)
	return parsed
}

func polls(parsed *Integration) string {
	var said []string
	for _, sentence := range Sentences(parsed) {
		if sentence.About == "poll" && sentence.Stream == "leads" {
			said = append(said, sentence.Text)
		}
	}
	return strings.Join(said, "\n")
}

func TestBrokers(t *testing.T) {
	secrets := map[string]string{"left": "l", "right": "r", "hook": "h", "b": "pw"}
	for name, one := range map[string]struct {
		text string
		want broker.Config
		said string
	}{
		"NATS, the least": {
			"{kind: nats, url: nats://127.0.0.1:4222, stream: CRM}",
			broker.Config{Kind: broker.NATS, URL: "nats://127.0.0.1:4222", Stream: "CRM", Auth: broker.Auth{Kind: broker.AuthNone}},
			"by message of NATS, stream CRM, at once, and by asking every",
		},
		"NATS, all": {
			"{kind: nats, url: 'tls://a:1,tls://b:2', stream: CRM, topic: 'crm.>', group: g, unreadable: crm.bad, auth: {kind: basic, username: u, password: '${secret:b}'}}",
			broker.Config{Kind: broker.NATS, URL: "tls://a:1,tls://b:2", Stream: "CRM", Topic: "crm.>", Group: "g", Unreadable: "crm.bad",
				Auth: broker.Auth{Kind: broker.AuthBasic, Username: "u", Password: "pw"}},
			"by message of NATS, stream CRM, topic crm.>, at once, and by asking every",
		},
		"RabbitMQ, a queue": {
			"{kind: rabbitmq, url: amqp://a:5672, queue: crm.events, auth: {kind: basic, username: u, password: '${secret:b}'}}",
			broker.Config{Kind: broker.RabbitMQ, URL: "amqp://a:5672", Queue: "crm.events", Auth: broker.Auth{Kind: broker.AuthBasic, Username: "u", Password: "pw"}},
			"by message of RabbitMQ, queue crm.events, at once",
		},
		"RabbitMQ, an exchange": {
			"{kind: rabbitmq, url: 'amqps://a:5671/vhost', exchange: crm, topic: 'contact.#', auth: {kind: basic, username: u, password: '${secret:b}'}}",
			broker.Config{Kind: broker.RabbitMQ, URL: "amqps://a:5671/vhost", Exchange: "crm", Topic: "contact.#", Auth: broker.Auth{Kind: broker.AuthBasic, Username: "u", Password: "pw"}},
			"by message of RabbitMQ, exchange crm, topic contact.#, at once",
		},
		"SNS": {
			"{kind: sns, topic: 'arn:aws:sns:eu-west-1:123456789012:crm'}",
			broker.Config{Kind: broker.SNS, Topic: "arn:aws:sns:eu-west-1:123456789012:crm"},
			"by message of Amazon SNS, topic arn:aws:sns:eu-west-1:123456789012:crm, at once",
		},
		"SQS": {
			"{kind: sqs, url: 'https://sqs.eu-west-1.amazonaws.com/123456789012/crm', auth: {kind: aws, access_key_id: AK, secret_access_key: '${secret:b}'}}",
			broker.Config{Kind: broker.SQS, URL: "https://sqs.eu-west-1.amazonaws.com/123456789012/crm", Auth: broker.Auth{Kind: broker.AuthAWS, AccessKeyID: "AK", SecretAccessKey: "pw"}},
			"by message of Amazon SQS, queue crm, at once",
		},
		"SQS elsewhere": {
			"{kind: sqs, url: 'http://127.0.0.1:9324/1/crm', region: eu-west-1, unreadable: 'http://127.0.0.1:9324/1/bad', auth: {kind: aws, access_key_id: AK, secret_access_key: '${secret:b}', session_token: s}}",
			broker.Config{Kind: broker.SQS, URL: "http://127.0.0.1:9324/1/crm", Region: "eu-west-1", Unreadable: "http://127.0.0.1:9324/1/bad",
				Auth: broker.Auth{Kind: broker.AuthAWS, AccessKeyID: "AK", SecretAccessKey: "pw", SessionToken: "s"}},
			"by message of Amazon SQS, queue crm, at once",
		},
		"Kafka": {
			"{kind: kafka, url: 'kafka://a:9092,kafka://b:9092', topic: crm.events}",
			broker.Config{Kind: broker.Kafka, URL: "kafka://a:9092,kafka://b:9092", Topic: "crm.events", Auth: broker.Auth{Kind: broker.AuthNone}},
			"by message of Kafka, topic crm.events, at once",
		},
		"Kafka with a log-in": {
			"{kind: kafka, url: kafkas://a:9093, topic: crm.events, group: g, unreadable: crm.bad, auth: {kind: scram_sha_512, username: u, password: '${secret:b}'}}",
			broker.Config{Kind: broker.Kafka, URL: "kafkas://a:9093", Topic: "crm.events", Group: "g", Unreadable: "crm.bad", Auth: broker.Auth{Kind: broker.AuthSCRAM512, Username: "u", Password: "pw"}},
			"by message of Kafka, topic crm.events, at once",
		},
		"NATS with a token": {
			"{kind: nats, url: nats://a:1, stream: CRM, auth: {kind: token, token: '${secret:b}'}}",
			broker.Config{Kind: broker.NATS, URL: "nats://a:1", Stream: "CRM", Auth: broker.Auth{Kind: broker.AuthToken, Token: "pw"}},
			"by message of NATS, stream CRM, at once",
		},
	} {
		t.Run(name, func(t *testing.T) {
			parsed := withBroker(t, one.text)
			require.Contains(t, polls(parsed), one.said)
			resolved, err := parsed.Resolve(map[string]string{"RIGHT_URL": "http://127.0.0.1:1"}, secrets)
			require.NoError(t, err)
			require.Equal(t, one.want, *resolved.Systems.Right.Broker)
			require.Nil(t, resolved.Systems.Left.Broker)
		})
	}
}

func TestAWebhookAndABroker(t *testing.T) {
	parsed := withBroker(t, "{kind: nats, url: nats://a:1, stream: CRM}\n    webhook: {secret: w}")
	require.Contains(t, polls(parsed), "are noticed by webhook and by message of NATS, stream CRM, at once, and by asking")
}
