package engine_test

import (
	"context"
	"fmt"
	"slices"
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

// turns drains and moves the clock without insisting on an empty inbox.
func (b *bench) turns(n int) {
	for range n {
		result := b.drain()
		if result.Pending == 0 {
			return
		}
		if wait := result.NextDue.Sub(b.clock.now()); wait > 0 {
			b.clock.advance(wait + time.Millisecond)
		}
	}
}

// killOn kills the process at a step, and restarts it when its leases have ended.
func (b *bench) killOn(step string) {
	hit := false
	b.crash = func(reached string) error {
		hit = hit || reached == step
		if hit {
			return engine.Killed()
		}
		return nil
	}
	b.drain()
	b.crash = nil
	require.True(b.t, hit, "step %s is reached", step)
	b.restart()
	b.clock.advance(11 * time.Second)
}

func (b *bench) heldNow() []ledger.Held {
	held, _, err := b.store.ListHeld(b.ctx, b.key, ledger.HeldWaiting, ledger.ListOptions{})
	require.NoError(b.t, err)
	return held
}

func TestADeleteThatIsTriedAgainCountsOnceForTheGuard(t *testing.T) {
	b := start(t, setup{variables: map[string]string{"GUARD_MAX": "2"}})
	b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 503, Times: 3, Method: "DELETE"})
	require.NoError(t, err)
	b.remove(record.Left, lead)
	b.hint(record.Left, lead)
	b.turns(40)
	require.Empty(t, b.heldNow())
	require.NotNil(t, b.get(record.Right, contact).DeletedAt)
}

func TestAnApprovedDeleteStaysApprovedUntilItIsDone(t *testing.T) {
	b := start(t, setup{variables: map[string]string{"GUARD_MAX": "1"}})
	b.pair("cia@x.com")
	l1, _ := b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	b.remove(record.Left, l1)
	b.hint(record.Left, l1)
	b.settle()
	b.remove(record.Left, lead)
	b.hint(record.Left, lead)
	b.settle()
	require.Len(t, b.heldNow(), 1)
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 503, Times: 1, Method: "DELETE"})
	require.NoError(t, err)
	_, err = b.store.DecideHeld(b.ctx, b.key, nil, ledger.HeldApproved)
	require.NoError(t, err)
	b.turns(40)
	require.Empty(t, b.heldNow(), "approved once is approved")
	require.NotNil(t, b.get(record.Right, contact).DeletedAt)
}

func TestAMergedRecordIsNeverDeletedForAnother(t *testing.T) {
	b := start(t, replaced("edited: keep", "edited: delete"))
	leadA, contactA := b.pair("ana@x.com")
	leadB, contactB := b.pair("bia@x.com")
	b.pair("cia@x.com")
	_, err := b.right.MergeRecords(b.ctx, "contacts", contactB, contactA)
	require.NoError(t, err)
	b.hint(record.Right, contactA)
	b.turns(20)
	b.remove(record.Left, leadA)
	b.hint(record.Left, leadA)
	b.turns(40)
	b.quiet()
	require.Nil(t, b.get(record.Right, contactB).DeletedAt, "the survivor belongs to lead B")
	require.Nil(t, b.get(record.Left, leadB).DeletedAt)
}

func TestARecordInTheListingIsNotGone(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 404, Times: -1, Method: "GET", PathRegexp: "/leads/.+"})
	require.NoError(t, err)
	b.look(record.Left, lead)
	b.turns(12)
	require.Nil(t, b.get(record.Right, contact).DeletedAt)
}

// unseeing finds none by its id but those it is told to, and lists the ones it is told to.
type unseeing struct {
	connector.Connector
	on     bool
	finds  map[string]bool
	listed map[string]bool
}

func (u *unseeing) Get(ctx context.Context, object, id string) (record.Record, error) {
	if u.on && !u.finds[id] {
		return record.Record{}, fault.New(fault.Gone, "there is no such record")
	}
	return u.Connector.Get(ctx, object, id)
}

func (u *unseeing) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	page, err := u.Connector.List(ctx, request)
	if u.on {
		page.Records = slices.DeleteFunc(page.Records, func(one record.Record) bool { return !u.listed[one.Ref.ID] })
	}
	return page, err
}

// TestAServerThatFindsNothingByIDDeletesNothing: what it lists itself has to be found,
// or its "no such record" says nothing of a record that is not listed.
func TestAServerThatFindsNothingByIDDeletesNothing(t *testing.T) {
	left := &unseeing{}
	b := start(t, onLeft(func(real connector.Connector) connector.Connector {
		left.Connector = real
		return left
	}))
	lead, contact := b.pair("ana@x.com")
	b.pair("bia@x.com")
	other := b.create(record.Left, map[string]any{"name": "Caio", "email": "caio@x.com"})
	left.on, left.listed = true, map[string]bool{other: true}
	b.look(record.Left, lead)
	b.turns(20)
	require.Nil(t, b.get(record.Right, contact).DeletedAt)
	left.finds = left.listed
	b.clock.advance(time.Hour)
	b.look(record.Left, lead)
	b.turns(40)
	require.NotNil(t, b.get(record.Right, contact).DeletedAt, "this one finds what there is")
}

func TestOneHintAmongManyDeletes(t *testing.T) {
	b := start(t, setup{})
	var leads []string
	for i := range 8 {
		l, _ := b.pair(fmt.Sprintf("u%d@x.com", i))
		leads = append(leads, l)
	}
	for _, l := range leads[4:] {
		b.remove(record.Left, l)
	}
	b.hint(record.Left, leads[7])
	for range 20 {
		b.turns(5)
		b.clock.advance(30 * time.Second)
		b.poll()
	}
	require.Len(t, b.live(record.Right), 4, "the controls that are gone are looked at too")
}

func TestARecordMadeJustNowMayBeLate(t *testing.T) {
	b := start(t, setup{})
	b.pair("bia@x.com")
	lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
	b.hint(record.Left, lead)
	b.settle()
	contact := b.other(record.Left, lead)
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 404, Times: -1, Method: "GET", RecordID: contact})
	require.NoError(t, err)
	b.hint(record.Right, contact)
	b.turns(10)
	require.Nil(t, b.get(record.Left, lead).DeletedAt)
}

// TestADeleteThatItsVendorTells: a record that we have just made was deleted by a
// user at once. Its vendor says so, so that nobody waits for it to turn visible.
func TestADeleteThatItsVendorTells(t *testing.T) {
	for _, told := range []string{"by an event", "by two events", "by the list of deletes"} {
		t.Run(told, func(t *testing.T) {
			b := start(t, setup{})
			b.pair("bia@x.com")
			lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
			b.hint(record.Left, lead)
			b.settle()
			contact := b.other(record.Left, lead)
			b.remove(record.Right, contact)
			before := b.clock.now()
			ref := record.Ref{Side: record.Right, Object: "contacts", ID: contact}
			switch told {
			case "by two events":
				b.enqueue(ledger.Change{Stream: "leads", Ref: ref, Deleted: true})
				b.hint(record.Right, contact)
			case "by an event":
				b.enqueue(ledger.Change{Stream: "leads", Ref: ref, Deleted: true})
			default:
				b.poll()
			}
			b.settle()
			require.NotNil(t, b.get(record.Left, lead).DeletedAt)
			require.Less(t, b.clock.now().Sub(before), 30*time.Second, "by the clock of the bench: records may be late by 60 s")
		})
	}
}

func TestOwnWritesOnASurvivorAreNoEdits(t *testing.T) {
	b := start(t, setup{})
	b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.hint(record.Left, lead)
	b.killOn("after update")
	b.remove(record.Left, lead)
	b.hint(record.Left, lead)
	b.quiet()
	require.Empty(t, b.openConflicts(), "our own write is no user's edit")
	require.NotNil(t, b.get(record.Right, contact).DeletedAt)
}

func TestABlindSideIsNotADeletedPair(t *testing.T) {
	b := start(t, setup{})
	b.pair("bia@x.com")
	lead, contact := b.pair("ana@x.com")
	b.remove(record.Left, lead)
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 404, Times: -1, Method: "GET"})
	require.NoError(t, err)
	b.hint(record.Left, lead)
	b.turns(10)
	require.NoError(t, b.right.ClearFaults(b.ctx))
	b.clock.advance(time.Minute)
	b.quiet()
	b.run(ledger.RunCompare)
	b.quiet()
	require.NotNil(t, b.get(record.Right, contact).DeletedAt, "neither deleted, nor linked, nor named: letters %d conflicts %d", len(b.letters()), len(b.openConflicts()))
}
