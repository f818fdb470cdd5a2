package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// fieldMark goes before the name of a record's field inside a compiled expression.
// Without it a field named like a function (type, date, count) would be that function.
const fieldMark = "\u2063"

// addName is the function that stands for +, shortSuffix ends the functions that
// run inside loops; neither can be written in an expression.
const addName, shortSuffix = "\u2063+", "\u2063short"

// rules walks an expression, collects the paths it reads and refuses what could
// cost more than its length lets expect.
type rules struct {
	paths   []string
	loops   int
	at      file.Location
	problem string
}

// Visit implements ast.Visitor. Children come before their parent.
func (r *rules) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			r.refuse(n, "$env is not available")
			return
		}
		if name, done := strings.CutPrefix(n.Value, fieldMark); !done {
			r.paths = append(r.paths, name)
			n.Value = fieldMark + name
		}
	case *ast.MemberNode:
		if path, ok := memberPath(n); ok {
			r.extend(path)
		}
	case *ast.CallNode:
		// The callee of a function is no field.
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			callee.Value = strings.TrimPrefix(callee.Value, fieldMark)
			r.drop(callee.Value)
			if callee.Value != "replace" && callee.Value != "join" {
				r.refuse(callee, "there is no function "+callee.Value)
			}
		}
	case *ast.BuiltinNode:
		// expr's parser knows these two even when they are switched off.
		if n.Name == "reduce" || n.Name == "groupBy" {
			r.refuse(n, "there is no function "+n.Name)
		}
	case *ast.VariableDeclaratorNode:
		r.refuse(n, "let is not available")
	case *ast.BinaryNode:
		switch n.Operator {
		case "..":
			r.refuse(n, "ranges are not available")
		case "+":
			ast.Patch(node, &ast.CallNode{Callee: &ast.IdentifierNode{Value: addName}, Arguments: []ast.Node{n.Left, n.Right}})
		}
	case *ast.PredicateNode:
		r.loop(n)
	}
}

func (r *rules) loop(n *ast.PredicateNode) {
	if r.loops++; r.loops > maxLoops {
		r.refuse(n, fmt.Sprintf("more than %d loops over lists", maxLoops))
	}
	inner := &loopBody{}
	body := n.Node
	ast.Walk(&body, inner)
	switch {
	case inner.nested:
		r.refuse(n, "a loop inside a loop is not available")
	case inner.builds:
		r.refuse(n, "lists and objects cannot be made inside a loop")
	case inner.nodes > maxLoopNodes:
		r.refuse(n, "the body of a loop is too long")
	}
}

func (r *rules) refuse(node ast.Node, problem string) {
	if r.problem == "" {
		r.problem, r.at = problem, node.Location()
	}
}

// extend replaces the path "a" collected for the inner node by "a.b".
func (r *rules) extend(path string) {
	parent := path[:strings.LastIndex(path, ".")]
	if last := len(r.paths) - 1; last >= 0 && r.paths[last] == parent {
		r.paths[last] = path
	}
}

func (r *rules) drop(name string) {
	for i, path := range r.paths {
		if path == name {
			r.paths = slices.Delete(r.paths, i, i+1)
			return
		}
	}
}

// memberPath returns "a.b.c" for a chain of names.
func memberPath(n *ast.MemberNode) (string, bool) {
	property, ok := n.Property.(*ast.StringNode)
	if !ok {
		return "", false
	}
	switch inner := n.Node.(type) {
	case *ast.IdentifierNode:
		return strings.TrimPrefix(inner.Value, fieldMark) + "." + property.Value, true
	case *ast.MemberNode:
		if path, ok := memberPath(inner); ok {
			return path + "." + property.Value, true
		}
	}
	return "", false
}

// loopBody measures what runs once per element.
type loopBody struct {
	nodes          int
	nested, builds bool
}

// Visit implements ast.Visitor.
func (b *loopBody) Visit(node *ast.Node) {
	b.nodes++
	switch n := (*node).(type) {
	case *ast.PredicateNode:
		b.nested = true
	case *ast.ArrayNode, *ast.MapNode:
		b.builds = true
	case *ast.IdentifierNode:
		// Inside a loop the functions that make text are their short versions.
		if n.Value == addName || n.Value == "replace" || n.Value == "join" {
			n.Value += shortSuffix
		}
	}
}
