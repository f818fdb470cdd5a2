package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/fault"
)

const (
	// liteReaders is how many calls read a SQLite ledger at once.
	liteReaders = 4
	// lockWait is how long SQLite waits for another process's transaction.
	lockWait = 10 * time.Second
	// writeTries is how often a transaction that met another is begun again.
	writeTries = 8
)

// lite is the SQLite backend: one writer, which puts calls that wait at the same
// time into one transaction (group commit), and some readers on WAL snapshots.
type lite struct {
	s       *Store
	db      *sql.DB
	queue   chan *waiting
	readers chan *session
	stop    chan struct{}
	stopped chan struct{}
	ended   sync.Once
	// folder is removed at the end; empty for a ledger that stays.
	folder string
}

var _ backend = (*lite)(nil)

// openSQLite opens or creates the file. ":memory:" is a file of its own that is
// removed by Close, so that it behaves like any other.
func (s *Store) openSQLite(ctx context.Context, file string) error {
	folder := ""
	synchronous := "FULL"
	if file == ":memory:" {
		var err error
		if folder, err = os.MkdirTemp("", "accord-ledger-"); err != nil {
			return fault.Wrap(fault.Unavailable, err, "no temporary folder for the ledger could be made")
		}
		file, synchronous = filepath.Join(folder, "ledger.db"), "OFF"
	}
	path, err := filepath.Abs(file)
	if err != nil || file == "" {
		return fault.Wrap(fault.Usage, err, "the database address sqlite:FILE names no file")
	}
	s.where = "SQLite " + path
	s.dialect = sqliteDialect()
	if err := touch(path); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the ledger %s cannot be opened; check the folder and its permissions", s.where)
	}
	db, err := sql.Open("sqlite", liteDSN(path, synchronous))
	if err != nil {
		return s.coded(err)
	}
	s.admin = db
	b := &lite{
		s: s, db: db, folder: folder,
		queue: make(chan *waiting), readers: make(chan *session, liteReaders),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	for range liteReaders {
		b.readers <- &session{db: db}
	}
	s.backend = b
	go b.loop()
	if err := s.Ping(ctx); err != nil {
		_ = s.Close() // the first error is the one to tell
		return err
	}
	return nil
}

// touch makes the file readable by its owner only, and finds out whether it can
// be written, with the system's own words for the reason.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// liteDSN asks for WAL, and for FULL so that an acknowledged webhook survives a
// power cut; group commit pays for it.
func liteDSN(path, synchronous string) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	values := url.Values{}
	values.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", lockWait.Milliseconds()))
	values.Add("_pragma", "journal_mode(WAL)")
	values.Add("_pragma", "synchronous("+synchronous+")")
	values.Add("_pragma", "cache_size(-32000)")
	values.Add("_txlock", "immediate")
	return "file://" + (&url.URL{Path: slashed}).EscapedPath() + "?" + values.Encode()
}

func (b *lite) close() (err error) {
	b.ended.Do(func() {
		close(b.stop)
		<-b.stopped
		for range liteReaders {
			(<-b.readers).drop()
		}
		if b.folder != "" {
			err = errors.Join(b.db.Close(), os.RemoveAll(b.folder))
		}
	})
	return err
}

// read runs call on a snapshot.
func (b *lite) read(ctx context.Context, call func(*txn) error) error {
	var reader *session
	select {
	case reader = <-b.readers:
	case <-b.stop:
		return errClosed()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { b.readers <- reader }()
	if err := ctx.Err(); err != nil {
		return err
	}
	// It waits for nobody. A ctx that ended in its middle would leave the reader in a
	// transaction of which nobody knows, and each later call on it would be refused.
	if _, err := reader.ExecContext(context.WithoutCancel(ctx), "BEGIN"); err != nil {
		reader.drop()
		return err
	}
	err := call(b.txn(ctx, reader))
	// The end must come through even when ctx has ended.
	if _, endErr := reader.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); endErr != nil {
		reader.drop()
		if err == nil {
			err = endErr
		}
	}
	return err
}

func (b *lite) txn(ctx context.Context, q querier) *txn {
	now := b.s.Clock()
	b.s.clock.noticed(now.UnixMicro())
	return &txn{ctx: ctx, q: q, s: b.s, now: now.UnixMicro()}
}

func errClosed() error {
	return fault.New(fault.Unavailable, "the ledger is closed: the process is stopping")
}

// session is one connection with its prepared statements. It is used by one
// call at a time.
type session struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

var _ querier = (*session)(nil)

func (s *session) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if s.conn == nil {
		conn, err := s.db.Conn(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		s.conn, s.stmts = conn, map[string]*sql.Stmt{}
	}
	if stmt, ok := s.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, err
	}
	s.stmts[query] = stmt
	return stmt, nil
}

// ExecContext implements querier.
func (s *session) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := s.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext implements querier.
func (s *session) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := s.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// drop closes the connection; the next statement opens a new one.
func (s *session) drop() {
	if s.conn == nil {
		return
	}
	for _, stmt := range s.stmts {
		_ = stmt.Close() // the connection is given up anyway
	}
	// The error takes the connection out of the pool: it may be in the middle of
	// a transaction.
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = s.conn.Close()
	s.conn, s.stmts = nil, nil
}

func (s *session) dropIfBroken(err error) {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		s.drop()
	}
}
