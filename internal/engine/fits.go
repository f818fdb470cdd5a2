package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// The codes of findings about a server's fields.
const (
	// ShapeMissing: the mapping names a field that is not there (any more).
	ShapeMissing = "missing_field"
	// ShapeReadOnly: the mapping writes a field that cannot be written.
	ShapeReadOnly = "read_only_field"
	// ShapeRequired: new records must hold a field that nobody writes.
	ShapeRequired = "new_required_field"
	// ShapeValueGone: `values` names one that the server does not take (any more).
	ShapeValueGone = "value_gone"
	// ShapeValueNew: the server may hold a value without a counterpart under `values`.
	ShapeValueNew = "value_new"
	// ShapeType: the server gives a field another type than it did before.
	ShapeType = "type_changed"
)

// ShapeTypes are the vendor's words for the types of those fields that a stream uses on a side.
func ShapeTypes(stream *integration.Stream, side record.Side, described []connector.FieldShape) map[string]string {
	types := map[string]string{}
	for _, shape := range described {
		if shape.Type == "" {
			continue
		}
		for n := range stream.Fields {
			for _, path := range pathsOf(&stream.Fields[n], side) {
				if within(path, shape.Name) {
					types[shape.Name] = shape.Type
				}
			}
		}
	}
	return types
}

// CompareShapes lists the ways in which a stream does not fit a server's fields. before are
// the types that they had when the mapping was known to fit; nil: that is not known.
func CompareShapes(stream *integration.Stream, side record.Side, described []connector.FieldShape, before map[string]string) []ledger.ShapeFinding {
	known := map[string]connector.FieldShape{}
	for _, shape := range described {
		known[shape.Name] = shape
	}
	for _, one := range stream.End(side).LookUps {
		known[one.Name] = connector.FieldShape{Name: one.Name, ReadOnly: true}
	}
	var found []ledger.ShapeFinding
	sent := []string{stream.Marker.Of(side)}
	for n := range stream.Fields {
		field := &stream.Fields[n]
		written := field.Written(side)
		for _, path := range pathsOf(field, side) {
			found = append(found, fitsPlace(stream, side, field, path, written, known, before)...)
		}
		sent = append(sent, written...)
		found = append(found, fitsValues(stream, field, side, known)...)
	}
	if !stream.Writes(side) {
		return found
	}
	for _, shape := range described {
		filled := slices.ContainsFunc(sent, func(path string) bool { return within(path, shape.Name) })
		if shape.Required && !shape.ReadOnly && !filled {
			found = append(found, ledger.ShapeFinding{Code: ShapeRequired, Field: shape.Name, Text: shape.Name + " must be sent with each new record, and no field writes it"})
		}
	}
	return found
}

// fitsPlace compares one path of a field.
func fitsPlace(stream *integration.Stream, side record.Side, field *integration.Field, path string, written []string, known map[string]connector.FieldShape, before map[string]string) []ledger.ShapeFinding {
	shape, ok := shapeAt(path, known)
	was := before[shape.Name]
	switch {
	case !ok:
		return []ledger.ShapeFinding{{Code: ShapeMissing, Field: field.Name, Text: fmt.Sprintf("%s: there is no field %s (any more)", field.Name, lacking(path, known))}}
	case stream.Writes(side) && shape.ReadOnly && slices.Contains(written, path):
		return []ledger.ShapeFinding{{Code: ShapeReadOnly, Field: field.Name, Text: fmt.Sprintf("%s: %s cannot be written: narrow the field's direction", field.Name, shape.Name)}}
	case was != "" && shape.Type != "" && was != shape.Type:
		return []ledger.ShapeFinding{{Code: ShapeType, Field: field.Name, Text: fmt.Sprintf("%s: %s was of type %s and is of type %s now", field.Name, shape.Name, was, shape.Type)}}
	}
	return nil
}

// fitsValues compares `values` with the only ones that the server takes: those that are
// written there, and those that are read there.
func fitsValues(stream *integration.Stream, field *integration.Field, side record.Side, known map[string]connector.FieldShape) []ledger.ShapeFinding {
	shape := known[field.Place(side).Path]
	if len(field.Values) == 0 || len(shape.Values) == 0 {
		return nil
	}
	written := stream.Writes(side) && len(field.Written(side)) > 0
	read := stream.Writes(side.Other()) && len(field.Written(side.Other())) > 0
	var mapped []string
	var found []ledger.ShapeFinding
	for _, pair := range field.Values {
		value := fmt.Sprint(pair.Of(side))
		mapped = append(mapped, value)
		if written && !slices.Contains(shape.Values, value) {
			found = append(found, ledger.ShapeFinding{Code: ShapeValueGone, Field: field.Name,
				Text: fmt.Sprintf("%s: %s does not take %q (any more); it takes %s", field.Name, shape.Name, value, strings.Join(shape.Values, ", "))})
		}
	}
	for _, one := range field.Also {
		if one.Side == side {
			mapped = append(mapped, fmt.Sprint(one.Word))
		}
	}
	for _, value := range shape.Values {
		if read && !slices.Contains(mapped, value) {
			found = append(found, ledger.ShapeFinding{Code: ShapeValueNew, Field: field.Name,
				Text: fmt.Sprintf("%s: %s may hold %q, which has no counterpart under values: such records are parked", field.Name, shape.Name, value)})
		}
	}
	return found
}

// pathsOf are the paths that a field names on a side; what an expression reads is
// not known.
func pathsOf(field *integration.Field, side record.Side) []string {
	if path := field.Place(side).Path; path != "" {
		return []string{path}
	}
	return field.Written(side)
}

// within reports whether a path is that of a field or of what lies inside it.
func within(path, name string) bool {
	return path == name || strings.HasPrefix(path, name+".")
}

// shapeAt is the described field that a path is of or lies in, the innermost one.
func shapeAt(path string, known map[string]connector.FieldShape) (connector.FieldShape, bool) {
	for {
		if shape, ok := known[path]; ok {
			return shape, true
		}
		last := strings.LastIndexByte(path, '.')
		if last < 0 {
			return connector.FieldShape{}, false
		}
		path = path[:last]
	}
}

// lacking is the part of a path that no described field has: one step more than what is known.
func lacking(path string, known map[string]connector.FieldShape) string {
	for at := 0; at < len(path); at++ {
		if path[at] != '.' {
			continue
		}
		inside := false
		for name := range known {
			inside = inside || strings.HasPrefix(name, path[:at+1])
		}
		if !inside {
			return path[:at]
		}
	}
	return path
}
