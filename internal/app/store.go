package app

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
)

// Pauses between tries to reach something that does not answer.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
)

// OpenStore opens the ledger and brings its schema up to date. It waits for a
// database that does not answer until ctx ends; a wrong address or key is
// fault.Usage at once.
func OpenStore(ctx context.Context, settings config.Settings, log logrus.FieldLogger, now func() time.Time) (ledger.Store, error) {
	var store *sqlstore.Store
	err := persist(ctx, log, "the ledger does not answer; waiting for it", func(ctx context.Context) error {
		opened, err := sqlstore.Open(ctx, settings.DB, sqlstore.Options{Key: settings.Key, Now: now, Log: log})
		if err != nil {
			return err
		}
		if err := opened.Migrate(ctx); err != nil {
			_ = opened.Close() // the error of the migration says more
			return err
		}
		store = opened
		return nil
	})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// persist tries until it works, the error is not one that time mends, or ctx ends.
func persist(ctx context.Context, log logrus.FieldLogger, waiting string, try func(context.Context) error) error {
	pause := firstPause
	for {
		err := try(ctx)
		if err == nil || !fault.Is(err, fault.Unavailable, fault.Transient, fault.Busy) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		log.WithField("code", string(fault.CodeOf(err))).WithField("next_try_in", pause.String()).Warn(waiting)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}
