package world

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Keys that a listing can be ordered by without sorting.
const (
	ByUpdated = "updated_at"
	ByCreated = "created_at"
)

// Position is a place in a listing ordered by time and id.
type Position struct {
	At time.Time
	ID string
}

// Query asks for a part of a listing of live records. Zero values ask for all.
type Query struct {
	// Sort is ByUpdated, ByCreated or a field; default ByCreated. Ties go by id.
	Sort string
	Desc bool
	// UpdatedFrom and CreatedFrom are inclusive, CreatedTo is exclusive.
	UpdatedFrom, CreatedFrom, CreatedTo time.Time
	// After continues behind a position (ascending listings by time only).
	After *Position
	// Keep, when given, filters further.
	Keep          func(*Record) bool
	Offset, Limit int
}

// List answers a query with a page and the number of records that match.
func (t *Table) List(q Query) (page []*Record, total int) {
	t.settle()
	t.mu.RLock()
	defer t.mu.RUnlock()
	if q.Sort == "" {
		q.Sort = ByCreated
	}
	o, at, lo, hi := t.window(q)
	keep := q.filter(at)
	if q.Sort != ByUpdated && q.Sort != ByCreated {
		return sortedPage(o, q, lo, hi, keep)
	}
	if keep == nil {
		total = hi - lo
		if q.Desc {
			hi -= min(q.Offset, total)
		} else {
			lo += min(q.Offset, total)
		}
		o.walk(lo, hi, q.Desc, func(r *Record) bool {
			if len(page) < q.Limit {
				page = append(page, r)
			}
			return len(page) < q.Limit
		})
		return page, total
	}
	o.walk(lo, hi, q.Desc, func(r *Record) bool {
		if !keep(r) {
			return true
		}
		if total >= q.Offset && len(page) < q.Limit {
			page = append(page, r)
		}
		total++
		return true
	})
	return page, total
}

// settle lets late records turn up. It takes the write lock only when some wait.
func (t *Table) settle() {
	t.mu.RLock()
	waiting := len(t.listLag.waiting) + len(t.findLag.waiting)
	t.mu.RUnlock()
	if waiting == 0 {
		return
	}
	sw, now := t.w.Switches(), t.w.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listLag.settle(now, ms(sw.VisibleLateMS))
	t.findLag.settle(now, ms(sw.SearchLagMS))
}

// window picks the order for a query and the range of positions in it.
func (t *Table) window(q Query) (o *order, key string, lo, hi int) {
	if q.Sort == ByUpdated {
		o, key = &t.updated, ByUpdated
		lo, hi = 0, o.n
		if !q.UpdatedFrom.IsZero() {
			lo = o.rank(&Record{UpdatedAt: q.UpdatedFrom})
		}
		if q.After != nil {
			// The smallest id above ID is ID with a zero byte appended.
			lo = max(lo, o.rank(&Record{UpdatedAt: q.After.At, ID: q.After.ID + "\x00"}))
		}
		return o, key, lo, hi
	}
	o, key = &t.created, ByCreated
	lo, hi = 0, o.n
	if !q.CreatedFrom.IsZero() {
		lo = o.rank(&Record{CreatedAt: q.CreatedFrom})
	}
	if !q.CreatedTo.IsZero() {
		hi = max(lo, o.rank(&Record{CreatedAt: q.CreatedTo}))
	}
	return o, key, lo, hi
}

// filter gives the conditions that the window does not already meet, nil for none.
func (q Query) filter(key string) func(*Record) bool {
	rest := q
	if key == ByUpdated {
		rest.UpdatedFrom = time.Time{}
	} else {
		rest.CreatedFrom, rest.CreatedTo = time.Time{}, time.Time{}
	}
	if rest.UpdatedFrom.IsZero() && rest.CreatedFrom.IsZero() && rest.CreatedTo.IsZero() {
		return q.Keep
	}
	return func(r *Record) bool {
		if !rest.UpdatedFrom.IsZero() && r.UpdatedAt.Before(rest.UpdatedFrom) {
			return false
		}
		if !rest.CreatedFrom.IsZero() && r.CreatedAt.Before(rest.CreatedFrom) {
			return false
		}
		if !rest.CreatedTo.IsZero() && !r.CreatedAt.Before(rest.CreatedTo) {
			return false
		}
		return q.Keep == nil || q.Keep(r)
	}
}

func sortedPage(o *order, q Query, lo, hi int, keep func(*Record) bool) ([]*Record, int) {
	var all []*Record
	o.walk(lo, hi, false, func(r *Record) bool {
		if keep == nil || keep(r) {
			all = append(all, r)
		}
		return true
	})
	slices.SortFunc(all, func(a, b *Record) int {
		c := cmp.Or(compareValues(a.Fields[q.Sort], b.Fields[q.Sort]), cmp.Compare(a.ID, b.ID))
		if q.Desc {
			return -c
		}
		return c
	})
	total := len(all)
	from := min(q.Offset, total)
	return all[from:min(from+q.Limit, total)], total
}

func compareValues(a, b any) int {
	na, oka := a.(json.Number)
	nb, okb := b.(json.Number)
	if oka && okb {
		fa, _ := na.Float64()
		fb, _ := nb.Float64()
		return cmp.Compare(fa, fb)
	}
	sa, _ := a.(string)
	sb, _ := b.(string)
	return cmp.Compare(strings.ToLower(sa), strings.ToLower(sb))
}

// Deleted lists tombstones by (deleted_at, id), from a time on or behind a position.
func (t *Table) Deleted(from time.Time, after *Position, limit int) (page []*Record, more bool) {
	t.settle()
	t.mu.RLock()
	defer t.mu.RUnlock()
	lo := t.deleted.rank(&Record{DeletedAt: from})
	if after != nil {
		lo = max(lo, t.deleted.rank(&Record{DeletedAt: after.At, ID: after.ID + "\x00"}))
	}
	hi := min(lo+limit, t.deleted.n)
	t.deleted.walk(lo, hi, false, func(r *Record) bool {
		page = append(page, r)
		return true
	})
	return page, hi < t.deleted.n
}

// Find gives the live records whose field equals the value in normal form.
// Like a vendor's search it may trail behind the records (switch SearchLagMS).
func (t *Table) Find(field, value string) []*Record {
	key := fieldKey(t.Schema, field, value)
	if key == "" {
		return nil
	}
	t.settle()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.resolve(t.search.find(key))
}

// FindWords gives the live records that contain every word of the text.
func (t *Table) FindWords(text string) []*Record {
	words := appendWords(nil, text)
	if len(words) == 0 {
		return nil
	}
	t.settle()
	t.mu.RLock()
	defer t.mu.RUnlock()
	ids := t.search.find(words[0])
	for _, w := range words[1:] {
		p := t.search.find(w)
		ids = slices.DeleteFunc(ids, func(id string) bool {
			_, found := slices.BinarySearch(p, id)
			return !found
		})
	}
	return t.resolve(ids)
}

func (t *Table) resolve(ids []string) []*Record {
	out := make([]*Record, 0, len(ids))
	for _, id := range ids {
		if r := t.all[id]; r != nil && r.Live() {
			out = append(out, r)
		}
	}
	return out
}

// All gives every record, tombstones included, ordered by id.
func (t *Table) All() []*Record {
	t.mu.RLock()
	out := make([]*Record, 0, len(t.all))
	for _, r := range t.all {
		out = append(out, r)
	}
	t.mu.RUnlock()
	slices.SortFunc(out, func(a, b *Record) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
