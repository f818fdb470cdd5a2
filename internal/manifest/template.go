package manifest

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// Values are what placeholders stand for: texts, whole numbers, booleans or lists of texts.
type Values map[string]any

// Fill replaces the placeholders of a text. ok is false when one has no value.
func Fill(text string, values Values) (filled string, ok bool) {
	return fill(text, values, func(value string) string { return value })
}

// FillPath is Fill for a step of an address: values are escaped.
func FillPath(text string, values Values) (filled string, ok bool) {
	return fill(text, values, url.PathEscape)
}

func fill(text string, values Values, escape func(string) string) (string, bool) {
	var out strings.Builder
	rest := text
	for {
		open := strings.IndexByte(rest, '{')
		shut := strings.IndexByte(rest, '}')
		if open < 0 || shut < open {
			out.WriteString(rest)
			return out.String(), true
		}
		value, ok := values[rest[open+1:shut]]
		if !ok {
			return "", false
		}
		out.WriteString(rest[:open])
		out.WriteString(escape(textOf(value)))
		rest = rest[shut+1:]
	}
}

// textOf prints a value as it stands in an address.
func textOf(value any) string {
	switch typed := value.(type) {
	case string:
		return typed
	case json.Number:
		return typed.String()
	case int:
		return strconv.Itoa(typed)
	case bool:
		return strconv.FormatBool(typed)
	case []string:
		return strings.Join(typed, ",")
	}
	return ""
}

// FillTree replaces the placeholders of a body. A text that is one placeholder
// becomes the value itself; what has no value is left out, and so is a list or
// an object of which nothing is left.
func FillTree(tree any, values Values) (filled any, ok bool) {
	switch typed := tree.(type) {
	case map[string]any:
		object := make(map[string]any, len(typed))
		for key, value := range typed {
			name, named := Fill(key, values)
			if member, ok := FillTree(value, values); ok && named {
				object[name] = member
			}
		}
		return object, len(object) > 0 || len(typed) == 0
	case []any:
		list := make([]any, 0, len(typed))
		for _, value := range typed {
			if element, ok := FillTree(value, values); ok {
				list = append(list, element)
			}
		}
		return list, len(list) > 0 || len(typed) == 0
	case string:
		if name, found := strings.CutPrefix(typed, "{"); found {
			if name, found = strings.CutSuffix(name, "}"); found && !strings.ContainsAny(name, "{}") {
				value, ok := values[name]
				return value, ok
			}
		}
		return Fill(typed, values)
	}
	return tree, true
}

// Repeat gives a body whose lists of one element with the placeholder {name} have one such
// element for each value. Other placeholders stay.
func Repeat(tree any, name string, values []string) any {
	switch typed := tree.(type) {
	case map[string]any:
		object := make(map[string]any, len(typed))
		for key, value := range typed {
			object[key] = Repeat(value, name, values)
		}
		return object
	case []any:
		held := false
		treeTexts(typed, func(_, text string) { held = held || strings.Contains(text, "{"+name+"}") })
		if len(typed) != 1 || !held {
			return tree
		}
		list := make([]any, 0, len(values))
		for _, value := range values {
			if element, ok := FillTree(typed[0], Values{name: value}); ok {
				list = append(list, element)
			}
		}
		return list
	}
	return tree
}

// placeholders lists the names in braces of a text.
func placeholders(text string) []string {
	var names []string
	for {
		open := strings.IndexByte(text, '{')
		shut := strings.IndexByte(text, '}')
		if open < 0 || shut < open {
			return names
		}
		names = append(names, text[open+1:shut])
		text = text[shut+1:]
	}
}

// texts calls each for every text of a request that may hold placeholders.
func (r *Request) texts(each func(part, text string)) {
	each("path", r.Path)
	for key, value := range r.Query {
		each("query", key)
		each("query", value)
	}
	for _, value := range r.Headers {
		each("headers", value)
	}
	treeTexts(r.Body, each)
}

func treeTexts(tree any, each func(part, text string)) {
	switch typed := tree.(type) {
	case map[string]any:
		for key, value := range typed {
			each("body", key)
			treeTexts(value, each)
		}
	case []any:
		for _, value := range typed {
			treeTexts(value, each)
		}
	case string:
		each("body", typed)
	}
}

// Holds reports whether the request has a placeholder of that name.
func (r *Request) Holds(name string) bool {
	found := false
	r.texts(func(_, text string) { found = found || strings.Contains(text, "{"+name+"}") })
	return found
}

// Look finds the value at a dotted path; "." is the whole.
func Look(value any, path string) (any, bool) {
	if path == "." {
		return value, true
	}
	if path == "" {
		return nil, false
	}
	for step := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = object[step]; !ok {
			return nil, false
		}
	}
	return value, true
}
