//go:build e2e

package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	records "github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// hold lets a server keep the call open at which this cell is to be killed.
func (c *cell) hold(t *testing.T, arena int) {
	t.Helper()
	when, call, _ := strings.Cut(c.at, " ")
	both := records.Sides()
	sides := both[:]
	switch {
	case call == "list":
		sides = both[arena%2 : arena%2+1]
	case call != "get":
		sides = c.writes(call)
	}
	for _, side := range sides {
		on := told{t, c.in.world}.side(side)
		fault := wire.Fault{Kind: wire.FaultTimeout, When: when, HangMS: 60_000, Times: 1}
		switch call {
		case "create":
			fault.Method, fault.Path, fault.Contains = "POST", on.lists, "@"+c.stage.Domain
		case "list":
			fault.Method, fault.PathRegexp = "GET", "^"+regexp.QuoteMeta(on.lists)+"$"
		default:
			id, err := c.stage.ID(t.Context(), side, "ana")
			if err != nil {
				continue // not there yet, or there no more
			}
			fault.Method, fault.RecordID = map[string]string{"update": "PATCH", "delete": "DELETE", "get": "GET"}[call], id
		}
		armed, err := on.admin.InjectFault(t.Context(), fault)
		require.NoError(t, err)
		c.held[on] = append(c.held[on], armed)
	}
}

// killOpenCalls kills the workers while the calls of the cells are open: when all
// are, or when the first will not be open much longer. Those that come later are
// killed once more.
func killOpenCalls(t *testing.T, s *stack, cells []*cell) {
	t.Helper()
	const open, patient = 2500 * time.Millisecond, 15 * time.Second
	for range 3 {
		var first time.Time
		begun, fresh := time.Now(), 0
		for {
			met := look(t, cells)
			if met > fresh && first.IsZero() {
				first = time.Now()
			}
			fresh = met
			missing := waiting(cells) - met
			if met > 0 && (missing == 0 || time.Since(first) > open) || met == 0 && time.Since(begun) > patient {
				break
			}
			time.Sleep(30 * time.Millisecond)
		}
		if fresh == 0 {
			return
		}
		s.strike(t, s.workers)
		mark(t, cells)
		if waiting(cells) == 0 {
			return
		}
	}
}

// waiting counts the cells whose call was not met yet.
func waiting(cells []*cell) int {
	count := 0
	for _, c := range cells {
		if !c.met {
			count++
		}
	}
	return count
}

// look counts those among them whose call is open now.
func look(t *testing.T, cells []*cell) int {
	t.Helper()
	hits := hitFaults(t, cells)
	count := 0
	for _, c := range cells {
		if !c.met && c.isHit(hits) {
			count++
		}
	}
	return count
}

func mark(t *testing.T, cells []*cell) {
	t.Helper()
	hits := hitFaults(t, cells)
	for _, c := range cells {
		c.met = c.met || c.isHit(hits)
	}
}

func (c *cell) isHit(hits map[*system]map[string]bool) bool {
	for on, ids := range c.held {
		for _, id := range ids {
			if hits[on][id] {
				return true
			}
		}
	}
	return false
}

// hitFaults are the faults that a call has met, by server.
func hitFaults(t *testing.T, cells []*cell) map[*system]map[string]bool {
	t.Helper()
	hits := map[*system]map[string]bool{}
	for _, c := range cells {
		for _, on := range c.in.systems() {
			if hits[on] != nil {
				continue
			}
			hits[on] = map[string]bool{}
			faults, err := on.admin.Faults(t.Context())
			require.NoError(t, err)
			for _, one := range faults {
				hits[on][one.ID] = one.Hits > 0
			}
		}
	}
	return hits
}
