package world

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is the kind of value that a field takes.
type Type string

// The types of fields.
const (
	Text    Type = "string"
	Email   Type = "email"
	Phone   Type = "phone"
	Enum    Type = "enum"
	Number  Type = "number"
	Bool    Type = "boolean"
	Date    Type = "date"
	Instant Type = "datetime"
	Zone    Type = "time_zone"
	Labels  Type = "strings"
	Object  Type = "object"
	List    Type = "list"
	Ref     Type = "reference"
)

// Field describes one field of an object.
type Field struct {
	Name     string
	Type     Type
	Required bool
	// Enum lists the values allowed.
	Enum []string
	// MaxLen is the most characters; 0 is 255.
	MaxLen int
	// Ref is the object that a reference points to.
	Ref string
	// Default is set on creation when the field is not given.
	Default any
	// Valid says what is wrong with a value of the right type, "" when nothing is; nil: any will do.
	Valid func(v any) string
}

// Limit is the most characters of a text field, 0 for fields that are no text.
func (f *Field) Limit() int {
	switch f.Type {
	case Number, Bool, Object, List, Labels:
		return 0
	}
	if f.MaxLen == 0 {
		return 255
	}
	return f.MaxLen
}

// Schema describes an object of a vendor.
type Schema struct {
	Name   string
	Fields []Field
	// Unique fields refuse a second live record with the same value while the switch is on.
	Unique []string
	// Exact fields can be searched by value; Words fields by their words.
	Exact []string
	Words []string
	// ReadOnly objects take no writes through the API.
	ReadOnly bool
	// Whole says what is wrong with the fields of a record taken together; nil: nothing ever is.
	Whole  func(fields map[string]any) []Problem
	byName map[string]*Field
}

// Field gives a field by name, nil when there is none.
func (s *Schema) Field(name string) *Field { return s.byName[name] }

func (s *Schema) index() {
	s.byName = make(map[string]*Field, len(s.Fields))
	for i := range s.Fields {
		s.byName[s.Fields[i].Name] = &s.Fields[i]
	}
}

// Problem is what is wrong with one field of a write.
type Problem struct {
	Field   string
	Message string
}

// Check validates the given values of an object. An API write (strict) also
// meets the rejections set by the admin API.
func (w *World) Check(s *Schema, given map[string]any, creating, strict bool) []Problem {
	var out []Problem
	for name, v := range given {
		f := s.Field(name)
		if f == nil {
			out = append(out, Problem{name, "is not a field"})
			continue
		}
		if f = w.Shaped(s.Name, f); f == nil {
			out = append(out, Problem{name, "is not a field any more"})
			continue
		}
		msg := w.checkField(f, v)
		if msg == "" && v != nil && f.Valid != nil {
			msg = f.Valid(v)
		}
		if msg != "" {
			out = append(out, Problem{name, msg})
			continue
		}
		if msg := w.rejected(s.Name, name, v); strict && msg != "" {
			out = append(out, Problem{name, msg})
		}
	}
	for i := range s.Fields {
		f := w.Shaped(s.Name, &s.Fields[i])
		if f == nil {
			continue
		}
		v, there := given[f.Name]
		if f.Required && (there || creating) && blank(v) {
			out = append(out, Problem{f.Name, "is required"})
		}
	}
	slices.SortFunc(out, func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
	return slices.CompactFunc(out, func(a, b Problem) bool { return a.Field == b.Field })
}

func blank(v any) bool { return v == nil || v == "" }

func (w *World) checkField(f *Field, v any) string {
	if v == nil {
		return ""
	}
	switch f.Type {
	case Number:
		if _, ok := v.(json.Number); !ok {
			return "is not a number"
		}
		return ""
	case Bool:
		if _, ok := v.(bool); !ok {
			return "is not a boolean"
		}
		return ""
	case Object:
		if _, ok := v.(map[string]any); !ok {
			return "is not an object"
		}
		return ""
	case List:
		if _, ok := v.([]any); !ok {
			return "is not a list"
		}
		return ""
	case Labels:
		return checkLabels(v)
	}
	s, ok := v.(string)
	if !ok {
		return "is not a string"
	}
	return w.checkText(f, s)
}

func checkLabels(v any) string {
	list, ok := v.([]any)
	if !ok {
		return "is not a list of strings"
	}
	for _, e := range list {
		if _, ok := e.(string); !ok {
			return "is not a list of strings"
		}
	}
	return ""
}

func (w *World) checkText(f *Field, s string) string {
	limit := f.Limit()
	if utf8.RuneCountInString(s) > limit {
		return fmt.Sprintf("is too long (maximum is %d characters)", limit)
	}
	if s == "" {
		return ""
	}
	ok := true
	switch f.Type {
	case Email:
		ok = validEmail(s)
	case Phone:
		ok = validPhone(s)
	case Enum:
		if !slices.Contains(f.Enum, s) {
			return "is not one of " + strings.Join(f.Enum, ", ")
		}
	case Date:
		_, err := time.Parse(time.DateOnly, s)
		ok = err == nil
	case Instant:
		_, err := time.Parse(time.RFC3339, s)
		ok = err == nil
	case Zone:
		_, err := time.LoadLocation(s)
		ok = err == nil
	case Ref:
		if t := w.Table(f.Ref); t == nil || t.Get(s) == nil {
			return "does not exist"
		}
	}
	if !ok {
		return "is invalid"
	}
	return ""
}

func validEmail(s string) bool {
	s = strings.TrimSpace(s)
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && strings.Contains(s[strings.LastIndex(s, "@"):], ".")
}

// validPhone accepts what people type into phone fields, extensions included:
// 4 to 20 digits and the signs used between them.
func validPhone(s string) bool {
	for _, r := range strings.ToLower(s) {
		if !strings.ContainsRune("0123456789+ ()./-xext", r) {
			return false
		}
	}
	digits := len(normal(Phone, s))
	return digits >= 4 && digits <= 20
}
