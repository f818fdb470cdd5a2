package sandbox_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func TestValidation(t *testing.T) {
	p := start(t, sandbox.Options{})
	for _, c := range []struct {
		name string
		side *side
		body any
		want int
	}{
		{"salesos no name", p.salesos, fields{"email": "a@example.com"}, 422},
		{"salesos bad email", p.salesos, fields{"name": "A", "email": "nope"}, 422},
		{"salesos bad status", p.salesos, fields{"name": "A", "status": "asleep"}, 422},
		{"salesos unknown owner", p.salesos, fields{"name": "A", "owner_id": "nobody"}, 422},
		{"salesos unknown field is ignored", p.salesos, fields{"name": "A", "shoe_size": 4}, 201},
		{"salesos no JSON", p.salesos, "{", 400},
		{"salesos not an object", p.salesos, "[]", 400},
		{"acme bad email", p.acme, fields{"email": "nope"}, 422},
		{"acme bad phone", p.acme, fields{"phone": "call me"}, 422},
		{"acme short phone", p.acme, fields{"phone": "12"}, 422},
		{"acme bad lifecycle", p.acme, fields{"lifecycle": "asleep"}, 422},
		{"acme unknown field", p.acme, fields{"shoe_size": 4}, 422},
		{"acme read-only field", p.acme, fields{"version": 4}, 422},
		{"acme wrong type", p.acme, fields{"labels": "a"}, 422},
		{"acme unknown company", p.acme, fields{"company_id": "co_x"}, 422},
		{"acme extension", p.acme, fields{"phone": "+1 (555) 010-9999 ext. 12"}, 201},
		{"acme two values", p.acme, "{}{}", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := "/v1/leads"
			if c.side == p.acme {
				path = "/api/2/contacts"
			}
			a := c.side.do("POST", path, c.body)
			require.Equal(t, c.want, a.status, string(a.raw))
		})
	}
	a := p.salesos.do("POST", "/v1/leads", fields{"email": "nope"})
	require.Equal(t, "VALIDATION_ERROR", a.text("error", "code"))
	require.Len(t, a.list("error", "details"), 2)
	require.NotEmpty(t, a.text("meta", "request_id"))
	a = p.acme.do("POST", "/api/2/contacts", fields{"email": "nope"})
	require.Equal(t, []any{"is invalid"}, a.at("error", "fields", "email"))
}

func TestUniqueness(t *testing.T) {
	p := start(t, sandbox.Options{})
	first := p.acme.do("POST", "/api/2/contacts", fields{"email": "a@example.com", "external_ref": "x1"}).text("id")
	for _, body := range []fields{{"email": "A@example.com "}, {"external_ref": "x1"}} {
		a := p.acme.do("POST", "/api/2/contacts", body)
		require.Equal(t, 409, a.status, string(a.raw))
		require.Equal(t, "duplicate", a.text("error", "code"))
		require.Equal(t, first, a.text("error", "existing_id"))
	}
	p.acme.set(fields{"existing_id": false})
	require.Nil(t, p.acme.do("POST", "/api/2/contacts", fields{"external_ref": "x1"}).at("error", "existing_id"))
	second := p.acme.do("POST", "/api/2/contacts", fields{"email": "b@example.com"}).text("id")
	require.Equal(t, 409, p.acme.do("PATCH", "/api/2/contacts/"+second, fields{"email": "a@example.com"}).status)
	require.Equal(t, 204, p.acme.do("DELETE", "/api/2/contacts/"+first, nil).status)
	require.Equal(t, 200, p.acme.do("PATCH", "/api/2/contacts/"+second, fields{"email": "a@example.com"}).status, "a deleted record holds no key")

	lead := fields{"name": "A", "email": "a@example.com"}
	require.Equal(t, 201, p.salesos.do("POST", "/v1/leads", lead).status)
	require.Equal(t, 201, p.salesos.do("POST", "/v1/leads", lead).status, "no unique key by default")
	p.salesos.set(fields{"unique": true})
	a := p.salesos.do("POST", "/v1/leads", lead)
	require.Equal(t, 409, a.status)
	require.Equal(t, "DUPLICATE", a.text("error", "code"))
	require.Nil(t, a.at("error", "existing_id"))
	p.salesos.set(fields{"existing_id": true})
	require.NotEmpty(t, p.salesos.do("POST", "/v1/leads", lead).text("error", "existing_id"))
}

func TestManyCreatesAtOnceMakeOne(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, headers := range map[string][]string{"unique e-mail": nil, "idempotency key": {"Idempotency-Key", "k1"}} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, p.acme.admin.Reset(t.Context()))
			p.acme.login("accord", "accord-secret")
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { p.acme.do("POST", "/api/2/contacts", fields{"email": "a@example.com"}, headers...) })
			}
			wg.Wait()
			recs, err := p.acme.admin.Records(t.Context(), "contacts")
			require.NoError(t, err)
			require.Len(t, recs, 1)
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	p := start(t, sandbox.Options{})
	p.acme.set(fields{"unique": false})
	body := fields{"email": "a@example.com"}
	post := func(b fields) answer { return p.acme.do("POST", "/api/2/contacts", b, "Idempotency-Key", "k1") }
	first := post(body)
	require.Equal(t, 201, first.status)
	require.Equal(t, first.raw, post(body).raw)
	require.Equal(t, 422, post(fields{"email": "b@example.com"}).status)
	// Not a reset: Go's transport sends a request with this header again by itself.
	p.acme.fault(wire.Fault{Kind: wire.FaultStatus, Status: 502, When: wire.After})
	lost := func() answer {
		return p.acme.do("POST", "/api/2/contacts", fields{"email": "lost@example.com"}, "Idempotency-Key", "k2")
	}
	require.Equal(t, 502, lost().status)
	require.Equal(t, 201, lost().status)
	recs, err := p.acme.admin.Records(t.Context(), "contacts")
	require.NoError(t, err)
	require.Len(t, recs, 2, "the answer was lost, not the key")
	p.clock.Add(24 * time.Hour)
	p.acme.login("accord", "accord-secret")
	require.NotEqual(t, first.text("id"), post(body).text("id"), "the key is forgotten after a day")
	p.acme.set(fields{"idempotency_keys": false})
	require.NotEqual(t, post(body).text("id"), post(body).text("id"))
}

func TestConditionalWrites(t *testing.T) {
	p := start(t, sandbox.Options{})
	a := p.acme.do("POST", "/api/2/contacts", fields{"first_name": "A"})
	path := "/api/2/contacts/" + a.text("id")
	for _, c := range []struct {
		method, match string
		want          int
	}{
		{"PATCH", `"v1"`, 200},
		{"PATCH", `"v1"`, 412},
		{"PATCH", `"nonsense"`, 412},
		{"PATCH", `*`, 200},
		{"PATCH", ``, 200},
		{"DELETE", `"v1"`, 412},
		{"DELETE", `"v4"`, 204},
		{"DELETE", `"v4"`, 404},
	} {
		body := fields{"note": c.match + time.Duration(c.want).String() + c.method}
		require.Equal(t, c.want, p.acme.do(c.method, path, body, "If-Match", c.match).status, "%+v", c)
	}
	p.acme.set(fields{"versions": false})
	a = p.acme.do("POST", "/api/2/contacts", fields{"first_name": "A"})
	require.Empty(t, a.header.Get("ETag"))
	require.Nil(t, a.at("version"))
	require.Equal(t, 200, p.acme.do("PATCH", "/api/2/contacts/"+a.text("id"), fields{"first_name": "B"}, "If-Match", `"v9"`).status)
}

func TestPatchSwitches(t *testing.T) {
	for _, c := range []struct {
		custom, tags string
		wantCustom   fields
		wantTags     []any
	}{
		{"merge", "replace", fields{"a": "1", "b": "2"}, []any{"y"}},
		{"replace", "merge", fields{"b": "2"}, []any{"x", "y"}},
	} {
		t.Run(c.custom, func(t *testing.T) {
			p := start(t, sandbox.Options{})
			for _, s := range []struct {
				side                       *side
				path, custom, tags, prefix string
			}{{p.salesos, "/v1/leads", "custom_fields", "tags", "data"}, {p.acme, "/api/2/contacts", "properties", "labels", ""}} {
				s.side.set(fields{"custom_fields": c.custom, "tags": c.tags})
				name := map[bool]string{true: "name", false: "first_name"}[s.side == p.salesos]
				in := func(a answer, k string) any {
					if s.prefix == "" {
						return a.at(k)
					}
					return a.at(s.prefix, k)
				}
				a := s.side.do("POST", s.path, fields{name: "A", s.custom: fields{"a": "1"}, s.tags: []string{"x"}})
				id, _ := in(a, "id").(string)
				a = s.side.do("PATCH", s.path+"/"+id, fields{s.custom: fields{"b": "2"}, s.tags: []string{"y"}})
				require.Equal(t, c.wantCustom, in(a, s.custom), string(a.raw))
				require.Equal(t, c.wantTags, in(a, s.tags))
				a = s.side.do("PATCH", s.path+"/"+id, fields{name: "B"})
				require.Equal(t, c.wantTags, in(a, s.tags), "a field that is not sent stays")
			}
		})
	}
}

func TestNoopLeavesTheRecordAsItIs(t *testing.T) {
	p := start(t, sandbox.Options{})
	id := p.acme.do("POST", "/api/2/contacts", fields{"first_name": "A"}).text("id")
	require.EqualValues(t, 1, p.acme.do("PATCH", "/api/2/contacts/"+id, fields{"first_name": "A"}).at("version"))
	p.acme.set(fields{"noop_bumps": true})
	require.EqualValues(t, 2, p.acme.do("PATCH", "/api/2/contacts/"+id, fields{"first_name": "A"}).at("version"))
	calls, effects, err := p.acme.admin.WriteTotals(t.Context(), sandboxclient.Filter{Actor: "app:accord", Op: "update", ID: id})
	require.NoError(t, err)
	require.Equal(t, []int{2, 1}, []int{calls, effects})
}

func TestNumbersKeepTheirForm(t *testing.T) {
	p := start(t, sandbox.Options{})
	a := p.salesos.do("POST", "/v1/deals", `{"name": "D", "value": 75000.00}`)
	require.Equal(t, 201, a.status, string(a.raw))
	require.Contains(t, string(a.raw), `"value":75000.00`)
}

func TestAcmeBatch(t *testing.T) {
	p := start(t, sandbox.Options{})
	ids := p.acme.seed("contacts", 2)
	a := p.acme.do("POST", "/api/2/contacts/batch", fields{"operations": []fields{
		{"op": "create", "fields": fields{"email": "new@example.com"}},
		{"op": "create", "fields": fields{"email": "contact1@example.com"}},
		{"op": "update", "id": ids[0], "if_match": `"v1"`, "fields": fields{"note": "n"}},
		{"op": "update", "id": ids[0], "if_match": `"v1"`, "fields": fields{"note": "m"}},
		{"op": "delete", "id": ids[1]},
		{"op": "delete", "id": "ct_none"},
		{"op": "explode"},
	}})
	require.Equal(t, 200, a.status, string(a.raw))
	var got []any
	for _, r := range a.list("results") {
		m, _ := r.(fields)
		got = append(got, m["status"])
	}
	require.Equal(t, []any{201.0, 409.0, 200.0, 412.0, 204.0, 404.0, 400.0}, got)
	require.Len(t, p.acme.do("GET", "/api/2/contacts/batch?ids="+ids[0]+","+ids[1], nil).list("items"), 1)
}

func TestAcmeMergeAnswersWithTheSurvivor(t *testing.T) {
	p := start(t, sandbox.Options{})
	ids := p.acme.seed("contacts", 2)
	_, err := p.acme.admin.EditRecord(t.Context(), "contacts", ids[0], fields{"phone": nil})
	require.NoError(t, err)
	win, err := p.acme.admin.MergeRecords(t.Context(), "contacts", ids[0], ids[1])
	require.NoError(t, err)
	require.Equal(t, "+49 30 920", win.Fields["phone"], "blanks are filled")
	require.Equal(t, ids[0], p.acme.do("GET", "/api/2/contacts/"+ids[1], nil).text("id"))
	require.Len(t, p.acme.do("GET", "/api/2/contacts", nil).list("items"), 1)
	require.Empty(t, p.acme.do("GET", "/api/2/deleted?object=contacts", nil).list("items"))
}

func TestSalesOSActions(t *testing.T) {
	p := start(t, sandbox.Options{})
	user, err := p.salesos.admin.CreateRecord(t.Context(), "users", fields{"name": "U", "email": "u@example.com", "team": fields{"id": "t1", "name": "T"}})
	require.NoError(t, err)
	lead := p.salesos.do("POST", "/v1/leads", fields{"name": "A", "owner_id": user.ID}).text("data", "id")
	deal := p.salesos.do("POST", "/v1/leads/"+lead+"/convert", nil)
	require.Equal(t, 201, deal.status, string(deal.raw))
	require.Equal(t, lead, deal.text("data", "lead_id"))
	require.Equal(t, 422, p.salesos.do("POST", "/v1/leads/"+lead+"/convert", nil).status)
	at := "/v1/deals/" + deal.text("data", "id")
	require.Equal(t, "Proposal", p.salesos.do("POST", at+"/move", fields{"stage_id": "stage_proposal"}).text("data", "stage", "name"))
	require.Equal(t, "won", p.salesos.do("POST", at+"/close", fields{"status": "won"}).text("data", "status"))
	a := p.salesos.do("PATCH", at, fields{"status": "open", "stage": fields{"id": "stage_new"}, "value": 7})
	require.Equal(t, 422, a.status)
	require.Len(t, a.list("error", "details"), 2)
	require.Equal(t, 200, p.salesos.do("PATCH", at, fields{"status": "won", "stage": fields{"id": "stage_proposal"}, "value": 7}).status, "what it is already")
	a = p.salesos.do("POST", at+"/move", fields{"stage_id": "stage_proposal"})
	require.Equal(t, "open", a.text("data", "status"), "a closed deal is open again")
	require.EqualValues(t, 7, a.at("data", "value"))
	require.Equal(t, 422, p.salesos.do("POST", at+"/move", fields{"stage_id": "stage_none"}).status)
	require.Equal(t, 422, p.salesos.do("POST", at+"/close", fields{"status": "open"}).status)
	require.Equal(t, "lost", p.salesos.do("POST", "/v1/deals", fields{"name": "D", "status": "lost"}).text("data", "status"))
	p.salesos.set(fields{"deal_writes": "born_open"})
	require.Equal(t, "open", p.salesos.do("POST", "/v1/deals", fields{"name": "D", "status": "lost"}).text("data", "status"))
	p.salesos.set(fields{"deal_writes": "patch"})
	require.Equal(t, "New", p.salesos.do("PATCH", at, fields{"stage": fields{"id": "stage_new"}}).text("data", "stage", "name"))
	require.Len(t, p.salesos.do("GET", "/v1/stages", nil).list("data"), 3)
	require.Len(t, p.salesos.do("GET", "/v1/teams", nil).list("data"), 1)
	require.Equal(t, "invited", p.salesos.do("POST", "/v1/users", fields{"name": "V", "email": "v@example.com"}).text("data", "status"))
	require.Equal(t, 204, p.salesos.do("DELETE", "/v1/users/"+user.ID, nil).status)
	a = p.salesos.do("GET", "/v1/users/"+user.ID, nil)
	require.Equal(t, "deactivated", a.text("data", "status"))
	require.Nil(t, a.at("data", "updated_at"))
}

func TestSeedAsGiven(t *testing.T) {
	p := start(t, sandbox.Options{})
	ids, err := p.salesos.admin.Seed(t.Context(), wire.Seed{Object: "leads", Count: 2, Start: 5, Template: fields{"name": "N{n}"}, Records: []map[string]any{{"name": "Z"}}})
	require.NoError(t, err)
	var names []any
	for _, id := range ids {
		rec, err := p.salesos.admin.Record(t.Context(), "leads", id)
		require.NoError(t, err)
		names = append(names, rec.Fields["name"])
	}
	require.Equal(t, []any{"N5", "N6", "Z"}, names)
}
