package connectortest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func writing(t *testing.T, h Harness) {
	ctx := context.Background()
	t.Run("create nests paths and answers the whole record", func(t *testing.T) {
		b := h.bench(t)
		made, err := b.conn.Create(ctx, b.Object, b.born(map[string]any{
			b.Key: "new@example.com", b.Text: "Ana <& Lima>", b.Inner: "in", b.Marker: "m-1", b.Other: nil}), connector.WriteOptions{})
		require.NoError(t, err)
		read := b.get(t, made.Ref.ID)
		// Only the answer of a write carries the id of its call.
		made.RequestID = read.RequestID
		require.Equal(t, read, made)
		held := b.server.Fields(t, made.Ref.ID)
		require.Equal(t, "Ana <& Lima>", value(t, held, b.Text))
		require.Equal(t, "in", value(t, held, b.Inner))
		require.Equal(t, "m-1", value(t, held, b.Marker))
	})
	for _, replace := range []bool{false, true} {
		t.Run("a custom field never wipes the others, replace "+map[bool]string{true: "on", false: "off"}[replace], func(t *testing.T) {
			hh := h
			hh.Capabilities.CustomFieldsReplace = replace
			b := hh.bench(t)
			b.server.ReplaceInner(t, replace)
			id := b.one(t)
			b.server.Edit(t, id, map[string]any{b.Inner: "old", b.InnerOther: "theirs", b.Text: "Ana"})
			_, err := b.conn.Update(ctx, b.get(t, id), map[string]any{b.Inner: "new"}, connector.WriteOptions{})
			require.NoError(t, err)
			held := b.server.Fields(t, id)
			require.Equal(t, "new", value(t, held, b.Inner))
			require.Equal(t, "theirs", value(t, held, b.InnerOther))
			require.Equal(t, "Ana", value(t, held, b.Text))
		})
	}
	t.Run("update changes only what is given, and null clears", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		b.server.Edit(t, id, map[string]any{b.Text: "Ana", b.Other: "Old"})
		current := b.get(t, id)
		b.server.Edit(t, id, map[string]any{b.Text: "Ana Lima"}) // slips in between
		got, err := b.conn.Update(ctx, current, map[string]any{b.Other: nil}, connector.WriteOptions{})
		require.NoError(t, err)
		require.Equal(t, "Ana Lima", value(t, got.Fields, b.Text))
		cleared, _ := b.server.Fields(t, id).Get(b.Other)
		require.Contains(t, []any{nil, ""}, cleared)
	})
}

// guarding is about writes that must not be done, or not twice.
func guarding(t *testing.T, h Harness) {
	ctx := context.Background()
	t.Run("an update of nothing sends nothing", func(t *testing.T) {
		b := h.bench(t)
		current := b.get(t, b.one(t))
		got, err := b.conn.Update(ctx, current, nil, connector.WriteOptions{})
		require.NoError(t, err)
		require.Equal(t, current, got)
		require.Zero(t, b.front.Count("PATCH", b.ListPath))
	})
	t.Run("a version that moved on is stale", func(t *testing.T) {
		b := h.bench(t)
		if !b.Capabilities.Versions {
			t.Skip("this server has no versions")
		}
		id := b.one(t)
		current := b.get(t, id)
		b.server.Edit(t, id, map[string]any{b.Text: "theirs"})
		_, err := b.conn.Update(ctx, current, map[string]any{b.Text: "ours"}, connector.WriteOptions{IfMatch: current.Version})
		require.Equal(t, fault.Stale, fault.CodeOf(err))
		require.Equal(t, fault.Stale, fault.CodeOf(b.conn.Delete(ctx, b.Object, id, connector.WriteOptions{IfMatch: current.Version})))
		require.Equal(t, "theirs", value(t, b.server.Fields(t, id), b.Text))
		fresh := b.get(t, id)
		_, err = b.conn.Update(ctx, fresh, map[string]any{b.Text: "ours"}, connector.WriteOptions{IfMatch: fresh.Version})
		require.NoError(t, err)
	})
	t.Run("the same key makes the same record", func(t *testing.T) {
		b := h.bench(t)
		if !b.Capabilities.IdempotencyKey {
			t.Skip("this server has no idempotency keys")
		}
		fields := b.born(map[string]any{b.Key: "once@example.com", b.Text: "Ana"})
		first, err := b.conn.Create(ctx, b.Object, fields, connector.WriteOptions{IdempotencyKey: "intent-1"})
		require.NoError(t, err)
		second, err := b.conn.Create(ctx, b.Object, fields, connector.WriteOptions{IdempotencyKey: "intent-1"})
		require.NoError(t, err)
		require.Equal(t, first.Ref, second.Ref)
	})
	t.Run("delete, then again, then gone", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		require.NoError(t, b.conn.Delete(ctx, b.Object, id, connector.WriteOptions{}))
		require.NoError(t, b.conn.Delete(ctx, b.Object, id, connector.WriteOptions{}))
		_, err := b.conn.Get(ctx, b.Object, id)
		require.Equal(t, fault.Gone, fault.CodeOf(err))
		_, err = b.conn.Update(ctx, record.Record{Ref: record.Ref{Object: b.Object, ID: id}}, map[string]any{b.Text: "x"}, connector.WriteOptions{})
		require.Equal(t, fault.Gone, fault.CodeOf(err))
	})
	t.Run("deleted ids are listed", func(t *testing.T) { deletedList(t, h) })
}

func deletedList(t *testing.T, h Harness) {
	b := h.bench(t)
	if !b.Capabilities.DeletedList {
		t.Skip("this server has no list of deleted records")
	}
	id := b.one(t)
	since := b.clock.now().Add(-time.Minute)
	b.server.Remove(t, id)
	ids, next, err := b.conn.Deleted(context.Background(), b.Object, since, "")
	require.NoError(t, err)
	require.Equal(t, []string{id}, ids)
	require.Empty(t, next)
}

// discreet checks that an error for people holds none of the given texts.
func discreet(t *testing.T, err error, secrets ...string) {
	t.Helper()
	require.Error(t, err)
	for _, secret := range secrets {
		require.False(t, strings.Contains(err.Error(), secret), "the error tells %q", secret)
	}
}
