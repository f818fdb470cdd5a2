package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
)

// inboxPoison: a row whose workers die again and again is put off between two
// claims, while one that is put back with a word is not.
func inboxPoison(w *world) {
	w.enqueue(change(left("1")))
	for range 2 * ledger.PoisonClaims {
		waits := w.claimOne()
		require.Equal(w, 0, waits.Crashes, "a row put back on purpose crashed nobody")
		w.commit(ledger.Commit{Lease: waits.Lease, Retry: &waits})
	}
	var last ledger.Work
	for n := range ledger.PoisonClaims {
		last = w.claimOne()
		require.Equal(w, n, last.Crashes)
		w.clock.Advance(31 * time.Second)
	}
	require.Empty(w, w.claim(10), "nobody takes it for a while")
	require.Equal(w, 1, w.pending().Changes)
	w.enqueue(change(left("2")))
	require.Equal(w, "2", w.claimOne().Ref.ID, "others are served meanwhile")
	w.clock.Advance(21 * time.Second)
	last = w.claimOne()
	require.Equal(w, ledger.PoisonClaims, last.Crashes)
	w.commit(ledger.Commit{Lease: last.Lease, Retry: &last})
	require.Equal(w, 0, w.claimOne().Crashes, "it ended with a word")
}

// inboxPatient: a patient change leaves the back-off of a failed try alone, and
// is an arrival like any other where there is none.
func inboxPatient(w *world) {
	patient := change(left("1"))
	patient.Patient = true
	w.enqueue(patient)
	work := w.claimOne()
	w.commit(ledger.Commit{Lease: work.Lease, Retry: &work, RetryAt: w.now().Add(time.Minute), CountTry: true})
	w.enqueue(patient)
	require.Empty(w, w.claim(10))
	w.enqueue(change(left("1")))
	again := w.claimOne()
	require.Equal(w, work.Generation+1, again.Generation)
}
