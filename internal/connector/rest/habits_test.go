package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// shop is a server whose habits are told by its handler. Its rows are the same for all.
type shop struct {
	mu   sync.Mutex
	rows []map[string]any
	sent []*http.Request
	body []string
}

// stock puts n rows on the shelves, ids from 1, changed a second apart.
func stock(n int) *shop {
	s := &shop{rows: []map[string]any{}}
	for i := range n {
		s.rows = append(s.rows, map[string]any{"id": strconv.Itoa(i + 1), "name": fmt.Sprintf("row %d", i+1), "changed": 1795348800 + i})
	}
	return s
}

// take removes the rows for which drop says so.
func (s *shop) take(drop func(i int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := []map[string]any{}
	for i, row := range s.rows {
		if !drop(i) {
			kept = append(kept, row)
		}
	}
	s.rows = kept
}

// touch moves a row to the end, as an edit does in a list by time.
func (s *shop) touch(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[i]
	changed := map[string]any{"id": row["id"], "name": "edited", "changed": 1795348800 + 10_000 + len(s.sent)}
	s.rows = append(slices.Delete(s.rows, i, i+1), changed)
}

func (s *shop) slice(from, to int) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to = min(max(from, 0), len(s.rows)), min(max(to, 0), len(s.rows))
	return slices.Clone(s.rows[from:max(from, to)])
}

func number(r *http.Request, name string) int {
	value, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil {
		return 0
	}
	return value
}

func show(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the client is this test
}

// open makes a connector of a manifest before a handler.
func open(t *testing.T, text string, handler http.HandlerFunc, auth connector.Auth) connector.Connector {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	conn, err := openAt(t, text, server.URL+"/api", auth)
	require.NoError(t, err)
	return conn
}

func openAt(t *testing.T, text, base string, auth connector.Auth) (connector.Connector, error) {
	t.Helper()
	read, err := manifest.Parse([]byte(text))
	require.NoError(t, err, fmt.Sprintf("%+v", err))
	driver := rest.New(read)
	return driver.Open(connector.Config{Side: record.Right, BaseURL: base, Auth: auth, Objects: read.Names(), Capabilities: driver.Defaults(),
		Client: transport.New(transport.Options{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Plan: transport.PlanOf(driver)})})
}

// habit is a manifest with one part of its own.
func habit(part string) string {
	return `manifest: shop
title: Shop
auth: {kinds: [none, bearer, basic, api_key, oauth2_client_credentials, oauth2_authorization_code], api_key: {name: X-Key, prefix: "Key "}}
errors: {known: error, code: [error], fields: fields, existing_id: other}
records: {updated_at: changed, times: epoch_s}
get: {path: "/rows/{id}"}
objects:
  rows: {read_only: true}
` + part
}

// pagings are the ways in which lists go on, each with a server of that habit.
func pagings() map[string]struct {
	part  string
	serve func(s *shop, w http.ResponseWriter, r *http.Request)
} {
	type way = struct {
		part  string
		serve func(s *shop, w http.ResponseWriter, r *http.Request)
	}
	return map[string]way{
		"none": {`list: {path: /rows}`, func(s *shop, w http.ResponseWriter, _ *http.Request) { show(w, s.slice(0, 1000)) }},
		"page": {`list: {path: /rows, query: {page: "{page}", per_page: "{size}"}, size: 5, rows: data.rows, paging: {kind: page}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				from := (number(r, "page") - 1) * number(r, "per_page")
				show(w, map[string]any{"data": map[string]any{"rows": s.slice(from, from+number(r, "per_page"))}})
			}},
		"page from zero, told when it is the last": {`list: {path: /rows, query: {p: "{page}"}, size: 5, rows: rows, paging: {kind: page, first: 0, more: has_more}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				from := number(r, "p") * 5
				show(w, map[string]any{"rows": s.slice(from, from+5), "has_more": len(s.slice(from+5, from+6)) > 0})
			}},
		"page with a total": {`list: {path: /rows, query: {page: "{page}"}, size: 50, rows: rows, paging: {kind: page, total: total}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				from := (number(r, "page") - 1) * 4
				show(w, map[string]any{"rows": s.slice(from, from+4), "total": len(s.slice(0, 1000))})
			}},
		"offset": {`list: {path: /rows, query: {offset: "{offset}", limit: "{size}"}, size: 5, rows: rows, paging: {kind: offset}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				show(w, map[string]any{"rows": s.slice(number(r, "offset"), number(r, "offset")+number(r, "limit"))})
			}},
		"offset with a total and a smaller page than asked for": {`list: {path: /rows, query: {offset: "{offset}"}, size: 50, rows: rows, paging: {kind: offset, total: meta.total}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				show(w, map[string]any{"rows": s.slice(number(r, "offset"), number(r, "offset")+4), "meta": map[string]any{"total": len(s.slice(0, 1000))}})
			}},
		"cursor in a body": {`list: {method: POST, path: /search, body: {limit: "{size}", after: "{next}", sort: [id]}, size: 5, rows: results, paging: {kind: cursor, next: paging.next.after}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				var asked struct {
					Limit int
					After string
					Sort  []string
				}
				if json.NewDecoder(r.Body).Decode(&asked) != nil || r.Method != http.MethodPost || len(asked.Sort) != 1 {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				rows := s.after(asked.After, asked.Limit)
				answer := map[string]any{"results": rows}
				if len(rows) == asked.Limit {
					answer["paging"] = map[string]any{"next": map[string]any{"after": rows[len(rows)-1]["id"]}}
				}
				show(w, answer)
			}},
		"link header": {`list: {path: /rows, query: {limit: "{size}"}, size: 5, paging: {kind: link}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				rows := s.after(r.URL.Query().Get("after"), 5)
				if len(rows) == 5 {
					w.Header().Set("Link", fmt.Sprintf(`<http://%s/api/rows?before=0>; rel="prev", <http://%s/api/rows?after=%s&limit=5>; rel="next"`, r.Host, r.Host, rows[4]["id"]))
				}
				show(w, rows)
			}},
		"link in the body": {`list: {path: /rows, size: 5, rows: rows, paging: {kind: link, next: links.next}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				rows := s.after(r.URL.Query().Get("after"), 5)
				answer := map[string]any{"rows": rows, "links": map[string]any{"next": nil}}
				if len(rows) == 5 {
					answer["links"] = map[string]any{"next": "/api/rows?after=" + rows[4]["id"].(string)}
				}
				show(w, answer)
			}},
		"keyset": {`list: {path: /rows, query: {starting_after: "{next}", limit: "{size}"}, size: 5, rows: data, paging: {kind: keyset, field: id}}`,
			func(s *shop, w http.ResponseWriter, r *http.Request) {
				show(w, map[string]any{"data": s.after(r.URL.Query().Get("starting_after"), 5)})
			}},
	}
}

// after is the rows behind an id, by id; those that are gone count as if they were there.
func (s *shop) after(id string, limit int) []map[string]any {
	behind, err := strconv.Atoi(id)
	if err != nil {
		behind = 0
	}
	rows := []map[string]any{}
	all := s.slice(0, 1000)
	slices.SortFunc(all, func(a, b map[string]any) int { return key(a) - key(b) })
	for _, row := range all {
		if key(row) > behind && len(rows) < limit {
			rows = append(rows, row)
		}
	}
	return rows
}

func key(row map[string]any) int {
	text, _ := row["id"].(string)
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return number
}

// listed reads a whole listing; between is called after each page.
func listed(t *testing.T, conn connector.Connector, request connector.ListRequest, between func(page int)) []string {
	t.Helper()
	found := map[string]bool{}
	for page := range 300 {
		got, err := conn.List(t.Context(), request)
		require.NoError(t, err)
		for _, row := range got.Records {
			found[row.Ref.ID] = true
		}
		if got.Next == "" {
			ids := []string{}
			for id := range found {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			return ids
		}
		request.Cursor = got.Next
		if between != nil {
			between(page)
		}
	}
	t.Fatal("the listing does not end")
	return nil
}

func (s *shop) handler(serve func(s *shop, w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.sent = append(s.sent, r)
		s.mu.Unlock()
		serve(s, w, r)
	}
}

func TestPagings(t *testing.T) {
	for name, way := range pagings() {
		for _, count := range []int{0, 1, 4, 5, 6, 23, 40} {
			t.Run(fmt.Sprintf("%s, %d rows", name, count), func(t *testing.T) {
				s := stock(count)
				conn := open(t, habit(way.part), s.handler(way.serve), connector.Auth{Kind: transport.KindNone})
				require.Len(t, listed(t, conn, connector.ListRequest{Object: "rows"}, nil), count)
			})
		}
	}
}

// TestOneCallIsEnough: where the answer tells that it is all, nothing more is asked for.
func TestOneCallIsEnough(t *testing.T) {
	for _, name := range []string{"none", "page with a total", "page from zero, told when it is the last", "offset with a total and a smaller page than asked for",
		"cursor in a body", "link header", "link in the body"} {
		s := stock(3)
		way := pagings()[name]
		conn := open(t, habit(way.part), s.handler(way.serve), connector.Auth{Kind: transport.KindNone})
		require.Len(t, listed(t, conn, connector.ListRequest{Object: "rows"}, nil), 3)
		require.Len(t, s.sent, 1, name)
	}
}

// TestPagingsDrift: rows that were read vanish or move to the end; none of the others may be missed.
func TestPagingsDrift(t *testing.T) {
	for name, way := range pagings() {
		t.Run(name, func(t *testing.T) {
			s := stock(60)
			conn := open(t, habit(way.part), s.handler(way.serve), connector.Auth{Kind: transport.KindNone})
			found := listed(t, conn, connector.ListRequest{Object: "rows"}, func(page int) {
				switch page {
				case 0, 4:
					s.take(func(i int) bool { return i < 2 })
				case 2:
					s.touch(0)
					s.touch(3)
				case 3:
					s.take(func(i int) bool { return i < 7 && i%2 == 0 })
				}
			})
			for _, row := range s.slice(0, 1000) {
				require.Contains(t, found, row["id"])
			}
		})
	}
}

// TestProbeAndCheckBeginAtTheBeginning: the first page has the number that the manifest says.
func TestProbeAndCheckBeginAtTheBeginning(t *testing.T) {
	for _, first := range []string{"0", "1"} {
		s := stock(3)
		part := `list: {path: /rows, query: {page: "{page}", since: "{since}"}, since: epoch_s, paging: {kind: page, first: ` + first + `}}`
		conn := open(t, habit(part), s.handler(func(s *shop, w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path != "/api/rows":
				show(w, s.slice(0, 1)[0])
			case r.URL.Query().Has("since"):
				show(w, []any{})
			default:
				show(w, s.slice(0, 1))
			}
		}), connector.Auth{Kind: transport.KindNone})
		found, err := conn.Probe(t.Context())
		require.NoError(t, err)
		require.True(t, found.UpdatedFilter)
		_, err = conn.Check(t.Context(), []string{"rows"})
		require.NoError(t, err)
		for _, request := range s.sent {
			if request.URL.Path == "/api/rows" {
				require.Equal(t, first, request.URL.Query().Get("page"))
			}
		}
	}
}

// TestServersThatDoNotGoOn: one that ignores where it was asked to go on ends in an error, not in a loop.
func TestServersThatDoNotGoOn(t *testing.T) {
	for _, part := range []string{
		`list: {path: /rows, query: {page: "{page}"}, paging: {kind: page}}`,
		`list: {path: /rows, query: {offset: "{offset}"}, paging: {kind: offset}}`,
		`list: {path: /rows, query: {after: "{next}"}, size: 3, paging: {kind: keyset, field: id}}`,
	} {
		s := stock(7)
		conn := open(t, habit(part), s.handler(func(s *shop, w http.ResponseWriter, _ *http.Request) { show(w, s.slice(0, 7)) }), connector.Auth{Kind: transport.KindNone})
		request := connector.ListRequest{Object: "rows"}
		var err error
		for range 20 {
			var page connector.Page
			if page, err = conn.List(t.Context(), request); err != nil || page.Next == "" {
				break
			}
			request.Cursor = page.Next
		}
		require.ErrorContains(t, err, "does not move", part)
	}
}

// TestALinkElsewhere: our credentials go to base_url only.
func TestALinkElsewhere(t *testing.T) {
	for _, address := range []string{"http://evil.example/api/rows", "/elsewhere?x=1", "//evil.example/api", "../rows", "/api/../admin"} {
		s := stock(3)
		conn := open(t, habit(`list: {path: /rows, rows: rows, paging: {kind: link, next: next}}`), s.handler(func(s *shop, w http.ResponseWriter, _ *http.Request) {
			show(w, map[string]any{"rows": s.slice(0, 3), "next": address})
		}), connector.Auth{Kind: transport.KindNone})
		_, err := conn.List(t.Context(), connector.ListRequest{Object: "rows"})
		require.ErrorContains(t, err, "a next page below base_url", address)
	}
}
