//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ledgerFiles are the ledger's file and what SQLite keeps beside it.
func (s *stack) ledgerFiles(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "ledger.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	files := map[string][]byte{}
	for _, name := range names {
		files[name], err = os.ReadFile(name)
		require.NoError(t, err)
	}
	return files
}

// putBack replaces the ledger by a copy of it.
func (s *stack) putBack(t testing.TB, files map[string][]byte) {
	t.Helper()
	for name := range s.ledgerFiles(t) {
		require.NoError(t, os.Remove(name))
	}
	for name, content := range files {
		require.NoError(t, os.WriteFile(name, content, 0o600))
	}
}

// without runs act while the programs that use the ledger are stopped.
func (s *stack) without(t testing.TB, act func()) {
	t.Helper()
	programs := append(append([]*process{}, s.workers...), s.apis...)
	for _, p := range programs {
		require.True(t, p.stop(), "%s did not stop", p.name)
	}
	act()
	for _, p := range programs {
		p.start(t)
	}
	s.awaitReady(t)
}

// TestARestoredLedger puts the ledger back to an older state, as an operator does
// with a backup, after edits, a create and a delete that it then knows nothing of.
func TestARestoredLedger(t *testing.T) {
	s := newStack(t, stackOptions{})
	w := newWorld(t, s)
	w.seed(t, 20, 10, 5)
	w.bringUp(t, 35)
	var backup map[string][]byte
	s.without(t, func() { backup = s.ledgerFiles(t) })

	edited, deleted, later := w.pair(t, 1), w.pair(t, 2), w.pair(t, 3)
	_, err := w.left.admin.CreateRecord(t.Context(), w.left.object, w.lead(90))
	require.NoError(t, err)
	w.awaitAgreement(t, 36)
	_, err = w.right.admin.DeleteRecord(t.Context(), w.right.object, deleted.on(w.right))
	require.NoError(t, err)
	w.awaitAgreement(t, 35)
	// How far the ledger has come is counted every three seconds, and told to Temporal
	// with the work that is done: what is lost must be more than a restart makes good.
	var want person
	for range 8 {
		time.Sleep(3 * time.Second)
		want = person{"company": w.word("Nova")}
		w.edit(t, w.left, edited, map[string]any{"company": want["company"]})
		w.awaitBoth(t, edited, want)
	}
	w.awaitIdle(t)
	creates := []int{w.created(t, w.left), w.created(t, w.right)}

	changes := []int{w.writes(t, w.left), w.writes(t, w.right)}
	s.without(t, func() { s.putBack(t, backup) })
	after := person{"position": w.word("Diretora")}
	w.edit(t, w.right, later, map[string]any{"job_title": after["position"]})
	eventually(t, "the connection stands still", func(ctx context.Context) (bool, string) {
		now, err := w.status(ctx)
		return err == nil && now.State == "failing", now.State
	})
	eventually(t, "the edit was told", func(ctx context.Context) (bool, string) {
		hooks, err := w.right.admin.WebhookCounts(ctx)
		return err == nil && hooks.Held+hooks.Waiting+hooks.Retrying == 0, fmt.Sprintf("%+v, error %v", hooks, err)
	})
	require.Equal(t, changes, []int{w.writes(t, w.left), w.writes(t, w.right)}, "nothing is written before somebody has accepted the old state")

	w.s.api.post(t, w.path("/restored"), map[string]any{}, nil)
	w.awaitBoth(t, later, after)
	w.awaitBoth(t, edited, want)
	w.awaitAgreement(t, 35)
	w.awaitIdle(t)
	require.Equal(t, creates, []int{w.created(t, w.left), w.created(t, w.right)}, "nothing is made twice, and nothing deleted comes back")
	w.quiet(t)
}
