package integration

import (
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/mapping"
)

// Compile returns the compiled mapping of every stream, in the order of the file.
// The error is a fault.Usage.
func (i *Integration) Compile() ([]*mapping.Stream, error) {
	streams := make([]*mapping.Stream, 0, len(i.Streams))
	for n := range i.Streams {
		stream, err := mapping.NewStream(i.Streams[n].spec())
		if err != nil {
			return nil, fault.New(fault.Usage, "stream %s: %v", i.Streams[n].Name, err)
		}
		streams = append(streams, stream)
	}
	return streams, nil
}

func (s *Stream) spec() mapping.StreamSpec {
	spec := mapping.StreamSpec{Name: s.Name, LeftWhere: s.Left.Where, RightWhere: s.Right.Where, Match: s.Match}
	for i := range s.Fields {
		field := s.Fields[i].spec()
		switch {
		case s.Left.Object == "":
			field.Left = field.Right
		case s.Right.Object == "":
			field.Right = field.Left
		}
		if s.OneSided() {
			field.ToLeft, field.ToRight = false, false
		}
		if s.Mode == ModeMatchOnly {
			field.ToLeft, field.ToRight = false, false
		}
		spec.Fields = append(spec.Fields, field)
	}
	return spec
}

func (f *Field) spec() mapping.FieldSpec {
	spec := mapping.FieldSpec{
		Name: f.Name, Left: f.Left.spec(), Right: f.Right.spec(), Kind: f.As,
		ToLeft: f.Direction != LeftToRight, ToRight: f.Direction != RightToLeft,
		LossyLeft: f.LossyLeft, LossyRight: f.LossyRight,
	}
	for _, pair := range f.Values {
		spec.Values = append(spec.Values, mapping.Pair{Left: pair.Left, Right: pair.Right})
	}
	for _, one := range f.Also {
		spec.Also = append(spec.Also, mapping.Also{Side: one.Side, Word: one.Word, As: one.As})
	}
	return spec
}

func (p Place) spec() mapping.PlaceSpec {
	spec := mapping.PlaceSpec{Path: p.Path, Read: p.Read}
	for _, target := range p.Write {
		spec.Write = append(spec.Write, mapping.TargetSpec{Path: target.Path, Expression: target.Expression})
	}
	return spec
}
