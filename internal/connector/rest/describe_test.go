package rest_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestAcmeIsDescribedAsInGo: the manifest reads from GET /fields what the connector in Go does.
func TestAcmeIsDescribedAsInGo(t *testing.T) {
	s := newServer(t, noon, "contacts")
	require.NoError(t, s.admin.SetShape(t.Context(), wire.Shape{Object: "contacts", Field: "mobile", Required: true}))
	inGo, err := acme.Driver{}.Open(connector.Config{Side: record.Right, BaseURL: s.url + "/api/2", Objects: []string{"contacts"},
		Auth:   connector.Auth{ClientID: connectortest.ClientID, ClientSecret: connectortest.ClientSecret},
		Client: transport.New(transport.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})})
	require.NoError(t, err)
	conn := s.open(t)
	for _, object := range shipped(t, "acme").Objects() {
		fields := connectortest.Described(t, conn, object.Name)
		require.Equal(t, connectortest.Described(t, inGo, object.Name), fields, object.Name)
		require.True(t, fields["id"].ReadOnly)
	}
	contacts := connectortest.Described(t, conn, "contacts")
	require.True(t, contacts["mobile"].Required)
	require.Equal(t, []string{"lead", "contacted", "qualified", "disqualified", "customer"}, contacts["lifecycle"].Values)
}

// TestHubSpotIsDescribed: properties by their paths in a record, with options and what HubSpot keeps itself.
func TestHubSpotIsDescribed(t *testing.T) {
	hub, _ := newHubSpot(t, noon, "contacts")
	conn := openHub(t, hub.url)
	contacts := connectortest.Described(t, conn, "contacts")
	require.Equal(t, connector.FieldShape{Name: "properties.email", Type: "string"}, contacts["properties.email"])
	require.Equal(t, []string{"NEW", "OPEN", "IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED", "ATTEMPTED_TO_CONTACT", "CONNECTED", "BAD_TIMING"}, contacts["properties.hs_lead_status"].Values)
	require.True(t, contacts["properties.lastmodifieddate"].ReadOnly)
	require.True(t, contacts["createdAt"].ReadOnly, "a fact of the record, by the manifest")
	deals := connectortest.Described(t, conn, "deals")
	require.Contains(t, deals["properties.dealstage"].Values, "closedwon")
	require.Equal(t, connector.FieldShape{Name: "contact_id"}, deals["contact_id"], "the relation")
	require.Empty(t, connectortest.Described(t, conn, "owners"), "which HubSpot does not describe")
}

// TestDescriptionsOfSeveralPages: all pages are one description, and half of one is none.
func TestDescriptionsOfSeveralPages(t *testing.T) {
	const part = `list: {path: /rows}
describe: {path: /rows/fields, query: {page: "{page}"}, size: 2, rows: fields, paging: {kind: page}, name: key, prefix: data., read_only: locked, values: choices, value: code}
`
	last := 3
	conn := open(t, habit(part), func(w http.ResponseWriter, r *http.Request) {
		page := number(r, "page")
		fields := []map[string]any{{"key": fmt.Sprintf("a%d", page), "locked": "true"}}
		if page < last {
			fields = append(fields, map[string]any{"key": fmt.Sprintf("b%d", page), "choices": []any{map[string]any{"code": 1}, map[string]any{"code": "x"}, map[string]any{}}})
		}
		show(w, map[string]any{"fields": fields})
	}, connector.Auth{Kind: transport.KindNone})
	fields := connectortest.Described(t, conn, "rows")
	require.Len(t, fields, 7, "five fields, the id and the updated time")
	require.Equal(t, connector.FieldShape{Name: "data.b2", Values: []string{"1", "x"}}, fields["data.b2"])
	require.Equal(t, connector.FieldShape{Name: "data.a3", ReadOnly: true}, fields["data.a3"])
	last = 1000
	server, ok := conn.(connector.Describer)
	require.True(t, ok)
	_, err := server.Describe(t.Context(), "rows")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

// TestNoDescription: a manifest without describe answers nothing and makes no call.
func TestNoDescription(t *testing.T) {
	calls := 0
	conn := open(t, habit("list: {path: /rows}\n"), func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusInternalServerError)
	}, connector.Auth{Kind: transport.KindNone})
	require.Empty(t, connectortest.Described(t, conn, "rows"))
	require.Zero(t, calls)
}

// TestSearchesGoOn: a search reads all its pages, by whatever way they go on.
func TestSearchesGoOn(t *testing.T) {
	for name, one := range map[string]struct {
		part  string
		serve func(s *shop, w http.ResponseWriter, r *http.Request)
	}{
		"keyset": {`search: {path: /find, query: {q: "{value}", from: "{next}"}, rows: data, paging: {kind: keyset, field: id}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				show(w, map[string]any{"data": s.after(r.URL.Query().Get("from"), 5)})
			}},
		"keyset that includes its bound": {`search: {path: /find, query: {q: "{value}", from: "{next}"}, rows: data, paging: {kind: keyset, field: id}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				from := max(number(r, "from")-1, 0)
				show(w, map[string]any{"data": s.after(fmt.Sprint(from), 5)})
			}},
		"link": {`search: {path: /find, query: {q: "{value}"}, rows: data, paging: {kind: link, next: next}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				rows := s.after(r.URL.Query().Get("from"), 5)
				answer := map[string]any{"data": rows}
				if len(rows) == 5 {
					answer["next"] = fmt.Sprintf("/api/find?q=%s&from=%s", r.URL.Query().Get("q"), rows[4]["id"])
				}
				show(w, answer)
			}},
		"link that goes in circles": {`search: {path: /find, query: {q: "{value}"}, rows: data, paging: {kind: link, next: next}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				show(w, map[string]any{"data": s.slice(0, 12), "next": "/api/find?q=" + r.URL.Query().Get("q")})
			}},
	} {
		t.Run(name, func(t *testing.T) {
			s := stock(12)
			text := strings.Replace(habit("list: {path: /rows}\n"+one.part+"\n"), "{read_only: true}", "{read_only: true, searchable: [colour]}", 1)
			conn := open(t, text, s.handler(func(s *shop, w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "blue", r.URL.Query().Get("q"))
				one.serve(s, w, r)
			}), connector.Auth{Kind: transport.KindNone})
			found, err := conn.Search(t.Context(), connector.SearchRequest{Object: "rows", Path: "colour", Value: "blue"})
			require.NoError(t, err)
			ids := []string{}
			for _, row := range found {
				ids = append(ids, row.Ref.ID)
			}
			require.Equal(t, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}, ids)
		})
	}
}
