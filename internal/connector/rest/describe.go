package rest

import (
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

// maxDescribePages bounds the pages of one description.
const maxDescribePages = 50

var _ connector.Describer = (*client)(nil)

// Describe asks the manifest's call for the fields of a collection; none where it has no
// such call. What the manifest itself says of records is part of the answer: their own
// facts, which nobody writes, and their relations.
func (c *client) Describe(ctx context.Context, name string) ([]connector.FieldShape, error) {
	object, err := c.object(name)
	if err != nil || object.Describe == nil {
		return nil, err
	}
	said := object.Describe
	items, whole, err := c.pages(ctx, object, &said.Listing, valuesOf(object), "fields of "+object.Name, maxDescribePages)
	if err != nil {
		return nil, err
	}
	if !whole {
		// Half a description would call the other half missing.
		return nil, fault.New(fault.Usage, "%s lists the fields of %s on more than %d pages; correct describe in its manifest", c.title, object.Name, maxDescribePages)
	}
	var shapes []connector.FieldShape
	for _, item := range items {
		if shape, ok := shapeOf(said, item); ok {
			shapes = append(shapes, shape)
		}
	}
	if len(shapes) == 0 {
		return nil, nil
	}
	add := func(path string, readOnly bool) {
		if path != "" && !slices.ContainsFunc(shapes, func(one connector.FieldShape) bool { return one.Name == path }) {
			shapes = append(shapes, connector.FieldShape{Name: path, ReadOnly: readOnly})
		}
	}
	for _, path := range []string{object.Records.ID, object.Records.Version, object.Records.CreatedAt, object.Records.UpdatedAt, object.Records.UpdatedBy} {
		add(path, true)
	}
	for relation := range object.Relations {
		add(relation, false)
	}
	return shapes, nil
}

// shapeOf reads one row of a description; false without a name.
func shapeOf(said *manifest.Describing, item any) (connector.FieldShape, bool) {
	name := textAt(item, said.Name)
	if name == "" {
		return connector.FieldShape{}, false
	}
	shape := connector.FieldShape{Name: said.Prefix + name, Type: textAt(item, said.Type), Required: isTrue(item, said.Required), ReadOnly: isTrue(item, said.ReadOnly)}
	found, _ := manifest.Look(item, said.Values)
	values, _ := found.([]any)
	for _, value := range values {
		one, _ := manifest.Look(value, said.Value)
		if text, ok := transport.ParseID(one); ok {
			shape.Values = append(shape.Values, text)
		}
	}
	return shape, true
}

// isTrue reads a boolean, or the text of one.
func isTrue(item any, path string) bool {
	found, _ := manifest.Look(item, path)
	return found == true || found == "true"
}
