package format

import (
	"encoding/json"
	"strings"
)

// Shape is what the texts of a record stand for. Paths are dotted, into one record.
type Shape struct {
	// Lists are lists also where there is one element.
	Lists []string
	// Types says that a text is a number or a boolean (manifest.TypeNumber, manifest.TypeBoolean).
	Types map[string]string
	// Decimal is the sign before the decimals; empty: a point.
	Decimal string
}

// Apply gives a record its lists, numbers and booleans, in place. A text that is
// none stays as it is, and its path is answered, of several the first by name.
func (s Shape) Apply(record map[string]any) (wrong string) {
	for _, path := range s.Lists {
		change(record, strings.Split(path, "."), func(value any) (any, bool) {
			if _, is := value.([]any); is || value == nil {
				return value, true
			}
			return []any{value}, true
		})
	}
	for path, kind := range s.Types {
		fits := true
		change(record, strings.Split(path, "."), func(value any) (any, bool) {
			typed, ok := s.typed(value, kind)
			fits = fits && ok
			return typed, ok
		})
		if !fits && (wrong == "" || path < wrong) {
			wrong = path
		}
	}
	return wrong
}

// change replaces the values at a path, also inside of lists.
func change(node any, path []string, by func(value any) (any, bool)) {
	switch typed := node.(type) {
	case []any:
		for _, one := range typed {
			change(one, path, by)
		}
	case map[string]any:
		value, there := typed[path[0]]
		if !there {
			return
		}
		if len(path) > 1 {
			change(value, path[1:], by)
			return
		}
		typed[path[0]], _ = by(value)
	}
}

// typed reads a text as what it stands for; false leaves it as it is.
func (s Shape) typed(value any, kind string) (any, bool) {
	if list, is := value.([]any); is {
		out, all := make([]any, len(list)), true
		for i, one := range list {
			typed, ok := s.typed(one, kind)
			out[i], all = typed, all && ok
		}
		return out, all
	}
	text, is := value.(string)
	if !is {
		return value, true
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, true
	}
	if kind == "boolean" {
		switch strings.ToLower(text) {
		case "true", "1", "yes", "y":
			return true, true
		case "false", "0", "no", "n":
			return false, true
		}
		return value, false
	}
	if number, ok := Number(text, s.Decimal); ok {
		return number, true
	}
	return value, false
}

// Number reads a number: digits with a sign, with the decimal sign ("" and ".": a
// point), without marks between thousands.
func Number(text, decimal string) (json.Number, bool) {
	sign := ""
	digits := strings.TrimPrefix(strings.TrimSpace(text), "+")
	if after, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", after
	}
	if decimal == "" {
		decimal = "."
	}
	whole, part, split := strings.Cut(digits, decimal)
	if !onlyDigits(whole) && (whole != "" || !split) || split && !onlyDigits(part) {
		return "", false
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if split {
		whole += "." + part
	}
	return json.Number(sign + whole), true
}

func onlyDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
