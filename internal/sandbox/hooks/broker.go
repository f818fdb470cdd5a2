package hooks

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// brokerHook is the id of the hook whose messages go to a broker.
const brokerHook = "broker"

// publishTimeout bounds one message to a broker.
const publishTimeout = 15 * time.Second

// outlet publishes to a broker. It connects when it is first used, and again after
// a failure.
type outlet struct {
	config broker.Config
	topic  string
	// prefix keeps the ids of this process apart from those of others.
	prefix string

	mu   sync.Mutex
	open broker.Publisher
}

// PublishTo has all events published to a broker, beside the webhooks, until it is
// told otherwise; nil ends it. Messages are the bodies of webhooks, and what holds,
// drops, repeats and reorders webhooks does the same to them.
func (q *Queue) PublishTo(to *wire.Broker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := q.outlet
	q.outlet = nil
	q.hooks = slices.DeleteFunc(q.hooks, func(h *Hook) bool { return h.ID == brokerHook })
	if to != nil {
		config := broker.Config{Kind: broker.Kind(to.Kind), URL: to.URL, Exchange: to.Exchange, Auth: broker.Auth{Kind: broker.AuthNone}}
		if to.Username != "" {
			config.Auth = broker.Auth{Kind: broker.AuthBasic, Username: to.Username, Password: to.Password}
		}
		q.outlet = &outlet{config: config, topic: to.Topic, prefix: rand.Text() + "-"}
		q.hooks = append(q.hooks, &Hook{ID: brokerHook, URL: to.URL, Events: []string{"*"}, Secret: brokerHook, Active: true})
	}
	if before != nil {
		go before.close() // it may wait for a message under way
	}
}

// publish sends one message; the answer is the status that stands for it.
func (q *Queue) publish(id string, body []byte, header http.Header) int {
	q.mu.Lock()
	to := q.outlet
	q.mu.Unlock()
	if to == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(q.ctx, publishTimeout)
	defer cancel()
	if to.publish(ctx, broker.Message{ID: to.prefix + id, Header: header, Body: body}) != nil {
		return 0
	}
	return http.StatusOK
}

func (o *outlet) publish(ctx context.Context, message broker.Message) (err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		network := client.Network{Dial: (&net.Dialer{}).DialContext, Name: "sandbox"}
		if o.open, err = client.OpenPublisher(ctx, o.config, network); err != nil {
			o.open = nil
			return err
		}
	}
	if err = o.open.Publish(ctx, o.topic, message); err != nil {
		o.open.Close()
		o.open = nil
	}
	return err
}

func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open != nil {
		o.open.Close()
		o.open = nil
	}
}
