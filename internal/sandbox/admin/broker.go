package admin

import (
	"net/http"
	"slices"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// setBroker has events published to a broker from now on.
func (s *server) setBroker(r *http.Request) (any, error) {
	var in wire.Broker
	if err := read(r, &in); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains([]broker.Kind{broker.NATS, broker.RabbitMQ}, broker.Kind(in.Kind)):
		return nil, bad("kind is %q, not nats or rabbitmq", in.Kind)
	case in.URL == "" || in.Topic == "":
		return nil, bad("url and topic must be given")
	}
	s.Hooks.PublishTo(&in)
	return nil, nil
}

// removeBroker ends that.
func (s *server) removeBroker(*http.Request) (any, error) {
	s.Hooks.PublishTo(nil)
	return nil, nil
}
