package letters

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sheet"
	"github.com/accord-sync/accord/internal/record"
)

// valuePrefix begins the columns that hold the record's fields: the ones that can be edited.
const valuePrefix = "field:"

// fixed are the columns before the record's fields.
func fixed() []string {
	return []string{"id", "stream", "side", "object", "record", "link", "state", "code", "field", "message", "status", "request_id", "tries", "first_at", "last_at"}
}

// Write writes dead letters as a table: a column for each fact, and one "field:NAME"
// for each field of their records. A text is written as it is, anything else as JSON;
// a cell that a spreadsheet would take for a formula begins with an apostrophe.
func Write(out io.Writer, found []ledger.DeadLetter) error {
	names := map[string]bool{}
	for _, letter := range found {
		for _, values := range []ledger.Values{letter.Values, letter.Overrides} {
			for name := range values {
				names[name] = true
			}
		}
	}
	fields := slices.Sorted(maps.Keys(names))
	heads := fixed()
	for _, name := range fields {
		heads = append(heads, valuePrefix+name)
	}
	writer := csv.NewWriter(out)
	if err := writer.Write(heads); err != nil {
		return err
	}
	for _, letter := range found {
		cells := []string{
			letter.ID, letter.Stream, string(letter.Ref.Side), letter.Ref.Object, letter.Ref.ID, letter.LinkID, string(letter.State),
			letter.Reason.Code, letter.Reason.Field, letter.Reason.Message, zero(letter.Reason.Status), letter.Reason.RequestID,
			strconv.Itoa(letter.Tries), letter.FirstAt.UTC().Format(time.RFC3339), letter.LastAt.UTC().Format(time.RFC3339),
		}
		held := merged(letter)
		for _, name := range fields {
			cells = append(cells, Spell(held[name]))
		}
		for i := range cells {
			cells[i] = sheet.Harmless(cells[i])
		}
		if err := writer.Write(cells); err != nil {
			return err
		}
	}
	writer.Flush()
	return writer.Error()
}

func zero(number int) string {
	if number == 0 {
		return ""
	}
	return strconv.Itoa(number)
}

// merged are the values that the next replay would send: the record's, corrected.
func merged(letter ledger.DeadLetter) ledger.Values {
	held := ledger.Values{}
	maps.Copy(held, letter.Values)
	maps.Copy(held, letter.Overrides)
	return held
}

// Spell is a value as it stands in a cell: a text as it is, nothing for null, else JSON.
func Spell(value any) string {
	switch typed := value.(type) {
	case nil:
		return ""
	case string:
		return typed
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

// Import reads a table that Write wrote and a person edited, and gives each dead
// letter the values of the cells that are not what it holds. Columns other than id and
// "field:NAME" are not looked at. A row that is wrong stops none of the others.
// Outcomes: Done (corrected), "unchanged", NotFound, NotOpen, Refused, Left.
func (d Desk) Import(ctx context.Context, in io.Reader) (Outcome, error) {
	reader := csv.NewReader(unmarked(in))
	reader.FieldsPerRecord = -1
	heads, err := reader.Read()
	if err != nil {
		return Outcome{}, fault.New(fault.Usage, "the table has no header row")
	}
	at := slices.Index(heads, "id")
	if at < 0 {
		return Outcome{}, fault.New(fault.Usage, "the table has no column id")
	}
	var outcome Outcome
	outcome.count(Done, 0)
	for rows := 0; ; rows++ {
		cells, err := reader.Read()
		line, _ := reader.FieldPos(0)
		if errors.Is(err, io.EOF) {
			return outcome, nil
		}
		if rows >= Most {
			return outcome, fault.New(fault.Usage, "at most %d rows at once; those before are done", Most)
		}
		if rows%batch == batch-1 && d.Enough != nil && d.Enough() {
			outcome.count(Left, 1+rowsBehind(reader, rows))
			return outcome, nil
		}
		switch {
		case err != nil:
			var broken *csv.ParseError
			if !errors.As(err, &broken) {
				return outcome, fault.New(fault.Usage, "the table could not be read to its end; the rows before are done")
			}
			outcome.fail(Failure{Outcome: Refused, Line: broken.Line, Message: "the row cannot be read: its quotes are wrong"})
			continue
		case len(cells) != len(heads):
			outcome.fail(Failure{Outcome: Refused, Line: line, Message: fmt.Sprintf("the row has %d columns, the table %d", len(cells), len(heads))})
			continue
		}
		failure, changed, err := d.importRow(ctx, cells[at], heads, cells)
		switch {
		case err != nil:
			return outcome, err
		case failure != nil:
			failure.Line = line
			outcome.fail(*failure)
		case changed:
			outcome.count(Done, 1)
		default:
			outcome.count("unchanged", 1)
		}
	}
}

// rowsBehind counts the rows behind the one of number at.
func rowsBehind(reader *csv.Reader, at int) int {
	count := 0
	for at+count < Most {
		if _, err := reader.Read(); errors.Is(err, io.EOF) {
			break
		}
		count++
	}
	return count
}

// unmarked drops the byte order mark that spreadsheets write.
func unmarked(in io.Reader) io.Reader {
	head := make([]byte, 3)
	n, err := io.ReadFull(in, head)
	if err == nil && bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		return in
	}
	return io.MultiReader(bytes.NewReader(head[:n]), in)
}

func (d Desk) importRow(ctx context.Context, id string, heads, cells []string) (failure *Failure, changed bool, err error) {
	failure, err = d.one(ctx, id, func(letter ledger.DeadLetter) error {
		held, given := merged(letter), ledger.Values{}
		for i, head := range heads {
			name, is := strings.CutPrefix(head, valuePrefix)
			cell := sheet.Plain(cells[i])
			if !is || cell == Spell(held[name]) {
				continue
			}
			if err := nameable(letter, name); err != nil {
				return err
			}
			value, err := meant(cell, held[name])
			if err != nil {
				return fault.New(fault.Usage, "the cell of %s is not of the kind that the field holds", name)
			}
			given[name] = value
		}
		if len(given) == 0 {
			return nil
		}
		changed = true
		_, err = correct(ctx, d.Store, d.Key, letter, given)
		return err
	})
	return failure, changed && failure == nil, err
}

// meant is the value of a cell, of the kind of the value that stood there.
func meant(cell string, held any) (any, error) {
	if cell == "" {
		return nil, nil
	}
	switch held.(type) {
	case nil, string:
		return cell, nil
	}
	decoder := json.NewDecoder(strings.NewReader(cell))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return nil, errors.New("not JSON")
	}
	if value != nil && fmt.Sprintf("%T", record.Plain(value)) != fmt.Sprintf("%T", record.Plain(held)) {
		return nil, errors.New("another kind")
	}
	return value, nil
}
