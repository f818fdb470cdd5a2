// Package connectortest is the conformance suite of the connector seam. Every
// driver runs it against a server that speaks the vendor's protocol.
package connectortest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// Harness tells the suite about one driver and its server.
type Harness struct {
	// Driver is what is tested, with Capabilities as the server really is.
	Driver       connector.Driver
	Capabilities connector.Capabilities
	// Object is the collection, with writable text fields Key (an e-mail, the
	// natural key), Text and Other.
	Object, Key, Text, Other string
	// Inner and InnerOther are two dotted paths inside one object of custom fields.
	Inner, InnerOther string
	// Marker is the path of our marker.
	Marker string
	// Needs is what a new record must have besides, by dotted path; nil: nothing.
	Needs map[string]any
	// APIPath, TokenPath and HookPath are parts of the server's URLs: "/v1",
	// "/oauth/token", "/webhooks" (empty: a system without webhooks).
	// An empty TokenPath is a system without tokens: each call carries the credentials. ListPath is
	// the collection's, "/leads".
	APIPath, TokenPath, HookPath, ListPath string
	// GoneBody is the vendor's body of a 404; RefusedBody its body of a 422
	// that names the field Key.
	GoneBody, RefusedBody string
	// Route names the calls of a protocol that has one address for everything in
	// the words of REST ("GET", "/leads/7"); nil: as they are.
	Route func(r *http.Request) (method, path string)
	// Gone and Refused answer like a server that says so with another status than
	// 404 and 422; nil: those, with GoneBody and RefusedBody.
	Gone, Refused Spoil
	// RealTime says that the server's clock is the machine's and cannot be moved.
	RealTime bool
	// Event is a signed webhook about a record, with the header for a secret and time.
	Event func(id string) []byte
	Sign  func(body []byte, secret string, at time.Time) http.Header
	// Start makes a fresh server whose clock is now.
	Start func(t *testing.T, now func() time.Time) Server
}

// Server is the system behind the connector, with the doors a user has.
type Server interface {
	http.Handler
	// Seed makes n records at the present moment, without webhooks, each with a unique key.
	Seed(t *testing.T, n int) []string
	// Edit changes fields as a user, by dotted path.
	Edit(t *testing.T, id string, fields map[string]any)
	// Remove deletes a record as a user.
	Remove(t *testing.T, id string)
	// Fields reads a record past the API.
	Fields(t *testing.T, id string) record.Fields
	// ExpireTokens ends all access tokens.
	ExpireTokens(t *testing.T)
	// ReplaceInner makes a PATCH of custom fields replace the whole object.
	ReplaceInner(t *testing.T, replace bool)
}

// Credentials every server of a harness accepts.
const (
	ClientID     = "accord"
	ClientSecret = "accord-secret"
)

// bench is one test's server, front and connector.
type bench struct {
	Harness
	server Server
	front  *Front
	url    string
	conn   connector.Connector
	clock  *clock
}

// clock moves only when told, or is the machine's.
type clock struct {
	mu   sync.Mutex
	at   time.Time
	real bool
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real {
		return time.Now()
	}
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (h Harness) bench(t *testing.T) *bench {
	t.Helper()
	b := &bench{Harness: h, clock: &clock{at: time.Now().Truncate(time.Second), real: h.RealTime}}
	b.server = h.Start(t, b.clock.now)
	b.front = NewFront(b.server)
	if h.Route != nil {
		b.front.route = h.Route
	}
	listener := httptest.NewServer(b.front)
	t.Cleanup(listener.Close)
	b.url = listener.URL
	b.conn = b.open(t, ClientSecret, transport.DefaultMaxBody)
	return b
}

// open makes one more connector, with a token store of its own.
func (b *bench) open(t *testing.T, secret string, maxBody int64) connector.Connector {
	t.Helper()
	conn, err := b.Driver.Open(connector.Config{
		Side: record.Left, Tenant: "test", Connection: "test", BaseURL: b.url + b.APIPath,
		Auth:         connector.Auth{TokenURL: b.url + b.TokenPath, ClientID: ClientID, ClientSecret: secret},
		Capabilities: b.Capabilities, Objects: []string{b.Object},
		Client: transport.New(transport.Options{Connection: "test", Side: record.Left, MaxBody: maxBody, Now: b.clock.now,
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}),
		Tokens: transport.NewMemoryTokens(), Now: b.clock.now,
	})
	require.NoError(t, err)
	return conn
}

// list reads a whole listing; between is called after each page with the ids so far.
func (b *bench) list(t *testing.T, request connector.ListRequest, between func(read []string)) map[string]record.Record {
	t.Helper()
	const tooMany = 500
	found := map[string]record.Record{}
	var order []string
	for range tooMany {
		page, err := b.conn.List(context.Background(), request)
		require.NoError(t, err)
		for _, row := range page.Records {
			if _, known := found[row.Ref.ID]; !known {
				order = append(order, row.Ref.ID)
			}
			found[row.Ref.ID] = row
		}
		if page.Next == "" {
			return found
		}
		require.NotContains(t, page.Next, "@", "a cursor holds no personal data")
		request.Cursor = page.Next
		if between != nil {
			between(order)
		}
	}
	t.Fatalf("the listing did not end within %d pages", tooMany)
	return nil
}

func (b *bench) get(t *testing.T, id string) record.Record {
	t.Helper()
	got, err := b.conn.Get(context.Background(), b.Object, id)
	require.NoError(t, err)
	return got
}

// born is a new record's fields: the given ones and what the server needs.
func (h Harness) born(fields map[string]any) map[string]any {
	whole := maps.Clone(fields)
	for path, value := range h.Needs {
		if _, given := whole[path]; !given {
			whole[path] = value
		}
	}
	return whole
}

func (b *bench) one(t *testing.T) string {
	t.Helper()
	return b.server.Seed(t, 1)[0]
}

func value(t *testing.T, fields record.Fields, path string) any {
	t.Helper()
	found, ok := fields.Get(path)
	require.True(t, ok, "field %s is missing", path)
	if number, isNumber := found.(json.Number); isNumber {
		return number.String()
	}
	return fmt.Sprint(found)
}

// Run runs the whole suite.
func Run(t *testing.T, h Harness) {
	groups := []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"reading", reading}, {"asking", asking}, {"listing", listing}, {"drifting", drifting},
		{"writing", writing}, {"guarding", guarding}, {"refusals", refusals}, {"limits", limits},
		{"tokens", tokens}, {"credentials", credentials}, {"uncertain writes", uncertain}, {"webhooks", webhooks},
	}
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) { group.run(t, h) })
	}
}
