package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/webcall"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// outside makes the calls of a connection's rules.
type outside struct {
	calls  map[string]*webcall.Call
	places map[string]*integration.Publish
	open   OpenPublisher
}

var _ engine.Outside = (*outside)(nil)

// Send makes one call of a rule.
func (o *outside) Send(ctx context.Context, call engine.WebCall) ([]byte, error) {
	prepared, ok := o.calls[call.Rule+" "+call.Part]
	if !ok {
		return nil, fault.New(fault.Internal, "rule %s has no call %s", call.Rule, call.Part)
	}
	return prepared.Send(ctx, call.Query, call.Body, call.Key)
}

// Publish sends one message of a rule over a connection of its own.
func (o *outside) Publish(ctx context.Context, message engine.OutMessage) error {
	name := message.Rule + " " + message.Part
	place, ok := o.places[name]
	if !ok {
		return fault.New(fault.Internal, "rule %s has no message %s", message.Rule, message.Part)
	}
	if len(message.Body) > broker.MaxBody {
		return fault.New(fault.Invalid, "rules.%s: the message is larger than %d bytes; send less of the record", name, broker.MaxBody)
	}
	publisher, err := o.open(ctx, *place.Broker)
	if err != nil {
		return brokerAnswer(err, name)
	}
	defer publisher.Close()
	return brokerAnswer(publisher.Publish(ctx, place.To, broker.Message{ID: message.ID, Body: message.Body}), name)
}

// brokerAnswer tells what a broker refuses for good from what may pass.
func brokerAnswer(err error, name string) error {
	coded := fault.As(err)
	code := fault.Transient
	switch {
	case err == nil:
		return nil
	case coded == nil || coded.Code == fault.Unavailable || coded.Code == fault.Transient:
	case coded.Code == fault.Usage || coded.Code == fault.TooLarge || coded.Code == fault.Invalid || coded.Code == fault.NotFound:
		code = fault.Invalid
	default:
		code = coded.Code
	}
	text := "the broker does not take the message; it is tried again"
	if coded != nil {
		text = coded.Message
	}
	said := fault.Wrap(code, err, "rules.%s: %s", name, text)
	if coded != nil {
		said.After, said.MaybeApplied, said.Status = coded.After, coded.MaybeApplied, coded.Status
	}
	return said
}

// rules compiles the rules of a plan and prepares their calls.
func (o *Opener) rules(key ledger.Key, plan Plan, installed *engine.Installed) error {
	if len(plan.Integration.Rules) == 0 {
		return nil
	}
	made := &outside{calls: map[string]*webcall.Call{}, places: map[string]*integration.Publish{}, open: o.publisher()}
	installed.Rules, installed.Outside = map[string]*engine.Rule{}, made
	for _, spec := range plan.Integration.Rules {
		rule, err := engine.NewRule(spec, o.options.Now)
		if err != nil {
			return err
		}
		installed.Rules[spec.Name] = rule
		for n, effect := range spec.Effects {
			if effect.Publish != nil {
				made.places[fmt.Sprintf("%s then[%d]", spec.Name, n)] = effect.Publish
			}
		}
		for part, web := range websOf(spec) {
			call, err := webcall.New(callOf(spec.Name, part, web), webcall.Options{
				Connection: key.Connection, Tenant: key.Tenant, AllowPrivate: o.options.AllowPrivate, Log: o.options.Log,
				Registerer: o.options.Registerer, Now: o.options.Now,
			})
			if err != nil {
				return err
			}
			made.calls[spec.Name+" "+part] = call
		}
	}
	return nil
}

// websOf are the HTTP calls of a rule, by where they stand in it.
func websOf(rule integration.Rule) map[string]*integration.Web {
	calls := map[string]*integration.Web{}
	for n, ask := range rule.Asks {
		if ask.Web != nil {
			calls[fmt.Sprintf("look_up[%d]", n)] = ask.Web
		}
	}
	for n, effect := range rule.Effects {
		if effect.Call != nil {
			calls[fmt.Sprintf("then[%d]", n)] = effect.Call
		}
	}
	return calls
}

// asksOf checks that a driver knows the collections that the rules look up.
func asksOf(file *integration.Integration, side record.Side, driver connector.Driver) []fault.Detail {
	known := map[string]bool{}
	for _, object := range driver.Objects() {
		known[object.Name] = true
	}
	var wrong []fault.Detail
	for _, rule := range file.Rules {
		for n, ask := range rule.Asks {
			if ask.Web == nil && ask.Side == side && !known[ask.Object] {
				wrong = append(wrong, fault.Detail{Path: fmt.Sprintf("rules.%s.look_up[%d].object", rule.Name, n),
					Message: driver.Title() + " has no collection " + ask.Object + " that this build can speak"})
			}
		}
	}
	return wrong
}

func callOf(rule, part string, web *integration.Web) webcall.Spec {
	spec := webcall.Spec{Name: "rules." + rule + " " + part, Method: web.Method, URL: web.URL, Header: http.Header{}}
	for _, header := range web.Headers {
		spec.Header.Set(header.Name, header.Value)
	}
	if web.Sign != nil {
		spec.SignHeader, spec.SignPrefix, spec.SignSecret = web.Sign.Header, web.Sign.Prefix, web.Sign.Secret
	}
	return spec
}
