package manifest

import (
	"maps"
	"slices"
	"strings"
)

// The formats of answers and bodies.
const (
	FormatJSON = "json"
	FormatXML  = "xml"
	FormatCSV  = "csv"
)

// What a null is in XML.
const (
	// NullEmpty is an empty element, NullNil one with xsi:nil, NullOmit none.
	NullEmpty = "empty"
	NullNil   = "nil"
	NullOmit  = "omit"
)

// What a text of XML or CSV can stand for.
const (
	TypeNumber  = "number"
	TypeBoolean = "boolean"
)

// XML are the rules of bodies in XML. A path begins with the root element; one into
// a record begins inside of it. Attributes are named "@name", the text of an element
// that has attributes or elements besides is "#text".
type XML struct {
	// Encoding is that of the bodies we send. Default: utf-8. Answers say their own.
	Encoding string `yaml:"encoding" default:"utf-8"`
	// Namespace is declared for all elements that we send. Namespaces declares
	// prefixes; elements of those are named "prefix:name", all others by their own name.
	Namespace  string            `yaml:"namespace"`
	Namespaces map[string]string `yaml:"namespaces"`
	// Lists are paths in a record that are lists also where there is one element.
	Lists []string `yaml:"lists"`
	// Order is the order of elements in what we send; those that are not named come after, by name.
	Order []string `yaml:"order"`
	// Null is what clears a value: empty (default), nil (xsi:nil) or omit.
	Null string `yaml:"null" default:"empty"`
}

// CSV are the rules of files in CSV. A column with dots in its name is a path.
type CSV struct {
	// Encoding is that of the files, where neither their byte order mark nor the
	// Content-Type says another. Default: utf-8.
	Encoding string `yaml:"encoding" default:"utf-8"`
	// Delimiter stands between columns: "," (default), ";", "|" or "tab".
	Delimiter string `yaml:"delimiter" default:","`
	// Decimal is the sign before decimals: "." (default) or ",".
	Decimal string `yaml:"decimal" default:"."`
	// Header: the first row names the columns. Default: true.
	Header bool `yaml:"header" default:"true"`
	// Columns names the columns of files without a header row, and is their order in
	// what we send. Empty: the first row names them.
	Columns []string `yaml:"columns"`
	// Lists are columns that hold several values, and what stands between those.
	Lists map[string]string `yaml:"lists"`
}

// FormatOf is how a call of an object is written.
func (o *Object) FormatOf(request *Request) string {
	if request.Format != "" {
		return request.Format
	}
	return o.Format
}

// Comma is the delimiter itself.
func (c *CSV) Comma() byte {
	if c.Delimiter == "tab" {
		return '\t'
	}
	return c.Delimiter[0]
}

// plainFormats are the rules where a manifest says none.
func (c *Common) plainFormats() {
	if c.Format == "" {
		c.Format = FormatJSON
	}
	if c.XML == nil {
		c.XML = &XML{Encoding: "utf-8", Null: NullEmpty}
	}
	if c.CSV == nil {
		c.CSV = &CSV{Encoding: "utf-8", Delimiter: ",", Decimal: ".", Header: true}
	}
}

// requests are the calls of a part, by their keys.
func (c *Common) requests() map[string]*Request {
	all := map[string]*Request{}
	for key, listing := range map[string]*Listing{"list": c.List, "changes": c.Changes, "search": c.Search, "deleted": c.Deleted} {
		if listing != nil {
			all[key] = &listing.Request
		}
	}
	if c.Describe != nil {
		all["describe"] = &c.Describe.Request
	}
	if c.Get != nil {
		all["get"] = &c.Get.Request
	}
	for key, writing := range map[string]*Writing{"create": c.Create, "update": c.Update} {
		if writing != nil {
			all[key] = &writing.Request
		}
	}
	if c.Delete != nil {
		all["delete"] = c.Delete
	}
	return all
}

// Encodings are the character encodings that bodies are written in.
func Encodings() []string {
	return []string{"utf-8", "us-ascii", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1251", "windows-1252"}
}

// formats checks the formats of one object, or of all. at is where a key stands.
func (d *decoder) formats(common Common, at func(key string) string) {
	formats := []string{FormatJSON, FormatXML, FormatCSV}
	d.choice(at("format"), common.Format, formats...)
	for key, request := range common.requests() {
		if request.Format != "" {
			d.choice(join(at(key), "format"), request.Format, formats...)
		}
	}
	if common.XML != nil {
		d.xml(common.XML, at("xml"))
	}
	if common.CSV != nil {
		d.csv(common.CSV, at("csv"))
	}
	for _, name := range slices.Sorted(maps.Keys(common.Types)) {
		d.paths(at("types"), name)
		d.choice(at("types"), common.Types[name], TypeNumber, TypeBoolean)
	}
}

// shapes checks what a format asks of the calls of an object.
func (d *decoder) shapes(object *Object, path string) {
	var described *Listing
	if object.Describe != nil {
		described = &object.Describe.Listing
	}
	for key, listing := range map[string]*Listing{"list": object.List, "changes": object.Changes, "search": object.Search, "deleted": object.Deleted, "describe": described} {
		if listing == nil {
			continue
		}
		switch object.FormatOf(&listing.Request) {
		case FormatXML:
			if listing.Rows == "." {
				d.wrong(join(path, key), "rows must be the path of the repeated element in the XML, such as companies.company")
			}
		case FormatCSV:
			if listing.Paging.Kind != PagingNone || listing.Rows != "." {
				d.wrong(join(path, key), "a CSV file is read row by row: it has no paging and no rows")
			}
			if key == "search" || key == "deleted" || key == "describe" {
				d.wrong(join(path, key), "cannot be in CSV")
			}
		}
	}
	if object.List != nil && object.Changes != nil && (object.FormatOf(&object.List.Request) == FormatCSV) != (object.FormatOf(&object.Changes.Request) == FormatCSV) {
		d.wrong(join(path, "changes"), "and list are both in CSV, or neither")
	}
	for key, writing := range map[string]*Writing{"create": object.Create, "update": object.Update} {
		if writing == nil {
			continue
		}
		switch object.FormatOf(&writing.Request) {
		case FormatXML:
			if writing.Wrap == "." || strings.Contains(writing.Wrap, "#") {
				d.wrong(join(path, key), "wrap must be the path of the record from the root element on")
			}
		case FormatCSV:
			if len(object.CSV.Columns) == 0 || writing.Wrap != "." {
				d.wrong(join(path, key), "in CSV it needs csv.columns, and no wrap: a header row and one row are sent")
			}
		}
	}
}

func (d *decoder) xml(rules *XML, path string) {
	d.choice(join(path, "null"), rules.Null, NullEmpty, NullNil, NullOmit)
	d.choice(join(path, "encoding"), rules.Encoding, Encodings()...)
	d.paths(path, slices.Concat(rules.Lists, rules.Order)...)
	for prefix := range rules.Namespaces {
		if !isName(prefix) || prefix == "xsi" || strings.ContainsAny(prefix[:1], "0123456789-.") {
			d.wrong(join(path, "namespaces"), "%q is not a prefix", prefix)
		}
	}
}

func (d *decoder) csv(rules *CSV, path string) {
	d.choice(join(path, "delimiter"), rules.Delimiter, ",", ";", "|", "tab")
	d.choice(join(path, "decimal"), rules.Decimal, ".", ",")
	d.choice(join(path, "encoding"), rules.Encoding, Encodings()...)
	d.paths(path, rules.Columns...)
	d.paths(path, slices.Sorted(maps.Keys(rules.Lists))...)
	if !rules.Header && len(rules.Columns) == 0 {
		d.wrong(path, "without a header row it needs columns")
	}
	for column, between := range rules.Lists {
		if between == "" {
			d.wrong(join(path, "lists"), "%s needs what stands between its values", column)
		}
	}
}
