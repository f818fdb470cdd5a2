package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// kind is an object of one side, as the tables of these tests need it.
type kind struct {
	side         *side
	object, path string
	// text and other are two fields of free text.
	text, other string
	body        fields
}

func (k kind) create(t *testing.T, more fields) string {
	t.Helper()
	body := fields{}
	for _, m := range []fields{k.body, more} {
		for name, v := range m {
			body[name] = v
		}
	}
	a := k.side.do("POST", k.path, body)
	require.Equal(t, 201, a.status, string(a.raw))
	return idOf(k.record(a))
}

// record gives the record in an answer.
func (k kind) record(a answer) fields {
	if data, ok := a.body["data"].(fields); ok {
		return data
	}
	return a.body
}

func (k kind) get(id string) fields { return k.record(k.side.do("GET", k.path+"/"+id, nil)) }

func (p *pair) kinds() map[string]kind {
	return map[string]kind{
		"leads":         {p.salesos, "leads", "/v1/leads", "name", "company", fields{"name": "A"}},
		"SalesOS deals": {p.salesos, "deals", "/v1/deals", "name", "company", fields{"name": "A"}},
		"contacts":      {p.acme, "contacts", "/api/2/contacts", "first_name", "company_name", fields{"first_name": "A"}},
		"Acme deals":    {p.acme, "deals", "/api/2/deals", "title", "external_ref", fields{"title": "A"}},
	}
}

func TestAlteredValues(t *testing.T) {
	p := start(t, sandbox.Options{})
	for _, c := range []struct {
		name      string
		kind      string
		a         wire.Alteration
		sent, got any
	}{
		{"cut", "leads", wire.Alteration{Field: "company", How: wire.AlterCut, To: 5}, "Müller & Söhne", "Mülle"},
		{"short enough", "contacts", wire.Alteration{Field: "company_name", How: wire.AlterCut, To: 5}, "Dahl", "Dahl"},
		{"upper", "contacts", wire.Alteration{Field: "company_name", How: wire.AlterUpper}, "Öl ag", "ÖL AG"},
		{"lower", "leads", wire.Alteration{Field: "company", How: wire.AlterLower}, "ACME", "acme"},
		{"trim", "Acme deals", wire.Alteration{Field: "external_ref", How: wire.AlterTrim}, " x ", "x"},
		{"null as empty", "contacts", wire.Alteration{Field: "company_name", How: wire.AlterNullAsEmpty}, nil, ""},
		{"empty as null", "leads", wire.Alteration{Field: "company", How: wire.AlterEmptyAsNull}, "", nil},
		{"round", "SalesOS deals", wire.Alteration{Field: "value", How: wire.AlterRound, To: 1}, 75.26, 75.3},
		{"round a part", "Acme deals", wire.Alteration{Field: "amount.value", How: wire.AlterRound}, fields{"value": 75.6, "currency": "BRL"}, fields{"value": 76.0, "currency": "BRL"}},
		{"round what is round", "SalesOS deals", wire.Alteration{Field: "value", How: wire.AlterRound, To: 2}, 75.5, 75.5},
		{"a part of custom fields", "leads", wire.Alteration{Field: "custom_fields.tier", How: wire.AlterUpper}, fields{"tier": "gold", "x": "y"}, fields{"tier": "GOLD", "x": "y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := p.kinds()[c.kind]
			require.NoError(t, k.side.admin.Reset(t.Context()))
			k.side.login("accord", "accord-secret")
			k.side.set(fields{"unique": false})
			field, _, _ := strings.Cut(c.a.Field, ".")
			before := k.create(t, fields{field: c.sent})
			c.a.Object = k.object
			require.NoError(t, k.side.admin.Alter(t.Context(), c.a))

			require.Equal(t, c.got, k.get(k.create(t, fields{field: c.sent, k.text: "B"}))[field], "created")
			other := k.create(t, nil)
			require.Equal(t, 200, k.side.do("PATCH", k.path+"/"+other, fields{k.text: "C"}).status)
			a := k.side.do("PATCH", k.path+"/"+other, fields{field: c.sent})
			require.Equal(t, 200, a.status, string(a.raw))
			require.Equal(t, c.got, k.record(a)[field], "edited")
			require.Equal(t, c.got, k.get(other)[field])

			require.Equal(t, 200, k.side.do("PATCH", k.path+"/"+before, fields{k.text: "D"}).status)
			require.Equal(t, c.sent, k.get(before)[field], "what was there and is not edited stays")
			k.side.set(fields{"alter": false})
			require.Equal(t, c.sent, k.get(k.create(t, fields{field: c.sent}))[field], "switched off")
		})
	}
}

func TestAlterationsOfUsersEditsAndTheirEnd(t *testing.T) {
	p := start(t, sandbox.Options{})
	for _, k := range []kind{{side: p.salesos, object: "users"}, {side: p.acme, object: "users"}} {
		ctx := t.Context()
		require.NoError(t, k.side.admin.Alter(ctx, wire.Alteration{Object: "users", Field: "name", How: wire.AlterUpper}))
		require.NoError(t, k.side.admin.Alter(ctx, wire.Alteration{Object: "users", Field: "name", How: wire.AlterCut, To: 2}))
		rec, err := k.side.admin.CreateRecord(ctx, "users", fields{"name": "Ana", "email": "ana@example.com"})
		require.NoError(t, err)
		require.Equal(t, "AN", rec.Fields["name"], "one after the other, for people too")
		again, err := k.side.admin.EditRecord(ctx, "users", rec.ID, fields{"name": "ana maria"})
		require.NoError(t, err)
		require.Equal(t, rec.Version, again.Version, "what is stored as before is no change")
		require.NoError(t, k.side.admin.ClearAlterations(ctx, "users", "name"))
		again, err = k.side.admin.EditRecord(ctx, "users", rec.ID, fields{"name": "ana"})
		require.NoError(t, err)
		require.Equal(t, "ana", again.Fields["name"])
		for _, wrong := range []wire.Alteration{{Object: "ghosts", Field: "name", How: wire.AlterCut}, {Object: "users", Field: "shoe", How: wire.AlterCut},
			{Object: "users", Field: "name", How: "rot13"}, {Object: "users", Field: "name", How: wire.AlterCut, To: -1}} {
			require.Error(t, k.side.admin.Alter(ctx, wrong))
		}
	}
}

func TestClockSetAndFrozen(t *testing.T) {
	p := start(t, sandbox.Options{})
	yes, no, zero := true, false, 0
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			require.NoError(t, k.side.admin.Reset(ctx))
			created := func() any {
				k.side.login("accord", "accord-secret")
				return k.get(k.create(t, nil))["created_at"]
			}
			at := func(text string) string {
				if k.side == p.acme {
					return text + ".000Z"
				}
				return text + "Z"
			}
			got, err := k.side.admin.SetClock(ctx, wire.Clock{At: "2030-05-05T10:00:00Z"})
			require.NoError(t, err)
			require.Equal(t, "2030-05-05T10:00:00Z", got.At)
			require.False(t, *got.Frozen)
			require.Equal(t, at("2030-05-05T10:00:00"), created())
			p.clock.Add(time.Minute)
			require.Equal(t, at("2030-05-05T10:01:00"), created(), "it goes on")

			_, err = k.side.admin.SetClock(ctx, wire.Clock{Frozen: &yes})
			require.NoError(t, err)
			p.clock.Add(time.Minute)
			require.Equal(t, at("2030-05-05T10:01:00"), created(), "it stands")
			_, err = k.side.admin.SetClock(ctx, wire.Clock{AdvanceMS: -60_000})
			require.NoError(t, err)
			require.Equal(t, at("2030-05-05T10:00:00"), created(), "moved back by hand")
			a := k.side.do("GET", k.path, nil)
			require.Equal(t, "Sun, 05 May 2030 10:00:00 GMT", a.header.Get("Date"))

			_, err = k.side.admin.SetClock(ctx, wire.Clock{Frozen: &no})
			require.NoError(t, err)
			p.clock.Add(time.Minute)
			require.Equal(t, at("2030-05-05T10:01:00"), created(), "it goes on from where it stood")
			got, err = k.side.admin.SetClock(ctx, wire.Clock{OffsetMS: &zero})
			require.NoError(t, err)
			require.Equal(t, p.clock.Now().Format(time.RFC3339), got.At)
			_, err = k.side.admin.SetClock(ctx, wire.Clock{At: "noon"})
			require.Error(t, err)
		})
	}
}

func TestUniqueKeysPerField(t *testing.T) {
	p := start(t, sandbox.Options{})
	ctx := t.Context()
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			k.side.set(fields{"unique": true, "existing_id": true})
			require.NoError(t, k.side.admin.SetUnique(ctx, k.object, k.other))
			first := k.create(t, fields{k.other: "one"})
			a := k.side.do("POST", k.path, fields{k.text: "B", k.other: "ONE "})
			require.Equal(t, 409, a.status, string(a.raw))
			require.Equal(t, first, a.text("error", "existing_id"))
			require.NoError(t, k.side.admin.SetUnique(ctx, k.object))
			second := k.create(t, fields{k.other: "one"})
			require.NoError(t, k.side.admin.SetUnique(ctx, k.object, k.other))
			require.Equal(t, 409, k.side.do("POST", k.path, fields{k.text: "B", k.other: "one"}).status, "records from before count")
			require.Equal(t, 204, k.side.do("DELETE", k.path+"/"+first, nil).status)
			require.Equal(t, 204, k.side.do("DELETE", k.path+"/"+second, nil).status)
			k.create(t, fields{k.other: "one"})
			require.Error(t, k.side.admin.SetUnique(ctx, k.object, "shoe_size"))
		})
	}
	require.NoError(t, p.acme.admin.SetUnique(ctx, "contacts", "external_ref"))
	for range 2 {
		require.Equal(t, 201, p.acme.do("POST", "/api/2/contacts", fields{"email": "same@example.com"}).status, "e-mails may repeat, references may not")
	}
	require.NoError(t, p.acme.admin.Reset(ctx))
	p.acme.login("accord", "accord-secret")
	require.Equal(t, 201, p.acme.do("POST", "/api/2/contacts", fields{"email": "same@example.com"}).status)
	require.Equal(t, 409, p.acme.do("POST", "/api/2/contacts", fields{"email": "same@example.com"}).status, "a reset puts the vendor's keys back")
}
