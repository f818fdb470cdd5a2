package salesos

import (
	"encoding/json"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/world"
)

// stages are the fixed deal stages of the sandbox.
func stages() []map[string]any {
	return []map[string]any{
		{"id": "stage_new", "name": "New", "probability": json.Number("10")},
		{"id": "stage_proposal", "name": "Proposal", "probability": json.Number("40")},
		{"id": "stage_negotiation", "name": "Negotiation", "probability": json.Number("70")},
	}
}

func stageByID(id string) map[string]any {
	for _, s := range stages() {
		if s["id"] == id {
			return s
		}
	}
	return nil
}

func schemas() []*world.Schema {
	lead := &world.Schema{
		Name: "leads",
		Fields: []world.Field{
			{Name: "name", Type: world.Text, Required: true},
			{Name: "email", Type: world.Email},
			{Name: "phone", Type: world.Phone},
			{Name: "company", Type: world.Text},
			{Name: "position", Type: world.Text},
			{Name: "source", Type: world.Text},
			{Name: "status", Type: world.Enum, Enum: []string{"new", "contacted", "qualified", "unqualified", "converted"}, Default: "new"},
			{Name: "owner_id", Type: world.Ref, Ref: "users"},
			{Name: "team_id", Type: world.Text},
			{Name: "custom_fields", Type: world.Object},
			{Name: "tags", Type: world.Labels},
		},
		Unique: []string{"email"},
		Words:  []string{"name", "email", "phone", "company", "custom_fields"},
	}
	deal := &world.Schema{
		Name: "deals",
		Fields: []world.Field{
			{Name: "name", Type: world.Text, Required: true},
			{Name: "value", Type: world.Number},
			{Name: "stage", Type: world.Object, Default: stages()[0]},
			{Name: "status", Type: world.Enum, Enum: []string{"open", "won", "lost"}, Default: "open"},
			{Name: "contact_name", Type: world.Text},
			{Name: "contact_email", Type: world.Email},
			{Name: "company", Type: world.Text},
			{Name: "owner_id", Type: world.Ref, Ref: "users"},
			{Name: "expected_close_date", Type: world.Date},
			{Name: "priority", Type: world.Text},
			{Name: "lead_id", Type: world.Ref, Ref: "leads"},
			{Name: "custom_fields", Type: world.Object},
		},
		Words: []string{"name", "company", "contact_name", "contact_email", "custom_fields"},
	}
	user := &world.Schema{
		Name: "users",
		Fields: []world.Field{
			{Name: "name", Type: world.Text, Required: true},
			{Name: "email", Type: world.Email, Required: true},
			{Name: "phone", Type: world.Phone},
			{Name: "avatar_url", Type: world.Text},
			{Name: "role", Type: world.Enum, Enum: []string{"admin", "manager", "sales_rep"}, Default: "sales_rep"},
			{Name: "team", Type: world.Object},
			{Name: "status", Type: world.Enum, Enum: []string{"active", "invited", "deactivated"}, Default: "active"},
			{Name: "ranking_tier", Type: world.Text},
			{Name: "total_points", Type: world.Number, Default: json.Number("0")},
			{Name: "last_active_at", Type: world.Instant},
		},
		Unique: []string{"email"},
		Words:  []string{"name", "email"},
	}
	return []*world.Schema{lead, deal, user}
}

// render gives a record as the API shows it. Users have no updated_at.
func render(r *world.Record) map[string]any {
	out := make(map[string]any, len(r.Fields)+3)
	for k, v := range r.Fields {
		out[k] = v
	}
	out["id"] = r.ID
	out["created_at"] = stamp(r.CreatedAt)
	if r.Object != "users" {
		out["updated_at"] = stamp(r.UpdatedAt)
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// readOnly are the names that an API write may carry but not change.
func readOnly(name string) bool {
	return name == "id" || name == "created_at" || name == "updated_at"
}
