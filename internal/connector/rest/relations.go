package rest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// related is a client of a system that keeps whom a record belongs to outside of the
// record, and changes it with calls of its own.
type related struct{ *client }

var _ connector.Divided = related{}

// CallOf implements connector.Divided: a relation travels apart from the record's own values.
func (r related) CallOf(name string, share map[string]any) int {
	object, known := r.manifest.Objects[name]
	for path := range share {
		if known && object.Relations[path] != nil {
			return 1
		}
	}
	return 0
}

// hasRelations reports whether any collection has some.
func hasRelations(m *manifest.Manifest) bool {
	for _, object := range m.Objects {
		if len(object.Relations) > 0 {
			return true
		}
	}
	return false
}

// related ones are shown by their ids at the relation's name, nil where there are none: of
// several the lowest, so that it is always the same one.
func relate(object *manifest.Object, fields record.Fields) {
	for name, said := range object.Relations {
		found, _ := manifest.Look(map[string]any(fields), said.Rows)
		fields[name] = lowest(endsOf(found, said.ID))
	}
}

// endsOf are the ids of a list of associations, ascending and each once.
func endsOf(list any, path string) []string {
	rows, _ := list.([]any)
	var ids []string
	for _, row := range rows {
		if id, ok := idAt(row, path); ok {
			ids = append(ids, id)
		}
	}
	// Numbers of different length are not ordered as texts are.
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return slices.Compact(ids)
}

func lowest(ids []string) any {
	if len(ids) == 0 {
		return nil
	}
	return ids[0]
}

// batched adds to rows the relations that their listing does not show.
func (c *client) batched(ctx context.Context, object *manifest.Object, rows []record.Record) error {
	if len(rows) == 0 {
		return nil
	}
	for name, said := range object.Relations {
		if said.Batch == nil {
			continue
		}
		ids := make([]string, 0, len(rows))
		for _, row := range rows {
			ids = append(ids, row.Ref.ID)
		}
		batch := *said.Batch
		batch.Body = manifest.Repeat(batch.Body, "id", ids)
		call, err := c.call(&batch.Request, valuesOf(object), object.Name)
		if err != nil {
			return err
		}
		call.Safe = true
		found, _, err := c.items(ctx, call, object, &manifest.Listing{Rows: batch.Rows})
		if err != nil {
			return err
		}
		ends := map[string]any{}
		for _, item := range found {
			if from, ok := idAt(item, batch.From); ok {
				list, _ := manifest.Look(item, batch.To)
				ends[from] = lowest(endsOf(list, batch.ID))
			}
		}
		for _, row := range rows {
			row.Fields[name] = ends[row.Ref.ID]
		}
	}
	return nil
}

// withRelations takes the relations out of the fields of a create and answers what its body holds of them.
func withRelations(object *manifest.Object, body any, fields map[string]any) (any, map[string]any) {
	rest := maps.Clone(fields)
	for name, said := range object.Relations {
		value, given := fields[name]
		if delete(rest, name); !given || value == nil {
			continue
		}
		id, ok := transport.ParseID(value)
		if !ok {
			continue // a reference is always an id
		}
		made, _ := manifest.FillTree(said.Create, manifest.Values{"value": id})
		body = joined(body, made)
	}
	return body, rest
}

// joined puts one body into another; lists of the same name follow each other.
func joined(body, more any) any {
	into, ok := body.(map[string]any)
	if !ok {
		into = map[string]any{}
	}
	parts, _ := more.(map[string]any)
	for key, part := range parts {
		held, isList := into[key].([]any)
		if added, adds := part.([]any); isList && adds {
			part = slices.Concat(held, added)
		}
		into[key] = part
	}
	return into
}

// relink changes to whom a record belongs. The new association is made first; then the one
// goes that showed, and those that stand before the new one, the lowest last: at any moment
// the record shows either what it showed or what was asked for. Others are left alone.
func (c *client) relink(ctx context.Context, object *manifest.Object, current record.Record, fields map[string]any) (record.Record, error) {
	for name, value := range fields {
		said := object.Relations[name]
		if said == nil {
			refused := fault.New(fault.Invalid, "%s changes whom a %s belongs to with a call of its own; map %s apart", c.title, object.Singular, name).On(current.Ref)
			refused.Field = name
			return record.Record{}, refused
		}
		held, err := c.Get(ctx, object.Name, current.Ref.ID)
		if err != nil {
			return record.Record{}, err
		}
		list, _ := manifest.Look(map[string]any(held.Fields), said.Rows)
		if err := c.relinkOne(ctx, object, said, held.Ref.ID, endsOf(list, said.ID), value); err != nil {
			return record.Record{}, err
		}
	}
	got, err := c.Get(ctx, object.Name, current.Ref.ID)
	if err != nil {
		return record.Record{}, transport.AfterWrite(err, c.title)
	}
	return got, nil
}

func (c *client) relinkOne(ctx context.Context, object *manifest.Object, said *manifest.Relation, id string, held []string, value any) error {
	wanted, _ := transport.ParseID(value)
	if wanted != "" && !slices.Contains(held, wanted) {
		if err := c.associate(ctx, object, &said.Set, id, wanted); err != nil {
			return err
		}
	}
	for at, other := range slices.Backward(held) {
		if other == wanted || at > 0 && wanted != "" && endsBefore(wanted, other) {
			continue // what stands behind the one that is to show is somebody else's
		}
		if err := c.associate(ctx, object, &said.Unset, id, other); err != nil && !fault.Is(err, fault.Gone) {
			return err
		}
	}
	return nil
}

// endsBefore reports whether one id stands before another.
func endsBefore(one, other string) bool {
	return len(one) < len(other) || len(one) == len(other) && one < other
}

// associate makes or ends one association. Both may be repeated at no harm.
func (c *client) associate(ctx context.Context, object *manifest.Object, request *manifest.Request, id, other string) error {
	values := valuesOf(object)
	values["id"], values["value"] = id, other
	call, err := c.call(request, values, record.Ref{Side: c.cfg.Side, Object: object.Name, ID: id}.String())
	if err != nil {
		return err
	}
	_, err = c.api.Do(ctx, call)
	return err
}
