package mapping

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func TestExpressionValues(t *testing.T) {
	fields := record.Fields{
		"first": "Ana", "score": json.Number("7.50"), "big": json.Number("12345678901234567890"), "n": json.Number("7"),
		"tags": []any{"vip", "new"}, "custom": map[string]any{"a": json.Number("1"), "b": nil}, "replace": "x", "count": json.Number("3"),
	}
	for source, want := range map[string]any{
		`first + "!"`:                     "Ana!",
		`score * 2`:                       json.Number("15"),
		`map(tags, # + "!")`:              []any{"vip!", "new!"},
		`map(tags, replace(#, "v", "V"))`: []any{"Vip", "new"},
		`n + 1`:                           json.Number("8"),
		`n / 2`:                           json.Number("3.5"),
		`missing`:                         nil,
		`missing?.deeper ?? "none"`:       "none",
		`custom.a`:                        json.Number("1"),
		`custom["a"] + 1`:                 json.Number("2"),
		`custom.b == nil`:                 true,
		`"vip" in tags`:                   true,
		`filter(tags, # != "vip")`:        []any{"new"},
		`map(tags, upper(#))`:             []any{"VIP", "NEW"},
		`join(tags, ", ")`:                "vip, new",
		`replace(first, "a", "o")`:        "Ano",
		`first matches "^A"`:              true,
		`{"a": n}`:                        map[string]any{"a": json.Number("7")},
		`score > 5 && first != ""`:        true,
		`count + 1`:                       json.Number("4"),
		`replace`:                         "x",
		`big`:                             json.Number("12345678901234567000"),
		`split("a b c", " ", 2)[1:]`:      []any{"b c"},
		`date("2026-11-22T10:00:00-03:00").UTC()`: "2026-11-22T13:00:00Z",
	} {
		compiled, err := compile(source)
		require.NoError(t, err, source)
		got, err := compiled.run(fields)
		require.NoError(t, err, source)
		if source == `big` {
			require.True(t, record.Equal(record.Kind{}, want, got), "%v", got)
			continue
		}
		require.True(t, record.Equal(record.Kind{}, want, got), "%s: %#v", source, got)
		require.IsType(t, want, got, source)
	}
}

func TestExpressionPaths(t *testing.T) {
	for source, want := range map[string][]string{
		`a.b.c + d`:             {"a.b.c", "d"},
		`a?.b ?? a["c"]`:        {"a.b", "a.c"},
		`trim(upper(a)) + a`:    {"a"},
		`join(a, b)`:            {"a", "b"},
		`filter(a, #.x != b.c)`: {"a", "b.c"},
		`1 + 2`:                 nil,
		`a[b]`:                  {"a", "b"},
		`a.b[0].c`:              {"a.b"},
	} {
		compiled, err := compile(source)
		require.NoError(t, err, source)
		require.ElementsMatch(t, want, compiled.paths, source)
	}
}

func TestExpressionRefusals(t *testing.T) {
	for source, want := range map[string]string{
		``:                              "1:1: the expression is empty",
		`a +`:                           "1:3: unexpected token EOF",
		"a ==\n  (b":                    "2:4: unexpected token EOF",
		`now()`:                         "1:1: there is no function now",
		`repeat(a, 9)`:                  "1:1: there is no function repeat",
		`reduce(a, #acc + #)`:           "there is no function reduce",
		`a + nosuch(b)`:                 "1:5: there is no function nosuch",
		`let x = a; x`:                  "let is not available",
		`1..1000000`:                    "ranges are not available",
		`$env`:                          "$env is not available",
		`any(a, any(b, # == 1))`:        "a loop inside a loop is not available",
		`map(a, [#, #])`:                "lists and objects cannot be made inside a loop",
		`map(map(map(map(a,#),#),#),#)`: "more than 3 loops",
		`map(a, ` + strings.Repeat("#+", 40) + `#)`: "the body of a loop is too long",
		strings.Repeat("a+", 600) + "a":             "expression exceeds maximum allowed nodes",
		strings.Repeat("a", 5000):                   "longer than 4096 bytes",
		`a matches "("`:                             "missing closing )",
		strings.Repeat("(", 2000):                   "",
	} {
		err := CheckRead(source)
		var located *ExpressionError
		require.ErrorAs(t, err, &located, "%.40s", source)
		require.Positive(t, located.Line)
		require.Positive(t, located.Column)
		require.Contains(t, err.Error(), want, "%.40s", source)
	}
	require.ErrorContains(t, CheckWrite(`value + other`), "a write expression sees only value")
	require.NoError(t, CheckWrite(`value?.first ?? "x"`))
}

func TestExpressionsStayBounded(t *testing.T) {
	long := strings.Repeat("x", 60_000)
	for source, fields := range map[string]record.Fields{
		`replace(a, "", a)`:                    {"a": long},
		`join(split(a, ""), a)`:                {"a": long},
		`map(split(a, ""), # + a)`:             {"a": long},
		`map(split(b, ""), b + b + b)`:         {"b": strings.Repeat("x", 2000)},
		`map(split(b, ""), replace(b, "", b))`: {"b": strings.Repeat("x", 2000)},
		`a + 1`:                                {"a": strings.Repeat("x", 2<<20)},
		`filter(a, # != "")`:                   {"a": strings.Split(long, "")},
		`split(replace(a, "x", "xx"), "")`:     {"a": long},
	} {
		compiled, err := compile(source)
		require.NoError(t, err, source)
		_, err = compiled.run(fields)
		require.Equal(t, fault.Invalid, fault.CodeOf(err), source)
		require.NotContains(t, err.Error(), "xxx", source)
	}
	compiled, err := compile(`any(custom.tags, # == "vip")`)
	require.NoError(t, err)
	got, err := compiled.run(record.Fields{"custom": map[string]any{"tags": []any{"vip"}, "essay": long}})
	require.NoError(t, err, "what the expression does not mention does not count")
	require.Equal(t, true, got)
}

func TestExpressionErrorsQuoteNoData(t *testing.T) {
	compiled, err := compile(`name + 1`)
	require.NoError(t, err)
	_, err = compiled.run(record.Fields{"name": "Ana Souza"})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.NotContains(t, err.Error(), "Ana")
	require.Error(t, errors.Unwrap(err))
}

func FuzzExpression(f *testing.F) {
	for _, seed := range []string{`trim((first ?? "") + " " + (last ?? ""))`, `split(value, " ", 2)[0]`, `a.b[0]?.c`, `map(a, #.x)`,
		`a matches "x+"`, `{"a": [1, 2]}`, `sortBy(a, #.b)`, `date(a).Year()`, `a ? b : c`, `max(a, 1) ** 2`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		compiled, err := compile(source)
		if err != nil {
			var located *ExpressionError
			require.ErrorAs(t, err, &located)
			return
		}
		fields := record.Fields{"a": []any{map[string]any{"b": json.Number("1")}, "x"}, "b": "text", "c": true, "value": "Ana Souza", "first": nil}
		result, err := compiled.run(fields)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.CodeOf(err))
			return
		}
		require.Len(t, record.Fingerprint(result), 32)
	})
}
