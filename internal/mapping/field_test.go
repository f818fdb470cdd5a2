package mapping_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

func twoWay(name string, kind record.Kind, values ...mapping.Pair) mapping.FieldSpec {
	return mapping.FieldSpec{Name: name, Left: mapping.PlaceSpec{Path: "l." + name}, Right: mapping.PlaceSpec{Path: "r." + name},
		Kind: kind, Values: values, ToLeft: true, ToRight: true}
}

func mustField(t require.TestingT, spec mapping.FieldSpec) *mapping.Field {
	field, err := mapping.NewField(spec)
	require.NoError(t, err)
	return field
}

// linked knows one pair of users: left 7, right us_1.
func linked(stream string, from record.Side, id string) (string, bool) {
	pairs := map[record.Side]map[string]string{record.Left: {"7": "us_1"}, record.Right: {"us_1": "7"}}
	counterpart, ok := pairs[from][id]
	return counterpart, ok && stream == "users"
}

func stagePairs() []mapping.Pair {
	return []mapping.Pair{{Left: "new", Right: "lead"}, {Left: "hot", Right: json.Number("1")}, {Left: "done", Right: true}}
}

func TestConvert(t *testing.T) {
	phone := record.Kind{Name: record.KindPhone, Region: "BR"}
	set := record.Kind{Name: record.KindSet}
	ref := record.Kind{Name: record.KindRef, Stream: "users"}
	cases := []struct {
		name string
		spec mapping.FieldSpec
		from record.Side
		raw  any
		want map[string]any
	}{
		{"as typed", twoWay("email", record.Kind{Name: record.KindEmail}), record.Left, " Ana@Example.com", map[string]any{"r.email": " Ana@Example.com"}},
		{"to the left", twoWay("phone", phone), record.Right, "(11) 98765-4321", map[string]any{"l.phone": "(11) 98765-4321"}},
		{"incomplete number", twoWay("phone", phone), record.Left, "98765", map[string]any{"r.phone": "98765"}},
		{"number stays as it was", twoWay("value", record.Kind{}), record.Left, json.Number("75000.00"), map[string]any{"r.value": json.Number("75000.00")}},
		{"zero is a value", twoWay("value", record.Kind{}), record.Left, json.Number("0"), map[string]any{"r.value": json.Number("0")}},
		{"false is a value", twoWay("value", record.Kind{}), record.Left, false, map[string]any{"r.value": false}},
		{"null clears", twoWay("value", record.Kind{}), record.Left, nil, map[string]any{"r.value": nil}},
		{"blank clears", twoWay("email", record.Kind{Name: record.KindEmail}), record.Left, "  ", map[string]any{"r.email": nil}},
		{"empty set", twoWay("tags", set), record.Left, nil, map[string]any{"r.tags": []any{}}},
		{"set as typed", twoWay("tags", set), record.Left, []any{"b", "a"}, map[string]any{"r.tags": []any{"b", "a"}}},
		{"word", twoWay("stage", record.Kind{}, stagePairs()...), record.Left, "new", map[string]any{"r.stage": "lead"}},
		{"typed word", twoWay("stage", record.Kind{}, stagePairs()...), record.Left, "hot", map[string]any{"r.stage": json.Number("1")}},
		{"word back", twoWay("stage", record.Kind{}, stagePairs()...), record.Right, 1.0, map[string]any{"l.stage": "hot"}},
		{"boolean word back", twoWay("stage", record.Kind{}, stagePairs()...), record.Right, true, map[string]any{"l.stage": "done"}},
		{"words in a set", twoWay("stage", set, stagePairs()...), record.Left, []any{"new", "hot"}, map[string]any{"r.stage": []any{"lead", json.Number("1")}}},
		{"reference", twoWay("owner", ref), record.Left, json.Number("7"), map[string]any{"r.owner": "us_1"}},
		{"reference back", twoWay("owner", ref), record.Right, "us_1", map[string]any{"l.owner": "7"}},
		{"expressions", withWrite("record", `value[0]`, `value[1] ?? ""`, set), record.Left, []any{"b", "a", "b"}, map[string]any{"r.one": "a", "r.two": "b"}},
		{"expressions give blanks as null", withWrite("name", `trim(value)`, `""`, record.Kind{}), record.Left, " x ", map[string]any{"r.one": "x", "r.two": nil}},
		{"expressions see numbers", withWrite("n", `value * 2`, `value + 0.5`, record.Kind{}), record.Left, json.Number("2"), map[string]any{"r.one": json.Number("4"), "r.two": json.Number("2.5")}},
		{"expressions see numbers that are text", withWrite("n", `value * 2`, `value + 0.5`, record.Kind{Name: record.KindNumber}), record.Left, " 2.0 ", map[string]any{"r.one": json.Number("4"), "r.two": json.Number("2.5")}},
		{"expressions never see a blank", withWrite("name", `value + "x"`, `value`, record.Kind{}), record.Left, "", map[string]any{"r.one": nil, "r.two": nil}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			patch, err := mustField(t, c.spec).Convert(c.from, c.raw, linked)
			require.NoError(t, err)
			require.Equal(t, c.want, patch)
		})
	}
}

func withWrite(name, one, two string, kind record.Kind) mapping.FieldSpec {
	return mapping.FieldSpec{Name: name, Kind: kind, ToLeft: true, ToRight: true, Left: mapping.PlaceSpec{Path: name},
		Right: mapping.PlaceSpec{Read: `r.one + r.two`, Write: []mapping.TargetSpec{{Path: "r.one", Expression: one}, {Path: "r.two", Expression: two}}}}
}

func TestConvertRefusals(t *testing.T) {
	stage := mustField(t, twoWay("stage", record.Kind{}, stagePairs()...))
	_, err := stage.Convert(record.Left, "private words", linked)
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, "stage", fault.As(err).Field)
	require.NotContains(t, err.Error(), "private")
	require.Contains(t, err.Error(), "new, hot, done")

	owner := mustField(t, twoWay("owner", record.Kind{Name: record.KindRef, Stream: "users"}))
	_, err = owner.Convert(record.Left, "8", linked)
	require.ErrorIs(t, err, mapping.ErrNoCounterpart)
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, "owner", fault.As(err).Field)

	_, err = mustField(t, withWrite("name", `value * 2`, `value`, record.Kind{})).Convert(record.Left, "Ana", linked)
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, "name", fault.As(err).Field)
	require.NotContains(t, err.Error(), "Ana")

	oneWay := twoWay("score", record.Kind{})
	oneWay.ToLeft = false
	patch, err := mustField(t, oneWay).Convert(record.Right, "x", linked)
	require.NoError(t, err)
	require.Nil(t, patch)
}

func TestReadTellsMissingFromNull(t *testing.T) {
	field := mustField(t, withWrite("name", `value`, `value`, record.Kind{}))
	_, present, err := field.Read(record.Left, record.Fields{"other": 1})
	require.NoError(t, err)
	require.False(t, present)
	raw, present, err := field.Read(record.Left, record.Fields{"name": nil})
	require.NoError(t, err)
	require.True(t, present)
	require.Nil(t, raw)
	_, _, err = field.Read(record.Right, record.Fields{})
	require.Equal(t, "name", fault.As(err).Field, "a failing expression names its field")
	raw, present, err = field.Read(record.Right, record.Fields{"r": map[string]any{"one": "a", "two": "b"}})
	require.NoError(t, err)
	require.True(t, present)
	require.Equal(t, "ab", raw)
}

func TestCanonicalComparesBothSides(t *testing.T) {
	phone := twoWay("phone", record.Kind{Name: record.KindPhone, Region: "BR"})
	stage := twoWay("stage", record.Kind{}, stagePairs()...)
	owner := twoWay("owner", record.Kind{Name: record.KindRef, Stream: "users"})
	folded := twoWay("size", record.Kind{}, mapping.Pair{Left: "small", Right: "s"}, mapping.Pair{Left: "tiny", Right: "s"}, mapping.Pair{Left: "large", Right: "l"})
	folded.ToLeft = false
	cases := []struct {
		spec        mapping.FieldSpec
		left, right any
		want        bool
	}{
		{phone, "(11) 98765-4321", "+5511987654321", true},
		{phone, nil, " ", true},
		{stage, "new", "lead", true},
		{stage, "hot", json.Number("1.0"), true},
		{stage, "new", json.Number("1"), false},
		{stage, "lead", "lead", false},
		{stage, "odd", "odd", false},
		{stage, nil, "", true},
		{owner, json.Number("7"), "us_1", true},
		{owner, "7", "us_2", false},
		{owner, "us_2", "us_2", false},
		{owner, nil, nil, true},
		{folded, "small", "s", true},
		{folded, "tiny", "s", true},
		{folded, "large", "s", false},
	}
	for _, c := range cases {
		field := mustField(t, c.spec)
		left, err := field.Canonical(record.Left, c.left, linked)
		require.NoError(t, err)
		right, err := field.Canonical(record.Right, c.right, linked)
		require.NoError(t, err)
		require.Equal(t, c.want, record.Equal(field.Kind(), left, right), "%s: %#v and %#v", field.Name(), left, right)
	}
}

func TestExpected(t *testing.T) {
	field := mustField(t, withWrite("name", `trim(value)`, `"!"`, record.Kind{}))
	current := record.Fields{"r": map[string]any{"one": "old", "two": "?", "other": 1}}
	patch, err := field.Convert(record.Left, " new ", linked)
	require.NoError(t, err)
	want, err := field.Expected(record.Right, current, patch)
	require.NoError(t, err)
	require.Equal(t, "new!", want)
	require.Equal(t, record.Fields{"r": map[string]any{"one": "old", "two": "?", "other": 1}}, current, "the record is left alone")
	want, err = field.Expected(record.Left, nil, map[string]any{"name": "x"})
	require.NoError(t, err)
	require.Equal(t, "x", want)
}

// Workers share one compiled mapping; the race detector is the judge.
func TestConcurrentUse(t *testing.T) {
	fields := []*mapping.Field{mustField(t, withWrite("n", `upper(value)`, `join(split(value, " "), "-")`, record.Kind{})),
		mustField(t, twoWay("phone", record.Kind{Name: record.KindPhone, Region: "BR"}))}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for _, field := range fields {
				raw := fmt.Sprintf("(11) 98765-43%d0", i)
				patch, err := field.Convert(record.Left, raw, linked)
				assert.NoError(t, err)
				_, err = field.Expected(record.Right, record.Fields{}, patch)
				assert.NoError(t, err)
				_, err = field.Canonical(record.Left, raw, linked)
				assert.NoError(t, err)
			}
		})
	}
	group.Wait()
}

func TestPaths(t *testing.T) {
	field := mustField(t, withWrite("name", `value`, `value`, record.Kind{}))
	require.Equal(t, []string{"name"}, field.Paths(record.Left))
	require.Equal(t, []string{"r.one", "r.two"}, field.Paths(record.Right))
	path, ok := field.Path(record.Left)
	require.True(t, ok)
	require.Equal(t, "name", path)
	_, ok = field.Path(record.Right)
	require.False(t, ok)
}

func TestNewFieldRefusals(t *testing.T) {
	noWrite := withWrite("a", `value`, `value`, record.Kind{})
	noWrite.Right.Write = nil
	badRead := withWrite("a", `value`, `value`, record.Kind{})
	badRead.Right.Read = "("
	for part, spec := range map[string]mapping.FieldSpec{
		"right": noWrite, "right.read": badRead, "right.write.r.two": withWrite("a", `value`, `other`, record.Kind{}),
		"values": twoWay("a", record.Kind{}, mapping.Pair{Left: "a", Right: "x"}, mapping.Pair{Left: "b", Right: "x"}),
	} {
		_, err := mapping.NewField(spec)
		var refused *mapping.SpecError
		require.ErrorAs(t, err, &refused, part)
		require.Equal(t, part, refused.Part)
	}
}

func TestStream(t *testing.T) {
	stream, err := mapping.NewStream(mapping.StreamSpec{Name: "leads", LeftWhere: `status != "unqualified"`, RightWhere: `score > 5`,
		Match:  []string{"email", "owner"},
		Fields: []mapping.FieldSpec{twoWay("email", record.Kind{Name: record.KindEmail}), twoWay("owner", record.Kind{Name: record.KindRef, Stream: "users"})}})
	require.NoError(t, err)
	require.Equal(t, "leads", stream.Name())
	require.Len(t, stream.Fields(), 2)
	require.Nil(t, stream.Field("nobody"))

	in, err := stream.InScope(record.Left, record.Fields{})
	require.NoError(t, err)
	require.True(t, in)
	in, err = stream.InScope(record.Left, record.Fields{"status": "unqualified"})
	require.NoError(t, err)
	require.False(t, in)
	_, err = stream.InScope(record.Right, record.Fields{"score": "many"})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))

	left := record.Fields{"l": map[string]any{"email": "ANA@example.com ", "owner": "7"}}
	right := record.Fields{"r": map[string]any{"email": "ana@example.com", "owner": "us_1"}}
	leftKey, ok := stream.MatchKey(record.Left, left, linked)
	require.True(t, ok)
	rightKey, ok := stream.MatchKey(record.Right, right, linked)
	require.True(t, ok)
	require.Equal(t, leftKey, rightKey)
	right.Set("r.owner", "us_9")
	_, ok = stream.MatchKey(record.Right, right, linked)
	require.False(t, ok, "a reference without counterpart matches nobody")
	left.Set("l.email", " ")
	_, ok = stream.MatchKey(record.Left, left, linked)
	require.False(t, ok, "a blank matches nobody")
	_, err = mapping.NewStream(mapping.StreamSpec{Name: "x", Match: []string{"email"}})
	require.Error(t, err)
}

// What is written on the other side reads back as equal, and back again as well.
func TestRoundTrip(t *testing.T) {
	fields := []*mapping.Field{
		mustField(t, twoWay("text", record.Kind{})), mustField(t, twoWay("email", record.Kind{Name: record.KindEmail})),
		mustField(t, twoWay("tags", record.Kind{Name: record.KindSet})), mustField(t, twoWay("stage", record.Kind{}, stagePairs()...)),
		mustField(t, twoWay("phone", record.Kind{Name: record.KindPhone, Region: "BR"})),
		mustField(t, twoWay("owner", record.Kind{Name: record.KindRef, Stream: "users"})),
	}
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.SampledFrom(fields).Draw(t, "field")
		raw := rapid.OneOf(rapid.Map(rapid.String(), func(s string) any { return s }), rapid.Map(rapid.SliceOf(rapid.String()), func(list []string) any {
			elements := make([]any, len(list))
			for i, element := range list {
				elements[i] = element
			}
			return elements
		}), rapid.SampledFrom([]any{nil, "", "new", "hot", "done", "7", "(11) 98765-4321", json.Number("1.50"), false})).Draw(t, "raw")
		patch, err := field.Convert(record.Left, raw, linked)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.CodeOf(err))
			return
		}
		there, err := field.Expected(record.Right, record.Fields{}, patch)
		require.NoError(t, err)
		left, err := field.Canonical(record.Left, raw, linked)
		require.NoError(t, err)
		right, err := field.Canonical(record.Right, there, linked)
		require.NoError(t, err)
		require.True(t, record.Equal(field.Kind(), left, right), "%#v became %#v", raw, there)
		back, err := field.Convert(record.Right, there, linked)
		require.NoError(t, err)
		again, err := field.Expected(record.Left, record.Fields{}, back)
		require.NoError(t, err)
		require.True(t, record.Equal(field.Kind(), raw, again), "%#v came back as %#v", raw, again)
	})
}

// Further words of a side are read as one of its words, and never written: what is
// agreed on is the same, so that they stay.
func TestAlso(t *testing.T) {
	spec := twoWay("stage", record.Kind{}, stagePairs()...)
	spec.Also = []mapping.Also{{Side: record.Right, Word: "open", As: "lead"}, {Side: record.Left, Word: "fresh", As: "new"}, {Side: record.Right, Word: "closed", As: true}}
	field := mustField(t, spec)
	canon := func(side record.Side, word any) any {
		found, err := field.Canonical(side, word, linked)
		require.NoError(t, err)
		return found
	}
	for _, word := range []any{"lead", "open"} {
		require.Equal(t, "new", canon(record.Right, word))
		written, err := field.Convert(record.Right, word, linked)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"l.stage": "new"}, written)
	}
	require.Equal(t, canon(record.Left, "new"), canon(record.Left, "fresh"))
	written, err := field.Convert(record.Left, "fresh", linked)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"r.stage": "lead"}, written)
	require.Equal(t, canon(record.Right, true), canon(record.Right, "closed"))
	for name, one := range map[string]mapping.Also{
		"none to count as": {Side: record.Right, Word: "open", As: "nothing"}, "a word of the other side": {Side: record.Right, Word: "open", As: "new"},
		"there already": {Side: record.Right, Word: "lead", As: "1"}, "empty": {Side: record.Right, Word: "", As: "lead"},
	} {
		spec.Also = []mapping.Also{one}
		_, err := mapping.NewField(spec)
		require.Error(t, err, name)
	}
	_, err = mapping.NewField(mapping.FieldSpec{Name: "a", Left: mapping.PlaceSpec{Path: "a"}, Right: mapping.PlaceSpec{Path: "a"}, Also: []mapping.Also{{Side: record.Right, Word: "a", As: "b"}}})
	require.Error(t, err)
}
