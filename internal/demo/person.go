package demo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// person is what both servers should say about one lead, in one spelling. The
// demo reads it by rules of its own and not with the service's mapping, so that
// a mistake there does not hide itself.
type person map[string]string

// fields are the names that person has, in the order they are told.
func fields() []string {
	return []string{"name", "email", "phone", "company", "position", "stage", "tags", "score", "note", "owner"}
}

// leadPerson reads a SalesOS lead; users gives e-mails by id.
func leadPerson(found wire.Record, users map[string]string) person {
	f := found.Fields
	custom, _ := f["custom_fields"].(map[string]any)
	return person{
		"name": text(f["name"]), "email": normalEmail(text(f["email"])), "phone": normalPhone(text(f["phone"])),
		"company": text(f["company"]), "position": text(f["position"]), "stage": text(f["status"]), "tags": normalTags(f["tags"]),
		"score": text(custom["score"]), "note": text(custom["note"]), "owner": users[text(f["owner_id"])],
	}
}

// contactPerson reads an Acme contact; users gives e-mails by id.
func contactPerson(found wire.Record, users map[string]string) person {
	f := found.Fields
	stages := map[string]string{"lead": "new", "contacted": "contacted", "qualified": "qualified", "disqualified": "unqualified", "customer": "converted"}
	return person{
		"name":  strings.TrimSpace(text(f["first_name"]) + " " + text(f["last_name"])),
		"email": normalEmail(text(f["email"])), "phone": normalPhone(text(f["phone"])),
		"company": text(f["company_name"]), "position": text(f["job_title"]), "stage": stages[text(f["lifecycle"])], "tags": normalTags(f["labels"]),
		"score": text(f["score"]), "note": text(f["note"]), "owner": users[text(f["owner_id"])],
	}
}

// difference says which fields differ, empty if none do.
func (p person) difference(other person) string {
	var parts []string
	for _, name := range fields() {
		if p[name] != other[name] {
			parts = append(parts, fmt.Sprintf("%s: SalesOS %q, Acme %q", name, p[name], other[name]))
		}
	}
	return strings.Join(parts, "; ")
}

// text tells a value; nil is nothing.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// normalField is one value in the spelling that person has for the field.
func normalField(field, value string) string {
	switch field {
	case "email":
		return normalEmail(value)
	case "phone":
		return normalPhone(value)
	}
	return value
}

// normalEmail is an address without case and surrounding space.
func normalEmail(address string) string { return strings.ToLower(strings.TrimSpace(address)) }

// normalPhone is the digits with the country; without one it is Brazilian.
func normalPhone(number string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
	if digits != "" && !strings.HasPrefix(strings.TrimSpace(number), "+") {
		digits = "55" + digits
	}
	return digits
}

// normalTags is a set of labels in one order.
func normalTags(v any) string {
	list, _ := v.([]any)
	labels := make([]string, 0, len(list))
	for _, one := range list {
		labels = append(labels, text(one))
	}
	slices.Sort(labels)
	return strings.Join(slices.Compact(labels), ", ")
}

// ownOfLead is what a customer keeps in a lead beside the mapped fields and our marker.
func ownOfLead(found map[string]any) string {
	custom, _ := found["custom_fields"].(map[string]any)
	custom = maps.Clone(custom)
	for _, mapped := range []string{"score", "note", "external_id"} {
		delete(custom, mapped)
	}
	return spelled(map[string]any{"custom_fields": custom, "source": found["source"]})
}

// ownOfContact is what a customer keeps in a contact beside the mapped fields and our marker.
func ownOfContact(found map[string]any) string {
	return spelled(map[string]any{"properties": found["properties"], "mobile": found["mobile"]})
}

// spelled is a value as JSON with sorted keys, for comparison.
func spelled(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "unreadable: " + err.Error()
	}
	return string(raw)
}
