// Package salesos speaks the SalesOS v1 API: leads and deals both ways, users
// and stages to read, users also to invite and deactivate where that is asked for. What no page of the vendor says is probed or tolerated.
package salesos

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

const (
	title = "SalesOS"
	// maxPage is the largest per_page the API takes.
	maxPage = 100
	// defaultAudience is what tokens are asked for when the file names none.
	defaultAudience = "https://api.play2sell.com"
	// customFields is the object a PATCH may replace as a whole.
	customFields = "custom_fields"
)

// Driver makes SalesOS connectors.
type Driver struct{}

var (
	_ connector.Driver    = Driver{}
	_ connector.Defaulter = Driver{}
)

// Name returns "salesos".
func (Driver) Name() string { return "salesos" }

// Title returns "SalesOS".
func (Driver) Title() string { return title }

// Defaults are times to the second, no versions, and custom fields replaced as a
// whole until somebody knows better.
func (Driver) Defaults() connector.Capabilities {
	return connector.Capabilities{CustomFieldsReplace: true, LateBy: time.Minute, Granularity: time.Second}
}

// Objects lists leads, deals, users and stages.
func (Driver) Objects() []connector.Object {
	listed := make([]connector.Object, 0, 4)
	for _, object := range objects() {
		listed = append(listed, object.Object)
	}
	return listed
}

// Open makes a connector. cfg.BaseURL ends with /v1. token_url defaults to the
// vendor's own, or to /oauth/token on the API's host.
func (Driver) Open(cfg connector.Config) (connector.Connector, error) {
	base, err := transport.Opening(&cfg, title, "an http(s) address such as https://api.play2sell.com/v1", false)
	if err != nil {
		return nil, err
	}
	if cfg.Auth.TokenURL == "" {
		cfg.Auth.TokenURL = base.Scheme + "://" + strings.Replace(base.Host, "api.play2sell.com", "auth.play2sell.com", 1) + "/oauth/token"
	}
	if cfg.Auth.Audience == "" {
		cfg.Auth.Audience = defaultAudience
	}
	if cfg.Capabilities.Granularity <= 0 {
		cfg.Capabilities.Granularity = time.Second
	}
	tokens, err := transport.NewTokenSource(cfg, title, transport.JSONGrant(cfg.Client, cfg.Auth, title, cfg.Now))
	if err != nil {
		return nil, err
	}
	return &client{cfg: cfg, api: &transport.API{
		Client: cfg.Client, Tokens: tokens, Base: strings.TrimRight(cfg.BaseURL, "/"), Title: title, Explain: explain, Now: cfg.Now,
	}}, nil
}

// client is one open connector. All it remembers is which sort orders the
// server was seen to obey, which ids are numbers, and for some minutes the stages of
// its deals.
type client struct {
	cfg     connector.Config
	api     *transport.API
	sorted  sync.Map
	numbers transport.Numbers
	stages  stageList
	// together shares what several creates look through at once.
	together transport.Together
}

var _ connector.Connector = (*client)(nil)

// Capabilities returns the effective ones.
func (c *client) Capabilities() connector.Capabilities { return c.cfg.Capabilities }

// Probe asks whether updated_after is honoured: a date far in the future must
// give no rows where the plain list has some. How custom fields are patched
// cannot be asked without writing, so the careful answer stands: replaced.
func (c *client) Probe(ctx context.Context) (connector.Capabilities, error) {
	found := c.cfg.Capabilities
	found.UpdatedFilter = false
	found.CustomFieldsReplace = true
	object := c.probed()
	plain, err := c.page(ctx, object, url.Values{"per_page": {"1"}})
	if err != nil {
		return connector.Capabilities{}, err
	}
	if found.Unsure = len(plain.rows) == 0; found.Unsure || plain.rows[0].UpdatedAt.IsZero() {
		return found, nil
	}
	future := c.cfg.Now().AddDate(50, 0, 0)
	filtered, err := c.page(ctx, object, url.Values{"per_page": {"1"}, "updated_after": {stamp(future)}})
	if fault.Is(err, fault.Invalid) {
		return found, nil
	}
	if err != nil {
		return connector.Capabilities{}, err
	}
	found.UpdatedFilter = len(filtered.rows) == 0
	return found, nil
}

// probed is the first collection of the connection that has updated times.
func (c *client) probed() object {
	for _, name := range c.cfg.Objects {
		if found, ok := objectOf(name); ok && found.UpdatedAt {
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
			got, err := c.page(ctx, object, url.Values{"per_page": {"1"}})
			return connector.Page{Records: got.rows, ServerTime: got.serverTime}, err
		}})
}

// Deleted is not offered by SalesOS.
func (c *client) Deleted(context.Context, string, time.Time, string) ([]string, string, error) {
	return nil, "", fault.New(fault.Usage, "%s has no list of deleted records; set deleted_list to false", title)
}

func (c *client) object(name string) (object, error) {
	if found, ok := objectOf(name); ok {
		return found, nil
	}
	return object{}, fault.New(fault.Usage, "%s has no collection %q; it has leads, deals, users and stages", title, name)
}

func get(path string, query url.Values, subject string) transport.Call {
	return transport.Call{Method: http.MethodGet, Path: path, Query: query, Subject: subject}
}

// stamp prints a time as the API's filters take it: UTC, whole seconds, cut down.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }
