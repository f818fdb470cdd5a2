//go:build e2e

package e2e

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger/ledgertest"
)

// suspend stops a program where it stands, resume lets it go on as if no time had passed.
func (p *process) suspend(t testing.TB) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
	t.Logf("suspended %s", p.name)
}

func (p *process) resume(t testing.TB) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
	t.Logf("resumed %s", p.name)
}

// TestSleepingWorker lets a worker sleep in the middle of its work until the other
// one has done it, and wakes it: it must not do it again. People edit all the while.
// It needs Postgres: a file of SQLite is locked for as long as a process sleeps that
// was about to write to it, so there all others wait until it wakes.
func TestSleepingWorker(t *testing.T) {
	s := newStack(t, stackOptions{db: ledgertest.NewPostgresDatabase(t, ledgertest.StartPostgres(t))})
	w := newWorld(t, s)
	w.seed(t, 120, 60, 30)
	w.slow(t, 300)
	w.install(t)
	w.activate(t)
	for n, percent := range []int{20, 50} {
		at := w.awaitProgress(t, percent)
		s.workers[n].suspend(t)
		w.awaitProgress(t, min(at+25, 95))
		s.workers[n].resume(t)
	}
	run := w.awaitRun(t, "backfill")
	require.Equal(t, "succeeded", run.State)
	w.slow(t, 0)
	w.awaitAgreement(t, 210)
	require.Equal(t, []int{120, 60}, []int{w.created(t, w.right), w.created(t, w.left)})
	var pairs []pair
	for n := 1; n <= 20; n++ {
		pairs = append(pairs, w.pair(t, n))
	}
	people := w.letPeopleEdit(t, pairs)
	for n := range 4 {
		people.awaitMore(t, 20)
		s.workers[n%2].suspend(t)
		people.awaitMore(t, 150)
		s.workers[n%2].resume(t)
	}
	people.verify(t)
	w.awaitAgreement(t, 210)
	t.Logf("workers slept and woke 6 times; counts of the first load %+v", run.Counts)
	w.quiet(t)
}
