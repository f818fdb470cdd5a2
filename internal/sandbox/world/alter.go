package world

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// AddAlteration has a field stored otherwise than it is written. Errors say what is wrong with it.
func (w *World) AddAlteration(a wire.Alteration) error {
	t := w.Table(a.Object)
	if t == nil {
		return fmt.Errorf("there is no object %q", a.Object)
	}
	name, _, _ := strings.Cut(a.Field, ".")
	if t.Schema.Field(name) == nil {
		return fmt.Errorf("%s has no field %q", a.Object, name)
	}
	switch a.How {
	case wire.AlterCut, wire.AlterRound, wire.AlterUpper, wire.AlterLower, wire.AlterTrim, wire.AlterNullAsEmpty, wire.AlterEmptyAsNull:
	default:
		return fmt.Errorf("how is %q, not cut, round, upper, lower, trim, null_as_empty or empty_as_null", a.How)
	}
	if a.To < 0 {
		return fmt.Errorf("to is %d, below 0", a.To)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alterations = append(slices.Clone(w.alterations), a)
	return nil
}

// Alterations lists the alterations.
func (w *World) Alterations() []wire.Alteration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]wire.Alteration{}, w.alterations...)
}

// ClearAlterations removes those of an object's field; "" means any.
func (w *World) ClearAlterations(object, field string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alterations = slices.DeleteFunc(slices.Clone(w.alterations), func(a wire.Alteration) bool {
		return (object == "" || a.Object == object) && (field == "" || a.Field == field)
	})
}

// AddBadRow has a record's row written wrongly in files. Errors say what is wrong with it.
func (w *World) AddBadRow(b wire.BadRow) error {
	t := w.Table(b.Object)
	if t == nil || t.Get(b.ID) == nil {
		return fmt.Errorf("there is no record %q of %q", b.ID, b.Object)
	}
	switch b.Kind {
	case wire.RowColumns, wire.RowNoID, wire.RowQuote, wire.RowEncoding, wire.RowTwice:
	default:
		return fmt.Errorf("kind is %q, not columns, no_id, quote, encoding or twice", b.Kind)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.badRows = append(slices.Clone(w.badRows), b)
	return nil
}

// BadRows lists the rows that are written wrongly.
func (w *World) BadRows() []wire.BadRow {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]wire.BadRow{}, w.badRows...)
}

// ClearBadRows has all rows written well again.
func (w *World) ClearBadRows() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.badRows = nil
}

// altered gives the fields as the server stores them. before are the values
// there were, nil for a new record: what was not edited is not touched.
func (w *World) altered(object string, before, after map[string]any) map[string]any {
	w.mu.Lock()
	list := w.alterations
	w.mu.Unlock()
	if len(list) == 0 || !w.Switches().Alter {
		return after
	}
	for _, a := range list {
		if a.Object != object {
			continue
		}
		path := strings.Split(a.Field, ".")
		if was, is := dig(before, path), dig(after, path); before != nil && reflect.DeepEqual(was, is) {
			continue
		}
		after = put(after, path, func(v any) any { return alter(a, v) })
	}
	return after
}

func dig(v any, path []string) any {
	for _, k := range path {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// put changes one value of a tree and copies only what lies above it. A path
// that leads nowhere changes nothing.
func put(tree map[string]any, path []string, f func(any) any) map[string]any {
	out := maps.Clone(tree)
	if len(path) == 1 {
		out[path[0]] = f(tree[path[0]])
		return out
	}
	inner, ok := tree[path[0]].(map[string]any)
	if !ok {
		return tree
	}
	out[path[0]] = put(inner, path[1:], f)
	return out
}

func alter(a wire.Alteration, v any) any {
	if a.How == wire.AlterNullAsEmpty && v == nil {
		return ""
	}
	if n, ok := v.(json.Number); ok && a.How == wire.AlterRound {
		return round(n, a.To)
	}
	s, ok := v.(string)
	if !ok {
		return v
	}
	switch a.How {
	case wire.AlterCut:
		if r := []rune(s); len(r) > a.To {
			return string(r[:a.To])
		}
	case wire.AlterUpper:
		return strings.ToUpper(s)
	case wire.AlterLower:
		return strings.ToLower(s)
	case wire.AlterTrim:
		return strings.TrimSpace(s)
	case wire.AlterEmptyAsNull:
		if s == "" {
			return nil
		}
	}
	return v
}

// round leaves a number with few enough decimals in the form it was written.
func round(n json.Number, decimals int) json.Number {
	if _, after, _ := strings.Cut(n.String(), "."); len(after) <= decimals && !strings.ContainsAny(n.String(), "eE") {
		return n
	}
	f, err := n.Float64()
	if err != nil {
		return n
	}
	return json.Number(strconv.FormatFloat(f, 'f', decimals, 64))
}
