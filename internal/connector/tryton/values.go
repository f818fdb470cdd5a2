package tryton

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

// kind is how a field's value goes over the wire.
type kind int

const (
	// text is a string; empty is null.
	text kind = iota
	// flag is true or false.
	flag
	// decimal is a Decimal, real a float: numbers both.
	decimal
	real
	// date is "2006-01-02".
	date
	// link is the id of another record, as a text.
	link
	// language is a language by its code, "pt".
	language
)

// plain turns Tryton's typed values into plain JSON: a Decimal into a number, a
// date into "2006-01-02", a datetime (always UTC) into RFC 3339, a time into
// "15:04:05", a timedelta into seconds, bytes into base64.
func plain(value any) any {
	switch typed := value.(type) {
	case []any:
		for n := range typed {
			typed[n] = plain(typed[n])
		}
	case map[string]any:
		if class, ok := typed["__class__"].(string); ok {
			return plainClass(class, typed)
		}
		for key := range typed {
			typed[key] = plain(typed[key])
		}
	}
	return value
}

func plainClass(class string, parts map[string]any) any {
	part := func(name string) int {
		number, _ := transport.ParseInt(parts[name])
		return number
	}
	at := time.Date(part("year"), time.Month(part("month")), part("day"), part("hour"), part("minute"), part("second"), part("microsecond")*1000, time.UTC)
	switch class {
	case "Decimal":
		if digits, ok := parts["decimal"].(string); ok && isNumber(digits) {
			return json.Number(digits)
		}
	case "date":
		return at.Format(time.DateOnly)
	case "datetime":
		return at.Format(time.RFC3339Nano)
	case "time":
		return at.Format("15:04:05.999999")
	case "timedelta":
		return parts["seconds"]
	case "bytes":
		encoded, _ := parts["base64"].(string)
		return strings.ReplaceAll(encoded, "\n", "")
	}
	return nil
}

// encode makes the value Tryton takes. Tryton writes down whatever it gets (an
// object becomes its Python text), so a value of another kind is refused here.
func encode(k kind, path string, value any) (any, error) {
	if value == nil || value == "" {
		return nil, nil
	}
	digits := digitsOf(value)
	switch k {
	case text:
		if words, ok := asText(value); ok {
			return words, nil
		}
	case flag:
		if on, ok := value.(bool); ok {
			return on, nil
		}
	case link:
		if number, ok := transport.ParseInt(value); ok && number > 0 {
			return number, nil
		}
	case real:
		if isNumber(digits) {
			return json.Number(digits), nil
		}
	case decimal:
		if isNumber(digits) {
			return map[string]any{"__class__": "Decimal", "decimal": digits}, nil
		}
	case date:
		if at, ok := transport.ParseTime(value); ok {
			return map[string]any{"__class__": "date", "year": at.Year(), "month": int(at.Month()), "day": at.Day()}, nil
		}
	case language:
		if code, ok := value.(string); ok {
			return code, nil
		}
	}
	coded := fault.New(fault.Invalid, "the value is none that %s can hold there; correct the record or the mapping", title)
	coded.Field = path
	return nil, coded
}

func asText(value any) (string, bool) {
	switch typed := value.(type) {
	case string:
		return typed, true
	case json.Number, int, int64, float64:
		return fmt.Sprint(typed), true
	}
	return "", false
}

func digitsOf(value any) string {
	words, _ := asText(value)
	return strings.TrimSpace(words)
}

// isNumber reports whether text is a JSON number of reasonable size.
func isNumber(text string) bool {
	return len(text) <= 64 && regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`).MatchString(text)
}

// datetime is a moment as a domain takes it; Tryton keeps UTC.
func datetime(at time.Time) map[string]any {
	at = at.UTC()
	return map[string]any{"__class__": "datetime", "year": at.Year(), "month": int(at.Month()), "day": at.Day(),
		"hour": at.Hour(), "minute": at.Minute(), "second": at.Second(), "microsecond": at.Nanosecond() / 1000}
}
