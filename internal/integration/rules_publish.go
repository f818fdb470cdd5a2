package integration

import (
	"path"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// Publish puts a message on a broker.
type Publish struct {
	// Side is whose declared broker it is; "" with a broker of its own.
	Side record.Side
	// Broker is where the message goes.
	Broker *broker.Config
	// To is the subject of NATS, the topic of Kafka, the address of a queue of SQS, and
	// of RabbitMQ the routing key where the broker has an exchange, else the queue.
	To string
	// Body gives one value per dotted path of a JSON object; Whole, instead, is one
	// expression that gives the whole body.
	Body  []Target
	Whole string
}

// publish reads a message that is sent.
func (d *decoder) publish(i *Integration, v value) (*Publish, bool) {
	body := v.object()
	if body == nil {
		return nil, false
	}
	read := &Publish{}
	side, own := body.take("side"), body.take("broker")
	switch {
	case side.given() == own.given():
		d.problem(v, "a message needs either side, whose broker takes it, or a broker of its own")
	case own.given():
		read.Broker = d.destination(own)
	default:
		read.Side = sideOf(side)
		read.Broker = i.System(read.Side).Broker
		switch {
		case read.Broker == nil:
			d.problem(side, "the %s system has no broker: declare one there, or give this message a broker of its own", read.Side)
		case read.Broker.Kind.Calls():
			d.problem(side, "nothing is published to %s: give this message a broker of its own", read.Broker.Kind.Title())
		}
	}
	to := body.take("to")
	read.To = to.topic()
	switch {
	case to.given() || read.Broker == nil:
	case own.given() && read.Broker.Kind == broker.SQS:
		read.To = read.Broker.URL
	default:
		d.problem(v, "the key to is missing")
	}
	if read.Side != "" && read.Broker != nil && read.To != "" && read.To == readFrom(read.Broker) {
		d.problem(to, "is where the events of the %s system are read from: they would be mixed with it", read.Side)
	}
	if given := body.need("body"); given.given() {
		read.Body, read.Whole = given.content()
	}
	body.done()
	return read, true
}

// readFrom is what a side's own events are read from.
func readFrom(from *broker.Config) string {
	switch {
	case from.Kind == broker.SQS:
		return from.URL
	case from.Kind == broker.RabbitMQ && from.Exchange == "":
		return from.Queue
	}
	return from.Topic
}

// destination reads a broker that a rule alone uses; the keys that say what is
// received are unknown here.
func (d *decoder) destination(v value) *broker.Config {
	body := v.object()
	if body == nil {
		return nil
	}
	read := &broker.Config{Kind: broker.Kind(body.need("kind").choice(string(broker.NATS), string(broker.RabbitMQ), string(broker.Kafka), string(broker.SQS)))}
	switch read.Kind {
	case broker.NATS:
		read.URL = body.need("url").addresses("nats", "tls")
		read.Auth = brokerAuth(body.take("auth"), broker.AuthNone, broker.AuthBasic, broker.AuthToken)
	case broker.RabbitMQ:
		read.URL = body.need("url").addresses("amqp", "amqps")
		read.Exchange = body.take("exchange").topic()
		read.Auth = brokerAuth(body.need("auth"), broker.AuthBasic)
	case broker.Kafka:
		read.URL = body.need("url").addresses("kafka", "kafkas")
		read.Auth = brokerAuth(body.take("auth"), broker.AuthNone, broker.AuthBasic, broker.AuthSCRAM256, broker.AuthSCRAM512)
	case broker.SQS:
		body.sqs(read)
	}
	body.done()
	return read
}

// content reads a JSON body: an object of expressions, or one expression for all of it.
func (v value) content() (body []Target, whole string) {
	if kindOf(v.node) == "an object" {
		return v.expressions(isPath), ""
	}
	return nil, v.expression(mapping.CheckRead)
}

// published tells where a message goes.
func (t *teller) published(to *Publish) string {
	at := "a broker of its own (" + to.Broker.Kind.Title() + ")"
	if to.Side != "" {
		at = "the broker of " + t.system(to.Side) + " (" + to.Broker.Kind.Title() + ")"
	}
	return "a message is published to " + path.Base(to.To) + " on " + at
}
