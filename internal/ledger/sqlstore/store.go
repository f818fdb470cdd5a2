// Package sqlstore keeps the ledger in SQLite (the embedded default) or in
// Postgres. One set of statements runs on both; dialect.go holds what differs.
package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"io"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// Options are the settings of a Store.
type Options struct {
	// Key is the AES-256 key (32 bytes) that seals values, secrets and tokens.
	// It is required.
	Key []byte
	// Now is the clock of this machine; nil: time.Now. It is the ledger's clock on
	// SQLite; on Postgres the database's is, which this one only follows.
	Now func() time.Time
	// ClockOffset is added to the clock of either database, so that tests can
	// let time pass; nil: none.
	ClockOffset func() time.Duration
	// Random makes ids, lease tokens and nonces; nil: crypto/rand.
	Random io.Reader
	// Log gets retries and clean-ups; nil: silence.
	Log logrus.FieldLogger
}

// Store is a ledger.Store on a SQL database.
type Store struct {
	dialect dialect
	backend backend
	box     *box
	options Options
	log     logrus.FieldLogger
	clock   *clock
	// admin runs migrations.
	admin *sql.DB
	// where names the database for people, without user and password.
	where string
}

var _ ledger.Store = (*Store)(nil)

// backend runs calls inside transactions of its kind of database.
type backend interface {
	// write runs call in a transaction that may change rows. The call may be
	// run more than once; only the last run counts.
	write(ctx context.Context, call func(*txn) error) error
	// read runs call on one consistent snapshot.
	read(ctx context.Context, call func(*txn) error) error
	close() error
}

// Open connects to "sqlite:FILE", "sqlite::memory:" or "postgres://…". It does
// not change the schema: call Migrate. A bad dsn or key is fault.Usage, a
// database that does not answer fault.Unavailable.
func Open(ctx context.Context, dsn string, options Options) (*Store, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.ClockOffset == nil {
		options.ClockOffset = func() time.Duration { return 0 }
	}
	if options.Random == nil {
		options.Random = rand.Reader
	}
	if options.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		options.Log = silent
	}
	box, err := newBox(options.Key, options.Random)
	if err != nil {
		return nil, err
	}
	store := &Store{box: box, options: options, log: options.Log, clock: &clock{local: options.Now, begun: options.Now()}}
	switch {
	case strings.HasPrefix(dsn, "sqlite:"):
		err = store.openSQLite(ctx, strings.TrimPrefix(dsn, "sqlite:"))
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		err = store.openPostgres(ctx, dsn)
	default:
		// The dsn is not quoted: it may hold a password.
		err = fault.New(fault.Usage, "the database address must be sqlite:FILE or postgres://user:password@host/name")
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// Close implements ledger.Store. Calls that already wait are finished first.
func (s *Store) Close() error {
	err := s.backend.close()
	if s.admin != nil {
		if closeErr := s.admin.Close(); err == nil {
			err = closeErr
		}
	}
	return s.coded(err)
}

// Ping implements ledger.Store.
func (s *Store) Ping(ctx context.Context) error {
	return s.read(ctx, func(t *txn) error {
		var one int
		_, err := t.row("SELECT 1", nil, &one)
		return err
	})
}

// Now implements ledger.Store.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := s.read(ctx, func(t *txn) error {
		now = timeOf(t.now)
		return nil
	})
	return now, err
}

// write runs call in a writing transaction and codes its error.
func (s *Store) write(ctx context.Context, call func(*txn) error) error {
	if err := s.mendIfSetBack(ctx); err != nil {
		return s.coded(err)
	}
	return s.coded(s.backend.write(ctx, call))
}

// read runs call on a snapshot and codes its error.
func (s *Store) read(ctx context.Context, call func(*txn) error) error {
	return s.coded(s.backend.read(ctx, call))
}

// newID makes a sortable unique id. Ids need no order between processes, so the
// process's clock will do.
func (s *Store) newID() (string, error) {
	id, err := ulid.New(ulid.Timestamp(time.Now()), s.options.Random)
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "no randomness to make an id")
	}
	return id.String(), nil
}
