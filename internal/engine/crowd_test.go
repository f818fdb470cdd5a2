package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// stuck is a system that answers no read until it is told to.
type stuck struct {
	connector.Connector
	asked  chan struct{}
	answer chan struct{}
}

func (s stuck) Get(ctx context.Context, object, id string) (record.Record, error) {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	select {
	case <-s.answer:
		return s.Connector.Get(ctx, object, id)
	case <-ctx.Done():
		return record.Record{}, ctx.Err()
	}
}

// One worker has two tenants. The system of one answers nothing while 5,000 of its
// records are due and as many drains as a connection may have are at them; the one
// edit of the other is carried over meanwhile.
func TestATenantDoesNotStarveAnother(t *testing.T) {
	const due, shards = 5000, 4
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	mine, err := b.store.Connection(b.ctx, b.key)
	require.NoError(t, err)
	busy := mine
	busy.Key = ledger.Key{Tenant: "busy", Connection: "cn_busy"}
	require.NoError(t, b.store.CreateConnection(b.ctx, busy))

	system := stuck{asked: make(chan struct{}, due), answer: make(chan struct{})}
	b.zReopen(func(in *engine.Installed) {
		if in.Key == busy.Key {
			one := system
			one.Connector = in.Left
			in.Left = one
		}
	})
	changes := make([]ledger.Change, due)
	for n := range changes {
		changes[n] = ledger.Change{Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprintf("lead-%d", n)}}
	}
	_, err = b.store.Enqueue(b.ctx, busy.Key, changes, 1)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(b.ctx)
	stop := make(chan struct{})
	var drains sync.WaitGroup
	t.Cleanup(func() { // also when the test fails before its end
		cancel()
		drains.Wait()
	})
	for shard := range shards {
		drains.Go(func() {
			// What became of the busy tenant's rows is looked at below.
			_, _ = b.engine.Drain(ctx, busy.Key, engine.DrainRequest{Shard: shard, Shards: shards, Stop: stop})
		})
	}
	for range shards * 8 {
		<-system.asked
	}

	b.edit(record.Left, lead, map[string]any{"company": "Served"})
	b.hint(record.Left, lead)
	result := b.drain()
	require.Equal(t, 1, result.Done)
	require.Equal(t, "Served", text(b.get(record.Right, contact), "company_name"))
	waiting, err := b.store.Pending(b.ctx, busy.Key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Equal(t, due, waiting.Changes, "not one of the other tenant is done yet")

	close(stop)
	close(system.answer)
	drains.Wait()
	waiting, err = b.store.Pending(b.ctx, busy.Key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Less(t, waiting.Changes, due, "its turn comes when its system answers")
}
