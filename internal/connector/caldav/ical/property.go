package ical

import (
	"strings"
	"unicode/utf8"
)

// Property is one line of a component.
type Property struct {
	// Name in capitals; "" for a line that is no property.
	Name string
	// Value as written: escaped where it is text.
	Value      string
	parameters []parameter
	// raw is the line as it was read; "" once it was changed.
	raw string
}

type parameter struct{ name, value string }

// NewProperty makes a property of a value as it is to be written.
func NewProperty(name, value string) *Property {
	return &Property{Name: name, Value: strings.ReplaceAll(clean(value), "\n", "")}
}

// NewText makes a property of a text, which is escaped.
func NewText(name, text string) *Property { return &Property{Name: name, Value: Escape(text)} }

// Parameter is a parameter's value without quotes; "" without one.
func (p *Property) Parameter(name string) string {
	for _, one := range p.parameters {
		if one.name == name {
			return one.value
		}
	}
	return ""
}

// With is a copy with a parameter set; value "": without it.
func (p *Property) With(name, value string) *Property {
	copied := &Property{Name: p.Name, Value: p.Value}
	found := false
	for _, one := range p.parameters {
		if one.name == name {
			if found || value == "" {
				continue
			}
			found, one.value = true, clean(value)
		}
		copied.parameters = append(copied.parameters, one)
	}
	if !found && value != "" {
		copied.parameters = append(copied.parameters, parameter{name: name, value: clean(value)})
	}
	return copied
}

// read reads a line with its folded parts.
func read(raw string) *Property {
	line := strings.NewReplacer("\r\n ", "", "\r\n\t", "").Replace(raw)
	end := strings.IndexAny(line, ":;")
	if end <= 0 || strings.ContainsFunc(line[:end], notName) {
		return &Property{raw: raw}
	}
	p := &Property{Name: strings.ToUpper(line[:end]), raw: raw}
	rest := line[end:]
	for strings.HasPrefix(rest, ";") {
		name, tail, ok := strings.Cut(rest[1:], "=")
		if !ok || name == "" || strings.ContainsFunc(name, notName) {
			return &Property{raw: raw}
		}
		value, length := parameterValue(tail)
		p.parameters = append(p.parameters, parameter{name: strings.ToUpper(name), value: value})
		rest = tail[length:]
	}
	value, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return &Property{raw: raw}
	}
	p.Value = value
	return p
}

func notName(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

// parameterValue reads up to the colon or semicolon that ends it, quotes taken
// off and the signs of RFC 6868 read.
func parameterValue(text string) (value string, length int) {
	quoted := false
	for length < len(text) && (quoted || text[length] != ':' && text[length] != ';') {
		if text[length] == '"' {
			quoted = !quoted
		}
		length++
	}
	bare := strings.ReplaceAll(text[:length], `"`, "")
	return strings.NewReplacer("^n", "\n", "^N", "\n", "^'", `"`, "^^", "^").Replace(bare), length
}

// maxLine is the length in bytes at which lines are folded.
const maxLine = 75

func (p *Property) text() string {
	if p.raw != "" || p.Name == "" {
		return p.raw
	}
	var b strings.Builder
	b.WriteString(p.Name)
	for _, one := range p.parameters {
		value := strings.NewReplacer("^", "^^", "\n", "^n", `"`, "^'").Replace(one.value)
		if strings.ContainsAny(value, ":;,") {
			value = `"` + value + `"`
		}
		b.WriteString(";" + one.name + "=" + value)
	}
	b.WriteString(":" + p.Value)
	return fold(b.String())
}

// fold breaks a line between characters.
func fold(line string) string {
	var b strings.Builder
	room := maxLine
	for len(line) > room {
		cut := room
		for cut > 1 && !utf8.RuneStart(line[cut]) {
			cut--
		}
		b.WriteString(line[:cut] + "\r\n ")
		line, room = line[cut:], maxLine-1
	}
	return b.String() + line
}

// clean takes out what no line may hold: it would end it.
func clean(value string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == 0x7f {
			return -1
		}
		return r
	}, value)
}

// Escape writes a text as a value.
func Escape(text string) string {
	text = clean(strings.ReplaceAll(text, "\r\n", "\n"))
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(text)
}

// Unescape reads a value as a text.
func Unescape(value string) string {
	return strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",", `\n`, "\n", `\N`, "\n").Replace(value)
}

// Split cuts a value with several texts at its commas and unescapes them.
func Split(value string) []string {
	var parts []string
	from := 0
	for at := 0; at < len(value); at++ {
		switch value[at] {
		case '\\':
			at++
		case ',':
			parts = append(parts, Unescape(value[from:at]))
			from = at + 1
		}
	}
	return append(parts, Unescape(value[from:]))
}
