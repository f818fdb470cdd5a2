package app

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/accord-sync/accord/api/messages"
	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/broker/sns"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// brokerCalls bounds the calls in flight to brokers that are reached over HTTP.
const brokerCalls = 4096

// snsTimeout bounds a call to Amazon SNS while it waits for our answer.
const snsTimeout = 4 * time.Second

// listen receives from the connections' brokers until ctx ends; wait waits for the
// end of the subscriptions.
func (p Process) listen(ctx context.Context, parts *Parts) (wait func()) {
	log := p.Telemetry.Log
	metrics := messages.NewMetrics(p.Telemetry.Registry)
	nudger := webhook.NewNudger(parts.Steering.Nudge, log)
	receiver := webhook.New(webhook.Options{
		Inbox: parts.Store, Directory: webhook.NewCache(WebhookTargets(parts.Store, parts.Installer), p.Now), Nudge: nudger.Nudge,
		Log: log, Now: p.Now, Tracer: p.Telemetry.Tracer.Tracer("github.com/accord-sync/accord/api/messages"), Observe: metrics,
	})
	network := brokerNetwork(p.Settings.AllowPrivate, p.Now)
	listener := messages.New(messages.Options{
		Store: parts.Store, Inbox: receiver, Brokers: parts.Installer.Brokers, Log: log, Observe: metrics,
		Subscribe: func(ctx context.Context, config broker.Config) (broker.Subscription, error) {
			return client.Subscribe(ctx, config, network)
		},
		Publisher: func(ctx context.Context, config broker.Config) (broker.Publisher, error) {
			return client.OpenPublisher(ctx, config, network)
		},
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer nudger.Close()
		listener.Run(ctx)
	}()
	return func() { <-done }
}

// brokerNetwork reaches brokers under the same rules as everything else outside.
func brokerNetwork(allowPrivate []netip.Prefix, now func() time.Time) client.Network {
	dialer := &net.Dialer{Control: transport.Guard(allowPrivate)}
	// A call waits for messages most of the time: many are open at once, and a line in
	// the log for each would tell nothing.
	calls := transport.New(transport.Options{Timeout: client.SQSTimeout, Concurrency: brokerCalls, AllowPrivate: allowPrivate, Now: now})
	return client.Network{Dial: dialer.DialContext, HTTP: calls, Now: now, Name: "accord"}
}

// OpenPublisher connects to a broker.
type OpenPublisher func(ctx context.Context, config broker.Config) (broker.Publisher, error)

// publisher opens brokers for rules: as the options say, or the real ones.
func (o *Opener) publisher() OpenPublisher {
	if o.options.Publisher != nil {
		return o.options.Publisher
	}
	network := brokerNetwork(o.options.AllowPrivate, o.options.Now)
	return func(ctx context.Context, config broker.Config) (broker.Publisher, error) {
		return client.OpenPublisher(ctx, config, network)
	}
}

// snsReader reads what Amazon SNS posts; its calls go the way of all others.
func (p Process) snsReader() func(ctx context.Context, topic string, header http.Header, body []byte) ([]byte, error) {
	outside := transport.New(transport.Options{Log: p.Telemetry.Log, Now: p.Now, Timeout: snsTimeout, AllowPrivate: p.Settings.AllowPrivate})
	return sns.New(sns.Options{Client: outside, Now: p.Now}).Read
}

// Brokers says where the sides of a connection leave messages that somebody must fetch.
func (i *Installer) Brokers(connection ledger.Connection) (map[record.Side]broker.Config, error) {
	plan, err := i.ofConnection(connection)
	if err != nil {
		return nil, err
	}
	found := map[record.Side]broker.Config{}
	for _, side := range record.Sides() {
		if said := plan.Integration.System(side).Broker; said != nil && !said.Kind.Calls() {
			found[side] = *said
		}
	}
	return found, nil
}

// CheckBroker tries the broker of a side for the command check; a side without one is well.
func CheckBroker(ctx context.Context, plan Plan, side record.Side, allowPrivate []netip.Prefix, now func() time.Time) error {
	said := plan.Integration.System(side).Broker
	if said == nil || said.Kind.Calls() {
		return nil
	}
	return client.Check(ctx, *said, brokerNetwork(allowPrivate, now))
}

// readable checks that the events of a side's broker can be read.
func readable(file *integration.Integration, side record.Side, driver connector.Driver) []fault.Detail {
	if file.System(side).Broker == nil {
		return nil
	}
	if _, ok := driver.(connector.MessageReader); ok {
		return nil
	}
	return []fault.Detail{{Path: "systems." + string(side) + ".broker", Message: driver.Title() + " sends no events, so no message of it could be read"}}
}
