package sheet

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCSV(t *testing.T) {
	var out bytes.Buffer
	table, err := NewCSV(&out, []string{"day", "user", "count"})
	require.NoError(t, err)
	for _, row := range [][]string{
		{"2026-03-01", "u,1", "3"},
		{"2026-03-02", `say "hi"`, "1"},
		{"", "Zoë", "0"},
	} {
		require.NoError(t, table.Row(row))
	}
	require.NoError(t, table.Close())
	require.Equal(t, "day,user,count\r\n2026-03-01,\"u,1\",3\r\n2026-03-02,\"say \"\"hi\"\"\",1\r\n,Zoë,0\r\n", out.String())
}

func TestCellsAreNoFormulas(t *testing.T) {
	for cell, want := range map[string]string{
		`=cmd|' /C calc'!A0`: `'=cmd|' /C calc'!A0`,
		"+1":                 "'+1",
		"-2+3":               "'-2+3",
		"@SUM(1)":            "'@SUM(1)",
		" =1":                "' =1",
		"\u00a0=1":           "'\u00a0=1",
		"\t=1":               "'\t=1",
		"\r=1":               "'\r=1",
		"'a":                 "''a",
		"'=1":                "''=1",
		"|a":                 "'|a",
		"a=1":                "a=1",
		"2026-03-01":         "2026-03-01",
		"":                   "",
	} {
		require.Equal(t, want, Harmless(cell), "%q", cell)
		require.Equal(t, cell, Plain(want), "%q", cell)
	}
}
