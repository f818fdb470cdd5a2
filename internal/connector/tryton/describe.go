package tryton

import (
	"context"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
)

// numberedBy ends the name of the flag beside a field that Tryton numbers by itself: a
// party's code_readonly is set by default where a sequence of parties is configured.
const numberedBy = "_readonly"

var _ connector.Describer = (*client)(nil)

// Describe asks fields_get for the fields of a collection, and default_get for those that
// Tryton fills in by itself: they need not be sent. A party's contact mechanisms and
// identifiers are there where the party has such rows at all. Fields that this connector
// does not speak are part of the answer only where a new record must hold them.
func (c *client) Describe(ctx context.Context, name string) ([]connector.FieldShape, error) {
	o, err := c.object(name)
	if err != nil {
		return nil, err
	}
	asked := procedure{model: o.model, method: "fields_get", subject: "fields of " + o.Name}
	held, err := c.dictionary(ctx, asked, "a list of fields")
	if err != nil {
		return nil, err
	}
	filled, err := c.filled(ctx, o, held)
	if err != nil {
		return nil, err
	}
	shapes := []connector.FieldShape{{Name: "id", ReadOnly: true}, {Name: "created_at", ReadOnly: true}, {Name: "updated_at", ReadOnly: true}}
	for _, known := range o.fields {
		if said, there := held[known.path].(map[string]any); there {
			shape := shapeOf(known.path, said, filled)
			// A state is moved by buttons.
			shape.ReadOnly = known.path != statePath && (known.readOnly || shape.ReadOnly)
			shapes = append(shapes, shape)
		}
	}
	for path, said := range held {
		said, isField := said.(map[string]any)
		if _, known := o.field(path); known || !isField {
			continue
		}
		if shape := shapeOf(path, said, filled); shape.Required && !shape.ReadOnly {
			shapes = append(shapes, shape)
		}
	}
	if o.children {
		shapes = append(shapes, childShapes(held)...)
	}
	slices.SortFunc(shapes, func(a, b connector.FieldShape) int { return strings.Compare(a.Name, b.Name) })
	return shapes, nil
}

// filled are the required fields that Tryton gives a value of its own.
func (c *client) filled(ctx context.Context, o object, held map[string]any) (map[string]any, error) {
	names := []string{}
	for name, said := range held {
		if said, ok := said.(map[string]any); ok && said["required"] == true {
			names = append(names, name)
			if _, numbered := held[name+numberedBy]; numbered {
				names = append(names, name+numberedBy)
			}
		}
	}
	slices.Sort(names)
	asked := procedure{model: o.model, method: "default_get", params: []any{names, false}, subject: "fields of " + o.Name}
	if !o.children {
		var err error
		if asked.context, err = c.working(ctx); err != nil { // as creates do
			return nil, err
		}
	}
	return c.dictionary(ctx, asked, "the usual values of fields")
}

// shapeOf reads what fields_get says of one field.
func shapeOf(path string, said, filled map[string]any) connector.FieldShape {
	shape := connector.FieldShape{Name: path}
	shape.Type, _ = said["type"].(string)
	required, _ := said["required"].(bool)
	shape.Required = required && filled[path] == nil && filled[path+numberedBy] != true
	shape.ReadOnly, _ = said["readonly"].(bool)
	// A selection whose values only the server can tell is the name of a method here.
	selection, _ := said["selection"].([]any)
	for _, pair := range selection {
		pair, _ := pair.([]any)
		if len(pair) == 0 {
			continue
		}
		if value, isText := pair[0].(string); isText && value != "" {
			shape.Values = append(shape.Values, value)
		}
	}
	return shape
}

// childShapes are the fields that the connector shows of a party's rows.
func childShapes(held map[string]any) []connector.FieldShape {
	var shapes []connector.FieldShape
	if held[mechanisms] != nil {
		shapes = append(shapes, connector.FieldShape{Name: mechanisms, ReadOnly: true})
		for _, kind := range mechanismTypes() {
			shapes = append(shapes, connector.FieldShape{Name: kind, Type: "char"})
		}
	}
	if held[identifiers] != nil {
		shapes = append(shapes, connector.FieldShape{Name: identifiers}, connector.FieldShape{Name: identifierRows, ReadOnly: true})
	}
	if held[categories] != nil {
		shapes = append(shapes, connector.FieldShape{Name: categories, ReadOnly: true})
	}
	return shapes
}
