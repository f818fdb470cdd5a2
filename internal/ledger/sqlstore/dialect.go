package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/accord-sync/accord/internal/fault"
)

// dialect is what differs between the two databases. SQLite has one writer at a
// time, so row locks are needed on Postgres only.
type dialect struct {
	postgres bool
	// forUpdate ends a SELECT whose rows are locked until the commit.
	forUpdate string
	// skipLocked does the same, leaving out rows that others hold.
	skipLocked string
}

func sqliteDialect() dialect { return dialect{} }

func postgresDialect() dialect {
	return dialect{postgres: true, forUpdate: " FOR UPDATE", skipLocked: " FOR UPDATE SKIP LOCKED"}
}

// SQLite's primary result codes, https://www.sqlite.org/rescode.html.
const (
	sqliteError      = 1
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteConstraint = 19
	sqliteMismatch   = 20
	sqliteMisuse     = 21
	sqliteRange      = 25
)

// retryable reports whether the same transaction may succeed if begun again.
func retryable(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		code := lite.Code() & 0xff
		return code == sqliteBusy || code == sqliteLocked
	}
	var post *pgconn.PgError
	if errors.As(err, &post) {
		// Serialization failure, deadlock, lock not available.
		return post.Code == "40001" || post.Code == "40P01" || post.Code == "55P03"
	}
	return false
}

// coded turns any error into a fault. Texts of databases may quote values, so
// they stay in the cause.
func (s *Store) coded(err error) error {
	if err == nil {
		return nil
	}
	if coded := fault.As(err); coded != nil {
		return coded
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.Unavailable, err, "the call to the ledger %s was given up", s.where)
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return s.codedSQLite(lite, err)
	}
	var post *pgconn.PgError
	if errors.As(err, &post) {
		return s.codedPostgres(post, err)
	}
	if errors.Is(err, sql.ErrTxDone) {
		return fault.Wrap(fault.Internal, err, "a transaction of the ledger %s was used after its end", s.where)
	}
	return fault.Wrap(fault.Unavailable, err, "the ledger %s does not answer; check that it runs and can be reached", s.where)
}

func (s *Store) codedSQLite(lite *sqlite.Error, err error) error {
	switch lite.Code() & 0xff {
	case sqliteConstraint:
		return fault.Wrap(fault.Conflict, err, "the ledger holds a row that excludes this one")
	case sqliteBusy, sqliteLocked:
		return fault.Wrap(fault.Unavailable, err, "the ledger %s is locked by another process; try again", s.where)
	case sqliteError, sqliteMismatch, sqliteMisuse, sqliteRange:
		if strings.Contains(lite.Error(), "no such table") {
			return fault.Wrap(fault.Unavailable, err, "the ledger %s has no schema yet; run accord migrate", s.where)
		}
		return fault.Wrap(fault.Internal, err, "the ledger %s refused a statement (SQLite code %d)", s.where, lite.Code())
	}
	return fault.Wrap(fault.Unavailable, err,
		"the ledger %s cannot be read or written (SQLite code %d); check the folder, its permissions and the free space", s.where, lite.Code())
}

func (s *Store) codedPostgres(post *pgconn.PgError, err error) error {
	switch {
	case strings.HasPrefix(post.Code, "23"):
		return fault.Wrap(fault.Conflict, err, "the ledger holds a row that excludes this one")
	case strings.HasPrefix(post.Code, "22"):
		return fault.Wrap(fault.Usage, err, "the ledger cannot hold this value (SQLSTATE %s)", post.Code)
	case post.Code == "42P01":
		return fault.Wrap(fault.Unavailable, err, "the ledger %s has no schema yet; run accord migrate", s.where)
	case strings.HasPrefix(post.Code, "42"):
		return fault.Wrap(fault.Internal, err, "the ledger %s refused a statement (SQLSTATE %s)", s.where, post.Code)
	}
	return fault.Wrap(fault.Unavailable, err, "the ledger %s does not work now (SQLSTATE %s)", s.where, post.Code)
}
