package format

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

const (
	// maxLine is the longest line, and the longest row of several lines, in bytes.
	maxLine  = 1 << 20
	unclosed = "a quote is opened and not closed"
	// maxLines is how many lines a quoted value may go over.
	maxLines = 200
)

// Row is one row of a CSV file.
type Row struct {
	// Line is where it begins, counted from 1; End the offset of the byte behind it.
	Line int
	End  int64
	// Cells are its values; nil for a row that cannot be read, for the reason in Bad.
	Cells []string
	Bad   string
	// Mark tells its first line from others by what it says.
	Mark string
}

// Rows reads a CSV file row by row (RFC 4180, with any delimiter; quotes inside of
// an unquoted value stand for themselves). It holds one row in memory. A row that
// cannot be read ends with its line, and the next line is read as a row of its own:
// a quote that is never closed costs one row, not the rest of the file.
type Rows struct {
	// Columns is how many a row has; 0: not known. A value over several lines in a
	// row with another number is a quote that was never closed.
	Columns int

	in       *bufio.Reader
	encoding string
	unit     int
	comma    byte
	line     int
	offset   int64
	ahead    []physical
	tail     []byte
}

// physical is one line of the file.
type physical struct {
	text string
	bad  string
	size int64
	// tail are its last bytes, mark is the hash of all.
	tail []byte
	mark string
}

// NewRows reads from the place offset of a file, which is where its line begins.
// tail is what Tail was there.
func NewRows(in io.Reader, encoding string, comma byte, line int, offset int64, tail []byte) *Rows {
	unit := 1
	if strings.HasPrefix(plain(encoding), "utf-16") {
		unit = 2
	}
	return &Rows{in: bufio.NewReaderSize(in, 64<<10), encoding: encoding, unit: unit, comma: comma, line: line, offset: offset, tail: tail}
}

// Start finds the encoding of a file at its beginning: that of its byte order mark,
// which it skips, else the one said by the Content-Type, else the fallback.
func Start(in io.Reader, contentType, fallback string, comma byte) (*Rows, error) {
	reader := bufio.NewReaderSize(in, 64<<10)
	head, err := reader.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	name, skip := markOf(head)
	if _, err := reader.Discard(skip); err != nil {
		return nil, err
	}
	for _, said := range []string{CharsetOf(contentType), fallback, UTF8} {
		if name == "" {
			name = said
		}
	}
	if name == "utf-16" {
		name = "utf-16be" // without a mark (RFC 2781, section 4.3)
	}
	if _, known := charset(name); !known {
		return nil, fault.New(fault.Invalid, "the file is in an encoding that is not known: %q", clip(name))
	}
	return NewRows(reader, name, comma, 1, int64(skip), nil), nil
}

// Encoding is the encoding that the file is read in.
func (r *Rows) Encoding() string { return r.encoding }

// Line is the line that the next row is looked for in.
func (r *Rows) Line() int { return r.line }

// Tail are the last bytes of the rows that were read, at most Reach: by them the
// place behind is known again.
func (r *Rows) Tail() []byte { return r.tail }

// Reach is how many bytes Tail has at most.
const Reach = 64

// last are the last bytes of both, at most Reach.
func last(before, more []byte) []byte {
	both := append(slices.Clip(before), more...)
	return slices.Clone(both[max(0, len(both)-Reach):])
}

// Next reads the next row; empty lines are none. io.EOF ends the file; other
// errors are those of the reader.
func (r *Rows) Next() (Row, error) {
	for {
		first, err := r.take(0)
		if err != nil {
			return Row{}, err
		}
		if first.bad == "" && strings.TrimSpace(first.text) == "" {
			r.drop(1)
			continue
		}
		row := Row{Line: r.line, Bad: first.bad, Mark: first.mark}
		count := 1
		if first.bad == "" {
			if row.Cells, row.Bad, count, err = r.cells(); err != nil {
				return Row{}, err
			}
		}
		r.drop(count)
		row.End = r.offset
		return row, nil
	}
}

// cells reads the values of the row at hand, over several lines where a quoted
// value goes on. count is how many lines it takes.
func (r *Rows) cells() (cells []string, bad string, count int, err error) {
	said := ""
	for count = 1; ; count++ {
		next, err := r.take(count - 1)
		if errors.Is(err, io.EOF) {
			return nil, unclosed, 1, nil
		}
		if err != nil {
			return nil, "", 0, err
		}
		if count > 1 {
			said += "\n"
		}
		said += next.text
		if next.bad != "" || count > maxLines || len(said) > maxLine {
			return nil, unclosed, 1, nil
		}
		cells, open, bad := split(said, r.comma)
		switch {
		case open:
		case bad != "" && count > 1:
			return nil, unclosed, 1, nil
		case bad != "":
			return nil, bad, 1, nil
		case count > 1 && r.Columns > 0 && len(cells) != r.Columns:
			return nil, unclosed, 1, nil
		default:
			return cells, "", count, nil
		}
	}
}

// split cuts a row into its values. open: a quoted value goes on in the next line.
func split(said string, comma byte) (cells []string, open bool, bad string) {
	for rest := said; ; {
		if !strings.HasPrefix(rest, `"`) {
			at := strings.IndexByte(rest, comma)
			if at < 0 {
				return append(cells, rest), false, ""
			}
			cells, rest = append(cells, rest[:at]), rest[at+1:]
			continue
		}
		value, after, closed := quoted(rest[1:])
		if !closed {
			return nil, true, ""
		}
		cells = append(cells, value)
		if after == "" {
			return cells, false, ""
		}
		if after[0] != comma {
			return nil, false, "a quote is closed in the middle of a value"
		}
		rest = after[1:]
	}
}

// quoted reads up to the closing quote; two quotes are one.
func quoted(rest string) (value, after string, closed bool) {
	var out strings.Builder
	for {
		at := strings.IndexByte(rest, '"')
		if at < 0 {
			return "", "", false
		}
		out.WriteString(rest[:at])
		rest = rest[at+1:]
		if !strings.HasPrefix(rest, `"`) {
			return out.String(), rest, true
		}
		out.WriteByte('"')
		rest = rest[1:]
	}
}

// take is the line at a distance from the present one.
func (r *Rows) take(at int) (physical, error) {
	for len(r.ahead) <= at {
		next, err := r.read()
		if err != nil {
			return physical{}, err
		}
		r.ahead = append(r.ahead, next)
	}
	return r.ahead[at], nil
}

// drop goes on behind so many lines.
func (r *Rows) drop(count int) {
	for _, one := range r.ahead[:count] {
		r.offset += one.size
		r.tail = last(r.tail, one.tail)
	}
	r.line += count
	r.ahead = r.ahead[count:]
}

// read reads one line of the file. One that is too long is read over.
func (r *Rows) read() (physical, error) {
	var raw, tail []byte
	size := int64(0)
	for {
		part, err := r.in.ReadSlice('\n')
		size += int64(len(part))
		if int64(len(raw)) <= maxLine {
			raw = append(raw, part...)
		}
		tail = last(tail, part)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || size == 0) {
			return physical{}, err
		}
		more, ended, err := r.aligned(tail, size, err)
		if err != nil {
			return physical{}, err
		}
		raw, tail = append(raw, more...), last(tail, more)
		size += int64(len(more))
		if ended {
			break
		}
	}
	mark := record.Hash(string(raw))
	if size > maxLine {
		return physical{size: size, tail: tail, mark: mark, bad: "the line is longer than a megabyte"}, nil
	}
	said, err := text(raw, r.encoding)
	if err != nil {
		return physical{size: size, tail: tail, mark: mark, bad: fault.As(err).Message}, nil
	}
	return physical{size: size, tail: tail, mark: mark, text: strings.TrimSuffix(strings.TrimSuffix(said, "\n"), "\r")}, nil
}

// aligned finds out whether the byte of a line end is one, where characters take
// two bytes, and reads the second byte of it. tail are the last bytes of size.
func (r *Rows) aligned(tail []byte, size int64, read error) (more []byte, ended bool, err error) {
	if r.unit == 1 || read != nil {
		return nil, true, nil
	}
	if plain(r.encoding) != "utf-16le" {
		return nil, size%2 == 0 && bytes.HasSuffix(tail, []byte("\x00\n")), nil
	}
	if size%2 == 0 {
		return nil, false, nil // the second byte of another character
	}
	next, err := r.in.ReadByte()
	if errors.Is(err, io.EOF) {
		return nil, true, nil
	}
	return []byte{next}, next == 0, err
}
