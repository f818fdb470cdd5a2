package sqlstore

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
)

// A ledger is brought up to date from wherever a build left it: goose refuses a number
// below the newest that was done, so that a migration never comes in between.
func TestALedgerIsBroughtUpFromAnyBuild(t *testing.T) {
	const touch = "0008_touch_points.sql"
	for name, before := range map[string]map[string]string{
		"pace":                          {},
		"rules without touch-points":    {"0007_rules.sql": "0007_rules.sql"},
		"rules, then touch-points as 6": {"0006_touch_points.sql": touch, "0007_rules.sql": "0007_rules.sql"},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := Open(t.Context(), "sqlite::memory:", Options{Key: bytes.Repeat([]byte("k"), 32)})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			files := fstest.MapFS{}
			all, err := fs.ReadDir(migrations, "migrations")
			require.NoError(t, err)
			for _, file := range all {
				if strings.Compare(file.Name(), "0006") < 0 {
					before[file.Name()] = file.Name()
				}
			}
			for as, file := range before {
				text, err := migrations.ReadFile("migrations/" + file)
				require.NoError(t, err)
				files[as] = &fstest.MapFile{Data: text}
			}
			old, err := goose.NewProvider(goose.DialectSQLite3, store.admin, files)
			require.NoError(t, err)
			_, err = old.Up(t.Context())
			require.NoError(t, err)
			require.NoError(t, store.Migrate(t.Context()))
			_, err = store.TouchTotals(t.Context())
			require.NoError(t, err)
			require.NoError(t, store.Migrate(t.Context()))
		})
	}
}
