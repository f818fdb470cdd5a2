package sqlstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/ledgertest"
	"github.com/accord-sync/accord/internal/record"
)

// BenchmarkBesideABusyProcess is a webhook that is stored while another process
// writes to the same SQLite ledger without a pause: it tells the median, the
// 99th of 100 and what the other process got done meanwhile.
func BenchmarkBesideABusyProcess(b *testing.B) {
	dsn := "sqlite:" + filepath.Join(b.TempDir(), "ledger.db")
	busy, mine := open(b, dsn, &ledgertest.Clock{}), open(b, dsn, &ledgertest.Clock{})
	require.NoError(b, busy.Migrate(b.Context()))
	require.NoError(b, busy.CreateConnection(b.Context(), ledger.Connection{Key: benchKey(), State: ledger.Active}))
	ctx, stop := context.WithCancel(b.Context())
	var others sync.WaitGroup
	var done [16]int
	for n := range done {
		others.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				ref := record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprint(n, "/", i)}
				if _, err := busy.Enqueue(ctx, benchKey(), []ledger.Change{{Stream: "leads", Ref: ref}}, time.Minute); err == nil {
					done[n]++
				}
			}
		})
	}
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		begun := time.Now()
		ref := record.Ref{Side: record.Right, Object: "contacts", ID: fmt.Sprint(i)}
		_, err := mine.Enqueue(b.Context(), benchKey(), []ledger.Change{{Stream: "leads", Ref: ref}}, time.Minute)
		require.NoError(b, err)
		took = append(took, time.Since(begun))
		time.Sleep(2 * time.Millisecond)
	}
	stop()
	others.Wait()
	slices.Sort(took)
	total := 0
	for _, n := range done {
		total += n
	}
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
	perSecond(b, int64(total), "others")
}
