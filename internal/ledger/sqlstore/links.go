package sqlstore

import (
	"context"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const linkColumns = `id, stream, left_object, left_id, right_object, right_id, state, base, left_version, right_version,
	gone_side, gone_at, flagged, created_at, updated_at`

// scanLink reads linkColumns.
func (s *Store) scanLink(tenant string, scan func(...any) error) (ledger.Link, error) {
	l := ledger.Link{Left: record.Ref{Side: record.Left}, Right: record.Ref{Side: record.Right}}
	var base []byte
	var gone, flagged, created, updated int64
	if err := scan(&l.ID, &l.Stream, &l.Left.Object, &l.Left.ID, &l.Right.Object, &l.Right.ID, &l.State, &base,
		&l.LeftVersion, &l.RightVersion, &l.GoneSide, &gone, &flagged, &created, &updated); err != nil {
		return l, err
	}
	l.GoneAt, l.Flagged, l.CreatedAt, l.UpdatedAt = timeOf(gone), flagged != 0, timeOf(created), timeOf(updated)
	return l, s.box.openJSON(base, place("links", tenant, l.ID), &l.Base)
}

// selectLinks reads the links of a connection; $1 and $2 are its key.
func (t *txn) selectLinks(key ledger.Key, where string, args ...any) ([]ledger.Link, error) {
	var items []ledger.Link
	err := t.rows("SELECT "+linkColumns+" FROM links WHERE tenant_id = $1 AND connection_id = $2 AND "+where,
		append([]any{key.Tenant, key.Connection}, args...), func(scan func(...any) error) error {
			l, err := t.s.scanLink(key.Tenant, scan)
			items = append(items, l)
			return err
		})
	return items, err
}

// Links implements ledger.Records, in the order of ids.
func (s *Store) Links(ctx context.Context, key ledger.Key, filter ledger.LinkFilter, options ledger.ListOptions) ([]ledger.Link, string, error) {
	const list = "links"
	p, err := pageOf(list, options)
	if err != nil {
		return nil, "", err
	}
	where, args := linkWhere(filter, []any{p.id, p.limit + 1})
	var items []ledger.Link
	err = s.read(ctx, func(t *txn) error {
		items, err = t.selectLinks(key, where+" ORDER BY id LIMIT $4", args...)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	items, next := cut(items, p, list, func(l ledger.Link) (int64, string) { return 0, l.ID })
	return items, next, nil
}

// linkWhere makes the condition of a filter; the arguments given are $3 and on.
// Conditions are added only where they narrow, so that an index can be used.
func linkWhere(filter ledger.LinkFilter, args []any) (string, []any) {
	where := "id > $3"
	parameter := func(value string) string {
		args = append(args, value)
		return "$" + itoa(len(args)+2)
	}
	if filter.Stream != "" {
		where += " AND stream = " + parameter(filter.Stream)
	}
	if filter.State != "" {
		where += " AND state = " + parameter(string(filter.State))
	}
	if filter.ID == "" {
		return where, args
	}
	id := parameter(filter.ID)
	var either []string
	for _, side := range record.Sides() {
		if filter.Side != "" && filter.Side != side {
			continue
		}
		// Living links and tombstones have an index of their own each; written as
		// a list of ids, no database overlooks them.
		for _, state := range []string{"state <> 'tombstone'", "state = 'tombstone'"} {
			either = append(either, "SELECT id FROM links WHERE tenant_id = $1 AND connection_id = $2 AND "+state+" AND "+string(side)+"_id = "+id)
		}
	}
	return where + " AND id IN (" + strings.Join(either, " UNION ALL ") + ")", args
}

// Link implements ledger.Records.
func (s *Store) Link(ctx context.Context, key ledger.Key, id string) (ledger.Link, error) {
	var items []ledger.Link
	err := s.read(ctx, func(t *txn) error {
		var err error
		items, err = t.selectLinks(key, "id = $3", id)
		return err
	})
	if err != nil {
		return ledger.Link{}, err
	}
	if len(items) == 0 {
		missing := fault.New(fault.NotFound, "there is no such link")
		missing.Subject = id
		return ledger.Link{}, missing
	}
	return items[0], nil
}

// Counterparts implements ledger.Records.
func (s *Store) Counterparts(ctx context.Context, key ledger.Key, stream string, side record.Side, ids []string) (map[string]string, error) {
	mine, other := string(side)+"_id", string(side.Other())+"_id"
	found := map[string]string{}
	err := s.read(ctx, func(t *txn) error {
		return chunks(ids, func(part []string) error {
			in, args := inList([]any{key.Tenant, key.Connection, stream}, part)
			return t.rows(`SELECT `+mine+`, `+other+` FROM links WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3
				AND state <> 'tombstone' AND state = 'active' AND `+mine+` IN `+in, args, func(scan func(...any) error) error {
				var from, to string
				err := scan(&from, &to)
				found[from] = to
				return err
			})
		})
	})
	return found, err
}

// LinkedElsewhere implements ledger.Records.
func (s *Store) LinkedElsewhere(ctx context.Context, key ledger.Key, a, b record.Ref) ([]ledger.Key, error) {
	if !a.Side.Valid() || b.Side != a.Side.Other() {
		return nil, fault.New(fault.Usage, "a link joins a left and a right record").On(a)
	}
	var keys []ledger.Key
	err := s.read(ctx, func(t *txn) error {
		keys = nil
		// One probe of the index per connection.
		return t.rows(`SELECT c.connection_id FROM connections c WHERE c.tenant_id = $1 AND c.connection_id <> $2 AND (
			EXISTS (SELECT 1 FROM links l WHERE l.tenant_id = c.tenant_id AND l.connection_id = c.connection_id AND l.state <> 'tombstone'
				AND l.`+string(a.Side)+`_id = $3 AND l.`+string(b.Side)+`_id = $4)
			OR EXISTS (SELECT 1 FROM intents i WHERE i.tenant_id = c.tenant_id AND i.connection_id = c.connection_id AND i.link_id = ''
				AND i.source_id = $4 AND i.source_side = $5)) ORDER BY c.connection_id`,
			[]any{key.Tenant, key.Connection, a.ID, b.ID, string(b.Side)}, func(scan func(...any) error) error {
				other := ledger.Key{Tenant: key.Tenant}
				err := scan(&other.Connection)
				keys = append(keys, other)
				return err
			})
	})
	return keys, err
}

// SomeLinked implements ledger.Records, the newest links first.
func (s *Store) SomeLinked(ctx context.Context, key ledger.Key, stream string, side record.Side, except string, n int) ([]string, error) {
	var ids []string
	err := s.read(ctx, func(t *txn) error {
		ids = nil
		return t.rows(`SELECT `+string(side)+`_id FROM links WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3
			AND state = 'active' AND gone_at = 0 AND `+string(side)+`_id <> $4 ORDER BY id DESC LIMIT `+strconv.Itoa(n),
			[]any{key.Tenant, key.Connection, stream, except}, func(scan func(...any) error) error {
				var id string
				err := scan(&id)
				ids = append(ids, id)
				return err
			})
	})
	return ids, err
}

// CountLinks implements ledger.Records.
func (s *Store) CountLinks(ctx context.Context, key ledger.Key) (map[string]int, error) {
	counts := map[string]int{}
	err := s.read(ctx, func(t *txn) error {
		return t.rows(`SELECT stream, COUNT(*) FROM links WHERE tenant_id = $1 AND connection_id = $2 AND state = 'active' GROUP BY stream`,
			[]any{key.Tenant, key.Connection}, func(scan func(...any) error) error {
				var stream string
				var count int
				err := scan(&stream, &count)
				counts[stream] = count
				return err
			})
	})
	return counts, err
}

// maxCandidates bounds how many records of one match key are read; a key that
// more carry is ambiguous all the same. It stands in the statement as a number:
// SQLite plans by the value of a limit and would prepare the statement again for
// each execution, at several times its cost, were it a parameter.
const maxCandidates = 200

// MatchCandidates implements ledger.Records: at most 200, those in scope first.
func (s *Store) MatchCandidates(ctx context.Context, key ledger.Key, stream string, side record.Side, matchHash string) ([]ledger.Candidate, error) {
	if matchHash == "" {
		return nil, nil
	}
	var found []ledger.Candidate
	err := s.read(ctx, func(t *txn) error {
		found = nil
		return t.rows(`SELECT s.object, s.record_id, s.in_scope, COALESCE(k.id, ''), COALESCE(k.state, '') FROM seen s
			LEFT JOIN links k ON k.tenant_id = s.tenant_id AND k.connection_id = s.connection_id AND k.stream = s.stream
				AND k.`+string(side)+`_id = s.record_id AND k.state <> 'tombstone'
			WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = $3 AND s.side = $4 AND s.match_hash = $5 AND s.match_hash <> ''
			ORDER BY s.in_scope DESC, s.record_id LIMIT `+strconv.Itoa(maxCandidates),
			[]any{key.Tenant, key.Connection, stream, string(side), matchHash}, func(scan func(...any) error) error {
				c := ledger.Candidate{Ref: record.Ref{Side: side}}
				var inScope int64
				err := scan(&c.Ref.Object, &c.Ref.ID, &inScope, &c.LinkID, &c.LinkState)
				c.InScope = inScope != 0
				found = append(found, c)
				return err
			})
	})
	return found, err
}
