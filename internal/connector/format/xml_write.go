package format

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// WriteXML writes a tree in the shape that ReadXML makes: an object with one key,
// the root element. Elements come in the order of the rules, the others after them
// by name. A character that the encoding lacks is written as a character reference.
// fault.Invalid names the field of a value that XML cannot hold.
func WriteXML(tree any, rules *manifest.XML) ([]byte, error) {
	root, ok := tree.(map[string]any)
	if !ok || len(root) != 1 {
		return nil, fault.New(fault.Usage, "an XML body has one root element: say wrap in the manifest")
	}
	writing := &xmlWriting{rules: rules}
	fmt.Fprintf(&writing.out, "<?xml version=\"1.0\" encoding=\"%s\"?>\n", strings.ToUpper(rules.Encoding))
	for name, value := range root {
		if err := writing.element(name, value, nil); err != nil {
			return nil, err
		}
	}
	return encoded(writing.out.String(), rules.Encoding, func(r rune) string { return fmt.Sprintf("&#x%X;", r) })
}

// xmlWriting collects the text.
type xmlWriting struct {
	rules *manifest.XML
	out   strings.Builder
}

// element writes one element, or one for each of a list. path are the names from
// the root element down to it, without the root.
func (w *xmlWriting) element(name string, value any, path []string) error {
	if list, ok := value.([]any); ok {
		for _, one := range list {
			if err := w.element(name, one, path); err != nil {
				return err
			}
		}
		return nil
	}
	if !xmlName(name, w.rules) {
		return refused(path, "XML has no element of the name that the mapping gives")
	}
	if value == nil && w.rules.Null == manifest.NullOmit && len(path) > 0 {
		return nil
	}
	w.out.WriteString("<" + name)
	if len(path) == 0 {
		w.declare()
	}
	object, inner := value.(map[string]any)
	if !inner {
		return w.plain(name, value, path)
	}
	if err := w.attributes(object, path); err != nil {
		return err
	}
	w.out.WriteByte('>')
	if said, ok := object[textKey]; ok {
		if err := w.text(said, path); err != nil {
			return err
		}
	}
	for _, child := range w.ordered(object, path) {
		if err := w.element(child, object[child], append(slices.Clone(path), child)); err != nil {
			return err
		}
	}
	w.out.WriteString("</" + name + ">")
	return nil
}

// declare names the namespaces, on the root element.
func (w *xmlWriting) declare() {
	if w.rules.Namespace != "" {
		w.out.WriteString(` xmlns="` + escaped(w.rules.Namespace) + `"`)
	}
	for _, prefix := range slices.Sorted(maps.Keys(w.rules.Namespaces)) {
		w.out.WriteString(` xmlns:` + prefix + `="` + escaped(w.rules.Namespaces[prefix]) + `"`)
	}
	if w.rules.Null == manifest.NullNil {
		w.out.WriteString(` xmlns:xsi="` + nilSpace + `"`)
	}
}

// plain writes an element that is only text.
func (w *xmlWriting) plain(name string, value any, path []string) error {
	if value == nil && w.rules.Null == manifest.NullNil {
		w.out.WriteString(` xsi:nil="true"/>`)
		return nil
	}
	w.out.WriteByte('>')
	if err := w.text(value, path); err != nil {
		return err
	}
	w.out.WriteString("</" + name + ">")
	return nil
}

func (w *xmlWriting) attributes(object map[string]any, path []string) error {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		name, is := strings.CutPrefix(key, attributeMark)
		value := object[key]
		if !is || value == nil {
			continue
		}
		said, ok := Text(value)
		if !xmlName(name, w.rules) || !ok || !xmlHolds(said) {
			return refused(append(slices.Clone(path), key), "XML cannot hold the value as an attribute")
		}
		w.out.WriteString(" " + name + `="` + escaped(said) + `"`)
	}
	return nil
}

func (w *xmlWriting) text(value any, path []string) error {
	if value == nil {
		return nil
	}
	said, ok := Text(value)
	if !ok || !xmlHolds(said) {
		return refused(path, "XML cannot hold the value: control characters and values without a text are not part of it")
	}
	w.out.WriteString(escaped(said))
	return nil
}

// ordered are the elements of an object as the rules want them.
func (w *xmlWriting) ordered(object map[string]any, path []string) []string {
	var names []string
	for name := range object {
		if name != textKey && !strings.HasPrefix(name, attributeMark) {
			names = append(names, name)
		}
	}
	rank := func(name string) int {
		whole := strings.Join(append(slices.Clone(path), name), ".")
		if at := slices.Index(w.rules.Order, whole); at >= 0 {
			return at
		}
		return len(w.rules.Order)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	return names
}

// refused names the field of a value that cannot be written.
func refused(path []string, why string) error {
	coded := fault.New(fault.Invalid, "%s", why)
	coded.Field = strings.Join(path, ".")
	return coded
}

// Text is a single value as it stands in XML and CSV; false for objects, lists and nil.
func Text(value any) (string, bool) {
	switch typed := value.(type) {
	case string:
		return typed, true
	case json.Number:
		return typed.String(), true
	case bool, int, int64, float64:
		encoded, err := json.Marshal(typed)
		return string(encoded), err == nil
	}
	return "", false
}

// escaped is a text inside an element or an attribute. A carriage return and, in
// attributes, line ends and tabs would come back as something else.
func escaped(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#xD;", "\n", "&#xA;", "\t", "&#x9;").Replace(text)
}

// xmlHolds is the rule for characters (XML 1.0, section 2.2).
func xmlHolds(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF || r == unicode.ReplacementChar
	})
}

// xmlName is a careful rule for names: letters, digits, "_", "-", not beginning
// with a digit or "-", behind a declared prefix or none.
func xmlName(name string, rules *manifest.XML) bool {
	if prefix, local, has := strings.Cut(name, ":"); has {
		if _, declared := rules.Namespaces[prefix]; !declared {
			return false
		}
		name = local
	}
	for i, r := range name {
		letter := r == '_' || unicode.IsLetter(r)
		if !letter && (i == 0 || r != '-' && r != '.' && !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != ""
}
