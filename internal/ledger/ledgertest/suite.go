// Package ledgertest proves a ledger.Store: every method and every promise of
// its comments. Each implementation runs the same suite.
package ledgertest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// Clock lets time pass for the stores of a test: they add Offset to their own
// clock, which on Postgres is the database's.
type Clock struct{ offset, machine atomic.Int64 }

// Machine is the time of the machine that a store runs on.
func (c *Clock) Machine() time.Time { return time.Now().Add(time.Duration(c.machine.Load())) }

// SetMachine sets the machine's clock off the right time by d. On Postgres the
// ledger has a clock of its own.
func (c *Clock) SetMachine(d time.Duration) { c.machine.Store(int64(d)) }

// Offset is how much time has been let pass.
func (c *Clock) Offset() time.Duration { return time.Duration(c.offset.Load()) }

// Advance lets d pass.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// Database is one empty database.
type Database struct {
	// Open opens another Store on it, as another process would; the test's end
	// closes it. It does not migrate.
	Open func(t *testing.T, clock *Clock) ledger.Store
	// Raw returns everything the database has stored, as it lies on the disk or
	// in the tables.
	Raw func(t *testing.T) []byte
}

// Run proves the implementation that fresh makes empty databases of.
func Run(t *testing.T, fresh func(t *testing.T) Database) {
	groups := []struct {
		name  string
		tests []test
	}{
		{"connections", connectionTests()},
		{"restored ledgers", restoredTests()},
		{"inbox", inboxTests()},
		{"leases", leaseTests()},
		{"commit", commitTests()},
		{"load", loadTests()},
		{"conflicts", conflictTests()},
		{"dead letters", deadLetterTests()},
		{"history, guard and runs", bookTests()},
		{"listings", listingTests()},
		{"sides", sideTests()},
		{"rules", ruleTests()},
		{"touch-points", touchPointTests()},
		{"clocks", clockTests()},
		{"whole", wholeTests()},
	}
	for _, group := range groups {
		for _, test := range group.tests {
			t.Run(group.name+"/"+test.name, func(t *testing.T) { test.run(newWorld(t, fresh(t))) })
		}
	}
}

// test is one promise.
type test struct {
	name string
	run  func(*world)
}

// world is a migrated database with an active connection, and short words for
// what tests do often.
type world struct {
	*testing.T
	ctx   context.Context
	db    Database
	clock *Clock
	store ledger.Store
	key   ledger.Key
}

func newWorld(t *testing.T, db Database) *world {
	w := &world{
		T: t, ctx: context.Background(), db: db, clock: &Clock{},
		key: ledger.Key{Tenant: "tenant-1", Connection: "connection-1"},
	}
	w.store = db.Open(t, w.clock)
	require.NoError(t, w.store.Migrate(w.ctx))
	require.NoError(t, w.store.CreateConnection(w.ctx, ledger.Connection{Key: w.key, Name: "salesos-acme", State: ledger.Active}))
	return w
}

// ok fails the test on an error.
func (w *world) ok(err error) {
	w.Helper()
	require.NoError(w, err)
}

// code expects an error of a code.
func (w *world) code(code fault.Code, err error) {
	w.Helper()
	require.Error(w, err)
	require.Equal(w, code, fault.CodeOf(err), "%v", err)
}

// now is the store's clock.
func (w *world) now() time.Time {
	w.Helper()
	now, err := w.store.Now(w.ctx)
	w.ok(err)
	return now
}

func left(id string) record.Ref { return record.Ref{Side: record.Left, Object: "leads", ID: id} }
func right(id string) record.Ref {
	return record.Ref{Side: record.Right, Object: "contacts", ID: id}
}

func change(ref record.Ref) ledger.Change { return ledger.Change{Stream: "leads", Ref: ref} }

// enqueue stores changes.
func (w *world) enqueue(changes ...ledger.Change) {
	w.Helper()
	_, err := w.store.Enqueue(w.ctx, w.key, changes, time.Minute)
	w.ok(err)
}

// claim takes up to limit rows of all lanes for 30 seconds.
func (w *world) claim(limit int) []ledger.Work {
	w.Helper()
	work, err := w.store.Claim(w.ctx, w.key, ledger.ClaimRequest{Limit: limit, TTL: 30 * time.Second, MaxLane: ledger.LaneBackfill})
	w.ok(err)
	return work
}

// claimOne expects exactly one row and takes it.
func (w *world) claimOne() ledger.Work {
	w.Helper()
	work := w.claim(10)
	require.Len(w, work, 1)
	return work[0]
}

func (w *world) commit(commit ledger.Commit) {
	w.Helper()
	w.ok(w.store.Commit(w.ctx, w.key, commit))
}

func (w *world) pending() ledger.Pending {
	w.Helper()
	pending, err := w.store.Pending(w.ctx, w.key, ledger.PendingFilter{})
	w.ok(err)
	return pending
}

func (w *world) load(ref record.Ref) ledger.State {
	w.Helper()
	state, err := w.store.Load(w.ctx, w.key, "leads", ref)
	w.ok(err)
	return state
}

// link makes an active link between l<id> and r<id>.
func link(id string) ledger.Link {
	return ledger.Link{ID: "link-" + id, Stream: "leads", Left: left("l" + id), Right: right("r" + id), State: ledger.LinkActive}
}

// near expects a time within a few seconds, to allow for a slow machine.
func (w *world) near(want, got time.Time) {
	w.Helper()
	require.WithinDuration(w, want, got, 10*time.Second)
}

// ids returns the record ids of work.
func ids(work []ledger.Work) []string {
	var out []string
	for _, item := range work {
		out = append(out, item.Ref.ID)
	}
	return out
}

// pages reads a list to its end, two rows at a time, and returns the ids.
func pages[T any](w *world, read func(ledger.ListOptions) ([]T, string, error), id func(T) string) []string {
	w.Helper()
	var all []string
	options := ledger.ListOptions{Limit: 2}
	for range 100 {
		items, next, err := read(options)
		w.ok(err)
		require.LessOrEqual(w, len(items), 2)
		for _, item := range items {
			all = append(all, id(item))
		}
		if next == "" {
			_, _, err = read(ledger.ListOptions{Cursor: "nonsense"})
			w.code(fault.Usage, err)
			_, _, err = read(ledger.ListOptions{Limit: 201})
			w.code(fault.Usage, err)
			return all
		}
		require.Len(w, items, 2)
		options.Cursor = next
	}
	require.Fail(w, "the list does not end")
	return nil
}

// numbered makes n names.
func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return names
}
