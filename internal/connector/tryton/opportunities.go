package tryton

import (
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// opportunities is the collection whose state Tryton moves by buttons.
const (
	opportunities = "opportunities"
	statePath     = "state"
)

// The calls of an update (connector.Divided).
const (
	callWrite = iota
	callButton
)

var _ connector.Divided = (*client)(nil)

// CallOf implements connector.Divided: an opportunity's state is moved by a button, all
// else is a write.
func (c *client) CallOf(name string, share map[string]any) int {
	if _, moves := share[statePath]; moves && name == opportunities {
		return callButton
	}
	return callWrite
}

// buttonOf is the button that leads to a state; empty: none does. An opportunity is won
// when its sale is confirmed, and by nothing else.
func buttonOf(state any) string {
	wanted, _ := state.(string)
	return map[string]string{"lead": "lead", "opportunity": "opportunity", "converted": "convert", "lost": "lost", "cancelled": "cancel"}[wanted]
}

// working is the company that the user works in, and as which employee: Tryton's own
// clients send it with every call, and new opportunities belong to it.
func (c *client) working(ctx context.Context) (map[string]any, error) {
	p := procedure{model: "res.user", method: "get_preferences", params: []any{true}, subject: "the user"}
	said, err := c.dictionary(ctx, p, "the user's preferences")
	if err != nil {
		return nil, err
	}
	found := map[string]any{}
	for _, name := range []string{"company", "employee"} {
		if said[name] != nil {
			found[name] = said[name]
		}
	}
	return found, nil
}

// press moves an opportunity by a button. Tryton passes silently over a move that it does
// not allow: the record that is read afterwards tells.
func (c *client) press(ctx context.Context, o object, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	refuse := func(path, format string, args ...any) error {
		refused := fault.New(fault.Invalid, format, args...).On(current.Ref)
		refused.Field = path
		return refused
	}
	for path := range fields {
		if path != statePath {
			return record.Record{}, refuse(path, "%s moves an opportunity by a button of its own; map %s and %s apart", title, statePath, path)
		}
	}
	wanted := fields[statePath]
	button := buttonOf(wanted)
	switch {
	case wanted == "won":
		return record.Record{}, refuse(statePath, "%s wins an opportunity when its sale is confirmed; confirm it there", title)
	case button == "":
		return record.Record{}, refuse(statePath, "%s has no such state of an opportunity; correct the mapping", title)
	}
	number, err := c.number(o, current.Ref.ID)
	if err != nil {
		return record.Record{}, err
	}
	p := c.about(o, current.Ref.ID, button, []any{[]int{number}})
	p.write, p.timestamps = true, timestampsOf(options.IfMatch)
	p.fieldOf = func(string) string { return statePath }
	if p.context, err = c.working(ctx); err != nil {
		return record.Record{}, err
	}
	if _, _, err = c.call(ctx, p); err != nil {
		return record.Record{}, err
	}
	moved, err := c.written(ctx, o, current.Ref.ID)
	if err == nil && moved.Fields[statePath] != wanted {
		return record.Record{}, refuse(statePath, "%s does not move an opportunity from its present state to that one; move it there by the buttons that it shows", title)
	}
	return moved, err
}

// inUse refuses the delete of a party that has opportunities: Tryton would take the party
// off the open ones without a word, and without a trace to poll for.
func (c *client) inUse(ctx context.Context, ref record.Ref, number int) error {
	if !slices.Contains(c.cfg.Objects, opportunities) {
		return nil
	}
	rows, _, err := c.rows(ctx, procedure{model: "sale.opportunity", method: "search_read", subject: ref.String(),
		params: []any{[]any{[]any{"party", "=", number}}, 0, 1, nil, []string{"id"}}})
	if err != nil || len(rows) == 0 {
		return err
	}
	return fault.New(fault.Invalid, "the party has opportunities, which would lose it in %s; delete them or give them to another party, then replay", title).On(ref)
}
