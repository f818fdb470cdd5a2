package mapping

import (
	"fmt"
	"slices"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Stream is the compiled mapping of one stream. It is immutable and safe for
// concurrent use.
type Stream struct {
	name   string
	fields []*Field
	match  []*Field
	where  map[record.Side]*expression
}

// NewStream compiles a stream. The error is a *SpecError.
func NewStream(spec StreamSpec) (*Stream, error) {
	stream := &Stream{name: spec.Name, where: map[record.Side]*expression{}}
	for side, source := range map[record.Side]string{record.Left: spec.LeftWhere, record.Right: spec.RightWhere} {
		if source == "" {
			continue
		}
		compiled, err := compile(source)
		if err != nil {
			return nil, &SpecError{Part: "where." + string(side), Err: err}
		}
		stream.where[side] = compiled
	}
	for _, one := range spec.Fields {
		field, err := NewField(one)
		if err != nil {
			return nil, fmt.Errorf("stream %s, field %s: %w", spec.Name, one.Name, err)
		}
		stream.fields = append(stream.fields, field)
	}
	for _, name := range spec.Match {
		field := stream.Field(name)
		if field == nil {
			return nil, &SpecError{Part: "match", Err: fmt.Errorf("there is no field %s", name)}
		}
		stream.match = append(stream.match, field)
	}
	return stream, nil
}

// Name is the key under `streams`.
func (s *Stream) Name() string { return s.name }

// Fields returns the fields in the order of the file.
func (s *Stream) Fields() []*Field { return slices.Clone(s.fields) }

// Field returns the field of that name, or nil.
func (s *Stream) Field(name string) *Field {
	for _, field := range s.fields {
		if field.Name() == name {
			return field
		}
	}
	return nil
}

// Match returns the fields of the natural key, none where records are never
// matched by key.
func (s *Stream) Match() []*Field { return slices.Clone(s.match) }

// InScope reports whether a record of side is kept in step: its `where` is true or
// absent. The error is a fault.Invalid of an expression that fails or gives no boolean.
func (s *Stream) InScope(side record.Side, fields record.Fields) (bool, error) {
	where := s.where[side]
	if where == nil {
		return true, nil
	}
	result, err := where.run(fields)
	if err != nil {
		return false, fault.Wrap(fault.Invalid, err, "stream %s, where of the %s side: the expression fails on this record: handle missing values with ?? and the like", s.name, side)
	}
	in, ok := result.(bool)
	if !ok {
		return false, fault.New(fault.Invalid, "stream %s, where of the %s side: the expression must give true or false", s.name, side)
	}
	return in, nil
}

// MatchKey returns a hash of the natural key in normal form, the same on both
// sides for records with the same key. ok is false where the stream has no key,
// or where a part of it is blank, unreadable or without a counterpart.
func (s *Stream) MatchKey(side record.Side, fields record.Fields, refs Resolver) (key string, ok bool) {
	values := make(map[string]any, len(s.match))
	for _, field := range s.match {
		raw, _, err := field.Read(side, fields)
		if err != nil {
			return "", false
		}
		values[field.Name()] = raw
	}
	return s.KeyOf(side, values, refs)
}

// KeyOf is MatchKey for the plain values of a record of side, by field.
func (s *Stream) KeyOf(side record.Side, values map[string]any, refs Resolver) (key string, ok bool) {
	if len(s.match) == 0 {
		return "", false
	}
	parts := make([]string, 0, 2*len(s.match))
	for _, field := range s.match {
		canon, err := field.Canonical(side, values[field.Name()], refs)
		if err != nil || canon == nil || field.unmatched(canon) {
			return "", false
		}
		parts = append(parts, field.Name(), record.Fingerprint(canon))
	}
	return record.Hash(parts...), true
}

// unmatched reports whether canon stands for a word or reference of one side only.
func (f *Field) unmatched(canon any) bool {
	_, tagged := canon.(map[string]any)
	return tagged && (f.values != nil || f.spec.Kind.Name == record.KindRef)
}
