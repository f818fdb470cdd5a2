package integration

import (
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// Parse reads and checks a file of at most MaxSize bytes, YAML or a JSON object,
// and applies the defaults. Placeholders stay: call Resolve before use. Errors
// are a fault.Usage with every mistake and its position in Details, or a
// fault.TooLarge.
func Parse(src []byte) (*Integration, error) {
	text, err := newSource(src)
	if err != nil {
		return nil, err
	}
	return read(&decoder{source: text})
}

// Resolve returns the integration with every placeholder replaced by its variable
// or secret, all settings checked again. Values that the file does not use are
// ignored. The error is a fault.Usage that names what has no value or a wrong one;
// it never quotes a secret.
func (i *Integration) Resolve(variables, secrets map[string]string) (*Integration, error) {
	return read(&decoder{source: i.source, resolve: true, variables: variables, secretValues: secrets})
}

// Resolved reports whether the integration came from Resolve.
func (i *Integration) Resolved() bool { return i.resolved }

func read(d *decoder) (*Integration, error) {
	d.pattern = placeholderPattern()
	root, err := d.source.root()
	if err != nil {
		return nil, err
	}
	i := &Integration{source: d.source, resolved: d.resolve}
	if top := (value{d: d, node: root}).object(); top != nil {
		i.Name = top.need("integration").word("a name: letters, digits, - _ .", isName)
		if systems := top.need("systems").object(); systems != nil {
			i.Systems.Left = d.system(systems.need("left"))
			i.Systems.Right = d.system(systems.need("right"))
			systems.done()
		}
		i.Check = top.take("check").check()
		rules := top.take("rules")
		if rules.given() {
			d.streams(i, top.take("streams").object())
		} else {
			d.streams(i, top.need("streams").object())
		}
		d.touchPoints(i, top.take("touch_points"))
		d.rules(i, rules)
		top.done()
	}
	if len(d.problems) == 0 && !d.pending {
		d.compiles(i)
	}
	if len(d.problems) > 0 {
		return nil, problemsError(d.sorted())
	}
	i.uses, i.secrets = d.uses, d.secrets
	return i, nil
}

// compiles is the last word: what passed every check above must compile.
func (d *decoder) compiles(i *Integration) {
	for n := range i.Streams {
		if _, err := mapping.NewStream(i.Streams[n].spec()); err != nil {
			d.problem(value{d: d, path: "streams." + i.Streams[n].Name}, "%v", err)
		}
	}
}

func (d *decoder) streams(i *Integration, all *object) {
	if all == nil {
		return
	}
	if len(all.keys) == 0 {
		d.problem(all.value, "at least one stream is needed")
	}
	for _, name := range all.keys {
		if !isName(name) {
			d.problem(all.key(name), "%q is not a name: letters, digits, - _ .", name)
		}
		if strings.HasPrefix(name, RulePrefix) {
			d.problem(all.key(name), "names that begin with %s are those of rules", RulePrefix)
		}
		given := all.take(name)
		if !given.given() {
			d.problem(all.key(name), "the stream is empty")
			continue
		}
		if stream, ok := d.stream(name, given); ok {
			i.Streams = append(i.Streams, stream)
		}
	}
	for _, name := range all.keys {
		d.references(all, name)
	}
}

// references checks that `as: {ref: …}` names a stream of this file.
func (d *decoder) references(all *object, name string) {
	stream, ok := all.members[name]
	if !ok {
		return
	}
	quiet := &decoder{source: d.source, pattern: d.pattern, resolve: d.resolve, variables: d.variables, secretValues: d.secretValues}
	at := func(v value) value { return value{d: quiet, node: v.node, path: v.path} }
	body := at(stream).object()
	if body == nil {
		return
	}
	fields := body.take("fields").object()
	if fields == nil {
		return
	}
	for _, key := range fields.keys {
		field := fields.take(key)
		if kindOfNode(field) != "an object" {
			continue
		}
		as := field.object().take("as")
		if kindOfNode(as) != "an object" {
			continue
		}
		ref := as.object().take("ref")
		target, found := ref.scalar()
		if found && !slices.Contains(all.keys, target) {
			d.problem(ref, "there is no stream %s: the streams are %s", target, strings.Join(all.keys, ", "))
		}
	}
}

func kindOfNode(v value) string {
	if !v.given() {
		return ""
	}
	return kindOf(v.node)
}

// isName is the rule for the names of integrations, streams, objects and fields:
// they become part of workflow ids and addresses.
func isName(text string) bool {
	if text == "" || len(text) > 64 || strings.Trim(text, ".") == "" {
		return false
	}
	for _, r := range text {
		letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
		if !letter && !strings.ContainsRune("-_.", r) {
			return false
		}
	}
	return true
}

// isPath is the rule for dotted paths: no empty step, nothing unprintable.
func isPath(text string) bool {
	if text == "" || len(text) > 200 {
		return false
	}
	for _, step := range strings.Split(text, ".") {
		if step == "" || strings.TrimSpace(step) != step {
			return false
		}
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// overlap reports whether one path lies on or inside the other.
func overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}

// sideOf reads left or right.
func sideOf(v value) record.Side { return record.Side(v.choice("left", "right")) }
