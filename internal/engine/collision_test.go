package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// collision chooses what a stream does with a record that is there already.
func collision(choice string) func(string) string {
	return func(yaml string) string { return strings.Replace(yaml, "collision: upsert", "collision: "+choice, 1) }
}

// colliding are the ways in which a counterpart turns out to be there already.
func colliding() map[string]func(b *bench) {
	return map[string]func(b *bench){
		// Its search finds it before anything is sent.
		"found by its key": func(b *bench) { b.clock.advance(time.Minute) },
		// Only the refusal tells of it, and names it.
		"409 that names it": func(b *bench) { b.hidden(true) },
		// Only the refusal tells of it; the search does later.
		"409 that does not": func(b *bench) { b.hidden(false) },
	}
}

// hidden keeps what is made on the right out of searches and listings for a while.
func (b *bench) hidden(named bool) {
	b.t.Helper()
	require.NoError(b.t, b.right.SetSwitches(b.ctx, map[string]any{"search_lag_ms": 3000, "visible_late_ms": 3000, "existing_id": named}))
}

func TestCollisionUpsert(t *testing.T) {
	for name, prepare := range colliding() {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{edit: collision("upsert")})
			prepare(b)
			contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@example.com", "job_title": "CTO"})
			lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ANA@example.com ", "company": "Lima"})
			b.hint(record.Left, lead)
			b.settle()
			b.quietLong()
			require.Equal(t, contact, b.other(record.Left, lead), "the one that is there is linked")
			require.Len(t, b.live(record.Right), 1)
			require.Len(t, b.live(record.Left), 1)
			require.Equal(t, "Lima", text(b.get(record.Right, contact), "company_name"), "and updated")
			require.Equal(t, "CTO", text(b.get(record.Left, lead), "position"))
			require.Empty(t, b.letters())
		})
	}
}

func TestCollisionIgnore(t *testing.T) {
	for name, prepare := range colliding() {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{edit: collision("ignore")})
			prepare(b)
			contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@example.com", "job_title": "CTO"})
			lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@example.com", "company": "Lima"})
			b.hint(record.Left, lead)
			b.settle()
			b.quietLong()
			require.Len(t, b.live(record.Right), 1)
			require.Len(t, b.live(record.Left), 1)
			require.Empty(t, text(b.get(record.Right, contact), "company_name"), "both stay as they are")
			require.Empty(t, text(b.get(record.Left, lead), "position"))
			links, _, err := b.store.Links(b.ctx, b.key, ledger.LinkFilter{Stream: "leads"}, ledger.ListOptions{})
			require.NoError(t, err)
			require.Empty(t, links)
			require.NotEmpty(t, b.letters(), "and it is said")
			for _, letter := range b.letters() {
				require.Equal(t, "duplicate", letter.Reason.Code)
				require.NotEmpty(t, letter.Values, "with the record, for whoever decides")
			}
			// An edit that ends the collision clears it.
			b.edit(record.Left, lead, map[string]any{"email": "other@example.com"})
			b.hint(record.Left, lead)
			b.quietLong()
			require.Empty(t, b.letters())
			require.Len(t, b.live(record.Right), 2)
			require.Len(t, b.live(record.Left), 2)
		})
	}
}

func TestCollisionCreate(t *testing.T) {
	b := start(t, setup{edit: collision("create")})
	require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"unique": false}))
	contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@example.com"})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@example.com"})
	b.quietLong()
	require.NotEqual(t, contact, b.other(record.Left, lead), "a second one is made")
	require.NotEqual(t, lead, b.other(record.Right, contact))
	require.Len(t, b.live(record.Right), 2)
	require.Len(t, b.live(record.Left), 2)
	require.Empty(t, b.letters())
}

// TestCollisionCreateWhereTheServerForbidsIt: what the server does not take twice is
// parked, never linked against the choice.
func TestCollisionCreateWhereTheServerForbidsIt(t *testing.T) {
	b := start(t, setup{edit: collision("create")})
	contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@example.com", "job_title": "CTO"})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@example.com", "company": "Lima"})
	b.quietLong()
	require.Empty(t, text(b.get(record.Right, contact), "company_name"))
	require.Len(t, b.live(record.Right), 1)
	links, _, err := b.store.Links(b.ctx, b.key, ledger.LinkFilter{Stream: "leads", Side: record.Left, ID: lead}, ledger.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, links)
	codes := map[string]bool{}
	for _, letter := range b.letters() {
		codes[letter.Ref.ID+" "+letter.Reason.Code] = true
	}
	require.True(t, codes[lead+" duplicate"], "%v", codes)
}

// TestAnUpdateThatCollides: an edit to another record's key is parked with the field
// and the server's answer, and what was edited beside it waits for nobody else.
func TestAnUpdateThatCollides(t *testing.T) {
	b := start(t, setup{})
	ana, _ := b.pair("ana@example.com")
	bia, contact := b.pair("bia@example.com")
	b.edit(record.Left, bia, map[string]any{"email": "ana@example.com"})
	b.edit(record.Left, ana, map[string]any{"company": "Lima"})
	b.hint(record.Left, bia)
	b.quietLong()
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, "duplicate", letters[0].Reason.Code)
	require.Equal(t, 409, letters[0].Reason.Status)
	require.Equal(t, bia, letters[0].Ref.ID)
	require.Equal(t, "ana@example.com", letters[0].Values["email"])
	require.Equal(t, "bia@example.com", text(b.get(record.Right, contact), "email"))
	require.Equal(t, "Lima", text(b.get(record.Right, b.other(record.Left, ana)), "company_name"), "one failure stops nothing else")
	b.edit(record.Left, bia, map[string]any{"email": "bia2@example.com"})
	b.quietLong()
	require.Empty(t, b.letters(), "a later good edit clears it")
	require.Equal(t, "bia2@example.com", text(b.get(record.Right, contact), "email"))
}

// quietLong is quiet for as long as a server's searches trail behind.
func (b *bench) quietLong() {
	b.t.Helper()
	for range 4 {
		b.clock.advance(90 * time.Second)
		b.quiet()
	}
}
