package record

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// The names of the kinds, as written after `as:` in an integration file.
const (
	// KindAuto compares text, numbers, dates, booleans, lists and objects by what they are.
	KindAuto = ""
	// KindEmail ignores case and surrounding spaces.
	KindEmail = "email"
	// KindPhone compares E.164 numbers, read with Kind.Region as the default country.
	KindPhone = "phone"
	// KindSet ignores the order and repetition of a list's elements.
	KindSet = "set"
	// KindRef holds the identifier of a record of Kind.Stream.
	KindRef = "ref"
	// KindNumber compares numbers by value, also where a server sends them as text.
	KindNumber = "number"
	// KindDate compares dates and times, also where they have spaces around them.
	KindDate = "date"
)

// Kind says in which normal form the values of a field are compared.
type Kind struct {
	// Name is one of the Kind constants; any other name compares like KindAuto.
	Name string `json:"name,omitempty"`
	// Region is the ISO 3166 country ("BR") of phone numbers written without "+".
	Region string `json:"region,omitempty"`
	// Stream is the stream whose records a KindRef field points to.
	Stream string `json:"stream,omitempty"`
}

// Canon returns the normal form of v: nil for a blank, else a string, a bool, a
// []any or a map[string]any of normal forms. Numbers become their plain decimal
// text, so that 75000.00 and 7.5e4 are both "75000". Canon never fails: a value
// without a normal form of its kind stays as written, trimmed. It is idempotent.
// The result is for comparison and hashing; write the user's own value instead.
func Canon(k Kind, v any) any {
	v = Plain(v)
	switch k.Name {
	case KindEmail:
		return canonTrimmed(v, canonEmail)
	case KindPhone:
		return canonTrimmed(v, func(text string) any { return canonPhone(text, k.Region) })
	case KindNumber:
		return canonTrimmed(v, canonNumberText)
	case KindDate:
		return canonTrimmed(v, canonDateText)
	case KindSet:
		return canonSet(v)
	case KindRef:
		return canonText(v)
	}
	return canonAuto(v)
}

// Equal reports whether a and b have the same normal form of kind k. It is an
// equivalence relation.
func Equal(k Kind, a, b any) bool {
	if one, ok := a.(string); ok {
		if other, ok := b.(string); ok && one == other {
			// Most comparisons find no change; the normal form of a phone number is dear.
			return true
		}
	}
	return reflect.DeepEqual(Canon(k, a), Canon(k, b))
}

// IsBlank reports whether v holds nothing: null, "", an empty list, or an object
// whose members are all blank. 0 and false are values.
func IsBlank(v any) bool {
	switch value := Plain(v).(type) {
	case nil:
		return true
	case string:
		return value == ""
	case []any:
		return len(value) == 0
	case map[string]any:
		for _, member := range value {
			if !IsBlank(member) {
				return false
			}
		}
		return true
	}
	return false
}

// canonTrimmed applies a rule for text to strings and numbers; lists and objects
// are compared as they are.
func canonTrimmed(v any, rule func(text string) any) any {
	text, ok := v.(string)
	if number, isNumber := v.(json.Number); isNumber {
		text, ok = plainDecimal(number.String()), true
	}
	if !ok {
		return canonAuto(v)
	}
	text = strings.TrimSpace(norm.NFC.String(text))
	if text == "" {
		return nil
	}
	return rule(text)
}

// canonEmail folds case until nothing moves: lower-casing may leave a letter
// that composes with the mark behind it.
func canonEmail(text string) any {
	for range 4 {
		folded := norm.NFC.String(strings.ToLower(text))
		if folded == text {
			break
		}
		text = folded
	}
	return text
}

func canonNumberText(text string) any {
	if isJSONNumber(text) {
		return plainDecimal(text)
	}
	return text
}

func canonDateText(text string) any { return canonDate(text) }

// canonAuto compares a value by what it is.
func canonAuto(v any) any {
	switch value := v.(type) {
	case string:
		if value == "" {
			return nil
		}
		return canonDate(norm.NFC.String(value))
	case json.Number:
		return plainDecimal(value.String())
	case bool:
		return value
	case []any:
		if len(value) == 0 {
			return nil
		}
		list := make([]any, len(value))
		for i, element := range value {
			list[i] = canonAuto(Plain(element))
		}
		return list
	case map[string]any:
		return canonObject(value)
	}
	return nil
}

// canonObject leaves blank members out: null and missing are the same.
func canonObject(object map[string]any) any {
	copied := make(map[string]any, len(object))
	for key, member := range object {
		if value := canonAuto(Plain(member)); value != nil {
			copied[norm.NFC.String(key)] = value
		}
	}
	if len(copied) == 0 {
		return nil
	}
	return copied
}

// canonText is the form of identifiers and set elements: text stays text, even
// where it looks like a date.
func canonText(v any) any {
	if text, ok := v.(string); ok {
		if text == "" {
			return nil
		}
		return norm.NFC.String(text)
	}
	return canonAuto(v)
}

// canonSet sorts the elements and folds repetitions. A value that is no list is
// a set of one.
func canonSet(v any) any {
	elements, ok := v.([]any)
	if !ok {
		elements = []any{v}
	}
	byKey := make(map[string]any, len(elements))
	for _, element := range elements {
		if value := canonText(Plain(element)); value != nil {
			byKey[string(appendJSON(nil, value))] = value
		}
	}
	if len(byKey) == 0 {
		return nil
	}
	keys := make([]string, 0, len(byKey))
	for key := range byKey {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	set := make([]any, len(keys))
	for i, key := range keys {
		set[i] = byKey[key]
	}
	return set
}

// canonDate gives instants in UTC with the shortest fraction, and midnight UTC as
// the plain date, which makes a date equal the date-time at its midnight. Text
// that is no RFC 3339 time is returned as it is.
func canonDate(text string) string {
	const shortest = len("2006-01-02T15:04:05Z")
	if len(text) < shortest || len(text) > 64 || text[4] != '-' || text[10] != 'T' || strings.Contains(text, ",") {
		return text
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	at = at.UTC()
	if year := at.Year(); year < 0 || year > 9999 {
		return text
	}
	if at.Truncate(24 * time.Hour).Equal(at) {
		return at.Format(time.DateOnly)
	}
	return at.Format(time.RFC3339Nano)
}

// Plain turns every Go value that can come from JSON, YAML or an expression into
// nil, string, bool, json.Number, []any or map[string]any (one level).
func Plain(v any) any {
	switch value := v.(type) {
	case nil, string, bool, []any, map[string]any:
		return v
	case json.Number:
		if !isJSONNumber(value.String()) {
			return value.String()
		}
		return v
	case Fields:
		return map[string]any(value)
	case float64:
		return floatNumber(value, 64)
	case float32:
		return floatNumber(float64(value), 32)
	case time.Time:
		return value.UTC().Format(time.RFC3339Nano)
	}
	return plainReflect(reflect.ValueOf(v))
}

func plainReflect(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return json.Number(strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return json.Number(strconv.FormatUint(v.Uint(), 10))
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = v.Index(i).Interface()
		}
		return list
	}
	encoded, err := json.Marshal(v.Interface())
	if err != nil {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(encoded)))
	decoder.UseNumber()
	var decoded any
	if decoder.Decode(&decoded) != nil {
		return nil
	}
	return decoded
}

// floatNumber keeps what JSON cannot say (NaN, infinities) as text.
func floatNumber(f float64, bits int) any {
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return text
	}
	return json.Number(text)
}
