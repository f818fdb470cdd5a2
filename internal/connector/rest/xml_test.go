package rest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestCompaniesInXML runs the suite of the connectors in Go against the old
// interface of Acme's companies.
func TestCompaniesInXML(t *testing.T) {
	h := harnessOf(t, "companies", "company", "domain", "name", "properties.other", map[string]any{"name": "Dahlia"})
	h.Driver = shipped(t, "acme-legacy")
	h.Capabilities = shipped(t, "acme-legacy").Defaults()
	h.ListPath = "/xml/companies"
	h.GoneBody = "<error><type>not_found</type></error>"
	h.RefusedBody = "<error><type>validation</type><code>invalid</code><message>no</message><fields><domain>is invalid</domain></fields></error>"
	connectortest.Run(t, h)
}

// TestXMLInEveryEncoding: what a server writes in its own encoding is read, and what
// we write in ours comes through, with characters that neither has.
func TestXMLInEveryEncoding(t *testing.T) {
	for _, encoding := range []string{wire.EncodingUTF8, wire.EncodingLatin, wire.EncodingWindows, wire.EncodingUTF16} {
		t.Run(encoding, func(t *testing.T) {
			s := newServer(t, time.Now, "companies")
			conn := s.openLegacy(t)
			require.NoError(t, s.admin.SetSwitches(t.Context(), map[string]any{"encoding": encoding}))
			const name = "Müller & Söhne <Αθήνα> 5 € \"Ö\""
			made, err := conn.Create(t.Context(), "companies", map[string]any{"name": name, "properties.city": "Köln\nEhrenfeld"}, connector.WriteOptions{})
			require.NoError(t, err)
			require.Equal(t, name, made.Fields["name"])
			require.Equal(t, name, s.Fields(t, made.Ref.ID)["name"])
			read, err := conn.Get(t.Context(), "companies", made.Ref.ID)
			require.NoError(t, err)
			require.Equal(t, name, read.Fields["name"])
			city, _ := read.Fields.Get("properties.city")
			require.Equal(t, "Köln\nEhrenfeld", city)
			page, err := conn.List(t.Context(), connector.ListRequest{Object: "companies"})
			require.NoError(t, err)
			require.Len(t, page.Records, 1)
			require.Equal(t, name, page.Records[0].Fields["name"])
		})
	}
}

// TestAValueThatXMLCannotHold: it is the record's fault, and names the field.
func TestAValueThatXMLCannotHold(t *testing.T) {
	s := newServer(t, time.Now, "companies")
	conn := s.openLegacy(t)
	_, err := conn.Create(t.Context(), "companies", map[string]any{"name": "Bell", "properties.sound": "\x07"}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, "properties.sound", fault.As(err).Field)
	calls, err := s.admin.Calls(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, calls, "nothing was sent")
}

func (s *server) openLegacy(t *testing.T) connector.Connector { return s.openDriver(t, "acme-legacy") }

// orders is a system with habits of its own: namespaces, attributes, repeated elements.
const orders = `manifest: orders
title: Orders
auth: {kinds: [none]}
errors: {known: fault.code}
format: xml
xml:
  namespace: urn:orders
  namespaces: {pay: "urn:payment"}
  order: [customer, lines, "pay:total"]
  lists: [lines.line, tags]
  null: nil
types: {lines.line.count: number, "pay:total": number, paid: boolean}
records: {id: "@number"}
list: {path: /orders, rows: list.order}
get: {path: "/orders/{id}", row: order}
create: {path: /orders, wrap: order, row: order}
update: {method: PUT, path: "/orders/{id}", wrap: order, row: order}
objects: {orders: }
`

func TestXMLByItsRules(t *testing.T) {
	const one = `<order number="7" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><lines><line><count>2</count></line></lines>
		<customer kind="new">Ana</customer><p:total xmlns:p="urn:payment">12.50</p:total><q:total xmlns:q="urn:other">1</q:total><paid>true</paid><due xsi:nil="true"/><tags>a</tags></order>`
	sent := ""
	conn := open(t, orders, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		if r.Method != http.MethodGet {
			sent = bodyOf(t, r)
		}
		if r.URL.Path == "/api/orders" && r.Method == http.MethodGet {
			reply(w, "<l:list xmlns:l='urn:orders'>"+one+"</l:list>")
			return
		}
		reply(w, one)
	}, connector.Auth{Kind: transport.KindNone})
	page, err := conn.List(t.Context(), connector.ListRequest{Object: "orders"})
	require.NoError(t, err)
	require.Len(t, page.Records, 1, "one element is a list of one")
	want := record.Fields{
		"@number": "7", "lines": map[string]any{"line": []any{map[string]any{"count": json.Number("2")}}},
		"customer": map[string]any{"@kind": "new", "#text": "Ana"}, "pay:total": json.Number("12.50"), "total": "1", "paid": true, "due": nil, "tags": []any{"a"},
	}
	require.Equal(t, want, page.Records[0].Fields)
	read, err := conn.Get(t.Context(), "orders", "7")
	require.NoError(t, err)
	require.Equal(t, want, read.Fields)
	_, err = conn.Update(t.Context(), read, map[string]any{"customer.#text": "Ana & Lima", "due": nil, "total": nil, "tags": []any{"a", "b"}}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, `<?xml version="1.0" encoding="UTF-8"?>
<order xmlns="urn:orders" xmlns:pay="urn:payment" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`+
		`<customer kind="new">Ana &amp; Lima</customer><lines><line><count>2</count></line></lines><pay:total>12.50</pay:total>`+
		`<due xsi:nil="true"/><paid>true</paid><tags>a</tags><tags>b</tags><total xsi:nil="true"/></order>`, sent)
}

// TestAnEmptyListInXML: no element is no row; another answer is none.
func TestAnEmptyListInXML(t *testing.T) {
	for body, ok := range map[string]bool{"<list/>": true, "<list></list>": true, "<html><body/></html>": false, "<list": false, "{}": false, "": false} {
		conn := open(t, orders, func(w http.ResponseWriter, _ *http.Request) { reply(w, body) }, connector.Auth{Kind: transport.KindNone})
		page, err := conn.List(t.Context(), connector.ListRequest{Object: "orders"})
		require.Empty(t, page.Records)
		require.Equal(t, ok, err == nil, body)
		if !ok {
			require.Equal(t, fault.Transient, fault.CodeOf(err), body)
		}
	}
}

func bodyOf(t *testing.T, r *http.Request) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(body)
}

func reply(w http.ResponseWriter, body string) {
	_, _ = w.Write([]byte(body)) // the client is this test
}

func jsonNumber(text string) json.Number { return json.Number(text) }
