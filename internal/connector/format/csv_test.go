package format_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/accord-sync/accord/internal/connector/format"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

func readAll(t *testing.T, body, encoding string, columns int) (rows []format.Row) {
	t.Helper()
	reading, err := format.Start(strings.NewReader(body), "", encoding, ',')
	require.NoError(t, err)
	reading.Columns = columns
	for {
		row, err := reading.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		require.NoError(t, err)
		rows = append(rows, row)
	}
}

// told is a row as the tests write it: its line, and its values or that it is bad.
func told(rows []format.Row) (lines []string) {
	for _, row := range rows {
		text := strings.Join(row.Cells, "|")
		if row.Bad != "" {
			text = "BAD"
		}
		lines = append(lines, fmt.Sprintf("%d %s", row.Line, text))
	}
	return lines
}

// TestOneBadRow: whatever is wrong with a row, the next line is read again.
func TestOneBadRow(t *testing.T) {
	for body, want := range map[string][]string{
		"1,a\n2,b\n":                                  {"1 1|a", "2 2|b"},
		"1,a\r\n\r\n2,b":                              {"1 1|a", "3 2|b"},
		"1,\"a,\"\"b\"\"\"\n2,\"x\ny\"\n3,c\n":        {`1 1|a,"b"`, "2 2|x\ny", "4 3|c"},
		"1,\"a\n2,b\n3,c\n":                           {"1 BAD", "2 2|b", "3 3|c"},
		"1,\"a\n2,b\n3,\"c\"\n4,d\n":                  {"1 BAD", "2 2|b", "3 3|c", "4 4|d"},
		"1,\"a\n2,b\n3,\"c,d\",e\n4,\"f\"":            {"1 BAD", "2 2|b", "3 3|c,d|e", "4 4|f"},
		"1,\"a\"b\n2,5\" pipe\n":                      {"1 BAD", `2 2|5" pipe`},
		"1,\xff\n2,b\n":                               {"1 BAD", "2 2|b"},
		"1," + strings.Repeat("x", 2<<20) + "\n2,b\n": {"1 BAD", "2 2|b"},
	} {
		require.Equal(t, want, told(readAll(t, body, "utf-8", 2)), "%.60q", body)
	}
}

// TestEveryPlaceIsAPlaceToGoOn: from the end of each row the rest is read the same.
func TestEveryPlaceIsAPlaceToGoOn(t *testing.T) {
	const body = "id,name\r\n1,Ana\r\n2,\"Bia\nLima\"\r\n\r\n3,\"bad\r\n4,Zürich\r\n5,ਊ਀x\r\n"
	for name, file := range map[string]string{
		"utf-8":        body,
		"windows-1252": encode(t, charmap.Windows1252.NewEncoder().String, strings.NewReplacer("ਊ", "", "਀", "").Replace(body)),
		"utf-16le":     encode(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String, body),
		"utf-16be":     encode(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().String, body),
	} {
		t.Run(name, func(t *testing.T) {
			rows := readAll(t, file, name, 2)
			require.Len(t, rows, 6)
			require.Equal(t, []string{"1 id|name", "2 1|Ana", "3 2|Bia\nLima", "6 BAD", "7 4|Zürich"}, told(rows[:5]))
			require.Equal(t, int64(len(file)), rows[5].End)
			for i, row := range rows[:5] {
				rest := format.NewRows(strings.NewReader(file[row.End:]), name, ',', rows[i].Line+max(1, strings.Count(strings.Join(row.Cells, ""), "\n")+1), row.End, nil)
				rest.Columns = 2
				next, err := rest.Next()
				require.NoError(t, err)
				require.Equal(t, rows[i+1], next)
			}
		})
	}
}

func encode(t *testing.T, by func(string) (string, error), text string) string {
	t.Helper()
	out, err := by(text)
	require.NoError(t, err)
	return out
}

func TestTheEncodingOfAFile(t *testing.T) {
	latin := encode(t, charmap.ISO8859_1.NewEncoder().String, "id\nZürich\n")
	wide := encode(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String, "id\nZürich\n")
	for _, one := range []struct{ body, contentType, fallback, want string }{
		{"\xef\xbb\xbfid\nZürich\n", "text/csv; charset=iso-8859-1", "windows-1252", "utf-8"},
		{latin, "text/csv; charset=iso-8859-1", "utf-8", "iso-8859-1"},
		{latin, "text/csv", "windows-1252", "windows-1252"},
		{wide, "text/csv; charset=utf-16", "utf-8", "utf-16le"},
	} {
		rows, err := format.Start(strings.NewReader(one.body), one.contentType, one.fallback, ',')
		require.NoError(t, err)
		require.Equal(t, one.want, rows.Encoding())
		head, err := rows.Next()
		require.NoError(t, err)
		require.Equal(t, []string{"id"}, head.Cells)
		row, err := rows.Next()
		require.NoError(t, err)
		require.Equal(t, []string{"Zürich"}, row.Cells)
	}
	_, err := format.Start(strings.NewReader("id"), "text/csv; charset=klingon", "utf-8", ',')
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}

func TestObject(t *testing.T) {
	said := &manifest.CSV{Delimiter: ";", Decimal: ",", Lists: map[string]string{"tags": "|"}}
	types := map[string]string{"price.net": manifest.TypeNumber, "active": manifest.TypeBoolean}
	heads := []string{"id", "price.net", "active", "tags", "name"}
	fields, field, bad := format.Object(format.Row{Cells: []string{"1", "-1234,50", "yes", "a| b|", ""}}, heads, said, types)
	require.Empty(t, field+bad)
	require.Equal(t, map[string]any{"id": "1", "price": map[string]any{"net": json.Number("-1234.50")}, "active": true, "tags": []any{"a", "b"}, "name": nil}, fields)
	for _, wrong := range []struct {
		cells []string
		field string
	}{{[]string{"1", "2"}, ""}, {[]string{"1", "1.234,50", "", "", ""}, "price.net"}, {[]string{"1", "", "perhaps", "", ""}, "active"}} {
		_, field, bad := format.Object(format.Row{Cells: wrong.cells}, heads, said, types)
		require.NotEmpty(t, bad)
		require.Equal(t, wrong.field, field)
		require.NotContains(t, bad, "perhaps")
	}
	_, err := format.Heads(format.Row{Cells: []string{"id", "id "}})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}

func TestWriteCSV(t *testing.T) {
	said := &manifest.CSV{Encoding: "windows-1252", Delimiter: ";", Decimal: ",", Columns: []string{"id", "name", "price.net", "tags"}, Lists: map[string]string{"tags": "|"}}
	out, err := format.WriteCSV(map[string]any{"name": "Zürich; \"5\"\n€", "price": map[string]any{"net": json.Number("1.50")}, "tags": []any{"a", "b"}, "id": nil}, said)
	require.NoError(t, err)
	require.Equal(t, "id;name;price.net;tags\r\n;\"Z\xfcrich; \"\"5\"\"\n\x80\";1,50;a|b\r\n", string(out))
	for field, fields := range map[string]map[string]any{
		"name":  {"name": "Αθήνα"},
		"tags":  {"tags": []any{"a|b"}},
		"other": {"other": "x"},
	} {
		_, err := format.WriteCSV(fields, said)
		require.Equal(t, fault.Invalid, fault.CodeOf(err), field)
		require.Equal(t, field, fault.As(err).Field)
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]string{"5": "5", "+5,0": "5.0", "-,5": "-0.5", "007": "7", "-0": "-0"} {
		got, ok := format.Number(text, ",")
		require.True(t, ok, text)
		require.Equal(t, json.Number(want), got)
	}
	for _, text := range []string{"", "1.5", "5,", "1,5,0", "1e5", "--5", "a", "-", ","} {
		_, ok := format.Number(text, ",")
		require.False(t, ok, text)
	}
}

// FuzzCSV: each byte of a file belongs to one row, no text makes the reader stop
// before its end, and a value that we quote comes back.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "x\n\ufeff\n", "\"a\nb\",c\r\n", "\xff\xfea\x00\n\x00", "\"a", "\xef\xbb\xbfa;\"b"} {
		f.Add([]byte(seed), byte(0))
		f.Add([]byte(seed), byte(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, which byte) {
		name := manifest.Encodings()[int(which)%len(manifest.Encodings())]
		reading, err := format.Start(bytes.NewReader(body), "", name, ',')
		if err != nil {
			require.Equal(t, fault.Invalid, fault.CodeOf(err))
			return
		}
		line, end := 0, int64(0)
		for {
			row, err := reading.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			require.Greater(t, row.Line, line)
			require.Greater(t, row.End, end)
			line, end = row.Line, row.End
			for _, cell := range row.Cells {
				if strings.ContainsRune(cell, '\r') {
					continue // a line end of its own inside of quotes
				}
				again := readAll(t, format.Cell(cell, ',')+",x", "utf-8", 2)
				require.Len(t, again, 1)
				require.Equal(t, []string{cell, "x"}, again[0].Cells)
			}
		}
		require.LessOrEqual(t, end, int64(len(body)))
	})
}
