// Package world is the inside of a sandbox server: records with versions and
// server times, listings and searches that may trail behind, a clock that may
// be off, the switches, and the log of who asked and who wrote. It knows no HTTP.
package world

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// Options make a World.
type Options struct {
	// Now is the true time. Required.
	Now func() time.Time
	// NewID makes the id of a new record of an object. Required, safe for concurrent use.
	NewID func(object string) string
	// Schemas are the objects. Required.
	Schemas []*Schema
	// Switches are the state after start and after a reset.
	Switches wire.Switches
	// LogMax bounds the request log; default 200,000 (the counts are kept anyway).
	LogMax int
}

// Change is something that happened to a record.
type Change struct {
	// Op is create, update, delete or merge.
	Op string
	// Old is nil for create. New is the tombstone for delete and merge.
	Old, New *Record
	Actor    string
	// Fields are the names of the fields changed.
	Fields []string
}

// World is one server's state. Safe for concurrent use.
type World struct {
	Log *Log

	opts     Options
	tables   map[string]*Table
	switches atomic.Pointer[wire.Switches]

	frozen atomic.Pointer[time.Time]

	mu          sync.Mutex
	listener    func(Change)
	rejections  []*wire.Rejection
	alterations []wire.Alteration
	badRows     []wire.BadRow
	races       []*wire.Race
	shapes      []wire.Shape
}

// New makes an empty world.
func New(o Options) *World {
	if o.LogMax == 0 {
		o.LogMax = 200_000
	}
	w := &World{opts: o, Log: newLog(o.LogMax), tables: map[string]*Table{}, listener: func(Change) {}}
	for _, s := range o.Schemas {
		w.tables[s.Name] = newTable(w, s)
	}
	w.SetSwitches(o.Switches)
	return w
}

// Listen sets what is told of every change, in the order of the record's
// versions. It is called with the table locked: it must be quick and must not
// call back. Set it before the world is used.
func (w *World) Listen(f func(Change)) { w.listener = f }

func (w *World) changed(c Change) { w.listener(c) }

// Table gives the table of an object, nil for an unknown one.
func (w *World) Table(object string) *Table { return w.tables[object] }

// Objects gives the names of all objects, sorted.
func (w *World) Objects() []string {
	out := make([]string, 0, len(w.tables))
	for name := range w.tables {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (w *World) now() time.Time { return w.opts.Now().UTC() }

func (w *World) newID(object string) string { return w.opts.NewID(object) }

// Switches gives the present switches.
func (w *World) Switches() wire.Switches { return *w.switches.Load() }

// SetSwitches replaces the switches.
func (w *World) SetSwitches(s wire.Switches) { w.switches.Store(&s) }

// Reset empties the world and puts the switches back.
func (w *World) Reset() {
	for _, t := range w.tables {
		t.mu.Lock()
		t.clear()
		t.mu.Unlock()
	}
	w.mu.Lock()
	w.rejections, w.alterations, w.badRows, w.races, w.shapes = nil, nil, nil, nil, nil
	w.mu.Unlock()
	w.frozen.Store(nil)
	w.SetSwitches(w.opts.Switches)
	w.Log.Reset()
}

// UserActor names a user as an actor; the default user is "operator".
func UserActor(user string) string {
	if user == "" {
		user = "operator"
	}
	return "user:" + user
}

// MergePatch is an edit as a person makes it: only the given fields change,
// null clears, objects merge by key, lists are replaced.
func MergePatch(s *Schema, given map[string]any) Patch {
	return func(cur *Record) map[string]any {
		out := make(map[string]any, len(cur.Fields)+len(given))
		for k, v := range cur.Fields {
			out[k] = v
		}
		for k, v := range given {
			out[k] = MergeValue(s, k, out[k], v)
		}
		return out
	}
}

// MergeValue gives the new value of a field: objects merge by key (null
// removes a key), a cleared list or object becomes empty, the rest is replaced.
func MergeValue(s *Schema, field string, old, given any) any {
	f := s.Field(field)
	if f == nil {
		return given
	}
	switch f.Type {
	case Object:
		sent, ok := given.(map[string]any)
		if !ok {
			return map[string]any{}
		}
		merged := map[string]any{}
		if was, ok := old.(map[string]any); ok {
			for k, v := range was {
				merged[k] = v
			}
		}
		for k, v := range sent {
			if v == nil {
				delete(merged, k)
				continue
			}
			merged[k] = v
		}
		return merged
	case Labels, List:
		if given == nil {
			return []any{}
		}
	}
	return given
}

// Union adds to a list what it does not have yet.
func Union(was, added []any) []any {
	out := append([]any{}, was...)
	for _, v := range added {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
