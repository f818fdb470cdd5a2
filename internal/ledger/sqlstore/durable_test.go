package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/ledgertest"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

// childDSN tells the test binary to be the process that gets killed.
const childDSN = "ACCORD_TEST_CHILD_DSN"

// TestMain lets the binary play the process that is killed.
func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		enqueueForever(dsn)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// enqueueForever stores changes from many goroutines and prints each id once it
// is acknowledged.
func enqueueForever(dsn string) {
	store, err := sqlstore.Open(context.Background(), dsn, sqlstore.Options{Key: testKey()})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := 0; ; i++ {
				ref := record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprintf("%d-%d", worker, i)}
				if _, err := store.Enqueue(context.Background(), benchKey(), []ledger.Change{{Stream: "leads", Ref: ref}}, time.Minute); err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println(ref.ID)
			}
		})
	}
	group.Wait()
}

func TestAcknowledgedChangesSurviveAKill(t *testing.T) {
	ctx := context.Background()
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")
	store := open(t, dsn, &ledgertest.Clock{})
	require.NoError(t, store.Migrate(ctx))
	require.NoError(t, store.CreateConnection(ctx, ledger.Connection{Key: benchKey(), State: ledger.Active}))
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDSN+"="+dsn)
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var acknowledged []string
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		acknowledged = append(acknowledged, lines.Text())
		if len(acknowledged) == 500 {
			require.NoError(t, child.Process.Kill())
		}
	}
	require.Error(t, child.Wait(), "it was killed")
	require.GreaterOrEqual(t, len(acknowledged), 500)
	stored := map[string]bool{}
	for {
		work, err := store.Claim(ctx, benchKey(), ledger.ClaimRequest{Limit: 200, TTL: time.Hour})
		require.NoError(t, err)
		if len(work) == 0 {
			break
		}
		for _, item := range work {
			stored[item.Ref.ID] = true
		}
	}
	for i, id := range acknowledged[:500] {
		require.True(t, stored[id], "line %d: %q was acknowledged and is gone", i, id)
	}
}
