package rest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestRelations: whom a deal belongs to shows however it is read, and is written by calls of its own.
func TestRelations(t *testing.T) {
	hub, _ := newHubSpot(t, time.Now, "contacts")
	conn := openHub(t, hub.url)
	ctx := t.Context()
	contacts := hub.Seed(t, 4)
	divided, ok := conn.(connector.Divided)
	require.True(t, ok)
	require.Equal(t, []int{0, 1, 0}, []int{divided.CallOf("deals", map[string]any{"properties.dealname": "x"}),
		divided.CallOf("deals", map[string]any{"contact_id": "1"}), divided.CallOf("contacts", map[string]any{"contact_id": "1"})})

	made, err := conn.Create(ctx, "deals", map[string]any{"properties.dealname": "Roof", "properties.accord_ref": "d1", "contact_id": contacts[1]}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, contacts[1], made.Fields["contact_id"], "with the create")
	alone, err := conn.Create(ctx, "deals", map[string]any{"properties.dealname": "Door"}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Nil(t, alone.Fields["contact_id"])
	shown := func() map[string]any {
		t.Helper()
		found := map[string]any{}
		got, err := conn.Get(ctx, "deals", made.Ref.ID)
		require.NoError(t, err)
		found["get"] = got.Fields["contact_id"]
		for name, since := range map[string]time.Time{"list": {}, "changes": time.Now().Add(-time.Hour)} {
			page, err := conn.List(ctx, connector.ListRequest{Object: "deals", Since: since})
			require.NoError(t, err)
			require.Len(t, page.Records, 2, name)
			for _, row := range page.Records {
				if row.Ref == made.Ref {
					found[name] = row.Fields["contact_id"]
				} else {
					require.Nil(t, row.Fields["contact_id"], name)
				}
			}
		}
		rows, err := conn.Search(ctx, connector.SearchRequest{Object: "deals", Path: "properties.accord_ref", Value: "d1"})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		found["search"] = rows[0].Fields["contact_id"]
		return found
	}
	everywhere := func(id any) map[string]any {
		return map[string]any{"get": id, "list": id, "changes": id, "search": id}
	}
	require.Equal(t, everywhere(contacts[1]), shown())
	for _, step := range []struct {
		name     string
		people   []any
		set      any
		shows    any
		contacts []any
	}{
		{"to one behind it", nil, contacts[3], contacts[3], []any{contacts[3]}},
		{"to one before it", nil, contacts[0], contacts[0], []any{contacts[0]}},
		{"before others, which stay", []any{contacts[1], contacts[2], contacts[3]}, contacts[0], contacts[0], []any{contacts[2], contacts[3], contacts[0]}},
		{"past others", []any{contacts[0], contacts[1], contacts[3]}, contacts[2], contacts[2], []any{contacts[3], contacts[2]}},
		{"to the same", nil, contacts[2], contacts[2], []any{contacts[3], contacts[2]}},
		{"to nobody", nil, nil, nil, []any{}},
	} {
		if step.people != nil {
			_, err := hub.admin.EditRecord(ctx, "deals", made.Ref.ID, map[string]any{"associated_contacts": step.people})
			require.NoError(t, err)
		}
		got, err := conn.Update(ctx, made, map[string]any{"contact_id": step.set}, connector.WriteOptions{})
		require.NoError(t, err, step.name)
		require.Equal(t, step.shows, got.Fields["contact_id"], step.name)
		require.Equal(t, everywhere(step.shows), shown(), step.name)
		held, err := hub.admin.Record(ctx, "deals", made.Ref.ID)
		require.NoError(t, err)
		require.Equal(t, step.contacts, held.Fields["associated_contacts"], step.name)
	}
	_, err = conn.Update(ctx, made, map[string]any{"contact_id": contacts[0], "properties.dealname": "x"}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err), "an update is one call")
	_, err = conn.Update(ctx, made, map[string]any{"contact_id": "1"}, connector.WriteOptions{})
	require.Error(t, err, "there is no such contact")
	_, err = conn.Create(ctx, "deals", map[string]any{"properties.dealname": "x", "contact_id": "1"}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}

// TestRelationHalfMade: when the calls of a change end in the middle, the record shows what it showed.
func TestRelationHalfMade(t *testing.T) {
	hub, _ := newHubSpot(t, time.Now, "contacts")
	conn := openHub(t, hub.url)
	contacts := hub.Seed(t, 3)
	made, err := conn.Create(t.Context(), "deals", map[string]any{"properties.dealname": "Roof", "contact_id": contacts[0]}, connector.WriteOptions{})
	require.NoError(t, err)
	_, err = hub.admin.InjectFault(t.Context(), wire.Fault{Kind: wire.FaultStatus, Status: 503, Method: "DELETE"})
	require.NoError(t, err)
	_, err = conn.Update(t.Context(), made, map[string]any{"contact_id": contacts[2]}, connector.WriteOptions{})
	require.Equal(t, fault.Transient, fault.CodeOf(err))
	require.True(t, fault.As(err).MaybeApplied)
	got, err := conn.Get(t.Context(), "deals", made.Ref.ID)
	require.NoError(t, err)
	require.Equal(t, contacts[0], got.Fields["contact_id"])
	got, err = conn.Update(t.Context(), got, map[string]any{"contact_id": contacts[2]}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, contacts[2], got.Fields["contact_id"])
}
