package acme

import (
	"crypto/rand"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/world"
)

// millis is the vendor's form of times.
const millis = "2006-01-02T15:04:05.000Z07:00"

func stamp(t time.Time) string { return t.UTC().Format(millis) }

func newID(object string) string {
	prefix := map[string]string{"contacts": "ct_", "companies": "co_", "deals": "dl_", "appointments": "ap_", "calls": "cl_", "emails": "em_", "orders": "or_", "submissions": "su_", "users": "us_"}[object]
	return prefix + rand.Text()[:16]
}

// common are the fields that every object has besides its own.
func common(fields ...world.Field) []world.Field {
	return append(fields, world.Field{Name: "external_ref", Type: world.Text}, world.Field{Name: "properties", Type: world.Object})
}

func schemas() []*world.Schema {
	owner := world.Field{Name: "owner_id", Type: world.Ref, Ref: "users"}
	contact := world.Field{Name: "contact_id", Type: world.Ref, Ref: "contacts"}
	company := world.Field{Name: "company_id", Type: world.Ref, Ref: "companies"}
	direction := world.Field{Name: "direction", Type: world.Enum, Enum: []string{"in", "out"}, Default: "out"}
	return []*world.Schema{
		contacts(company, owner),
		{
			Name: "companies",
			Fields: common(world.Field{Name: "name", Type: world.Text, Required: true, MaxLen: 200},
				world.Field{Name: "domain", Type: world.Text}, world.Field{Name: "phone", Type: world.Phone}),
			Unique: []string{"domain", "external_ref"},
			Exact:  []string{"domain", "external_ref", "phone"},
		},
		{
			Name: "deals",
			Fields: common(world.Field{Name: "title", Type: world.Text, Required: true, MaxLen: 200},
				world.Field{Name: "amount", Type: world.Object, Valid: checkAmount},
				world.Field{Name: "stage", Type: world.Enum, Enum: []string{"new", "proposal", "negotiation", "won", "lost"}, Default: "new"},
				contact, company, owner, world.Field{Name: "close_date", Type: world.Date}),
			Unique: []string{"external_ref"},
			Exact:  []string{"external_ref"},
		},
		{
			Name: "appointments",
			Fields: common(contact, owner, world.Field{Name: "title", Type: world.Text, Required: true, MaxLen: 200},
				world.Field{Name: "starts_at", Type: world.Instant, Required: true}, world.Field{Name: "ends_at", Type: world.Instant, Required: true},
				world.Field{Name: "time_zone", Type: world.Zone}, world.Field{Name: "all_day", Type: world.Bool, Default: false},
				world.Field{Name: "location", Type: world.Text}, world.Field{Name: "attendees", Type: world.List, Valid: checkAttendees},
				world.Field{Name: "recurrence", Type: world.Text, MaxLen: 500, Valid: checkRule},
				world.Field{Name: "status", Type: world.Enum, Enum: []string{"scheduled", "done", "cancelled"}, Default: "scheduled"}),
			Unique: []string{"external_ref"},
			Exact:  []string{"external_ref"},
			Whole:  checkTimes,
		},
		{
			Name: "calls",
			Fields: common(contact, owner, direction, world.Field{Name: "at", Type: world.Instant, Required: true},
				world.Field{Name: "duration_s", Type: world.Number, Valid: checkDuration}, world.Field{Name: "outcome", Type: world.Text}),
			Unique: []string{"external_ref"},
			Exact:  []string{"external_ref"},
		},
		{
			Name: "emails",
			Fields: common(contact, owner, direction, world.Field{Name: "at", Type: world.Instant, Required: true},
				world.Field{Name: "subject", Type: world.Text, MaxLen: 500}, world.Field{Name: "outcome", Type: world.Text}),
			Unique: []string{"external_ref"},
			Exact:  []string{"external_ref"},
		},
		orders(contact, owner),
		submissions(),
		{
			Name: "users",
			Fields: []world.Field{{Name: "name", Type: world.Text, Required: true}, {Name: "email", Type: world.Email, Required: true},
				{Name: "active", Type: world.Bool, Default: true}},
			Unique: []string{"email"}, Exact: []string{"email"}, ReadOnly: true,
		},
	}
}

// orders are what a shop sold.
func orders(contact, owner world.Field) *world.Schema {
	return &world.Schema{
		Name: "orders",
		Fields: common(contact, owner, world.Field{Name: "title", Type: world.Text, Required: true, MaxLen: 200},
			world.Field{Name: "number", Type: world.Text, MaxLen: 60}, world.Field{Name: "amount", Type: world.Object, Valid: checkAmount},
			world.Field{Name: "status", Type: world.Enum, Enum: []string{"open", "paid", "shipped", "cancelled"}, Default: "open"},
			world.Field{Name: "customer_name", Type: world.Text, MaxLen: 200}, world.Field{Name: "customer_email", Type: world.Email, MaxLen: 254},
			world.Field{Name: "placed_at", Type: world.Instant}),
		Unique: []string{"number", "external_ref"},
		Exact:  []string{"number", "external_ref"},
	}
}

// submissions are what visitors sent by a form of a web page.
func submissions() *world.Schema {
	return &world.Schema{
		Name: "submissions",
		Fields: common(world.Field{Name: "form", Type: world.Text, Required: true, MaxLen: 100}, world.Field{Name: "name", Type: world.Text, MaxLen: 200},
			world.Field{Name: "email", Type: world.Email, MaxLen: 254}, world.Field{Name: "phone", Type: world.Phone, MaxLen: 40},
			world.Field{Name: "message", Type: world.Text, MaxLen: 5000}, world.Field{Name: "spam", Type: world.Bool, Default: false}),
		Unique: []string{"external_ref"},
		Exact:  []string{"external_ref"},
	}
}

func contacts(company, owner world.Field) *world.Schema {
	return &world.Schema{
		Name: "contacts",
		Fields: common(
			world.Field{Name: "first_name", Type: world.Text, MaxLen: 100},
			world.Field{Name: "last_name", Type: world.Text, MaxLen: 100},
			world.Field{Name: "email", Type: world.Email, MaxLen: 254},
			world.Field{Name: "phone", Type: world.Phone, MaxLen: 40},
			world.Field{Name: "mobile", Type: world.Phone, MaxLen: 40},
			company,
			world.Field{Name: "company_name", Type: world.Text, MaxLen: 200},
			world.Field{Name: "job_title", Type: world.Text, MaxLen: 100},
			world.Field{Name: "lifecycle", Type: world.Enum, Enum: []string{"lead", "contacted", "qualified", "disqualified", "customer"}, Default: "lead"},
			owner,
			world.Field{Name: "labels", Type: world.Labels},
			world.Field{Name: "score", Type: world.Number},
			world.Field{Name: "note", Type: world.Text, MaxLen: 5000},
		),
		Unique: []string{"email", "external_ref"},
		Exact:  []string{"email", "external_ref", "phone"},
	}
}

// template is what seeding makes when no template is given.
func template(object string) map[string]any {
	switch object {
	case "contacts":
		return map[string]any{"first_name": "Contact", "last_name": "{n}", "email": "contact{n}@example.com", "phone": "+49 30 9{n}0", "company_name": "Company {n}",
			"labels": []any{"seed"}, "properties": map[string]any{"segment": "s{n}"}}
	case "companies":
		return map[string]any{"name": "Company {n}", "domain": "company{n}.example.com"}
	case "users":
		return map[string]any{"name": "User {n}", "email": "user{n}@example.com"}
	case "appointments":
		return map[string]any{"title": "Appointment {n}", "starts_at": "2026-01-05T09:00:00+01:00", "ends_at": "2026-01-05T10:00:00+01:00", "time_zone": "Europe/Berlin"}
	case "orders":
		return map[string]any{"title": "Order {n}", "number": "A-{n}", "customer_name": "Customer {n}", "customer_email": "customer{n}@example.com"}
	case "submissions":
		return map[string]any{"form": "contact", "name": "Visitor {n}", "email": "visitor{n}@example.com", "message": "Please call me"}
	case "calls", "emails":
		return map[string]any{"at": "2026-01-05T09:00:00Z", "outcome": "note {n}"}
	}
	return map[string]any{"title": "Deal {n}"}
}
