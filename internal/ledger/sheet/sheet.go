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
		safe[i] = plainCell(cell)
	}
	return c.writer.Write(safe)
}

// Close writes what is left.
func (c *CSV) Close() error {
	c.writer.Flush()
	return c.writer.Error()
}

// plainCell keeps a cell from being read as a formula
// (https://owasp.org/www-community/attacks/CSV_Injection). Spaces before the sign
// do not help: some programs trim them.
func plainCell(cell string) string {
	trimmed := strings.TrimLeft(cell, " \u00a0")
	if trimmed != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(trimmed[0])) {
		return "'" + cell
	}
	return cell
}
