package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// largeSkew is how far a clock may be off before it is told as a mistake; the
// sync itself stands five minutes.
const largeSkew = 5 * time.Minute

// live tests both sides. What a side answers is a finding, never an error.
func (c checking) live(ctx context.Context, plan Plan, found *Found) error {
	for _, side := range record.Sides() {
		brokerOf(ctx, plan, side, found)
		open, err := plan.Open(side)
		if err != nil {
			return err
		}
		report, err := open.Check(ctx, plan.Objects(side))
		if err != nil {
			return err
		}
		reach(plan, side, report, found)
		if report.Token != "" {
			continue
		}
		filter(ctx, plan, side, open, found)
		for n, stream := range plan.Streams {
			object := plan.Integration.Streams[n].End(side).Object
			if object == "" {
				continue
			}
			sample, ok := report.Sample[object]
			if !ok {
				if report.Objects[object] == "" {
					found.add(Test{Side: side, About: "mapping", Name: stream.Name(), OK: true, Text: "there is no record yet to try the mapping with"})
				}
				continue
			}
			roundTrip(stream, side, sample, found)
		}
		before, err := c.typesBefore(ctx, side)
		if err != nil {
			return err
		}
		shapes(ctx, plan, side, open, before, found)
		if err := c.webhook(ctx, plan, side, open, found); err != nil {
			return err
		}
	}
	return nil
}

// brokerOf tells whether the broker of a side can be reached and has what is named.
func brokerOf(ctx context.Context, plan Plan, side record.Side, found *Found) {
	said := plan.Integration.System(side).Broker
	if said == nil {
		return
	}
	test := Test{Side: side, About: "broker", OK: true, Text: said.Kind.Title() + " lets us in, and has what the file names"}
	if said.Kind.Calls() {
		test.Text = "subscribe the topic over HTTPS to the webhook address of the connection; it is confirmed by itself. Without a public URL (ACCORD_PUBLIC_URL) changes are found by polling only"
	} else if err := plan.Broker(ctx, side); err != nil {
		test.OK, test.Text = false, words(err)
	}
	found.add(test)
}

// reach tells of token, scopes and clock.
func reach(plan Plan, side record.Side, report connector.Report, found *Found) {
	if report.Token != "" {
		found.add(Test{Side: side, About: "token", Text: report.Token})
		return
	}
	text := plan.Title(side) + " gave an access token"
	switch plan.Integration.System(side).Auth.Kind {
	case integration.AuthBearer, integration.AuthAPIKey, integration.AuthNone:
		// Nothing was asked for: only a call tells.
		text = "credentials are there; the calls below try them"
	case integration.AuthBasic:
		text = "credentials are there"
	}
	found.add(Test{Side: side, About: "token", OK: true, Text: text})
	for _, object := range plan.Objects(side) {
		text := report.Objects[object]
		test := Test{Side: side, About: "scope", Name: object, OK: text == "", Text: text}
		if test.OK {
			test.Text = "can be read"
		}
		found.add(test)
	}
	skew := report.Skew.Abs().Round(time.Second)
	found.add(Test{Side: side, About: "clock", OK: skew < largeSkew, Text: fmt.Sprintf("differs from this machine's by %s", skew)})
}

// filter tells whether listings can be asked for what changed.
func filter(ctx context.Context, plan Plan, side record.Side, open connector.Connector, found *Found) {
	capabilities, err := open.Probe(ctx)
	test := Test{Side: side, About: "filter", OK: err == nil}
	switch {
	case err != nil:
		test.Text = words(err)
	case capabilities.UpdatedFilter:
		test.Text = plan.Title(side) + " can be asked for what changed since a time"
	default:
		test.Text = plan.Title(side) + " ignores the change filter, or has no record yet to tell by: polls read newest first, and everything where that is not possible"
	}
	found.add(test)
}

// roundTrip takes a sample record through every field of the mapping and back.
// Nothing is sent, and no value is told.
func roundTrip(stream *mapping.Stream, side record.Side, sample record.Record, found *Found) {
	in, err := stream.InScope(side, sample.Fields)
	if err != nil {
		found.add(Test{Side: side, About: "mapping", Name: stream.Name(), Text: words(err)})
		return
	}
	wrong := 0
	for _, field := range stream.Fields() {
		if field.Kind().Name == record.KindRef || !field.Writable(side.Other()) {
			continue
		}
		if text := fieldRoundTrip(field, side, sample.Fields); text != "" {
			wrong++
			found.add(Test{Side: side, About: "mapping", Name: stream.Name() + "." + field.Name(), Text: text})
		}
	}
	if wrong > 0 {
		return
	}
	text := "a sample record went through the mapping and back unchanged"
	if !in {
		text += "; it is out of scope by `where`"
	}
	found.add(Test{Side: side, About: "mapping", Name: stream.Name(), OK: true, Text: text})
}

// fieldRoundTrip says what goes wrong with one field; empty if nothing does.
func fieldRoundTrip(field *mapping.Field, side record.Side, fields record.Fields) string {
	noRefs := func(string, record.Side, string) (string, bool) { return "", false }
	raw, _, err := field.Read(side, fields)
	if err != nil {
		return "cannot be read from the sample record: " + words(err)
	}
	want, err := field.Canonical(side, raw, noRefs)
	if err != nil {
		return "the sample record's value has no normal form: " + words(err)
	}
	patch, err := field.Convert(side, raw, noRefs)
	if err != nil {
		return "the sample record's value cannot be converted: " + words(err)
	}
	back, err := field.Expected(side.Other(), record.Fields{}, patch)
	if err != nil {
		return "what would be written cannot be read back: " + words(err)
	}
	got, err := field.Canonical(side.Other(), back, noRefs)
	if err != nil {
		return "what would be written has no normal form: " + words(err)
	}
	if record.Fingerprint(got) != record.Fingerprint(want) && !field.Lossy(side.Other()) {
		return "what would be written reads back as another value; if the target cannot hold it, declare the field lossy"
	}
	return ""
}

// webhook tells whether events can arrive, and, for an installed connection,
// what the system says of the registered webhook.
func (c checking) webhook(ctx context.Context, plan Plan, side record.Side, open connector.Connector, found *Found) error {
	test := Test{Side: side, About: "webhook", OK: true}
	if said := plan.Integration.System(side); said.Webhook.Secret == "" && said.Broker != nil {
		return nil // it sends messages instead
	} else if said.Webhook.Secret == "" {
		test.Text = "no secret is set (systems." + string(side) + ".webhook.secret): changes are found by polling only"
		found.add(test)
		return nil
	}
	test.Text = "a secret is set; it is registered at activation, or by a person where the system has no call for that, if there is a public URL (ACCORD_PUBLIC_URL), else changes are found by polling only"
	if c.connection == "" {
		found.add(test)
		return nil
	}
	return c.options.onConnection(ctx, c.connection, func(session *Session, connection ledger.Connection) error {
		state, err := session.Store.SideState(ctx, connection.Key, side)
		if err != nil {
			return err
		}
		found.add(registered(ctx, open, state, test))
		return nil
	})
}

func registered(ctx context.Context, open connector.Connector, state ledger.SideState, test Test) Test {
	if state.WebhookID == "" {
		test.Text = "a secret is set; no webhook is registered for this connection"
		return test
	}
	answer, err := open.WebhookStatus(ctx, state.WebhookID)
	switch {
	case fault.Is(err, fault.Gone):
		test.OK, test.Text = false, "the registered webhook is gone; resume the connection to register it again"
	case err != nil:
		test.OK, test.Text = false, words(err)
	case !answer.Active:
		test.OK, test.Text = false, "the system switched the webhook off after failures; it is switched on again by the next check of the worker"
	case answer.ByHand:
		test.Text = "a person registers it in the system's settings, with the address that accord connections --json tells; accord status says active once a delivery has come"
	default:
		test.Text = "registered and active"
	}
	return test
}

// words is an error for people, without the cause, which may quote data.
func words(err error) string {
	if coded := fault.As(err); coded != nil {
		return coded.Error()
	}
	return "an unexpected error"
}
