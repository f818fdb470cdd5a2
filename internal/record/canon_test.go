package record_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/record"
)

func kinds() map[string]record.Kind {
	return map[string]record.Kind{
		"auto": {}, "email": {Name: record.KindEmail}, "phone": {Name: record.KindPhone, Region: "BR"},
		"set": {Name: record.KindSet}, "ref": {Name: record.KindRef, Stream: "users"},
		"number": {Name: record.KindNumber}, "date": {Name: record.KindDate},
	}
}

func TestEqual(t *testing.T) {
	number := func(text string) any { return json.Number(text) }
	list := func(elements ...any) any { return elements }
	cases := []struct {
		kind string
		a, b any
		want bool
	}{
		{"auto", nil, "", true},
		{"auto", nil, list(), true},
		{"auto", "", map[string]any{}, true},
		{"auto", nil, map[string]any{"a": nil}, true},
		{"auto", nil, number("0"), false},
		{"auto", nil, false, false},
		{"auto", false, number("0"), false},
		{"auto", " ", nil, false},
		{"auto", "Ana", "ana", false},
		{"auto", "Ana", "Ana ", false},
		{"auto", "Jos\u00e9", "Jose\u0301", true},
		{"auto", number("75000.00"), number("75000"), true},
		{"auto", number("7.5e4"), number("75000"), true},
		{"auto", number("7.5E+4"), 75000, true},
		{"auto", 75000.0, number("75000"), true},
		{"auto", number("-0.0"), number("0"), true},
		{"auto", number("0.1"), 0.1, true},
		{"auto", number("0.10"), number("0.1"), true},
		{"auto", number("1e-3"), number("0.001"), true},
		{"auto", number("9007199254740993"), number("9007199254740992"), false},
		{"auto", number("1e999999999"), number("10e999999998"), true},
		{"auto", number("1e999999999"), number("1e999999998"), false},
		{"auto", number("7"), "7", true},
		{"auto", number("7"), "007", false},
		{"auto", "7", "007", false},
		{"auto", number("75000.00"), "75000", true},
		{"auto", number("75000"), "75000.00", false},
		{"auto", "75000", "75000.00", false},
		{"auto", true, "true", false},
		{"auto", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000Z", true},
		{"auto", "2026-11-22T10:00:00Z", "2026-11-22T07:00:00-03:00", true},
		{"auto", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.001Z", false},
		{"auto", "2026-11-22", "2026-11-22T00:00:00Z", true},
		{"auto", "2026-11-22", "2026-11-22T00:00:01Z", false},
		{"auto", "2026-11-22", "2026-11-23", false},
		{"auto", time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), "2026-11-22T07:00:00-03:00", true},
		{"auto", list("a", "b"), list("b", "a"), false},
		{"auto", map[string]any{"a": number("1.0"), "b": nil}, record.Fields{"a": 1}, true},
		{"email", " Ana@Example.COM ", "ana@example.com", true},
		{"email", "ana@example.com", "ana@example.org", false},
		{"email", "  ", nil, true},
		{"phone", "(11) 98765-4321", "+55 11 98765-4321", true},
		{"phone", "+5511987654321", "011 98765.4321", true},
		{"phone", number("11987654321"), "+55 11 98765-4321", true},
		{"phone", "+1 (212) 555-0100", "+12125550100", true},
		{"phone", "98765-4321", "987654321", false},
		{"phone", "+55 11 00000-0001", "+5511000000001", true},
		{"phone", "+55 98765-4321", "+55987654321", false},
		{"phone", " 98765-4321", "98765-4321 ", true},
		{"phone", "+55 11 98765-4321 ramal 12", "(11) 98765-4321 x12", true},
		{"phone", "+55 11 98765-4321 x12", "+55 11 98765-4321", false},
		{"phone", "home 11 98765-4321", "11 98765-4321", false},
		{"phone", "ask for Ana", "ask for Ana", true},
		{"phone", "", "   ", true},
		{"set", list("a", "b", "a"), list("b", "a"), true},
		{"set", list("A"), list("a"), false},
		{"set", list("e\u0301"), list("\u00e9"), true},
		{"set", list(""), nil, true},
		{"set", list(number("1")), list("1"), true},
		{"set", "a", list("a"), true},
		{"set", list("a"), list("a", "b"), false},
		{"set", []string{"b", "a"}, list("a", "b"), true},
		{"ref", number("7"), "7", true},
		{"ref", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.0Z", false},
		{"number", "75000.00", number("75000"), true},
		{"number", " 7 ", "7.0", true},
		{"number", "seven", "seven ", true},
		{"number", 0, "", false},
		{"date", " 2026-11-22T10:00:00Z", "2026-11-22T10:00:00.0Z", true},
		{"date", "2026-11-22", "2026-11-22T00:00:00+00:00", true},
	}
	for _, c := range cases {
		require.Equal(t, c.want, record.Equal(kinds()[c.kind], c.a, c.b), "%s: %#v and %#v", c.kind, c.a, c.b)
		require.Equal(t, c.want, record.Equal(kinds()[c.kind], c.b, c.a), "%s: %#v and %#v", c.kind, c.b, c.a)
	}
}

func TestIsBlank(t *testing.T) {
	for _, blank := range []any{nil, "", []any{}, []string{}, map[string]any{}, record.Fields{"a": nil}} {
		require.True(t, record.IsBlank(blank), "%#v", blank)
	}
	for _, value := range []any{0, false, " ", json.Number("0"), []any{nil}, map[string]any{"a": 0}} {
		require.False(t, record.IsBlank(value), "%#v", value)
	}
}

func TestHostileValues(t *testing.T) {
	deep := any("x")
	for range 5000 {
		deep = []any{deep}
	}
	hostile := []any{
		json.Number("1e99999999999999999999"), json.Number("1e-999999999"), json.Number("-"), json.Number(""),
		json.Number("0x10"), json.Number(strings.Repeat("9", 100_000)), math.NaN(), math.Inf(1), "\xff\xfe", "\x00",
		strings.Repeat("+", 100_000), "0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", deep,
		func() {}, make(chan int), map[int]int{1: 1}, struct{ A int }{1}, (*int)(nil), []byte("x"),
	}
	for name, kind := range kinds() {
		for _, value := range hostile {
			once := record.Canon(kind, value)
			require.Equal(t, once, record.Canon(kind, once), name)
			require.Len(t, record.Fingerprint(value), 32)
		}
	}
	require.Less(t, len(record.Canon(record.Kind{}, json.Number("1e999999999")).(string)), 20)
}

// anyValue generates what servers answer, close together so that equal ones meet.
func anyValue() *rapid.Generator[any] {
	text := rapid.SampledFrom([]string{"", " ", "a", "A", "a ", "e\u0301", "\u00e9", "7", "007", "7.0", "a@b.c", " A@B.c", "\u0130",
		"+55 11 98765-4321", "(11) 98765-4321", "11987654321", "98765", "2026-11-22", "2026-11-22T00:00:00Z", "2026-11-22T03:00:00+03:00",
		"2026-11-22T10:00:00.50Z", "2026-11-22T10:00:00,5Z", "1e3", "1000"})
	scalar := rapid.OneOf(
		rapid.Map(text, func(s string) any { return s }), rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"0", "-0", "7", "7.0", "70e-1", "1e3", "1000", "1E400", "10e399"}), func(s string) any { return json.Number(s) }),
		rapid.Map(rapid.Float64(), func(f float64) any { return f }), rapid.Map(rapid.IntRange(-9, 9), func(i int) any { return i }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Just[any](nil))
	return rapid.OneOf(scalar,
		rapid.Map(rapid.SliceOfN(scalar, 0, 3), func(list []any) any { return list }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b"}), scalar, 0, 2), func(m map[string]any) any { return m }))
}

func TestEqualIsAnEquivalence(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				a, b, c := anyValue().Draw(t, "a"), anyValue().Draw(t, "b"), anyValue().Draw(t, "c")
				require.True(t, record.Equal(kind, a, a))
				require.Equal(t, record.Equal(kind, a, b), record.Equal(kind, b, a))
				if record.Equal(kind, a, b) && record.Equal(kind, b, c) {
					require.True(t, record.Equal(kind, a, c))
				}
				once := record.Canon(kind, a)
				require.Equal(t, once, record.Canon(kind, once))
				require.True(t, record.Equal(kind, a, once))
				if record.IsBlank(a) {
					require.Nil(t, once)
				}
			})
		})
	}
}

func TestEqualOfShuffledSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		elements := rapid.SliceOf(rapid.String()).Draw(t, "elements")
		shuffled := append(rapid.Permutation(elements).Draw(t, "shuffled"), elements...)
		require.True(t, record.Equal(kinds()["set"], elements, shuffled))
	})
}

func TestEqualOfDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringMatching(`-?[1-9][0-9]{0,12}`).Draw(t, "digits")
		zeros := rapid.IntRange(0, 8).Draw(t, "zeros")
		padded := digits + "." + strings.Repeat("0", zeros+1)
		scaled := digits + strings.Repeat("0", zeros) + "e-" + strings.Repeat("0", zeros) + string(rune('0'+zeros))
		require.True(t, record.Equal(record.Kind{}, json.Number(digits), json.Number(padded)))
		require.True(t, record.Equal(record.Kind{}, json.Number(digits), json.Number(scaled)))
	})
}

func TestFingerprint(t *testing.T) {
	a := record.Fields{"a": json.Number("1.0"), "b": []any{"x", nil}}
	b := map[string]any{"b": []any{"x", nil}, "a": 1}
	require.Equal(t, record.Fingerprint(a), record.Fingerprint(b))
	require.NotEqual(t, record.Fingerprint(map[string]any{"a": nil}), record.Fingerprint(map[string]any{}))
	require.NotEqual(t, record.Fingerprint("1"), record.Fingerprint(1))
	require.NotEqual(t, record.Fingerprint([]any{"a", "b"}), record.Fingerprint([]any{"b", "a"}))
	require.NotEqual(t, record.Hash("ab", "c"), record.Hash("a", "bc"))
	require.NotEqual(t, record.Hash(), record.Hash(""))
	require.Equal(t, record.Hash("a", "b"), record.Hash("a", "b"))
}
