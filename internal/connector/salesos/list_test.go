package salesos_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/connector"
)

// TestListingNeverMisses lists servers with every mixture of habits, while
// users edit and delete between the pages: whatever was there before and after
// must have been listed.
func TestListingNeverMisses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
		f := &foreign{quirks: quirks{
			updated: pick("updated_after", "honoured", "inclusive", "ignored", "rejected"),
			created: pick("created_after", "honoured", "inclusive", "ignored", "rejected"),
			sorted:  pick("sort", "honoured", "honoured", "ignored", "rejected"),
			meta:    pick("meta", "full", "none", "total"),
			cap:     rapid.SampledFrom([]int{3, 10, 25, 100}).Draw(t, "cap"),
			bare:    rapid.Bool().Draw(t, "bare"),
		}}
		start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		span := rapid.IntRange(0, 40).Draw(t, "span")
		f.populate(start, rapid.SliceOfN(rapid.IntRange(0, span), 0, 60).Draw(t, "seconds"))
		now := start.Add(time.Hour)
		for i := range f.leads {
			if rapid.IntRange(0, 2).Draw(t, "edited before") == 0 {
				f.leads[i].updated = now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "second")) * time.Second)
			}
		}
		now = now.Add(time.Minute)
		if rapid.Bool().Draw(t, "dated") {
			f.date = now
		}
		request := connector.ListRequest{Object: "leads", Limit: rapid.SampledFrom([]int{0, 2, 5, 10}).Draw(t, "limit")}
		if rapid.Bool().Draw(t, "changes only") {
			request.Since = start.Add(time.Hour + 2*time.Second)
		}
		want := wanted(f, request.Since)
		found := listForeign(t, f, f.open(t, rapid.Bool().Draw(t, "declared")), request, func() { f.disturb(t, &now) })
		for _, row := range f.leads {
			if want[row.ID] {
				require.Contains(t, found, row.ID)
			}
		}
	})
}

func wanted(f *foreign, since time.Time) map[string]bool {
	want := map[string]bool{}
	for _, row := range f.leads {
		want[row.ID] = !row.updated.Before(since)
	}
	return want
}

// disturb edits or deletes some leads, a little later. A server that does not
// sort shows no order of its own that edits could change.
func (f *foreign) disturb(t *rapid.T, now *time.Time) {
	*now = now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "pause")) * time.Second)
	if !f.date.IsZero() {
		f.date = *now
	}
	for range rapid.IntRange(0, 2).Draw(t, "disturbances") {
		if len(f.leads) == 0 {
			return
		}
		i := rapid.IntRange(0, len(f.leads)-1).Draw(t, "which")
		if rapid.Bool().Draw(t, "delete") {
			f.leads = slices.Delete(f.leads, i, i+1)
		} else {
			f.leads[i].updated = *now
		}
	}
}

func listForeign(t require.TestingT, f *foreign, conn connector.Connector, request connector.ListRequest, between func()) map[string]bool {
	const tooMany = 400
	found := map[string]bool{}
	for range tooMany {
		page, err := conn.List(context.Background(), request)
		require.NoError(t, err)
		for _, row := range page.Records {
			found[row.Ref.ID] = true
		}
		if page.Next == "" {
			return found
		}
		request.Cursor = page.Next
		between()
	}
	require.Fail(t, "the listing does not end", "%+v after %d calls", f.quirks, f.calls)
	return nil
}

func TestListingCosts(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	good := quirks{updated: "honoured", created: "honoured", sorted: "honoured", meta: "full", cap: 100}
	spread := make([]int, 1000)
	for i := range spread {
		spread[i] = i * 5
	}
	for _, row := range []struct {
		name    string
		quirks  quirks
		seconds []int
		since   time.Duration
		declare bool
		most    int
	}{
		{"nothing new", good, spread, 2 * time.Hour, true, 1},
		{"nothing new, no filter", good, spread, 2 * time.Hour, false, 3},
		{"a few new", good, spread, 4900 * time.Second, true, 1},
		{"everything, spread over time", good, spread, 0, true, 14},
		{"everything in one second", good, make([]int, 1000), 0, true, 19},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := &foreign{quirks: row.quirks}
			f.populate(start, row.seconds)
			f.date = start.Add(3 * time.Hour)
			request := connector.ListRequest{Object: "leads"}
			if row.since > 0 {
				request.Since = start.Add(row.since)
			}
			found := listForeign(t, f, f.open(t, row.declare), request, func() {})
			if row.since == 0 {
				require.Len(t, found, len(row.seconds))
			}
			require.LessOrEqual(t, f.calls, row.most)
		})
	}
}

func TestListingWithoutPages(t *testing.T) {
	f := &foreign{quirks: quirks{updated: "ignored", created: "ignored", sorted: "ignored", meta: "none", cap: 100, bare: true, unpaged: true}}
	f.populate(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), []int{3, 2, 1, 0, 9, 9})
	require.Len(t, listForeign(t, f, f.open(t, true), connector.ListRequest{Object: "leads"}, func() {}), 6)
}

func TestListingTellsWhenItReadsEverything(t *testing.T) {
	f := &foreign{quirks: quirks{updated: "ignored", created: "ignored", sorted: "ignored", meta: "full", cap: 100}}
	f.populate(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), []int{9, 3, 7})
	f.leads[0].updated = f.leads[0].updated.Add(time.Hour)
	page, err := f.open(t, true).List(context.Background(), connector.ListRequest{Object: "leads", Since: f.leads[0].updated})
	require.NoError(t, err)
	require.True(t, page.Whole)
	require.Len(t, page.Records, 3)
	require.Equal(t, 3, page.Total)
}

func TestRowThatJumpsToTheTopIsFound(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f := &foreign{quirks: quirks{updated: "ignored", created: "honoured", sorted: "honoured", meta: "full", cap: 100}}
	seconds := make([]int, 40)
	for i := range seconds {
		seconds[i] = i
	}
	f.populate(start, seconds)
	jumped := false
	found := listForeign(t, f, f.open(t, false), connector.ListRequest{Object: "leads", Since: start, Limit: 10}, func() {
		if !jumped {
			jumped = true
			f.leads[0].updated = start.Add(time.Hour) // it was to come on the last page
		}
	})
	require.Len(t, found, 40)
}
