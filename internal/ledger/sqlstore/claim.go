package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Claim implements ledger.Inbox. Shards must divide 64.
func (s *Store) Claim(ctx context.Context, key ledger.Key, request ledger.ClaimRequest) ([]ledger.Work, error) {
	if request.Limit <= 0 || request.TTL <= 0 {
		return nil, fault.New(fault.Usage, "a claim needs a limit and a time to live")
	}
	if request.Shards > 1 && (buckets%request.Shards != 0 || request.Shard < 0 || request.Shard >= request.Shards) {
		return nil, fault.New(fault.Usage, "shard %d of %d: the number of shards must divide %d", request.Shard, request.Shards, buckets)
	}
	var claimed []ledger.Work
	err := s.write(ctx, func(t *txn) error {
		claimed = nil
		for lane := ledger.LaneLive; lane <= request.MaxLane && lane <= ledger.LaneBackfill; lane++ {
			if err := t.claimLane(key, request, lane, &claimed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// claimLane goes through the due rows of one lane. Rows it claims drop out of
// the next look, rows it passes over stay in front, hence the offset.
func (t *txn) claimLane(key ledger.Key, request ledger.ClaimRequest, lane ledger.Lane, claimed *[]ledger.Work) error {
	passed := 0
	taken := map[string]bool{}
	for len(*claimed) < request.Limit {
		missing := request.Limit - len(*claimed)
		candidates, err := t.candidates(key, request, lane, missing, passed)
		if err != nil {
			return err
		}
		others, err := t.counterpartKeys(key, candidates)
		if err != nil {
			return err
		}
		for _, work := range candidates {
			if taken[ledger.RefKey(work.Ref)] {
				continue // its counterpart came before it; the next look leaves it out
			}
			ok, err := t.claimOne(key, &work, others[work.Ref], request)
			if err != nil {
				return err
			}
			if !ok {
				passed++
				continue
			}
			*claimed = append(*claimed, work)
			for _, name := range work.Lease.Keys {
				taken[name] = true
			}
		}
		if len(candidates) < missing {
			return nil
		}
	}
	return nil
}

// candidates reads due rows whose own lease is free, earliest first. The lane is
// an equality, so that the index leads straight to the due ones.
func (t *txn) candidates(key ledger.Key, request ledger.ClaimRequest, lane ledger.Lane, limit, offset int) ([]ledger.Work, error) {
	args := []any{key.Tenant, key.Connection, int64(lane), t.now}
	next := func(value any) string {
		args = append(args, value)
		return "$" + strconv.Itoa(len(args))
	}
	where := ""
	if request.RunID != "" {
		where += " AND i.run_id = " + next(request.RunID) + " AND i.run_id <> ''"
	}
	if request.Stream != "" {
		where += " AND i.stream = " + next(request.Stream)
	}
	if request.Shards > 1 {
		// Numbers are written out: a constant divisor keeps the types simple.
		where += fmt.Sprintf(" AND i.bucket %% %d = %d", request.Shards, request.Shard)
	}
	query := `SELECT i.side, i.object, i.record_id, i.stream, i.generation, i.lane, i.due_at, i.run_id, i.event_id, i.trace,
			i.tries, i.claims, i.crashes, i.claim_token, i.first_at, i.shown
		FROM inbox i WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.lane = $3 AND i.due_at <= $4 AND i.claimed_until <= $4` + where + `
			AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.tenant_id = i.tenant_id AND l.connection_id = i.connection_id
				AND l.lease_key = 'ref/' || i.side || '/' || i.object || '/' || i.record_id AND l.expires_at > $4)
		ORDER BY i.due_at LIMIT ` + bound(next(limit)) + " OFFSET " + bound(next(offset))
	if t.s.dialect.postgres {
		query += " FOR UPDATE OF i SKIP LOCKED"
	}
	var found []ledger.Work
	err := t.rows(query, args, func(scan func(...any) error) error {
		var w ledger.Work
		var due, first int64
		var sealed []byte
		var unended string
		err := scan(&w.Ref.Side, &w.Ref.Object, &w.Ref.ID, &w.Stream, &w.Generation, &w.Lane, &due, &w.RunID, &w.EventID, &w.Trace,
			&w.Tries, &w.Claims, &w.Crashes, &unended, &first, &sealed)
		if unended != "" {
			w.Crashes++
		}
		if err == nil {
			err = t.openShown(key, &w.Change, sealed)
		}
		w.DueAt, w.FirstAt = timeOf(due), timeOf(first)
		found = append(found, w)
		return err
	})
	return found, err
}

// counterpartKeys finds the lease keys of the counterparts of candidates, by
// links of any stream that are active or detached.
func (t *txn) counterpartKeys(key ledger.Key, candidates []ledger.Work) (map[record.Ref][]string, error) {
	ids := map[record.Side][]string{}
	for _, work := range candidates {
		ids[work.Ref.Side] = append(ids[work.Ref.Side], work.Ref.ID)
	}
	keys := map[record.Ref][]string{}
	for _, side := range record.Sides() {
		err := chunks(ids[side], func(part []string) error {
			in, args := inList([]any{key.Tenant, key.Connection}, part)
			return t.rows(`SELECT left_object, left_id, right_object, right_id FROM links
				WHERE tenant_id = $1 AND connection_id = $2 AND state <> 'tombstone' AND `+string(side)+`_id IN `+in, args,
				func(scan func(...any) error) error {
					link := ledger.Link{Left: record.Ref{Side: record.Left}, Right: record.Ref{Side: record.Right}}
					err := scan(&link.Left.Object, &link.Left.ID, &link.Right.Object, &link.Right.ID)
					ref := link.Ref(side)
					keys[ref] = append(keys[ref], ledger.RefKey(link.Ref(side.Other())))
					return err
				})
		})
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// claimOne takes the leases of one row and marks it claimed; false when a lease
// is held, in which case nothing stays taken.
func (t *txn) claimOne(key ledger.Key, work *ledger.Work, others []string, request ledger.ClaimRequest) (bool, error) {
	if put, err := t.isolate(key, *work); put || err != nil {
		return false, err
	}
	token, err := t.s.newID()
	if err != nil {
		return false, err
	}
	expires := t.now + request.TTL.Microseconds()
	keys := sortedKeys(others, []string{ledger.RefKey(work.Ref)})
	for _, name := range keys {
		err := t.takeLease(key, name, token, expires)
		if fault.Is(err, fault.Busy) {
			return false, t.dropLease(key, token)
		}
		if err != nil {
			return false, err
		}
	}
	if _, err := t.exec(`UPDATE inbox SET claims = claims + 1, crashes = $1, claim_token = $2, claimed_until = $3
		WHERE tenant_id = $4 AND connection_id = $5 AND side = $6 AND object = $7 AND record_id = $8 AND stream = $9`,
		work.Crashes, token, expires, key.Tenant, key.Connection, string(work.Ref.Side), work.Ref.Object, work.Ref.ID, work.Stream); err != nil {
		return false, err
	}
	work.Claims++
	work.Lease = ledger.Lease{Token: token, Keys: keys, Expires: timeOf(expires)}
	return true, nil
}

// poisonFirst and poisonMost are the pauses of a row that may kill its workers:
// doubling from the one to the other.
const (
	poisonFirst = 10 * time.Second
	poisonMost  = 10 * time.Minute
)

// isolate puts a row off whose claims ended without a word time and again, once
// after each, so that workers live and others are served between two tries. Rows
// that only died with it come back at another time. It reports whether it did.
func (t *txn) isolate(key ledger.Key, work ledger.Work) (bool, error) {
	if work.Crashes < ledger.PoisonClaims {
		return false, nil
	}
	pause := min(poisonMost, poisonFirst<<min(work.Crashes-ledger.PoisonClaims, 10))
	pause += pause * time.Duration(bucketOf(work.Ref)) / buckets
	put, err := t.exec(`UPDATE inbox SET claim_token = '', claimed_until = 0, crashes = $8, due_at = $9
		WHERE tenant_id = $1 AND connection_id = $2 AND side = $3 AND object = $4 AND record_id = $5 AND stream = $6 AND claim_token <> $7`,
		key.Tenant, key.Connection, string(work.Ref.Side), work.Ref.Object, work.Ref.ID, work.Stream, "", work.Crashes, t.now+pause.Microseconds())
	return put > 0, err
}
