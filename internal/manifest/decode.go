package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/accord-sync/accord/internal/document"
	"github.com/accord-sync/accord/internal/fault"
)

// maxProblems is how many mistakes are told, maxMembers how many keys or
// elements one object or list may have.
const (
	maxProblems = 100
	maxMembers  = 1000
)

// Parse reads and checks a manifest of at most document.MaxSize bytes. Errors are
// a fault.Usage with every mistake and its position in Details, or fault.TooLarge.
func Parse(text []byte) (*Manifest, error) {
	if len(text) > document.MaxSize {
		return nil, fault.New(fault.TooLarge, "the manifest is larger than %d bytes", document.MaxSize)
	}
	clean, problem := document.Clean(text, nil)
	if problem == nil {
		var root ast.Node
		if root, problem = document.Root(clean); problem == nil {
			read, problems := Decode(root, "")
			if len(problems) == 0 {
				return read, nil
			}
			return nil, mistakes(problems)
		}
	}
	return nil, mistakes([]fault.Detail{{Line: problem.Line, Column: problem.Column, Message: problem.Message}})
}

func mistakes(problems []fault.Detail) error {
	failure := fault.New(fault.Usage, "the manifest has mistakes: %d", len(problems))
	failure.Details = problems
	return failure
}

// Decode reads and checks the manifest that a node of a file holds. path is where
// that node stands; positions are those of the file. A manifest with problems is nil.
func Decode(node ast.Node, path string) (*Manifest, []fault.Detail) {
	d := &decoder{root: path, at: map[string]ast.Node{}}
	read := &Manifest{}
	d.into(reflect.ValueOf(read).Elem(), node, path)
	if len(d.problems) == 0 {
		read.inherit()
		d.validate(read)
	}
	if len(d.problems) == 0 {
		return read, nil
	}
	sort.SliceStable(d.problems, func(i, j int) bool {
		a, b := d.problems[i], d.problems[j]
		return a.Line < b.Line || (a.Line == b.Line && a.Column < b.Column)
	})
	return nil, slices.Compact(d.problems)
}

// decoder fills the types of this package from nodes, by their yaml tags. It
// collects every mistake and goes on after one.
type decoder struct {
	root     string
	problems []fault.Detail
	// at is where each value stands, by path.
	at map[string]ast.Node
}

func (d *decoder) problem(node ast.Node, path, format string, args ...any) {
	if len(d.problems) >= maxProblems {
		return
	}
	line, column := document.Start(node)
	d.problems = append(d.problems, fault.Detail{Path: path, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

// wrong reports a mistake at the value of a path, or at the nearest part around it.
func (d *decoder) wrong(path, format string, args ...any) {
	near := path
	for {
		if node, ok := d.at[near]; ok {
			d.problem(node, path, format, args...)
			return
		}
		cut := strings.LastIndexByte(near, '.')
		if cut < 0 || len(near) <= len(d.root) {
			break
		}
		near = near[:cut]
	}
	d.problem(d.at[d.root], path, format, args...)
}

// join makes the path of a member.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (d *decoder) into(target reflect.Value, node ast.Node, path string) {
	d.at[path] = node
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	switch target.Kind() {
	case reflect.Struct:
		d.structure(target, node, path)
	case reflect.Map:
		d.mapping(target, node, path)
	case reflect.Slice:
		d.slice(target, node, path)
	case reflect.Interface:
		if value := d.tree(node, path); value != nil {
			target.Set(reflect.ValueOf(value))
		}
	default:
		if text, ok := d.scalar(node, path); ok {
			if expected := set(target, text); expected != "" {
				d.problem(node, path, "%q is not %s", text, expected)
			}
		}
	}
}

// set puts a text into a scalar; it answers what was expected instead.
func set(target reflect.Value, text string) string {
	switch target.Interface().(type) {
	case string:
		target.SetString(text)
	case bool:
		value, err := strconv.ParseBool(text)
		if err != nil || (text != "true" && text != "false") {
			return "true or false"
		}
		target.SetBool(value)
	case int:
		value, err := strconv.Atoi(text)
		if err != nil || value < 0 || value > 1_000_000 {
			return "a whole number up to 1000000"
		}
		target.SetInt(int64(value))
	case time.Duration:
		value, err := time.ParseDuration(text)
		if err != nil || value < 0 || value > 24*time.Hour {
			return "a duration up to 24h: write 30s or 5m"
		}
		target.SetInt(int64(value))
	}
	return ""
}

// member is one field of a struct under its key.
type member struct {
	key, fallback string
	need          bool
	field         reflect.Value
}

// members lists what a struct can hold, inlined structs included.
func members(target reflect.Value) []member {
	var all []member
	for i := range target.NumField() {
		tag := target.Type().Field(i).Tag
		key, option, _ := strings.Cut(tag.Get("yaml"), ",")
		switch {
		case key == "-":
		case option == "inline":
			all = append(all, members(target.Field(i))...)
		default:
			all = append(all, member{key: key, fallback: tag.Get("default"), need: option == "need", field: target.Field(i)})
		}
	}
	return all
}

func (d *decoder) structure(target reflect.Value, node ast.Node, path string) {
	entries, ok := d.entries(node, path)
	if !ok {
		return
	}
	known := []string{}
	for _, one := range members(target) {
		known = append(known, one.key)
		entry, given := entries[one.key]
		switch {
		case given && entry.Value.Type() != ast.NullType:
			d.into(one.field, entry.Value, join(path, one.key))
			continue
		case one.need:
			d.problem(node, path, "the key %s is missing", one.key)
		}
		if one.field.Kind() == reflect.Struct {
			defaults(one.field)
		} else {
			fallback(one)
		}
	}
	for key, entry := range entries {
		if !slices.Contains(known, key) {
			d.problem(entry.Key, join(path, key), "unknown key %s: known here are %s", key, strings.Join(known, ", "))
		}
	}
}

// defaults fills a part that was left out.
func defaults(target reflect.Value) {
	for _, one := range members(target) {
		if one.field.Kind() == reflect.Struct {
			defaults(one.field)
		} else {
			fallback(one)
		}
	}
}

func fallback(one member) {
	if one.fallback == "" {
		return
	}
	if one.field.Kind() == reflect.Slice {
		one.field.Set(reflect.ValueOf(strings.Split(one.fallback, ",")))
		return
	}
	set(one.field, one.fallback)
}

// entries reads the keys of an object, each once.
func (d *decoder) entries(node ast.Node, path string) (map[string]*ast.MappingValueNode, bool) {
	var values []*ast.MappingValueNode
	switch typed := node.(type) {
	case *ast.MappingNode:
		values = typed.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{typed}
	default:
		d.problem(node, path, "must be an object of keys and values, not %s", document.KindOf(node))
		return nil, false
	}
	if len(values) > maxMembers {
		d.problem(node, path, "has more than %d keys", maxMembers)
		return nil, false
	}
	entries := map[string]*ast.MappingValueNode{}
	for _, entry := range values {
		key := entry.Key.GetToken().Value
		if _, again := entries[key]; again {
			d.problem(entry.Key, join(path, key), "the key appears twice")
			continue
		}
		d.placeholder(entry.Key, path, key)
		entries[key] = entry
	}
	return entries, true
}

func (d *decoder) mapping(target reflect.Value, node ast.Node, path string) {
	entries, ok := d.entries(node, path)
	if !ok {
		return
	}
	target.Set(reflect.MakeMap(target.Type()))
	for key, entry := range entries {
		value := reflect.New(target.Type().Elem()).Elem()
		if entry.Value.Type() == ast.NullType && value.Kind() == reflect.Pointer {
			value.Set(reflect.New(value.Type().Elem()))
			d.at[join(path, key)] = entry.Key
		} else {
			d.into(value, entry.Value, join(path, key))
		}
		target.SetMapIndex(reflect.ValueOf(key), value)
	}
}

func (d *decoder) slice(target reflect.Value, node ast.Node, path string) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok && target.Type().Elem().Kind() == reflect.String && document.KindOf(node) == "text" {
		text, good := d.scalar(node, path) // one text stands for a list of it
		if good {
			target.Set(reflect.ValueOf([]string{text}))
		}
		return
	}
	if !ok {
		d.problem(node, path, "must be a list, not %s", document.KindOf(node))
		return
	}
	if len(sequence.Values) > maxMembers {
		d.problem(node, path, "has more than %d elements", maxMembers)
		return
	}
	target.Set(reflect.MakeSlice(target.Type(), len(sequence.Values), len(sequence.Values)))
	for i, element := range sequence.Values {
		d.into(target.Index(i), element, fmt.Sprintf("%s[%d]", path, i))
	}
}

// scalar reads the text of a single value.
func (d *decoder) scalar(node ast.Node, path string) (string, bool) {
	var text string
	switch typed := node.(type) {
	case *ast.LiteralNode:
		text = typed.Value.Value
	case *ast.StringNode:
		text = typed.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text = strings.TrimSpace(typed.GetToken().Value)
	default:
		d.problem(node, path, "must be a single value, not %s", document.KindOf(node))
		return "", false
	}
	return text, d.placeholder(node, path, text)
}

// placeholder refuses the variables and secrets of integrations: a manifest is
// the same for everybody. Inside an integration their braces are masked, with
// characters of Unicode's private use area.
func (d *decoder) placeholder(node ast.Node, path, text string) bool {
	for i, r := range text {
		if (r >= '\ue000' && r <= '\uf8ff') || (r == '{' && i > 0 && text[i-1] == '$') {
			d.problem(node, path, "a manifest holds no variables or secrets: put what differs between customers into the system's own settings")
			return false
		}
	}
	return true
}
