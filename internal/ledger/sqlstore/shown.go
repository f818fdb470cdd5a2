package sqlstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// maxShown bounds what a change may carry along; a larger record is simply read
// from its server.
const maxShown = 32 << 10

// shown is the stored form of Change.Shown.
type shown struct {
	Fields    record.Fields `json:"f,omitempty"`
	Version   string        `json:"v,omitempty"`
	CreatedAt time.Time     `json:"c,omitzero"`
	UpdatedAt time.Time     `json:"u,omitzero"`
	// Deleted is Change.Deleted; nothing else is kept then.
	Deleted bool `json:"d,omitempty"`
}

// deletedPrint stands for what a change shows that tells of a delete.
const deletedPrint = "deleted"

// sealShown gives the two columns of what a change shows: NULL and ” for nothing.
func (t *txn) sealShown(key ledger.Key, change ledger.Change) (sealed []byte, print string, err error) {
	if change.Deleted {
		sealed, err = t.s.box.seal([]byte(`{"d":true}`), place("inbox", key.Tenant, change.Ref.String()))
		return sealed, deletedPrint, err
	}
	if change.Shown == nil {
		return nil, "", nil
	}
	carried := shown{Fields: change.Shown.Fields, Version: change.Shown.Version, CreatedAt: change.Shown.CreatedAt, UpdatedAt: change.Shown.UpdatedAt}
	plain, err := json.Marshal(carried)
	if err != nil {
		return nil, "", fault.Wrap(fault.Internal, err, "a record cannot be written as JSON").On(change.Ref)
	}
	if len(plain) > maxShown {
		return nil, "", nil
	}
	sum := sha256.Sum256(plain)
	sealed, err = t.s.box.seal(plain, place("inbox", key.Tenant, change.Ref.String()))
	return sealed, hex.EncodeToString(sum[:16]), err
}

// openShown is the opposite of sealShown.
func (t *txn) openShown(key ledger.Key, change *ledger.Change, sealed []byte) error {
	plain, err := t.s.box.open(sealed, place("inbox", key.Tenant, change.Ref.String()))
	if err != nil || plain == nil {
		return err
	}
	var carried shown
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.UseNumber()
	if err := decoder.Decode(&carried); err != nil {
		return fault.Wrap(fault.Internal, err, "a stored record cannot be read").On(change.Ref)
	}
	if change.Deleted = carried.Deleted; change.Deleted {
		return nil
	}
	change.Shown = &record.Record{Ref: change.Ref, Fields: carried.Fields, Version: carried.Version, CreatedAt: carried.CreatedAt, UpdatedAt: carried.UpdatedAt}
	return nil
}
