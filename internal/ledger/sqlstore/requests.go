package sqlstore

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/fault"
)

// requestPatience is how long a request may run before its key is given to the
// next one: the process that had it must have died. The API gives a call up after 30 s.
const requestPatience = 40 * time.Second

// BeginRequest implements ledger.Requests.
func (s *Store) BeginRequest(ctx context.Context, tenant, idempotencyKey, fingerprint string) (int, []byte, error) {
	var status int
	var body []byte
	err := s.write(ctx, func(t *txn) error {
		status, body = 0, nil
		added, err := t.exec(`INSERT INTO requests (tenant_id, idempotency_key, fingerprint, status, begun_at) VALUES ($1, $2, $3, 0, $4)
			ON CONFLICT (tenant_id, idempotency_key) DO NOTHING`, tenant, idempotencyKey, fingerprint, t.now)
		if err != nil || added > 0 {
			return err
		}
		var print string
		var begun int64
		var sealed []byte
		if _, err = t.row("SELECT fingerprint, status, begun_at, body FROM requests WHERE tenant_id = $1 AND idempotency_key = $2"+s.dialect.forUpdate,
			[]any{tenant, idempotencyKey}, &print, &status, &begun, &sealed); err != nil {
			return err
		}
		if print != fingerprint {
			return fault.New(fault.Conflict, "the Idempotency-Key was used for another request; use a new one")
		}
		if status > 0 {
			body, err = s.box.open(sealed, place("requests", tenant, idempotencyKey))
			return err
		}
		if t.now-begun < requestPatience.Microseconds() {
			busy := fault.New(fault.Busy, "the first request with this Idempotency-Key is still running; ask again shortly")
			busy.After = time.Second
			return busy
		}
		_, err = t.exec("UPDATE requests SET begun_at = $1 WHERE tenant_id = $2 AND idempotency_key = $3", t.now, tenant, idempotencyKey)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	return status, body, nil
}

// EndRequest implements ledger.Requests.
func (s *Store) EndRequest(ctx context.Context, tenant, idempotencyKey string, status int, body []byte) error {
	return s.write(ctx, func(t *txn) error {
		if status == 0 {
			_, err := t.exec("DELETE FROM requests WHERE tenant_id = $1 AND idempotency_key = $2 AND status = 0", tenant, idempotencyKey)
			return err
		}
		sealed, err := s.box.seal(body, place("requests", tenant, idempotencyKey))
		if err != nil {
			return err
		}
		changed, err := t.exec("UPDATE requests SET status = $1, body = $2 WHERE tenant_id = $3 AND idempotency_key = $4",
			status, sealed, tenant, idempotencyKey)
		if err == nil && changed == 0 {
			return fault.New(fault.NotFound, "the Idempotency-Key was not begun")
		}
		return err
	})
}
