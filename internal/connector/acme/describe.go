package acme

import (
	"context"
	"net/url"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
)

var _ connector.Describer = (*client)(nil)

// Describe asks GET /fields.
func (c *client) Describe(ctx context.Context, name string) ([]connector.FieldShape, error) {
	object, err := c.object(name)
	if err != nil {
		return nil, err
	}
	found, _, _, err := c.items(ctx, get("/fields", url.Values{"object": {object.Name}}, "fields of "+object.Name))
	if err != nil {
		return nil, err
	}
	var shapes []connector.FieldShape
	for _, item := range found {
		described, _ := item.(map[string]any)
		name, _ := described["name"].(string)
		if name == "" {
			continue
		}
		shape := connector.FieldShape{Name: name}
		shape.Type, _ = described["type"].(string)
		shape.Required, _ = described["required"].(bool)
		shape.ReadOnly, _ = described["read_only"].(bool)
		values, _ := described["enum"].([]any)
		for _, value := range values {
			if text, ok := transport.ParseID(value); ok {
				shape.Values = append(shape.Values, text)
			}
		}
		shapes = append(shapes, shape)
	}
	return shapes, nil
}
