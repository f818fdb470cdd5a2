package hubspot

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/world"
)

// millis is the form of HubSpot's times.
const millis = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(millis) }

// associated is the field that holds the contacts of a record. It is no property:
// associations are read and written by calls of their own.
const associated = "associated_contacts"

func text(names ...string) []world.Field {
	fields := make([]world.Field, 0, len(names))
	for _, name := range names {
		fields = append(fields, world.Field{Name: name, Type: world.Text, MaxLen: 65_536})
	}
	return fields
}

func enum(name string, values ...string) world.Field {
	return world.Field{Name: name, Type: world.Enum, Enum: values}
}

// owned are the fields of every record that people work with. accord_ref is a property
// that somebody made, as the manifest asks for.
func owned(fields ...[]world.Field) []world.Field {
	all := append(slices.Concat(fields...), world.Field{Name: "hubspot_owner_id", Type: world.Ref, Ref: "owners"})
	return append(all, text("accord_ref")...)
}

func schemas() []*world.Schema {
	contacts := []world.Field{{Name: associated, Type: world.Labels}}
	moments := []world.Field{{Name: "hs_timestamp", Type: world.Instant, Required: true}}
	return []*world.Schema{
		{
			Name: "contacts",
			Fields: owned(text("firstname", "lastname", "phone", "mobilephone", "company", "jobtitle", "website"), []world.Field{
				{Name: "email", Type: world.Email, MaxLen: 254},
				enum("lifecyclestage", "subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist", "other"),
				enum("hs_lead_status", "NEW", "OPEN", "IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED", "ATTEMPTED_TO_CONTACT", "CONNECTED", "BAD_TIMING")}),
			Unique: []string{"email"}, Exact: []string{"email", "accord_ref"},
		},
		{Name: "companies", Fields: owned(text("name", "domain", "phone", "city", "website", "description")), Exact: []string{"domain", "accord_ref"}},
		{
			Name: "deals",
			Fields: owned(contacts, text("dealname", "description", "hs_next_step", "closed_won_reason", "closed_lost_reason"), []world.Field{
				{Name: "amount", Type: world.Text, Valid: number},
				{Name: "closedate", Type: world.Instant},
				{Name: "pipeline", Type: world.Enum, Enum: []string{defaultPipeline}, Default: defaultPipeline},
				{Name: "dealstage", Type: world.Enum, Enum: stageIDs(), Default: stageIDs()[0]}}),
			Exact: []string{"accord_ref"},
		},
		{
			Name: "meetings",
			Fields: owned(contacts, moments, text("hs_meeting_title", "hs_meeting_body", "hs_meeting_location", "hs_internal_meeting_notes"), []world.Field{
				{Name: "hs_meeting_start_time", Type: world.Instant}, {Name: "hs_meeting_end_time", Type: world.Instant},
				enum("hs_meeting_outcome", "SCHEDULED", "COMPLETED", "RESCHEDULED", "NO_SHOW", "CANCELED")}),
			Exact: []string{"accord_ref"}, Whole: endsAfterStart,
		},
		{
			Name: "calls",
			Fields: owned(contacts, moments, text("hs_call_title", "hs_call_body", "hs_call_from_number", "hs_call_to_number"), []world.Field{
				{Name: "hs_call_duration", Type: world.Text, Valid: number},
				enum("hs_call_direction", "INBOUND", "OUTBOUND"),
				enum("hs_call_status", "BUSY", "CALLING_CRM_USER", "CANCELED", "COMPLETED", "CONNECTING", "FAILED", "IN_PROGRESS", "NO_ANSWER", "QUEUED", "RINGING")}),
			Exact: []string{"accord_ref"},
		},
		{
			Name: "emails",
			Fields: owned(contacts, moments, text("hs_email_subject", "hs_email_text", "hs_email_html", "hs_email_headers"), []world.Field{
				enum("hs_email_direction", "EMAIL", "INCOMING_EMAIL", "FORWARDED_EMAIL"),
				enum("hs_email_status", "BOUNCED", "FAILED", "SCHEDULED", "SENDING", "SENT")}),
			Exact: []string{"accord_ref"},
		},
		{
			Name:   "owners",
			Fields: append(text("firstName", "lastName"), world.Field{Name: "email", Type: world.Email, Required: true}),
			Unique: []string{"email"}, Exact: []string{"email"}, ReadOnly: true,
		},
	}
}

const defaultPipeline = "default"

// stage is a stage of the default pipeline, in its order.
type stage struct {
	id, label   string
	probability string
	closed      bool
}

func stages() []stage {
	return []stage{
		{"appointmentscheduled", "Appointment Scheduled", "0.2", false}, {"qualifiedtobuy", "Qualified To Buy", "0.4", false},
		{"presentationscheduled", "Presentation Scheduled", "0.6", false}, {"decisionmakerboughtin", "Decision Maker Bought-In", "0.8", false},
		{"contractsent", "Contract Sent", "0.9", false}, {"closedwon", "Closed Won", "1.0", true}, {"closedlost", "Closed Lost", "0.0", true},
	}
}

func stageIDs() []string {
	var ids []string
	for _, one := range stages() {
		ids = append(ids, one.id)
	}
	return ids
}

// number wants the text of a number.
func number(v any) string {
	words, _ := v.(string)
	if _, err := strconv.ParseFloat(words, 64); words != "" && err != nil {
		return "was not a valid number"
	}
	return ""
}

// endsAfterStart wants meetings to end at their start or later.
func endsAfterStart(fields map[string]any) []world.Problem {
	starts, ends := instant(fields["hs_meeting_start_time"]), instant(fields["hs_meeting_end_time"])
	if !starts.IsZero() && !ends.IsZero() && ends.Before(starts) {
		return []world.Problem{{Field: "hs_meeting_end_time", Message: "is before hs_meeting_start_time"}}
	}
	return nil
}

// instant reads a time as HubSpot takes it: epoch milliseconds, ISO 8601, or a date.
func instant(v any) time.Time {
	words, _ := v.(string)
	if ms, err := strconv.ParseInt(words, 10, 64); err == nil {
		return time.UnixMilli(ms).UTC()
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, words); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// complete gives values the form that HubSpot keeps: texts throughout, e-mail addresses
// in small letters, times in ISO 8601 with milliseconds.
func complete(object string, fields map[string]any) {
	known := map[string]*world.Field{}
	for _, schema := range schemas() {
		if schema.Name == object {
			for i := range schema.Fields {
				known[schema.Fields[i].Name] = &schema.Fields[i]
			}
		}
	}
	for name, value := range maps.Clone(fields) {
		field := known[name]
		switch typed := value.(type) {
		case json.Number:
			value = typed.String()
		case bool:
			value = strconv.FormatBool(typed)
		}
		words, isText := value.(string)
		switch {
		case field == nil || !isText:
		case field.Type == world.Email:
			value = strings.ToLower(strings.TrimSpace(words))
		case field.Type == world.Instant:
			if at := instant(words); !at.IsZero() {
				value = stamp(at)
			}
		}
		fields[name] = value
	}
}

// template is what seeding makes when no template is given.
func template(object string) map[string]any {
	switch object {
	case "contacts":
		return map[string]any{"firstname": "Contact", "lastname": "{n}", "email": "contact{n}@example.com", "company": "Company {n}"}
	case "companies":
		return map[string]any{"name": "Company {n}", "domain": "company{n}.example.com"}
	case "owners":
		return map[string]any{"firstName": "Owner", "lastName": "{n}", "email": "owner{n}@example.com"}
	case "meetings":
		return map[string]any{"hs_timestamp": "2026-01-05T09:00:00.000Z", "hs_meeting_title": "Meeting {n}"}
	case "calls":
		return map[string]any{"hs_timestamp": "2026-01-05T09:00:00.000Z", "hs_call_title": "Call {n}"}
	case "emails":
		return map[string]any{"hs_timestamp": "2026-01-05T09:00:00.000Z", "hs_email_subject": "Mail {n}"}
	}
	return map[string]any{"dealname": "Deal {n}"}
}
