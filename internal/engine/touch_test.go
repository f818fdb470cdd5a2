package engine_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func TestATouchPointIsCountedOnce(t *testing.T) {
	tb := startTouching(t, setup{})
	writesLeft, writesRight := tb.writes(record.Left), tb.writes(record.Right)
	call := tb.log("calls", tb.aCall())
	want := []ledger.TouchCount{{Day: "2026-03-01", Kind: "call", User: of(record.Left, tb.leftUser), Customer: of(record.Left, tb.lead), Count: 1}}
	for range 3 {
		tb.tell("calls", call)
		tb.settle()
		tb.tell("calls", call)
		require.Equal(t, want, tb.counts())
	}
	tb.told()
	tb.run(ledger.RunCompare)
	tb.run(ledger.RunBackfill)
	tb.told()
	require.Equal(t, want, tb.counts())
	require.EqualValues(t, "1", number(tb.held(tb.lead)))
	require.Equal(t, writesLeft+1, tb.writes(record.Left), "the field is written once")
	require.Equal(t, writesRight, tb.writes(record.Right), "nothing flows back to Acme")
	mail := tb.log("emails", map[string]any{"contact_id": tb.contact, "owner_id": tb.rightUser, "at": "2026-03-01T12:00:00Z", "subject": "Offer"})
	// The webhook is lost: a poll finds it.
	tb.told()
	require.Equal(t, append(want, ledger.TouchCount{Day: "2026-03-01", Kind: "email", User: of(record.Left, tb.leftUser), Customer: of(record.Left, tb.lead), Count: 1}), tb.counts())
	require.EqualValues(t, "2", number(tb.held(tb.lead)))
	// Both are told in the wrong order, and one that is gone before the one that made it.
	tb.unlog("emails", mail)
	for range 2 {
		tb.tell("emails", mail)
		tb.tell("calls", call)
		tb.settle()
	}
	tb.told()
	require.Equal(t, want, tb.counts())
	require.EqualValues(t, "1", number(tb.held(tb.lead)))
	require.Empty(t, tb.letters())
}

// number is a value as text, whatever form it came in.
func number(value any) any { return record.Canon(record.Kind{Name: record.KindNumber}, value) }

func TestATouchPointIsCorrected(t *testing.T) {
	tb := startTouching(t, setup{})
	second := tb.create(record.Left, map[string]any{"name": "Bia", "email": "bia@x.com"})
	tb.quiet()
	call := tb.log("calls", tb.aCall())
	tb.told()
	one := func() ledger.TouchCount {
		tb.tell("calls", call)
		tb.settle()
		items := tb.counts()
		require.Len(t, items, 1)
		require.Equal(t, 1, items[0].Count)
		return items[0]
	}
	require.Equal(t, "2026-03-01", one().Day)
	tb.relog("calls", call, map[string]any{"at": "2026-03-02T04:00:00+01:00"})
	require.Equal(t, "2026-03-02", one().Day)
	tb.relog("calls", call, map[string]any{"owner_id": nil})
	require.Equal(t, ledger.Party{}, one().User)
	tb.relog("calls", call, map[string]any{"contact_id": tb.other(record.Left, second)})
	require.Equal(t, of(record.Left, second), one().Customer)
	require.EqualValues(t, "0", number(tb.held(tb.lead)), "taken from one")
	require.EqualValues(t, "1", number(tb.held(second)), "given to the other")
	writes := tb.writes(record.Left)
	tb.relog("calls", call, map[string]any{"duration_s": 90})
	one()
	require.Equal(t, writes, tb.writes(record.Left), "what is not counted by changes nothing")
	tb.relog("calls", call, map[string]any{"outcome": "wrong number"})
	tb.told()
	require.Empty(t, tb.counts(), "it is out of scope")
	require.EqualValues(t, "0", number(tb.held(second)))
	tb.relog("calls", call, map[string]any{"outcome": "reached"})
	require.Equal(t, of(record.Left, second), one().Customer)
	tb.unlog("calls", call)
	tb.told()
	require.Empty(t, tb.counts())
	require.EqualValues(t, "0", number(tb.held(second)))
	history, _, err := tb.store.ListHistory(tb.ctx, tb.key, ledger.HistoryFilter{Stream: "total", ID: second}, ledger.ListOptions{})
	require.NoError(t, err)
	require.Len(t, history, 4)
	require.Equal(t, "custom_fields.touch_points", history[0].Field)
	require.Equal(t, ledger.CauseTouchPoints, history[0].Cause.Kind)
	require.EqualValues(t, "0", number(history[0].New))
	require.EqualValues(t, "1", number(history[0].Old))
}

func TestTouchPointsWaitForNobody(t *testing.T) {
	tb := startTouching(t, setup{})
	// Neither the contact nor the user has a counterpart yet.
	stranger, err := tb.right.CreateRecord(tb.ctx, "users", map[string]any{"name": "Eva", "email": "eva@corp.example"})
	require.NoError(t, err)
	contact := tb.create(record.Right, map[string]any{"first_name": "Caio", "email": "caio@x.com"})
	call := tb.aCall()
	call["contact_id"], call["owner_id"] = contact, stranger.ID
	tb.tell("calls", tb.log("calls", call))
	tb.settle()
	require.Equal(t, []ledger.TouchCount{{Day: "2026-03-01", Kind: "call", User: of(record.Right, stranger.ID), Customer: of(record.Right, contact), Count: 1}}, tb.counts())
	tb.quiet()
	lead := tb.other(record.Right, contact)
	require.Equal(t, of(record.Left, lead), tb.counts()[0].Customer)
	require.EqualValues(t, "1", number(tb.held(lead)), "the new link brings the field its count")
	_, err = tb.left.CreateRecord(tb.ctx, "users", map[string]any{"name": "Eva", "email": "eva@corp.example"})
	require.NoError(t, err)
	tb.quiet()
	require.Equal(t, record.Left, tb.counts()[0].User.Side)
	require.Nil(t, tb.held(tb.lead), "a customer without touch-points is left alone")
}

func TestMergedCustomersCountTogether(t *testing.T) {
	tb := startTouching(t, setup{})
	second := tb.create(record.Right, map[string]any{"first_name": "Ana", "phone": "+55 11 91234-0000"})
	tb.quiet()
	other := tb.other(record.Right, second)
	tb.log("calls", tb.aCall())
	call := tb.aCall()
	call["contact_id"] = second
	tb.log("calls", call)
	tb.told()
	require.EqualValues(t, "1", number(tb.held(tb.lead)))
	require.EqualValues(t, "1", number(tb.held(other)))
	// The lead of the one that is merged away goes first, so that its link can follow.
	tb.remove(record.Left, other)
	tb.look(record.Left, other)
	_, err := tb.right.MergeRecords(tb.ctx, "contacts", tb.contact, second)
	require.NoError(t, err)
	tb.look(record.Right, second)
	tb.told()
	items := tb.counts()
	require.Len(t, items, 1)
	require.Equal(t, of(record.Left, tb.lead), items[0].Customer)
	require.Equal(t, 2, items[0].Count)
	require.EqualValues(t, "2", number(tb.held(tb.lead)))
	// A call that still names the one that is gone counts for the survivor.
	tb.log("calls", call)
	tb.told()
	require.EqualValues(t, "3", number(tb.held(tb.lead)))
}

func TestDriftedTouchPointsAreMended(t *testing.T) {
	tb := startTouching(t, setup{})
	call := tb.log("calls", tb.aCall())
	tb.told()
	want := tb.counts()
	wrong := ledger.TouchPoint{Stream: "calls", Kind: "call", Day: "2020-01-01", Ref: record.Ref{Side: record.Right, Object: "calls", ID: call}}
	never := wrong
	never.Ref.ID = "cl_never"
	missing := tb.log("emails", map[string]any{"contact_id": tb.contact, "at": "2026-03-05T12:00:00Z", "subject": "Hi"})
	tb.told()
	commit := ledger.Commit{PutTouchPoints: []ledger.TouchPoint{wrong, never}, DropStream: "emails",
		DropTouchPoints: []record.Ref{{Side: record.Right, Object: "emails", ID: missing}}}
	require.NoError(t, tb.store.Commit(tb.ctx, tb.key, commit))
	require.NotEqual(t, want, tb.counts())
	run := tb.run(ledger.RunCompare)
	tb.told()
	require.Equal(t, append(want, ledger.TouchCount{Day: "2026-03-05", Kind: "email", Customer: of(record.Left, tb.lead), Count: 1}), tb.counts())
	require.Equal(t, 1, run.Counts.Deleted, "%+v", run.Counts)
	require.Equal(t, 1, run.Counts.Created, "%+v", run.Counts)
	require.EqualValues(t, "2", number(tb.held(tb.lead)))
}

func TestAFirstLoadCountsWhatItLists(t *testing.T) {
	tb := startTouching(t, setup{})
	for n := range 30 {
		call := tb.aCall()
		call["at"] = time.Date(2026, 3, 1+n%3, 12, 0, 0, 0, time.UTC).Format(time.RFC3339)
		tb.log("calls", call)
	}
	read := tb.calls(func() { tb.run(ledger.RunBackfill) })
	require.Zero(t, read["GET right"], "%v", read)
	total := 0
	for _, item := range tb.counts() {
		total += item.Count
	}
	require.Equal(t, 30, total)
	require.EqualValues(t, "30", number(tb.held(tb.lead)))
	require.Less(t, tb.writes(record.Left), 10, "not one write for each of them")
}

func TestAnOldListingBringsNothingBack(t *testing.T) {
	tb := startTouching(t, setup{})
	call := tb.log("calls", tb.aCall())
	run, _, err := tb.store.StartRun(tb.ctx, ledger.Run{ID: "old", Key: tb.key, Kind: ledger.RunBackfill, State: ledger.RunRunning, Total: -1})
	require.NoError(t, err)
	listed, err := tb.engine.ListStep(tb.ctx, tb.key, engine.ListRequest{RunID: run.ID, Kind: run.Kind})
	require.NoError(t, err)
	require.True(t, listed.Finished)
	shown, err := tb.right.Record(tb.ctx, "calls", call)
	require.NoError(t, err)
	// It is deleted, and the event of that is worked on, before the row of the listing.
	tb.unlog("calls", call)
	tb.tell("calls", call)
	tb.settle()
	require.Empty(t, tb.counts())
	tb.enqueue(ledger.Change{Stream: "calls", Ref: record.Ref{Side: record.Right, Object: "calls", ID: call}, Lane: ledger.LaneBackfill, RunID: run.ID,
		Shown: &record.Record{Ref: record.Ref{Side: record.Right, Object: "calls", ID: call}, Fields: record.Fields(shown.Fields)}})
	tb.finishRun(run)
	require.Empty(t, tb.counts())
}

func TestARecordThatCannotBeCountedIsParked(t *testing.T) {
	tb := startTouching(t, setup{edit: func(yaml string) string { return yaml }})
	tb.amended("kind: call\n      at: at", "kind: call\n      at: external_ref")
	call := tb.aCall()
	call["external_ref"] = "2026-04-01T12:00:00Z"
	id := tb.log("calls", call)
	tb.told()
	require.Len(t, tb.counts(), 1)
	tb.relog("calls", id, map[string]any{"external_ref": "soon"})
	tb.told()
	require.Empty(t, tb.counts(), "what it counted as before is not true any more")
	letters := tb.letters()
	require.Len(t, letters, 1)
	require.Equal(t, "invalid", letters[0].Reason.Code)
	require.Equal(t, "at", letters[0].Reason.Field)
	require.NotContains(t, letters[0].Reason.Message, "soon")
	tb.run(ledger.RunCompare)
	tb.told()
	require.Equal(t, 1, tb.letters()[0].Tries, "it is not tried again while it is the same")
	tb.relog("calls", id, map[string]any{"external_ref": "2026-04-02"})
	tb.told()
	require.Empty(t, tb.letters())
	require.Equal(t, "2026-04-02", tb.counts()[0].Day, "a date is that date everywhere")
}

func TestTouchPointsOfTwoWorkers(t *testing.T) {
	tb := startTouching(t, setup{})
	for range 12 {
		call := tb.log("calls", tb.aCall())
		tb.tell("calls", call)
	}
	writers := []*engine.Engine{tb.engine, engine.New(tb.options)}
	var both sync.WaitGroup
	for _, writer := range writers {
		both.Go(func() {
			for range 3 {
				if _, err := writer.Drain(tb.ctx, tb.key, engine.DrainRequest{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	tb.settle()
	items := tb.counts()
	require.Len(t, items, 1)
	require.Equal(t, 12, items[0].Count)
	require.EqualValues(t, "12", number(tb.held(tb.lead)))
}
