package integration

import (
	"slices"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// upsert reads the record that a rule makes on the other side.
func (d *decoder) upsert(rule *Rule, v value) (*Upsert, bool) {
	body := v.object()
	if body == nil {
		return nil, false
	}
	read := &Upsert{Stream: rule.upsertName(), Object: body.need("object").word("the name of an object", isName)}
	key := body.take("key")
	read.Key = key.words("a path", isPath)
	if marker := body.take("marker"); marker.given() {
		read.Marker = marker.word("a path", isPath)
	}
	fields := body.need("fields")
	if all := fields.object(); all != nil {
		for n, path := range all.keys {
			d.upsertPath(read, all, n)
			given := all.take(path)
			field := UpsertField{Path: path}
			switch {
			case !given.given():
				d.problem(all.key(path), "the expression is missing")
			case kindOf(given.node) == "an object":
				inner := given.object()
				field.Expression = inner.need("value").expression(mapping.CheckRead)
				field.As = inner.take("as").kind()
				inner.done()
			default:
				field.Expression = given.expression(mapping.CheckRead)
			}
			read.Fields = append(read.Fields, field)
		}
		if len(all.keys) == 0 {
			d.problem(fields, "at least one field is needed")
		}
	}
	for _, element := range key.list() {
		if name, ok := element.literal(); ok && isPath(name) && !slices.ContainsFunc(read.Fields, func(f UpsertField) bool { return f.Path == name }) {
			d.problem(element, "there is no field %s under fields", name)
		}
	}
	body.done()
	return read, true
}

// upsertPath checks where a field is written.
func (d *decoder) upsertPath(read *Upsert, all *object, n int) {
	path := all.keys[n]
	if !isPath(path) {
		d.problem(all.key(path), "%q is not a dotted path", path)
	}
	if read.Marker != "" && overlap(path, read.Marker) {
		d.problem(all.key(path), "%s is written by the marker too", path)
	}
	for _, earlier := range all.keys[:n] {
		if overlap(path, earlier) {
			d.problem(all.key(path), "%s and %s are written to the same place", path, earlier)
		}
	}
}

// upsertName names the stream of the next upsert of a rule.
func (r *Rule) upsertName() string {
	n := 1
	for _, effect := range r.Effects {
		if effect.Upsert != nil {
			n++
		}
	}
	name := r.StreamName() + ".upsert"
	if n > 1 {
		name += strconv.Itoa(n)
	}
	return name
}

// streams are what a rule is made into: one that watches, and one for each record
// that is made.
func (r *Rule) streams() []Stream {
	all := []Stream{r.watch()}
	for _, effect := range r.Effects {
		if effect.Upsert != nil {
			all = append(all, r.follow(effect.Upsert))
		}
	}
	return all
}

func (r *Rule) watch() Stream {
	end := End{Object: r.Object, Where: r.If, LookUps: r.LookUps}
	stream := r.base(r.StreamName())
	stream.Mode = ModeRule
	stream.setEnd(r.Side, end)
	for _, path := range r.mentions() {
		field := Field{Name: path, Direction: stream.Direction}
		field.setPlace(r.Side, Place{Path: path})
		stream.Fields = append(stream.Fields, field)
	}
	return stream
}

// follow is the one-way stream of an upsert. It begins for a record when the rule
// has fired for it.
func (r *Rule) follow(upsert *Upsert) Stream {
	stream := r.base(upsert.Stream)
	stream.Match = upsert.Key
	stream.setEnd(r.Side, End{Object: r.Object, LookUps: r.LookUps})
	stream.setEnd(r.Side.Other(), End{Object: upsert.Object})
	if r.Side == record.Left {
		stream.Marker.Right = upsert.Marker
	} else {
		stream.Marker.Left = upsert.Marker
	}
	for _, one := range upsert.Fields {
		field := Field{Name: one.Path, Direction: stream.Direction, As: one.As}
		field.setPlace(r.Side, Place{Read: one.Expression})
		field.setPlace(r.Side.Other(), Place{Path: one.Path})
		stream.Fields = append(stream.Fields, field)
	}
	return stream
}

func (r *Rule) base(name string) Stream {
	none := value{}
	stream := Stream{
		Name: name, Rule: r.Name, Direction: LeftToRight, Collision: CollisionUpsert,
		Conflicts: none.conflicts(nil), Deletes: none.deletes(), Guard: none.guards(), Poll: r.Poll, Compare: none.compare(),
	}
	if r.Side == record.Right {
		stream.Direction = RightToLeft
	}
	return stream
}

func (s *Stream) setEnd(side record.Side, end End) {
	if side == record.Left {
		s.Left = end
		return
	}
	s.Right = end
}

func (f *Field) setPlace(side record.Side, place Place) {
	if side == record.Left {
		f.Left = place
		return
	}
	f.Right = place
}

// mentions are the paths of the record that the rule reads, none inside another:
// a record in which they stay the same is no news to the rule.
func (r *Rule) mentions() []string {
	known := map[string]bool{}
	for _, ask := range r.Asks {
		known[ask.Name] = true
	}
	var paths []string
	for _, source := range r.Expressions() {
		for _, path := range mapping.Mentions(source) {
			top, _, _ := strings.Cut(path, ".")
			if !known[top] && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	var outer []string
	for _, path := range paths {
		if !slices.ContainsFunc(outer, func(have string) bool { return overlap(have, path) }) {
			outer = append(outer, path)
		}
	}
	return outer
}

// Expressions are all that the rule evaluates.
func (r *Rule) Expressions() []string {
	var all []string
	add := func(sources ...string) {
		for _, source := range sources {
			if source != "" {
				all = append(all, source)
			}
		}
	}
	targets := func(list []Target) {
		for _, one := range list {
			add(one.Expression)
		}
	}
	add(r.If)
	for _, ask := range r.Asks {
		add(ask.ID, ask.FindValue)
		if ask.Web != nil {
			targets(ask.Web.Query)
		}
	}
	for _, effect := range r.Effects {
		switch {
		case effect.Upsert != nil:
			for _, field := range effect.Upsert.Fields {
				add(field.Expression)
			}
		case effect.Call != nil:
			add(effect.Call.Whole)
			targets(effect.Call.Query)
			targets(effect.Call.Body)
		case effect.Publish != nil:
			add(effect.Publish.Whole)
			targets(effect.Publish.Body)
		case effect.Count != nil:
			targets(effect.Count.Labels)
		}
	}
	return all
}
