package world

import (
	"cmp"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Record is one version of a record. It never changes once published: an edit
// makes a new one, so that readers need no copy and no lock.
type Record struct {
	Object    string
	ID        string
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
	CreatedBy string
	UpdatedBy string
	// DeletedAt is zero for a live record.
	DeletedAt time.Time
	// MergedInto is the survivor's id when the vendor merged this record away.
	MergedInto string
	// Fields are the vendor's own field names and JSON values, numbers as json.Number.
	Fields map[string]any
}

// Live says whether the record is neither deleted nor merged away.
func (r *Record) Live() bool { return r.DeletedAt.IsZero() && r.MergedInto == "" }

// Wire gives the record in the shape of the admin API.
func (r *Record) Wire() wire.Record {
	out := wire.Record{
		Object: r.Object, ID: r.ID, Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		CreatedBy: r.CreatedBy, UpdatedBy: r.UpdatedBy, MergedInto: r.MergedInto, Fields: r.Fields,
	}
	if !r.DeletedAt.IsZero() {
		at := r.DeletedAt
		out.DeletedAt = &at
	}
	return out
}

// Text gives a field's value when it is a text, else "".
func (r *Record) Text(field string) string {
	s, _ := r.Fields[field].(string)
	return s
}

func byTime(at func(*Record) time.Time) func(a, b *Record) int {
	return func(a, b *Record) int {
		if c := at(a).Compare(at(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.ID, b.ID)
	}
}

func updatedAt(r *Record) time.Time { return r.UpdatedAt }
func createdAt(r *Record) time.Time { return r.CreatedAt }
func deletedAt(r *Record) time.Time { return r.DeletedAt }

// normal is the form in which a search or a unique key compares a value:
// case and spaces do not count, and a phone number is its digits.
func normal(typ Type, value string) string {
	value = strings.ToLower(strings.TrimSpace(value))
	if typ != Phone {
		return value
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, value)
}
