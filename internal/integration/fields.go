package integration

import (
	"fmt"
	"strings"

	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

func (d *decoder) fields(stream *Stream, v value) []Field {
	all := v.object()
	if all == nil {
		return nil
	}
	if len(all.keys) == 0 {
		d.problem(v, "at least one field is needed")
	}
	var fields []Field
	for _, name := range all.keys {
		if !isName(name) {
			d.problem(all.key(name), "%q is not a name: letters, digits, - _ .", name)
		}
		given := all.take(name)
		if !given.given() {
			d.problem(all.key(name), "the field is empty")
			continue
		}
		if body := given.object(); body != nil {
			fields = append(fields, d.field(stream, name, body))
		}
	}
	return fields
}

func (d *decoder) field(stream *Stream, name string, body *object) Field {
	field := Field{Name: name, Direction: stream.Direction}
	left, right := body.need("left"), body.need("right")
	field.Left, field.Right = left.place(), right.place()
	field.As = body.take("as").kind()
	if narrowed := body.take("direction"); narrowed.given() {
		own := narrowed.choice(Both, LeftToRight, RightToLeft)
		if stream.Direction != Both && own != stream.Direction {
			d.problem(narrowed, "the stream goes %s only: a field may narrow that, not widen or turn it", stream.Direction)
		}
		field.Direction = own
	}
	if lossy := body.take("lossy"); lossy.given() {
		side := lossy.choice("left", "right", "both")
		field.LossyLeft, field.LossyRight = side != "right", side != "left"
	}
	values := body.take("values")
	field.Values = d.pairs(values, field)
	if values.given() && field.As.Name == record.KindRef {
		d.problem(values, "a reference has no values")
	}
	field.Also = d.also(body.take("also"), field)
	body.done()
	if stream.Mode != ModeMatchOnly {
		d.writable(left, field.Left, field.Direction == LeftToRight)
		d.writable(right, field.Right, field.Direction == RightToLeft)
	}
	return field
}

// writable checks that a side that is written knows how.
func (d *decoder) writable(v value, place Place, readOnly bool) {
	if !readOnly && place.Read != "" && len(place.Write) == 0 {
		d.problem(v, "write is missing: add it, or narrow the field's direction")
	}
}

// place reads a path, or {read, write}.
func (v value) place() Place {
	if !v.given() {
		return Place{}
	}
	if kindOf(v.node) != "an object" {
		return Place{Path: v.word("a dotted path", isPath)}
	}
	body := v.object()
	var place Place
	if read := body.need("read"); read.given() {
		place.Read = read.expression(mapping.CheckRead)
	}
	if write := body.take("write").object(); write != nil {
		for n, path := range write.keys {
			if !isPath(path) {
				v.d.problem(write.key(path), "%q is not a dotted path", path)
			}
			for _, earlier := range write.keys[:n] {
				if overlap(path, earlier) {
					v.d.problem(write.key(path), "%s and %s are written to the same place", path, earlier)
				}
			}
			given := write.take(path)
			if !given.given() {
				v.d.problem(write.key(path), "the expression is missing")
				continue
			}
			place.Write = append(place.Write, Target{Path: path, Expression: given.expression(mapping.CheckWrite)})
		}
	}
	body.done()
	return place
}

// kind reads `as`.
func (v value) kind() record.Kind {
	if !v.given() {
		return record.Kind{}
	}
	if kindOf(v.node) != "an object" {
		text, ok := v.scalar()
		switch text {
		case record.KindEmail, record.KindSet, record.KindNumber, record.KindDate:
			return record.Kind{Name: text}
		}
		if ok {
			v.d.problem(v, "%q is not one of email, set, number, date, {phone: COUNTRY}, {ref: STREAM}", text)
		}
		return record.Kind{}
	}
	body := v.object()
	phone, ref := body.take("phone"), body.take("ref")
	body.done()
	switch {
	case phone.given() == ref.given():
		v.d.problem(v, "must be either {phone: COUNTRY} or {ref: STREAM}")
	case phone.given():
		return record.Kind{Name: record.KindPhone, Region: phone.word("an ISO 3166 country in capitals, such as BR", record.KnownRegion)}
	default:
		return record.Kind{Name: record.KindRef, Stream: ref.word("the name of a stream", isName)}
	}
	return record.Kind{}
}

// pairs reads `values` and checks that there is one way back where one is needed.
func (d *decoder) pairs(v value, field Field) []Pair {
	body := v.object()
	if body == nil {
		return nil
	}
	if len(body.keys) == 0 {
		d.problem(v, "at least one value is needed")
	}
	var pairs []Pair
	owner := map[string]string{}
	for _, key := range body.keys {
		right := body.members[key]
		body.take(key)
		pair := Pair{Left: value{d: d, node: body.keyAt[key], path: right.path}.typed(), Right: right.typed()}
		if pair.Left == nil || pair.Right == nil {
			continue
		}
		word := strings.TrimSpace(fmt.Sprint(pair.Right))
		if earlier, again := owner[word]; again && field.Direction != LeftToRight {
			d.problem(right, "%s and %s both become %s, so that there is no way back: values must be one-to-one unless the field is %s", earlier, key, word, LeftToRight)
		}
		owner[word] = key
		pairs = append(pairs, pair)
	}
	return pairs
}

// also reads the further values of each side: each counts as one of `values`.
func (d *decoder) also(v value, field Field) []Also {
	body := v.object()
	if body == nil {
		return nil
	}
	var found []Also
	for _, side := range record.Sides() {
		known := map[string]bool{}
		for _, pair := range field.Values {
			known[strings.TrimSpace(fmt.Sprint(pair.Of(side)))] = true
		}
		words := body.take(string(side)).object()
		if words == nil {
			continue
		}
		for _, key := range words.keys {
			as := words.members[key]
			words.take(key)
			one := Also{Side: side, Word: value{d: d, node: words.keyAt[key], path: as.path}.typed(), As: as.typed()}
			switch {
			case one.Word == nil || one.As == nil:
				continue
			case !known[strings.TrimSpace(fmt.Sprint(one.As))]:
				d.problem(as, "%v is none of the %s words under values", one.As, side)
			case known[key]:
				d.problem(words.key(key), "%s stands under values already", key)
			}
			found = append(found, one)
		}
	}
	body.done()
	return found
}

// targets checks that no two fields, and no field and the marker, write the same place.
func (d *decoder) targets(stream *Stream, fields value) {
	body := fields.object()
	if body == nil || stream.Mode == ModeMatchOnly {
		return
	}
	for _, side := range record.Sides() {
		type owned struct{ path, owner string }
		var written []owned
		if path := stream.Marker.Of(side); path != "" {
			written = append(written, owned{path, "the marker"})
		}
		for i := range stream.Fields {
			field := &stream.Fields[i]
			for _, path := range field.Written(side) {
				for _, one := range stream.End(side).LookUps {
					if overlap(path, one.Name) {
						d.problem(body.key(field.Name), "%s is looked up on the %s side; nothing can be written to it", one.Name, side)
					}
				}
				for _, other := range written {
					if overlap(path, other.path) && other.owner != "field "+field.Name {
						d.problem(body.key(field.Name), "%s is written on the %s side by %s too", path, side, other.owner)
					}
				}
				written = append(written, owned{path, "field " + field.Name})
			}
		}
	}
}

// Place is where a side has the field.
func (f *Field) Place(side record.Side) Place {
	if side == record.Left {
		return f.Left
	}
	return f.Right
}

// Of is the value of a side.
func (p Pair) Of(side record.Side) any {
	if side == record.Left {
		return p.Left
	}
	return p.Right
}

// Written are the paths of a side that the field writes; none where its direction
// leaves that side alone.
func (f *Field) Written(side record.Side) []string {
	if !goes(f.Direction, side.Other()) {
		return nil
	}
	place := f.Place(side)
	if place.Path != "" {
		return []string{place.Path}
	}
	paths := make([]string, 0, len(place.Write))
	for _, target := range place.Write {
		paths = append(paths, target.Path)
	}
	return paths
}
