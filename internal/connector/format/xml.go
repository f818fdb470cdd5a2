package format

import (
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// Bounds of one XML text: it is somebody else's.
const (
	// MaxElements is the most elements and attributes.
	MaxElements = 500_000
	// MaxDepth is the most elements inside each other.
	MaxDepth = 200
)

const (
	// textKey is the text of an element that has attributes or elements besides.
	textKey = "#text"
	// attributeMark stands before an attribute's name.
	attributeMark = "@"
	// nilSpace is the namespace of xsi:nil.
	nilSpace = "http://www.w3.org/2001/XMLSchema-instance"
)

// ReadXML reads an XML text into a tree: an object with the root element's name as
// its one key. An element without attributes and elements is its text, or nil when
// it is empty, blank or says xsi:nil; another one is an object with its elements by
// name, its attributes as "@name" and its text, if it has any, as "#text". Elements
// of one name are a list. Namespaces are left out, but for those that the rules
// declare: their names stand behind the declared prefix and a colon.
//
// The encoding is that of a byte order mark, of contentType or of the XML
// declaration, in this order, else UTF-8. Document types are refused, and with
// them entities and all that is read from elsewhere. Errors: fault.TooLarge beyond
// MaxElements or MaxDepth, else fault.Invalid.
func ReadXML(body []byte, contentType string, rules *manifest.XML) (map[string]any, error) {
	said, err := xmlText(body, contentType)
	if err != nil {
		return nil, err
	}
	decoder := xml.NewDecoder(strings.NewReader(said))
	decoder.Strict = true
	// The text is UTF-8 by now, whatever its declaration says.
	decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	reading := &xmlReading{rules: rules, open: []*element{{value: map[string]any{}}}}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, notXML(err)
		}
		if err := reading.take(token); err != nil {
			return nil, err
		}
	}
	root := reading.open[0].value
	if len(root) == 0 {
		return nil, fault.New(fault.Invalid, "the XML is empty")
	}
	return root, nil
}

// notXML does not quote the text that is wrong: it may be personal data.
func notXML(err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		return fault.New(fault.Invalid, "it is not XML: line %d", syntax.Line)
	}
	return fault.New(fault.Invalid, "it is not XML")
}

// xmlText decodes the text by what says its encoding.
func xmlText(body []byte, contentType string) (string, error) {
	name, skip := markOf(body)
	if name == "" {
		name = CharsetOf(contentType)
	}
	if name == "" {
		name = declaredIn(body)
	}
	return text(body[skip:], name)
}

// declaredIn is the encoding of the XML declaration. One in UTF-16 shows by its
// zero bytes.
func declaredIn(body []byte) string {
	const reach = 200
	head := string(body[:min(len(body), reach)])
	switch {
	case strings.HasPrefix(head, "\x00<"):
		return "utf-16be"
	case strings.HasPrefix(head, "<\x00"):
		return "utf-16le"
	case !strings.HasPrefix(head, "<?xml"):
		return ""
	}
	declaration, _, _ := strings.Cut(head, "?>")
	_, after, found := strings.Cut(declaration, "encoding")
	after = strings.TrimLeft(strings.TrimPrefix(strings.TrimSpace(after), "="), " ")
	if !found || after == "" {
		return ""
	}
	name, _, _ := strings.Cut(after[1:], after[:1])
	if strings.HasPrefix(plain(name), "utf-16") {
		return "" // it could be read so far: it is none
	}
	return name
}

// element is one that is open.
type element struct {
	name  string
	value map[string]any
	text  strings.Builder
	null  bool
}

// xmlReading collects the tree.
type xmlReading struct {
	rules *manifest.XML
	open  []*element
	count int
}

func (r *xmlReading) take(token xml.Token) error {
	here := r.open[len(r.open)-1]
	switch typed := token.(type) {
	case xml.StartElement:
		return r.start(typed)
	case xml.EndElement:
		r.open = r.open[:len(r.open)-1]
		add(r.open[len(r.open)-1].value, here.name, here.held())
	case xml.CharData:
		if len(r.open) > 1 {
			here.text.Write(typed)
		}
	case xml.Directive:
		return fault.New(fault.Invalid, "the XML has a document type; such texts are not read, as they may define entities and refer to elsewhere")
	}
	return nil
}

func (r *xmlReading) start(token xml.StartElement) error {
	opened := &element{name: r.name(token.Name), value: map[string]any{}}
	for _, attribute := range token.Attr {
		switch {
		case attribute.Name.Space == "xmlns" || attribute.Name.Space == "" && attribute.Name.Local == "xmlns":
		case attribute.Name.Space == nilSpace:
			opened.null = opened.null || attribute.Name.Local == "nil" && (attribute.Value == "true" || attribute.Value == "1")
		default:
			opened.value[attributeMark+r.name(attribute.Name)] = attribute.Value
		}
	}
	r.open = append(r.open, opened)
	if r.count += 1 + len(token.Attr); r.count > MaxElements {
		return fault.New(fault.TooLarge, "the XML has more than %d elements and attributes; ask for smaller pages", MaxElements)
	}
	if len(r.open) > MaxDepth {
		return fault.New(fault.TooLarge, "the XML is nested more than %d deep", MaxDepth)
	}
	return nil
}

// name is the name of an element or attribute in the tree.
func (r *xmlReading) name(name xml.Name) string {
	for _, prefix := range slices.Sorted(maps.Keys(r.rules.Namespaces)) {
		if name.Space != "" && r.rules.Namespaces[prefix] == name.Space {
			return prefix + ":" + name.Local
		}
	}
	return name.Local
}

// held is what a closed element is in the tree.
func (e *element) held() any {
	said := e.text.String()
	switch {
	case e.null && len(e.value) == 0:
		return nil
	case len(e.value) > 0:
		if said = strings.TrimSpace(said); said != "" {
			e.value[textKey] = said
		}
		return e.value
	case strings.TrimSpace(said) == "":
		return nil
	}
	return said
}

// add puts a value under a name; a second one makes a list.
func add(object map[string]any, name string, value any) {
	before, there := object[name]
	if !there {
		object[name] = value
		return
	}
	list, several := before.([]any)
	if !several {
		list = []any{before}
	}
	object[name] = append(list, value)
}
