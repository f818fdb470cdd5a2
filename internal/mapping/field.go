package mapping

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// ErrNoCounterpart is inside the fault of a reference whose record has no
// counterpart on the other side. The engine reports it or leaves the field unset.
var ErrNoCounterpart = errors.New("the referenced record has no counterpart")

// Resolver gives the id, on the other side, of the record that id names on side
// from in the stream. ok is false where there is no link.
type Resolver func(stream string, from record.Side, id string) (counterpart string, ok bool)

// Field is one compiled field mapping. It is immutable and safe for concurrent use.
type Field struct {
	spec   FieldSpec
	places map[record.Side]*place
	values *vocabulary
}

// place is one side of a field.
type place struct {
	path   string
	read   *expression
	write  []target
	listed []string
}

type target struct {
	path string
	give *expression
}

// NewField compiles a field. The error is a *SpecError.
func NewField(spec FieldSpec) (*Field, error) {
	field := &Field{spec: spec, places: map[record.Side]*place{}}
	for _, side := range record.Sides() {
		place, err := compilePlace(spec.place(side))
		if err != nil {
			err.Part = string(side) + err.Part
			return nil, err
		}
		field.places[side] = place
		if spec.writes(side) && place.path == "" && len(place.write) == 0 {
			return nil, &SpecError{Part: string(side), Err: errors.New("this side is written but has no write expressions")}
		}
	}
	var err error
	if field.values, err = newVocabulary(spec); err != nil {
		return nil, &SpecError{Part: "values", Err: err}
	}
	return field, nil
}

func compilePlace(spec PlaceSpec) (*place, *SpecError) {
	if spec.Path != "" {
		return &place{path: spec.Path, listed: []string{spec.Path}}, nil
	}
	read, err := compile(spec.Read)
	if err != nil {
		return nil, &SpecError{Part: ".read", Err: err}
	}
	compiled := &place{read: read}
	for _, one := range spec.Write {
		give, err := compileWrite(one.Expression)
		if err != nil {
			return nil, &SpecError{Part: ".write." + one.Path, Err: err}
		}
		compiled.write = append(compiled.write, target{path: one.Path, give: give})
		compiled.listed = append(compiled.listed, one.Path)
	}
	for _, path := range read.paths {
		if !slices.Contains(compiled.listed, path) {
			compiled.listed = append(compiled.listed, path)
		}
	}
	return compiled, nil
}

func (s FieldSpec) place(side record.Side) PlaceSpec {
	if side == record.Left {
		return s.Left
	}
	return s.Right
}

func (s FieldSpec) writes(side record.Side) bool {
	if side == record.Left {
		return s.ToLeft
	}
	return s.ToRight
}

// Name is the key under `fields`.
func (f *Field) Name() string { return f.spec.Name }

// Kind is the normal form in which the field's values are compared.
func (f *Field) Kind() record.Kind { return f.spec.Kind }

// Writable reports whether the field may be written on side.
func (f *Field) Writable(side record.Side) bool { return f.spec.writes(side) }

// Lossy reports whether the server of side may store less than it is sent.
func (f *Field) Lossy(side record.Side) bool {
	if side == record.Left {
		return f.spec.LossyLeft
	}
	return f.spec.LossyRight
}

// Paths are the dotted paths of side that the field touches: first those it
// writes, then those it only reads.
func (f *Field) Paths(side record.Side) []string { return slices.Clone(f.places[side].listed) }

// Path returns the one path of side that holds the field as it is; ok is false
// where the side uses expressions. Searches by key need it.
func (f *Field) Path(side record.Side) (path string, ok bool) {
	path = f.places[side].path
	return path, path != ""
}

// Read returns the field's plain value as the record of side holds it. present is
// false where the record has none of the field's paths, which is not a clear.
// The error is a fault.Invalid of a failing expression.
func (f *Field) Read(side record.Side, fields record.Fields) (raw any, present bool, err error) {
	from := f.places[side]
	if from.read == nil {
		raw, present = fields.Get(from.path)
		return raw, present, nil
	}
	raw, err = from.read.run(fields)
	if err != nil {
		return nil, false, f.named(err)
	}
	present = len(from.read.paths) == 0
	for _, path := range from.read.paths {
		if _, ok := fields.Get(path); ok {
			present = true
		}
	}
	return raw, present, nil
}

// ShownBy reports whether fields tell what the field holds on side: each path it
// reads is there, or at least the object in which it would stand. An event that
// leaves a field out says nothing of it.
func (f *Field) ShownBy(side record.Side, fields record.Fields) bool {
	from := f.places[side]
	paths := []string{from.path}
	if from.read != nil {
		paths = from.read.paths
	}
	for _, path := range paths {
		if _, ok := fields.Get(path); ok {
			continue
		}
		cut := strings.LastIndexByte(path, '.')
		if cut < 0 {
			return false
		}
		parent, _ := fields.Get(path[:cut])
		if _, object := parent.(map[string]any); !object {
			return false
		}
	}
	return true
}

// Canonical returns the form in which the values of both sides can be compared
// with each other: left words of `values`, left ids of references, then
// record.Canon. A word or reference that has no counterpart gives a form that
// equals no value of the other side. nil is blank. The error is reserved: a
// value of any shape has a form.
func (f *Field) Canonical(side record.Side, raw any, refs Resolver) (any, error) {
	kind := f.spec.Kind
	switch {
	case record.Canon(kind, raw) == nil:
		return nil, nil
	case f.values != nil:
		return record.Canon(kind, f.each(raw, func(one any) any { return f.values.common(side, one) })), nil
	case kind.Name == record.KindRef && side == record.Right:
		return record.Canon(kind, f.each(raw, func(one any) any { return f.leftID(one, refs) })), nil
	}
	return record.Canon(kind, raw), nil
}

// each applies translate to a value, or to every element of a list.
func (f *Field) each(raw any, translate func(one any) any) any {
	list, ok := record.Plain(raw).([]any)
	if !ok {
		return translate(raw)
	}
	translated := make([]any, len(list))
	for i, one := range list {
		translated[i] = translate(one)
	}
	return translated
}

func (f *Field) leftID(id any, refs Resolver) any {
	text, ok := record.Canon(f.spec.Kind, id).(string)
	if !ok {
		return nil
	}
	if counterpart, found := f.counterpart(record.Right, text, refs); found {
		return counterpart
	}
	return map[string]any{"right": text}
}

// counterpart asks the resolver; without one nothing is linked.
func (f *Field) counterpart(from record.Side, id string, refs Resolver) (string, bool) {
	if refs == nil || id == "" {
		return "", false
	}
	return refs(f.spec.Kind.Stream, from, id)
}

// Convert returns what to write on the side opposite of from, by dotted path, so
// that it holds raw: words and references translated, write expressions evaluated
// with `value` = the translated value in normal form. A simple path gets the
// value as the user typed it. A blank clears every path (null; an empty list for
// sets). The patch is nil where the field is not written on that side. Errors are
// fault.Invalid with Field set; inside is ErrNoCounterpart for a reference.
func (f *Field) Convert(from record.Side, raw any, refs Resolver) (map[string]any, error) {
	side := from.Other()
	if !f.Writable(side) {
		return nil, nil
	}
	to := f.places[side]
	if record.Canon(f.spec.Kind, raw) == nil {
		return f.clear(to), nil
	}
	value, err := f.translate(from, raw, refs)
	if err != nil {
		return nil, err
	}
	if to.path != "" {
		return map[string]any{to.path: value}, nil
	}
	env := map[string]any{"value": normal(f.spec.Kind, value)}
	patch := make(map[string]any, len(to.write))
	for _, one := range to.write {
		given, err := one.give.run(env)
		if err != nil {
			return nil, f.named(err)
		}
		if given == "" {
			given = nil
		}
		patch[one.path] = given
	}
	return patch, nil
}

func (f *Field) clear(to *place) map[string]any {
	var blank any
	if f.spec.Kind.Name == record.KindSet {
		blank = []any{}
	}
	if to.path != "" {
		return map[string]any{to.path: blank}
	}
	patch := make(map[string]any, len(to.write))
	for _, one := range to.write {
		patch[one.path] = nil
	}
	return patch
}

// translate gives the words and ids of the other side.
func (f *Field) translate(from record.Side, raw any, refs Resolver) (any, error) {
	var failed error
	switch {
	case f.values != nil:
		return f.each(raw, func(one any) any {
			word, ok := f.values.counterpart(from, one)
			if !ok {
				failed = f.invalid(nil, "field %s has a value without a counterpart in `values`, which knows %s: add it there or correct the record",
					f.Name(), strings.Join(f.values.words(from), ", "))
			}
			return word
		}), failed
	case f.spec.Kind.Name == record.KindRef:
		return f.each(raw, func(one any) any {
			text, _ := record.Canon(f.spec.Kind, one).(string)
			counterpart, ok := f.counterpart(from, text, refs)
			if !ok {
				failed = f.invalid(ErrNoCounterpart, "field %s points to a record of %s without a counterpart on the %s side",
					f.Name(), f.spec.Kind.Stream, from.Other())
			}
			return counterpart
		}), failed
	}
	return raw, nil
}

// normal is what write expressions see: the normal form, with numbers as numbers.
func normal(kind record.Kind, value any) any {
	switch kind.Name {
	case record.KindEmail, record.KindPhone, record.KindSet, record.KindDate, record.KindRef:
		return record.Canon(kind, value)
	case record.KindNumber:
		if text, ok := record.Canon(kind, value).(string); ok {
			return record.Plain(json.Number(text))
		}
	}
	if text, ok := value.(string); ok {
		return norm.NFC.String(text)
	}
	return value
}

// Expected returns what Read gives on the target side once patch is applied to
// the record that is there now.
func (f *Field) Expected(side record.Side, current record.Fields, patch map[string]any) (any, error) {
	after := current.Clone()
	if after == nil {
		after = record.Fields{}
	}
	for path, value := range patch {
		after.Set(path, value)
	}
	raw, _, err := f.Read(side, after)
	return raw, err
}

// named puts the field's name into the error of an expression.
func (f *Field) named(err error) error {
	coded := fault.As(err)
	if coded == nil {
		return f.invalid(err, "field %s cannot be mapped", f.Name())
	}
	return f.invalid(coded, "field %s: %s", f.Name(), coded.Message)
}

func (f *Field) invalid(cause error, format string, args ...any) error {
	failure := fault.Wrap(fault.Invalid, cause, format, args...)
	failure.Field = f.Name()
	return failure
}
