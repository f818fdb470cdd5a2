// Package acme speaks the Acme CRM API 2: contacts, companies, deals,
// appointments, calls and e-mails both ways, users to read.
package acme

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

const (
	title = "Acme CRM"
	// maxPage is the largest limit the API takes.
	maxPage = 200
	// properties is the object of custom fields; a PATCH merges it by key.
	properties = "properties"
)

// Driver makes Acme connectors.
type Driver struct{}

var (
	_ connector.Driver    = Driver{}
	_ connector.Defaulter = Driver{}
)

// Name returns "acme".
func (Driver) Name() string { return "acme" }

// Title returns "Acme CRM".
func (Driver) Title() string { return title }

// Defaults is what the API's page promises. Search is eventually consistent;
// how late is not said, a minute is assumed.
func (Driver) Defaults() connector.Capabilities {
	return connector.Capabilities{
		UpdatedFilter: true, Versions: true, Unique: []string{"email", "external_ref"}, IdempotencyKey: true, DeletedList: true,
		SearchLag: time.Minute, LateBy: time.Minute, Granularity: time.Millisecond,
	}
}

// Objects lists contacts, companies, deals, appointments, calls, emails and users.
func (Driver) Objects() []connector.Object { return objects() }

// Open makes a connector. cfg.BaseURL ends with /api/2; token_url defaults to
// /oauth/token on its host.
func (Driver) Open(cfg connector.Config) (connector.Connector, error) {
	base, err := transport.Opening(&cfg, title, "an http(s) address such as https://crm.example.com/api/2", false)
	if err != nil {
		return nil, err
	}
	if cfg.Auth.TokenURL == "" {
		cfg.Auth.TokenURL = base.Scheme + "://" + base.Host + "/oauth/token"
	}
	tokens, err := transport.NewTokenSource(cfg, title, transport.FormGrant(cfg.Client, cfg.Auth, title, cfg.Now))
	if err != nil {
		return nil, err
	}
	return &client{cfg: cfg, api: &transport.API{
		Client: cfg.Client, Tokens: tokens, Base: strings.TrimRight(cfg.BaseURL, "/"), Title: title, Explain: explain, Now: cfg.Now,
	}}, nil
}

// client is one open connector. All it remembers is which ids are numbers.
type client struct {
	cfg     connector.Config
	api     *transport.API
	numbers transport.Numbers
	// together shares what several creates look through at once.
	together transport.Together
}

var (
	_ connector.Connector = (*client)(nil)
	_ connector.Actor     = (*client)(nil)
)

// Actor is "app:" and the client id of our credentials.
func (c *client) Actor() string {
	if c.cfg.Auth.ClientID == "" {
		return ""
	}
	return "app:" + c.cfg.Auth.ClientID
}

// Capabilities returns the effective ones.
func (c *client) Capabilities() connector.Capabilities { return c.cfg.Capabilities }

// Probe asks whether updated_since is honoured (a far future gives no rows
// where the plain list has some) and whether records carry versions. What
// cannot be asked without writing stays as configured.
func (c *client) Probe(ctx context.Context) (connector.Capabilities, error) {
	found := c.cfg.Capabilities
	object := c.probed()
	plain, err := c.page(ctx, object, url.Values{"limit": {"1"}})
	if err != nil {
		return connector.Capabilities{}, err
	}
	if found.Unsure = len(plain.rows) == 0; found.Unsure {
		return found, nil
	}
	future := c.cfg.Now().AddDate(50, 0, 0)
	filtered, err := c.page(ctx, object, url.Values{"limit": {"1"}, "updated_since": {stamp(future)}})
	switch {
	case fault.Is(err, fault.Invalid):
		found.UpdatedFilter = false
	case err != nil:
		return connector.Capabilities{}, err
	default:
		found.UpdatedFilter = len(filtered.rows) == 0
	}
	one, err := c.Get(ctx, object.Name, plain.rows[0].Ref.ID)
	switch {
	case err == nil:
		found.Versions = one.Version != ""
	case !fault.Is(err, fault.Gone):
		return connector.Capabilities{}, err
	}
	return found, nil
}

func (c *client) probed() connector.Object {
	for _, name := range c.cfg.Objects {
		if found, ok := objectOf(name); ok {
			return found
		}
	}
	return objects()[0]
}

// Check tries the token and one row of each object.
func (c *client) Check(ctx context.Context, names []string) (connector.Report, error) {
	return transport.Check(ctx, transport.CheckSpec{Tokens: c.api.Tokens, Now: c.cfg.Now, Objects: names, Title: title,
		First: func(ctx context.Context, name string) (connector.Page, error) {
			object, err := c.object(name)
			if err != nil {
				return connector.Page{}, err
			}
			got, err := c.page(ctx, object, url.Values{"limit": {"1"}})
			return connector.Page{Records: got.rows, ServerTime: got.serverTime}, err
		}})
}

func (c *client) object(name string) (connector.Object, error) {
	if found, ok := objectOf(name); ok {
		return found, nil
	}
	return connector.Object{}, fault.New(fault.Usage, "%s has no collection %q; it has contacts, companies, deals, appointments, calls, emails and users", title, name)
}

func get(path string, query url.Values, subject string) transport.Call {
	return transport.Call{Method: http.MethodGet, Path: path, Query: query, Subject: subject}
}

// stamp prints a time as the API takes it: RFC 3339, UTC, milliseconds, cut down.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
