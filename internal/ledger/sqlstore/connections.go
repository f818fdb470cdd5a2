package sqlstore

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

const connectionColumns = `tenant_id, connection_id, name, state, state_reason, version, integration, variables, secrets, created_at, updated_at, restored`

// CreateConnection implements ledger.Connections.
func (s *Store) CreateConnection(ctx context.Context, connection ledger.Connection) error {
	if connection.Tenant == "" || connection.Connection == "" {
		return fault.New(fault.Usage, "a connection needs a tenant and an id")
	}
	if connection.State == "" {
		connection.State = ledger.Draft
	}
	connection.Version = 1
	return s.write(ctx, func(t *txn) error {
		var one int
		removing, err := t.row("SELECT 1 FROM removals WHERE connection_id = $1", []any{connection.Connection}, &one)
		if err != nil {
			return err
		}
		if removing {
			return fault.New(fault.Conflict, "the old connection of this id is still being removed; try again later").On(connection.Key)
		}
		variables, secrets, err := s.sealConnection(connection)
		if err != nil {
			return err
		}
		created := micros(connection.CreatedAt)
		if created == 0 {
			created = t.now
		}
		added, err := t.exec(`INSERT INTO connections (`+connectionColumns+`)
			VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, '') ON CONFLICT DO NOTHING`,
			connection.Tenant, connection.Connection, connection.Name, string(connection.State), connection.StateReason,
			connection.Integration, variables, secrets, created, t.now)
		if err != nil {
			return err
		}
		if added == 0 {
			return fault.New(fault.Conflict, "a connection of this id exists already").On(connection.Key)
		}
		return t.keepVersion(connection, variables, secrets)
	})
}

// sealConnection encrypts variables and secrets, bound to the connection.
func (s *Store) sealConnection(connection ledger.Connection) (variables, secrets []byte, err error) {
	if variables, err = s.box.sealJSON(connection.Variables, place("connections.variables", connection.Tenant, connection.Connection)); err != nil {
		return nil, nil, err
	}
	secrets, err = s.box.sealJSON(connection.Secrets, place("connections.secrets", connection.Tenant, connection.Connection))
	return variables, secrets, err
}

func (t *txn) keepVersion(connection ledger.Connection, variables, secrets []byte) error {
	_, err := t.exec(`INSERT INTO connection_versions (tenant_id, connection_id, version, integration, variables, secrets, stored_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		connection.Tenant, connection.Connection, connection.Version, connection.Integration, variables, secrets, t.now)
	return err
}

// UpdateConnection implements ledger.Connections. It changes name, integration,
// variables and secrets; the state has a call of its own.
func (s *Store) UpdateConnection(ctx context.Context, connection ledger.Connection) error {
	return s.write(ctx, func(t *txn) error {
		variables, secrets, err := s.sealConnection(connection)
		if err != nil {
			return err
		}
		changed, err := t.exec(`UPDATE connections SET name = $1, integration = $2, variables = $3, secrets = $4, version = $5, updated_at = $6
			WHERE tenant_id = $7 AND connection_id = $8 AND version = $9`,
			connection.Name, connection.Integration, variables, secrets, connection.Version, t.now,
			connection.Tenant, connection.Connection, connection.Version-1)
		if err != nil {
			return err
		}
		if changed == 0 {
			if err := t.mustExist(connection.Key); err != nil {
				return err
			}
			return fault.New(fault.Conflict, "the connection was edited by somebody else meanwhile; read it again").On(connection.Key)
		}
		return t.keepVersion(connection, variables, secrets)
	})
}

// IntegrationOf implements ledger.Connections.
func (s *Store) IntegrationOf(ctx context.Context, key ledger.Key, version int) (string, error) {
	var text string
	err := s.read(ctx, func(t *txn) error {
		found, err := t.row("SELECT integration FROM connection_versions WHERE tenant_id = $1 AND connection_id = $2 AND version = $3",
			[]any{key.Tenant, key.Connection, version}, &text)
		if err == nil && !found {
			return fault.New(fault.NotFound, "the connection has no version %d", version).On(key)
		}
		return err
	})
	return text, err
}

// mostReplaced bounds ReplacedVersions.
const mostReplaced = 10

// ReplacedVersions implements ledger.Connections.
func (s *Store) ReplacedVersions(ctx context.Context, key ledger.Key, within time.Duration) ([]ledger.Connection, error) {
	var replaced []ledger.Connection
	err := s.read(ctx, func(t *txn) error {
		replaced = nil
		return t.rows(`SELECT o.version, o.integration, o.variables, o.secrets FROM connection_versions n
			JOIN connection_versions o ON o.tenant_id = n.tenant_id AND o.connection_id = n.connection_id AND o.version = n.version - 1
			WHERE n.tenant_id = $1 AND n.connection_id = $2 AND n.stored_at > $3 ORDER BY o.version DESC LIMIT `+itoa(mostReplaced),
			[]any{key.Tenant, key.Connection, t.now - within.Microseconds()}, func(scan func(...any) error) error {
				c := ledger.Connection{Key: key}
				var variables, secrets []byte
				if err := scan(&c.Version, &c.Integration, &variables, &secrets); err != nil {
					return err
				}
				if err := s.box.openJSON(variables, place("connections.variables", key.Tenant, key.Connection), &c.Variables); err != nil {
					return err
				}
				err := s.box.openJSON(secrets, place("connections.secrets", key.Tenant, key.Connection), &c.Secrets)
				replaced = append(replaced, c)
				return err
			})
	})
	return replaced, err
}

// mustExist returns NotFound unless the connection is there.
func (t *txn) mustExist(key ledger.Key) error {
	var one int
	found, err := t.row("SELECT 1 FROM connections WHERE tenant_id = $1 AND connection_id = $2", []any{key.Tenant, key.Connection}, &one)
	if err == nil && !found {
		return noConnection(key)
	}
	return err
}

func noConnection(key ledger.Key) error {
	return fault.New(fault.NotFound, "there is no such connection").On(key)
}

// SetConnectionState implements ledger.Connections.
func (s *Store) SetConnectionState(ctx context.Context, key ledger.Key, state ledger.ConnectionState, reason string) error {
	return s.write(ctx, func(t *txn) error {
		if state == ledger.Active {
			restored, _, err := t.restoredOf(key)
			if err != nil {
				return err
			}
			if restored.Waiting() {
				return fault.New(fault.Conflict, "%s", restoredReason).On(key)
			}
		}
		changed, err := t.exec(`UPDATE connections SET state = $1, state_reason = $2, updated_at = $3
			WHERE tenant_id = $4 AND connection_id = $5`, string(state), reason, t.now, key.Tenant, key.Connection)
		if err == nil && changed == 0 {
			return noConnection(key)
		}
		return err
	})
}

// Connection implements ledger.Connections.
func (s *Store) Connection(ctx context.Context, key ledger.Key) (ledger.Connection, error) {
	found, err := s.selectConnections(ctx, "tenant_id = $1 AND connection_id = $2", key.Tenant, key.Connection)
	if err != nil {
		return ledger.Connection{}, err
	}
	if len(found) == 0 {
		return ledger.Connection{}, noConnection(key)
	}
	return found[0], nil
}

// Standing implements ledger.Connections.
func (s *Store) Standing(ctx context.Context, key ledger.Key) (ledger.Standing, error) {
	var standing ledger.Standing
	err := s.read(ctx, func(t *txn) error {
		var body string
		var at int64
		found, err := t.row(`SELECT c.state, c.version, c.restored, COALESCE(m.epoch, ''), COALESCE(m.count, 0), COALESCE(m.marked_at, 0)
			FROM connections c LEFT JOIN ledger_mark m ON m.one = 1 WHERE c.tenant_id = $1 AND c.connection_id = $2`,
			[]any{key.Tenant, key.Connection}, &standing.State, &standing.Version, &body, &standing.Mark.Epoch, &standing.Mark.Count, &at)
		if err == nil && !found {
			return noConnection(key)
		}
		if err == nil {
			standing.Mark.At = timeOf(at)
			standing.Restored, err = restoredFrom(body)
		}
		return err
	})
	return standing, err
}

// FindConnection implements ledger.Connections. Ids are unique over all tenants.
func (s *Store) FindConnection(ctx context.Context, id string) (ledger.Connection, error) {
	found, err := s.selectConnections(ctx, "connection_id = $1", id)
	if err != nil {
		return ledger.Connection{}, err
	}
	if len(found) == 0 {
		return ledger.Connection{}, noConnection(ledger.Key{Tenant: "*", Connection: id})
	}
	return found[0], nil
}

// ListConnections implements ledger.Connections, by tenant and id.
func (s *Store) ListConnections(ctx context.Context, tenant string, options ledger.ListOptions) ([]ledger.Connection, string, error) {
	const list = "connections"
	p, err := pageOf(list, options)
	if err != nil {
		return nil, "", err
	}
	// Ids are unique over all tenants, so they order any list.
	items, err := s.selectConnections(ctx, "connection_id > $1 AND ($2 = '' OR tenant_id = $2) ORDER BY connection_id LIMIT $3",
		p.id, tenant, p.limit+1)
	if err != nil {
		return nil, "", err
	}
	items, next := cut(items, p, list, func(c ledger.Connection) (int64, string) { return 0, c.Connection })
	return items, next, nil
}

func (s *Store) selectConnections(ctx context.Context, where string, args ...any) ([]ledger.Connection, error) {
	var items []ledger.Connection
	err := s.read(ctx, func(t *txn) error {
		items = nil
		return t.rows("SELECT "+connectionColumns+" FROM connections WHERE "+where, args, func(scan func(...any) error) error {
			c, err := s.scanConnection(scan)
			if err == nil {
				items = append(items, c)
			}
			return err
		})
	})
	return items, err
}

// Versions implements ledger.Connections.
func (s *Store) Versions(ctx context.Context) ([]ledger.Connection, error) {
	var items []ledger.Connection
	err := s.read(ctx, func(t *txn) error {
		items = nil
		return t.rows("SELECT tenant_id, connection_id, state, version FROM connections ORDER BY connection_id", nil, func(scan func(...any) error) error {
			var c ledger.Connection
			err := scan(&c.Tenant, &c.Connection, &c.State, &c.Version)
			items = append(items, c)
			return err
		})
	})
	return items, err
}

func (s *Store) scanConnection(scan func(...any) error) (c ledger.Connection, err error) {
	var variables, secrets []byte
	var created, updated int64
	var restored string
	if err = scan(&c.Tenant, &c.Connection, &c.Name, &c.State, &c.StateReason, &c.Version, &c.Integration,
		&variables, &secrets, &created, &updated, &restored); err != nil {
		return c, err
	}
	if c.Restored, err = restoredFrom(restored); err != nil {
		return c, err
	}
	c.CreatedAt, c.UpdatedAt = timeOf(created), timeOf(updated)
	if err = s.box.openJSON(variables, place("connections.variables", c.Tenant, c.Connection), &c.Variables); err != nil {
		return c, err
	}
	return c, s.box.openJSON(secrets, place("connections.secrets", c.Tenant, c.Connection), &c.Secrets)
}
