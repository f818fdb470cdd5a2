package transport

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ParseTime reads a server's time in the forms servers really send: RFC 3339
// with or without fractions and zone (none: UTC), a space for the T, a date,
// epoch seconds or milliseconds as number or text. False when it is none.
func ParseTime(value any) (time.Time, bool) {
	switch typed := value.(type) {
	case json.Number:
		return epoch(typed.String())
	case float64:
		return epoch(strconv.FormatFloat(typed, 'f', -1, 64))
	case string:
		text := strings.TrimSpace(typed)
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
			"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999Z0700", time.DateOnly} {
			if parsed, err := time.Parse(layout, text); err == nil {
				return parsed.UTC(), true
			}
		}
		return epoch(text)
	}
	return time.Time{}, false
}

// epoch reads seconds, or milliseconds when the number is too large for them.
func epoch(text string) (time.Time, bool) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || number < 1e8 || number > 1e14 {
		return time.Time{}, false
	}
	if number < 1e11 {
		number *= 1000
	}
	return time.UnixMilli(int64(number)).UTC(), true
}

// ParseInt reads a whole number out of a number or a text.
func ParseInt(value any) (int, bool) {
	var text string
	switch typed := value.(type) {
	case json.Number:
		text = typed.String()
	case string:
		text = strings.TrimSpace(typed)
	case int:
		return typed, true
	default:
		return 0, false
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number != math.Trunc(number) || math.Abs(number) > 1e15 {
		return 0, false
	}
	return int(number), true
}

// maxID is the longest identifier, in bytes.
const maxID = 256

// ParseID reads a record's identifier: text or a whole number. False when
// there is none, or one that cannot be a step of an address: too long, with
// control characters, or a step that leads elsewhere ("..").
func ParseID(value any) (string, bool) {
	var id string
	switch typed := value.(type) {
	case string:
		id = typed
	case json.Number:
		id = typed.String()
	}
	if id == "" || id == "." || id == ".." || len(id) > maxID || strings.ContainsFunc(id, unicode.IsControl) {
		return "", false
	}
	return id, true
}

// Nest builds the JSON object of fields keyed by dotted path. Values are not copied.
func Nest(fields map[string]any) map[string]any {
	nested := map[string]any{}
	for path, value := range fields {
		keys := strings.Split(path, ".")
		node := nested
		for _, key := range keys[:len(keys)-1] {
			next, ok := node[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				node[key] = next
			}
			node = next
		}
		node[keys[len(keys)-1]] = value
	}
	return nested
}

// LooseEqual compares two values roughly: letters and digits only, case
// folded, phone numbers by their last eight digits. It filters a scan; the
// caller compares what is left in normal form.
func LooseEqual(have, want any) bool {
	left, right := loose(have), loose(want)
	if left == "" || right == "" {
		return false
	}
	if left == right {
		return true
	}
	const local = 8
	return digits(left) && digits(right) && len(left) >= local && len(right) >= local &&
		left[len(left)-local:] == right[len(right)-local:]
}

func loose(value any) string {
	var text string
	switch typed := value.(type) {
	case string:
		text = typed
	case json.Number:
		text = typed.String()
	case int, int64, float64, bool:
		encoded, err := json.Marshal(typed)
		if err != nil {
			return ""
		}
		text = string(encoded)
	default:
		return ""
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n+-()./_@", r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
}

func digits(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
