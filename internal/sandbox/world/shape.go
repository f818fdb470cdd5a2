package world

import (
	"fmt"
	"slices"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// SetShape changes what a field is, as a vendor's update does; a second one of the same
// field takes the place of the first.
func (w *World) SetShape(shape wire.Shape) error {
	t := w.Table(shape.Object)
	if t == nil {
		return fmt.Errorf("there is no object %q", shape.Object)
	}
	if t.Schema.Field(shape.Field) == nil {
		return fmt.Errorf("%s has no field %q", shape.Object, shape.Field)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shapes = append(without(w.shapes, shape.Object, shape.Field), shape)
	return nil
}

// Shapes lists the changed fields.
func (w *World) Shapes() []wire.Shape {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]wire.Shape{}, w.shapes...)
}

// ClearShapes makes the fields of an object what they were; "" means any.
func (w *World) ClearShapes(object, field string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shapes = without(w.shapes, object, field)
}

func without(shapes []wire.Shape, object, field string) []wire.Shape {
	return slices.DeleteFunc(slices.Clone(shapes), func(one wire.Shape) bool {
		return (object == "" || one.Object == object) && (field == "" || one.Field == field)
	})
}

// Shaped gives a field as it is now; nil when it is gone.
func (w *World) Shaped(object string, f *Field) *Field {
	w.mu.Lock()
	list := w.shapes
	w.mu.Unlock()
	at := slices.IndexFunc(list, func(one wire.Shape) bool { return one.Object == object && one.Field == f.Name })
	if at < 0 {
		return f
	}
	if list[at].Gone {
		return nil
	}
	now := *f
	if list[at].Type != "" {
		now.Type, now.Valid = Type(list[at].Type), nil
	}
	if list[at].Values != nil {
		now.Enum = list[at].Values
	}
	if list[at].Required {
		now.Required = true
	}
	return &now
}

// Shown gives the fields of a record without those that are gone.
func (w *World) Shown(r *Record) map[string]any {
	out := make(map[string]any, len(r.Fields)+5)
	schema := w.Table(r.Object).Schema
	for name, v := range r.Fields {
		if f := schema.Field(name); f == nil || w.Shaped(r.Object, f) != nil {
			out[name] = v
		}
	}
	return out
}
