package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func TestCreateAndEditBothWays(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana Maria Souza", "email": "Ana@X.com ", "phone": "11 91234-5678", "status": "new", "tags": []any{"vip"}})
	contact := b.create(record.Right, map[string]any{"first_name": "Rui", "last_name": "Costa", "email": "rui@x.com", "lifecycle": "qualified"})
	b.hint(record.Left, lead)
	b.hint(record.Right, contact)
	b.settle()

	made := b.get(record.Right, b.other(record.Left, lead))
	require.Equal(t, "Ana", text(made, "first_name"))
	require.Equal(t, "Maria Souza", text(made, "last_name"))
	require.Equal(t, "lead", text(made, "lifecycle"))
	require.Equal(t, lead, text(made, "external_ref"))
	lead2 := b.other(record.Right, contact)
	require.Equal(t, "Rui Costa", text(b.get(record.Left, lead2), "name"))
	require.Equal(t, "qualified", text(b.get(record.Left, lead2), "status"))
	require.Equal(t, contact, text(b.get(record.Left, lead2), "custom_fields.external_id"))

	b.edit(record.Left, lead, map[string]any{"company": "Acme"})
	b.hint(record.Left, lead)
	b.edit(record.Right, contact, map[string]any{"job_title": "CTO"})
	b.hint(record.Right, contact)
	b.settle()
	require.Equal(t, "Acme", text(b.get(record.Right, made.ID), "company_name"))
	require.Equal(t, "CTO", text(b.get(record.Left, lead2), "position"))

	left, right := b.writes(record.Left), b.writes(record.Right)
	require.Equal(t, 2, left, "one create and one edit")
	require.Equal(t, 2, right, "one create and one edit")
	b.quiet()
	b.run(ledger.RunCompare)
	require.Equal(t, left, b.writes(record.Left), "no echo")
	require.Equal(t, right, b.writes(record.Right), "no echo")
}

func TestPollFindsWhatNoWebhookTold(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
	b.quiet()
	contact := b.other(record.Left, lead)
	b.edit(record.Right, contact, map[string]any{"note": "hello"})
	b.quiet()
	require.Equal(t, "hello", text(b.get(record.Left, lead), "custom_fields.note"))
}

func TestDisjointEditsMergeAndSameFieldConflicts(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "phone": "+5511912345678"})
	b.quiet()
	contact := b.other(record.Left, lead)
	b.edit(record.Left, lead, map[string]any{"company": "L", "phone": "+5511900000001"})
	b.edit(record.Right, contact, map[string]any{"job_title": "R", "phone": "+5511900000002"})
	b.quiet()
	l, r := b.get(record.Left, lead), b.get(record.Right, contact)
	require.Equal(t, "L", text(r, "company_name"))
	require.Equal(t, "R", text(l, "position"))
	require.Equal(t, "+5511900000001", text(l, "phone"))
	require.Equal(t, "+5511900000002", text(r, "phone"))
	open := b.openConflicts()
	require.Len(t, open, 1)
	require.Equal(t, "phone", open[0].Field)

	require.NoError(t, b.engine.Decide(b.ctx, b.key, open[0].ID, ledger.Decision{Choose: ledger.ChooseRight, By: "me", At: b.clock.now()}, nil))
	b.quiet()
	require.Equal(t, "+5511900000002", text(b.get(record.Left, lead), "phone"))
	require.Empty(t, b.openConflicts())
	history, _, err := b.store.ListHistory(b.ctx, b.key, ledger.HistoryFilter{Stream: "leads", Side: record.Left, ID: lead, Field: "phone"}, ledger.ListOptions{})
	require.NoError(t, err)
	require.Len(t, history, 1)
	require.Equal(t, "+5511900000001", history[0].Old)
	require.Equal(t, ledger.CauseDecision, history[0].Cause.Kind)
}

func TestDeleteIsVerifiedThenPropagated(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
	b.create(record.Left, map[string]any{"name": "Bia", "email": "bia@x.com"})
	b.quiet()
	contact := b.other(record.Left, lead)
	b.remove(record.Left, lead)
	b.hint(record.Left, lead)
	b.drain()
	require.Nil(t, b.get(record.Right, contact).DeletedAt, "one look is not enough")
	b.settle()
	require.NotNil(t, b.get(record.Right, contact).DeletedAt)
	b.hint(record.Left, lead)
	b.hint(record.Right, contact)
	b.quiet()
	require.Len(t, b.live(record.Left), 1, "nothing comes back")
	require.Len(t, b.live(record.Right), 1)
}
