package sandbox_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// collection is one of Acme's with a record of it and an edit.
type collection struct {
	name, noun string
	body, edit fields
}

func collections() []collection {
	return []collection{
		{"companies", "company", fields{"name": "Dahlia", "domain": "dahlia.example.com", "phone": "+49 30 901"}, fields{"phone": nil}},
		{"deals", "deal", fields{"title": "Roof", "amount": fields{"value": 12.5, "currency": "EUR"}}, fields{"stage": "won"}},
		{"appointments", "appointment", fields{"title": "Visit", "starts_at": "2026-03-02T09:00:00+01:00", "ends_at": "2026-03-02T10:00:00+01:00", "time_zone": "Europe/Berlin",
			"attendees": []fields{{"name": "Ana", "email": "ana@example.com", "status": "accepted"}}, "recurrence": "FREQ=WEEKLY;COUNT=3"},
			fields{"starts_at": "2026-03-03T09:00:00+01:00", "ends_at": "2026-03-03T10:00:00+01:00", "recurrence": nil}},
		{"calls", "call", fields{"at": "2026-03-01T11:00:00Z", "direction": "in", "duration_s": 90, "outcome": "reached"}, fields{"outcome": "busy"}},
		{"emails", "email", fields{"at": "2026-03-01T11:00:00Z", "subject": "Offer"}, fields{"subject": "Offer 2"}},
		{"orders", "order", fields{"title": "Roof", "number": "A-1", "amount": fields{"value": 12.5, "currency": "EUR"}}, fields{"status": "paid"}},
		{"submissions", "submission", fields{"form": "contact", "name": "Ana", "email": "ana@example.com", "message": "Call me"}, fields{"spam": true}},
	}
}

// TestEveryAcmeCollection goes through a record's whole life, in each collection the same.
func TestEveryAcmeCollection(t *testing.T) {
	for _, c := range collections() {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, sandbox.Options{Clients: []sandbox.Client{{ID: "accord", Secret: "accord-secret"}, {ID: "reader", Secret: "r", Scopes: []string{"contacts.read", "contacts.write"}}}})
			at := "/api/2/" + c.name
			c.body["external_ref"] = "x1"
			rcv := newReceiver(t)
			p.acme.hook(rcv.url, c.noun+".*")
			a := p.acme.do("POST", at, c.body)
			require.Equal(t, 201, a.status, string(a.raw))
			id := a.text("id")
			require.Equal(t, `"v1"`, a.header.Get("ETag"))
			taken := p.acme.do("POST", at, c.body)
			require.Equal(t, 409, taken.status)
			require.Equal(t, id, taken.text("error", "existing_id"))
			p.clock.Add(time.Minute)

			a = p.acme.do("PATCH", at+"/"+id, c.edit, "If-Match", `"v1"`)
			require.Equal(t, 200, a.status, string(a.raw))
			require.Equal(t, 412, p.acme.do("PATCH", at+"/"+id, fields{"external_ref": "x2"}, "If-Match", `"v1"`).status)
			for name, want := range c.edit {
				require.Equal(t, want, a.at(name))
			}
			require.Equal(t, 422, p.acme.do("PATCH", at+"/"+id, fields{"shoe_size": 4}).status)
			require.Len(t, p.acme.do("GET", at+"?updated_since=2026-03-01T12:01:00Z", nil).list("items"), 1)
			require.Empty(t, p.acme.do("GET", at+"?updated_since=2026-03-01T12:01:01Z", nil).list("items"))
			require.Len(t, p.acme.do("GET", at+"/search?external_ref=x1", nil).list("items"), 1)
			require.Len(t, p.acme.do("GET", at+"/batch?ids="+id+",none", nil).list("items"), 1)
			described := map[any]bool{}
			for _, item := range p.acme.do("GET", "/api/2/fields?object="+c.name, nil).list("items") {
				described[item.(fields)["name"]] = true
			}
			for name := range c.body {
				require.True(t, described[name], name)
			}

			_, err := p.acme.admin.EditRecord(t.Context(), c.name, id, fields{"properties": fields{"theirs": "1"}})
			require.NoError(t, err)
			require.NoError(t, p.acme.admin.RejectField(t.Context(), wire.Rejection{Object: c.name, Field: "external_ref", Value: "refused"}))
			require.Equal(t, 422, p.acme.do("PATCH", at+"/"+id, fields{"external_ref": "refused"}).status)
			ids, err := p.acme.admin.Seed(t.Context(), wire.Seed{Object: c.name, Count: 3, Start: 7})
			require.NoError(t, err)
			require.Len(t, ids, 3)

			require.Equal(t, 204, p.acme.do("DELETE", at+"/"+id, nil).status)
			require.Equal(t, 404, p.acme.do("GET", at+"/"+id, nil).status)
			require.Len(t, p.acme.do("GET", "/api/2/deleted?object="+c.name, nil).list("items"), 1)
			told := map[any]bool{}
			require.Eventually(t, func() bool {
				for _, d := range rcv.all() {
					var events []fields
					require.NoError(t, json.Unmarshal(d.body, &events))
					for _, event := range events {
						require.Equal(t, id, event["id"])
						told[event["event"]] = true
					}
				}
				return told[c.noun+".created"] && told[c.noun+".updated"] && told[c.noun+".deleted"]
			}, 20*time.Second, 5*time.Millisecond)
			p.acme.login("reader", "r")
			require.Equal(t, 403, p.acme.do("GET", at, nil).status)
			require.Equal(t, c.name+".write", p.acme.do("POST", at, c.body).text("error", "scope"))
		})
	}
}

// TestAcmeRefusesWhatDoesNotFit: whoever writes, a person included.
func TestAcmeRefusesWhatDoesNotFit(t *testing.T) {
	visit := func(changed fields) fields {
		whole := fields{"title": "Visit", "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T10:00:00Z"}
		for name, value := range changed {
			whole[name] = value
		}
		return whole
	}
	p := start(t, sandbox.Options{})
	for _, c := range []struct {
		object string
		body   fields
		field  string
	}{
		{"companies", fields{"domain": "a.example.com"}, "name"},
		{"companies", fields{"name": "A", "phone": "call me"}, "phone"},
		{"deals", fields{"title": "A", "amount": fields{"value": "12"}}, "amount"},
		{"deals", fields{"title": "A", "amount": fields{"value": 12, "currency": "euro"}}, "amount"},
		{"deals", fields{"title": "A", "amount": fields{"net": 12}}, "amount"},
		{"appointments", visit(fields{"starts_at": nil}), "starts_at"},
		{"appointments", visit(fields{"starts_at": "tomorrow"}), "starts_at"},
		{"appointments", visit(fields{"ends_at": "2026-03-02T09:30:00+02:00"}), "ends_at"},
		{"appointments", visit(fields{"time_zone": "Mars/Olympus"}), "time_zone"},
		{"appointments", visit(fields{"status": "asleep"}), "status"},
		{"appointments", visit(fields{"all_day": "yes"}), "all_day"},
		{"appointments", visit(fields{"attendees": []string{"ana@example.com"}}), "attendees"},
		{"appointments", visit(fields{"attendees": []fields{{"name": "Ana"}}}), "attendees"},
		{"appointments", visit(fields{"attendees": []fields{{"email": "ana@example.com", "age": 4}}}), "attendees"},
		{"appointments", visit(fields{"recurrence": "every week"}), "recurrence"},
		{"appointments", visit(fields{"recurrence": "COUNT=3"}), "recurrence"},
		{"appointments", visit(fields{"recurrence": "FREQ=DAILY;COUNT=3;UNTIL=20260401T000000Z"}), "recurrence"},
		{"appointments", visit(fields{"contact_id": "ct_none"}), "contact_id"},
		{"calls", fields{"outcome": "reached"}, "at"},
		{"calls", fields{"at": "2026-03-01T11:00:00Z", "duration_s": -1}, "duration_s"},
		{"calls", fields{"at": "2026-03-01T11:00:00Z", "duration_s": 1.5}, "duration_s"},
		{"calls", fields{"at": "2026-03-01T11:00:00Z", "direction": "up"}, "direction"},
		{"emails", fields{"at": "2026-03-01T11:00:00Z", "owner_id": "us_none"}, "owner_id"},
	} {
		a := p.acme.do("POST", "/api/2/"+c.object, c.body)
		require.Equal(t, 422, a.status, "%v", c.body)
		require.NotEmpty(t, a.list("error", "fields", c.field), "%s", a.raw)
		_, err := p.acme.admin.CreateRecord(t.Context(), c.object, c.body)
		require.ErrorContains(t, err, c.field)
	}
	id := p.acme.do("POST", "/api/2/appointments", visit(nil)).text("id")
	a := p.acme.do("PATCH", "/api/2/appointments/"+id, fields{"ends_at": "2026-03-02T08:59:59Z"})
	require.Equal(t, 422, a.status, "an edit of one of the two")
	require.Equal(t, 200, p.acme.do("PATCH", "/api/2/appointments/"+id, fields{"ends_at": "2026-03-02T09:00:00Z"}).status)
}
