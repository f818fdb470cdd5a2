package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/connectors"
	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// newHubSpot is the HubSpot sandbox with a user at its screen, and an app's refresh token.
func newHubSpot(t *testing.T, now func() time.Time, object string) (hub *server, refresh string) {
	t.Helper()
	all := sandbox.New(sandbox.Options{Now: now})
	t.Cleanup(all.Close)
	screen := httptest.NewServer(all.HubSpot)
	t.Cleanup(screen.Close)
	refresh = consent(t, screen.URL)
	hub = &server{Handler: all.HubSpot, admin: sandboxclient.New(screen.URL), object: object, url: screen.URL, inside: "properties"}
	require.NoError(t, hub.admin.ResetLog(t.Context()))
	return hub, refresh
}

// consent goes the way of a person who installs an app, and answers its refresh token.
func consent(t *testing.T, address string) string {
	t.Helper()
	const back = "https://accord.example/back"
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	asked, err := client.Get(address + "/oauth/authorize?" + url.Values{"client_id": {connectortest.ClientID}, "redirect_uri": {back}}.Encode())
	require.NoError(t, err)
	require.NoError(t, asked.Body.Close())
	sent, err := asked.Location()
	require.NoError(t, err)
	answer, err := client.PostForm(address+"/oauth/v1/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {connectortest.ClientID},
		"client_secret": {connectortest.ClientSecret}, "redirect_uri": {back}, "code": {sent.Query().Get("code")}})
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	var granted struct {
		Refresh string `json:"refresh_token"`
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&granted))
	require.NotEmpty(t, granted.Refresh)
	return granted.Refresh
}

// installed opens with the refresh token of the server that was started last.
type installed struct {
	rest.Driver
	consent *consented
}

type consented struct {
	mu      sync.Mutex
	refresh string
}

func (c *consented) given(refresh string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refresh = refresh
}

// Open implements connector.Driver.
func (d installed) Open(cfg connector.Config) (connector.Connector, error) {
	if cfg.Auth.Kind == "" {
		d.consent.mu.Lock()
		defer d.consent.mu.Unlock()
		cfg.Auth.Kind, cfg.Auth.RefreshToken = transport.KindAuthorizationCode, d.consent.refresh
	}
	return d.Driver.Open(cfg)
}

// hubObject is what the suite must know of one of HubSpot's objects.
type hubObject struct {
	name, key, text, other, inner, innerOther string
	needs                                     map[string]any
}

func hubObjects() []hubObject {
	at := "2026-11-22T12:00:00.000Z"
	return []hubObject{
		{name: "contacts", key: "email", text: "firstname", other: "jobtitle", inner: "company", innerOther: "phone"},
		{name: "companies", key: "domain", text: "name", other: "phone", inner: "city", innerOther: "website"},
		{name: "deals", key: "accord_ref", text: "dealname", other: "description", inner: "hs_next_step", innerOther: "closed_lost_reason"},
		{name: "meetings", key: "accord_ref", text: "hs_meeting_title", other: "hs_meeting_location", inner: "hs_meeting_body", innerOther: "hs_internal_meeting_notes", needs: map[string]any{"properties.hs_timestamp": at}},
		{name: "calls", key: "accord_ref", text: "hs_call_title", other: "hs_call_body", inner: "hs_call_from_number", innerOther: "hs_call_to_number", needs: map[string]any{"properties.hs_timestamp": at}},
		{name: "emails", key: "accord_ref", text: "hs_email_subject", other: "hs_email_text", inner: "hs_email_html", innerOther: "hs_email_headers", needs: map[string]any{"properties.hs_timestamp": at}},
	}
}

func hubHarness(t *testing.T, of hubObject) connectortest.Harness {
	t.Helper()
	driver := installed{Driver: shipped(t, "hubspot"), consent: &consented{}}
	capabilities := driver.Defaults()
	if of.name != "contacts" {
		capabilities.Unique = nil
	}
	return connectortest.Harness{
		Driver: driver, Capabilities: capabilities,
		Object: of.name, Key: "properties." + of.key, Text: "properties." + of.text, Other: "properties." + of.other,
		Inner: "properties." + of.inner, InnerOther: "properties." + of.innerOther, Marker: "properties.accord_ref", Needs: of.needs,
		TokenPath: "/oauth/v1/token", ListPath: "/objects/" + of.name,
		GoneBody:    `{"status":"error","message":"resource not found","correlationId":"a","category":"OBJECT_NOT_FOUND"}`,
		RefusedBody: `{"status":"error","message":"no","correlationId":"a","category":"VALIDATION_ERROR","errors":[{"context":{"propertyName":["` + of.key + `"]}}]}`,
		Route: func(r *http.Request) (string, string) {
			if strings.HasSuffix(r.URL.Path, "/search") || strings.HasSuffix(r.URL.Path, "/batch/read") {
				return http.MethodGet, r.URL.Path // a search is a read
			}
			return r.Method, r.URL.Path
		},
		Start: func(t *testing.T, now func() time.Time) connectortest.Server {
			hub, refresh := newHubSpot(t, now, of.name)
			driver.consent.given(refresh)
			return hub
		},
	}
}

// TestHubSpotAsManifest runs the suite of the connectors in Go.
func TestHubSpotAsManifest(t *testing.T) {
	for _, of := range hubObjects() {
		t.Run(of.name, func(t *testing.T) { connectortest.Run(t, hubHarness(t, of)) })
	}
}

// openHub makes a connector of the shipped manifest, changed, to a server at an address.
func openHub(t *testing.T, address string, replace ...string) connector.Connector {
	t.Helper()
	text, err := connectors.Read("hubspot")
	require.NoError(t, err)
	driver := rest.New(mustRead(t, strings.NewReplacer(replace...).Replace(string(text))))
	conn, err := driver.Open(connector.Config{Side: record.Right, BaseURL: address, Objects: []string{"contacts"}, Capabilities: driver.Defaults(),
		Auth: connector.Auth{Kind: transport.KindStatic, Token: sandbox.DefaultPrivateToken},
		Client: transport.New(transport.Options{Plan: driver.PlanHeaders(), Pace: driver.Pace(),
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})})
	require.NoError(t, err)
	return conn
}
