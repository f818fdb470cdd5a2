package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func connectionTests() []test {
	return []test{
		{"create, read, find", connectionRoundTrip},
		{"update by version", connectionUpdate},
		{"versions that were replaced", connectionReplaced},
		{"state", connectionState},
		{"list by tenant", connectionList},
		{"versions of all", connectionVersions},
		{"delete takes everything", connectionDelete},
	}
}

func connectionRoundTrip(w *world) {
	c := ledger.Connection{
		Key: ledger.Key{Tenant: "t", Connection: "c"}, Name: "n", Version: 7, Integration: "streams: {}",
		Variables: map[string]string{"URL": "http://x"}, Secrets: map[string]string{"s": "secret"},
	}
	w.ok(w.store.CreateConnection(w.ctx, c))
	w.code(fault.Conflict, w.store.CreateConnection(w.ctx, c))
	got, err := w.store.Connection(w.ctx, c.Key)
	w.ok(err)
	w.near(w.now(), got.CreatedAt)
	w.near(w.now(), got.UpdatedAt)
	got.CreatedAt, got.UpdatedAt = time.Time{}, time.Time{}
	c.Version, c.State = 1, ledger.Draft
	require.Equal(w, c, got)
	found, err := w.store.FindConnection(w.ctx, "c")
	w.ok(err)
	require.Equal(w, c.Key, found.Key)
	_, err = w.store.FindConnection(w.ctx, "none")
	w.code(fault.NotFound, err)
	_, err = w.store.Connection(w.ctx, ledger.Key{Tenant: "other", Connection: "c"})
	w.code(fault.NotFound, err)
	// Ids are unique over all tenants, since they are looked up without one.
	c.Tenant = "other"
	w.code(fault.Conflict, w.store.CreateConnection(w.ctx, c))
}

func connectionVersions(w *world) {
	w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: ledger.Key{Tenant: "other", Connection: "a"}, Name: "n", Integration: "i"}))
	c, err := w.store.Connection(w.ctx, w.key)
	w.ok(err)
	c.Version++
	w.ok(w.store.UpdateConnection(w.ctx, c))
	w.ok(w.store.SetConnectionState(w.ctx, w.key, ledger.Paused, "why"))
	found, err := w.store.Versions(w.ctx)
	w.ok(err)
	require.Contains(w, found, ledger.Connection{Key: ledger.Key{Tenant: "other", Connection: "a"}, State: ledger.Draft, Version: 1})
	require.Contains(w, found, ledger.Connection{Key: w.key, State: ledger.Paused, Version: c.Version})
}

func connectionReplaced(w *world) {
	edit := func(secret string) {
		c, err := w.store.Connection(w.ctx, w.key)
		w.ok(err)
		c.Version++
		c.Integration, c.Variables, c.Secrets = "i-"+secret, map[string]string{"v": secret}, map[string]string{"s": secret}
		w.ok(w.store.UpdateConnection(w.ctx, c))
	}
	replaced := func(within time.Duration) (versions []int) {
		found, err := w.store.ReplacedVersions(w.ctx, w.key, within)
		w.ok(err)
		for _, c := range found {
			require.Equal(w, w.key, c.Key)
			versions = append(versions, c.Version)
			if c.Version > 1 {
				require.Equal(w, "i-"+c.Secrets["s"], c.Integration)
				require.Equal(w, c.Secrets, map[string]string{"s": c.Variables["v"]})
			}
		}
		return versions
	}
	require.Empty(w, replaced(time.Hour))
	edit("b")
	w.clock.Advance(40 * time.Minute)
	edit("c")
	require.Equal(w, []int{2, 1}, replaced(time.Hour))
	w.clock.Advance(40 * time.Minute)
	require.Equal(w, []int{2}, replaced(time.Hour), "version 1 was replaced earlier")
	w.clock.Advance(40 * time.Minute)
	require.Empty(w, replaced(time.Hour), "the present one is not replaced")
}

func connectionUpdate(w *world) {
	c, err := w.store.Connection(w.ctx, w.key)
	w.ok(err)
	c.Version, c.Integration, c.Secrets = 2, "new", map[string]string{"a": "b"}
	w.ok(w.store.UpdateConnection(w.ctx, c))
	w.code(fault.Conflict, w.store.UpdateConnection(w.ctx, c))
	got, err := w.store.Connection(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, 2, got.Version)
	require.Equal(w, "new", got.Integration)
	require.Equal(w, ledger.Active, got.State)
	require.Equal(w, c.Secrets, got.Secrets)
	text, err := w.store.IntegrationOf(w.ctx, w.key, 2)
	w.ok(err)
	require.Equal(w, "new", text)
	text, err = w.store.IntegrationOf(w.ctx, w.key, 1)
	w.ok(err)
	require.NotEqual(w, "new", text, "the old version is kept")
	_, err = w.store.IntegrationOf(w.ctx, w.key, 3)
	w.code(fault.NotFound, err)
	c.Connection = "none"
	w.code(fault.NotFound, w.store.UpdateConnection(w.ctx, c))
}

func connectionState(w *world) {
	w.ok(w.store.SetConnectionState(w.ctx, w.key, ledger.Paused, "by hand"))
	got, err := w.store.Connection(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, ledger.Paused, got.State)
	require.Equal(w, "by hand", got.StateReason)
	standing, err := w.store.Standing(w.ctx, w.key)
	w.ok(err)
	require.Equal(w, ledger.Paused, standing.State)
	require.Equal(w, 1, standing.Version)
	_, err = w.store.Standing(w.ctx, ledger.Key{Tenant: "x", Connection: "y"})
	w.code(fault.NotFound, err)
	w.code(fault.NotFound, w.store.SetConnectionState(w.ctx, ledger.Key{Tenant: "x", Connection: "y"}, ledger.Active, ""))
}

func connectionList(w *world) {
	for _, id := range numbered("c", 5) {
		w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: ledger.Key{Tenant: "t", Connection: id}}))
	}
	list := func(tenant string) []string {
		return pages(w, func(o ledger.ListOptions) ([]ledger.Connection, string, error) {
			return w.store.ListConnections(w.ctx, tenant, o)
		}, func(c ledger.Connection) string { return c.Connection })
	}
	require.Equal(w, numbered("c", 5), list("t"))
	require.Equal(w, append(numbered("c", 5), w.key.Connection), list(""))
	require.Empty(w, list("nobody"))
}

func connectionDelete(w *world) {
	w.enqueue(change(left("1")))
	work := w.claimOne()
	w.commit(ledger.Commit{
		PutLinks: []ledger.Link{link("9")}, History: []ledger.HistoryEntry{{ID: "h", Stream: "leads", Ref: left("1")}},
		PutSeen:        []ledger.Seen{{Stream: "leads", Ref: left("1"), MatchHash: "m"}},
		PutHeld:        []ledger.Held{{ID: "held", Stream: "leads", Ref: left("1"), State: ledger.HeldWaiting}},
		PutConflicts:   []ledger.Conflict{{ID: "conflict", Stream: "leads", LinkID: "link-9", State: ledger.ConflictOpen}},
		PutDeadLetters: []ledger.DeadLetter{{ID: "letter", Stream: "leads", Ref: left("1"), State: ledger.DeadLetterOpen}},
		OpenIntents:    []ledger.Intent{{ID: "intent", Stream: "leads", Source: left("1")}},
	})
	_, _, err := w.store.StartRun(w.ctx, ledger.Run{ID: "run", Key: w.key, Kind: ledger.RunPoll})
	w.ok(err)
	_, err = w.store.SwapToken(w.ctx, w.key, record.Left, nil, []byte("token"))
	w.ok(err)
	w.ok(w.store.DeleteConnection(w.ctx, w.key))
	w.code(fault.NotFound, w.store.DeleteConnection(w.ctx, w.key))
	w.code(fault.Stale, w.store.Commit(w.ctx, w.key, ledger.Commit{Lease: work.Lease, Done: &work, PutLinks: []ledger.Link{link("8")}}))
	_, err = w.store.Enqueue(w.ctx, w.key, []ledger.Change{change(left("1"))}, time.Minute)
	w.code(fault.NotFound, err)
	_, _, err = w.store.FindConflict(w.ctx, "conflict")
	w.code(fault.NotFound, err)
	// A new connection of the same id finds nothing of the old one.
	w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: w.key, State: ledger.Active}))
	require.Zero(w, w.pending())
	require.Zero(w, w.load(left("l9")))
	seen, err := w.store.SeenMany(w.ctx, w.key, "leads", record.Left, []string{"1"})
	w.ok(err)
	require.Empty(w, seen)
	token, err := w.store.LoadToken(w.ctx, w.key, record.Left)
	w.ok(err)
	require.Empty(w, token)
	history, _, err := w.store.ListHistory(w.ctx, w.key, ledger.HistoryFilter{}, ledger.ListOptions{})
	w.ok(err)
	require.Empty(w, history)
	_, err = w.store.Run(w.ctx, "run")
	w.code(fault.NotFound, err)
}
