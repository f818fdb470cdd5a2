package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// onRight is a setup with a connector in front of the right one.
func onRight(wrap func(real connector.Connector) connector.Connector) setup {
	return setup{connector: func(_ *engine.Installed, side record.Side, real connector.Connector) connector.Connector {
		if side == record.Left {
			return real
		}
		return wrap(real)
	}}
}

// thin answers a create with the new id, its version and its times, and nothing else.
type thin struct{ connector.Connector }

func (c thin) Create(ctx context.Context, object string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	made, err := c.Connector.Create(ctx, object, fields, options)
	if err == nil {
		made.Fields = record.Fields{"id": made.Ref.ID, "version": made.Fields["version"], "created_at": made.Fields["created_at"], "updated_at": made.Fields["updated_at"]}
	}
	return made, err
}

// TestACreateWhoseAnswerTellsNothing: what the server made of the values is read before
// anything is concluded from their not being in its answer.
func TestACreateWhoseAnswerTellsNothing(t *testing.T) {
	with := onRight(func(real connector.Connector) connector.Connector { return thin{real} })
	with.edit = replaced("fields: {phone: manual}", "fields: {company: manual}").edit
	b := start(t, with)
	require.NoError(t, b.right.Alter(b.ctx, wire.Alteration{Object: "contacts", Field: "company_name", How: "cut", To: 4}))
	lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com", "company": "Lima and Sons"})
	b.hint(record.Left, lead)
	b.settle()
	b.quiet()
	contact := b.other(record.Left, lead)
	require.Equal(t, "Lima", text(b.get(record.Right, contact), "company_name"))
	require.Equal(t, "Lima and Sons", text(b.get(record.Left, lead), "company"), "what was cut does not flow back")
	require.Empty(t, b.openConflicts())
	require.Empty(t, b.letters())
	require.Equal(t, 1, b.writes(record.Right))
	require.Zero(t, b.writes(record.Left))
}

// few keeps the first two labels of what is written, in small letters.
type few struct{ connector.Connector }

func (c few) less(fields map[string]any) map[string]any {
	labels, ok := fields["labels"].([]any)
	if !ok {
		return fields
	}
	kept := map[string]any{}
	for path, value := range fields {
		kept[path] = value
	}
	var stored []any
	for _, label := range labels[:min(2, len(labels))] {
		text, _ := label.(string)
		stored = append(stored, strings.ToLower(text))
	}
	kept["labels"] = stored
	return kept
}

func (c few) Create(ctx context.Context, object string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	return c.Connector.Create(ctx, object, c.less(fields), options)
}

func (c few) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	return c.Connector.Update(ctx, current, c.less(fields), options)
}

// TestAnEditOfASetThatWasCut: a server that keeps fewer elements, and spells them
// otherwise, has taken none away: an edit there is what was added and removed there.
func TestAnEditOfASetThatWasCut(t *testing.T) {
	b := start(t, onRight(func(real connector.Connector) connector.Connector { return few{real} }))
	lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com", "tags": []any{"VIP", "South", "Fair 2026"}})
	b.quiet()
	contact := b.other(record.Left, lead)
	require.ElementsMatch(t, []any{"vip", "south"}, field(b.get(record.Right, contact), "labels"))

	b.edit(record.Right, contact, map[string]any{"labels": []any{"vip", "new"}})
	b.quiet()
	require.ElementsMatch(t, []any{"VIP", "Fair 2026", "new"}, field(b.get(record.Left, lead), "tags"), "south went, new came, the rest is nobody's edit")
	require.ElementsMatch(t, []any{"vip", "new"}, field(b.get(record.Right, contact), "labels"), "and none is written on its own side")

	b.edit(record.Left, lead, map[string]any{"tags": []any{"Fair 2026", "new"}})
	b.quiet()
	require.ElementsMatch(t, []any{"fair 2026", "new"}, field(b.get(record.Right, contact), "labels"), "VIP went, and there is room")
	require.ElementsMatch(t, []any{"Fair 2026", "new"}, field(b.get(record.Left, lead), "tags"))

	before := b.writes(record.Left) + b.writes(record.Right)
	b.quiet()
	require.Equal(t, before, b.writes(record.Left)+b.writes(record.Right))
	require.Empty(t, b.letters())
}

func TestAnEditOfASetThatWasCutIsKilled(t *testing.T) {
	for _, step := range []string{"after update", "before update", "before commit"} {
		t.Run(step, func(t *testing.T) {
			b := start(t, onRight(func(real connector.Connector) connector.Connector { return few{real} }))
			lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com", "tags": []any{"VIP", "South", "Fair 2026"}})
			b.quiet()
			contact := b.other(record.Left, lead)
			b.edit(record.Right, contact, map[string]any{"labels": []any{"vip", "new"}})
			b.look(record.Right, contact)
			b.killOn(step)
			b.quiet()
			require.ElementsMatch(t, []any{"VIP", "Fair 2026", "new"}, field(b.get(record.Left, lead), "tags"))
			require.ElementsMatch(t, []any{"vip", "new"}, field(b.get(record.Right, contact), "labels"))
			before := b.writes(record.Left) + b.writes(record.Right)
			b.quiet()
			require.Equal(t, before, b.writes(record.Left)+b.writes(record.Right))
		})
	}
}
