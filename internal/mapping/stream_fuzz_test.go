package mapping

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// FuzzStream compiles any read, write and where and lets them see any record.
// Mistakes have a position, failures are of the record, and a value that was
// written reads back without an error or is refused.
func FuzzStream(f *testing.F) {
	const row = `{"first":"Ana","last":"Souza","n":7.50,"tags":["a","b"],"custom":{"x":null,"tier":"gold"},"status":"new"}`
	for _, seed := range [][3]string{
		{`trim((first ?? "") + " " + (last ?? ""))`, `split(value, " ", 2)[0]`, `status != "closed"`},
		{`custom.tier`, `upper(value)`, `"a" in tags`}, {`n * 2`, `int(value) % 3`, `n > 7`}, {`map(tags, # + "x")`, `join(value, ",")`, `any(tags, # == "b")`},
		{`date(first)`, `value`, `true`}, {`{"a": n}`, `value.a`, `first matches "^A"`}, {`last[0:3]`, `len(value)`, `nil`},
	} {
		f.Add(seed[0], seed[1], seed[2], row)
	}
	f.Fuzz(func(t *testing.T, read, write, where, row string) {
		decoder := json.NewDecoder(bytes.NewReader([]byte(row)))
		decoder.UseNumber()
		var fields record.Fields
		if decoder.Decode(&fields) != nil || fields == nil || read == "" || write == "" {
			return
		}
		stream, err := NewStream(StreamSpec{Name: "s", LeftWhere: where, RightWhere: where, Match: []string{"f"}, Fields: []FieldSpec{{
			Name: "f", ToLeft: true, ToRight: true,
			Left:  PlaceSpec{Read: read, Write: []TargetSpec{{Path: "a.b", Expression: write}, {Path: "c", Expression: write}}},
			Right: PlaceSpec{Path: "custom.f"},
		}}})
		if err != nil {
			var located *ExpressionError
			require.ErrorAs(t, err, &located)
			require.Positive(t, located.Line)
			require.Positive(t, located.Column)
			return
		}
		mustBeOfTheRecord := func(err error) {
			if err != nil {
				require.Equal(t, fault.Invalid, fault.CodeOf(err), "%v", err)
			}
		}
		field := stream.Field("f")
		for _, side := range record.Sides() {
			_, err := stream.InScope(side, fields)
			mustBeOfTheRecord(err)
			stream.MatchKey(side, fields, nil)
			raw, _, err := field.Read(side, fields)
			mustBeOfTheRecord(err)
			if err != nil {
				continue
			}
			_, err = field.Canonical(side, raw, nil)
			mustBeOfTheRecord(err)
			patch, err := field.Convert(side, raw, nil)
			mustBeOfTheRecord(err)
			if err == nil {
				_, err = field.Expected(side.Other(), fields, patch)
				mustBeOfTheRecord(err)
			}
		}
	})
}
