package world

import (
	"slices"
	"sort"
	"strings"
	"time"
)

// posting is the set of ids that share an index key; most keys have one.
type posting struct {
	one  string
	many map[string]struct{}
}

func (p posting) ids() []string {
	if p.many == nil {
		return []string{p.one}
	}
	out := make([]string, 0, len(p.many))
	for id := range p.many {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// index maps keys to the ids of records that have them.
type index map[string]posting

func (x index) add(key, id string) {
	p, there := x[key]
	switch {
	case !there:
		p.one = id
	case p.many != nil:
		p.many[id] = struct{}{}
	case p.one != id:
		p = posting{many: map[string]struct{}{p.one: {}, id: {}}}
	}
	x[key] = p
}

func (x index) drop(key, id string) {
	p, there := x[key]
	switch {
	case !there:
	case p.many == nil:
		if p.one == id {
			delete(x, key)
		}
	default:
		delete(p.many, id)
		if len(p.many) == 0 {
			delete(x, key)
		}
	}
}

// swap replaces the keys of a record's old version by those of its new one.
func (x index) swap(keys func(*Record) []string, before, after *Record) {
	var was, is []string
	id := ""
	if before != nil && before.Live() {
		was, id = keys(before), before.ID
	}
	if after != nil && after.Live() {
		is, id = keys(after), after.ID
	}
	if slices.Equal(was, is) {
		return
	}
	for _, k := range was {
		x.drop(k, id)
	}
	for _, k := range is {
		x.add(k, id)
	}
}

func (x index) find(key string) []string {
	p, there := x[key]
	if !there {
		return nil
	}
	return p.ids()
}

func fieldKey(s *Schema, field, value string) string {
	typ := Text
	if f := s.Field(field); f != nil {
		typ = f.Type
	}
	v := normal(typ, value)
	if v == "" {
		return ""
	}
	return field + "\x00" + v
}

func (s *Schema) searchKeys(r *Record) []string {
	out := s.keysOf(r, s.Exact)
	for _, field := range s.Words {
		out = appendWords(out, r.Fields[field])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *Schema) keysOf(r *Record, fields []string) []string {
	var out []string
	for _, field := range fields {
		if k := fieldKey(s, field, r.Text(field)); k != "" {
			out = append(out, k)
		}
	}
	return out
}

// appendWords adds the words of a text, or of the texts in an object.
func appendWords(out []string, v any) []string {
	switch v := v.(type) {
	case string:
		for _, word := range strings.Fields(strings.ToLower(v)) {
			out = append(out, "\x00"+word)
		}
	case map[string]any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = appendWords(out, s)
			}
		}
	}
	return out
}

// step is a change that a view has not taken over yet.
type step struct {
	due           time.Time
	before, after *Record
}

// lagging hands changes on after a delay: those of one record in their order,
// those of different records by when they are due. It is how a listing or a
// search of a real vendor trails behind the record itself.
type lagging struct {
	waiting []step
	last    map[string]time.Time
	apply   func(before, after *Record)
}

func (l *lagging) push(now time.Time, lag time.Duration, before, after *Record) {
	earlier, waits := l.last[after.ID]
	if lag <= 0 && !waits {
		l.apply(before, after)
		return
	}
	due := now.Add(max(lag, 0))
	if due.Before(earlier) {
		due = earlier
	}
	if l.last == nil {
		l.last = map[string]time.Time{}
	}
	l.last[after.ID] = due
	at := sort.Search(len(l.waiting), func(i int) bool { return l.waiting[i].due.After(due) })
	l.waiting = slices.Insert(l.waiting, at, step{due, before, after})
}

// settle applies what is due; with the lag switched off, everything.
func (l *lagging) settle(now time.Time, lag time.Duration) {
	n := 0
	for n < len(l.waiting) && (lag <= 0 || !l.waiting[n].due.After(now)) {
		s := l.waiting[n]
		l.apply(s.before, s.after)
		if !s.due.Before(l.last[s.after.ID]) {
			delete(l.last, s.after.ID)
		}
		n++
	}
	if n > 0 {
		l.waiting = slices.Delete(l.waiting, 0, n)
	}
}
