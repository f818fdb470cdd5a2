package sqlstore

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
)

const historyColumns = `id, at, stream, link_id, side, object, record_id, field, op, cause_kind, cause_side, cause_event,
	run_id, workflow_id, request_id, intent_id, vals`

// historyValues is the sealed part of an entry.
type historyValues struct {
	Old any `json:"old"`
	New any `json:"new"`
}

// putHistory appends. An entry whose id is there already stays as it was; one
// without an id gets one.
func (t *txn) putHistory(key ledger.Key, commit ledger.Commit) error {
	for _, h := range commit.History {
		if h.ID == "" {
			id, err := t.s.newID()
			if err != nil {
				return err
			}
			h.ID = id
		}
		if h.At.IsZero() {
			h.At = timeOf(t.now)
		}
		sealed, err := t.s.box.sealJSON(historyValues{Old: h.Old, New: h.New}, place("history", key.Tenant, h.ID))
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO history (tenant_id, connection_id, `+historyColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
			ON CONFLICT (tenant_id, connection_id, id) DO NOTHING`,
			key.Tenant, key.Connection, h.ID, micros(h.At), h.Stream, h.LinkID, string(h.Ref.Side), h.Ref.Object, h.Ref.ID, h.Field,
			string(h.Op), string(h.Cause.Kind), string(h.Cause.Side), h.Cause.EventID, h.RunID, h.WorkflowID, h.RequestID, h.IntentID,
			sealed); err != nil {
			return err
		}
	}
	return nil
}

// ListHistory implements ledger.Histories.
func (s *Store) ListHistory(ctx context.Context, key ledger.Key, filter ledger.HistoryFilter, options ledger.ListOptions) ([]ledger.HistoryEntry, string, error) {
	const list = "history"
	p, err := pageOf(list, options)
	if err != nil {
		return nil, "", err
	}
	where, args := "", []any{key.Tenant, key.Connection, p.limit + 1}
	narrow := func(condition, value string) {
		if value != "" {
			args = append(args, value)
			where += " AND " + condition + " = $" + itoa(len(args))
		}
	}
	narrow("stream", filter.Stream)
	narrow("side", string(filter.Side))
	narrow("record_id", filter.ID)
	narrow("field", filter.Field)
	narrow("run_id <> '' AND run_id", filter.RunID)
	if p.begun {
		args = append(args, p.at, p.id)
		where += " AND (at, id) < ($" + itoa(len(args)-1) + ", $" + itoa(len(args)) + ")"
	}
	var items []ledger.HistoryEntry
	err = s.read(ctx, func(t *txn) error {
		items = nil
		return t.rows("SELECT "+historyColumns+" FROM history WHERE tenant_id = $1 AND connection_id = $2"+where+
			" ORDER BY at DESC, id DESC LIMIT $3", args, func(scan func(...any) error) error {
			h, err := s.scanHistory(key.Tenant, scan)
			items = append(items, h)
			return err
		})
	})
	if err != nil {
		return nil, "", err
	}
	items, next := cut(items, p, list, func(h ledger.HistoryEntry) (int64, string) { return micros(h.At), h.ID })
	return items, next, nil
}

func (s *Store) scanHistory(tenant string, scan func(...any) error) (h ledger.HistoryEntry, err error) {
	var at int64
	var sealed []byte
	if err = scan(&h.ID, &at, &h.Stream, &h.LinkID, &h.Ref.Side, &h.Ref.Object, &h.Ref.ID, &h.Field, &h.Op,
		&h.Cause.Kind, &h.Cause.Side, &h.Cause.EventID, &h.RunID, &h.WorkflowID, &h.RequestID, &h.IntentID, &sealed); err != nil {
		return h, err
	}
	h.At = timeOf(at)
	var values historyValues
	err = s.box.openJSON(sealed, place("history", tenant, h.ID), &values)
	h.Old, h.New = values.Old, values.New
	return h, err
}
