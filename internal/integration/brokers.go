package integration

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/record"
)

// maxTopic is the longest name of a topic, queue, stream or group.
const maxTopic = 255

// broker reads where a system leaves messages for us; nil: nowhere. The keys of
// other kinds are unknown keys.
func (d *decoder) broker(v value) *broker.Config {
	body := v.object()
	if body == nil {
		return nil
	}
	read := &broker.Config{Kind: broker.Kind(body.need("kind").choice(broker.Kinds()...))}
	switch read.Kind {
	case broker.NATS:
		read.URL = body.need("url").addresses("nats", "tls")
		read.Stream = body.need("stream").topic()
		read.Topic = body.take("topic").topic()
		read.Group = body.take("group").topic()
		read.Auth = brokerAuth(body.take("auth"), broker.AuthNone, broker.AuthBasic, broker.AuthToken)
	case broker.RabbitMQ:
		body.rabbit(read)
	case broker.Kafka:
		read.URL = body.need("url").addresses("kafka", "kafkas")
		read.Topic = body.need("topic").topic()
		read.Group = body.take("group").topic()
		read.Auth = brokerAuth(body.take("auth"), broker.AuthNone, broker.AuthBasic, broker.AuthSCRAM256, broker.AuthSCRAM512)
	case broker.SQS:
		body.sqs(read)
	case broker.SNS:
		read.Topic = body.need("topic").arn()
	}
	if !read.Kind.Calls() {
		read.Unreadable = body.take("unreadable").topic()
	}
	body.done()
	return read
}

func (o *object) rabbit(read *broker.Config) {
	read.URL = o.need("url").addresses("amqp", "amqps")
	exchange := o.take("exchange")
	if read.Exchange = exchange.topic(); exchange.given() {
		read.Queue = o.take("queue").topic()
		read.Topic = o.take("topic").topic()
	} else {
		read.Queue = o.need("queue").topic()
	}
	read.Auth = brokerAuth(o.need("auth"), broker.AuthBasic)
}

func (o *object) sqs(read *broker.Config) {
	at := o.need("url")
	read.URL = at.addresses("https", "http")
	read.Region = o.take("region").topic()
	read.Auth = brokerAuth(o.need("auth"), broker.AuthAWS)
	if _, now, ok := at.text(); ok && read.Region == "" && (broker.Config{URL: now}).AWSRegion() == "" {
		o.d.problem(at, "does not tell the region: add region")
	}
}

// brokerAuth reads how we log in: one of some kinds, the first by default.
func brokerAuth(v value, kinds ...string) broker.Auth {
	body := v.object()
	if body == nil {
		return broker.Auth{Kind: kinds[0]}
	}
	auth := broker.Auth{Kind: body.need("kind").choice(kinds...)}
	switch auth.Kind {
	case broker.AuthToken:
		auth.Token = body.need("token").credential()
	case broker.AuthAWS:
		auth.AccessKeyID = body.need("access_key_id").credential()
		auth.SecretAccessKey = body.need("secret_access_key").credential()
		auth.SessionToken = body.take("session_token").credential()
	case broker.AuthBasic, broker.AuthSCRAM256, broker.AuthSCRAM512:
		auth.Username = body.need("username").credential()
		auth.Password = body.need("password").credential()
	}
	body.done()
	return auth
}

// topic reads the name of a topic, queue, stream or group; "" when it is left out.
func (v value) topic() string {
	stored, now, ok := v.text()
	switch {
	case !ok || !v.given():
	case now == "" || strings.TrimSpace(now) != now || strings.ContainsFunc(now, func(r rune) bool { return r < ' ' || r == 0x7f }):
		v.d.problem(v, "must be a name without spaces around it")
	case len(now) > maxTopic:
		v.d.problem(v, "is longer than %d bytes", maxTopic)
	}
	return stored
}

// arn reads the name of a topic of Amazon SNS.
func (v value) arn() string {
	stored, now, ok := v.text()
	if ok && v.given() && !regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}$`).MatchString(now) {
		v.d.problem(v, "must be the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:crm")
	}
	return stored
}

// addresses reads one or more addresses of a broker, separated by commas, with a
// scheme of those given and without credentials.
func (v value) addresses(schemes ...string) string {
	stored, now, ok := v.text()
	if !ok || !v.given() {
		return stored
	}
	for one := range strings.SplitSeq(now, ",") {
		parsed, err := url.Parse(strings.TrimSpace(one))
		switch {
		case err != nil || parsed.Host == "" || !slices.Contains(schemes, parsed.Scheme):
			v.d.problem(v, "must be an address of the form %s://host:port", strings.Join(schemes, ":// or "))
			return stored
		case parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
			v.d.problem(v, "must not hold a user, a query or a fragment: credentials stand under auth")
			return stored
		}
	}
	return stored
}

// heard is how changes of a side come to us, beside polls.
func (t *teller) heard(side record.Side) string {
	var ways []string
	if t.integration.System(side).Webhook.Secret != "" {
		ways = append(ways, "by webhook")
	}
	if said := t.integration.System(side).Broker; said != nil {
		ways = append(ways, "by message of "+sender(said))
	}
	if len(ways) == 0 {
		return "only"
	}
	return and(ways) + " at once, and"
}

// sender is where messages come from, for people.
func sender(said *broker.Config) string {
	text := said.Kind.Title()
	if said.Stream != "" {
		text += ", stream " + said.Stream
	}
	if said.Exchange != "" {
		text += ", exchange " + said.Exchange
	} else if said.Queue != "" {
		text += ", queue " + said.Queue
	}
	if said.Kind == broker.SQS {
		text += ", queue " + path.Base(said.URL)
	}
	if said.Topic != "" {
		text += ", topic " + said.Topic
	}
	return text + ","
}
