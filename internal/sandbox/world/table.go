package world

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// ErrNotFound says that there is no live record with that id.
var ErrNotFound = errors.New("record not found")

// ErrStale says that the record is no longer at the version the caller saw.
var ErrStale = errors.New("record has a newer version")

// DuplicateError says that another live record has the same unique value.
type DuplicateError struct {
	Field      string
	ExistingID string
}

// Error names the field and the record, not the value.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("another record (%s) has the same %s", e.ExistingID, e.Field)
}

// InvalidError says that the fields of a record do not go together.
type InvalidError struct{ Problems []Problem }

// Error names the fields, not the values.
func (e *InvalidError) Error() string {
	texts := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		texts = append(texts, p.Field+" "+p.Message)
	}
	return strings.Join(texts, "; ")
}

func (s *Schema) checkWhole(fields map[string]any) error {
	if s.Whole == nil {
		return nil
	}
	if problems := s.Whole(fields); len(problems) > 0 {
		return &InvalidError{Problems: problems}
	}
	return nil
}

// Table holds the records of one object. Safe for concurrent use.
type Table struct {
	Schema *Schema
	w      *World

	mu      sync.RWMutex
	all     map[string]*Record
	uniques []string
	unique  index
	search  index
	kept    []wire.Version
	updated order
	created order
	deleted order
	listLag lagging
	findLag lagging
}

func newTable(w *World, s *Schema) *Table {
	s.index()
	t := &Table{Schema: s, w: w}
	t.clear()
	return t
}

func (t *Table) clear() {
	t.all, t.uniques, t.kept = map[string]*Record{}, t.Schema.Unique, nil
	t.unique, t.search = index{}, index{}
	t.updated = order{cmp: byTime(updatedAt)}
	t.created = order{cmp: byTime(createdAt)}
	t.deleted = order{cmp: byTime(deletedAt)}
	t.listLag = lagging{apply: t.showInLists}
	t.findLag = lagging{apply: func(b, a *Record) { t.search.swap(t.Schema.searchKeys, b, a) }}
}

func (t *Table) showInLists(before, after *Record) {
	if before != nil && before.Live() {
		t.updated.remove(before)
		t.created.remove(before)
	}
	if after.Live() {
		t.updated.insert(after)
		t.created.insert(after)
	}
	if !after.DeletedAt.IsZero() {
		t.deleted.insert(after)
	}
}

// Unique gives the fields that refuse duplicates.
func (t *Table) Unique() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.uniques
}

// SetUnique changes the fields that refuse duplicates; records that share a
// value by now stay. Errors name a field that is not there or no text.
func (t *Table) SetUnique(fields []string) error {
	for _, name := range fields {
		if f := t.Schema.Field(name); f == nil || f.Limit() == 0 {
			return fmt.Errorf("%s has no text field %q", t.Schema.Name, name)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.uniques, t.unique = slices.Clone(fields), index{}
	for _, r := range t.all {
		t.unique.swap(t.uniqueKeys, nil, r)
	}
	return nil
}

func (t *Table) uniqueKeys(r *Record) []string { return t.Schema.keysOf(r, t.uniques) }

// Get gives the live record with the id, or nil. A merged id gives its survivor.
func (t *Table) Get(id string) *Record {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.live(id)
}

func (t *Table) live(id string) *Record {
	r := t.all[id]
	if r != nil && r.MergedInto != "" && t.w.Switches().MergedIDs == wire.MergedNotFound {
		return nil
	}
	for hops := 0; r != nil && r.MergedInto != "" && hops < 16; hops++ {
		r = t.all[r.MergedInto]
	}
	if r == nil || !r.Live() {
		return nil
	}
	return r
}

// Raw gives the record stored under the id, tombstones included, or nil.
func (t *Table) Raw(id string) *Record {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all[id]
}

// Versions gives what was kept of all records while the switch KeepVersions was
// on, behind a sequence number, oldest first.
func (t *Table) Versions(since int64) []wire.Version {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.kept[min(max(since, 0), int64(len(t.kept))):])
}

// Create adds a record. With an id given, the id must be free. Errors: *DuplicateError, *InvalidError.
func (t *Table) Create(id, actor string, fields map[string]any) (*Record, error) {
	return t.create(id, actor, fields, false)
}

// Seed adds a record without uniqueness check and without webhooks.
func (t *Table) Seed(id, actor string, fields map[string]any) (*Record, error) {
	return t.create(id, actor, fields, true)
}

func (t *Table) create(id, actor string, fields map[string]any, silent bool) (*Record, error) {
	if id == "" {
		id = t.w.newID(t.Schema.Name)
	}
	now := t.w.Stamp()
	r := &Record{Object: t.Schema.Name, ID: id, Version: 1, CreatedAt: now, UpdatedAt: now,
		CreatedBy: actor, UpdatedBy: actor, Fields: t.w.altered(t.Schema.Name, nil, t.withDefaults(fields))}
	if err := t.Schema.checkWhole(r.Fields); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[id] != nil {
		return nil, &DuplicateError{Field: "id", ExistingID: id}
	}
	if err := t.checkUnique(r, silent); err != nil {
		return nil, err
	}
	t.publish(nil, r)
	if !silent {
		t.w.changed(Change{Op: "create", New: r, Actor: actor, Fields: slices.Sorted(maps.Keys(fields))})
	}
	return r, nil
}

func (t *Table) withDefaults(fields map[string]any) map[string]any {
	out := make(map[string]any, len(t.Schema.Fields))
	for i := range t.Schema.Fields {
		f := &t.Schema.Fields[i]
		out[f.Name] = f.Default
		switch {
		case f.Default != nil:
		case f.Type == Labels || f.Type == List:
			out[f.Name] = []any{}
		case f.Type == Object:
			out[f.Name] = map[string]any{}
		}
	}
	for k, v := range fields {
		if v == nil && out[k] != nil {
			continue
		}
		out[k] = v
	}
	return out
}

func (t *Table) checkUnique(r *Record, silent bool) error {
	if silent || !t.w.Switches().Unique {
		return nil
	}
	for _, key := range t.uniqueKeys(r) {
		for _, id := range t.unique.find(key) {
			if id != r.ID {
				field, _, _ := strings.Cut(key, "\x00")
				return &DuplicateError{Field: field, ExistingID: id}
			}
		}
	}
	return nil
}

// publish makes after the current version of the record, in all views.
func (t *Table) publish(before, after *Record) {
	sw, now := t.w.Switches(), t.w.now()
	t.all[after.ID] = after
	if sw.KeepVersions {
		t.kept = append(t.kept, wire.Version{Seq: int64(len(t.kept)) + 1, At: now, Record: after.Wire()})
	}
	t.unique.swap(t.uniqueKeys, before, after)
	t.listLag.push(now, late(sw, after), before, after)
	t.findLag.push(now, ms(sw.SearchLagMS), before, after)
}

// late is how long a listing does not show a version yet.
func late(sw wire.Switches, r *Record) time.Duration {
	if !sw.VisibleLateSpread {
		return ms(sw.VisibleLateMS)
	}
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, r.ID, r.Version)
	return ms(int(int64(sw.VisibleLateMS) * int64(h.Sum32()) >> 32))
}

// Patch is an edit of a record: it gets the current version and returns the
// new fields (a new map; values not edited may be shared).
type Patch func(cur *Record) map[string]any

// Update edits a live record. seen is the version that the caller saw, 0 for
// any. The bool says whether anything changed; an edit without a change leaves
// the record as it is unless the switch NoopBumps is on.
// Errors: ErrNotFound, ErrStale, *DuplicateError, *InvalidError.
func (t *Table) Update(id, actor string, seen int64, patch Patch) (*Record, bool, error) {
	now := t.w.Stamp()
	t.mu.Lock()
	defer t.mu.Unlock()
	cur := t.live(id)
	if cur == nil {
		return nil, false, ErrNotFound
	}
	if seen != 0 && seen != cur.Version {
		return cur, false, ErrStale
	}
	next := *cur
	next.Fields = t.w.altered(t.Schema.Name, cur.Fields, patch(cur))
	edited := changedFields(cur.Fields, next.Fields)
	if len(edited) == 0 && !t.w.Switches().NoopBumps {
		return cur, false, nil
	}
	next.Version++
	next.UpdatedAt, next.UpdatedBy = now, actor
	if err := t.Schema.checkWhole(next.Fields); err != nil {
		return cur, false, err
	}
	if err := t.checkUnique(&next, false); err != nil {
		return cur, false, err
	}
	t.publish(cur, &next)
	t.w.changed(Change{Op: "update", Old: cur, New: &next, Actor: actor, Fields: edited})
	return &next, true, nil
}

func changedFields(a, b map[string]any) []string {
	var out []string
	for k, v := range b {
		if !reflect.DeepEqual(a[k], v) {
			out = append(out, k)
		}
	}
	for k := range a {
		if _, there := b[k]; !there {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// Delete removes a live record and leaves a tombstone. Errors: ErrNotFound, ErrStale.
func (t *Table) Delete(id, actor string, seen int64) (*Record, error) {
	now := t.w.Stamp()
	t.mu.Lock()
	defer t.mu.Unlock()
	cur := t.live(id)
	if cur == nil {
		return nil, ErrNotFound
	}
	if seen != 0 && seen != cur.Version {
		return cur, ErrStale
	}
	next := *cur
	next.Version++
	next.UpdatedAt, next.UpdatedBy, next.DeletedAt = now, actor, now
	t.publish(cur, &next)
	t.w.changed(Change{Op: "delete", Old: cur, New: &next, Actor: actor})
	return &next, nil
}

// Merge joins loser into winner: the winner's blank fields take the loser's
// values, and the loser's id goes on answering with the winner. Errors: ErrNotFound.
func (t *Table) Merge(winner, loser, actor string) (*Record, error) {
	now := t.w.Stamp()
	t.mu.Lock()
	defer t.mu.Unlock()
	win, lose := t.live(winner), t.live(loser)
	if win == nil || lose == nil || win == lose {
		return nil, ErrNotFound
	}
	gone := *lose
	gone.Version++
	gone.UpdatedAt, gone.UpdatedBy, gone.MergedInto = now, actor, win.ID
	t.publish(lose, &gone)
	next := *win
	next.Fields = maps.Clone(win.Fields)
	for k, v := range lose.Fields {
		if blank(next.Fields[k]) && !blank(v) {
			next.Fields[k] = v
		}
	}
	next.Version++
	next.UpdatedAt, next.UpdatedBy = now, actor
	t.publish(win, &next)
	t.w.changed(Change{Op: "merge", Old: lose, New: &gone, Actor: actor})
	if edited := changedFields(win.Fields, next.Fields); len(edited) > 0 {
		t.w.changed(Change{Op: "update", Old: win, New: &next, Actor: actor, Fields: edited})
	}
	return &next, nil
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }
