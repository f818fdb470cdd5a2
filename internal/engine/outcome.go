package engine

import (
	"slices"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/merge"
	"github.com/accord-sync/accord/internal/record"
)

// traces are what a record tells, some time after an update that nobody knows to
// have arrived, of who wrote it since.
type traces struct {
	// never: the record proves that the update did not reach it.
	never bool
	last  writer
	// moved: something that the update does not touch has changed.
	moved bool
	// proven: a field holds what the update sends and did not before.
	proven bool
	// saves is how many times the record was saved since, where versions count.
	saves   int64
	counted bool
	// alike are the fields that hold what was sent, whoever wrote it, or what the
	// server made of it; same those that hold what they held before, edited the rest.
	alike        ledger.Values
	same, edited []string
}

// outcomeNow judges an update by the record as it is now. Between the write and
// now users may have edited: a value other than the one sent is ours only if it
// is a reduction of it and the version or the time leaves room for nobody else.
// The value of before means that the write never happened, or that a user
// put it back after it.
func (p *pass) outcomeNow(intent ledger.Intent, now view) confirmation {
	found := p.tracesOf(intent, now)
	result := confirmation{holds: found.alike, edited: found.edited, wrote: now}
	if found.never {
		return result
	}
	theirs := found.last == byOurs && !found.proven
	if theirs {
		// Written once since, and nothing of it is ours: it was somebody else, and
		// our write, bound to the version before, can never have been applied.
		result.edited = nil
	}
	result.ownTime = !theirs && found.last != byOthers && len(result.edited)+len(found.same) == 0
	if found.last != byOurs && (found.proven || found.untold()) {
		// What we sent stood there before a user put the old value back: another field
		// of the write is there, or nothing else explains that the record was touched.
		for _, name := range found.same {
			result.holds[name] = intent.Sent[name]
		}
	}
	for _, name := range result.edited {
		if found.proven || found.counted && found.saves > max(found.changes(), 1) && p.believed(intent, name) || !found.counted && !p.asks(name) {
			// A user changed what our write had put there. Where nothing counts saves it
			// may never have been there; then too the value that stands is the later edit.
			result.holds[name] = intent.Sent[name]
		}
	}
	return result
}

// believed reports whether more saves than changes are taken for a sign that our
// write was one of them. Where the target was not read for it they may all be users'
// from just before; then it is believed so that the value which stands is not
// replaced by an older one, unless a person is to decide: that one sees both.
func (p *pass) believed(intent ledger.Intent, name string) bool {
	return intent.ReadRest != "" || !p.asks(name)
}

// asks reports whether a person decides what both sides changed.
func (p *pass) asks(name string) bool {
	return merge.Policy(p.stream.Spec.Conflicts.PolicyOf(name)) == merge.Manual
}

// untold reports whether nothing that can be seen explains why the record was saved
// since, but a user who put back the one field that was written, or each of several
// with a save of its own. Who comes back to a value unseen explains it as well; that
// is the likelier story where several fields would have been put back at once.
func (t traces) untold() bool {
	if t.moved || len(t.edited) > 0 {
		return false
	}
	if t.counted {
		return t.saves > int64(len(t.same))
	}
	return len(t.same) == 1
}

// changes is how many changes since the update can be seen that are not its own.
func (t traces) changes() int64 {
	changes := int64(len(t.same) + len(t.edited))
	if t.moved {
		changes++
	}
	return changes
}

// tracesOf compares a record with what an update of it sends.
func (p *pass) tracesOf(intent ledger.Intent, now view) traces {
	t := traces{last: p.lastWriter(intent, now.record), moved: p.othersMoved(intent, now), alike: ledger.Values{}}
	t.saves, t.counted = savesSince(intent, now.record)
	if t.last == byOurs && t.moved {
		// The one write since the read changed what ours does not touch: it was a user's.
		t.last = byOthers
	}
	var others []*mapping.Field
	for name, sent := range intent.Sent {
		field := p.stream.Mapping.Field(name)
		switch {
		case field == nil:
		case record.Equal(field.Kind(), sent, now.values[name]):
			t.alike[name] = now.values[name]
			t.proven = t.proven || !record.Equal(field.Kind(), intent.Before[name], now.values[name])
		default:
			others = append(others, field)
		}
	}
	if t.never = p.neverApplied(intent, now.record); t.never {
		return t
	}
	for _, field := range others {
		t.sort(field, intent, now)
	}
	if t.counted && t.saves <= t.changes() {
		// Users' saves explain all of it: what looks like ours is an edit that was
		// made alike on both sides.
		t.proven = false
	}
	slices.Sort(t.edited)
	return t
}

// sort tells of a field that does not hold what was sent whether it is as before,
// what the server made of our value, or edited.
func (t *traces) sort(field *mapping.Field, intent ledger.Intent, now view) {
	name := field.Name()
	got := now.values[name]
	asBefore := record.Equal(field.Kind(), got, intent.Before[name])
	switch {
	case asBefore && sameTime(intent, now.record):
	case asBefore:
		// It may be the beginning of what we sent without having come from us. Where
		// it is what the server makes of it, sending it once more shows that.
		t.same = append(t.same, name)
	case ownLater(field, intent.Target.Side, intent.Sent[name], got, t.last):
		t.alike[name] = got
	default:
		t.edited = append(t.edited, name)
	}
}

// othersMoved reports whether anything that a write does not touch has changed
// since its target was read. An intent of an older ledger does not tell.
func (p *pass) othersMoved(intent ledger.Intent, now view) bool {
	return intent.ReadOthers != "" && intent.ReadOthers != othersPrint(now.values, intent.Sent) ||
		intent.ReadRest != "" && intent.ReadRest != p.stream.restPrint(intent.Target.Side, now.record, intent.Patch)
}

// savesSince is how many times a record was saved since an update was planned, where
// its versions count.
func savesSince(intent ledger.Intent, found record.Record) (saves int64, counted bool) {
	from, known := number(intent.IfMatch)
	to, also := number(found.Version)
	return to - from, known && also
}

// ownLater reports whether a value found some time after our write is still
// ours: a reduction of what was sent, on a field declared lossy, or under a
// version or a time that leaves room for nobody else. A blank never is, as clearing
// is an edit; a server that blanks shows it when the value is sent again.
func ownLater(field *mapping.Field, side record.Side, sent, got any, last writer) bool {
	if record.IsBlank(got) || !reduced(sent, got) {
		return false
	}
	if _, list := sent.([]any); list {
		// A shorter list is what people make by taking an element away.
		return false
	}
	return field.Lossy(side) || last != byOthers
}
