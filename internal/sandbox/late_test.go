package sandbox_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func TestRecordsTurnUpLate(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, k.side.admin.Reset(t.Context()))
			k.side.login("accord", "accord-secret")
			k.side.set(fields{"visible_late_ms": 60_000})
			id := k.create(t, nil)
			require.Equal(t, id, k.get(id)["id"], "whoever has the id can read it")
			require.Empty(t, k.list())
			p.clock.Add(59 * time.Second)
			require.Empty(t, k.list())
			p.clock.Add(time.Second)
			require.Equal(t, []string{id}, k.list())

			require.Equal(t, 204, k.side.do("DELETE", k.path+"/"+id, nil).status)
			require.Equal(t, []string{id}, k.list(), "and a listing goes on showing what is gone")
			if k.side == p.acme {
				require.Empty(t, p.acme.do("GET", "/api/2/deleted?object="+k.object, nil).list("items"))
			}
			p.clock.Add(time.Minute)
			require.Empty(t, k.list())
			if k.side == p.acme {
				require.Len(t, p.acme.do("GET", "/api/2/deleted?object="+k.object, nil).list("items"), 1)
			}
		})
	}
}

func TestLateRecordsOvertakeEachOther(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, k.side.admin.Reset(t.Context()))
			k.side.login("accord", "accord-secret")
			k.side.set(fields{"visible_late_ms": 60_000, "visible_late_spread": true, "unique": false})
			var made, seen []string
			for range 8 {
				made = append(made, k.create(t, nil))
			}
			edited := map[string]int{}
			for range 61 {
				for _, id := range k.list() {
					if !slices.Contains(seen, id) {
						seen = append(seen, id)
					}
				}
				if len(edited) < 8 {
					id := made[len(edited)]
					edited[id]++
					require.Equal(t, 200, k.side.do("PATCH", k.path+"/"+id, fields{k.other: "edited"}).status)
				}
				p.clock.Add(time.Second)
			}
			require.ElementsMatch(t, made, seen, "all within the minute")
			require.NotEqual(t, made, seen, "in another order than they were made")
			p.clock.Add(time.Minute)
			for _, v := range append(k.side.do("GET", k.path, nil).list("data"), k.side.do("GET", k.path, nil).list("items")...) {
				require.Equal(t, "edited", v.(fields)[k.other], "the versions of one record keep their order")
			}
		})
	}
}

func TestFilterBounds(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, k.side.admin.Reset(t.Context()))
			k.side.login("accord", "accord-secret")
			k.create(t, nil)
			parameter := map[bool]string{true: "updated_since", false: "updated_after"}[k.side == p.acme]
			since := func(at time.Time) int {
				a := k.side.do("GET", fmt.Sprintf("%s?%s=%s", k.path, parameter, url.QueryEscape(at.Format(time.RFC3339))), nil)
				require.Equal(t, 200, a.status, string(a.raw))
				return len(a.list("data")) + len(a.list("items"))
			}
			for bound, want := range map[string]int{wire.BoundInclusive: 1, wire.BoundExclusive: 0} {
				k.side.set(fields{"filter_bound": bound})
				require.Equal(t, want, since(p.clock.Now()), bound)
				require.Equal(t, 1, since(p.clock.Now().Add(-time.Second)), bound)
				require.Equal(t, 0, since(p.clock.Now().Add(time.Second)), bound)
			}
			require.Error(t, k.side.admin.SetSwitches(t.Context(), fields{"filter_bound": "vague"}))
		})
	}
}

// TestMergedRecords covers both sides: a merged id goes on answering with its survivor.
func TestMergedRecords(t *testing.T) {
	p := start(t, sandbox.Options{})
	for name, k := range p.kinds() {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			require.NoError(t, k.side.admin.Reset(ctx))
			k.side.login("accord", "accord-secret")
			winner, loser := k.create(t, nil), k.create(t, fields{k.other: "kept"})
			_, err := k.side.admin.MergeRecords(ctx, k.object, winner, loser)
			require.NoError(t, err)
			require.Equal(t, winner, k.get(loser)["id"])
			require.Equal(t, "kept", k.get(winner)[k.other])
			require.Equal(t, []string{winner}, k.list())
			require.Equal(t, winner, k.record(k.side.do("PATCH", k.path+"/"+loser, fields{k.other: "new"}))["id"])
		})
	}
}
