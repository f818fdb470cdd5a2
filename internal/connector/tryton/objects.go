package tryton

import (
	"strings"

	"github.com/accord-sync/accord/internal/connector"
)

// object is one collection and how its records look.
type object struct {
	connector.Object
	// model is Tryton's name, label the one in its English messages.
	model string
	// fields are the record's own, by path.
	fields []field
	// children says that records have contact mechanisms and identifiers.
	children bool
}

// field is one value of a record.
type field struct {
	path string
	kind kind
	// label is what Tryton's English messages call it.
	label string
	// readOnly values are Tryton's own.
	readOnly bool
}

const (
	mechanisms  = "contact_mechanisms"
	categories  = "categories"
	identifiers = "identifiers"
	// identifierRows holds the identifiers as Tryton has them.
	identifierRows = "identifier_rows"
)

// objects is the table of collections. A new one is one more row.
func objects() []object {
	return []object{
		{
			Object: connector.Object{Name: "parties", Singular: "party", Creatable: true, UpdatedAt: true,
				Searchable: append(mechanismTypes(), "name", "code", "identifiers.*")},
			model: "party.party", children: true,
			fields: []field{
				{path: "name", label: "Name"}, {path: "code", label: "Code"}, {path: "active", kind: flag, label: "Active"},
				{path: "lang", kind: language, label: "Language"},
			},
		},
		{
			Object: connector.Object{Name: opportunities, Singular: "opportunity", Creatable: true, UpdatedAt: true,
				Searchable: []string{"reference", "number", "description"}},
			model: "sale.opportunity",
			fields: []field{
				{path: "number", label: "Number", readOnly: true}, {path: "reference", label: "Reference"},
				{path: "description", label: "Description"}, {path: "comment", label: "Comment"},
				{path: "party", kind: link, label: "Party"}, {path: "company", kind: link, label: "Company"},
				{path: "amount", kind: decimal, label: "Amount"},
				{path: "conversion_probability", kind: real, label: "Conversion Probability"},
				{path: "start_date", kind: date, label: "Start Date"}, {path: "end_date", kind: date, label: "End Date"},
				// Tryton moves it by buttons with conditions of their own (press).
				{path: statePath, label: "State", readOnly: true},
			},
		},
	}
}

// mechanismTypes are the kinds of contact mechanism that show as a field each.
func mechanismTypes() []string { return []string{"email", "phone", "mobile", "fax", "website"} }

func isMechanism(path string) bool {
	for _, known := range mechanismTypes() {
		if known == path {
			return true
		}
	}
	return false
}

func (o object) field(path string) (field, bool) {
	for _, known := range o.fields {
		if known.path == path {
			return known, true
		}
	}
	return field{}, false
}

// typed is the form of Tryton's own identifier types: a country and a name.
func typed(key string) bool { return len(key) > 3 && key[2] == '_' && isKey(key) }

// isKey reports whether text is a word of small letters, digits and underscores.
func isKey(text string) bool {
	for n, r := range text {
		letter := r >= 'a' && r <= 'z'
		if !letter && (n == 0 || r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return text != "" && len(text) <= 64
}

// identifierKey reads the key off an identifier's path; false for other paths.
func identifierKey(path string) (string, bool) {
	key, ok := strings.CutPrefix(path, identifiers+".")
	return key, ok && isKey(key)
}

// identifierCode is the code of an identifier as Tryton holds it.
func identifierCode(key, value string) string {
	if typed(key) {
		return value
	}
	return key + ":" + value
}

// identifierType is the type of an identifier as Tryton holds it; nil: none.
func identifierType(key string) any {
	if typed(key) {
		return key
	}
	return nil
}

// identifierOf reads key and value of one of Tryton's identifiers; false for one
// that has neither a type nor a key.
func identifierOf(row map[string]any) (key, value string, ok bool) {
	code, _ := row["code"].(string)
	if kind, has := row["type"].(string); has && kind != "" {
		return kind, code, code != ""
	}
	key, value, ok = strings.Cut(code, ":")
	return key, value, ok && value != "" && isKey(key) && !typed(key)
}

// names are the fields to read of a record.
func (o object) names() []string {
	names := []string{"create_date", "write_date", "create_uid", "write_uid", "_timestamp"}
	for _, known := range o.fields {
		names = append(names, known.path)
		if known.kind == language {
			names = append(names, known.path+".code")
		}
	}
	if !o.children {
		return names
	}
	names = append(names, "replaced_by", categories+".name")
	for _, name := range []string{"type", "value", "name", "active", "create_date", "write_date", "_timestamp"} {
		names = append(names, mechanisms+"."+name)
	}
	for _, name := range []string{"type", "code", "create_date", "write_date", "_timestamp"} {
		names = append(names, identifiers+"."+name)
	}
	return names
}
