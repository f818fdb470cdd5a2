package connectortest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func reading(t *testing.T, h Harness) {
	ctx := context.Background()
	t.Run("get answers the whole record", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		b.server.Edit(t, id, map[string]any{b.Text: "Ana", b.Inner: "kept"})
		got := b.get(t, id)
		require.Equal(t, record.Ref{Side: record.Left, Object: b.Object, ID: id}, got.Ref)
		require.Equal(t, "Ana", value(t, got.Fields, b.Text))
		require.Equal(t, "kept", value(t, got.Fields, b.Inner))
		require.False(t, got.UpdatedAt.IsZero())
		require.Equal(t, b.Capabilities.Versions, got.Version != "")
	})
	t.Run("a listed row is as good as a read one", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		row := b.list(t, connector.ListRequest{Object: b.Object}, nil)[id]
		require.Equal(t, b.get(t, id), row)
	})
	t.Run("search finds by key and by marker", func(t *testing.T) {
		b := h.bench(t)
		ids := b.server.Seed(t, 30)
		b.server.Edit(t, ids[7], map[string]any{b.Key: "Ana.Lima@Example.com", b.Marker: "mark-7"})
		for path, want := range map[string]string{b.Key: "ana.lima@example.com", b.Marker: "mark-7"} {
			found, err := b.conn.Search(ctx, connector.SearchRequest{Object: b.Object, Path: path, Value: want})
			require.NoError(t, err)
			require.Len(t, found, 1, path)
			require.Equal(t, ids[7], found[0].Ref.ID, path)
		}
		found, err := b.conn.Search(ctx, connector.SearchRequest{Object: b.Object, Path: b.Marker, Value: "mark-8", Since: b.clock.now().Add(-time.Hour)})
		require.NoError(t, err)
		require.Empty(t, found)
	})
}

// asking is probe, check and what does not exist.
func asking(t *testing.T, h Harness) {
	ctx := context.Background()
	t.Run("probe leaves nothing behind and finds the change filter", func(t *testing.T) {
		b := h.bench(t)
		id := b.one(t)
		before := b.server.Fields(t, id)
		found, err := b.conn.Probe(ctx)
		require.NoError(t, err)
		require.Equal(t, b.Capabilities.UpdatedFilter, found.UpdatedFilter)
		require.Equal(t, before, b.server.Fields(t, id))
		require.Zero(t, b.front.Count("POST", b.ListPath)+b.front.Count("PATCH", b.ListPath))
	})
	t.Run("check reports objects, a sample and a missing token", func(t *testing.T) {
		b := h.bench(t)
		b.one(t)
		report, err := b.conn.Check(ctx, []string{b.Object})
		require.NoError(t, err)
		require.Empty(t, report.Token)
		require.Equal(t, map[string]string{b.Object: ""}, report.Objects)
		require.NotEmpty(t, report.Sample[b.Object].Ref.ID)
		report, err = b.open(t, "wrong", 0).Check(ctx, []string{b.Object})
		require.NoError(t, err)
		require.NotEmpty(t, report.Token)
	})
	t.Run("an unknown collection is a usage error", func(t *testing.T) {
		b := h.bench(t)
		_, err := b.conn.Get(ctx, "dragons", "1")
		require.Equal(t, fault.Usage, fault.CodeOf(err))
		_, err = b.conn.List(ctx, connector.ListRequest{Object: b.Object, Cursor: "not a cursor"})
		require.Equal(t, fault.Usage, fault.CodeOf(err))
	})
}

func listing(t *testing.T, h Harness) {
	t.Run("everything, with one time for all", func(t *testing.T) {
		b := h.bench(t)
		ids := b.server.Seed(t, 230)
		found := b.list(t, connector.ListRequest{Object: b.Object, Limit: 20}, nil)
		require.Len(t, found, len(ids))
	})
	t.Run("everything, over many moments", func(t *testing.T) {
		b := h.bench(t)
		count := 0
		for range 30 {
			count += len(b.server.Seed(t, 3))
			b.clock.advance(7 * time.Second)
		}
		require.Len(t, b.list(t, connector.ListRequest{Object: b.Object, Limit: 10}, nil), count)
	})
	t.Run("changes since, the moment itself included", func(t *testing.T) {
		b := h.bench(t)
		ids := b.server.Seed(t, 60)
		b.clock.advance(10 * time.Minute)
		mark := b.clock.now()
		for _, id := range ids[:3] {
			b.server.Edit(t, id, map[string]any{b.Text: "changed"})
		}
		found := b.list(t, connector.ListRequest{Object: b.Object, Since: mark}, nil)
		for _, id := range ids[:3] {
			require.Contains(t, found, id)
		}
		require.Len(t, found, 3)
	})
	t.Run("nothing changed is an empty listing", func(t *testing.T) {
		b := h.bench(t)
		b.server.Seed(t, 5)
		b.clock.advance(time.Hour)
		require.Empty(t, b.list(t, connector.ListRequest{Object: b.Object, Since: b.clock.now()}, nil))
	})
}

// drifting lists while the rows change.
func drifting(t *testing.T, h Harness) {
	t.Run("rows move and vanish while everything is listed", func(t *testing.T) {
		b := h.bench(t)
		b.drift(t, b.server.Seed(t, 120), connector.ListRequest{Object: b.Object, Limit: 10})
	})
	t.Run("rows move and vanish while changes are listed", func(t *testing.T) {
		b := h.bench(t)
		ids := b.server.Seed(t, 120)
		b.clock.advance(10 * time.Minute)
		mark := b.clock.now()
		for _, id := range ids {
			b.server.Edit(t, id, map[string]any{b.Text: "changed"})
		}
		b.drift(t, ids, connector.ListRequest{Object: b.Object, Since: mark, Limit: 10})
	})
	t.Run("a failure in the middle goes on from the cursor", func(t *testing.T) {
		b := h.bench(t)
		ids := b.server.Seed(t, 45)
		page, err := b.conn.List(context.Background(), connector.ListRequest{Object: b.Object, Limit: 10})
		require.NoError(t, err)
		b.front.On("GET", b.ListPath, 1, Answer(503, "busy"))
		_, err = b.conn.List(context.Background(), connector.ListRequest{Object: b.Object, Cursor: page.Next})
		require.Equal(t, fault.Transient, fault.CodeOf(err))
		found := b.list(t, connector.ListRequest{Object: b.Object, Cursor: page.Next}, nil)
		for _, row := range page.Records {
			found[row.Ref.ID] = row
		}
		require.Len(t, found, len(ids))
	})
}

// drift deletes and edits rows that were read already, after every page: all
// others then move up, and none of them may be missed.
func (b *bench) drift(t *testing.T, ids []string, request connector.ListRequest) {
	t.Helper()
	gone := map[string]bool{}
	turn := 0
	found := b.list(t, request, func(read []string) {
		b.clock.advance(3 * time.Second)
		turn++
		if turn > 8 {
			return
		}
		for i, id := range read {
			if i%4 == turn%4 && !gone[id] && i < turn*5 {
				b.server.Remove(t, id)
				gone[id] = true
			} else if i%4 == 1 && !gone[id] && i < turn*3 {
				b.server.Edit(t, id, map[string]any{b.Other: "moved"})
			}
		}
	})
	require.NotEmpty(t, gone, "the test must have taken rows away")
	for _, id := range ids {
		require.Contains(t, found, id)
	}
}
