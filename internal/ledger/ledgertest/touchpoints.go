package ledgertest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func touchPointTests() []test {
	return []test{
		{"one row per record, however often it is told", touchOnce},
		{"a lost lease leaves the row as it was", touchFenced},
		{"counts by any combination", touchBy},
		{"counts of some", touchFiltered},
		{"links translate at once", touchLinked},
		{"merges are followed", touchMerged},
		{"a customer's count", touchCustomer},
		{"pages", touchPages},
		{"unseen rows are enqueued", touchUnseen},
		{"some others", touchSome},
		{"the rows of a source, and their next one", touchStreams},
		{"totals, and what a removed connection leaves", touchTotals},
	}
}

// call is a touch-point of a day, by user u and with customer c.
func call(id, day, user, customer string) ledger.TouchPoint {
	return ledger.TouchPoint{
		Stream: "calls", Ref: record.Ref{Side: record.Right, Object: "calls", ID: id}, Kind: "call", Day: day,
		User: user, UserStream: "users", Customer: customer, CustomerStream: "leads",
	}
}

func (w *world) touch(points ...ledger.TouchPoint) {
	w.Helper()
	w.commit(ledger.Commit{PutTouchPoints: points})
}

func (w *world) touches(filter ledger.TouchFilter) []ledger.TouchCount {
	w.Helper()
	items, next, err := w.store.CountTouchPoints(w.ctx, w.key, filter, 100, "")
	w.ok(err)
	require.Empty(w, next)
	return items
}

func on(side record.Side, id string) ledger.Party { return ledger.Party{Side: side, ID: id} }

func touchOnce(w *world) {
	for range 3 {
		w.touch(call("1", "2026-03-01", "u1", "r1"))
	}
	require.Equal(w, []ledger.TouchCount{{Day: "2026-03-01", Kind: "call", User: on(record.Right, "u1"), Customer: on(record.Right, "r1"), Count: 1}},
		w.touches(ledger.TouchFilter{}))
	moved := call("1", "2026-03-02", "u2", "")
	moved.GoneAt = w.now()
	w.touch(moved)
	require.Equal(w, []ledger.TouchCount{{Day: "2026-03-02", Kind: "call", User: on(record.Right, "u2"), Count: 1}}, w.touches(ledger.TouchFilter{}))
	found, err := w.store.TouchPointsOf(w.ctx, w.key, "calls", record.Right, []string{"1", "2"})
	w.ok(err)
	require.Len(w, found, 1)
	w.near(moved.GoneAt, found["1"].GoneAt)
	moved.GoneAt = found["1"].GoneAt
	require.Equal(w, moved, found["1"])
	// The same id in another source is another record.
	other := call("1", "2026-03-02", "u2", "")
	other.Stream = "emails"
	w.touch(other)
	drop := ledger.Commit{DropStream: "calls", DropTouchPoints: []record.Ref{moved.Ref}}
	w.commit(drop)
	w.commit(drop)
	require.Equal(w, 1, w.touches(ledger.TouchFilter{})[0].Count)
	for _, bad := range []func(*ledger.TouchPoint){
		func(p *ledger.TouchPoint) { p.Stream = "" }, func(p *ledger.TouchPoint) { p.Kind = "" },
		func(p *ledger.TouchPoint) { p.Day = "1 March" }, func(p *ledger.TouchPoint) { p.Ref.ID = "" },
	} {
		point := call("9", "2026-03-02", "", "")
		bad(&point)
		w.code(fault.Usage, w.store.Commit(w.ctx, w.key, ledger.Commit{PutTouchPoints: []ledger.TouchPoint{point}}))
	}
}

func touchFenced(w *world) {
	point := call("1", "2026-03-01", "u1", "r1")
	w.enqueue(ledger.Change{Stream: "calls", Ref: point.Ref})
	first := w.claimOne()
	w.clock.Advance(time.Minute)
	second := w.claimOne()
	w.commit(ledger.Commit{Lease: second.Lease, PutTouchPoints: []ledger.TouchPoint{point}, Done: &second})
	late := point
	late.Day = "2026-02-01"
	w.code(fault.Stale, w.store.Commit(w.ctx, w.key, ledger.Commit{Lease: first.Lease, PutTouchPoints: []ledger.TouchPoint{late}, Done: &first}))
	require.Equal(w, "2026-03-01", w.touches(ledger.TouchFilter{})[0].Day)
}

// someTouches are five calls and an e-mail.
func someTouches(w *world) {
	mail := call("m1", "2026-03-02", "u1", "r2")
	mail.Stream, mail.Kind, mail.Ref.Object = "emails", "email", "emails"
	w.touch(call("1", "2026-03-01", "u1", "r1"), call("2", "2026-03-01", "u1", "r1"), call("3", "2026-03-01", "u2", "r1"),
		call("4", "2026-03-02", "u1", "r2"), call("5", "2026-03-03", "", ""), mail)
}

func touchBy(w *world) {
	require.Empty(w, w.touches(ledger.TouchFilter{}))
	someTouches(w)
	require.Equal(w, []ledger.TouchCount{{Day: "2026-03-01", Count: 3}, {Day: "2026-03-02", Count: 2}, {Day: "2026-03-03", Count: 1}},
		w.touches(ledger.TouchFilter{By: []ledger.Touch{ledger.TouchDay}}))
	require.Equal(w, []ledger.TouchCount{
		{Kind: "call", Count: 1}, {Kind: "call", User: on(record.Right, "u1"), Count: 3}, {Kind: "call", User: on(record.Right, "u2"), Count: 1},
		{Kind: "email", User: on(record.Right, "u1"), Count: 1},
	}, w.touches(ledger.TouchFilter{By: []ledger.Touch{ledger.TouchUser, ledger.TouchKind}}))
	require.Equal(w, []ledger.TouchCount{{Count: 1}, {Customer: on(record.Right, "r1"), Count: 3}, {Customer: on(record.Right, "r2"), Count: 2}},
		w.touches(ledger.TouchFilter{By: []ledger.Touch{ledger.TouchCustomer}}))
}

func touchFiltered(w *world) {
	someTouches(w)
	count := func(filter ledger.TouchFilter) int {
		filter.By = []ledger.Touch{ledger.TouchDay}
		sum := 0
		for _, item := range w.touches(filter) {
			sum += item.Count
		}
		return sum
	}
	require.Equal(w, 6, count(ledger.TouchFilter{}))
	require.Equal(w, 3, count(ledger.TouchFilter{From: "2026-03-02"}))
	require.Equal(w, 5, count(ledger.TouchFilter{To: "2026-03-02"}), "the last day counts")
	require.Equal(w, 1, count(ledger.TouchFilter{Kinds: []string{"email"}}))
	require.Equal(w, 4, count(ledger.TouchFilter{User: "u1"}))
	require.Equal(w, 2, count(ledger.TouchFilter{Customer: "r2"}))
	require.Equal(w, 1, count(ledger.TouchFilter{Customer: "r1", User: "u2"}))
	require.Zero(w, count(ledger.TouchFilter{Customer: "u1"}))
	require.Empty(w, w.touches(ledger.TouchFilter{Customer: "l1"}))
	for _, limit := range []int{0, ledger.MaxTouchPage + 1} {
		_, _, err := w.store.CountTouchPoints(w.ctx, w.key, ledger.TouchFilter{}, limit, "")
		w.code(fault.Usage, err)
	}
}

func touchLinked(w *world) {
	someTouches(w)
	user := link("u1")
	user.Stream, user.Left.ID, user.Right.ID = "users", "17", "u1"
	// A lead and a user of SalesOS may have the same id.
	lead := link("1")
	lead.Left.ID = "17"
	detached, tombstone := link("2"), link("3")
	detached.State, tombstone.State = ledger.LinkDetached, ledger.LinkTombstone
	tombstone.Right.ID = "r1"
	w.commit(ledger.Commit{PutLinks: []ledger.Link{user, lead, detached, tombstone}})
	require.Equal(w, []ledger.TouchCount{
		{User: on(record.Left, "17"), Customer: on(record.Left, "17"), Count: 2},
		{User: on(record.Left, "17"), Customer: on(record.Right, "r2"), Count: 2},
		{User: on(record.Right, "u2"), Customer: on(record.Left, "17"), Count: 1},
	}, w.touches(ledger.TouchFilter{To: "2026-03-02", By: []ledger.Touch{ledger.TouchUser, ledger.TouchCustomer}}))
	day := []ledger.Touch{ledger.TouchDay}
	require.Equal(w, []ledger.TouchCount{{Day: "2026-03-01", Count: 3}}, w.touches(ledger.TouchFilter{Customer: "17", By: day}))
	require.Equal(w, []ledger.TouchCount{{Day: "2026-03-01", Count: 2}, {Day: "2026-03-02", Count: 2}}, w.touches(ledger.TouchFilter{User: "17", By: day}))
	require.Empty(w, w.touches(ledger.TouchFilter{User: "u1", By: day}), "it is told under the id of its counterpart now")
	// One of a source on the other side is translated the other way.
	mine := call("l", "2026-03-09", "", "17")
	mine.Ref.Side = record.Left
	w.touch(mine)
	require.Equal(w, []ledger.TouchCount{{Customer: on(record.Right, "r1"), Count: 1}},
		w.touches(ledger.TouchFilter{From: "2026-03-09", By: []ledger.Touch{ledger.TouchCustomer}}))
	lead.State = ledger.LinkTombstone
	w.commit(ledger.Commit{PutLinks: []ledger.Link{lead}})
	require.Equal(w, []ledger.TouchCount{{Day: "2026-03-01", Count: 3}}, w.touches(ledger.TouchFilter{Customer: "r1", By: day}))
}

func touchMerged(w *world) {
	someTouches(w)
	customers := func() []ledger.TouchCount {
		return w.touches(ledger.TouchFilter{To: "2026-03-02", By: []ledger.Touch{ledger.TouchCustomer}})
	}
	survivor := func(id string) string {
		into, err := w.store.Survivor(w.ctx, w.key, "leads", right(id))
		w.ok(err)
		return into
	}
	merge := func(from, into string) {
		w.commit(ledger.Commit{PutMerges: []ledger.Merge{{Stream: "leads", From: right(from), Into: into}}})
	}
	require.Equal(w, "r1", survivor("r1"))
	merge("r1", "r2")
	merge("r1", "r2")
	require.Equal(w, "r2", survivor("r1"))
	require.Equal(w, []ledger.TouchCount{{Customer: on(record.Right, "r2"), Count: 5}}, customers())
	// What was merged into a record that is merged itself follows it.
	merge("r2", "r9")
	require.Equal(w, "r9", survivor("r1"))
	w.commit(ledger.Commit{PutLinks: []ledger.Link{link("9")}})
	require.Equal(w, []ledger.TouchCount{{Customer: on(record.Left, "l9"), Count: 5}}, customers())
	require.Equal(w, []ledger.TouchCount{{Count: 5}}, w.touchesFor("l9"))
	// The vendor turned it round.
	merge("r9", "r2")
	require.Equal(w, "r2", survivor("r2"))
	require.Equal(w, "r2", survivor("r1"))
	require.Equal(w, []ledger.TouchCount{{Customer: on(record.Right, "r2"), Count: 5}}, customers())
	w.code(fault.Usage, w.store.Commit(w.ctx, w.key, ledger.Commit{PutMerges: []ledger.Merge{{Stream: "leads", From: right("a"), Into: "a"}}}))
}

// touchesFor is the count of a customer as it is shown.
func (w *world) touchesFor(customer string) []ledger.TouchCount {
	w.Helper()
	items := w.touches(ledger.TouchFilter{Customer: customer, By: []ledger.Touch{ledger.TouchCustomer}})
	for i := range items {
		items[i].Customer = ledger.Party{}
	}
	return items
}

func touchCustomer(w *world) {
	someTouches(w)
	count := func(customer string, kinds ...string) int {
		n, err := w.store.CountCustomer(w.ctx, w.key, "leads", right(customer), kinds)
		w.ok(err)
		return n
	}
	require.Equal(w, 3, count("r1"))
	require.Equal(w, 2, count("r2"))
	require.Equal(w, 1, count("r2", "email"))
	require.Equal(w, 2, count("r2", "email", "call"))
	require.Zero(w, count("nobody"))
	w.commit(ledger.Commit{PutMerges: []ledger.Merge{{Stream: "leads", From: right("r1"), Into: "r2"}}})
	require.Equal(w, 5, count("r2"))
	n, err := w.store.CountCustomer(w.ctx, w.key, "users", right("r2"), nil)
	w.ok(err)
	require.Zero(w, n, "another stream's id is another record")
}

func touchPages(w *world) {
	var points []ledger.TouchPoint
	for _, id := range numbered("", 7) {
		points = append(points, call(id, "2026-03-01", "u"+id, ""))
	}
	w.touch(points...)
	var users []string
	cursor := ""
	for range 10 {
		items, next, err := w.store.CountTouchPoints(w.ctx, w.key, ledger.TouchFilter{By: []ledger.Touch{ledger.TouchUser}}, 3, cursor)
		w.ok(err)
		require.LessOrEqual(w, len(items), 3)
		for _, item := range items {
			users = append(users, item.User.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	require.Equal(w, []string{"u000", "u001", "u002", "u003", "u004", "u005", "u006"}, users)
	for _, bad := range []string{"nonsense", "e30"} {
		_, _, err := w.store.CountTouchPoints(w.ctx, w.key, ledger.TouchFilter{}, 3, bad)
		w.code(fault.Usage, err)
	}
}

func touchUnseen(w *world) {
	var points []ledger.TouchPoint
	for _, id := range numbered("", 5) {
		points = append(points, call(id, "2026-03-01", "", ""))
	}
	w.commit(ledger.Commit{PutTouchPoints: points, PutSeen: []ledger.Seen{
		{Stream: "calls", Ref: points[0].Ref, ScanID: "scan"}, {Stream: "calls", Ref: points[1].Ref, ScanID: "earlier"},
		{Stream: "emails", Ref: points[2].Ref, ScanID: "scan"},
	}})
	total := 0
	for range 10 {
		n, err := w.store.EnqueueUnseenTouchPoints(w.ctx, w.key, "calls", record.Right, "scan", ledger.LanePoll, 3)
		w.ok(err)
		if n == 0 {
			break
		}
		total += n
	}
	require.Equal(w, 4, total)
	work := w.claim(20)
	require.ElementsMatch(w, []string{"001", "002", "003", "004"}, ids(work))
	require.Equal(w, "calls", work[0].Ref.Object)
	w.ok(w.store.DeleteCursors(w.ctx, w.key, "scan"))
}

func touchSome(w *world) {
	gone := call("3", "2026-03-01", "", "")
	gone.GoneAt = w.now()
	w.touch(call("1", "2026-03-01", "", ""), call("2", "2026-03-01", "", ""), gone)
	some := func(except string, n int) []string {
		found, err := w.store.SomeTouchPoints(w.ctx, w.key, "calls", record.Right, except, n)
		w.ok(err)
		return found
	}
	require.ElementsMatch(w, []string{"1", "2"}, some("3", 10))
	require.Equal(w, []string{"2"}, some("1", 10))
	require.Len(w, some("", 1), 1)
}

func touchTotals(w *world) {
	someTouches(w)
	other := ledger.Key{Tenant: "tenant-2", Connection: "connection-2"}
	w.ok(w.store.CreateConnection(w.ctx, ledger.Connection{Key: other, Name: "x", State: ledger.Active}))
	w.ok(w.store.Commit(w.ctx, other, ledger.Commit{
		PutTouchPoints: []ledger.TouchPoint{call("1", "2026-03-01", "u1", "r1")},
		PutMerges:      []ledger.Merge{{Stream: "leads", From: right("r1"), Into: "r2"}},
	}))
	totals, err := w.store.TouchTotals(w.ctx)
	w.ok(err)
	require.Equal(w, []ledger.TouchTotal{{Key: w.key, Kind: "call", Count: 5}, {Key: w.key, Kind: "email", Count: 1}, {Key: other, Kind: "call", Count: 1}}, totals)
	require.Equal(w, 3, w.touchesFor("r1")[0].Count, "another tenant's merge is not ours")
	w.ok(w.store.DeleteConnection(w.ctx, w.key))
	totals, err = w.store.TouchTotals(w.ctx)
	w.ok(err)
	require.Equal(w, []ledger.TouchTotal{{Key: other, Kind: "call", Count: 1}}, totals)
}

func touchStreams(w *world) {
	other := call("2", "2026-03-01", "u1", "r1")
	other.Stream, other.Ref.Side, other.Ref.Object = "mails", record.Left, "emails"
	twice := call("1", "2026-03-05", "u1", "r1")
	twice.Stream = "phone"
	one, two := call("1", "2026-03-01", "u1", "r1"), call("2", "2026-03-02", "", "")
	two.GoneAt = w.now()
	w.touch(two, one, other, twice)
	told := func() []ledger.TouchStream {
		w.Helper()
		streams, err := w.store.TouchStreams(w.ctx, w.key)
		w.ok(err)
		return streams
	}
	calls, mails := ledger.TouchStream{Stream: "calls", Side: record.Right, Object: "calls"}, ledger.TouchStream{Stream: "mails", Side: record.Left, Object: "emails"}
	phone := ledger.TouchStream{Stream: "phone", Side: record.Right, Object: "calls"}
	require.Equal(w, []ledger.TouchStream{calls, mails, phone}, told())
	rows, err := w.store.FirstTouchPoints(w.ctx, w.key, "calls", 5)
	w.ok(err)
	require.Equal(w, []ledger.TouchPoint{one, two}, rows)
	rows, err = w.store.FirstTouchPoints(w.ctx, w.key, "calls", 1)
	w.ok(err)
	require.Len(w, rows, 1)
	for _, want := range []int{1, 0} {
		moved, err := w.store.MoveTouchPoints(w.ctx, w.key, "calls", "phone", 10)
		w.ok(err)
		require.Equal(w, want, moved, "one of the two is there already")
	}
	rows, err = w.store.FirstTouchPoints(w.ctx, w.key, "phone", 5)
	w.ok(err)
	two.Stream = "phone"
	require.Equal(w, []ledger.TouchPoint{twice, two}, rows)
	rows, err = w.store.FirstTouchPoints(w.ctx, w.key, "calls", 5)
	w.ok(err)
	require.Equal(w, []ledger.TouchPoint{one}, rows)
}
