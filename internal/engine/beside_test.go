package engine_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/acme"
	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
)

// beside installs a second connection of the same SalesOS, with an Acme of its own.
func (b *bench) beside(tenant string) (*bench, *acme.Server) {
	b.t.Helper()
	box := sandbox.New(sandbox.Options{Now: b.clock.now, TimeScale: 1000})
	server := httptest.NewServer(box.Acme)
	b.close = append(b.close, server.Close, box.Close)
	connection, err := b.store.Connection(b.ctx, b.key)
	require.NoError(b.t, err)
	second := &bench{
		t: b.t, ctx: b.ctx, clock: b.clock, key: ledger.Key{Tenant: tenant, Connection: "cn_second"}, store: b.store, engine: b.engine,
		left: b.left, right: sandboxclient.New(server.URL), options: b.options, dir: b.dir,
	}
	connection.Key, connection.Name, connection.Version = second.key, "second", 1
	connection.Variables = maps.Clone(connection.Variables)
	connection.Variables["ACME_URL"], connection.Variables["ACME_TOKEN_URL"] = server.URL+"/api/2", server.URL+"/oauth/token"
	require.NoError(b.t, b.store.CreateConnection(b.ctx, connection))
	second.run(ledger.RunBackfill)
	return second, box.Acme
}

// bothQuiet lets two connections follow each other until nothing moves.
func bothQuiet(a, b *bench) {
	for range 3 {
		a.quiet()
		b.quiet()
	}
}

// inStep asserts that a lead and its contacts of both connections agree, that
// nothing waits for anybody, and that the next polls and compares write nothing.
func inStep(t *testing.T, a, b *bench, leads int) {
	t.Helper()
	require.Len(t, a.live(record.Left), leads)
	for _, one := range []*bench{a, b} {
		require.Len(t, one.live(record.Right), leads)
		require.Empty(t, one.letters())
		require.Empty(t, one.openConflicts())
		for _, lead := range one.live(record.Left) {
			contact := one.get(record.Right, one.other(record.Left, lead.ID))
			require.Equal(t, text(lead, "company"), text(contact, "company_name"))
			require.Equal(t, text(lead, "position"), text(contact, "job_title"))
			require.Equal(t, text(lead, "custom_fields.note"), text(contact, "note"))
			require.Equal(t, text(lead, "email"), text(contact, "email"))
		}
	}
	writes := []int{a.writes(record.Left), a.writes(record.Right), b.writes(record.Right)}
	bothQuiet(a, b)
	a.run(ledger.RunCompare)
	b.run(ledger.RunCompare)
	require.Equal(t, writes, []int{a.writes(record.Left), a.writes(record.Right), b.writes(record.Right)}, "no loop, no echo")
}

func TestOneLeadInTwoConnections(t *testing.T) {
	a := start(t, setup{})
	b, _ := a.beside("default")
	lead := a.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
	ofA := a.create(record.Right, map[string]any{"first_name": "Bia", "email": "bia@x.com"})
	ofB := b.create(record.Right, map[string]any{"first_name": "Cia", "email": "cia@x.com"})
	bothQuiet(a, b)
	inStep(t, a, b, 3)
	marker := func(lead string) string { return text(a.get(record.Left, lead), "custom_fields.external_id") }
	require.Equal(t, ofA, marker(a.other(record.Right, ofA)), "who made the lead put its marker there")
	require.Equal(t, ofB, marker(b.other(record.Right, ofB)), "and the other connection leaves it alone")
	require.Empty(t, marker(lead))

	wrote := []int{a.writes(record.Left), a.writes(record.Right), b.writes(record.Right)}
	a.edit(record.Right, a.other(record.Left, lead), map[string]any{"company_name": "From A", "note": "a"})
	bothQuiet(a, b)
	require.Equal(t, "From A", text(b.get(record.Right, b.other(record.Left, lead)), "company_name"), "by way of the lead")
	b.edit(record.Right, b.other(record.Left, lead), map[string]any{"job_title": "From B"})
	bothQuiet(a, b)
	require.Equal(t, []int{wrote[0] + 2, wrote[1] + 1, wrote[2] + 1}, []int{a.writes(record.Left), a.writes(record.Right), b.writes(record.Right)},
		"each edit costs one write on the lead and one on the other contact")
	inStep(t, a, b, 3)
	require.Equal(t, ofA, marker(a.other(record.Right, ofA)))

	// Two edits of one field, one in each of the outer systems.
	a.edit(record.Right, a.other(record.Left, lead), map[string]any{"company_name": "A again"})
	b.edit(record.Right, b.other(record.Left, lead), map[string]any{"company_name": "B again"})
	bothQuiet(a, b)
	inStep(t, a, b, 3)

	a.remove(record.Left, lead)
	a.hint(record.Left, lead)
	b.hint(record.Left, lead)
	bothQuiet(a, b)
	inStep(t, a, b, 2)
}

// The same person in both outer systems is one lead.
func TestOnePersonInThreeSystems(t *testing.T) {
	a := start(t, setup{})
	b, _ := a.beside("default")
	a.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com", "company_name": "A"})
	b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ANA@x.com ", "job_title": "CTO"})
	bothQuiet(a, b)
	require.Len(t, a.live(record.Left), 1)
	lead := a.live(record.Left)[0]
	require.Equal(t, "A", text(lead, "company"))
	require.Equal(t, "CTO", text(a.get(record.Right, a.other(record.Left, lead.ID)), "job_title"))
	require.Equal(t, "A", text(b.get(record.Right, b.other(record.Left, lead.ID)), "company_name"))
}

// Ids of two systems may be the same: the marker of one connection names a record
// of its own system, not the one with that id in the other's.
func TestAMarkerOfAnotherConnectionIsForeign(t *testing.T) {
	for _, crash := range []string{"", "after create"} {
		t.Run("killed "+crash, func(t *testing.T) {
			a := start(t, setup{})
			b, acmeOfB := a.beside("default")
			ofA := a.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com", "company_name": "X"})
			if crash == "" {
				a.quiet()
			} else {
				a.hint(record.Right, ofA)
				a.killOn(crash)
				b.engine = a.engine
			}
			_, err := acmeOfB.World.Table("contacts").Create(ofA, "user:somebody", map[string]any{"first_name": "Bia", "email": "bia@x.com", "company_name": "Y"})
			require.NoError(t, err)
			b.quiet()
			bothQuiet(a, b)
			inStep(t, a, b, 2)
			require.NotEqual(t, a.other(record.Right, ofA), b.other(record.Right, ofA), "two people are two leads")
		})
	}
}

func TestOneLeadInTwoConnectionsThroughCrashes(t *testing.T) {
	for _, step := range []string{"before create", "after create", "before update", "after update", "before commit", "after commit"} {
		t.Run(step, func(t *testing.T) {
			a := start(t, setup{})
			b, _ := a.beside("default")
			for n := range 3 {
				a.create(record.Right, map[string]any{"first_name": "Ana", "email": fmt.Sprintf("a%d@x.com", n)})
				b.create(record.Right, map[string]any{"first_name": "Bia", "email": fmt.Sprintf("b%d@x.com", n)})
			}
			if step == "before update" || step == "after update" {
				bothQuiet(a, b)
				for _, lead := range a.live(record.Left) {
					a.edit(record.Right, a.other(record.Left, lead.ID), map[string]any{"company_name": "X"})
				}
			}
			a.clock.advance(2e9)
			a.poll()
			b.poll()
			a.killOn(step)
			b.engine = a.engine
			bothQuiet(a, b)
			inStep(t, a, b, 6)
		})
	}
}
