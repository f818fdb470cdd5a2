package scenario

import (
	"fmt"
	"strings"

	"github.com/accord-sync/accord/internal/record"
)

// object is what a side calls the records of a scenario.
func object(side record.Side) string {
	if side == record.Left {
		return "leads"
	}
	return "contacts"
}

// path is where a side keeps a field, in the product's words on the left. These
// rules are the tests' own and not the service's mapping.
func path(side record.Side, field string) (string, error) {
	paths, ok := map[string][2]string{
		"email": {"email", "email"}, "phone": {"phone", "phone"}, "company": {"company", "company_name"}, "position": {"position", "job_title"},
		"stage": {"status", "lifecycle"}, "tags": {"tags", "labels"}, "score": {"custom_fields.score", "score"},
		"note": {"custom_fields.note", "note"},
	}[field]
	if !ok {
		return "", fmt.Errorf("field %q is not known: name, email, phone, company, position, stage, tags, score and note are", field)
	}
	if side == record.Left {
		return paths[0], nil
	}
	return paths[1], nil
}

// vendorFields puts values by field name into a side's own form.
func vendorFields(side record.Side, fields map[string]any) (record.Fields, error) {
	out := record.Fields{}
	for name, value := range fields {
		switch {
		case name == "name" && side == record.Left:
			out.Set("name", value)
		case name == "name":
			whole, _ := value.(string)
			first, last, _ := strings.Cut(whole, " ")
			out.Set("first_name", first)
			out.Set("last_name", last)
		default:
			where, err := path(side, name)
			if err != nil {
				return nil, err
			}
			out.Set(where, stageWord(side, name, value))
		}
	}
	return out, nil
}

// stageWord is a stage in the side's own words; other values stay as they are.
func stageWord(side record.Side, field string, value any) any {
	word, ok := value.(string)
	if field != "stage" || side == record.Left || !ok {
		return value
	}
	if theirs, ok := map[string]string{"new": "lead", "unqualified": "disqualified", "converted": "customer"}[word]; ok {
		return theirs
	}
	return word
}
