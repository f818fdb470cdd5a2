package manifest

import (
	"encoding/json"

	"github.com/goccy/go-yaml/ast"

	"github.com/accord-sync/accord/internal/document"
)

// tree reads a value of any shape, numbers as json.Number.
func (d *decoder) tree(node ast.Node, path string) any {
	d.at[path] = node
	switch typed := node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		entries, _ := d.entries(node, path)
		object := map[string]any{}
		for key, entry := range entries {
			object[key] = d.tree(entry.Value, join(path, key))
		}
		return object
	case *ast.SequenceNode:
		list := make([]any, len(typed.Values))
		for i, element := range typed.Values {
			list[i] = d.tree(element, path)
		}
		return list
	case *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return typed.Value
	case *ast.IntegerNode, *ast.FloatNode:
		text, _ := d.scalar(node, path)
		if json.Valid([]byte(text)) {
			return json.Number(text)
		}
		d.problem(node, path, "%q is not a number as JSON writes it", text)
		return nil
	case *ast.StringNode, *ast.LiteralNode:
		text, _ := d.scalar(node, path)
		return text
	}
	d.problem(node, path, "cannot be %s", document.KindOf(node))
	return nil
}
