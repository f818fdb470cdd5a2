package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

func leaseTests() []test {
	return []test{
		{"one owner at a time", leaseExclusive},
		{"extend all or nothing", leaseExtend},
		{"extend keeps a claim", leaseExtendClaim},
		{"the end of work takes keys that are free", leaseTakenAtTheEnd},
		{"a lapsed lease counts until it is taken", leaseLapsed},
		{"come and gone is lost too", leaseComeAndGone},
	}
}

func (w *world) acquire(keys ...string) ledger.Lease {
	w.Helper()
	lease, err := w.store.Acquire(w.ctx, w.key, keys, 30*time.Second)
	w.ok(err)
	return lease
}

func leaseExclusive(w *world) {
	a := w.acquire("k2", "k1")
	require.Equal(w, []string{"k1", "k2"}, a.Keys)
	w.near(w.now().Add(30*time.Second), a.Expires)
	_, err := w.store.Acquire(w.ctx, w.key, []string{"k0", "k2"}, time.Minute)
	w.code(fault.Busy, err)
	b := w.acquire("k0")
	require.NotEqual(w, a.Token, b.Token)
	// Another connection has keys of its own.
	_, err = w.store.Acquire(w.ctx, ledger.Key{Tenant: "t", Connection: "other"}, []string{"k1"}, time.Minute)
	w.ok(err)
	w.ok(w.store.Release(w.ctx, w.key, a))
	w.ok(w.store.Release(w.ctx, w.key, a))
	w.acquire("k1", "k2")
	w.clock.Advance(31 * time.Second)
	w.acquire("k0", "k1", "k2")
}

func leaseExtend(w *world) {
	a, b := w.acquire("a"), w.acquire("b")
	_, err := w.store.Extend(w.ctx, w.key, a, []string{"c", "b"}, time.Minute)
	w.code(fault.Busy, err)
	w.acquire("c")
	w.ok(w.store.Release(w.ctx, w.key, b))
	a, err = w.store.Extend(w.ctx, w.key, a, []string{"b", "a"}, time.Minute)
	w.ok(err)
	require.Equal(w, []string{"a", "b"}, a.Keys)
	w.near(w.now().Add(time.Minute), a.Expires)
	w.clock.Advance(31 * time.Second)
	_, err = w.store.Acquire(w.ctx, w.key, []string{"b"}, time.Minute)
	w.code(fault.Busy, err)
	w.clock.Advance(time.Minute)
	w.acquire("b")
	_, err = w.store.Extend(w.ctx, w.key, a, nil, time.Minute)
	w.code(fault.Stale, err)
}

func leaseExtendClaim(w *world) {
	w.enqueue(change(left("1")))
	work := w.claimOne()
	lease, err := w.store.Extend(w.ctx, w.key, work.Lease, []string{ledger.MatchLeaseKey("leads", "hash")}, time.Minute)
	w.ok(err)
	w.clock.Advance(40 * time.Second)
	require.Empty(w, w.claim(10))
	w.commit(ledger.Commit{Lease: lease, Done: &work})
	require.Zero(w, w.pending().Changes)
	w.acquire(lease.Keys...)
}

func leaseTakenAtTheEnd(w *world) {
	w.enqueue(change(left("1")))
	work, held := w.claimOne(), w.acquire("b")
	ended := ledger.Commit{Lease: work.Lease, Done: &work, Take: []string{"b", "a"}, PutLinks: []ledger.Link{link("1")}}
	err := w.store.Commit(w.ctx, w.key, ended)
	w.code(fault.Busy, err)
	require.Equal(w, "b", fault.As(err).Subject)
	require.Nil(w, w.load(left("l1")).Link, "nothing was written")
	w.acquire("a")
	w.ok(w.store.Release(w.ctx, w.key, held))
	ended.Take = []string{"b"}
	w.commit(ended)
	require.NotNil(w, w.load(left("l1")).Link)
	w.acquire("b")
	for _, half := range []ledger.Commit{{Lease: held, Take: []string{"c"}}, {Done: &work, Take: []string{"c"}}} {
		w.code(fault.Usage, w.store.Commit(w.ctx, w.key, half))
	}
}

func leaseLapsed(w *world) {
	w.enqueue(change(left("1")))
	work := w.claimOne()
	w.clock.Advance(time.Hour)
	w.commit(ledger.Commit{Lease: work.Lease, Done: &work, PutLinks: []ledger.Link{link("1")}})
	require.NotNil(w, w.load(left("l1")).Link)
	require.Zero(w, w.pending().Changes)
}

func leaseComeAndGone(w *world) {
	mine := w.acquire("a", "b")
	w.clock.Advance(31 * time.Second)
	w.ok(w.store.Release(w.ctx, w.key, w.acquire("b")))
	w.code(fault.Stale, w.store.Commit(w.ctx, w.key, ledger.Commit{Lease: mine, PutLinks: []ledger.Link{link("1")}}))
	require.Nil(w, w.load(left("l1")).Link)
	_, err := w.store.Extend(w.ctx, w.key, mine, nil, time.Minute)
	w.code(fault.Stale, err)
}
