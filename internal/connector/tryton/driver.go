// Package tryton speaks to a Tryton 6.0 server over JSON-RPC: parties with their
// contact mechanisms and identifiers, and sale opportunities, both ways. Tryton
// calls nobody: its changes are found by polling write dates.
//
// # What a party looks like
//
// A party is shown as one flat record: name, code, active, lang (a language
// code), and the first contact mechanism of each kind as email, phone, mobile,
// fax and website, by Tryton's own order. Setting one of these changes that
// mechanism or makes one; null deletes it, after which the next one of the kind,
// if there is one, shows. Other mechanisms are never touched.
//
// Identifiers show as identifiers.<key>. One with a type goes by it
// (identifiers.br_cpf, checked by Tryton where python-stdnum is installed). One
// without type whose code is written key:value goes by that key. The latter is
// the place of the marker: identifiers.salesos is the party's identifier
// "salesos:<lead>", a line among its identifiers that disturbs nobody and that
// people can find the party by. A contact mechanism would be offered as a way to
// reach the person, and the party's code is the users' own number.
//
// Read only: id, created_at, updated_at (of the party or its children, whichever
// is later), categories (names), contact_mechanisms and identifier_rows as lists.
//
// # What Tryton does not tell
//
// A delete leaves no row, and a record that a record rule hides looks the same as
// a deleted one. Parties have no rules unless somebody makes some: a deleted party
// is fault.Gone. Where the user is under a rule, as always with opportunities (the
// rule of the companies), it is fault.Forbidden, which is never taken for a delete.
//
// A contact mechanism that is deleted past its party, from the list of contact
// mechanisms, leaves no trace to poll for: only a full comparison finds it.
package tryton

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

const (
	title = "Tryton"
	// maxPage is the size of a page; 500 parties take some 50 ms.
	maxPage = 500
)

// Driver makes Tryton connectors.
type Driver struct{}

var (
	_ connector.Driver    = Driver{}
	_ connector.Defaulter = Driver{}
)

// Name returns "tryton".
func (Driver) Name() string { return "tryton" }

// Title returns "Tryton".
func (Driver) Title() string { return title }

// Defaults is what Tryton on PostgreSQL does: a write shows at once, but carries
// the time at which its transaction began.
func (Driver) Defaults() connector.Capabilities {
	return connector.Capabilities{UpdatedFilter: true, Versions: true, LateBy: 5 * time.Second, Granularity: time.Microsecond}
}

// Objects lists parties and opportunities.
func (Driver) Objects() []connector.Object {
	var listed []connector.Object
	for _, known := range objects() {
		listed = append(listed, known.Object)
	}
	return listed
}

// Open makes a connector. cfg.BaseURL is the server's address with the
// database, https://erp.example.com/company. cfg.Auth holds the user as ClientID
// and the password as ClientSecret.
func (Driver) Open(cfg connector.Config) (connector.Connector, error) {
	if _, err := transport.Opening(&cfg, title, "the server's address with the database, such as https://erp.example.com/company", true); err != nil {
		return nil, err
	}
	if strings.Contains(cfg.Auth.ClientID, ":") {
		return nil, fault.New(fault.Usage, "%s: a user with a colon in its name cannot log in", title)
	}
	switch cfg.Auth.Kind {
	case transport.KindBasic:
		// To the token source a log-in is what a grant is: user and password for a token that ends.
		cfg.Auth.Kind = transport.KindClientCredentials
	case transport.KindAuthorizationCode:
		return nil, fault.New(fault.Usage, "%s: auth needs kind basic with a user and a password", title)
	}
	address := strings.TrimRight(cfg.BaseURL, "/") + "/"
	tokens, err := transport.NewTokenSource(cfg, title, login(cfg, address))
	if err != nil {
		return nil, err
	}
	return &client{cfg: cfg, api: &transport.API{
		Client: cfg.Client, Tokens: tokens, Authorize: transport.Scheme("Session"), Base: strings.TrimRight(cfg.BaseURL, "/"), Title: title,
		// An HTTP error status is a proxy's or the web server's; Tryton's own errors come with a 200.
		Explain: func([]byte) transport.VendorError { return transport.VendorError{} },
		Now:     cfg.Now,
	}}, nil
}

// ParseWebhook refuses everything: Tryton sends no webhooks.
func (Driver) ParseWebhook(http.Header, []byte, []string, time.Time) ([]connector.Event, error) {
	return nil, fault.New(fault.Unauthorized, "%s sends no webhooks; whoever called is not %s", title, title)
}

// client is one open connector. It keeps no state of its own.
type client struct {
	cfg connector.Config
	api *transport.API
}

var _ connector.Connector = (*client)(nil)

// Capabilities returns the effective ones.
func (c *client) Capabilities() connector.Capabilities { return c.cfg.Capabilities }

// Probe reads a row of each collection and finds nothing that was not known:
// every Tryton has write dates and timestamps to compare.
func (c *client) Probe(ctx context.Context) (connector.Capabilities, error) {
	found := c.cfg.Capabilities
	for _, name := range c.cfg.Objects {
		if _, err := c.List(ctx, connector.ListRequest{Object: name, Limit: 1}); err != nil {
			return connector.Capabilities{}, err
		}
	}
	defaults := Driver{}.Defaults()
	found.UpdatedFilter, found.Versions = defaults.UpdatedFilter, defaults.Versions
	return found, nil
}

// Check tries the log-in and one row of each object.
func (c *client) Check(ctx context.Context, names []string) (connector.Report, error) {
	return transport.Check(ctx, transport.CheckSpec{Tokens: c.api.Tokens, Now: c.cfg.Now, Objects: names, Title: title,
		First: func(ctx context.Context, name string) (connector.Page, error) {
			return c.List(ctx, connector.ListRequest{Object: name, Limit: 1})
		}})
}

// Deleted answers nothing: a delete leaves no row in Tryton.
func (c *client) Deleted(context.Context, string, time.Time, string) ([]string, string, error) {
	return nil, "", nil
}

// EnsureWebhook is fault.Usage: Tryton has no webhooks.
func (c *client) EnsureWebhook(context.Context, connector.WebhookSpec) (connector.WebhookState, error) {
	return connector.WebhookState{}, fault.New(fault.Usage, "%s has no webhooks, it is only polled; leave out webhook in its section", title)
}

// WebhookStatus is fault.Gone: Tryton has no webhooks.
func (c *client) WebhookStatus(context.Context, string) (connector.WebhookState, error) {
	return connector.WebhookState{}, fault.New(fault.Gone, "%s has no webhooks", title)
}

// RemoveWebhook has nothing to remove.
func (c *client) RemoveWebhook(context.Context, string) error { return nil }

func (c *client) object(name string) (object, error) {
	for _, known := range objects() {
		if known.Name == name {
			return known, nil
		}
	}
	return object{}, fault.New(fault.Usage, "%s has no collection %q; it has parties and opportunities", title, name)
}
