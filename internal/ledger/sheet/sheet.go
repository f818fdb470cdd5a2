// Package sheet writes tables for spreadsheets. It is pure.
package sheet

import (
	"encoding/csv"
	"io"
	"strings"
)

// CSV writes a table as RFC 4180 has it: a line of names, then the rows, with CRLF.
// What a spreadsheet would take for a formula begins with an apostrophe instead.
type CSV struct {
	writer *csv.Writer
}

// NewCSV begins a table with the names of its columns.
func NewCSV(out io.Writer, head []string) (*CSV, error) {
	table := &CSV{writer: csv.NewWriter(out)}
	table.writer.UseCRLF = true
	return table, table.Row(head)
}

// Row writes one row.
func (c *CSV) Row(cells []string) error {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = Harmless(cell)
	}
	return c.writer.Write(safe)
}

// Close writes what is left.
func (c *CSV) Close() error {
	c.writer.Flush()
	return c.writer.Error()
}

// Harmless keeps a cell from being read as a formula, with an apostrophe in front
// (https://owasp.org/www-community/attacks/CSV_Injection). Spaces before the sign
// do not help: some programs trim them. One that begins with an apostrophe gets
// another, so that Plain gives every cell back as it was.
func Harmless(cell string) string {
	trimmed := strings.TrimLeft(cell, " \u00a0")
	if strings.HasPrefix(cell, "'") || trimmed != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(trimmed[0])) {
		return "'" + cell
	}
	return cell
}

// Plain takes away the apostrophe that Harmless has put in front.
func Plain(cell string) string {
	if rest, is := strings.CutPrefix(cell, "'"); is && Harmless(rest) == cell {
		return rest
	}
	return cell
}
