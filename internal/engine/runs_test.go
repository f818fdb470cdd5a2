package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// zReopen changes the working form of the connection.
func (b *bench) zReopen(change func(in *engine.Installed)) {
	open := b.options.Open
	b.options.Open = func(ctx context.Context, c ledger.Connection) (*engine.Installed, error) {
		in, err := open(ctx, c)
		if err != nil {
			return nil, err
		}
		copied := *in
		change(&copied)
		return &copied, nil
	}
	b.restart()
}

// zListing is a system whose listings are answered by a test.
type zListing struct {
	connector.Connector
	list func(ctx context.Context, request connector.ListRequest) (connector.Page, error)
}

func (l zListing) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	return l.list(ctx, request)
}

// zBreak makes each GET of a record fail until the returned call.
func (b *bench) zBreak(id string) (mend func()) {
	b.t.Helper()
	broken, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 500, Times: -1, Method: "GET", RecordID: id})
	require.NoError(b.t, err)
	return func() { require.NoError(b.t, b.left.RemoveFault(b.ctx, broken)) }
}

// zFail is a fault with a code.
func zFail(code fault.Code) error { return fault.New(code, "the test says so") }

func TestARunDoesNotWaitForASickRecord(t *testing.T) {
	for _, kind := range []ledger.RunKind{ledger.RunCompare, ledger.RunBackfill, ledger.RunPoll} {
		t.Run(string(kind), func(t *testing.T) {
			b := start(t, setup{})
			sick, sickContact := b.pair("sick@x.com")
			lead, contact := b.pair("ana@x.com")
			mend := b.zBreak(sick)
			b.edit(record.Left, sick, map[string]any{"company": "Z"})
			b.edit(record.Left, lead, map[string]any{"company": "Y"})
			for range 2 {
				run := b.run(kind)
				require.Equal(t, ledger.RunSucceeded, run.State)
				left, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{RunID: run.ID})
				require.NoError(t, err)
				require.Zero(t, left.Changes, "the run has nothing left to wait for")
				live, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{SkipBackfill: true})
				require.NoError(t, err)
				require.Equal(t, 1, live.Changes, "the sick record is live work")
			}
			require.Equal(t, "Y", text(b.get(record.Right, contact), "company_name"))
			mend()
			b.settle()
			require.Equal(t, "Z", text(b.get(record.Right, sickContact), "company_name"))
		})
	}
}

func TestARunDoesNotWaitForWhatWaitsForASickRecord(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
	b.hint(record.Left, lead)
	b.crash = func(step string) error {
		if step == "after create" {
			return engine.Killed()
		}
		return nil
	}
	b.drain()
	b.crash = nil
	b.clock.advance(11 * time.Second)
	require.Len(t, b.live(record.Right), 1, "made, and not linked yet")
	broken, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 500, Times: -1, Method: "POST", PathRegexp: "/contacts"})
	require.NoError(t, err)
	run := b.run(ledger.RunCompare)
	left, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{RunID: run.ID})
	require.NoError(t, err)
	require.Zero(t, left.Changes, "neither the record whose create cannot be settled nor the one that it made")
	require.NoError(t, b.right.RemoveFault(b.ctx, broken))
	b.settle()
	require.Len(t, b.live(record.Right), 1)
	b.other(record.Left, lead)
}

func TestARunStaysForTheSecondLookAtADelete(t *testing.T) {
	b := start(t, setup{})
	b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	b.remove(record.Left, lead)
	run := b.run(ledger.RunCompare)
	require.NotNil(t, b.get(record.Right, contact).DeletedAt)
	require.Equal(t, 1, run.Counts.Deleted, "the delete is counted with the run that found it")
}

// What is polled by a run is what is polled by itself: a vendor's list of deletes too. One
// that does not tell it holds no run up.
func TestARunOfPollsReadsTheListOfDeletes(t *testing.T) {
	b := start(t, setup{})
	b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	b.remove(record.Right, contact)
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 404, Times: -1, Method: "GET", PathRegexp: "/deleted"})
	require.NoError(t, err)
	b.run(ledger.RunPoll)
	require.Nil(t, b.get(record.Left, lead).DeletedAt)
	require.NoError(t, b.right.ClearFaults(b.ctx))
	run := b.run(ledger.RunPoll)
	require.NotNil(t, b.get(record.Left, lead).DeletedAt)
	require.Equal(t, 1, run.Counts.Deleted, "the delete is counted with the run that found it")
}

func TestAListingBeginsAnewWhenItsPlaceIsRefused(t *testing.T) {
	place := func(b *bench, scope string) {
		cursor, err := b.store.Cursor(b.ctx, b.key, "leads", record.Right, scope)
		require.NoError(t, err)
		cursor.Page = "a place of long ago"
		_, err = b.store.CommitPage(b.ctx, b.key, ledger.PageCommit{Stream: "leads", Side: record.Right, Scope: scope, Cursor: cursor})
		require.NoError(t, err)
	}
	t.Run("poll", func(t *testing.T) {
		b := start(t, setup{})
		lead, contact := b.pair("ana@x.com")
		place(b, "poll")
		b.edit(record.Right, contact, map[string]any{"company_name": "X"})
		b.poll()
		b.settle()
		require.Equal(t, "X", text(b.get(record.Left, lead), "company"))
	})
	t.Run("compare", func(t *testing.T) {
		b := start(t, setup{})
		lead, contact := b.pair("ana@x.com")
		b.edit(record.Right, contact, map[string]any{"company_name": "X"})
		run, _, err := b.store.StartRun(b.ctx, ledger.Run{ID: "again", Key: b.key, Kind: ledger.RunCompare, State: ledger.RunRunning, Total: -1})
		require.NoError(t, err)
		place(b, run.ID)
		b.finishRun(run)
		require.Equal(t, "X", text(b.get(record.Left, lead), "company"))
	})
}

func TestAListingThatIsAlwaysRefusedDoesNotGoInCircles(t *testing.T) {
	for _, code := range []fault.Code{fault.Usage, fault.Invalid, fault.Gone} {
		t.Run(string(code), func(t *testing.T) {
			b := start(t, setup{})
			calls := 0
			b.zReopen(func(in *engine.Installed) {
				in.Left = zListing{in.Left, func(_ context.Context, request connector.ListRequest) (connector.Page, error) {
					if calls++; request.Cursor != "" {
						return connector.Page{}, zFail(code)
					}
					return connector.Page{Next: "more", Total: -1, ServerTime: b.clock.now()}, nil
				}}
			})
			_, err := b.engine.Poll(b.ctx, b.key, "leads")
			require.NoError(t, err)
			require.Equal(t, 4, calls, "the first page, its refused successor, and both once more")
			calls = 0
			_, err = b.engine.ListStep(b.ctx, b.key, engine.ListRequest{RunID: b.zRunning(), Kind: ledger.RunCompare, Stream: "leads"})
			require.Equal(t, code == fault.Usage, err != nil)
			require.Equal(t, 4, calls)
		})
	}
}

// zRunning opens a compare.
func (b *bench) zRunning() string {
	run, _, err := b.store.StartRun(b.ctx, ledger.Run{ID: "open", Key: b.key, Kind: ledger.RunCompare, State: ledger.RunRunning, Total: -1})
	require.NoError(b.t, err)
	return run.ID
}

func TestAPollGoesOnWithTheOtherSide(t *testing.T) {
	for _, code := range []fault.Code{fault.Duplicate, fault.Stale, fault.Internal, fault.Usage, fault.Transient} {
		t.Run(string(code), func(t *testing.T) {
			b := start(t, setup{})
			_, contact := b.pair("ana@x.com")
			b.zReopen(func(in *engine.Installed) {
				in.Left = zListing{in.Left, func(context.Context, connector.ListRequest) (connector.Page, error) {
					return connector.Page{}, zFail(code)
				}}
			})
			b.edit(record.Right, contact, map[string]any{"company_name": "X"})
			b.clock.advance(time.Minute)
			found, err := b.engine.Poll(b.ctx, b.key, "leads")
			require.NoError(t, err)
			require.Equal(t, 1, found.Enqueued)
			states, err := b.store.StreamStates(b.ctx, b.key)
			require.NoError(t, err)
			for _, state := range states {
				if state.Stream == "leads" {
					require.True(t, state.NextPollAt.After(b.clock.now().Add(-time.Second)), "the next poll is set")
				}
			}
		})
	}
	t.Run("a ledger that does not answer", func(t *testing.T) {
		b := start(t, setup{})
		b.zReopen(func(in *engine.Installed) {
			in.Left = zListing{in.Left, func(context.Context, connector.ListRequest) (connector.Page, error) {
				return connector.Page{}, zFail(fault.Unavailable)
			}}
		})
		_, err := b.engine.Poll(b.ctx, b.key, "leads")
		require.True(t, fault.Is(err, fault.Unavailable))
	})
}

func TestOneSickRecordDoesNotStopItsSide(t *testing.T) {
	b := start(t, setup{})
	sick, _ := b.pair("sick@x.com")
	lead, contact := b.pair("ana@x.com")
	b.zBreak(sick)
	b.hint(record.Left, sick)
	for range 14 {
		if wait := b.drain().NextDue.Sub(b.clock.now()); wait > 0 {
			b.clock.advance(wait + time.Millisecond)
		}
	}
	b.drain()
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.hint(record.Left, lead)
	b.drain()
	require.Equal(t, "X", text(b.get(record.Right, contact), "company_name"), "a healthy record does not wait for a sick one")
}

func TestAPauseHoldsForTheNextClaim(t *testing.T) {
	b := start(t, setup{})
	b.zReopen(func(in *engine.Installed) { in.Concurrency = 1 })
	for n := range 5 {
		b.hint(record.Left, b.create(record.Left, map[string]any{"name": "A", "email": fmt.Sprintf("u%d@x.com", n)}))
	}
	b.crash = func(step string) error {
		if step == "loaded" {
			return b.store.SetConnectionState(b.ctx, b.key, ledger.Paused, "")
		}
		return nil
	}
	b.drain()
	b.crash = nil
	require.Len(t, b.live(record.Right), 1, "only the record that was claimed before the pause")
	require.NoError(t, b.store.SetConnectionState(b.ctx, b.key, ledger.Active, ""))
	b.settle()
	require.Len(t, b.live(record.Right), 5)
}

func TestARemovedStreamLeavesNothingOpen(t *testing.T) {
	b := start(t, setup{})
	lead, _ := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.hint(record.Left, lead)
	b.crash = func(step string) error {
		if step == "before update" {
			return engine.Killed()
		}
		return nil
	}
	b.drain()
	b.crash = nil
	pending, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Equal(t, 1, pending.Intents)
	b.zReopen(func(in *engine.Installed) { in.Streams = nil })
	b.clock.advance(11 * time.Second)
	b.settle()
	pending, err = b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Zero(t, pending.Changes+pending.Intents)
}

// The total of a run over several streams, of which one refers to the other, is
// known before it writes the first record.
func TestTheTotalOfARunIsKnownBeforeItsFirstWrite(t *testing.T) {
	for _, kind := range []ledger.RunKind{ledger.RunBackfill, ledger.RunCompare} {
		t.Run(string(kind), func(t *testing.T) {
			b := startTrade(t, setup{})
			for n := range 5 {
				lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": fmt.Sprintf("ana%d@x.com", n)})
				b.put(record.Left, "deals", map[string]any{"name": fmt.Sprint("Casa ", n), "lead_id": lead})
			}
			var totals []int
			b.crash = func(step string) error {
				if step == "before create" {
					recent, _, err := b.store.ListRuns(b.ctx, b.key, ledger.ListOptions{Limit: 1})
					require.NoError(t, err)
					totals = append(totals, recent[0].Total)
				}
				return nil
			}
			run := b.run(kind)
			require.Equal(t, 10, run.Counts.Created)
			require.Len(t, totals, 10)
			require.NotContains(t, totals, -1)
			require.GreaterOrEqual(t, totals[0], 10)
			b.crash = nil
			b.silent()
		})
	}
}

// A natural key with a reference can only be compared when that is translated.
func TestAKeyWithAReferenceIsComparedWhenItCanBeTranslated(t *testing.T) {
	b := startTrade(t, setup{})
	for n := range 3 {
		email := fmt.Sprintf("ana%d@x.com", n)
		lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": email})
		b.put(record.Left, "deals", map[string]any{"name": "Casa", "lead_id": lead})
		contact := b.put(record.Right, "leads", map[string]any{"first_name": "Ana", "email": email})
		b.put(record.Right, "deals", map[string]any{"title": "Casa", "contact_id": contact})
	}
	run := b.run(ledger.RunBackfill)
	require.Equal(t, 6, run.Counts.Linked, "three leads, and their three deals of one name")
	require.Zero(t, run.Counts.Created)
	require.Len(t, b.alive(record.Left, "deals"), 3)
	require.Len(t, b.alive(record.Right, "deals"), 3)
}

// One record that its server refuses to show holds up no listing: it is parked alone.
func TestARecordThatCannotBeReadHoldsUpNoKeys(t *testing.T) {
	for _, status := range []int{http.StatusUnprocessableEntity, http.StatusForbidden, http.StatusInternalServerError} {
		t.Run(http.StatusText(status), func(t *testing.T) { testARecordThatCannotBeRead(t, status) })
	}
}

// Nor is a second one made of it, though its key is not known: its counterpart looks for
// it on the server, and is parked beside it.
func TestARecordThatCannotBeReadIsNotMadeTwice(t *testing.T) {
	b := startTrade(t, setup{})
	lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": "ana@x.com"})
	b.put(record.Left, "deals", map[string]any{"name": "Casa", "lead_id": lead})
	b.put(record.Left, "leads", map[string]any{"name": "Bea", "email": "bea@x.com"})
	contact := b.put(record.Right, "leads", map[string]any{"first_name": "Ana", "email": "ana@x.com"})
	deal := b.put(record.Right, "deals", map[string]any{"title": "Casa", "contact_id": contact})
	b.clock.advance(24 * time.Hour) // what is old stands in the listings
	hinted := false
	b.crash = func(step string) error {
		if step != "before create" || hinted {
			return nil
		}
		hinted = true
		_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: http.StatusForbidden, Times: -1, Method: http.MethodGet, RecordID: deal})
		require.NoError(t, err)
		b.enqueue(ledger.Change{Stream: "deals", Ref: record.Ref{Side: record.Right, Object: "deals", ID: deal}})
		return nil
	}
	b.run(ledger.RunBackfill)
	for range 12 {
		b.clock.advance(time.Minute)
		b.drain()
	}
	require.True(t, hinted)
	require.Len(t, b.alive(record.Right, "deals"), 1)
	require.NoError(t, b.right.ClearFaults(b.ctx))
	_, err := b.store.ReplayDeadLetters(b.ctx, b.key, nil, "")
	require.NoError(t, err)
	b.settle()
	require.Len(t, b.alive(record.Left, "deals"), 1)
	require.Len(t, b.alive(record.Right, "deals"), 1, "the two are linked")
	require.Empty(t, b.letters())
}

func testARecordThatCannotBeRead(t *testing.T, status int) {
	b := startTrade(t, setup{})
	var deals []string
	for n := range 3 {
		lead := b.put(record.Left, "leads", map[string]any{"name": "Ana", "email": fmt.Sprintf("ana%d@x.com", n)})
		deals = append(deals, b.put(record.Left, "deals", map[string]any{"name": "Casa", "lead_id": lead}))
	}
	hinted := false
	b.crash = func(step string) error {
		if step != "before create" || hinted {
			return nil
		}
		// A webhook comes while the leads are worked on: the row is not believed any more.
		hinted = true
		_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: status, Times: -1, Method: http.MethodGet, RecordID: deals[0]})
		require.NoError(t, err)
		b.enqueue(ledger.Change{Stream: "deals", Ref: record.Ref{Side: record.Left, Object: "deals", ID: deals[0]}})
		return nil
	}
	run, _, err := b.store.StartRun(b.ctx, ledger.Run{ID: "run", Key: b.key, Kind: ledger.RunBackfill, State: ledger.RunRunning, Total: -1})
	require.NoError(t, err)
	finished := false
	for range 20 {
		listed, err := b.engine.ListStep(b.ctx, b.key, engine.ListRequest{RunID: run.ID, Kind: run.Kind})
		require.NoError(t, err)
		if finished = listed.Finished; finished {
			break
		}
		b.clock.advance(2 * time.Second)
	}
	require.True(t, hinted)
	require.True(t, finished, "the others need not wait")
	b.finishRun(run)
	require.Len(t, b.alive(record.Right, "deals"), 2)
	if status == http.StatusInternalServerError {
		require.Empty(t, b.letters(), "what may pass is tried again")
		require.NoError(t, b.left.ClearFaults(b.ctx))
		b.settle()
		require.Len(t, b.alive(record.Right, "deals"), 3)
		return
	}
	for range 20 { // a refusal is tried some times before it is believed
		if len(b.letters()) > 0 {
			break
		}
		b.clock.advance(time.Minute)
		b.drain()
	}
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, deals[0], letters[0].Ref.ID)
}
