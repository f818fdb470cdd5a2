package format

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// maxColumns is the most columns of a file.
const maxColumns = 1000

// Heads are the names of the columns in a header row. Errors are fault.Invalid.
func Heads(row Row) ([]string, error) {
	if row.Bad != "" {
		return nil, fault.New(fault.Invalid, "the header row cannot be read: %s", row.Bad)
	}
	heads := make([]string, 0, len(row.Cells))
	for _, cell := range row.Cells {
		heads = append(heads, strings.TrimSpace(cell))
	}
	sorted := slices.Sorted(slices.Values(heads))
	if len(slices.Compact(sorted)) != len(heads) {
		return nil, fault.New(fault.Invalid, "two columns of the header row have the same name")
	}
	if len(heads) > maxColumns {
		return nil, fault.New(fault.Invalid, "the file has more than %d columns", maxColumns)
	}
	return heads, nil
}

// Object makes a record's fields of a row. bad says what is wrong with the row,
// field which column that is, if it is one; the others are told all the same.
func Object(row Row, heads []string, rules *manifest.CSV, types map[string]string) (fields map[string]any, field, bad string) {
	if row.Bad != "" {
		return nil, "", row.Bad
	}
	if len(row.Cells) != len(heads) {
		return nil, "", fmt.Sprintf("it has %d columns, the file has %d", len(row.Cells), len(heads))
	}
	held := record.Fields{}
	for i, head := range heads {
		if head == "" {
			continue
		}
		cell := strings.TrimSpace(row.Cells[i])
		switch between, several := rules.Lists[head]; {
		case several:
			held.Set(head, parts(cell, between))
		case cell == "":
			held.Set(head, nil)
		default:
			held.Set(head, row.Cells[i])
		}
	}
	if wrong := (Shape{Types: types, Decimal: rules.Decimal}).Apply(held); wrong != "" {
		return held, wrong, fmt.Sprintf("%s is not a %s", wrong, types[wrong])
	}
	return held, "", ""
}

func parts(cell, between string) any {
	list := []any{}
	for one := range strings.SplitSeq(cell, between) {
		if one = strings.TrimSpace(one); one != "" {
			list = append(list, one)
		}
	}
	return list
}

// WriteCSV writes a header row and one row: of the fields those that are given, in
// the order of the rules' columns. fault.Invalid names the field of a value that the
// file cannot hold.
func WriteCSV(fields map[string]any, rules *manifest.CSV) ([]byte, error) {
	var heads, cells []string
	left := record.Fields(fields).Clone()
	for _, head := range rules.Columns {
		value, there := left.Get(head)
		if !there {
			continue
		}
		cell, err := cellOf(head, value, rules)
		if err != nil {
			return nil, err
		}
		heads, cells = append(heads, Cell(head, rules.Comma())), append(cells, Cell(cell, rules.Comma()))
		without(left, strings.Split(head, "."))
	}
	for path := range left {
		return nil, refused([]string{path}, "the file has no such column")
	}
	comma := string(rules.Comma())
	return encoded(strings.Join(heads, comma)+"\r\n"+strings.Join(cells, comma)+"\r\n", rules.Encoding, nil)
}

// without takes a path out of an object, and what is empty then.
func without(object map[string]any, path []string) {
	if len(path) == 1 {
		delete(object, path[0])
		return
	}
	inner, ok := object[path[0]].(map[string]any)
	if !ok {
		return
	}
	if without(inner, path[1:]); len(inner) == 0 {
		delete(object, path[0])
	}
}

func cellOf(head string, value any, rules *manifest.CSV) (string, error) {
	if value == nil {
		return "", nil
	}
	path := strings.Split(head, ".")
	if list, several := value.([]any); several {
		between, known := rules.Lists[head]
		texts := make([]string, 0, len(list))
		for _, one := range list {
			said, ok := Text(one)
			if !known || !ok || strings.Contains(said, between) {
				return "", refused(path, "the column cannot hold the list: see csv.lists")
			}
			texts = append(texts, said)
		}
		return strings.Join(texts, between), nil
	}
	said, ok := Text(value)
	if !ok || strings.ContainsRune(said, 0) {
		return "", refused(path, "a column cannot hold the value")
	}
	if _, number := value.(json.Number); number && rules.Decimal == "," {
		said = strings.Replace(said, ".", ",", 1)
	}
	if _, err := encoded(said, rules.Encoding, nil); err != nil {
		return "", refused(path, fault.As(err).Message)
	}
	return said, nil
}

// Cell quotes a value where it must be: where RFC 4180 says so, where a reader
// could cut white space off, and where it begins with a byte order mark, which
// a reader takes away at the start of a file.
func Cell(value string, comma byte) string {
	plain := !strings.ContainsAny(value, "\"\r\n"+string(rune(comma))) && strings.TrimSpace(value) == value
	if plain && !strings.HasPrefix(value, "\ufeff") {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}
