package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/record"
)

// shapes compares the mapping with what a server says of its own fields, where it
// does: a vendor's update shows here before the first record fails.
func shapes(ctx context.Context, plan Plan, side record.Side, open connector.Connector, found *Found) {
	server, ok := open.(connector.Describer)
	if !ok {
		return
	}
	for n := range plan.Integration.Streams {
		stream := &plan.Integration.Streams[n]
		if stream.End(side).Object == "" {
			continue
		}
		described, err := server.Describe(ctx, stream.End(side).Object)
		if err != nil {
			found.add(Test{Side: side, About: "shape", Name: stream.Name, Text: words(err)})
			continue
		}
		if len(described) == 0 {
			continue
		}
		wrong := shapeMistakes(stream, side, described)
		for _, text := range wrong {
			found.add(Test{Side: side, About: "shape", Name: stream.Name, Text: text})
		}
		if len(wrong) == 0 {
			found.add(Test{Side: side, About: "shape", Name: stream.Name, OK: true, Text: "the mapping fits what " + plan.Title(side) + " says of its fields"})
		}
	}
}

// shapeMistakes are the ways in which a stream does not fit a server's fields.
func shapeMistakes(stream *integration.Stream, side record.Side, described []connector.FieldShape) []string {
	known := map[string]connector.FieldShape{}
	for _, shape := range described {
		known[shape.Name] = shape
	}
	for _, one := range stream.End(side).LookUps {
		known[one.Name] = connector.FieldShape{Name: one.Name, ReadOnly: true}
	}
	var wrong []string
	sent := map[string]bool{topOf(stream.Marker.Of(side)): true}
	for n := range stream.Fields {
		field := &stream.Fields[n]
		written := field.Written(side)
		for _, path := range pathsOf(field, side) {
			shape, ok := known[topOf(path)]
			switch {
			case !ok:
				wrong = append(wrong, fmt.Sprintf("%s: there is no field %s (any more)", field.Name, topOf(path)))
			case stream.Writes(side) && shape.ReadOnly && slices.Contains(written, path):
				wrong = append(wrong, fmt.Sprintf("%s: %s cannot be written: narrow the field's direction", field.Name, topOf(path)))
			}
		}
		for _, path := range written {
			sent[topOf(path)] = true
		}
		wrong = append(wrong, valueMistakes(stream, field, side, known)...)
	}
	if !stream.Writes(side) {
		return wrong
	}
	for _, shape := range described {
		if shape.Required && !shape.ReadOnly && !sent[shape.Name] {
			wrong = append(wrong, shape.Name+" must be sent with each new record, and no field writes it")
		}
	}
	return wrong
}

// valueMistakes compares `values` with the only ones that the server takes: those
// that are written there, and those that are read there.
func valueMistakes(stream *integration.Stream, field *integration.Field, side record.Side, known map[string]connector.FieldShape) []string {
	shape := known[field.Place(side).Path]
	if len(field.Values) == 0 || len(shape.Values) == 0 {
		return nil
	}
	written := stream.Writes(side) && len(field.Written(side)) > 0
	read := stream.Writes(side.Other()) && len(field.Written(side.Other())) > 0
	var mapped, wrong []string
	for _, pair := range field.Values {
		value := fmt.Sprint(pair.Of(side))
		mapped = append(mapped, value)
		if written && !slices.Contains(shape.Values, value) {
			wrong = append(wrong, fmt.Sprintf("%s: %s does not take %q (any more); it takes %s", field.Name, shape.Name, value, strings.Join(shape.Values, ", ")))
		}
	}
	for _, value := range shape.Values {
		if read && !slices.Contains(mapped, value) {
			wrong = append(wrong, fmt.Sprintf("%s: %s may hold %q, which has no counterpart under values: such records are parked", field.Name, shape.Name, value))
		}
	}
	return wrong
}

// pathsOf are the paths that a field names on a side; what an expression reads is
// not known.
func pathsOf(field *integration.Field, side record.Side) []string {
	if path := field.Place(side).Path; path != "" {
		return []string{path}
	}
	return field.Written(side)
}

func topOf(path string) string {
	top, _, _ := strings.Cut(path, ".")
	return top
}
