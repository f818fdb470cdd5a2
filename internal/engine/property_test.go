package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// paths of the fields that the machine edits, by side.
var machineFields = map[string][2]string{
	"company":  {"company", "company_name"},
	"position": {"position", "job_title"},
	"phone":    {"phone", "phone"},
	"note":     {"custom_fields.note", "note"},
}

// edit is one value that a user set.
type edit struct {
	side     record.Side
	id, name string
	value    string
}

// machine plays users, deliveries, faults and crashes against the real engine
// on a real store, and checks the contract when all is quiet.
type machine struct {
	b     *bench
	edits []edit
	made  map[string]string
	gone  map[string]bool
	// loose are fields where a user restored an older value: the history cannot
	// tell such an edit from the older one.
	loose map[string]bool
	keys  int
	value int
}

func sideOf(t *rapid.T) record.Side {
	return rapid.SampledFrom([]record.Side{record.Left, record.Right}).Draw(t, "side")
}

func (m *machine) pick(t *rapid.T, side record.Side) (string, bool) {
	alive := m.b.live(side)
	if len(alive) == 0 {
		return "", false
	}
	// Ids are random; e-mails tell who is who when a failure is shrunk.
	slices.SortFunc(alive, func(a, b wire.Record) int {
		return strings.Compare(strings.ToLower(text(a, "email"))+a.ID, strings.ToLower(text(b, "email"))+b.ID)
	})
	return alive[rapid.IntRange(0, len(alive)-1).Draw(t, "record")].ID, true
}

func nested(path, value string) map[string]any {
	fields := record.Fields{}
	fields.Set(path, value)
	return fields
}

func (m *machine) Create(t *rapid.T) {
	side := sideOf(t)
	if len(m.b.live(side)) > 6 {
		t.Skip("enough records")
	}
	m.keys++
	email := fmt.Sprintf("user%d@x.com", m.keys)
	fields := map[string]any{"name": "User " + fmt.Sprint(m.keys), "email": email}
	if side == record.Right {
		fields = map[string]any{"first_name": "User", "last_name": fmt.Sprint(m.keys), "email": email}
	}
	id := m.b.create(side, fields)
	m.made[string(side)+"/"+id] = email
	if rapid.Bool().Draw(t, "hinted") {
		m.b.hint(side, id)
	}
}

// CreateTwins makes the same person on both sides at once.
func (m *machine) CreateTwins(t *rapid.T) {
	if len(m.b.live(record.Left)) > 6 {
		t.Skip("enough records")
	}
	m.keys++
	email := fmt.Sprintf("user%d@x.com", m.keys)
	left := m.b.create(record.Left, map[string]any{"name": "Twin " + fmt.Sprint(m.keys), "email": strings.ToUpper(email)})
	right := m.b.create(record.Right, map[string]any{"first_name": "Twin", "last_name": fmt.Sprint(m.keys), "email": email})
	m.made["left/"+left], m.made["right/"+right] = email, email
	if rapid.Bool().Draw(t, "hinted") {
		m.b.hint(record.Right, right)
		m.b.hint(record.Left, left)
	}
}

func (m *machine) Edit(t *rapid.T) {
	side := sideOf(t)
	id, ok := m.pick(t, side)
	if !ok {
		t.Skip("nothing to edit")
	}
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(machineFields))).Draw(t, "field")
	path := machineFields[name][0]
	if side == record.Right {
		path = machineFields[name][1]
	}
	m.value++
	value := fmt.Sprintf("value %d", m.value)
	if name == "phone" {
		value = fmt.Sprintf("+55119%08d", m.value)
	}
	m.b.edit(side, id, nested(path, value))
	m.edits = append(m.edits, edit{side: side, id: id, name: name, value: value})
	if rapid.Bool().Draw(t, "hinted") {
		m.b.hint(side, id)
	}
}

// Restore sets a field to what some record held before, or clears it.
func (m *machine) Restore(t *rapid.T) {
	side := sideOf(t)
	id, ok := m.pick(t, side)
	if !ok {
		t.Skip("nothing to edit")
	}
	name := rapid.SampledFrom([]string{"company", "note"}).Draw(t, "field")
	path := machineFields[name][0]
	if side == record.Right {
		path = machineFields[name][1]
	}
	value := rapid.SampledFrom([]string{"", "value 1", "value 2", "another"}).Draw(t, "value")
	m.b.edit(side, id, nested(path, value))
	m.loose[name] = true
	if rapid.Bool().Draw(t, "hinted") {
		m.b.hint(side, id)
	}
}

func (m *machine) Delete(t *rapid.T) {
	side := sideOf(t)
	id, ok := m.pick(t, side)
	if !ok || rapid.IntRange(0, 3).Draw(t, "rarely") > 0 {
		t.Skip("no delete")
	}
	m.b.remove(side, id)
	m.gone[string(side)+"/"+id] = true
	if rapid.Bool().Draw(t, "hinted") {
		m.b.hint(side, id)
	}
}

// Deliver repeats an old event.
func (m *machine) Deliver(t *rapid.T) {
	side := sideOf(t)
	if id, ok := m.pick(t, side); ok {
		m.b.hint(side, id)
	}
}

func (m *machine) Drain(*rapid.T) { m.b.drain() }

func (m *machine) Poll(*rapid.T) { m.b.clock.advance(2e9); m.b.poll() }

func (m *machine) Settle(*rapid.T) { m.b.settle() }

// Crash kills the process at a random step of the work that follows.
func (m *machine) Crash(t *rapid.T) {
	left := rapid.IntRange(0, 25).Draw(t, "steps")
	m.b.crash = func(string) error {
		left--
		if left < 0 {
			return engine.Killed()
		}
		return nil
	}
	m.b.drain()
	m.b.crash = nil
	m.b.restart()
}

// Fault makes the next call of a kind fail, before or after its effect.
func (m *machine) Fault(t *rapid.T) {
	client, object := m.b.client(sideOf(t))
	fault := wire.Fault{
		Kind: wire.FaultStatus, Status: rapid.SampledFrom([]int{500, 503, 429}).Draw(t, "status"), RetryAfter: "1",
		Method: rapid.SampledFrom([]string{"GET", "POST", "PATCH", "DELETE"}).Draw(t, "method"), Contains: object,
		When: rapid.SampledFrom([]string{wire.Before, wire.After}).Draw(t, "when"), Times: rapid.IntRange(1, 2).Draw(t, "times"),
	}
	_, err := client.InjectFault(m.b.ctx, fault)
	require.NoError(t, err)
}

// Check is cheap in between; the contract is checked when all is quiet.
func (m *machine) Check(*rapid.T) {}

func (m *machine) finish(t *rapid.T) {
	require.NoError(t, m.b.left.ClearFaults(m.b.ctx))
	require.NoError(t, m.b.right.ClearFaults(m.b.ctx))
	m.b.clock.advance(90e9)
	m.b.quiet()
	m.b.run(ledger.RunCompare)
	m.b.quiet()
	m.converged(t)
	left, right := m.b.writes(record.Left), m.b.writes(record.Right)
	m.b.clock.advance(90e9)
	m.b.quiet()
	m.b.run(ledger.RunCompare)
	require.Equal(t, left, m.b.writes(record.Left), "nothing happens, nothing is written (left)")
	require.Equal(t, right, m.b.writes(record.Right), "nothing happens, nothing is written (right)")
	pending, err := m.b.store.Pending(m.b.ctx, m.b.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Zero(t, pending.Changes)
	require.Zero(t, pending.Intents)
}

// converged: every record is linked or named, linked ones agree, nothing is
// there twice, nothing deleted lives, no edit is lost.
func (m *machine) converged(t *rapid.T) {
	links, _, err := m.b.store.Links(m.b.ctx, m.b.key, ledger.LinkFilter{Stream: "leads", State: ledger.LinkActive}, ledger.ListOptions{Limit: 200})
	require.NoError(t, err)
	left, right := map[string]wire.Record{}, map[string]wire.Record{}
	for _, one := range m.b.live(record.Left) {
		left[one.ID] = one
	}
	for _, one := range m.b.live(record.Right) {
		right[one.ID] = one
	}
	named := map[string]bool{}
	open := map[string]ledger.Conflict{}
	for _, conflict := range m.b.openConflicts() {
		open[conflict.LinkID+"/"+conflict.Field] = conflict
		named["left/"+conflict.LeftRef.ID], named["right/"+conflict.RightRef.ID] = true, true
	}
	for _, letter := range m.b.letters() {
		named[string(letter.Ref.Side)+"/"+letter.Ref.ID] = true
	}
	linked := map[string]bool{}
	for _, link := range links {
		linked["left/"+link.Left.ID], linked["right/"+link.Right.ID] = true, true
		l, okLeft := left[link.Left.ID]
		r, okRight := right[link.Right.ID]
		if _, flagged := open[link.ID+"/"]; flagged {
			continue
		}
		require.True(t, okLeft && okRight, "an active link points to live records: %s %s", link.Left, link.Right)
		for name, paths := range machineFields {
			if _, conflicting := open[link.ID+"/"+name]; conflicting {
				continue
			}
			require.Equal(t, text(l, paths[0]), text(r, paths[1]), "%s of %s and %s", name, link.Left, link.Right)
		}
		m.noLostEdit(t, link, l, r, open)
	}
	for id := range left {
		require.True(t, linked["left/"+id] || named["left/"+id], "left %s is linked or named", id)
	}
	for id := range right {
		require.True(t, linked["right/"+id] || named["right/"+id], "right %s is linked or named", id)
	}
	m.noDuplicates(t, left, "email")
	m.noDuplicates(t, right, "email")
	for ref := range m.gone {
		_, id, _ := strings.Cut(ref, "/")
		require.NotContains(t, left, id)
		require.NotContains(t, right, id)
	}
}

func (m *machine) noDuplicates(t *rapid.T, records map[string]wire.Record, path string) {
	byKey := map[string]string{}
	for id, one := range records {
		key := strings.ToLower(text(one, path))
		require.NotContains(t, byKey, key, "two live records with key %s: %s and %s", key, id, byKey[key])
		byKey[key] = id
	}
}

// noLostEdit: the last edit of each side is what both hold, or the history
// knows that it was overwritten.
func (m *machine) noLostEdit(t *rapid.T, link ledger.Link, l, r wire.Record, open map[string]ledger.Conflict) {
	last := map[string]edit{}
	for _, one := range m.edits {
		if one.side == record.Left && one.id == link.Left.ID || one.side == record.Right && one.id == link.Right.ID {
			last[string(one.side)+"/"+one.name] = one
		}
	}
	for _, one := range last {
		paths := machineFields[one.name]
		now := text(l, paths[0])
		if one.side == record.Right {
			now = text(r, paths[1])
		}
		if _, conflicting := open[link.ID+"/"+one.name]; conflicting || now == one.value || m.loose[one.name] {
			continue
		}
		history, _, err := m.b.store.ListHistory(m.b.ctx, m.b.key, ledger.HistoryFilter{Stream: "leads", Side: one.side, ID: one.id, Field: one.name}, ledger.ListOptions{Limit: 200})
		require.NoError(t, err)
		found := false
		for _, entry := range history {
			found = found || entry.Old == one.value
		}
		require.True(t, found, "the edit of %s/%s %s=%q is neither there (%q) nor in the history", one.side, one.id, one.name, one.value, now)
	}
}

func TestContractUnderRandomUsersFaultsAndCrashes(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		// One record at a time, so that a failure is the same when it is run again.
		b := newBench(t, dir, setup{edit: func(yaml string) string { return strings.ReplaceAll(yaml, "concurrency: 8", "concurrency: 1") }})
		defer b.end()
		m := &machine{b: b, made: map[string]string{}, gone: map[string]bool{}, loose: map[string]bool{}}
		t.Repeat(rapid.StateMachineActions(m))
		m.finish(t)
	})
}
