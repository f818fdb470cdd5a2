package engine_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// bargain is a deal that people on both sides edit at random, and what both
// systems must come to hold.
type bargain struct {
	trade
	random      *rand.Rand
	left, right string
	want        map[string]string
	n           int
}

// fresh is a value that the field did not have before; of stages, another one.
func (b *bargain) fresh(field string) string {
	b.n++
	switch field {
	case "stage":
		stages := []string{"new", "proposal", "negotiation", "won", "lost"}
		for {
			if one := stages[b.random.IntN(len(stages))]; one != b.want["stage"] {
				return one
			}
		}
	case "amount":
		return fmt.Sprint(1000 + b.n)
	case "closes":
		return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, b.n).Format(time.DateOnly)
	}
	return fmt.Sprintf("House %d", b.n)
}

// spelt are values in the words of a side.
func spelt(side record.Side, values map[string]string) map[string]any {
	fields := map[string]any{}
	for field, value := range values {
		switch {
		case field == "amount" && side == record.Left:
			fields["value"] = json.Number(value)
		case field == "amount":
			fields["amount"] = map[string]any{"value": json.Number(value), "currency": "BRL"}
		case field == "title" && side == record.Left:
			fields["name"] = value
		case field == "closes" && side == record.Left:
			fields["expected_close_date"] = value
		case field == "closes":
			fields["close_date"] = value
		case field == "stage" && side == record.Left && (value == "won" || value == "lost"):
			fields["status"] = value
		case field == "stage" && side == record.Left:
			fields["status"], fields["stage"] = "open", map[string]any{"id": "stage_" + value}
		default:
			fields[field] = value
		}
	}
	return fields
}

// round lets each side edit other fields, makes calls fail, kills the process
// somewhere, and looks at both systems when all is at rest.
func (b *bargain) round() string {
	b.clock.advance(3 * time.Minute)
	edits := map[record.Side]map[string]string{record.Left: {}, record.Right: {}}
	var free []string
	for _, field := range []string{"title", "stage", "amount", "closes"} {
		switch b.random.IntN(5) {
		case 0, 1:
			edits[record.Right][field] = b.fresh(field)
		case 2:
			edits[record.Left][field] = b.fresh(field)
		default:
			free = append(free, field)
		}
	}
	fault := wire.Fault{Method: []string{"PATCH", "POST"}[b.random.IntN(2)], Path: "/v1/deals", Kind: []string{wire.FaultStatus, wire.FaultReset}[b.random.IntN(2)],
		When: []string{wire.Before, wire.After}[b.random.IntN(2)], Skip: b.random.IntN(2)}
	told := fmt.Sprint("edits ", edits, " free ", free, " fault ", fault)
	ids := map[record.Side]string{record.Left: b.left, record.Right: b.right}
	for _, side := range record.Sides() {
		id := ids[side]
		if len(edits[side]) > 0 {
			b.set(side, "deals", id, spelt(side, edits[side]))
		}
		for field, value := range edits[side] {
			b.want[field] = value
		}
	}
	if b.random.IntN(2) == 0 {
		_, err := b.trade.left.InjectFault(b.ctx, fault)
		require.NoError(b.t, err)
		told += " (met)"
	}
	if len(edits[record.Right]) > 0 && len(free) > 0 && free[0] != "stage" && b.random.IntN(2) == 0 {
		between := map[string]string{free[0]: b.fresh(free[0])}
		b.want[free[0]] = between[free[0]]
		require.NoError(b.t, b.trade.left.AddRace(b.ctx, wire.Race{Object: "deals", ID: b.left, At: wire.BeforeWrite, Fields: spelt(record.Left, between)}))
		told += fmt.Sprint(" between ", between)
	}
	b.tell(record.Right, "deals", b.right)
	b.tell(record.Left, "deals", b.left)
	step := b.random.IntN(20)
	b.killAt(step)
	b.clock.advance(80 * time.Second)
	b.rest()
	require.NoError(b.t, b.trade.left.ClearFaults(b.ctx))
	b.clock.advance(80 * time.Second)
	b.rest()
	return fmt.Sprint(told, " killed at ", step)
}

func (b *bargain) holds(side record.Side, id string) map[string]string {
	paths := map[string]string{"title": "title", "stage": "stage", "amount": "amount.value", "closes": "close_date"}
	if side == record.Left {
		paths = map[string]string{"title": "name", "stage": "stage.id", "amount": "value", "closes": "expected_close_date"}
	}
	got := map[string]string{}
	for field, path := range paths {
		got[field] = fmt.Sprint(b.held(side, "deals", id, path))
	}
	if side == record.Left {
		got["stage"] = got["stage"][len("stage_"):]
		if status := b.held(side, "deals", id, "status"); status != "open" {
			got["stage"] = fmt.Sprint(status)
		}
	}
	return got
}

// TestPeopleEditADealAtRandom: whichever fields are edited on whichever side, and
// wherever calls fail or the process dies between the calls of an edit, each edit is kept.
func TestPeopleEditADealAtRandom(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if testing.Short() {
		seeds = seeds[:1]
	}
	for _, seed := range seeds {
		b := &bargain{trade: startTrade(t, setup{}), random: rand.New(rand.NewPCG(20261122, seed)),
			want: map[string]string{"title": "House", "stage": "proposal", "amount": "100", "closes": "2027-01-01"}}
		b.left = b.put(record.Left, "deals", spelt(record.Left, b.want))
		b.rest()
		b.right = b.twin(record.Left, "deals", b.left)
		for n := range 40 {
			told := b.round()
			require.Equal(t, b.want, b.holds(record.Left, b.left), "seed %d round %d, SalesOS: %s", seed, n, told)
			require.Equal(t, b.want, b.holds(record.Right, b.right), "seed %d round %d, Acme: %s", seed, n, told)
			require.Empty(t, b.letters(), told)
			require.Empty(t, b.openConflicts(), told)
		}
	}
}
