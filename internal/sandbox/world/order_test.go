package world

import (
	"math/rand"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func TestOrderIsASortedList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rnd := rand.New(rand.NewSource(rapid.Int64().Draw(rt, "seed")))
		o := order{cmp: byTime(updatedAt)}
		var model []*Record
		for i := range rapid.IntRange(0, 3000).Draw(rt, "steps") {
			if len(model) > 0 && rnd.Intn(3) == 0 {
				k := rnd.Intn(len(model))
				o.remove(model[k])
				model = slices.Delete(model, k, k+1)
				continue
			}
			// Few different times, so that ids decide often.
			r := &Record{ID: strconv.Itoa(i), UpdatedAt: time.Unix(int64(rnd.Intn(40)), 0)}
			o.insert(r)
			k, _ := slices.BinarySearchFunc(model, r, o.cmp)
			model = slices.Insert(model, k, r)
		}
		require.Equal(rt, len(model), o.n)
		lo := rnd.Intn(len(model) + 1)
		hi := lo + rnd.Intn(len(model)+1-lo)
		var got []*Record
		o.walk(lo, hi, false, func(r *Record) bool { got = append(got, r); return true })
		require.True(rt, slices.Equal(model[lo:hi], got))
		got = nil
		o.walk(lo, hi, true, func(r *Record) bool { got = append(got, r); return true })
		slices.Reverse(got)
		require.True(rt, slices.Equal(model[lo:hi], got))
		for k, r := range model {
			require.Equal(rt, k, o.rank(r))
		}
	})
}

func testWorld(now func() time.Time, sw wire.Switches) *World {
	n := 0
	return New(Options{Now: now, Switches: sw, NewID: func(string) string { n++; return "r" + strconv.Itoa(n) }, Schemas: []*Schema{{
		Name:   "things",
		Fields: []Field{{Name: "name", Type: Text}, {Name: "email", Type: Email}, {Name: "phone", Type: Phone}, {Name: "props", Type: Object}, {Name: "tags", Type: Labels}},
		Unique: []string{"email"}, Exact: []string{"email", "phone"}, Words: []string{"name", "props"},
	}}})
}

func TestLateListingsAndSearches(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := testWorld(func() time.Time { return now }, wire.Switches{VisibleLateMS: 60_000, SearchLagMS: 5_000})
	tb := w.Table("things")
	r, err := tb.Create("", "user:a", map[string]any{"name": "Ann", "email": "a@example.com"})
	require.NoError(t, err)
	require.NotNil(t, tb.Get(r.ID), "the record itself is there at once")
	list := func() int { _, total := tb.List(Query{Limit: 10}); return total }
	require.Equal(t, 0, list())
	require.Empty(t, tb.Find("email", "a@example.com"))
	now = now.Add(5 * time.Second)
	require.Len(t, tb.Find("email", " A@Example.com"), 1)
	require.Equal(t, 0, list())
	now = now.Add(55 * time.Second)
	require.Equal(t, 1, list())
	// A later edit leaves the old version in its old place until it is due.
	_, _, err = tb.Update(r.ID, "user:a", 0, MergePatch(tb.Schema, map[string]any{"name": "Bea"}))
	require.NoError(t, err)
	page, _ := tb.List(Query{Limit: 10})
	require.Equal(t, "Ann", page[0].Text("name"))
	_, err = tb.Delete(r.ID, "user:a", 0)
	require.NoError(t, err)
	require.Empty(t, tb.Find("email", "a@example.com"), "a search never gives a deleted record")
	// Switching the lag off shows everything.
	w.SetSwitches(wire.Switches{})
	require.Equal(t, 0, list())
}

func TestListAgainstAPlainSort(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		at := time.Unix(1_000_000, 0).UTC()
		w := testWorld(func() time.Time { return at }, wire.Switches{GranularityMS: 1000})
		tb := w.Table("things")
		n := rapid.IntRange(1, 60).Draw(rt, "records")
		for i := range n {
			at = at.Add(time.Duration(rapid.IntRange(0, 1500).Draw(rt, "step")) * time.Millisecond)
			_, err := tb.Create("", "user:a", map[string]any{"name": strconv.Itoa(i % 3)})
			require.NoError(rt, err)
		}
		for range rapid.IntRange(0, n).Draw(rt, "edits") {
			at = at.Add(time.Second)
			_, _, err := tb.Update("r"+strconv.Itoa(rapid.IntRange(1, n).Draw(rt, "id")), "user:a", 0,
				MergePatch(tb.Schema, map[string]any{"props": map[string]any{"at": at.String()}}))
			require.NoError(rt, err)
		}
		q := Query{Sort: rapid.SampledFrom([]string{ByUpdated, ByCreated}).Draw(rt, "sort"), Desc: rapid.Bool().Draw(rt, "desc"),
			Offset: rapid.IntRange(0, n).Draw(rt, "offset"), Limit: rapid.IntRange(1, 20).Draw(rt, "limit")}
		if rapid.Bool().Draw(rt, "since") {
			q.UpdatedFrom = time.Unix(1_000_000, 0).Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "from")) * time.Second)
		}
		if rapid.Bool().Draw(rt, "keep") {
			q.Keep = func(r *Record) bool { return r.Text("name") == "1" }
		}
		want := plain(tb, q)
		page, total := tb.List(q)
		require.Equal(rt, len(want), total)
		from := min(q.Offset, total)
		require.True(rt, slices.Equal(want[from:min(from+q.Limit, total)], page))
	})
}

func plain(tb *Table, q Query) []*Record {
	var out []*Record
	for _, r := range tb.All() {
		if !r.UpdatedAt.Before(q.UpdatedFrom) && (q.Keep == nil || q.Keep(r)) {
			out = append(out, r)
		}
	}
	at := createdAt
	if q.Sort == ByUpdated {
		at = updatedAt
	}
	slices.SortFunc(out, byTime(at))
	if q.Desc {
		slices.Reverse(out)
	}
	return out
}

func TestSearchFollowsEdits(t *testing.T) {
	w := testWorld(time.Now, wire.Switches{Unique: true})
	tb := w.Table("things")
	a, err := tb.Create("", "user:a", map[string]any{"name": "Ann Lee", "email": "a@example.com", "phone": "+49 (30) 12-34", "props": map[string]any{"ref": "X-1"}})
	require.NoError(t, err)
	require.Len(t, tb.Find("phone", "0049301234"), 0)
	require.Len(t, tb.Find("phone", "49301234"), 1)
	require.Len(t, tb.FindWords("lee x-1"), 1)
	require.Empty(t, tb.FindWords("lee bob"))
	_, err = tb.Create("", "user:a", map[string]any{"email": " A@EXAMPLE.com"})
	var dup *DuplicateError
	require.ErrorAs(t, err, &dup)
	require.Equal(t, a.ID, dup.ExistingID)
	_, _, err = tb.Update(a.ID, "user:a", 0, MergePatch(tb.Schema, map[string]any{"email": "b@example.com"}))
	require.NoError(t, err)
	require.Empty(t, tb.Find("email", "a@example.com"))
	_, err = tb.Create("", "user:a", map[string]any{"email": "a@example.com"})
	require.NoError(t, err, "the key is free again")
	_, err = tb.Delete(a.ID, "user:a", 0)
	require.NoError(t, err)
	require.Empty(t, tb.FindWords("lee"))
}

func BenchmarkPageOf100kRecords(b *testing.B) {
	w := testWorld(time.Now, wire.Switches{GranularityMS: 1000})
	tb := w.Table("things")
	for i := range 100_000 {
		_, err := tb.Seed("", "user:a", map[string]any{"name": "n", "email": strconv.Itoa(i) + "@example.com"})
		require.NoError(b, err)
	}
	b.ResetTimer()
	for i := range b.N {
		tb.List(Query{Sort: ByUpdated, Desc: true, Offset: i % 1000 * 100, Limit: 100})
	}
}
