// Package caldav speaks to one calendar of a CalDAV server (RFC 4791) such as
// Radicale: its events, both ways. A calendar calls nobody: it is polled.
//
// # What an event looks like
//
// One record is one calendar object: a single event, or a series with all its
// exceptions. Its id is the last step of its address, since that is what the
// server reads, guards, deletes and reports by; of a deleted event nothing else is
// left. Its UID, which is the same in every calendar that has the event, shows as
// uid.
//
// title, description, location, url are text. starts_at and ends_at carry the
// offset of the event's zone, and time_zone its name in the IANA database: the
// same instant under another offset is the same time, and a new time_zone leaves
// the instants where they are. With all_day they are the first moments of the first
// day and of the day after the last; such an event has no zone of its own, and is
// in UTC unless it was written with another. A floating time, which is in no zone,
// shows without an offset. status is tentative, confirmed or cancelled; categories a list of
// texts; attendees a list of {email, name, status} in the order of the calendar,
// where status is accepted, declined, tentative, needs-action or nothing; recurrence a rule
// ("FREQ=WEEKLY;BYDAY=MO"). x.some_name is the property X-SOME-NAME: the place of
// the marker.
//
// Read only: id, uid, organizer, created_at, updated_at, and exceptions, a list of
// the occurrences of a series that were cancelled or changed.
//
// # What a write leaves alone
//
// A write reads the object, changes the lines of the properties that are given and
// puts it back on the condition that it is still the one that was read: alarms,
// time zones, properties that nobody here knows, cancelled and changed occurrences
// stay as they are. A series that is moved takes its exceptions with it.
package caldav

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

const (
	title = "the calendar"
	// objectName is the one collection.
	objectName = "events"
	// maxPage is the most events that are read with one call.
	maxPage = 200
)

// Driver makes CalDAV connectors.
type Driver struct{}

var (
	_ connector.Driver    = Driver{}
	_ connector.Defaulter = Driver{}
)

// Name returns "caldav".
func (Driver) Name() string { return "caldav" }

// Title returns "CalDAV".
func (Driver) Title() string { return "CalDAV" }

// Defaults is what CalDAV servers do. Their times are whole seconds. A create
// that is repeated with its key finds what the first one made, since the key
// makes the address.
func (Driver) Defaults() connector.Capabilities {
	return connector.Capabilities{UpdatedFilter: true, Versions: true, IdempotencyKey: true, DeletedList: true,
		LateBy: 5 * time.Second, Granularity: time.Second}
}

// Objects lists the events.
func (Driver) Objects() []connector.Object {
	return []connector.Object{{Name: objectName, Singular: "event", Creatable: true, UpdatedAt: true}}
}

// Open makes a connector. cfg.BaseURL is the address of one calendar,
// https://dav.example.com/ana/work. cfg.Auth is of the kind basic (user as
// ClientID, password as ClientSecret) or static (a bearer token).
func (Driver) Open(cfg connector.Config) (connector.Connector, error) {
	base, err := transport.Opening(&cfg, "CalDAV", "the address of one calendar, such as https://dav.example.com/ana/work", true)
	if err != nil {
		return nil, err
	}
	var authorize func(request *http.Request, token string)
	switch cfg.Auth.Kind {
	case transport.KindAuthorizationCode:
		return nil, fault.New(fault.Usage, "CalDAV: auth needs kind basic with a user and a password, or a bearer token")
	case transport.KindStatic:
	default:
		if strings.Contains(cfg.Auth.ClientID, ":") {
			return nil, fault.New(fault.Usage, "CalDAV: a user with a colon in its name cannot log in")
		}
		cfg.Auth.Kind, cfg.Tokens = transport.KindClientCredentials, transport.NewMemoryTokens()
		authorize = transport.Scheme("Basic")
	}
	tokens, err := transport.NewTokenSource(cfg, "CalDAV", userAndPassword(cfg.Auth))
	if err != nil {
		return nil, err
	}
	return &client{cfg: cfg, path: strings.TrimRight(base.EscapedPath(), "/") + "/", api: &transport.API{
		Client: cfg.Client, Tokens: tokens, Authorize: authorize, Base: strings.TrimRight(cfg.BaseURL, "/"), Title: title, Explain: explain, Now: cfg.Now,
	}}, nil
}

// userAndPassword is a "token" that needs no server: what basic authentication sends.
func userAndPassword(auth connector.Auth) transport.Grant {
	return func(context.Context, string) (*oauth2.Token, error) {
		return &oauth2.Token{AccessToken: base64.StdEncoding.EncodeToString([]byte(auth.ClientID + ":" + auth.ClientSecret))}, nil
	}
}

// ParseWebhook refuses everything: calendars send no webhooks.
func (Driver) ParseWebhook(http.Header, []byte, []string, time.Time) ([]connector.Event, error) {
	return nil, fault.New(fault.Unauthorized, "a calendar sends no webhooks; whoever called is none")
}

// client is one open connector. What it remembers only spares calls.
type client struct {
	cfg connector.Config
	api *transport.API
	// path is the calendar's on its server, with the slash behind it.
	path   string
	memory memory
}

var _ connector.Connector = (*client)(nil)

// Capabilities returns the effective ones.
func (c *client) Capabilities() connector.Capabilities { return c.cfg.Capabilities }

// Probe lists the calendar and finds nothing that was not known: every CalDAV
// server has ETags and times of change.
func (c *client) Probe(ctx context.Context) (connector.Capabilities, error) {
	found := c.cfg.Capabilities
	if _, err := c.List(ctx, connector.ListRequest{Object: objectName, Limit: 1}); err != nil {
		return connector.Capabilities{}, err
	}
	defaults := Driver{}.Defaults()
	found.UpdatedFilter, found.Versions = defaults.UpdatedFilter, defaults.Versions
	return found, nil
}

// Check tries the log-in and the calendar.
func (c *client) Check(ctx context.Context, names []string) (connector.Report, error) {
	refused := ""
	report, err := transport.Check(ctx, transport.CheckSpec{Tokens: c.api.Tokens, Now: c.cfg.Now, Objects: names, Title: title,
		First: func(ctx context.Context, name string) (connector.Page, error) {
			page, err := c.List(ctx, connector.ListRequest{Object: name, Limit: 1})
			if fault.Is(err, fault.Auth) {
				refused = err.Error()
			}
			return page, err
		}})
	report.Token = refused
	return report, err
}

// EnsureWebhook is fault.Usage: calendars have no webhooks.
func (c *client) EnsureWebhook(context.Context, connector.WebhookSpec) (connector.WebhookState, error) {
	return connector.WebhookState{}, fault.New(fault.Usage, "a calendar has no webhooks, it is only polled; leave out webhook in its section")
}

// WebhookStatus is fault.Gone: calendars have no webhooks.
func (c *client) WebhookStatus(context.Context, string) (connector.WebhookState, error) {
	return connector.WebhookState{}, fault.New(fault.Gone, "a calendar has no webhooks")
}

// RemoveWebhook has nothing to remove.
func (c *client) RemoveWebhook(context.Context, string) error { return nil }

func known(object string) error {
	if object == objectName {
		return nil
	}
	return fault.New(fault.Usage, "a calendar has no collection %q; it has events", object)
}
