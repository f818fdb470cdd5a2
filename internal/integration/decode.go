package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/accord-sync/accord/internal/document"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/mapping"
)

// decoder reads the nodes of a file into settings, collects every problem and
// every placeholder on the way, and goes on after a mistake.
type decoder struct {
	source   *source
	pattern  *regexp.Regexp
	problems []fault.Detail
	uses     []Variable
	secrets  []string
	// resolve is true when placeholders are to be replaced by values.
	resolve bool
	// variables and secretValues are what Resolve was given.
	variables, secretValues map[string]string
	// pending is true once a setting had no value yet.
	pending bool
}

// value is one node with its path in the file.
type value struct {
	d    *decoder
	node ast.Node
	path string
}

// object is a mapping being read: keys that nobody takes are unknown.
type object struct {
	value
	keys    []string
	members map[string]value
	keyAt   map[string]ast.Node
	known   []string
}

// problem reports a mistake where the value begins. Masks never reach a message.
func (d *decoder) problem(v value, format string, args ...any) {
	line, column := startOf(v.node)
	d.problemAt(v, line, column, format, args...)
}

// problemAt reports a mistake at a position of the file. Beyond some, more are of no use.
func (d *decoder) problemAt(v value, line, column int, format string, args ...any) {
	if d.full() {
		return
	}
	d.problems = append(d.problems, fault.Detail{
		Path: v.path, Line: line, Column: column, Message: unmask(fmt.Sprintf(format, args...))})
}

func (d *decoder) full() bool { return len(d.problems) >= 10*maxProblems }

// startOf is where a node begins; 0, 0 for none.
func startOf(node ast.Node) (line, column int) { return document.Start(node) }

// sorted returns the problems in the order of the file.
func (d *decoder) sorted() []fault.Detail {
	sort.SliceStable(d.problems, func(i, j int) bool {
		a, b := d.problems[i], d.problems[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	return slices.Compact(d.problems)
}

// given reports whether the key was there at all.
func (v value) given() bool { return v.node != nil }

// object reads a mapping; nil after a problem, or when v is absent.
func (v value) object() *object {
	if !v.given() {
		return nil
	}
	var entries []*ast.MappingValueNode
	switch node := v.node.(type) {
	case *ast.MappingNode:
		entries = node.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{node}
	default:
		v.d.problem(v, "must be an object of keys and values, not %s", kindOf(v.node))
		return nil
	}
	if len(entries) > maxMembers {
		v.d.problem(v, "has more than %d keys", maxMembers)
		return nil
	}
	read := &object{value: v, members: map[string]value{}, keyAt: map[string]ast.Node{}}
	for _, entry := range entries {
		key := unmask(entry.Key.GetToken().Value)
		member := value{d: v.d, node: entry.Value, path: join(v.path, key)}
		at := value{d: v.d, node: entry.Key, path: member.path}
		if strings.Contains(key, "${") {
			v.d.problem(at, "a placeholder cannot be a key")
		}
		if _, again := read.members[key]; again {
			v.d.problem(at, "the key appears twice")
			continue
		}
		read.keys = append(read.keys, key)
		read.members[key], read.keyAt[key] = member, entry.Key
	}
	return read
}

// take returns the member of a known key; absent members are values without node.
func (o *object) take(key string) value {
	o.known = append(o.known, key)
	member, ok := o.members[key]
	if !ok || member.node.Type() == ast.NullType {
		return value{d: o.d, path: join(o.path, key)}
	}
	return member
}

// need is take for a key that must be there.
func (o *object) need(key string) value {
	member := o.take(key)
	if !member.given() {
		o.d.problem(o.value, "the key %s is missing", key)
	}
	return member
}

// key returns the key itself, for problems with a name.
func (o *object) key(name string) value {
	return value{d: o.d, node: o.keyAt[name], path: join(o.path, name)}
}

// done reports the keys that nobody took.
func (o *object) done() {
	for _, key := range o.keys {
		if !slices.Contains(o.known, key) {
			o.d.problem(o.key(key), "unknown key %s: known here are %s", key, strings.Join(o.known, ", "))
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindOf(node ast.Node) string { return document.KindOf(node) }

// literal returns a scalar's own text as it stands in the file.
func (v value) literal() (string, bool) {
	if !v.given() {
		return "", false
	}
	switch node := v.node.(type) {
	case *ast.LiteralNode:
		return unmask(node.Value.Value), true
	case *ast.StringNode:
		return unmask(node.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return strings.TrimSpace(node.GetToken().Value), true
	}
	return "", false
}

// scalar returns the text with placeholders replaced. ok is false after a
// problem, when absent, and when a placeholder has no value yet.
func (v value) scalar() (string, bool) {
	text, ok := v.literal()
	if !ok {
		if v.given() {
			v.d.problem(v, "must be a single value, not %s", kindOf(v.node))
		}
		return "", false
	}
	return v.d.expand(v, text)
}

// text reads a text setting. stored keeps its placeholders until Resolve; now is
// what can be checked already, if ok.
func (v value) text() (stored, now string, ok bool) {
	if v.given() && kindOf(v.node) != "text" {
		advice := ""
		if _, single := v.literal(); single {
			advice = ": put it in quotes"
		}
		v.d.problem(v, "must be text, not %s%s", kindOf(v.node), advice)
		return "", "", false
	}
	now, ok = v.scalar()
	if v.d.resolve || !v.given() {
		return now, now, ok
	}
	stored, _ = v.literal()
	return stored, now, ok
}

// word reads a text setting that must not be empty and is used as it is now.
func (v value) word(what string, valid func(string) bool) string {
	_, now, ok := v.text()
	if !ok {
		return ""
	}
	if !valid(now) {
		v.d.problem(v, "%q is not %s", now, what)
		return ""
	}
	return now
}

// choice reads one of a few words; absent or unknown gives the first.
func (v value) choice(options ...string) string {
	text, ok := v.scalar()
	if !ok {
		return options[0]
	}
	if !slices.Contains(options, text) {
		v.d.problem(v, "%q is not one of %s", text, strings.Join(options, ", "))
		return options[0]
	}
	return text
}

// duration reads "30s", "2m", "24h" or "7d"; absent gives fallback.
func (v value) duration(fallback, least time.Duration) time.Duration {
	text, ok := v.scalar()
	if !ok {
		return fallback
	}
	read, err := parseDuration(text)
	switch {
	case err != nil:
		v.d.problem(v, "%q is not a duration: write 30s, 2m, 24h or 7d", text)
	case read < least:
		v.d.problem(v, "%s is too short: the least is %s", text, least)
	case read > maxDuration:
		v.d.problem(v, "%s is too long: the most is 366d", text)
	default:
		return read
	}
	return fallback
}

// maxDuration is the longest setting, a leap year.
const maxDuration = 366 * 24 * time.Hour

func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		count, err := strconv.Atoi(days)
		if err != nil || count < 0 || count > 10_000 {
			return 0, errors.New("not a number of days")
		}
		return time.Duration(count) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// integer reads a whole number; absent gives fallback.
func (v value) integer(fallback, least, most int) int {
	text, ok := v.scalar()
	if !ok {
		return fallback
	}
	read, err := strconv.Atoi(text)
	if err != nil || read < least || read > most {
		v.d.problem(v, "%q is not a whole number from %d to %d", text, least, most)
		return fallback
	}
	return read
}

// list returns the elements of a list; nil after a problem or when absent.
func (v value) list() []value {
	if !v.given() {
		return nil
	}
	sequence, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.d.problem(v, "must be a list, not %s", kindOf(v.node))
		return nil
	}
	if len(sequence.Values) > maxMembers {
		v.d.problem(v, "has more than %d elements", maxMembers)
		return nil
	}
	elements := make([]value, 0, len(sequence.Values))
	for i, node := range sequence.Values {
		elements = append(elements, value{d: v.d, node: node, path: fmt.Sprintf("%s[%d]", v.path, i)})
	}
	return elements
}

// words reads a list of different texts.
func (v value) words(what string, valid func(string) bool) []string {
	var read []string
	for _, element := range v.list() {
		word := element.word(what, valid)
		if word == "" {
			continue
		}
		if slices.Contains(read, word) {
			v.d.problem(element, "%q appears twice", word)
			continue
		}
		read = append(read, word)
	}
	return read
}

// expression reads an expression and checks it where it stands.
func (v value) expression(check func(string) error) string {
	_, now, ok := v.text()
	if !ok {
		return ""
	}
	if err := check(now); err != nil && !v.d.full() {
		var located *mapping.ExpressionError
		literal, _ := v.literal()
		if errors.As(err, &located) && literal == now {
			line, column := v.d.source.position(v.node, located.Line, located.Column)
			v.d.problemAt(v, line, column, "bad expression: %s", located.Message)
		} else {
			v.d.problem(v, "bad expression: %v", err)
		}
	}
	return now
}

// typed reads a word of `values`: text, a number or a boolean.
func (v value) typed() any {
	if v.node == nil || v.node.Type() == ast.NullType {
		v.d.problem(v, "a value cannot be empty")
		return nil
	}
	text, ok := v.scalar()
	if !ok {
		return nil
	}
	switch node := v.node.(type) {
	case *ast.BoolNode:
		return node.Value
	case *ast.IntegerNode, *ast.FloatNode:
		if json.Valid([]byte(text)) {
			return json.Number(text)
		}
	}
	return text
}
