package tryton

import (
	"context"
	"regexp"
	"sort"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Create makes a record with its children in one transaction, and reads it.
func (c *client) Create(ctx context.Context, name string, fields map[string]any, _ connector.WriteOptions) (record.Record, error) {
	o, err := c.object(name)
	if err != nil {
		return record.Record{}, err
	}
	set := make(map[string]any, len(fields))
	for path, value := range fields {
		if value != nil && value != "" && c.CallOf(name, map[string]any{path: nil}) == callWrite {
			set[path] = value // a new opportunity is a lead, and moved by its buttons afterwards
		}
	}
	values, err := c.values(ctx, o, record.Record{}, set)
	if err != nil {
		return record.Record{}, err
	}
	p := procedure{model: o.model, method: "create", params: []any{[]any{values}}, subject: o.Name, write: true, fieldOf: o.refused(set)}
	if name == opportunities {
		if p.context, err = c.working(ctx); err != nil {
			return record.Record{}, err
		}
	}
	result, reply, err := c.call(ctx, p)
	if err != nil {
		return record.Record{}, err
	}
	made, _ := result.([]any)
	if len(made) != 1 {
		return record.Record{}, p.broken(reply, "the id of the new "+o.Singular)
	}
	id, ok := transport.ParseID(made[0])
	if !ok {
		return record.Record{}, p.broken(reply, "the id of the new "+o.Singular)
	}
	return c.written(ctx, o, id)
}

// Update writes the paths given, and reads the record. With IfMatch, Tryton
// compares the time stamps of the record and of each child that is written
// within the transaction: it refuses when any of them was written meanwhile.
// Children that are not written are not compared, since nothing of theirs can
// get lost.
func (c *client) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	o, err := c.object(current.Ref.Object)
	if err != nil {
		return record.Record{}, err
	}
	if len(fields) == 0 {
		return current, nil
	}
	if c.CallOf(o.Name, fields) == callButton {
		return c.press(ctx, o, current, fields, options)
	}
	id := current.Ref.ID
	number, err := c.number(o, id)
	if err != nil {
		return record.Record{}, err
	}
	if _, known := current.Fields[mechanisms]; o.children && !known {
		// The children's ids are needed to write them.
		if current, _, err = c.read(ctx, o, id); err != nil {
			return record.Record{}, err
		}
	}
	values, err := c.values(ctx, o, current, fields)
	if err != nil {
		return record.Record{}, err
	}
	if len(values) == 0 {
		return c.Get(ctx, o.Name, id)
	}
	p := c.about(o, id, "write", []any{[]int{number}, values})
	p.write, p.fieldOf, p.timestamps = true, o.refused(fields), timestampsOf(options.IfMatch)
	if _, _, err = c.call(ctx, p); fault.Is(err, fault.Gone) {
		return record.Record{}, c.missing(ctx, o, id, err)
	}
	if err != nil {
		return record.Record{}, err
	}
	return c.written(ctx, o, id)
}

// missing tells whether it is the record that is gone, or only a child that was
// deleted between the read and the write: then the record has changed.
func (c *client) missing(ctx context.Context, o object, id string, gone error) error {
	_, _, err := c.read(ctx, o, id)
	if err != nil {
		return err
	}
	coded := *fault.As(gone)
	coded.Code, coded.Message = fault.Stale, "a part of the record is gone from "+title+" meanwhile; it is read again"
	return &coded
}

// written reads what a write left. When that fails the write still happened.
func (c *client) written(ctx context.Context, o object, id string) (record.Record, error) {
	got, _, err := c.read(ctx, o, id)
	if err != nil {
		return record.Record{}, transport.AfterWrite(err, title)
	}
	return got, nil
}

// Delete removes a record with its children. One that other records use stays,
// as fault.Invalid, and so does a party with opportunities, where those are in step too:
// the open ones would lose their party.
func (c *client) Delete(ctx context.Context, name, id string, options connector.WriteOptions) error {
	o, err := c.object(name)
	if err != nil {
		return err
	}
	number, err := c.number(o, id)
	if err != nil {
		return err
	}
	if o.children {
		if err := c.inUse(ctx, record.Ref{Side: c.cfg.Side, Object: o.Name, ID: id}, number); err != nil {
			return err
		}
	}
	p := c.about(o, id, "delete", []any{[]int{number}})
	p.write, p.timestamps = true, timestampsOf(options.IfMatch)
	if _, _, err = c.call(ctx, p); fault.Is(err, fault.Gone) {
		return nil
	}
	return err
}

// values makes what create and write take of fields by path. current names the
// children that are there; zero: none.
func (c *client) values(ctx context.Context, o object, current record.Record, fields map[string]any) (map[string]any, error) {
	values := map[string]any{}
	var contacts, known []any
	for _, path := range sorted(fields) {
		value := fields[path]
		key, isIdentifier := identifierKey(path)
		switch own, isOwn := o.field(path); {
		case isOwn && own.readOnly:
			return nil, unwritable(path)
		case isOwn:
			encoded, err := c.encoded(ctx, own, value)
			if err != nil {
				return nil, err
			}
			values[path] = encoded
		case o.children && (isMechanism(path) || isIdentifier):
			words, ok := asText(value)
			if !ok && value != nil {
				return nil, unwritable(path)
			}
			if isIdentifier {
				known = append(known, identifierStep(current, key, words)...)
			} else {
				contacts = append(contacts, mechanismStep(current, path, words)...)
			}
		default:
			return nil, unwritable(path)
		}
	}
	if len(contacts) > 0 {
		values[mechanisms] = contacts
	}
	if len(known) > 0 {
		values[identifiers] = known
	}
	return values, nil
}

func unwritable(path string) error {
	coded := fault.New(fault.Invalid, "%s does not take a value there; correct the mapping", title)
	coded.Field = path
	return coded
}

func sorted(fields map[string]any) []string {
	paths := make([]string, 0, len(fields))
	for path := range fields {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	return paths
}

// encoded is the value of one of the record's own fields. A language goes by its
// id, which is looked up.
func (c *client) encoded(ctx context.Context, own field, value any) (any, error) {
	encoded, err := encode(own.kind, own.path, value)
	if err != nil || own.kind != language || encoded == nil {
		return encoded, err
	}
	rows, _, err := c.rows(ctx, procedure{model: "ir.lang", method: "search_read", subject: "languages",
		params: []any{[]any{[]any{"code", "=", encoded}}, 0, 1, nil, []string{"code"}}})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		coded := fault.New(fault.Invalid, "%s has no such language; correct the record or the mapping", title)
		coded.Field = own.path
		return nil, coded
	}
	return rows[0]["id"], nil
}

// mechanismStep changes, makes or deletes the first mechanism of a kind.
func mechanismStep(current record.Record, kind, value string) []any {
	return step(current.Fields[mechanisms], value, map[string]any{"type": kind, "value": value}, map[string]any{"value": value},
		func(row map[string]any) bool { return row["type"] == kind && row["value"] != nil && row["value"] != "" })
}

func identifierStep(current record.Record, key, value string) []any {
	code := identifierCode(key, value)
	return step(current.Fields[identifierRows], value, map[string]any{"type": identifierType(key), "code": code}, map[string]any{"code": code},
		func(row map[string]any) bool {
			held, _, ok := identifierOf(row)
			return ok && held == key
		})
}

// step is Tryton's command for one child out of rows: the first that is meant is
// written, or deleted when value is empty; without one it is made.
func step(rows any, value string, fresh, change map[string]any, meant func(row map[string]any) bool) []any {
	list, _ := rows.([]any)
	for _, item := range list {
		row, _ := item.(map[string]any)
		id, ok := transport.ParseInt(row["id"])
		if !ok || !meant(row) {
			continue
		}
		if value == "" {
			return []any{[]any{"delete", []int{id}}}
		}
		return []any{[]any{"write", []int{id}, change}}
	}
	if value == "" {
		return nil
	}
	return []any{[]any{"create", []any{fresh}}}
}

// refused finds the path that a refusal of these fields speaks of: by the label
// in the message, or because only one can be meant.
func (o object) refused(fields map[string]any) func(message string) string {
	return func(message string) string {
		label := ""
		if found := regexp.MustCompile(`field "([^"]+)"`).FindStringSubmatch(message); found != nil {
			label = found[1]
		}
		var children []string
		for _, path := range sorted(fields) {
			own, isOwn := o.field(path)
			if isOwn && own.label == label {
				return path
			}
			if !isOwn {
				children = append(children, path)
			}
		}
		// "identifier", "phone number": Tryton's checks of children name no field.
		var about []string
		for _, path := range children {
			if strings.HasPrefix(path, identifiers+".") == (strings.Contains(message, "entifi") || label == "Code") {
				about = append(about, path)
			}
		}
		switch {
		case len(about) == 1:
			return about[0]
		case len(fields) == 1:
			return sorted(fields)[0]
		}
		return ""
	}
}
