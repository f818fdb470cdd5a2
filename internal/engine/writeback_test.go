package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// TestTouchPointsKilledAnywhere kills the process at every step of what a call, its
// move to another customer and its delete lead to: counts, fields and the number of
// writes are those of an undisturbed run.
func TestTouchPointsKilledAnywhere(t *testing.T) {
	scenes := map[string]func(tb touchBench, second string) (call string, first, last any){
		"logged": func(tb touchBench, _ string) (string, any, any) {
			return tb.log("calls", tb.aCall()), "1", nil
		},
		"moved to another": func(tb touchBench, second string) (string, any, any) {
			call := tb.log("calls", tb.aCall())
			tb.told()
			tb.relog("calls", call, map[string]any{"contact_id": tb.other(record.Left, second)})
			return call, "0", "1"
		},
		"deleted": func(tb touchBench, _ string) (string, any, any) {
			call := tb.log("calls", tb.aCall())
			tb.told()
			tb.unlog("calls", call)
			tb.tell("calls", call)
			tb.drain()
			tb.clock.advance(2 * time.Second)
			return call, "0", nil
		},
	}
	for name, scene := range scenes {
		t.Run(name, func(t *testing.T) {
			steps := 0
			for n := 0; ; n++ {
				tb := startTouching(t, setup{memory: true})
				second := tb.create(record.Left, map[string]any{"name": "Bia", "email": "bia@x.com"})
				tb.quiet()
				call, first, last := scene(tb, second)
				writes := tb.writes(record.Left)
				tb.tell("calls", call)
				reached := tb.killAt(n)
				tb.clock.advance(11 * time.Second)
				tb.settle()
				tb.told()
				require.Equal(t, first, number(tb.held(tb.lead)), "killed at step %d", n)
				require.Equal(t, last, number(tb.held(second)), "killed at step %d", n)
				expected := 1
				if last != nil {
					expected = 2
				}
				require.Equal(t, writes+expected, tb.writes(record.Left), "killed at step %d", n)
				if !reached {
					break
				}
				steps++
			}
			require.Greater(t, steps, 8)
		})
	}
}

func TestACountIsNoEditOfALead(t *testing.T) {
	tb := startTouching(t, setup{})
	// The phone of the contact is older than the one of the lead, whose time our own
	// write moves: newest wins must not take it for later than it was.
	tb.edit(record.Left, tb.lead, map[string]any{"company": "Left"})
	tb.clock.advance(10 * time.Second)
	tb.edit(record.Right, tb.contact, map[string]any{"company_name": "Right"})
	tb.clock.advance(10 * time.Second)
	call := tb.log("calls", tb.aCall())
	tb.tell("calls", call)
	tb.settle()
	require.EqualValues(t, "1", number(tb.held(tb.lead)))
	tb.told()
	tb.quiet()
	require.Equal(t, "Right", text(tb.get(record.Left, tb.lead), "company"))
	require.Equal(t, "Right", text(tb.get(record.Right, tb.contact), "company_name"))
	// The echo of our write asks for nothing.
	read := tb.calls(func() {
		tb.hint(record.Left, tb.lead)
		tb.settle()
	})
	require.Empty(t, read)
	read = tb.calls(tb.told)
	require.Zero(t, read["PATCH left"]+read["PATCH right"])
}

func TestACountLeavesOtherCustomFieldsAlone(t *testing.T) {
	for _, how := range []string{"merge", "replace"} {
		t.Run(how, func(t *testing.T) {
			tb := startTouching(t, setup{edit: func(yaml string) string { return yaml }})
			require.NoError(t, tb.left.SetSwitches(tb.ctx, map[string]any{"custom_fields": how}))
			tb.edit(record.Left, tb.lead, map[string]any{"custom_fields": map[string]any{"budget": "large", "score": 7}})
			tb.quiet()
			tb.log("calls", tb.aCall())
			tb.told()
			found := tb.get(record.Left, tb.lead)
			require.Equal(t, "large", field(found, "custom_fields.budget"))
			require.EqualValues(t, "7", number(field(found, "custom_fields.score")))
			require.EqualValues(t, "1", number(tb.held(tb.lead)))
		})
	}
}

func TestARefusedCountIsParkedAndTriedAgain(t *testing.T) {
	refuses := true
	tb := startTouching(t, setup{connector: func(_ *engine.Installed, _ record.Side, real connector.Connector) connector.Connector {
		return refusing{Connector: real, path: "custom_fields.touch_points", refuse: func() bool { return refuses }}
	}})
	tb.log("calls", tb.aCall())
	tb.told()
	letters := tb.letters()
	require.Len(t, letters, 1)
	require.Equal(t, "total", letters[0].Stream)
	require.Len(t, tb.counts(), 1, "it is counted all the same")
	pending, err := tb.store.Pending(tb.ctx, tb.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Zero(t, pending.Intents)
	refuses = false
	_, err = tb.store.ReplayDeadLetters(tb.ctx, tb.key, []string{letters[0].ID}, "")
	require.NoError(t, err)
	tb.settle()
	require.Empty(t, tb.letters())
	require.EqualValues(t, "1", number(tb.held(tb.lead)))
}

func TestACountWrittenWithoutAnAnswer(t *testing.T) {
	var lost atomic.Int32
	tb := startTouching(t, setup{connector: func(_ *engine.Installed, _ record.Side, real connector.Connector) connector.Connector {
		return losingAnswers{Connector: real, path: "custom_fields.touch_points", lost: &lost}
	}})
	writes := tb.writes(record.Left)
	tb.log("calls", tb.aCall())
	tb.told()
	require.EqualValues(t, 1, lost.Load())
	require.Equal(t, writes+1, tb.writes(record.Left), "it is seen to have happened, and not sent again")
	pending, err := tb.store.Pending(tb.ctx, tb.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Zero(t, pending.Intents)
	history, _, err := tb.store.ListHistory(tb.ctx, tb.key, ledger.HistoryFilter{Stream: "total"}, ledger.ListOptions{})
	require.NoError(t, err)
	require.Len(t, history, 1)
}

func TestAFieldAddedLaterGetsWhatWasCounted(t *testing.T) {
	tb := startTouching(t, setup{edit: func(yaml string) string { return yaml }})
	tb.log("calls", tb.aCall())
	tb.log("emails", map[string]any{"contact_id": tb.contact, "at": "2026-03-05T12:00:00Z", "subject": "Hi"})
	tb.told()
	tb.amended("{stream: leads, side: left, field: custom_fields.touch_points}",
		"{stream: leads, side: left, field: custom_fields.touch_points}\n    mails: {stream: leads, side: left, field: custom_fields.mails, kinds: [email]}")
	tb.told()
	require.EqualValues(t, "1", number(field(tb.get(record.Left, tb.lead), "custom_fields.mails")))
	read := tb.calls(func() { tb.run(ledger.RunCompare) })
	require.Zero(t, read["GET left"]+read["PATCH left"], "what was written is not looked at again: %v", read)
}

func TestDeletesOfTouchPointsAreVerified(t *testing.T) {
	blind := false
	tb := startTouching(t, setup{connector: func(_ *engine.Installed, _ record.Side, real connector.Connector) connector.Connector {
		return blindTo{Connector: real, object: "calls", blind: func() bool { return blind }}
	}})
	call := tb.log("calls", tb.aCall())
	tb.log("calls", tb.aCall())
	tb.told()
	blind = true
	tb.tell("calls", call)
	for range 5 {
		tb.drain()
		tb.clock.advance(20 * time.Second)
	}
	require.Equal(t, 2, tb.counts()[0].Count, "a server that finds nothing by id deletes nothing")
	blind = false
	tb.settle()
	tb.told()
	require.Equal(t, 2, tb.counts()[0].Count)
	rows, err := tb.store.TouchPointsOf(tb.ctx, tb.key, "calls", record.Right, []string{call})
	require.NoError(t, err)
	require.Zero(t, rows[call].GoneAt)
}

// losingAnswers makes updates of a path and loses their answers.
type losingAnswers struct {
	connector.Connector
	path string
	lost *atomic.Int32
}

func (l losingAnswers) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	answer, err := l.Connector.Update(ctx, current, fields, options)
	if _, sent := fields[l.path]; sent && err == nil {
		l.lost.Add(1)
		lost := fault.New(fault.Transient, "the answer was lost")
		lost.MaybeApplied = true
		return record.Record{}, lost
	}
	return answer, err
}

// refusing takes no value for a path.
type refusing struct {
	connector.Connector
	path   string
	refuse func() bool
}

func (r refusing) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	if _, sent := fields[r.path]; sent && r.refuse() {
		refused := fault.New(fault.Invalid, "the server refuses it")
		refused.Status, refused.Field = 422, r.path
		return record.Record{}, refused
	}
	return r.Connector.Update(ctx, current, fields, options)
}

// blindTo finds no record of a collection by its id, and lists them all.
type blindTo struct {
	connector.Connector
	object string
	blind  func() bool
}

func (b blindTo) Get(ctx context.Context, object, id string) (record.Record, error) {
	if object == b.object && b.blind() {
		return record.Record{}, fault.New(fault.Gone, "not found")
	}
	return b.Connector.Get(ctx, object, id)
}
