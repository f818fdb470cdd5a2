// Package rest speaks to any REST system that a connector manifest
// (internal/manifest) describes: one driver, no code per system.
package rest

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// Name is the `connector:` word of systems that are reached through a manifest.
const Name = "rest"

// Driver makes connectors of the system that its manifest describes.
type Driver struct {
	manifest *manifest.Manifest
}

var (
	_ connector.Driver    = Driver{}
	_ connector.Defaulter = Driver{}
	_ connector.Addressed = Driver{}
)

// New makes the driver of a manifest, which must not be changed afterwards.
func New(m *manifest.Manifest) Driver { return Driver{manifest: m} }

// Name returns "rest".
func (Driver) Name() string { return Name }

// Title returns the manifest's title.
func (d Driver) Title() string { return d.manifest.Title }

// Manifest returns what the driver goes by.
func (d Driver) Manifest() *manifest.Manifest { return d.manifest }

// Defaults is what the manifest says of the system's servers.
func (d Driver) Defaults() connector.Capabilities {
	said := d.manifest.Capabilities
	found := connector.Capabilities{
		Versions: said.Versions, Unique: slices.Clone(said.Unique), IdempotencyKey: said.IdempotencyKey,
		DeletedList: true, CustomFieldsReplace: said.CustomFields == "replace",
		SearchLag: said.SearchLag, LateBy: said.LateBy, Granularity: said.Granularity,
	}
	for _, object := range d.manifest.Objects {
		// A list that only some objects have is not promised for all; List knows by
		// itself which objects have no filter.
		found.DeletedList = found.DeletedList && object.Deleted != nil
		found.UpdatedFilter = found.UpdatedFilter || object.ChangesBy() != nil
	}
	return found
}

// Objects lists the manifest's objects.
func (d Driver) Objects() []connector.Object {
	objects := make([]connector.Object, 0, len(d.manifest.Objects))
	for _, name := range d.manifest.Names() {
		object := d.manifest.Objects[name]
		objects = append(objects, connector.Object{Name: name, Singular: object.Singular, Creatable: object.Create != nil,
			Searchable: slices.Clone(object.Searchable), UpdatedAt: object.Records.UpdatedAt != ""})
	}
	return objects
}

// PlanHeaders names the system's own headers about its plan.
func (d Driver) PlanHeaders() transport.PlanHeaders {
	said := d.manifest.Limits
	return transport.PlanHeaders{Limit: said.Limit, Remaining: said.Remaining, Reset: said.Reset}
}

// Pace is what the manifest says of limits that no header tells about.
func (d Driver) Pace() []transport.Pace {
	var rules []transport.Pace
	for _, one := range d.manifest.Limits.Pace {
		rules = append(rules, transport.Pace{Calls: one.Calls, Per: one.Per, Ending: one.Ending})
	}
	return rules
}

// Open makes a connector. token_url defaults to /oauth/token on base_url's host.
func (d Driver) Open(cfg connector.Config) (connector.Connector, error) {
	title := d.manifest.Title
	base, err := transport.Opening(&cfg, title, "an http(s) address such as https://crm.example.com/api", false)
	if err != nil {
		return nil, err
	}
	if cfg.Auth.TokenURL == "" {
		cfg.Auth.TokenURL = base.Scheme + "://" + base.Host + "/oauth/token"
	}
	authorize, err := d.authorize(&cfg.Auth)
	if err != nil {
		return nil, err
	}
	tokens, err := d.tokens(cfg)
	if err != nil {
		return nil, err
	}
	opened := &client{cfg: cfg, manifest: d.manifest, title: title, base: base}
	if pattern := d.manifest.Errors.ExistingMatch; pattern != "" {
		// The manifest was checked: it compiles.
		opened.existing, err = regexp.Compile(pattern)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "%s: errors.existing_match does not compile", title)
		}
	}
	opened.api = &transport.API{
		Client: cfg.Client, Tokens: tokens, Base: strings.TrimRight(cfg.BaseURL, "/"), Title: title, Now: cfg.Now,
		Explain: opened.explain, Means: opened.means, Authorize: authorize, Plan: d.PlanHeaders(),
	}
	if hasRelations(d.manifest) {
		return related{opened}, nil
	}
	return opened, nil
}

// tokens are minted in the way of the manifest, where they are minted at all.
func (d Driver) tokens(cfg connector.Config) (*transport.TokenSource, error) {
	title := d.manifest.Title
	switch {
	case cfg.Auth.Kind == transport.KindNone:
		return transport.NoTokens(title), nil
	case d.manifest.Auth.TokenBody == "json":
		return transport.NewTokenSource(cfg, title, transport.JSONGrant(cfg.Client, cfg.Auth, title, cfg.Now))
	}
	return transport.NewTokenSource(cfg, title, transport.FormGrant(cfg.Client, cfg.Auth, title, cfg.Now))
}

// authorize checks the kind of credentials and says how they are sent. Those
// that never expire become a static token.
func (d Driver) authorize(auth *connector.Auth) (func(*http.Request, string), error) {
	kinds, title := d.manifest.Auth.Kinds, d.manifest.Title
	words := map[string]string{transport.KindStatic: manifest.AuthBearer}
	if auth.Kind == "" {
		auth.Kind = kinds[0]
	}
	kind := auth.Kind
	if word, ok := words[kind]; ok {
		kind = word
	}
	if !slices.Contains(kinds, kind) {
		return nil, fault.New(fault.Usage, "%s: auth kind %q does not go with its manifest; use %s", title, kind, strings.Join(kinds, ", "))
	}
	switch kind {
	case manifest.AuthBearer:
		auth.Kind = transport.KindStatic
	case manifest.AuthBasic:
		if auth.ClientID == "" {
			return nil, fault.New(fault.Usage, "%s: auth of kind basic needs username", title)
		}
		token := base64.StdEncoding.EncodeToString([]byte(auth.ClientID + ":" + auth.ClientSecret))
		auth.Kind, auth.Token = transport.KindStatic, token
		return func(request *http.Request, token string) { request.Header.Set("Authorization", "Basic "+token) }, nil
	case manifest.AuthAPIKey:
		if auth.Token == "" {
			return nil, fault.New(fault.Usage, "%s: auth of kind api_key needs token: the key", title)
		}
		auth.Kind = transport.KindStatic
		return keyed(*d.manifest.Auth.APIKey), nil
	case manifest.AuthNone:
		auth.Kind = transport.KindNone
		return func(*http.Request, string) {}, nil
	}
	return nil, nil
}

// keyed sends a key where the manifest says.
func keyed(key manifest.APIKey) func(*http.Request, string) {
	return func(request *http.Request, token string) {
		if key.In == "header" {
			request.Header.Set(key.Name, key.Prefix+token)
			return
		}
		query := request.URL.Query()
		query.Set(key.Name, key.Prefix+token)
		request.URL.RawQuery = query.Encode()
	}
}

// client is one open connector. It keeps no state of its own.
type client struct {
	cfg      connector.Config
	manifest *manifest.Manifest
	title    string
	base     *url.URL
	existing *regexp.Regexp
	api      *transport.API
}

var (
	_ connector.Connector = (*client)(nil)
	_ connector.Actor     = (*client)(nil)
)

// Actor is how the system names our own writes; empty where it does not.
func (c *client) Actor() string {
	values := manifest.Values{}
	if c.cfg.Auth.ClientID != "" {
		values["client_id"] = c.cfg.Auth.ClientID
	}
	actor, _ := manifest.Fill(c.manifest.Auth.Actor, values)
	return actor
}

// Capabilities returns the effective ones.
func (c *client) Capabilities() connector.Capabilities { return c.cfg.Capabilities }

// Probe asks whether the change filter is honoured (a far future gives no rows
// where the plain list has some) and whether records carry versions. What
// cannot be asked without writing stays as configured.
func (c *client) Probe(ctx context.Context) (connector.Capabilities, error) {
	found := c.cfg.Capabilities
	object := c.probed()
	rows, _, err := c.rows(ctx, object, object.List, place{Size: 1, Page: first(object.List)})
	if err != nil {
		return connector.Capabilities{}, err
	}
	if found.Unsure = len(rows) == 0; found.Unsure {
		return found, nil
	}
	found.UpdatedFilter = false
	if changes := object.ChangesBy(); changes != nil {
		future := c.cfg.Now().AddDate(50, 0, 0)
		filtered, _, err := c.rows(ctx, object, changes, place{Size: 1, Page: first(changes), Since: future.UnixMilli()})
		if err != nil && !fault.Is(err, fault.Invalid) {
			return connector.Capabilities{}, err
		}
		found.UpdatedFilter = err == nil && len(filtered) == 0
	}
	one, err := c.Get(ctx, object.Name, rows[0].Ref.ID)
	switch {
	case err == nil:
		found.Versions = found.Versions && one.Version != ""
	case !fault.Is(err, fault.Gone):
		return connector.Capabilities{}, err
	}
	return found, nil
}

// probed is an object of this connection, one with a change filter if there is any.
func (c *client) probed() *manifest.Object {
	var plain *manifest.Object // a manifest has objects
	for _, name := range append(slices.Clone(c.cfg.Objects), c.manifest.Names()...) {
		found, ok := c.manifest.Objects[name]
		if ok && found.ChangesBy() != nil {
			return found
		}
		if ok && plain == nil {
			plain = found
		}
	}
	return plain
}

// Check tries the token and one row of each object.
func (c *client) Check(ctx context.Context, names []string) (connector.Report, error) {
	return transport.Check(ctx, transport.CheckSpec{Tokens: c.api.Tokens, Now: c.cfg.Now, Objects: names, Title: c.title,
		First: func(ctx context.Context, name string) (connector.Page, error) {
			object, err := c.object(name)
			if err != nil {
				return connector.Page{}, err
			}
			rows, answer, err := c.rows(ctx, object, object.List, place{Size: 1, Page: first(object.List)})
			return connector.Page{Records: rows, ServerTime: answer.reply.ServerTime}, err
		}})
}

func (c *client) object(name string) (*manifest.Object, error) {
	if found, ok := c.manifest.Objects[name]; ok {
		return found, nil
	}
	return nil, fault.New(fault.Usage, "%s has no collection %q; its manifest has %s", c.title, name, strings.Join(c.manifest.Names(), ", "))
}
