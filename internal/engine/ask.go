package engine

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// askAll makes the further calls of a rule for a record, and adds what they answer
// to its fields. found is what was answered, by name.
func (p *pass) askAll(ctx context.Context, rule *Rule, fields record.Fields) (found ledger.Values, err error) {
	for n, ask := range rule.Spec.Asks {
		value, err := p.ask(ctx, rule, n, ask, fields)
		if err != nil {
			return nil, err
		}
		if found == nil {
			found = ledger.Values{}
		}
		found[ask.Name], fields[ask.Name] = value, value
	}
	return found, nil
}

// ask makes one further call, unless its answer is known. What is not there is nil.
func (p *pass) ask(ctx context.Context, rule *Rule, n int, ask integration.Ask, fields record.Fields) (any, error) {
	key, do, err := p.asking(rule, n, ask, fields)
	if err != nil || do == nil {
		return nil, err
	}
	if value, ok := rule.asks.have(key); ok {
		return value, nil
	}
	if err := rule.asks.admit(ask.Name, ask.Limit); err != nil {
		return nil, err
	}
	value, err := do(ctx)
	if err != nil {
		return nil, onRef(err, p.work.Ref)
	}
	rule.asks.keep(key, value, ask.Cache)
	return value, nil
}

// asking says what a further call asks for, and how; do is nil where there is nothing
// to ask for.
func (p *pass) asking(rule *Rule, n int, ask integration.Ask, fields record.Fields) (key string, do func(context.Context) (any, error), err error) {
	if ask.Web != nil {
		query, err := rule.texts(ask.Web.Query, fields)
		if err != nil {
			return "", nil, err
		}
		call := WebCall{Rule: rule.Spec.Name, Part: fmt.Sprintf("look_up[%d]", n), Query: query}
		return ask.Name + "?" + spelled(query), func(ctx context.Context) (any, error) { return p.askWeb(ctx, call, ask.OrNothing) }, nil
	}
	source := ask.ID
	if source == "" {
		source = ask.FindValue
	}
	value, err := rule.give(source, fields)
	if err != nil || record.IsBlank(value) {
		return "", nil, err
	}
	key = ask.Name + "=" + record.Fingerprint(value)
	if ask.ID != "" {
		id, ok := transport.ParseID(record.Canon(record.Kind{Name: record.KindRef}, value))
		if !ok {
			return "", nil, fault.New(fault.Invalid, "rule %s: what look_up %s gives is no id", rule.Spec.Name, ask.Name)
		}
		return key, func(ctx context.Context) (any, error) { return p.askRecord(ctx, ask, id) }, nil
	}
	return key, func(ctx context.Context) (any, error) { return p.askSearch(ctx, ask, value) }, nil
}

func spelled(query map[string]string) string {
	parts := make([]string, 0, len(query))
	for name, value := range query {
		parts = append(parts, name+"="+record.Hash(value))
	}
	sort.Strings(parts)
	return strings.Join(parts, "&")
}

func (p *pass) askRecord(ctx context.Context, ask integration.Ask, id string) (any, error) {
	found, err := p.fetch(ctx, record.Ref{Side: ask.Side, Object: ask.Object, ID: id})
	if fault.Is(err, fault.Gone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return map[string]any(found.Fields), nil
}

// askSearch answers the only record that has the value, and nil where there is none
// or several.
func (p *pass) askSearch(ctx context.Context, ask integration.Ask, value any) (any, error) {
	if err := p.step("before search"); err != nil {
		return nil, err
	}
	var found []record.Record
	err := p.call(ctx, ask.Side, func(ctx context.Context, to connector.Connector) error {
		var err error
		found, err = to.Search(ctx, connector.SearchRequest{Object: ask.Object, Path: ask.FindPath, Value: value})
		return err
	})
	if err != nil {
		return nil, err
	}
	kind := record.Kind{}
	if strings.HasSuffix(ask.FindPath, "email") {
		kind.Name = record.KindEmail
	}
	var same []record.Record
	for _, one := range found {
		if have, _ := one.Fields.Get(ask.FindPath); record.Equal(kind, have, value) {
			same = append(same, one)
		}
	}
	if len(same) != 1 {
		return nil, p.step("after search")
	}
	return map[string]any(same[0].Fields), p.step("after search")
}

// askWeb asks an address. Where it says that there is nothing, that is an answer if the
// rule takes it for one.
func (p *pass) askWeb(ctx context.Context, call WebCall, orNothing bool) (any, error) {
	body, err := p.sendOut(ctx, call)
	if fault.Is(err, fault.Gone) && orNothing {
		return nil, nil
	}
	if err != nil {
		return nil, forGood(err, call.Rule, call.Part)
	}
	value, err := transport.DecodeJSON(body)
	switch {
	case err == nil:
		return value, nil
	case fault.Is(err, fault.TooLarge) || p.work.Tries+1 >= forbiddenTries:
		return nil, fault.Wrap(fault.Invalid, err, "rule %s: the answer to %s is not JSON of a size that can be used; correct the address", call.Rule, call.Part)
	}
	return nil, fault.Wrap(fault.Transient, err, "rule %s: the answer to %s is not JSON; it is tried again", call.Rule, call.Part)
}

// forGood makes a refusal for good of what will be answered the same again: that there
// is nothing at the address (unlike a record of a side, nobody verifies that), or more
// than is read.
func forGood(err error, rule, part string) error {
	coded := fault.As(err)
	if coded == nil || coded.Code != fault.Gone && coded.Code != fault.TooLarge {
		return err
	}
	refused := *coded
	refused.Code = fault.Invalid
	refused.Message = "rules." + rule + " " + part + ": "
	if coded.Code == fault.Gone {
		refused.Message += "the address answers that there is nothing there; correct it or what it is asked for"
	} else {
		refused.Message += "the answer is too large; ask for less"
	}
	return &refused
}

// sendOut makes a call of a rule within the lease.
func (p *pass) sendOut(ctx context.Context, call WebCall) ([]byte, error) {
	var body []byte
	err := p.outward(ctx, func(ctx context.Context) error {
		var err error
		body, err = p.in.Outside.Send(ctx, call)
		return err
	})
	return body, err
}

// outward does something outside for a rule within the lease.
func (p *pass) outward(ctx context.Context, send func(ctx context.Context) error) error {
	if err := p.step("before call"); err != nil {
		return err
	}
	if err := p.renew(ctx); err != nil {
		return err
	}
	callCtx, cancel := context.WithTimeout(ctx, min(p.engine.callTime(), p.leaseLeft()))
	defer cancel()
	if err := send(callCtx); err != nil {
		return onRef(err, p.work.Ref)
	}
	return p.step("after call")
}
