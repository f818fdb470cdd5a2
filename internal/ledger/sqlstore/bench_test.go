package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/ledgertest"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

func benchKey() ledger.Key { return ledger.Key{Tenant: "tenant", Connection: "connection"} }

// benchStore is a migrated ledger in a file, or in the Postgres that
// ACCORD_BENCH_POSTGRES names.
func benchStore(b *testing.B) *sqlstore.Store {
	dsn := "sqlite:" + filepath.Join(b.TempDir(), "ledger.db")
	if server := os.Getenv("ACCORD_BENCH_POSTGRES"); server != "" {
		dsn = ledgertest.NewPostgresDatabase(b, server)
	}
	store := open(b, dsn, &ledgertest.Clock{})
	require.NoError(b, store.Migrate(context.Background()))
	require.NoError(b, store.CreateConnection(context.Background(), ledger.Connection{Key: benchKey(), State: ledger.Active}))
	return store
}

func benchLink(i int) ledger.Link {
	values := ledger.Values{"name": "Ana Souza", "email": "ana@example.com", "phone": "+55 11 99999-0000", "stage": "new"}
	return ledger.Link{
		ID: fmt.Sprintf("link-%09d", i), Stream: "leads", State: ledger.LinkActive,
		Left:  record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprint("l", i)},
		Right: record.Ref{Side: record.Right, Object: "contacts", ID: fmt.Sprint("r", i)},
		Base:  ledger.Base{Left: values, Right: values},
	}
}

// perSecond reports how many of something were done.
func perSecond(b *testing.B, n int64, what string) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), what+"/s")
}

// BenchmarkEnqueue is webhooks that come 32 at a time, one change each.
func BenchmarkEnqueue(b *testing.B) {
	store := benchStore(b)
	var next atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ref := record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprint(next.Add(1))}
			if _, err := store.Enqueue(context.Background(), benchKey(), []ledger.Change{{Stream: "leads", Ref: ref}}, time.Minute); err != nil {
				b.Error(err)
			}
		}
	})
	perSecond(b, next.Load(), "webhooks")
}

// BenchmarkRecord is the ledger's part of one record's reconciling: its share of
// a claim of 50, a load, a commit with an intent and one that ends it with base
// and history; 16 drains at a time.
func BenchmarkRecord(b *testing.B) {
	store, ctx := benchStore(b), context.Background()
	fill(b, store, b.N, true)
	var done atomic.Int64
	b.ResetTimer()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		var work []ledger.Work
		for pb.Next() {
			if len(work) == 0 {
				var err error
				work, err = store.Claim(ctx, benchKey(), ledger.ClaimRequest{Limit: 50, TTL: time.Minute})
				if err != nil || len(work) == 0 {
					return // the other drains hold what is left
				}
			}
			item := work[0]
			work = work[1:]
			if err := reconcileOne(ctx, store, item); err != nil {
				b.Error(err)
				return
			}
			done.Add(1)
		}
	})
	perSecond(b, done.Load(), "records")
}

func reconcileOne(ctx context.Context, store *sqlstore.Store, item ledger.Work) error {
	state, err := store.Load(ctx, benchKey(), "leads", item.Ref)
	if err != nil {
		return err
	}
	intent := ledger.Intent{
		ID: "intent-" + item.Ref.ID, Stream: "leads", LinkID: state.Link.ID, Source: state.Link.Left, Target: state.Link.Right,
		Sent: state.Link.Base.Left, Patch: state.Link.Base.Left,
	}
	if err := store.Commit(ctx, benchKey(), ledger.Commit{Lease: item.Lease, OpenIntents: []ledger.Intent{intent}}); err != nil {
		return err
	}
	return store.Commit(ctx, benchKey(), ledger.Commit{
		Lease: item.Lease, Done: &item, CloseIntents: []string{intent.ID}, PutLinks: []ledger.Link{*state.Link},
		History: []ledger.HistoryEntry{{Stream: "leads", LinkID: state.Link.ID, Ref: state.Link.Right, Field: "name", Op: ledger.OpUpdate, Old: "a", New: "b"}},
	})
}

// fill makes n links, and a due change of each if asked.
func fill(b *testing.B, store *sqlstore.Store, n int, due bool) {
	b.Helper()
	for from := 0; from < n; from += 1000 {
		var commit ledger.Commit
		for i := from; i < min(from+1000, n); i++ {
			link := benchLink(i)
			commit.PutLinks = append(commit.PutLinks, link)
			if due {
				commit.Enqueue = append(commit.Enqueue, ledger.Change{Stream: "leads", Ref: link.Left})
			}
		}
		require.NoError(b, store.Commit(context.Background(), benchKey(), commit))
	}
}

// BenchmarkLarge is what must stay fast in a large ledger: ACCORD_BENCH_ROWS
// links (20,000 if not set), as many inbox rows of a first load that are due,
// and a few live changes.
func BenchmarkLarge(b *testing.B) {
	rows := 20_000
	if text := os.Getenv("ACCORD_BENCH_ROWS"); text != "" {
		_, err := fmt.Sscan(text, &rows)
		require.NoError(b, err)
	}
	store, ctx := benchStore(b), context.Background()
	fill(b, store, rows, false)
	for from := 0; from < rows; from += 1000 {
		var changes []ledger.Change
		for i := from; i < min(from+1000, rows); i++ {
			changes = append(changes, ledger.Change{Stream: "leads", Ref: benchLink(i).Left, Lane: ledger.LaneBackfill, RunID: "run"})
		}
		_, err := store.Enqueue(ctx, benchKey(), changes, time.Minute)
		require.NoError(b, err)
	}
	each := func(name string, call func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, call())
			}
		})
	}
	each("claim and release 50", func() error {
		work, err := store.Claim(ctx, benchKey(), ledger.ClaimRequest{Shard: 3, Shards: 8, Limit: 50, TTL: time.Minute, MaxLane: ledger.LaneBackfill})
		for _, item := range work {
			if err := store.Release(ctx, benchKey(), item.Lease); err != nil {
				return err
			}
		}
		return err
	})
	each("claim live, none", func() error {
		_, err := store.Claim(ctx, benchKey(), ledger.ClaimRequest{Limit: 50, TTL: time.Minute})
		return err
	})
	each("pending", func() error { _, err := store.Pending(ctx, benchKey(), ledger.PendingFilter{}); return err })
	each("pending of the run", func() error {
		_, err := store.Pending(ctx, benchKey(), ledger.PendingFilter{RunID: "run"})
		return err
	})
	each("pending without backfill", func() error {
		_, err := store.Pending(ctx, benchKey(), ledger.PendingFilter{SkipBackfill: true})
		return err
	})
	each("load", func() error { _, err := store.Load(ctx, benchKey(), "leads", benchLink(rows/2).Left); return err })
	each("link by id", func() error {
		_, _, err := store.Links(ctx, benchKey(), ledger.LinkFilter{Side: record.Right, ID: benchLink(rows / 2).Right.ID}, ledger.ListOptions{})
		return err
	})
	each("count links", func() error { _, err := store.CountLinks(ctx, benchKey()); return err })
	each("unseen of a scan", func() error {
		_, err := store.EnqueueUnseen(ctx, benchKey(), "leads", record.Left, "scan", ledger.LanePoll, 100)
		return err
	})
}
