package sqlstore

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const (
	matchColumns  = `rule, side, object, record_id, matching, turn, print, found`
	firingColumns = `id, rule, side, object, record_id, occurrence, state, decided_at, ended_at, effects`
)

// BeginRule implements ledger.Firings.
func (s *Store) BeginRule(ctx context.Context, key ledger.Key, rule string) (time.Time, error) {
	var since int64
	err := s.write(ctx, func(t *txn) error {
		if _, err := t.exec(`INSERT INTO rule_matches (tenant_id, connection_id, `+matchColumns+`, updated_at)
			VALUES ($1, $2, $3, '', '', '', 0, 0, '', NULL, $4) ON CONFLICT DO NOTHING`, key.Tenant, key.Connection, rule, t.now); err != nil {
			return err
		}
		_, err := t.since(key, rule, &since)
		return err
	})
	return timeOf(since), err
}

func (t *txn) since(key ledger.Key, rule string, since *int64) (bool, error) {
	return t.row(`SELECT updated_at FROM rule_matches WHERE tenant_id = $1 AND connection_id = $2 AND rule = $3 AND side = '' AND record_id = ''`,
		[]any{key.Tenant, key.Connection, rule}, since)
}

// RuleBook implements ledger.Firings.
func (s *Store) RuleBook(ctx context.Context, key ledger.Key, rule string, ref record.Ref) (ledger.RuleBook, error) {
	var book ledger.RuleBook
	err := s.read(ctx, func(t *txn) error {
		book = ledger.RuleBook{}
		var since int64
		if _, err := t.since(key, rule, &since); err != nil {
			return err
		}
		book.Since = timeOf(since)
		found, err := t.matches(key, rule, ref.Side, []string{ref.ID})
		if err != nil {
			return err
		}
		if match, ok := found[ref.ID]; ok {
			book.Match = &match
		}
		if book.Events, err = t.ruleEvents(key, rule, ref); err != nil {
			return err
		}
		book.Waiting, err = t.selectFirings(key, `rule = $3 AND side = $4 AND record_id = $5 AND state IN ('open', 'parked') ORDER BY decided_at, id`,
			rule, string(ref.Side), ref.ID)
		return err
	})
	return book, err
}

// Matches implements ledger.Firings.
func (s *Store) Matches(ctx context.Context, key ledger.Key, rule string, side record.Side, ids []string) (map[string]ledger.Match, error) {
	var found map[string]ledger.Match
	err := s.read(ctx, func(t *txn) error {
		var err error
		found, err = t.matches(key, rule, side, ids)
		return err
	})
	return found, err
}

func matchPlace(key ledger.Key, match ledger.Match) []byte {
	return place("rule_matches", key.Tenant, key.Connection+"/"+match.Rule+"/"+string(match.Ref.Side)+"/"+match.Ref.ID)
}

func (t *txn) matches(key ledger.Key, rule string, side record.Side, ids []string) (map[string]ledger.Match, error) {
	found := map[string]ledger.Match{}
	return found, chunks(ids, func(part []string) error {
		in, args := inList([]any{key.Tenant, key.Connection, rule, string(side)}, part)
		return t.rows(`SELECT `+matchColumns+` FROM rule_matches WHERE tenant_id = $1 AND connection_id = $2 AND rule = $3 AND side = $4
			AND record_id IN `+in, args, func(scan func(...any) error) error {
			var match ledger.Match
			var matching, turn int64
			var sealed []byte
			if err := scan(&match.Rule, &match.Ref.Side, &match.Ref.Object, &match.Ref.ID, &matching, &turn, &match.Print, &sealed); err != nil {
				return err
			}
			match.Matching, match.Turn = matching != 0, int(turn)
			found[match.Ref.ID] = match
			if err := t.s.box.openJSON(sealed, matchPlace(key, match), &match.Found); err != nil {
				return err
			}
			found[match.Ref.ID] = match
			return nil
		})
	})
}

// putMatches stores what rules know; with fresh, only of records they never met.
func (t *txn) putMatches(key ledger.Key, matches []ledger.Match, fresh bool) error {
	conflict := `DO UPDATE SET object = excluded.object, matching = excluded.matching, turn = excluded.turn, print = excluded.print,
		found = excluded.found, updated_at = excluded.updated_at`
	if fresh {
		conflict = "DO NOTHING"
	}
	for _, match := range matches {
		if match.Rule == "" || match.Ref.ID == "" || !match.Ref.Side.Valid() {
			return fault.New(fault.Usage, "a match needs a rule and a whole ref").On(match.Ref)
		}
		var sealed []byte
		if len(match.Found) > 0 {
			var err error
			if sealed, err = t.s.box.sealJSON(match.Found, matchPlace(key, match)); err != nil {
				return err
			}
		}
		if _, err := t.exec(`INSERT INTO rule_matches (tenant_id, connection_id, `+matchColumns+`, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (tenant_id, connection_id, rule, side, record_id) `+conflict,
			key.Tenant, key.Connection, match.Rule, string(match.Ref.Side), match.Ref.Object, match.Ref.ID, flag(match.Matching), match.Turn,
			match.Print, sealed, t.now); err != nil {
			return err
		}
	}
	return nil
}

// putRules stores what rules know, did and count.
func (t *txn) putRules(key ledger.Key, commit ledger.Commit) error {
	if err := t.putMatches(key, commit.PutMatches, false); err != nil {
		return err
	}
	for _, firing := range commit.PutFirings {
		if err := t.putFiring(key, firing); err != nil {
			return err
		}
	}
	if err := t.dropEvents(key, commit.DropEvents); err != nil {
		return err
	}
	for _, one := range commit.AddCounts {
		if _, err := t.exec(`INSERT INTO rule_counts (tenant_id, connection_id, rule, metric, labels, amount) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (tenant_id, connection_id, rule, metric, labels) DO UPDATE SET amount = rule_counts.amount + excluded.amount`,
			key.Tenant, key.Connection, one.Rule, one.Metric, one.Labels, one.Count); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) putFiring(key ledger.Key, firing ledger.Firing) error {
	if firing.ID == "" || firing.Rule == "" || firing.Ref.ID == "" || firing.Occurrence == "" || firing.State == "" {
		return fault.New(fault.Usage, "a firing needs an id, a rule, a ref, an occurrence and a state").On(firing.Ref)
	}
	if firing.DecidedAt.IsZero() {
		firing.DecidedAt = timeOf(t.now)
	}
	sealed, err := t.s.box.sealJSON(firing.Effects, place("firings", key.Tenant, firing.ID))
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO firings (tenant_id, connection_id, `+firingColumns+`, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (tenant_id, connection_id, id) DO UPDATE SET side = excluded.side, object = excluded.object,
			record_id = excluded.record_id, occurrence = excluded.occurrence, state = excluded.state, ended_at = excluded.ended_at,
			effects = excluded.effects, updated_at = excluded.updated_at`,
		key.Tenant, key.Connection, firing.ID, firing.Rule, string(firing.Ref.Side), firing.Ref.Object, firing.Ref.ID, firing.Occurrence,
		string(firing.State), micros(firing.DecidedAt), micros(firing.EndedAt), sealed, t.now)
	return err
}

// selectFirings reads those of a connection; $1 and $2 are its key.
func (t *txn) selectFirings(key ledger.Key, where string, args ...any) ([]ledger.Firing, error) {
	var items []ledger.Firing
	err := t.rows("SELECT "+firingColumns+" FROM firings WHERE tenant_id = $1 AND connection_id = $2 AND "+where,
		append([]any{key.Tenant, key.Connection}, args...), func(scan func(...any) error) error {
			var f ledger.Firing
			var decided, ended int64
			var sealed []byte
			if err := scan(&f.ID, &f.Rule, &f.Ref.Side, &f.Ref.Object, &f.Ref.ID, &f.Occurrence, &f.State, &decided, &ended, &sealed); err != nil {
				return err
			}
			f.DecidedAt, f.EndedAt = timeOf(decided), timeOf(ended)
			err := t.s.box.openJSON(sealed, place("firings", key.Tenant, f.ID), &f.Effects)
			items = append(items, f)
			return err
		})
	return items, err
}

// ListFirings implements ledger.Firings.
func (s *Store) ListFirings(ctx context.Context, key ledger.Key, filter ledger.FiringFilter, options ledger.ListOptions) ([]ledger.Firing, string, error) {
	const list = "firings"
	p, err := pageOf(list, options)
	if err != nil {
		return nil, "", err
	}
	where, args := "1 = 1", []any{}
	narrow := func(condition string, value any) {
		args = append(args, value)
		where += " AND " + condition + " $" + itoa(len(args)+2)
	}
	if filter.Rule != "" {
		narrow("rule =", filter.Rule)
	}
	if filter.State != "" {
		narrow("state =", string(filter.State))
	}
	if p.begun {
		args = append(args, p.at, p.id)
		where += " AND (decided_at, id) < ($" + itoa(len(args)+1) + ", $" + itoa(len(args)+2) + ")"
	}
	args = append(args, p.limit+1)
	var items []ledger.Firing
	err = s.read(ctx, func(t *txn) error {
		items, err = t.selectFirings(key, where+" ORDER BY decided_at DESC, id DESC LIMIT $"+itoa(len(args)+2), args...)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	for _, firing := range items {
		for n := range firing.Effects {
			firing.Effects[n].Query, firing.Effects[n].Body = nil, nil
		}
	}
	items, next := cut(items, p, list, func(f ledger.Firing) (int64, string) { return micros(f.DecidedAt), f.ID })
	return items, next, nil
}

// RuleCounts implements ledger.Firings.
func (s *Store) RuleCounts(ctx context.Context, key ledger.Key) ([]ledger.RuleCount, error) {
	var items []ledger.RuleCount
	err := s.read(ctx, func(t *txn) error {
		items = nil
		return t.rows(`SELECT rule, metric, labels, amount FROM rule_counts WHERE tenant_id = $1 AND connection_id = $2 ORDER BY rule, metric, labels`,
			[]any{key.Tenant, key.Connection}, func(scan func(...any) error) error {
				var one ledger.RuleCount
				err := scan(&one.Rule, &one.Metric, &one.Labels, &one.Count)
				items = append(items, one)
				return err
			})
	})
	return items, err
}

// RuleTotals implements ledger.Firings.
func (s *Store) RuleTotals(ctx context.Context) ([]ledger.RuleTotal, error) {
	var items []ledger.RuleTotal
	err := s.read(ctx, func(t *txn) error {
		items = nil
		return t.rows(`SELECT tenant_id, connection_id, rule, metric, labels, amount FROM rule_counts ORDER BY tenant_id, connection_id, rule, metric, labels`,
			nil, func(scan func(...any) error) error {
				var one ledger.RuleTotal
				err := scan(&one.Key.Tenant, &one.Key.Connection, &one.Rule, &one.Metric, &one.Labels, &one.Count)
				items = append(items, one)
				return err
			})
	})
	return items, err
}

// FiringTotals implements ledger.Firings.
func (s *Store) FiringTotals(ctx context.Context, key ledger.Key) ([]ledger.FiringTotal, error) {
	var totals []ledger.FiringTotal
	err := s.read(ctx, func(t *txn) error {
		totals = nil
		return t.rows(`SELECT rule, state, COUNT(*) FROM firings WHERE tenant_id = $1 AND connection_id = $2 GROUP BY rule, state ORDER BY rule, state`,
			[]any{key.Tenant, key.Connection}, func(scan func(...any) error) error {
				var one ledger.FiringTotal
				err := scan(&one.Rule, &one.State, &one.Count)
				totals = append(totals, one)
				return err
			})
	})
	return totals, err
}
