package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/record"
)

const acmeNATS = "\n    broker: {kind: nats, url: 'nats://127.0.0.1:4222', stream: CRM, topic: crm.events}"

// publishing is base.yaml with a broker on the right side and a rule that publishes.
func publishing(t *testing.T, at, effect string) string {
	t.Helper()
	return strings.Replace(base(t), "connector: acme", "connector: acme"+at, 1) +
		"\nrules:\n  r:\n    when: {side: left, object: deals, events: [deal.won]}\n    then:\n      - publish: " + effect + "\n"
}

func TestRulePublishes(t *testing.T) {
	rabbit := "{kind: rabbitmq, url: 'amqp://a:5672', exchange: crm, auth: {kind: basic, username: u, password: '${secret:b}'}}"
	for name, one := range map[string]struct {
		effect string
		want   Publish
		said   string
	}{
		"to a side's broker": {
			`{side: right, to: crm.won, body: {id: id, deal.name: name}}`,
			Publish{Side: record.Right, To: "crm.won", Body: []Target{{Path: "id", Expression: "id"}, {Path: "deal.name", Expression: "name"}},
				Broker: &broker.Config{Kind: broker.NATS, URL: "nats://127.0.0.1:4222", Stream: "CRM", Topic: "crm.events", Auth: broker.Auth{Kind: broker.AuthNone}}},
			"then a message is published to crm.won on the broker of Acme (NATS).",
		},
		"to one of its own": {
			`{broker: ` + rabbit + `, to: won.${WHERE:-sales}, body: '{"id": id}'}`,
			Publish{To: "won.sales", Whole: `{"id": id}`, Broker: &broker.Config{Kind: broker.RabbitMQ, URL: "amqp://a:5672", Exchange: "crm",
				Auth: broker.Auth{Kind: broker.AuthBasic, Username: "u", Password: "pw"}}},
			"then a message is published to won.sales on a broker of its own (RabbitMQ).",
		},
		"to a queue of SQS": {
			`{broker: {kind: sqs, url: 'https://sqs.eu-west-1.amazonaws.com/123456789012/won', auth: {kind: aws, access_key_id: AK, secret_access_key: '${secret:b}'}}, body: {id: id}}`,
			Publish{To: "https://sqs.eu-west-1.amazonaws.com/123456789012/won", Body: []Target{{Path: "id", Expression: "id"}},
				Broker: &broker.Config{Kind: broker.SQS, URL: "https://sqs.eu-west-1.amazonaws.com/123456789012/won",
					Auth: broker.Auth{Kind: broker.AuthAWS, AccessKeyID: "AK", SecretAccessKey: "pw"}}},
			"then a message is published to won on a broker of its own (Amazon SQS).",
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := publishing(t, acmeNATS, one.effect)
			parsed := mustParse(t, text)
			resolved, err := parsed.Resolve(map[string]string{"RIGHT_URL": "http://127.0.0.1:1"}, map[string]string{"left": "l", "right": "r", "hook": "h", "b": "pw"})
			require.NoError(t, err)
			require.Equal(t, &one.want, resolved.Rule("r").Effects[0].Publish)
			_, err = parsed.Compile()
			require.NoError(t, err)
			var said []string
			for _, sentence := range Sentences(resolved) {
				if sentence.Stream == "rules.r" && sentence.About == "when" {
					said = append(said, sentence.Text)
				}
			}
			require.Len(t, said, 1)
			require.Contains(t, said[0], one.said)
			require.Contains(t, parsed.Rule("r").mentions(), "id")
		})
	}
}

func TestMistakesOfPublish(t *testing.T) {
	for _, one := range []struct{ at, effect, want string }{
		{"", `{side: right, to: a, body: {id: id}}`, "the right system has no broker"},
		{"\n    broker: {kind: sns, topic: 'arn:aws:sns:eu-west-1:123456789012:crm'}", `{side: right, to: a, body: {id: id}}`, "nothing is published to Amazon SNS"},
		{acmeNATS, `{to: a, body: {id: id}}`, "either side, whose broker takes it, or a broker of its own"},
		{acmeNATS, `{side: right, broker: {kind: nats, url: 'nats://a:1'}, to: a, body: {id: id}}`, "either side, whose broker takes it, or a broker of its own"},
		{acmeNATS, `{side: right, body: {id: id}}`, "the key to is missing"},
		{acmeNATS, `{side: right, to: a}`, "the key body is missing"},
		{acmeNATS, `{side: right, to: crm.events, body: {id: id}}`, "is where the events of the right system are read from"},
		{acmeNATS, `{side: right, to: a, body: {id: "id =="}}`, "bad expression"},
		{acmeNATS, `{side: right, to: a, body: {id: id}, headers: {}}`, "unknown key headers"},
		{acmeNATS, `{broker: {kind: nats, url: 'nats://a:1', stream: CRM}, to: a, body: {id: id}}`, "unknown key stream"},
		{acmeNATS, `{broker: {kind: sns, topic: a}, to: a, body: {id: id}}`, "is not one of nats, rabbitmq, kafka, sqs"},
		{acmeNATS, `{side: right, to: "${secret:b}", body: {id: id}}`, "a secret is only allowed in"},
		{acmeNATS, `{broker: {kind: kafka, url: 'nats://a:1'}, to: a, body: {id: id}}`, "must be an address of the form kafka://"},
	} {
		_, err := Parse([]byte(publishing(t, one.at, one.effect)))
		require.Error(t, err, one.effect)
		require.Contains(t, report(t, err), one.want, one.effect)
	}
}
