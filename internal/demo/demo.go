// Package demo plays a day of work on two simulated systems and shows that
// Accord keeps them in step. It acts through the public API and the servers'
// own HTTP interfaces only, like any user, and believes what it reads back
// from both servers, never the ledger.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// Stack is the running service: Temporal with its UI, worker and API.
type Stack struct {
	// API is the root URL of the API, UI that of the Temporal UI.
	API, UI string
	// Token is the API's admin token, TokenFile where it lies.
	Token, TokenFile string
	// Stop ends it and tells what went wrong while it ran. It may be called once.
	Stop func() error
}

// Options say how to play.
type Options struct {
	// Out takes the story; with Once, its last line is the verdict as JSON.
	Out io.Writer
	// Bar takes progress bars; nil: nobody watches on a terminal.
	Bar io.Writer
	// Once ends after the play. Otherwise everything stays up until ctx ends.
	Once bool
	// Tour plays one thing after another that an integration has to cope with, each on
	// servers of its own, in place of the day of work.
	Tour bool
	// Only are the names of the tour's checks to play; none: all.
	Only []string
	// At is where the parts listen.
	At Addresses
	// Logs says where the logs go, for the person who watches; empty: nothing to say.
	Logs string
	// Start brings the service up on the data folder; it ends with Stack.Stop.
	Start func(ctx context.Context) (Stack, error)
	// Log is for the sandboxes' own lines.
	Log logrus.FieldLogger
	// Now is the clock.
	Now func() time.Time
}

// Run plays the demo. The error is fault.Invalid if a check failed, and with
// Once whatever went wrong.
func Run(ctx context.Context, options Options) error {
	out := &printer{out: options.Out, bar: options.Bar}
	p := &Play{
		out: out, now: options.Now, log: options.Log, echoes: unknown,
		pairs: map[string]pair{}, causes: map[string]int{}, before: map[string]string{}, loaded: map[string]bool{},
	}
	play := p.run
	if options.Tour {
		play = p.tour
	}
	results, err := play(ctx, options)
	verdict := judge(results, p.linked, p.echoes)
	if options.Once {
		if err != nil {
			// One exit code for all that is not well.
			err = fault.Wrap(fault.Invalid, err, "the demo did not come to its end: %s", err)
		}
		err = errors.Join(err, out.json(verdict))
	}
	if err == nil && !verdict.OK && verdict.failed() == 0 && verdict.NotRun > 0 {
		return fault.New(fault.Unavailable, "%d of %d checks were not run, as something that they need is not there; the others are ok", verdict.NotRun, len(results))
	}
	if err == nil && !verdict.OK {
		err = fault.New(fault.Invalid, "the demo found differences: its story says which check failed, what was expected and what was read; --data DIR keeps the logs")
	}
	return err
}

// unknown is the number of echo writes before anybody counted.
const unknown = -1

// run starts everything, plays, and stops everything in order.
func (p *Play) run(ctx context.Context, options Options) (results []result, err error) {
	started := p.now()
	if err := options.At.check(ctx); err != nil {
		return nil, err
	}
	p.out.line("Starting Temporal, the worker, the API and two simulated systems …")
	// The sandboxes outlive ctx, so that the service never sees them die first.
	servers, err := sandbox.Listen(context.WithoutCancel(ctx), sandbox.Options{SalesOSAddr: options.At.SalesOS, AcmeAddr: options.At.Acme, Log: options.Log})
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "%s", err)
	}
	defer servers.Close()
	stack, err := options.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stack.Stop()) }()
	if err := p.prepare(ctx, stack, servers); err != nil {
		return nil, err
	}
	p.out.line("Up after %s: %d leads in SalesOS, %d contacts in Acme, %d of them the same people.", took(p.now().Sub(started).Milliseconds()), onlyLeft+onBoth, onlyRight+onBoth, onBoth)
	results = playAll(ctx, p, checks())
	if ctx.Err() != nil {
		p.out.line("\nStopped before its end.")
		return results, ctx.Err()
	}
	p.count(ctx)
	p.out.summary(results, p.linked, p.echoes)
	p.out.line("It took %s in all.", took(p.now().Sub(started).Milliseconds()))
	if !options.Once {
		p.tellWhere(stack, options)
		p.out.line("\nEverything stays up: edit a record, and watch the other side. Ctrl-C stops it.")
		<-ctx.Done()
	}
	return results, nil
}

// prepare makes the clients and seeds both servers.
func (p *Play) prepare(ctx context.Context, stack Stack, servers *sandbox.Running) error {
	p.api = newClient(stack.API, stack.Token)
	p.left = &system{side: sideLeft, object: leadsObject, name: "SalesOS", url: servers.SalesOSURL, admin: sandboxclient.New(servers.SalesOSURL), users: map[string]string{}}
	p.right = &system{side: sideRight, object: contactObject, name: "Acme", url: servers.AcmeURL, admin: sandboxclient.New(servers.AcmeURL), users: map[string]string{}}
	text, err := integrations.Read(integrations.SalesOSAcme)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the integration file is not in this binary")
	}
	p.integration = string(text)
	p.variables, p.secrets = settings(p.left.url, p.right.url)
	if err := p.ready(ctx); err != nil {
		return err
	}
	if err := seed(ctx, p.left.admin, p.right.admin); err != nil {
		return fault.Wrap(fault.Internal, err, "%s", err)
	}
	if err := p.remember(ctx); err != nil {
		return fault.Wrap(fault.Internal, err, "%s", err)
	}
	// The checks use leads that were on both servers from the beginning: the
	// first load links them and writes to neither side, so that all writes count.
	p.next = onlyLeft + onlyRight
	return nil
}

// ready waits until the API, its ledger and Temporal answer.
func (p *Play) ready(ctx context.Context) error {
	_, err := p.await(ctx, "the API to be ready", loadPatience, func(ctx context.Context) (bool, string, error) {
		err := p.api.ready(ctx)
		var refused *problem
		var unreachable *url.Error
		if errors.As(err, &refused) || errors.As(err, &unreachable) && ctx.Err() == nil {
			return false, err.Error(), nil
		}
		return err == nil, "", err
	})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the service did not come up: %s", err)
	}
	return nil
}

// settings are the variables and secrets of the connection: the sandboxes'
// addresses, and intervals short enough to watch.
func settings(left, right string) (variables, secrets map[string]string) {
	variables = map[string]string{
		"SALESOS_URL": left + "/v1", "SALESOS_TOKEN_URL": left + "/oauth/token", "SALESOS_CLIENT_ID": sandbox.DefaultClientID,
		"ACME_URL": right + "/api/2", "ACME_TOKEN_URL": right + "/oauth/token", "ACME_CLIENT_ID": sandbox.DefaultClientID,
		// The sandboxes have no limits until a check sets one.
		"SALESOS_REQUESTS_PER_MINUTE": "1000000", "ACME_REQUESTS_PER_MINUTE": "1000000",
		"ACME_SEARCH_LAG": "0s", "POLL_EVERY": "2s", "POLL_OVERLAP": "5s", "USERS_POLL_EVERY": "5s", "VERIFY_AFTER": "1s",
	}
	secrets = map[string]string{
		"salesos_client_secret": sandbox.DefaultClientSecret, "acme_client_secret": sandbox.DefaultClientSecret,
		"salesos_webhook": rand.Text(), "acme_webhook": rand.Text(),
	}
	return variables, secrets
}

// count fills in the numbers of the verdict, even if checks failed.
func (p *Play) count(ctx context.Context) {
	if p.connection.ID == "" {
		return
	}
	now, err := p.api.status(ctx, p.connection.ID)
	if err != nil {
		p.out.line("The number of leads in step is unknown: %v", err)
		return
	}
	p.linked = now.stream(leadsStream).Linked
	if p.echoes != unknown {
		return
	}
	writes, err := p.writes(ctx)
	if err != nil {
		p.out.line("The number of echo writes is unknown: %v", err)
		return
	}
	p.echoes, _ = p.countEchoes(writes)
}

// tellWhere says where everything is to be found.
func (p *Play) tellWhere(stack Stack, options Options) {
	rows := [][2]string{
		{"API", stack.API + "/api/v1/connections/" + p.connection.ID}, {"token", "in " + stack.TokenFile}, {"Temporal UI", stack.UI},
		{"SalesOS sandbox", p.left.url + "/v1, admin API " + p.left.url + "/_admin"}, {"Acme sandbox", p.right.url + "/api/2, admin API " + p.right.url + "/_admin"},
	}
	if options.Logs != "" {
		rows = append(rows, [2]string{"logs", options.Logs})
	}
	p.out.line("")
	for _, one := range rows {
		p.out.line("%s", fmt.Sprintf("%-16s %s", one[0], one[1]))
	}
}
