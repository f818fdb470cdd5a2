package sandbox_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func (s *side) seed(object string, n int) []string {
	s.t.Helper()
	ids, err := s.admin.Seed(s.t.Context(), wire.Seed{Object: object, Count: n})
	require.NoError(s.t, err)
	require.Len(s.t, ids, n)
	return ids
}

func (s *side) set(switches fields) {
	s.t.Helper()
	require.NoError(s.t, s.admin.SetSwitches(s.t.Context(), switches))
}

func TestSalesOSPages(t *testing.T) {
	p := start(t, sandbox.Options{})
	p.salesos.seed("leads", 105)
	seen := map[string]bool{}
	for page := 1; page <= 5; page++ {
		a := p.salesos.do("GET", fmt.Sprintf("/v1/leads?page=%d", page), nil)
		require.EqualValues(t, 105, a.at("meta", "total"))
		require.EqualValues(t, 25, a.at("meta", "per_page"))
		require.EqualValues(t, 5, a.at("meta", "total_pages"))
		for _, v := range a.list("data") {
			seen[idOf(v)] = true
		}
	}
	require.Len(t, seen, 105)
	require.Empty(t, p.salesos.do("GET", "/v1/leads?page=6", nil).list("data"))
	for _, bad := range []string{"page=0", "page=x", "per_page=101", "sort=nothing", "created_after=yesterday"} {
		require.Equal(t, 400, p.salesos.do("GET", "/v1/leads?"+bad, nil).status, bad)
	}
}

func TestSalesOSFiltersAndSorts(t *testing.T) {
	p := start(t, sandbox.Options{})
	var ids []string
	for i, status := range []string{"new", "qualified", "new"} {
		rec, err := p.salesos.admin.CreateRecord(t.Context(), "leads", fields{"name": fmt.Sprint("Lead ", 9-i), "status": status, "custom_fields": fields{"external_id": fmt.Sprint("crm-", i)}})
		require.NoError(t, err)
		ids = append(ids, rec.ID)
		p.clock.Add(time.Minute)
	}
	_, err := p.salesos.admin.EditRecord(t.Context(), "leads", ids[0], fields{"phone": "12345"})
	require.NoError(t, err)
	at := func(i int) string { return url.QueryEscape(fmt.Sprintf("2026-03-01T12:0%d:00Z", i)) }
	for _, c := range []struct {
		query string
		want  []int
	}{
		{"", []int{2, 1, 0}},
		{"sort=created_at", []int{0, 1, 2}},
		{"sort=-updated_at", []int{0, 2, 1}},
		{"sort=name", []int{2, 1, 0}},
		{"sort=created_at&status=new", []int{0, 2}},
		{"sort=created_at&created_after=" + at(0), []int{1, 2}},
		{"sort=created_at&created_before=" + at(2), []int{0, 1}},
		{"sort=created_at&updated_after=" + at(1), []int{0, 2}},
		{"sort=updated_at&updated_after=" + at(1), []int{2, 0}},
		{"search=crm-1", []int{1}},
		{"search=LEAD+8", []int{1}},
		{"search=lead&status=qualified", []int{1}},
		{"search=nobody", []int{}},
	} {
		t.Run(c.query, func(t *testing.T) {
			got := []string{}
			for _, v := range p.salesos.do("GET", "/v1/leads?"+c.query, nil).list("data") {
				got = append(got, idOf(v))
			}
			want := []string{}
			for _, i := range c.want {
				want = append(want, ids[i])
			}
			require.Equal(t, want, got)
		})
	}
	filter := "/v1/leads?updated_after=" + at(9)
	require.Empty(t, p.salesos.do("GET", filter, nil).list("data"))
	p.salesos.set(fields{"updated_after": "ignored"})
	require.Len(t, p.salesos.do("GET", filter, nil).list("data"), 3)
	p.salesos.set(fields{"updated_after": "rejected"})
	require.Equal(t, 400, p.salesos.do("GET", filter, nil).status)
}

func TestAcmeCursorIsInclusiveAndOrdered(t *testing.T) {
	p := start(t, sandbox.Options{})
	p.acme.seed("contacts", 25) // all at the same moment: the ids decide
	since := p.clock.Now()
	p.clock.Add(time.Second)
	late := p.acme.seed("contacts", 5)
	limit := "7"
	read := func(query string) (ids []string) {
		cursor := ""
		for {
			a := p.acme.do("GET", "/api/2/contacts?limit="+limit+"&"+query+"&cursor="+cursor, nil)
			require.Equal(t, 200, a.status, string(a.raw))
			for _, v := range a.list("items") {
				ids = append(ids, idOf(v))
			}
			if cursor = a.text("next_cursor"); cursor == "" {
				return ids
			}
		}
	}
	all := read("")
	require.Len(t, all, 30)
	require.ElementsMatch(t, late, all[25:])
	require.IsIncreasing(t, all[:25])
	require.Len(t, read("updated_since="+url.QueryEscape(since.Format(time.RFC3339))), 30)
	require.Len(t, read("updated_since="+url.QueryEscape(since.Add(time.Millisecond).Format("2006-01-02T15:04:05.000Z"))), 5)
	for _, limit = range []string{"1", "10", "29", "30", "31"} {
		require.Equal(t, all, read(""), limit)
	}
	for _, bad := range []string{"limit=0", "limit=201", "cursor=%21%21", "updated_since=x"} {
		require.Equal(t, 400, p.acme.do("GET", "/api/2/contacts?"+bad, nil).status, bad)
	}
}

func TestAcmeDeletedKeepsThirtyDays(t *testing.T) {
	p := start(t, sandbox.Options{})
	ids := p.acme.seed("contacts", 3)
	for _, id := range ids[:2] {
		_, err := p.acme.admin.DeleteRecord(t.Context(), "contacts", id)
		require.NoError(t, err)
		p.clock.Add(time.Hour)
	}
	p.acme.login("accord", "accord-secret")
	a := p.acme.do("GET", "/api/2/deleted?object=contacts&limit=1", nil)
	require.Equal(t, ids[0], idOf(a.list("items")[0]))
	a = p.acme.do("GET", "/api/2/deleted?object=contacts&limit=1&cursor="+a.text("next_cursor"), nil)
	require.Equal(t, ids[1], idOf(a.list("items")[0]))
	require.Nil(t, a.at("next_cursor"))
	p.clock.Add(30*24*time.Hour - time.Hour)
	p.acme.login("accord", "accord-secret")
	a = p.acme.do("GET", "/api/2/deleted?object=contacts", nil)
	require.Len(t, a.list("items"), 1)
	require.Equal(t, 400, p.acme.do("GET", "/api/2/deleted", nil).status)
}

func TestClockSwitches(t *testing.T) {
	p := start(t, sandbox.Options{})
	p.acme.set(fields{"clock_offset_ms": 300_000, "granularity_ms": 60_000})
	p.clock.Add(12_345 * time.Millisecond)
	a := p.acme.do("POST", "/api/2/contacts", fields{"first_name": "A"})
	require.Equal(t, "2026-03-01T12:05:00.000Z", a.text("updated_at"))
	require.Equal(t, "Sun, 01 Mar 2026 12:05:12 GMT", a.header.Get("Date"))
}
