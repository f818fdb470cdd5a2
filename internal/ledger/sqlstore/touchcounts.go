package sqlstore

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// countColumns is what a count is told by, in its order.
const countColumns = "day, kind, user_shown, user_side, customer_shown, customer_side"

// CountTouchPoints implements ledger.TouchPoints. The rows are counted by the ids
// they have; only then are ids translated, one look at the links per combination.
func (s *Store) CountTouchPoints(ctx context.Context, key ledger.Key, filter ledger.TouchFilter, limit int, cursor string) ([]ledger.TouchCount, string, error) {
	if limit < 1 || limit > ledger.MaxTouchPage {
		return nil, "", fault.New(fault.Usage, "limit must be 1 to %d, not %d", ledger.MaxTouchPage, limit)
	}
	after, err := touchAfter(cursor)
	if err != nil {
		return nil, "", err
	}
	var items []ledger.TouchCount
	err = s.read(ctx, func(t *txn) error {
		items = nil
		c := &touchCount{t: t, filter: filter, args: []any{key.Tenant, key.Connection}}
		query, err := c.query(key, after, limit+1)
		if err != nil {
			return err
		}
		return t.rows(query, c.args, func(scan func(...any) error) error {
			var item ledger.TouchCount
			err := scan(&item.Day, &item.Kind, &item.User.ID, &item.User.Side, &item.Customer.ID, &item.Customer.Side, &item.Count)
			items = append(items, item)
			return err
		})
	})
	if err != nil || len(items) <= limit {
		return items, "", err
	}
	items = items[:limit]
	return items, touchCursor(items[limit-1]), nil
}

// touchList names the list in its cursors.
const touchList = "touch-points"

// touchMark is what a cursor holds: the last combination told.
type touchMark struct {
	List  string   `json:"l"`
	After []string `json:"a"`
}

func touchCursor(last ledger.TouchCount) string {
	text, _ := json.Marshal(touchMark{List: touchList, After: []string{ // texts never fail
		last.Day, last.Kind, last.User.ID, string(last.User.Side), last.Customer.ID, string(last.Customer.Side)}})
	return base64.RawURLEncoding.EncodeToString(text)
}

func touchAfter(cursor string) ([]string, error) {
	if cursor == "" {
		return nil, nil
	}
	var mark touchMark
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &mark)
	}
	if err != nil || mark.List != touchList || len(mark.After) != strings.Count(countColumns, ",")+1 {
		return nil, fault.New(fault.Usage, "the cursor is not one of this list; start without a cursor")
	}
	return mark.After, nil
}

// touchCount builds the statement of one count.
type touchCount struct {
	t      *txn
	filter ledger.TouchFilter
	args   []any
}

func (c *touchCount) parameter(value any) string {
	c.args = append(c.args, value)
	return "$" + itoa(len(c.args))
}

// by reports whether touch-points are counted apart by a word.
func (c *touchCount) by(word ledger.Touch) bool {
	return len(c.filter.By) == 0 || slices.Contains(c.filter.By, word)
}

func (c *touchCount) query(key ledger.Key, after []string, limit int) (string, error) {
	where, err := c.where(key)
	if err != nil {
		return "", err
	}
	columns := []string{"side"}
	shown := []string{c.plain("day", ledger.TouchDay, &columns), c.plain("kind", ledger.TouchKind, &columns)}
	joins, kept := "", "1 = 1"
	for _, party := range []struct {
		name   string
		word   ledger.Touch
		wanted string
	}{{"user", ledger.TouchUser, c.filter.User}, {"customer", ledger.TouchCustomer, c.filter.Customer}} {
		if !c.by(party.word) && party.wanted == "" {
			shown = append(shown, "'' AS "+party.name+"_shown", "'' AS "+party.name+"_side")
			continue
		}
		columns = append(columns, party.name+"_stream", party.name+"_id")
		joins += partyJoins(party.name)
		id, side := partyShown(party.name)
		if party.wanted != "" {
			kept += " AND " + id + " = " + c.parameter(party.wanted)
		}
		if !c.by(party.word) {
			id, side = "''", "''"
		}
		shown = append(shown, id+" AS "+party.name+"_shown", side+" AS "+party.name+"_side")
	}
	apart := strings.Join(columns, ", ")
	query := "SELECT " + countColumns + ", CAST(SUM(n) AS BIGINT) FROM (SELECT " + strings.Join(shown, ", ") + ", n FROM (SELECT " + apart +
		", COUNT(*) AS n FROM touch_points WHERE " + where + " GROUP BY " + apart + ") g" + joins + " WHERE " + kept + ") r"
	if len(after) > 0 {
		marks := make([]string, len(after))
		for i, text := range after {
			marks[i] = c.parameter(text)
		}
		query += " WHERE (" + countColumns + ") > (" + strings.Join(marks, ", ") + ")"
	}
	return query + " GROUP BY " + countColumns + " ORDER BY " + countColumns + " LIMIT " + bound(c.parameter(limit)), nil
}

// plain is a column that is told as it stands, or left out.
func (c *touchCount) plain(name string, word ledger.Touch, columns *[]string) string {
	if !c.by(word) {
		return "'' AS " + name
	}
	*columns = append(*columns, name)
	return "g." + name + " AS " + name
}

func (c *touchCount) where(key ledger.Key) (string, error) {
	where := "tenant_id = $1 AND connection_id = $2"
	for _, one := range []struct{ condition, value string }{
		{"day >= ", c.filter.From}, {"day <= ", c.filter.To},
	} {
		if one.value != "" {
			where += " AND " + one.condition + c.parameter(one.value)
		}
	}
	if len(c.filter.Kinds) > 0 {
		var in string
		in, c.args = inList(c.args, c.filter.Kinds[:min(len(c.filter.Kinds), maxList)])
		where += " AND kind IN " + in
	}
	for _, one := range []struct{ column, id string }{{"user_id", c.filter.User}, {"customer_id", c.filter.Customer}} {
		if one.id == "" {
			continue
		}
		ids, err := c.t.sourceIDs(key, one.id)
		if err != nil {
			return "", err
		}
		if len(ids) > maxList {
			continue // too many to name: what is kept afterwards is exact
		}
		var in string
		in, c.args = inList(c.args, ids)
		where += " AND " + one.column + " IN " + in
	}
	return where, nil
}

// sourceIDs are the ids that touch-points may have of a record that is shown as
// id; some may belong to others.
func (t *txn) sourceIDs(key ledger.Key, id string) ([]string, error) {
	ids := []string{id}
	add := func(scan func(...any) error) error {
		var one string
		err := scan(&one)
		if !slices.Contains(ids, one) {
			ids = append(ids, one)
		}
		return err
	}
	for _, side := range record.Sides() {
		if err := t.rows("SELECT "+string(side.Other())+"_id FROM links WHERE tenant_id = $1 AND connection_id = $2 AND state <> 'tombstone' AND "+
			string(side)+"_id = $3", []any{key.Tenant, key.Connection, id}, add); err != nil {
			return nil, err
		}
	}
	in, args := inList([]any{key.Tenant, key.Connection}, ids[:min(len(ids), maxList)])
	return ids, t.rows("SELECT record_id FROM merges WHERE tenant_id = $1 AND connection_id = $2 AND into_id IN "+in, args, add)
}

// partyJoins finds what a user or customer was merged into, and its counterpart.
func partyJoins(name string) string {
	merge, id := "m_"+name, "COALESCE(m_"+name+".into_id, g."+name+"_id)"
	joins := " LEFT JOIN merges " + merge + " ON " + merge + ".tenant_id = $1 AND " + merge + ".connection_id = $2 AND " + merge + ".stream = g." +
		name + "_stream AND " + merge + ".side = g.side AND " + merge + ".record_id = g." + name + "_id"
	for _, side := range record.Sides() {
		link := string(side) + "_" + name
		joins += " LEFT JOIN links " + link + " ON g.side = '" + string(side) + "' AND " + link + ".tenant_id = $1 AND " + link + ".connection_id = $2 AND " +
			link + ".stream = g." + name + "_stream AND " + link + ".state <> 'tombstone' AND " + link + ".state = 'active' AND " +
			link + "." + string(side) + "_id = " + id
	}
	return joins
}

// partyShown is the id that is told, and whose it is.
func partyShown(name string) (id, side string) {
	id = "COALESCE(left_" + name + ".right_id, right_" + name + ".left_id, m_" + name + ".into_id, g." + name + "_id)"
	side = "CASE WHEN g." + name + "_id = '' THEN '' WHEN left_" + name + ".id IS NOT NULL THEN 'right' WHEN right_" + name +
		".id IS NOT NULL THEN 'left' ELSE g.side END"
	return id, side
}

// CountCustomer implements ledger.TouchPoints.
func (s *Store) CountCustomer(ctx context.Context, key ledger.Key, stream string, customer record.Ref, kinds []string) (int, error) {
	count := 0
	err := s.read(ctx, func(t *txn) error {
		args := []any{key.Tenant, key.Connection, stream, string(customer.Side), customer.ID}
		query := `SELECT COUNT(*) FROM touch_points WHERE tenant_id = $1 AND connection_id = $2 AND customer_stream = $3 AND side = $4
			AND customer_id IN (SELECT CAST($5 AS TEXT) UNION ALL SELECT record_id FROM merges WHERE tenant_id = $1 AND connection_id = $2
				AND stream = $3 AND side = $4 AND into_id = $5)`
		if len(kinds) > 0 {
			var in string
			in, args = inList(args, kinds)
			query += " AND kind IN " + in
		}
		_, err := t.row(query, args, &count)
		return err
	})
	return count, err
}
