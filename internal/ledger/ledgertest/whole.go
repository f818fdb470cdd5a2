package ledgertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func wholeTests() []test {
	return []test{
		{"many migrate at once", wholeMigrate},
		{"values lie encrypted", wholeEncrypted},
		{"what was committed survives", wholeReopen},
		{"purge deletes what is old and over", wholePurge},
		{"tenants see nothing of each other", wholeTenants},
		{"a call given up writes all or nothing", wholeCancelled},
		{"a panic is the caller's own", wholePanic},
		{"now and ping", wholeNow},
		{"closing twice is no error", wholeClose},
	}
}

func wholeMigrate(w *world) {
	// The world is migrated already, so that repeating is shown too; the race on
	// an empty database is in MigrateRace.
	var group sync.WaitGroup
	for range 3 {
		store := w.db.Open(w.T, w.clock)
		group.Go(func() {
			if err := store.Migrate(w.ctx); err != nil {
				w.Errorf("migrate: %v", err)
			}
		})
	}
	group.Wait()
	_, err := w.store.Connection(w.ctx, w.key)
	w.ok(err)
}

// MigrateRace lets many stores migrate an empty database at once.
func MigrateRace(t *testing.T, db Database) {
	clock := &Clock{}
	var group sync.WaitGroup
	for range 5 {
		store := db.Open(t, clock)
		group.Go(func() {
			if err := store.Migrate(context.Background()); err != nil {
				t.Errorf("migrate: %v", err)
			}
		})
	}
	group.Wait()
	_, err := db.Open(t, clock).Enqueue(context.Background(), ledger.Key{Tenant: "t", Connection: "c"}, []ledger.Change{change(left("1"))}, time.Minute)
	require.Equal(t, fault.NotFound, fault.CodeOf(err), "%v", err)
}

func wholeEncrypted(w *world) {
	const canary = "Canary-Wren-4711"
	value := ledger.Values{"f": canary}
	l := link("1")
	l.Base = ledger.Base{Left: value, Right: value}
	w.commit(ledger.Commit{
		PutLinks:       []ledger.Link{l},
		OpenIntents:    []ledger.Intent{{ID: "i", Stream: "leads", Source: left("l1"), Sent: value, Before: value, From: value, Patch: map[string]any{"a.b": canary}}},
		History:        []ledger.HistoryEntry{{ID: "h", Stream: "leads", Ref: left("l1"), Old: canary, New: map[string]any{"x": canary}}},
		PutConflicts:   []ledger.Conflict{{ID: "c", Stream: "leads", LinkID: "link-1", LeftRef: left("l1"), State: ledger.ConflictOpen, Base: canary, Left: canary, Right: canary}},
		PutDeadLetters: []ledger.DeadLetter{{ID: "d", Stream: "leads", Ref: left("l1"), State: ledger.DeadLetterOpen, Reason: ledger.Reason{Message: canary}}},
	})
	w.ok(w.store.DecideConflict(w.ctx, w.key, "c", ledger.Decision{Choose: ledger.ChooseValue, Value: canary}, canary, canary))
	_, err := w.store.PatchDeadLetter(w.ctx, w.key, "d", value)
	w.ok(err)
	w.ok(w.store.DiscardDeadLetter(w.ctx, w.key, "d", canary))
	secret := map[string]string{"s": canary}
	w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: ledger.Key{Tenant: "t", Connection: "secret"}, Variables: secret, Secrets: secret}))
	_, err = w.store.SwapToken(w.ctx, w.key, record.Left, nil, []byte(canary))
	w.ok(err)
	_, _, err = w.store.BeginRequest(w.ctx, "t", "k", "p")
	w.ok(err)
	w.ok(w.store.EndRequest(w.ctx, "t", "k", 200, []byte(canary)))
	raw := w.db.Raw(w.T)
	require.Contains(w, string(raw), "link-1", "the raw bytes are those of the ledger")
	for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary))} {
		require.False(w, bytes.Contains(raw, []byte(form)), "a value lies open in the database")
	}
	require.Equal(w, canary, w.load(left("l1")).Link.Base.Left["f"])
}

func wholeReopen(w *world) {
	w.enqueue(change(left("1")))
	other := w.db.Open(w.T, w.clock)
	work, err := other.Claim(w.ctx, w.key, ledger.ClaimRequest{Limit: 1, TTL: time.Minute})
	w.ok(err)
	require.Equal(w, []string{"1"}, ids(work))
}

func wholePurge(w *world) {
	w.startRun("ended", ledger.RunPoll, "")
	_, err := w.store.EndRun(w.ctx, "ended", ledger.RunSucceeded, "")
	w.ok(err)
	w.startRun("running", ledger.RunPoll, "")
	tombstone := link("t")
	tombstone.State = ledger.LinkTombstone
	commit := everything("1")
	commit.PutLinks = append(commit.PutLinks, tombstone)
	commit.PutConflicts = append(commit.PutConflicts, ledger.Conflict{ID: "over", Stream: "leads", LinkID: "x", State: ledger.ConflictClosed})
	commit.PutDeadLetters = append(commit.PutDeadLetters, ledger.DeadLetter{ID: "over", Stream: "leads", Ref: left("x"), State: ledger.DeadLetterDiscarded})
	w.commit(commit)
	_, _, err = w.store.BeginRequest(w.ctx, "t", "k", "p")
	w.ok(err)
	purge := func(retention ledger.Retention) int {
		n, err := w.store.Purge(w.ctx, retention)
		w.ok(err)
		return n
	}
	week := 7 * 24 * time.Hour
	all := ledger.Retention{History: week, ClosedConflicts: week, ClosedDeadLetters: week, EndedRuns: week, Tombstones: week, Requests: week}
	require.Zero(w, purge(all), "nothing is old yet")
	w.clock.Advance(2 * week)
	require.Zero(w, purge(ledger.Retention{}), "zero keeps for good")
	require.Equal(w, 6, purge(all))
	require.Zero(w, purge(all))
	state := w.load(left("l1"))
	require.NotNil(w, state.Link)
	require.Len(w, state.Conflicts, 1)
	require.Len(w, state.DeadLetters, 1)
	require.Nil(w, w.load(left("lt")).Tombstone)
	_, err = w.store.Run(w.ctx, "ended")
	w.code(fault.NotFound, err)
	_, err = w.store.Run(w.ctx, "running")
	w.ok(err)
}

func wholeTenants(w *world) {
	other := ledger.Key{Tenant: "tenant-2", Connection: "connection-2"}
	w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: other, State: ledger.Active}))
	w.commit(everything("1"))
	mixed := ledger.Key{Tenant: other.Tenant, Connection: w.key.Connection}
	for _, key := range []ledger.Key{other, mixed} {
		state, err := w.store.Load(w.ctx, key, "leads", left("l1"))
		w.ok(err)
		require.Zero(w, state)
		p, err := w.store.Pending(w.ctx, key, ledger.PendingFilter{})
		w.ok(err)
		require.Zero(w, p)
		n, err := w.store.ReplayDeadLetters(w.ctx, key, nil, "")
		w.ok(err)
		require.Zero(w, n)
		n, err = w.store.DecideHeld(w.ctx, key, []string{"held-1"}, ledger.HeldApproved)
		w.ok(err)
		require.Zero(w, n)
		w.code(fault.NotFound, w.store.DiscardDeadLetter(w.ctx, key, "letter-1", ""))
	}
	w.expect("1", true)
}

func wholeCancelled(w *world) {
	cancelled, cancel := context.WithCancel(w.ctx)
	cancel()
	_, err := w.store.Enqueue(cancelled, w.key, []ledger.Change{change(left("1"))}, time.Minute)
	w.code(fault.Unavailable, err)
	require.ErrorIs(w, err, context.Canceled)
	require.Zero(w, w.pending().Changes)
	// Calls given up in the middle: each is there whole or not at all, and says so
	// truly when it says that it was done.
	var group sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(w.ctx, time.Duration(i)*200*time.Microsecond)
			defer cancel()
			errs[i] = w.store.Commit(ctx, w.key, everything(fmt.Sprint(i)))
		})
	}
	group.Wait()
	for i, err := range errs {
		there := w.load(left(fmt.Sprint("l", i))).Link != nil
		w.expect(fmt.Sprint(i), there)
		if err == nil {
			require.True(w, there)
		}
	}
}

func wholeNow(w *world) {
	w.ok(w.store.Ping(w.ctx))
	before := w.now()
	w.near(time.Now(), before)
	w.clock.Advance(time.Hour)
	w.near(before.Add(time.Hour), w.now())
	require.Equal(w, time.UTC, before.Location())
}

func wholePanic(w *world) {
	require.PanicsWithValue(w, "mine", func() {
		_, _ = w.store.UpdateSideState(w.ctx, w.key, record.Left, func(s *ledger.SideState) {
			s.Failures = 9
			panic("mine")
		})
	})
	state, err := w.store.SideState(w.ctx, w.key, record.Left)
	w.ok(err)
	require.Zero(w, state)
	w.enqueue(change(left("1")))
}

func wholeClose(w *world) {
	store := w.db.Open(w.T, w.clock)
	w.ok(store.Close())
	w.ok(store.Close())
	w.code(fault.Unavailable, store.Ping(w.ctx))
	_, err := store.Enqueue(w.ctx, w.key, []ledger.Change{change(left("1"))}, time.Minute)
	w.code(fault.Unavailable, err)
	w.enqueue(change(left("1")))
}
