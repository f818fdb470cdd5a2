package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/accord-sync/accord/internal/fault"
)

// postgresConns bounds the connections of one process.
const postgresConns = 16

// idleTransaction lets Postgres end a transaction whose process says nothing
// more: one that was suspended or cut off would else keep its row locks, and
// with them the other workers, for as long as its connection lives. No
// transaction of ours waits for anything but Postgres, so that a few seconds
// are plenty; what it has done so far is undone, and its process tries again.
const idleTransaction = "SET idle_in_transaction_session_timeout = '5s'"

// post is the Postgres backend: ordinary concurrent transactions. READ COMMITTED
// plus row locks is enough: every check that matters locks the row it checks.
type post struct {
	s  *Store
	db *sql.DB
}

var _ backend = (*post)(nil)

func (s *Store) openPostgres(ctx context.Context, dsn string) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The cause may quote the address, password included: it is left out.
		return fault.New(fault.Usage, "the postgres:// address of the database cannot be read; check its form")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	s.where = "Postgres " + config.Host + "/" + config.Database
	s.dialect = postgresDialect()
	// Set by a statement: a pooler in between may refuse it as a parameter of the connection.
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, idleTransaction)
		return err
	}))
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s.admin = db
	s.backend = &post{s: s, db: db}
	if err := s.Ping(ctx); err != nil {
		_ = s.Close() // the first error is the one to tell
		return err
	}
	return nil
}

// close leaves the pool to Store.Close.
func (b *post) close() error { return nil }

func (b *post) write(ctx context.Context, call func(*txn) error) error {
	for try := 1; ; try++ {
		err := b.transact(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, call)
		if err == nil || !retryable(err) || try == writeTries {
			return err
		}
		b.s.log.WithField("try", try).Debug("a transaction of the ledger met another, trying again")
		if err := pause(ctx, time.Duration(try)*5*time.Millisecond); err != nil {
			return err
		}
	}
}

func (b *post) read(ctx context.Context, call func(*txn) error) error {
	return b.transact(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, call)
}

func (b *post) transact(ctx context.Context, options *sql.TxOptions, call func(*txn) error) error {
	tx, err := b.db.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	// After a commit this does nothing; after an error or a panic it ends the
	// transaction, and a failure to do so ends the connection.
	defer func() { _ = tx.Rollback() }()
	t := &txn{ctx: ctx, q: tx, s: b.s}
	asked := b.s.clock.since()
	if _, err := t.row("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)", nil, &t.now); err != nil {
		return err
	}
	t.now += b.s.options.ClockOffset().Microseconds()
	b.s.clock.saw(asked, b.s.clock.since(), t.now)
	b.s.clock.noticed(t.now)
	if err := call(t); err != nil {
		return err
	}
	return tx.Commit()
}
