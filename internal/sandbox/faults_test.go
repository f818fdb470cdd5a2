package sandbox_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func (s *side) fault(f wire.Fault) {
	s.t.Helper()
	_, err := s.admin.InjectFault(s.t.Context(), f)
	require.NoError(s.t, err)
}

func TestFaultsOnCreate(t *testing.T) {
	p := start(t, sandbox.Options{})
	for _, c := range []struct {
		name    string
		fault   wire.Fault
		status  int // 0: no answer
		created int
	}{
		{"503 before", wire.Fault{Kind: wire.FaultStatus}, 503, 0},
		{"500 after", wire.Fault{Kind: wire.FaultStatus, Status: 500, When: wire.After}, 500, 1},
		{"429 with Retry-After", wire.Fault{Kind: wire.FaultStatus, Status: 429, RetryAfter: "7"}, 429, 0},
		{"reset before", wire.Fault{Kind: wire.FaultReset}, 0, 0},
		{"reset after", wire.Fault{Kind: wire.FaultReset, When: wire.After}, 0, 1},
		{"time-out before", wire.Fault{Kind: wire.FaultTimeout, HangMS: 10}, 0, 0},
		{"time-out after", wire.Fault{Kind: wire.FaultTimeout, HangMS: 10, When: wire.After}, 0, 1},
		{"cut", wire.Fault{Kind: wire.FaultCut}, 0, 1},
		{"expired token", wire.Fault{Kind: wire.FaultExpireToken}, 401, 0},
		{"revoked token", wire.Fault{Kind: wire.FaultRevokeToken}, 401, 0},
		{"200 with rubbish", wire.Fault{Kind: wire.FaultStatus, Status: 200, Body: "<html>"}, 200, 0},
	} {
		for _, s := range []*side{p.salesos, p.acme} {
			t.Run(c.name, func(t *testing.T) {
				require.NoError(t, s.admin.Reset(t.Context()))
				s.login("accord", "accord-secret")
				path, object, body := "/v1/leads", "leads", fields{"name": "A"}
				if s == p.acme {
					path, object, body = "/api/2/contacts", "contacts", fields{"note": "A"}
				}
				f := c.fault
				f.Method, f.Path = "POST", path
				s.fault(f)
				require.Equal(t, 200, s.do("GET", path, nil).status, "other calls are not met")
				a := s.do("POST", path, body)
				if c.status == 0 {
					require.Error(t, a.err)
				} else {
					require.NoError(t, a.err)
					require.Equal(t, c.status, a.status, string(a.raw))
					require.Equal(t, c.fault.RetryAfter, a.header.Get("Retry-After"))
				}
				recs, err := s.admin.Records(t.Context(), object)
				require.NoError(t, err)
				require.Len(t, recs, c.created)
				s.login("accord", "accord-secret")
				require.Equal(t, 201, s.do("POST", path, body).status, "a fault is over after its turn")
				met := 0
				calls, err := s.admin.Calls(t.Context(), 0)
				require.NoError(t, err)
				for _, call := range calls {
					if call.Fault == c.fault.Kind {
						met++
					}
				}
				require.Equal(t, 1, met)
			})
		}
	}
}

func TestFaultMatching(t *testing.T) {
	p := start(t, sandbox.Options{})
	ids := p.acme.seed("contacts", 3)
	status := func(method, id string, body any) int {
		return p.acme.do(method, "/api/2/contacts/"+id, body).status
	}
	p.acme.fault(wire.Fault{Kind: wire.FaultStatus, RecordID: ids[0], Skip: 1, Times: 2})
	require.Equal(t, 200, status("GET", ids[1], nil))
	require.Equal(t, []int{200, 503, 503, 200}, []int{status("GET", ids[0], nil), status("GET", ids[0], nil), status("GET", ids[0], nil), status("GET", ids[0], nil)})
	p.acme.fault(wire.Fault{Kind: wire.FaultStatus, Status: 418, PathRegexp: `contacts/[^/]+$`, Method: "patch", Contains: "trouble", Times: -1})
	require.Equal(t, 200, status("PATCH", ids[1], fields{"note": "peace"}))
	require.Equal(t, 418, status("PATCH", ids[1], fields{"note": "trouble"}))
	require.Equal(t, 418, status("PATCH", ids[2], fields{"note": "trouble"}))
	list, err := p.acme.admin.Faults(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, []int{list[0].Hits, list[1].Hits})
	require.NoError(t, p.acme.admin.ClearFaults(t.Context()))
	require.Equal(t, 200, status("PATCH", ids[2], fields{"note": "trouble"}))
	for _, bad := range []wire.Fault{{}, {Kind: "flood"}, {Kind: wire.FaultReset, When: "never"}, {Kind: wire.FaultReset, PathRegexp: "("}, {Kind: wire.FaultStatus, Status: 99}} {
		_, err := p.acme.admin.InjectFault(t.Context(), bad)
		var apiErr *sandboxclient.Error
		require.ErrorAs(t, err, &apiErr)
		require.Equal(t, 400, apiErr.Status)
	}
}

func TestEmptyListing(t *testing.T) {
	p := start(t, sandbox.Options{})
	p.salesos.seed("leads", 2)
	p.acme.seed("contacts", 2)
	p.salesos.fault(wire.Fault{Kind: wire.FaultEmptyList, Path: "/v1/leads"})
	p.acme.fault(wire.Fault{Kind: wire.FaultEmptyList, Path: "/api/2/contacts"})
	for i, want := range []int{0, 2} {
		a := p.salesos.do("GET", "/v1/leads", nil)
		require.Equal(t, 200, a.status)
		require.Len(t, a.list("data"), want, i)
		require.EqualValues(t, want, a.at("meta", "total"))
		require.Len(t, p.acme.do("GET", "/api/2/contacts", nil).list("items"), want)
	}
}

func TestRateLimits(t *testing.T) {
	p := start(t, sandbox.Options{})
	a := p.acme.do("GET", "/api/2/contacts", nil)
	require.Empty(t, a.header.Get("RateLimit-Limit"), "off by default")
	set := wire.Limits{Requests: 3, WindowMS: 60_000}
	require.NoError(t, p.salesos.admin.SetLimits(t.Context(), set))
	require.NoError(t, p.acme.admin.SetLimits(t.Context(), set))
	a = p.acme.do("GET", "/api/2/contacts", nil)
	require.Equal(t, []string{"3", "2", "60"}, []string{a.header.Get("RateLimit-Limit"), a.header.Get("RateLimit-Remaining"), a.header.Get("RateLimit-Reset")})
	a = p.salesos.do("GET", "/v1/leads", nil)
	require.Equal(t, []string{"3", "2", "1772366460"}, []string{a.header.Get("X-RateLimit-Limit"), a.header.Get("X-RateLimit-Remaining"), a.header.Get("X-RateLimit-Reset")})
	require.NoError(t, p.salesos.admin.SetLimits(t.Context(), wire.Limits{Requests: 3, WindowMS: 60_000, Consume: 1}))
	require.Equal(t, "0", p.salesos.do("GET", "/v1/leads", nil).header.Get("X-RateLimit-Remaining"))
	p.clock.Add(10 * time.Second)
	for _, c := range []struct{ mode, want string }{{"seconds", "50"}, {"date", "Sun, 01 Mar 2026 12:01:00 GMT"}, {"absent", ""}} {
		p.salesos.set(fields{"retry_after": c.mode})
		a = p.salesos.do("POST", "/v1/leads", fields{"name": "A"})
		require.Equal(t, 429, a.status)
		require.Equal(t, c.want, a.header.Get("Retry-After"))
		require.Equal(t, "0", a.header.Get("X-RateLimit-Remaining"))
	}
	p.salesos.login("accord", "accord-secret")
	require.Equal(t, 429, p.salesos.do("GET", "/v1/leads", nil).status, "a new token is the same client")
	p.clock.Add(50 * time.Second)
	require.Equal(t, 200, p.salesos.do("GET", "/v1/leads", nil).status)
	require.NoError(t, p.salesos.admin.SetLimits(t.Context(), wire.Limits{}))
	require.Empty(t, p.salesos.do("GET", "/v1/leads", nil).header.Get("X-RateLimit-Limit"))
}

func TestRejections(t *testing.T) {
	p := start(t, sandbox.Options{})
	id := p.acme.seed("contacts", 1)[0]
	require.NoError(t, p.acme.admin.RejectField(t.Context(), wire.Rejection{Object: "contacts", Field: "job_title", Value: "Wizard", Message: "is not a real job"}))
	a := p.acme.do("PATCH", "/api/2/contacts/"+id, fields{"job_title": "Wizard"})
	require.Equal(t, 422, a.status)
	require.Equal(t, []any{"is not a real job"}, a.at("error", "fields", "job_title"))
	require.Equal(t, 200, p.acme.do("PATCH", "/api/2/contacts/"+id, fields{"job_title": "Smith"}).status)
	_, err := p.acme.admin.EditRecord(t.Context(), "contacts", id, fields{"job_title": "Wizard"})
	require.NoError(t, err, "users may")
	require.NoError(t, p.acme.admin.ClearRejections(t.Context()))
	require.Equal(t, 200, p.acme.do("PATCH", "/api/2/contacts/"+id, fields{"job_title": "Wizard"}).status)
	require.Error(t, p.acme.admin.RejectField(t.Context(), wire.Rejection{Object: "contacts", Field: "shoe_size"}))
}

func TestRaces(t *testing.T) {
	p := start(t, sandbox.Options{})
	ids := p.acme.seed("contacts", 2)
	race := func(r wire.Race) {
		r.Object, r.ID = "contacts", ids[0]
		require.NoError(t, p.acme.admin.AddRace(t.Context(), r))
	}
	do := func(method, id, match string, body any) answer {
		return p.acme.do(method, "/api/2/contacts/"+id, body, "If-Match", match)
	}
	race(wire.Race{Fields: fields{"note": "by the user"}})
	require.Equal(t, 200, do("PATCH", ids[1], `"v1"`, fields{"note": "n"}).status, "another record")
	require.Equal(t, `"v1"`, do("GET", ids[0], "", nil).header.Get("ETag"))
	require.Equal(t, 412, do("PATCH", ids[0], `"v1"`, fields{"note": "by the app"}).status)
	a := do("GET", ids[0], "", nil)
	require.Equal(t, "by the user", a.text("note"))
	require.Equal(t, "user:operator", a.text("updated_by"))

	race(wire.Race{At: wire.AfterRead, Fields: fields{"note": "again"}})
	require.Equal(t, "by the user", do("GET", ids[0], "", nil).text("note"))
	require.Equal(t, "again", do("GET", ids[0], "", nil).text("note"))

	match := do("GET", ids[0], "", nil).header.Get("ETag")
	require.Equal(t, 200, do("PATCH", ids[0], match, fields{"note": "in peace"}).status, "each race is run once")

	race(wire.Race{Delete: true})
	require.Equal(t, 404, do("PATCH", ids[0], "", fields{"note": "x"}).status)
}

func TestLogSaysWhoDidWhat(t *testing.T) {
	p := start(t, sandbox.Options{})
	a := p.salesos.do("POST", "/v1/leads", fields{"name": "Secret Name", "phone": "12345"})
	id := a.text("data", "id")
	_, err := p.salesos.admin.EditRecord(t.Context(), "leads", id, fields{"name": "B"})
	require.NoError(t, err)
	p.salesos.do("PATCH", "/v1/leads/"+id, fields{"name": "B"})
	calls, err := p.salesos.admin.Calls(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, calls, 2)
	require.Equal(t, wire.Call{Seq: 2, At: p.clock.Now(), Method: http.MethodPost, Path: "/v1/leads", Status: 201, Actor: "app:accord", Object: "leads", ID: id,
		Fields: []string{"name", "phone"}, Effect: true}, calls[0])
	require.False(t, calls[1].Effect)
	writes, err := p.salesos.admin.Writes(t.Context(), sandboxclient.Filter{ID: id})
	require.NoError(t, err)
	require.Equal(t, []wire.WriteCount{
		{Actor: "app:accord", Object: "leads", ID: id, Op: "create", Calls: 1, Effects: 1},
		{Actor: "app:accord", Object: "leads", ID: id, Op: "update", Calls: 1, Effects: 0},
		{Actor: "user:operator", Object: "leads", ID: id, Op: "update", Calls: 1, Effects: 1},
	}, writes)
	require.NoError(t, p.salesos.admin.ResetLog(t.Context()))
	writes, err = p.salesos.admin.Writes(t.Context(), sandboxclient.Filter{})
	require.NoError(t, err)
	require.Empty(t, writes)
}
