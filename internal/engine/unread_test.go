package engine_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// curtain hides a record: listings only name it, and it may not be read.
type curtain struct {
	connector.Connector
	hidden *atomic.Value
}

func (c curtain) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	page, err := c.Connector.List(ctx, request)
	shown := page.Records[:0:0]
	for _, one := range page.Records {
		if one.Ref.ID == c.hidden.Load() {
			page.Unread = append(page.Unread, one.Ref)
		} else {
			shown = append(shown, one)
		}
	}
	page.Records = shown
	return page, err
}

func (c curtain) Get(ctx context.Context, object, id string) (record.Record, error) {
	if id == c.hidden.Load() {
		return record.Record{}, fault.New(fault.Forbidden, "not for you")
	}
	return c.Connector.Get(ctx, object, id)
}

// A record that a listing can only name is parked by itself: the others go on, it is
// not taken for deleted, and it is in step again when it can be read.
func TestARecordThatAListingCannotShow(t *testing.T) {
	var hidden atomic.Value
	b := newBenchWith(t, t.TempDir(), setup{}, func(b *bench) {
		open := b.options.Open
		b.options.Open = func(ctx context.Context, connection ledger.Connection) (*engine.Installed, error) {
			real, err := open(ctx, connection)
			if err != nil {
				return nil, err
			}
			in := *real
			in.Left = curtain{Connector: real.Left, hidden: &hidden}
			return &in, nil
		}
	})
	t.Cleanup(b.end)
	ana, _ := b.pair("ana@x.com")
	bia, contact := b.pair("bia@x.com")
	hidden.Store(ana)
	b.edit(record.Left, ana, map[string]any{"company": "Nova"})
	b.edit(record.Left, bia, map[string]any{"company": "Velha"})
	b.run(ledger.RunCompare)
	b.settle()
	require.Equal(t, "Velha", text(b.get(record.Right, contact), "company_name"))
	letters, _, err := b.store.ListDeadLetters(b.ctx, b.key, ledger.DeadLetterFilter{}, ledger.ListOptions{Limit: 10})
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "forbidden", letters[0].Reason.Code)
	require.Equal(t, ana, letters[0].Ref.ID)
	hidden.Store("")
	b.run(ledger.RunCompare)
	b.settle()
	letters, _, err = b.store.ListDeadLetters(b.ctx, b.key, ledger.DeadLetterFilter{}, ledger.ListOptions{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, letters)
	require.Equal(t, "Nova", text(b.get(record.Right, b.other(record.Left, ana)), "company_name"))
}
