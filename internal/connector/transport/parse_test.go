package transport_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

func TestParseTime(t *testing.T) {
	want := time.Date(2026, 11, 22, 12, 0, 5, 0, time.UTC)
	for _, value := range []any{"2026-11-22T12:00:05Z", "2026-11-22T12:00:05.000Z", "2026-11-22T09:00:05-03:00", "2026-11-22T12:00:05", "2026-11-22 12:00:05",
		"2026-11-22T09:00:05-0300", json.Number("1795348805"), json.Number("1795348805000"), "1795348805"} {
		got, ok := transport.ParseTime(value)
		require.True(t, ok, "%v", value)
		require.True(t, got.Equal(want), "%v is %s", value, got)
	}
	for _, value := range []any{nil, "", "soon", true, json.Number("7"), json.Number("1e99"), []any{}} {
		_, ok := transport.ParseTime(value)
		require.False(t, ok, "%v", value)
	}
}

func TestParseID(t *testing.T) {
	for value, want := range map[any]string{"l-1": "l-1", json.Number("7"): "7", "a/b c": "a/b c", "ç…": "ç…"} {
		got, ok := transport.ParseID(value)
		require.True(t, ok, "%v", value)
		require.Equal(t, want, got)
	}
	for _, value := range []any{nil, "", ".", "..", true, []any{}, "a\x00b", "a\nb", strings.Repeat("1", 257), json.Number(strings.Repeat("1", 257))} {
		_, ok := transport.ParseID(value)
		require.False(t, ok, "%v", value)
	}
}

// TestJSONIsBounded: what is small on the wire may be large in memory.
func TestJSONIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"many values":  "[" + strings.Repeat("0,", transport.MaxValues) + "0]",
		"many objects": "[" + strings.Repeat("{},", transport.MaxValues/2) + "0]",
		"many keys":    "{" + strings.Repeat(`"a":0,`, transport.MaxValues) + `"b":0}`,
		"deep lists":   strings.Repeat("[", transport.MaxDepth+1) + strings.Repeat("]", transport.MaxDepth+1),
		"deep objects": strings.Repeat(`{"a":`, transport.MaxDepth+1) + "0" + strings.Repeat("}", transport.MaxDepth+1),
		"endless":      strings.Repeat("[", 1<<20),
	} {
		_, err := transport.DecodeJSON([]byte(text))
		require.Equal(t, fault.TooLarge, fault.CodeOf(err), name)
	}
	for name, text := range map[string]string{
		"commas in a text": `["` + strings.Repeat(`,[{\"`, transport.MaxValues) + `"]`,
		"deep enough":      strings.Repeat("[", transport.MaxDepth) + strings.Repeat("]", transport.MaxDepth),
		"long enough":      "[" + strings.Repeat("0,", transport.MaxValues-10) + "0]",
	} {
		_, err := transport.DecodeJSON([]byte(text))
		require.NoError(t, err, name)
	}
}

func TestNest(t *testing.T) {
	require.Equal(t, map[string]any{"a": 1, "b": map[string]any{"c": nil, "d": map[string]any{"e": "x"}}},
		transport.Nest(map[string]any{"a": 1, "b.c": nil, "b.d.e": "x"}))
}

func TestLooseEqual(t *testing.T) {
	for _, row := range []struct {
		have, want any
		equal      bool
	}{
		{"Ana@Example.com ", "ana@example.com", true},
		{"+55 (11) 98888-7777", "5511988887777", true},
		{"011 98888-7777", "5511988887777", true},
		{json.Number("42"), "42", true},
		{"ct_1", "ct_2", false},
		{"", "", false},
		{nil, "x", false},
		{"12", "312", false},
	} {
		require.Equal(t, row.equal, transport.LooseEqual(row.have, row.want), "%v %v", row.have, row.want)
	}
}

func TestSafeToken(t *testing.T) {
	require.Equal(t, "VALIDATION_ERROR", transport.SafeToken("VALIDATION_ERROR"))
	for _, text := range []string{"", "ana@example.com", "Ana Lima", "5511988887777"} {
		require.Equal(t, "other", transport.SafeToken(text))
	}
}
