package sqlstore

import (
	"context"
	"embed"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/accord-sync/accord/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrateTries is how often a migration that met another process is begun again.
const migrateTries = 20

// Migrate implements ledger.Store. It also checks that the key is the one the
// ledger was made with, so that a wrong key is told at the start.
func (s *Store) Migrate(ctx context.Context) error {
	provider, err := s.gooseProvider()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the migrations of the ledger cannot be read")
	}
	// Postgres is locked by goose. SQLite has no such lock, but each step is one
	// transaction: who comes second fails on it and finds it done when looking again.
	for try := 1; ; try++ {
		if _, err = provider.Up(ctx); err == nil {
			if err := s.checkKey(ctx); err != nil {
				return err
			}
			// The clock may have been set back while no process was there to see it.
			return s.write(ctx, (*txn).mendTimes)
		}
		if try == migrateTries || ctx.Err() != nil || s.dialect.postgres {
			return fault.Wrap(fault.Unavailable, err, "the schema of the ledger %s could not be brought up to date", s.where)
		}
		s.log.WithField("try", try).Debug("migration met another process, looking again")
		if err := pause(ctx, time.Duration(try)*20*time.Millisecond); err != nil {
			return s.coded(err)
		}
	}
}

func (s *Store) gooseProvider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if !s.dialect.postgres {
		return goose.NewProvider(goose.DialectSQLite3, s.admin, files)
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, s.admin, files, goose.WithSessionLocker(locker))
}

// checkKey stores a sealed word the first time and opens it ever after.
func (s *Store) checkKey(ctx context.Context) error {
	where := place("ledger_meta", "", "key_check")
	return s.write(ctx, func(t *txn) error {
		sealed, err := s.box.seal([]byte("accord"), where)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO ledger_meta (tenant_id, name, value) VALUES ('', 'key_check', $1)
			ON CONFLICT (tenant_id, name) DO NOTHING`, sealed); err != nil {
			return err
		}
		var stored []byte
		if _, err := t.row("SELECT value FROM ledger_meta WHERE tenant_id = '' AND name = 'key_check'", nil, &stored); err != nil {
			return err
		}
		_, err = s.box.open(stored, where)
		return err
	})
}

// pause waits or gives up with the context.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
