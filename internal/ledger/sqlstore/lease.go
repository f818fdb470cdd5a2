package sqlstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// errStale says that a lease was lost.
func errStale() *fault.Error {
	return fault.New(fault.Stale, "the lease was lost: somebody else works on the record; start again from the top")
}

// Acquire implements ledger.Inbox.
func (s *Store) Acquire(ctx context.Context, key ledger.Key, keys []string, ttl time.Duration) (ledger.Lease, error) {
	var lease ledger.Lease
	if len(keys) == 0 || ttl <= 0 {
		return lease, fault.New(fault.Usage, "a lease needs keys and a time to live")
	}
	token, err := s.newID()
	if err != nil {
		return lease, err
	}
	err = s.write(ctx, func(t *txn) error {
		sorted := sortedKeys(keys, nil)
		expires := t.now + ttl.Microseconds()
		for _, name := range sorted {
			if err := t.takeLease(key, name, token, expires); err != nil {
				return err
			}
		}
		lease = ledger.Lease{Token: token, Keys: sorted, Expires: timeOf(expires)}
		return nil
	})
	return lease, err
}

// takeLease takes one key that is free, lapsed or ours already, else Busy.
func (t *txn) takeLease(key ledger.Key, name, token string, expires int64) error {
	ref := refOfKey(name)
	taken, err := t.exec(`INSERT INTO leases (tenant_id, connection_id, lease_key, side, object, record_id, token, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (tenant_id, connection_id, lease_key) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at
		WHERE leases.expires_at <= $9 OR leases.token = excluded.token`,
		key.Tenant, key.Connection, name, string(ref.Side), ref.Object, ref.ID, token, expires, t.now)
	if err == nil && taken == 0 {
		busy := fault.New(fault.Busy, "somebody else works on this; come back shortly")
		busy.Subject = name
		return busy
	}
	return err
}

// refOfKey reads the ref out of a lease key, zero for other keys. Objects hold
// no slash, ids may.
func refOfKey(name string) record.Ref {
	rest, ok := strings.CutPrefix(name, "ref/")
	if !ok {
		return record.Ref{}
	}
	parts := strings.SplitN(rest, "/", 3)
	if len(parts) != 3 {
		return record.Ref{}
	}
	return record.Ref{Side: record.Side(parts[0]), Object: parts[1], ID: parts[2]}
}

func sortedKeys(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// Extend implements ledger.Inbox.
func (s *Store) Extend(ctx context.Context, key ledger.Key, lease ledger.Lease, moreKeys []string, ttl time.Duration) (ledger.Lease, error) {
	if lease.Token == "" || len(lease.Keys) == 0 || ttl <= 0 {
		return ledger.Lease{}, fault.New(fault.Usage, "only a lease with keys can be extended, for a time to live")
	}
	var extended ledger.Lease
	err := s.write(ctx, func(t *txn) error {
		expires := t.now + ttl.Microseconds()
		all := sortedKeys(lease.Keys, moreKeys)
		for _, name := range all {
			if slices.Contains(lease.Keys, name) {
				kept, err := t.exec(`UPDATE leases SET expires_at = $1 WHERE tenant_id = $2 AND connection_id = $3 AND lease_key = $4 AND token = $5`,
					expires, key.Tenant, key.Connection, name, lease.Token)
				if err != nil {
					return err
				}
				if kept == 0 {
					return errStale()
				}
				continue
			}
			if err := t.takeLease(key, name, lease.Token, expires); err != nil {
				return err
			}
		}
		_, err := t.exec(`UPDATE inbox SET claimed_until = $1
			WHERE tenant_id = $2 AND connection_id = $3 AND claim_token = $4 AND claim_token <> ''`,
			expires, key.Tenant, key.Connection, lease.Token)
		extended = ledger.Lease{Token: lease.Token, Keys: all, Expires: timeOf(expires)}
		return err
	})
	if err != nil {
		return ledger.Lease{}, err
	}
	return extended, nil
}

// Release implements ledger.Inbox. A claimed change becomes claimable again.
func (s *Store) Release(ctx context.Context, key ledger.Key, lease ledger.Lease) error {
	if lease.Token == "" {
		return nil
	}
	return s.write(ctx, func(t *txn) error {
		if err := t.dropLease(key, lease.Token); err != nil {
			return err
		}
		_, err := t.exec(`UPDATE inbox SET claim_token = '', claimed_until = 0
			WHERE tenant_id = $1 AND connection_id = $2 AND claim_token = $3 AND claim_token <> ''`,
			key.Tenant, key.Connection, lease.Token)
		return err
	})
}

// dropLease frees every key of a token.
func (t *txn) dropLease(key ledger.Key, token string) error {
	_, err := t.exec("DELETE FROM leases WHERE tenant_id = $1 AND connection_id = $2 AND token = $3", key.Tenant, key.Connection, token)
	return err
}

// fence returns Stale unless every key of the lease still has its token. A
// lapsed lease that nobody took over is still good; a missing row is not, since
// somebody may have come and gone. The rows stay locked until the commit.
func (t *txn) fence(key ledger.Key, lease ledger.Lease) error {
	if len(lease.Keys) == 0 {
		return fault.New(fault.Usage, "a lease without keys fences nothing")
	}
	held := map[string]bool{}
	err := chunks(sortedKeys(lease.Keys, nil), func(part []string) error {
		in, args := inList([]any{key.Tenant, key.Connection, lease.Token}, part)
		return t.rows(`SELECT lease_key FROM leases WHERE tenant_id = $1 AND connection_id = $2 AND token = $3 AND lease_key IN `+in+
			` ORDER BY lease_key`+t.s.dialect.forUpdate, args, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			held[name] = true
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, name := range lease.Keys {
		if !held[name] {
			stale := errStale()
			stale.Subject = name
			return stale
		}
	}
	return nil
}
