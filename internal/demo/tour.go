package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
)

// tour starts the service, plays the tour, and stops it.
func (p *Play) tour(ctx context.Context, options Options) (results []result, err error) {
	started := p.now()
	chosen, err := choose(tourChecks(), options.Only)
	if err != nil {
		return nil, err
	}
	if err := options.At.check(ctx); err != nil {
		return nil, err
	}
	p.out.line("Starting Temporal, the worker and the API; each check brings up servers of its own …")
	stack, err := options.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stack.Stop()) }()
	p.api = newClient(stack.API, stack.Token)
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	p.linked, p.echoes = 0, 0
	results = playAll(ctx, p, chosen)
	if ctx.Err() != nil {
		p.out.line("\nStopped before its end.")
		return results, ctx.Err()
	}
	p.out.summary(results, p.linked, p.echoes)
	p.out.line("It took %s in all.", took(p.now().Sub(started).Milliseconds()))
	return results, nil
}

// choose keeps the checks of some names; none: all.
func choose(all []check, only []string) ([]check, error) {
	if len(only) == 0 {
		return all, nil
	}
	var chosen []check
	var names []string
	for _, one := range all {
		names = append(names, one.name)
		if slices.Contains(only, one.name) {
			chosen = append(chosen, one)
		}
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, fault.New(fault.Usage, "the tour has no check %q; it has %s", name, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}

// tourChecks show one thing after another that an integration has to cope with; the
// numbers put them in order. Each check has servers of its own, so that none depends on
// another.
func tourChecks() []check {
	return []check{
		{name: "01-patterns", title: "One way to either side, both ways, and by timetable", play: tourPatterns},
		{name: "02-rules", title: "When a deal is won, then an order is made and a chat hears of it, once", play: tourRules},
		{name: "03-collisions", title: "Records with the same key: ignored, made a second time, or linked", play: tourCollisions},
		{name: "04-salesos-whole", title: "SalesOS: deals moved and won, leads converted, users invited and deactivated by name only, custom fields, tags, several events per edit", play: tourSalesOS},
		{name: "05-acme-whole", title: "Acme: deletes that no webhook told of, and a merge to its end", play: tourAcme},
		{name: "06-calendar", title: "Appointments of Acme and a real calendar (Radicale): zones, a series and its exception", play: tourCalendar},
		{name: "07-touch-points", title: "Calls and e-mails counted once, corrected, written back", play: tourTouchPoints},
		{name: "08-tryton", title: "Leads and deals with a real Tryton on PostgreSQL, which is only polled", play: tourTryton},
		{name: "09-rest-manifest", title: "A REST system without Go code: Acme by its manifest", play: tourManifest},
		{name: "10-hubspot", title: "HubSpot by its manifest: contacts, deals, meetings, calls and e-mails", play: tourHubSpot},
		{name: "11-message-nats", title: "Events by message of a real NATS server instead of by webhook", play: tourNATS},
		{name: "11-message-rabbitmq", title: "The same with a real RabbitMQ: other lines in the file, nothing else", play: tourRabbitMQ},
		{name: "12-xml-and-csv", title: "Companies in XML, contacts out of a file in CSV", play: tourFormats},
		{name: "13-dead-letters", title: "Bad data is parked, told, corrected, replayed and discarded, one or many; a good edit clears it", play: tourDeadLetters},
		{name: "14-api-down", title: "An API is down: work is held, and the newest state wins", play: tourDown},
		{name: "15-vendors-update", title: "A vendor changes its fields: the live check warns", play: tourUpdate},
		{name: "16-large-first-load", title: "A large first load: total, pace, pause, resume, live edits beside it", play: tourLarge},
	}
}

// needs is why a check cannot be played here: something that is not installed.
type needs struct{ what string }

// Error says what is missing.
func (n needs) Error() string { return fmt.Sprintf("not run: needs %s", n.what) }
