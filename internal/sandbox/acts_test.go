package sandbox_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestUserActsWhileACallIsUnderWay is what a service without versions is up against.
func TestUserActsWhileACallIsUnderWay(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			k.side.set(fields{"merged_ids": "survivor"})
			id := k.create(t, fields{k.other: "first"})
			at := k.path + "/" + id
			edit := func(when string, value any) wire.Fault {
				return wire.Fault{Kind: wire.FaultEdit, When: when, Method: "PATCH", Path: k.path, Edit: &wire.Act{Object: k.object, User: "ana", Fields: fields{k.other: value}}}
			}
			k.side.fault(edit(wire.Before, "by ana"))
			a := k.side.do("PATCH", at, fields{k.text: "B"})
			require.Equal(t, 200, a.status, string(a.raw))
			require.Equal(t, "by ana", k.record(a)[k.other], "the edit came before the write")

			k.side.fault(edit(wire.After, "by ana again"))
			a = k.side.do("PATCH", at, fields{k.other: "by the app"})
			require.Equal(t, "by the app", k.record(a)[k.other], "the answer is older than the edit")
			require.Equal(t, "by ana again", k.get(id)[k.other])

			// An edit and a lost answer of the same call.
			k.side.fault(edit(wire.After, "third"))
			k.side.fault(wire.Fault{Kind: wire.FaultReset, When: wire.After, Method: "PATCH"})
			require.Error(t, k.side.do("PATCH", at, fields{k.text: "C"}).err)
			require.Equal(t, "third", k.get(id)[k.other])
			require.Equal(t, "C", k.get(id)[k.text])

			// A record that turns up in the middle of a listing.
			k.side.fault(wire.Fault{Kind: wire.FaultEdit, When: wire.After, Method: "GET", PathRegexp: k.path + "$", Edit: &wire.Act{Op: wire.ActCreate, Object: k.object, Fields: k.body}})
			before := k.list()
			require.Len(t, k.list(), len(before)+1)

			// Created by the application, and deleted by a person before the answer arrives.
			k.side.fault(wire.Fault{Kind: wire.FaultEdit, When: wire.After, Method: "POST", Path: k.path, Edit: &wire.Act{Op: wire.ActDelete, Object: k.object}})
			gone := k.create(t, nil)
			require.Equal(t, 404, k.side.do("GET", k.path+"/"+gone, nil).status)

			// Merged away between the read and the write.
			winner := k.create(t, nil)
			k.side.fault(wire.Fault{Kind: wire.FaultEdit, When: wire.After, Method: "GET", RecordID: id, Edit: &wire.Act{Op: wire.ActMerge, Object: k.object, ID: id, Winner: winner}})
			require.Equal(t, id, k.get(id)["id"])
			require.Equal(t, winner, k.get(id)["id"])
			k.side.set(fields{"merged_ids": "not_found"})
			require.Equal(t, 404, k.side.do("GET", at, nil).status)

			for _, wrong := range []*wire.Act{nil, {Object: "ghosts"}, {Object: k.object, Op: "paint"}, {Object: k.object, Op: wire.ActMerge}, {Object: k.object, Fields: fields{"shoe": 1}}} {
				_, err := k.side.admin.InjectFault(ctx, wire.Fault{Kind: wire.FaultEdit, Edit: wrong})
				require.Error(t, err)
			}
		})
	}
}

// list gives the ids of a listing.
func (k kind) list() []string {
	a := k.side.do("GET", k.path, nil)
	require.Equal(k.side.t, 200, a.status, string(a.raw))
	var out []string
	for _, v := range append(a.list("data"), a.list("items")...) {
		out = append(out, idOf(v))
	}
	return out
}

func TestPagesDriftWhileTheyAreRead(t *testing.T) {
	p := start(t, sandbox.Options{})
	ids := p.salesos.seed("leads", 4)
	for i, id := range ids {
		p.clock.Add(time.Minute)
		_, err := p.salesos.admin.EditRecord(t.Context(), "leads", id, fields{"phone": "+55 11 98888-000" + string(rune('0'+i))})
		require.NoError(t, err)
	}
	p.salesos.fault(wire.Fault{Kind: wire.FaultEdit, When: wire.After, Method: "GET", Path: "/v1/leads", Edit: &wire.Act{Object: "leads", ID: ids[0], Fields: fields{"company": "new"}}})
	p.clock.Add(time.Minute)
	page := func(n string) (got []string) {
		for _, v := range p.salesos.do("GET", "/v1/leads?sort=updated_at&per_page=2&page="+n, nil).list("data") {
			got = append(got, idOf(v))
		}
		return got
	}
	require.Equal(t, []string{ids[0], ids[1]}, page("1"))
	require.Equal(t, []string{ids[3], ids[0]}, page("2"), "one edit, and the third record is on no page")
}

func TestStatusesSpeakTheVendorsLanguage(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			k.side.set(fields{"existing_id": false})
			post := func(f wire.Fault) answer {
				f.Kind, f.Method = wire.FaultStatus, "POST"
				k.side.fault(f)
				return k.side.do("POST", k.path, k.body)
			}
			require.Nil(t, post(wire.Fault{Status: 409}).at("error", "existing_id"))
			require.Equal(t, "x7", post(wire.Fault{Status: 409, ExistingID: "x7"}).text("error", "existing_id"))
			require.Nil(t, post(wire.Fault{Status: 409, When: wire.After}).at("error", "existing_id"))
			k.side.set(fields{"existing_id": true})
			made := post(wire.Fault{Status: 409, When: wire.After})
			require.Equal(t, 409, made.status)
			require.Equal(t, "A", k.get(made.text("error", "existing_id"))[k.text], "the answer that was lost")

			a := post(wire.Fault{Status: 422, Field: k.other, Message: "is taken"})
			require.Equal(t, 422, a.status)
			if k.side == p.acme {
				require.Equal(t, []any{"is taken"}, a.at("error", "fields", k.other))
			} else {
				require.Equal(t, []any{fields{"field": k.other, "message": "is taken"}}, a.at("error", "details"))
			}
			for form, want := range map[string]string{"seconds": "30", "date": p.clock.Now().Add(30 * time.Second).Format(http.TimeFormat), "absent": ""} {
				require.Equal(t, want, post(wire.Fault{Status: 429, RetryAfterS: 30, RetryAfterForm: form}).header.Get("Retry-After"))
			}
			k.side.set(fields{"retry_after": "absent"})
			require.Empty(t, post(wire.Fault{Status: 429, RetryAfterS: 30}).header.Get("Retry-After"), "the switch, when no form is given")
			_, err := k.side.admin.InjectFault(t.Context(), wire.Fault{Kind: wire.FaultStatus, RetryAfterForm: "soon"})
			require.Error(t, err)

			// A right that is missing for one record, and a server that knows nothing any more.
			id := k.create(t, nil)
			k.side.fault(wire.Fault{Kind: wire.FaultStatus, Status: 403, RecordID: id, Times: -1})
			require.Equal(t, 403, k.side.do("GET", k.path+"/"+id, nil).status)
			require.Equal(t, 403, k.side.do("PATCH", k.path+"/"+id, k.body).status)
			require.Equal(t, 201, k.side.do("POST", k.path, k.body).status)
			if k.side == p.acme {
				require.Equal(t, 403, k.side.do("GET", k.path+"/batch?ids=zz,"+id, nil).status)
				require.Equal(t, 403, k.side.do("POST", k.path+"/batch", fields{"operations": []fields{{"op": "delete", "id": id}}}).status)
			}
			require.NoError(t, k.side.admin.ClearFaults(t.Context()))
			k.side.fault(wire.Fault{Kind: wire.FaultStatus, Status: 404, Times: -1})
			for _, at := range []string{k.path, k.path + "/" + id, "/v1/users", "/api/2/users"} {
				require.Equal(t, 404, k.side.do("GET", at, nil).status)
			}
			require.NoError(t, k.side.admin.ClearFaults(t.Context()))
			require.NoError(t, k.side.admin.RejectField(t.Context(), wire.Rejection{Object: k.object, Field: k.other, Value: "*", Times: 2}))
			for _, want := range []int{422, 422, 200} {
				require.Equal(t, want, k.side.do("PATCH", k.path+"/"+id, fields{k.other: "x"}).status, "for the next two")
			}
		})
	}
}

func TestSlowCallsAreDoneAllTheSame(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			k.side.fault(wire.Fault{Kind: wire.FaultSlow, HangMS: 1, Method: "POST", Path: k.path})
			id := k.create(t, nil)
			calls, err := k.side.admin.Calls(t.Context(), 0)
			require.NoError(t, err)
			require.Equal(t, wire.FaultSlow, calls[len(calls)-1].Fault)
			require.Equal(t, id, calls[len(calls)-1].ID)
		})
	}
}

func TestRejectionsOfDealsMovedAndClosed(t *testing.T) {
	p := start(t, sandbox.Options{})
	id := p.salesos.do("POST", "/v1/deals", fields{"name": "D"}).text("data", "id")
	for _, field := range []string{"stage", "status"} {
		require.NoError(t, p.salesos.admin.RejectField(t.Context(), wire.Rejection{Object: "deals", Field: field, Value: "*", Times: 1}))
	}
	for _, want := range []int{422, 200} {
		require.Equal(t, want, p.salesos.do("POST", "/v1/deals/"+id+"/move", fields{"stage_id": "stage_proposal"}).status)
		require.Equal(t, want, p.salesos.do("POST", "/v1/deals/"+id+"/close", fields{"status": "lost"}).status)
	}
	require.NoError(t, p.salesos.admin.AddRace(t.Context(), wire.Race{Object: "deals", ID: id, Fields: fields{"value": 9}}))
	require.EqualValues(t, 9, p.salesos.do("POST", "/v1/deals/"+id+"/move", fields{"stage_id": "stage_new"}).at("data", "value"))
	rec, err := p.salesos.admin.EditRecord(t.Context(), "deals", id, fields{"stage": fields{"id": "stage_negotiation"}})
	require.NoError(t, err)
	require.Equal(t, "Negotiation", rec.Fields["stage"].(fields)["name"], "a person picks a whole stage")
}

func TestLogSaysWhoIncludingPeople(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			require.NoError(t, k.side.admin.Reset(ctx))
			k.side.login("accord", "accord-secret")
			id := k.create(t, nil)
			_, err := k.side.admin.EditRecord(ctx, k.object, id, fields{k.other: "x"})
			require.NoError(t, err)
			require.NoError(t, k.side.admin.AddRace(ctx, wire.Race{Object: k.object, ID: id, Fields: fields{k.other: "y"}, User: "ana"}))
			require.Equal(t, 200, k.side.do("PATCH", k.path+"/"+id, fields{k.text: "z"}).status)
			k.side.token = "stolen"
			require.Equal(t, 401, k.side.do("GET", k.path, nil).status)

			all, err := k.side.admin.AllCalls(ctx, 0)
			require.NoError(t, err)
			type line struct {
				actor, method, id string
				status            int
			}
			var got []line
			for _, c := range all {
				got = append(got, line{c.Actor, c.Method, c.ID, c.Status})
			}
			want := []line{
				{"admin", "POST", "", 204}, // the reset itself
				{"app:accord", "POST", "", 200},
				{"app:accord", "POST", id, 201},
				{"user:operator", "PATCH", id, 200},
				{"admin", "POST", "", 204},
				{"user:ana", "RACE", id, 200},
				{"app:accord", "PATCH", id, 200},
				{"", "GET", "", 401},
			}
			if k.side == p.acme { // its login is asked twice: JSON is refused first
				want = append(want[:1], append([]line{{"", "POST", "", 400}}, want[1:]...)...)
			}
			require.Equal(t, want, got)
			apps, err := k.side.admin.Calls(ctx, 0)
			require.NoError(t, err)
			require.Len(t, apps, len(want)-4)
		})
	}
}
