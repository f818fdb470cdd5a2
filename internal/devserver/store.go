package devserver

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// schemaOwner is the row of schema_version that this package keeps.
const schemaOwner = "accord"

// schemaVersionTable is Temporal's own table for schema versions, which its SQLite schema leaves out: without it a
// file of an older version could not be told from a current one.
const schemaVersionTable = `CREATE TABLE schema_version(version_partition INT NOT NULL, db_name VARCHAR(255) NOT NULL,
creation_time DATETIME(6), curr_version VARCHAR(64), min_compatible_version VARCHAR(64),
PRIMARY KEY (version_partition, db_name))`

// schemaVersion is what this build of the server reads and writes: main store, then visibility store.
const schemaVersion = sqlite.Version + "+" + sqlite.VisibilityVersion

// prepareStore makes the schema where there is none, refuses a file it does not know, and creates the namespace with
// its search attributes where it is missing. The server must not be running.
func prepareStore(cfg *config.SQL, opts Options) error {
	// The plugin makes the schema of a database in memory by itself.
	if opts.DataDir != "" {
		if err := prepareFile(cfg, opts.DataDir); err != nil {
			return err
		}
	}
	namespace, err := sqlite.NewNamespaceConfig(clusterName, opts.Namespace, false, opts.SearchAttributes)
	if err != nil {
		return fmt.Errorf("search attributes of Temporal namespace %q: %w", opts.Namespace, err)
	}
	namespace.Detail.Config.Retention = durationpb.New(opts.Retention)
	if err := sqlite.CreateNamespaces(cfg, namespace); err != nil {
		return fmt.Errorf("create Temporal namespace %q: %w", opts.Namespace, err)
	}
	return nil
}

func prepareFile(cfg *config.SQL, dir string) error {
	path, err := databasePath(dir)
	if err != nil {
		return err
	}
	if err := checkWritable(path); err != nil {
		return err
	}
	db, err := sql.NewSQLAdminDB(sqlplugin.DbKindUnknown, cfg, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return fmt.Errorf("open the Temporal data file %s: restore it from a backup, or move it away to start empty: %w", path, err)
	}
	defer func() { _ = db.Close() }()
	tables, err := db.ListTables(cfg.DatabaseName)
	if err != nil {
		return fmt.Errorf("read the Temporal data file %s: restore it from a backup, or move it away to start empty: %w", path, err)
	}
	if len(tables) == 0 {
		return createSchema(db, path)
	}
	return checkSchema(db, tables, path)
}

// checkWritable tells a missing permission apart from a broken file, which SQLite does not.
func checkWritable(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the Temporal data file %s: fix its permissions or choose another data folder: %w", path, err)
	}
	return file.Close()
}

// createSchema writes the whole schema in one transaction: a process killed halfway leaves an empty file, and the
// next start begins again.
func createSchema(db sqlplugin.AdminDB, path string) error {
	script := &scriptDB{AdminDB: db}
	if err := sqlite.SetupSchemaOnDB(script); err != nil {
		return fmt.Errorf("read the Temporal schema: %w", err)
	}
	statements := slices.Concat(
		[]string{"BEGIN IMMEDIATE"},
		script.statements,
		[]string{
			schemaVersionTable,
			fmt.Sprintf("INSERT INTO schema_version VALUES (0, '%s', CURRENT_TIMESTAMP, '%s', '%s')", schemaOwner, schemaVersion, schemaVersion),
			"COMMIT",
		},
	)
	if err := db.Exec(strings.Join(statements, ";\n")); err != nil {
		// The transaction may have ended with the error already, so its own error says nothing.
		_ = db.Exec("ROLLBACK")
		return fmt.Errorf("create the Temporal schema in %s: make sure that the disk is not full: %w", path, err)
	}
	return nil
}

func checkSchema(db sqlplugin.AdminDB, tables []string, path string) error {
	if !slices.Contains(tables, "namespaces") || !slices.Contains(tables, "schema_version") {
		return fmt.Errorf("%s is not a Temporal data file made by accord: choose another data folder", path)
	}
	version, err := db.ReadSchemaVersion(schemaOwner)
	if err != nil {
		return fmt.Errorf("%s is not a Temporal data file made by accord: choose another data folder: %w", path, err)
	}
	if version != schemaVersion {
		return fmt.Errorf("%s was written by another version of the embedded Temporal server (schema %s, this one needs %s): "+
			"finish its workflows with the version that wrote it, then move the file away", path, version, schemaVersion)
	}
	return nil
}

// scriptDB collects the statements of a schema instead of running them one by one.
type scriptDB struct {
	sqlplugin.AdminDB
	statements []string
}

var _ sqlplugin.AdminDB = (*scriptDB)(nil)

// Exec keeps a statement without parameters, which is all that a schema is made of.
func (s *scriptDB) Exec(statement string, args ...any) error {
	if len(args) > 0 {
		return errors.New("a schema statement has parameters")
	}
	s.statements = append(s.statements, strings.TrimRight(strings.TrimSpace(statement), ";"))
	return nil
}
