// Package ical reads and changes iCalendar texts (RFC 5545) without losing
// anything: a property that is not changed keeps its line as it was written,
// folds included, known or not. Pure; no network, no clock.
package ical

import (
	"errors"
	"slices"
	"strings"
)

// Bounds of one text. An event with a thousand guests has some 2,000 lines.
const (
	// MaxBytes is the longest text.
	MaxBytes = 4 << 20
	// maxLines and maxDepth bound its lines and its components inside each other.
	maxLines = 50_000
	maxDepth = 16
)

// The reasons why a text is not read. None quotes it.
var (
	ErrTooLarge  = errors.New("the iCalendar text is too large")
	ErrMalformed = errors.New("the text is not iCalendar")
)

// Component is a block between BEGIN and END with everything in it.
type Component struct {
	// Name in capitals: "VCALENDAR", "VEVENT".
	Name  string
	begin string
	end   string
	items []item
	// zones are those that were looked for in a calendar; nil: there is none.
	zones map[string]*Zone
}

// item is one thing in a component: a property or a component.
type item struct {
	property  *Property
	component *Component
}

// New makes an empty component.
func New(name string) *Component {
	return &Component{Name: name, begin: "BEGIN:" + name, end: "END:" + name}
}

// Parse reads one iCalendar text with exactly one VCALENDAR. Lines that are no
// properties are kept where they are.
func Parse(text string) (*Component, error) {
	if len(text) > MaxBytes {
		return nil, ErrTooLarge
	}
	lines, err := split(strings.TrimPrefix(text, "\ufeff"))
	if err != nil {
		return nil, err
	}
	var root *Component
	var open []*Component
	for _, raw := range lines {
		property := read(raw)
		switch {
		case property.Name == "BEGIN":
			if root != nil && len(open) == 0 || len(open) == maxDepth {
				return nil, ErrMalformed
			}
			child := &Component{Name: strings.ToUpper(strings.TrimSpace(property.Value)), begin: raw}
			if root == nil {
				root = child
			} else {
				top := open[len(open)-1]
				top.items = append(top.items, item{component: child})
			}
			open = append(open, child)
		case len(open) == 0:
			if strings.TrimSpace(raw) != "" {
				return nil, ErrMalformed
			}
		case property.Name == "END":
			top := open[len(open)-1]
			if !strings.EqualFold(strings.TrimSpace(property.Value), top.Name) {
				return nil, ErrMalformed
			}
			top.end, open = raw, open[:len(open)-1]
		case strings.TrimSpace(raw) != "":
			top := open[len(open)-1]
			top.items = append(top.items, item{property: property})
		}
	}
	if root == nil || root.Name != "VCALENDAR" || len(open) > 0 {
		return nil, ErrMalformed
	}
	return root, nil
}

// split cuts a text into lines as written, each with the folded ones that
// continue it behind it.
func split(text string) ([]string, error) {
	var lines, parts []string
	for len(text) > 0 {
		line := text
		if at := strings.IndexByte(text, '\n'); at >= 0 {
			line, text = text[:at], text[at+1:]
		} else {
			text = ""
		}
		line = strings.TrimSuffix(line, "\r")
		if line != "" && (line[0] == ' ' || line[0] == '\t') && len(parts) > 0 {
			parts = append(parts, line)
			continue
		}
		if len(parts) > 0 {
			lines = append(lines, strings.Join(parts, "\r\n"))
		}
		if len(lines) >= maxLines {
			return nil, ErrTooLarge
		}
		parts = append(parts[:0], line)
	}
	if len(parts) > 0 {
		lines = append(lines, strings.Join(parts, "\r\n"))
	}
	return lines, nil
}

// Text writes the component with everything in it, lines ending in CR LF.
func (c *Component) Text() string {
	var b strings.Builder
	c.write(&b)
	return b.String()
}

func (c *Component) write(b *strings.Builder) {
	b.WriteString(c.begin + "\r\n")
	for _, one := range c.items {
		if one.component != nil {
			one.component.write(b)
			continue
		}
		b.WriteString(one.property.text() + "\r\n")
	}
	b.WriteString(c.end + "\r\n")
}

// Components are the direct children of a name, in their order.
func (c *Component) Components(name string) []*Component {
	var found []*Component
	for _, one := range c.items {
		if one.component != nil && one.component.Name == name {
			found = append(found, one.component)
		}
	}
	return found
}

// Properties are the component's own of a name, in their order; name "": all.
func (c *Component) Properties(name string) []*Property {
	var found []*Property
	for _, one := range c.items {
		if one.property != nil && one.property.Name != "" && (name == "" || one.property.Name == name) {
			found = append(found, one.property)
		}
	}
	return found
}

// First is the first property of a name; nil: there is none.
func (c *Component) First(name string) *Property {
	for _, one := range c.items {
		if one.property != nil && one.property.Name == name {
			return one.property
		}
	}
	return nil
}

// TextOf is the first property of a name as text, unescaped; "" without one.
func (c *Component) TextOf(name string) string {
	if found := c.First(name); found != nil {
		return Unescape(found.Value)
	}
	return ""
}

// Put lets the properties given stand for those of the name, in the place of the
// first of them, else before the first component. None: the name is removed.
func (c *Component) Put(name string, properties ...*Property) {
	at := -1
	kept := make([]item, 0, len(c.items)+len(properties))
	for _, one := range c.items {
		if one.property != nil && one.property.Name == name {
			if at < 0 {
				at = len(kept)
			}
			continue
		}
		kept = append(kept, one)
	}
	if at < 0 {
		at = len(kept)
		for n, one := range kept {
			if one.component != nil {
				at = n
				break
			}
		}
	}
	fresh := make([]item, 0, len(properties))
	for _, property := range properties {
		fresh = append(fresh, item{property: property})
	}
	c.items = slices.Concat(kept[:at], fresh, kept[at:])
}

// Add puts a component behind all others, or before the first of the name given.
func (c *Component) Add(child *Component, before string) {
	for n, one := range c.items {
		if one.component != nil && one.component.Name == before {
			c.items = append(c.items[:n:n], append([]item{{component: child}}, c.items[n:]...)...)
			return
		}
	}
	c.items = append(c.items, item{component: child})
}

// Remove takes a component out.
func (c *Component) Remove(child *Component) {
	for n, one := range c.items {
		if one.component == child {
			c.items = append(c.items[:n:n], c.items[n+1:]...)
			return
		}
	}
}
