package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// querier is what a transaction of either database offers.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// txn is one call of the Store inside a transaction.
type txn struct {
	ctx context.Context
	q   querier
	s   *Store
	// now is the ledger's clock when the call began, in microseconds.
	now int64
}

// exec runs a statement and returns how many rows it changed.
func (t *txn) exec(query string, args ...any) (int64, error) {
	result, err := t.q.ExecContext(t.ctx, query, storable(args)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// storable replaces in texts what PostgreSQL refuses to hold and SQLite holds: NUL
// and bytes that are no UTF-8. Vendors' messages and callers' parameters may have
// both, and neither must fail a commit again and again.
func storable(args []any) []any {
	for i, arg := range args {
		text, ok := arg.(string)
		if !ok || (utf8.ValidString(text) && strings.IndexByte(text, 0) < 0) {
			continue
		}
		clean := strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
		args = append(append(append(make([]any, 0, len(args)), args[:i]...), clean), args[i+1:]...)
	}
	return args
}

// rows calls each for every row of a query.
func (t *txn) rows(query string, args []any, each func(scan func(...any) error) error) (err error) {
	rows, err := t.q.QueryContext(t.ctx, query, storable(args)...)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// errStop ends a query early.
var errStop = errors.New("enough rows")

// row reads the first row of a query and reports whether there is one.
func (t *txn) row(query string, args []any, dest ...any) (bool, error) {
	found := false
	err := t.rows(query, args, func(scan func(...any) error) error {
		if err := scan(dest...); err != nil {
			return err
		}
		found = true
		return errStop
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return found, err
}

// listSizes are the lengths IN lists are padded to, so that few different
// statements exist and prepared ones are found again.
func listSizes() []int { return []int{1, 4, 16, 64, maxList} }

// maxList is the longest IN list.
const maxList = 200

// bound is a placeholder where a LIMIT or OFFSET takes it. SQLite prepares a
// statement again for each new value of a bare one.
func bound(placeholder string) string { return "CAST(" + placeholder + " AS BIGINT) + 0" }

// inList appends values to args and returns "($3, $4, …)" for them. It holds at
// least one and at most maxList values; the last is repeated as padding.
func inList(args []any, values []string) (string, []any) {
	size := maxList
	for _, candidate := range listSizes() {
		if candidate >= len(values) {
			size = candidate
			break
		}
	}
	var text strings.Builder
	text.WriteByte('(')
	for i := range size {
		if i > 0 {
			text.WriteString(", ")
		}
		args = append(args, values[min(i, len(values)-1)])
		text.WriteString("$" + strconv.Itoa(len(args)))
	}
	text.WriteByte(')')
	return text.String(), args
}

// chunks calls each with parts of values no longer than maxList.
func chunks(values []string, each func([]string) error) error {
	for len(values) > 0 {
		size := min(len(values), maxList)
		if err := each(values[:size]); err != nil {
			return err
		}
		values = values[size:]
	}
	return nil
}
