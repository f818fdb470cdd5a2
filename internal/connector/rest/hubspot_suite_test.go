package rest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// consented opens with a refresh token, which the suite knows nothing of.
type consented struct{ rest.Driver }

// Open implements connector.Driver.
func (d consented) Open(cfg connector.Config) (connector.Connector, error) {
	if cfg.Auth.Kind == "" {
		cfg.Auth.Kind, cfg.Auth.RefreshToken = transport.KindAuthorizationCode, "consent"
	}
	return d.Driver.Open(cfg)
}

// TestHubSpotAsManifest runs the suite of the connectors in Go on a server that
// behaves as HubSpot's documentation says.
func TestHubSpotAsManifest(t *testing.T) {
	driver := shipped(t, "hubspot")
	connectortest.Run(t, connectortest.Harness{
		Driver: consented{driver}, Capabilities: driver.Defaults(),
		Object: "contacts", Key: "properties.email", Text: "properties.firstname", Other: "properties.jobtitle",
		Inner: "properties.company", InnerOther: "properties.phone", Marker: "properties.accord_ref",
		TokenPath: "/oauth/v1/token", ListPath: "/objects/contacts",
		GoneBody:    `{"status":"error","message":"resource not found","correlationId":"a","category":"OBJECT_NOT_FOUND"}`,
		RefusedBody: `{"status":"error","message":"no","correlationId":"a","category":"VALIDATION_ERROR","errors":[{"context":{"propertyName":["email"]}}]}`,
		Route: func(r *http.Request) (string, string) {
			if strings.HasSuffix(r.URL.Path, "/search") {
				return http.MethodGet, r.URL.Path // a search is a read
			}
			return r.Method, r.URL.Path
		},
		Start: func(_ *testing.T, now func() time.Time) connectortest.Server { return newHubspot(now) },
	})
}

// TestHubSpotShowsTenThousand: a listing of changes goes on where a search shows no more.
func TestHubSpotShowsTenThousand(t *testing.T) {
	text, err := connectors.Read("hubspot")
	require.NoError(t, err)
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	server := newHubspot(func() time.Time { return at })
	server.window = 300
	ids := []string{}
	for range 80 {
		ids = append(ids, server.Seed(t, 12)...) // twelve at one moment
		at = at.Add(time.Millisecond)
	}
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	driver := rest.New(mustRead(t, strings.ReplaceAll(string(text), "window: 10000", "window: 300")))
	conn, err := consented{driver}.Open(connector.Config{Side: record.Right, BaseURL: listener.URL, Objects: []string{"contacts"}, Capabilities: driver.Defaults(),
		Auth:   connector.Auth{TokenURL: listener.URL + "/oauth/v1/token", ClientID: connectortest.ClientID, ClientSecret: connectortest.ClientSecret},
		Client: transport.New(transport.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})})
	require.NoError(t, err)
	moved := 0
	found := listed(t, conn, connector.ListRequest{Object: "contacts", Since: at.Add(-time.Hour)}, func(page int) {
		at = at.Add(time.Millisecond)
		if page%3 == 1 { // people go on working: rows that were read go to the end
			server.Edit(t, ids[page*20], map[string]any{"properties.firstname": "Edited"})
			moved++
		}
	})
	require.Positive(t, moved)
	require.Len(t, found, len(ids))
	require.Less(t, server.searches, 40)

	server = newHubspot(func() time.Time { return at })
	server.window = 300
	server.Seed(t, 400)
	crowded := httptest.NewServer(server)
	t.Cleanup(crowded.Close)
	conn, err = consented{driver}.Open(connector.Config{Side: record.Right, BaseURL: crowded.URL, Objects: []string{"contacts"}, Capabilities: driver.Defaults(),
		Auth:   connector.Auth{TokenURL: crowded.URL + "/oauth/v1/token", ClientID: connectortest.ClientID, ClientSecret: connectortest.ClientSecret},
		Client: transport.New(transport.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})})
	require.NoError(t, err)
	request := connector.ListRequest{Object: "contacts", Since: at.Add(-time.Hour)}
	for range 10 {
		var page connector.Page
		if page, err = conn.List(t.Context(), request); err != nil {
			break
		}
		require.NotEmpty(t, page.Next, "a window full of one moment must not look like the end")
		request.Cursor = page.Next
	}
	require.ErrorContains(t, err, "does not move")
}

// TestHubSpotSignature: version 3 signs method, address, body and time.
func TestHubSpotSignature(t *testing.T) {
	const address = "https://accord.example/webhooks/cn_1/right"
	driver := shipped(t, "hubspot")
	body := []byte(`[{"eventId":7,"subscriptionType":"contact.propertyChange","objectId":101,"propertyName":"phone","occurredAt":1795348800000},` +
		`{"eventId":8,"subscriptionType":"contact.deletion","objectId":102},{"eventId":9,"subscriptionType":"ticket.creation","objectId":5}]`)
	stamp := strconv.FormatInt(noon().UnixMilli(), 10)
	sum := base64.StdEncoding.EncodeToString(mac(sha256.New, "client-secret", "POST", address, string(body), stamp))
	header := http.Header{}
	header.Set("X-HubSpot-Signature-v3", sum)
	header.Set("X-HubSpot-Request-Timestamp", stamp)
	events, err := driver.ParseWebhookAt(address, header, body, []string{"client-secret"}, noon())
	require.NoError(t, err)
	require.Equal(t, []connector.Event{{ID: "7", Object: "contacts", RecordID: "101", Kind: "contact.propertyChange"}, {ID: "8", Object: "contacts", RecordID: "102", Kind: "contact.deletion"}}, events)
	for name, try := range map[string]func() error{
		"another address": func() error {
			_, err := driver.ParseWebhookAt(address+"x", header, body, []string{"client-secret"}, noon())
			return err
		},
		"no address": func() error {
			_, err := driver.ParseWebhook(header, body, []string{"client-secret"}, noon())
			return err
		},
		"another secret": func() error {
			_, err := driver.ParseWebhookAt(address, header, body, []string{"x"}, noon())
			return err
		},
		"too old": func() error {
			_, err := driver.ParseWebhookAt(address, header, body, []string{"client-secret"}, noon().Add(5*time.Minute+time.Second))
			return err
		},
	} {
		require.Equal(t, fault.Unauthorized, fault.CodeOf(try()), name)
	}
}
