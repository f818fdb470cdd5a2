package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// TestAKeyThatIsHandedOn: one record gets the key that another had a moment ago, and is
// looked at first. The server still refuses it then, which is over when the other one
// has been brought over.
func TestAKeyThatIsHandedOn(t *testing.T) {
	for name, give := range map[string]func(b *bench, lead string){
		"by an edit":   func(b *bench, lead string) { b.edit(record.Left, lead, map[string]any{"email": "ana2@x.com"}) },
		"by a delete":  func(b *bench, lead string) { b.remove(record.Left, lead) },
		"to be nobody": func(b *bench, lead string) { b.edit(record.Left, lead, map[string]any{"email": ""}) },
	} {
		for _, named := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				b := start(t, setup{})
				require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"existing_id": named}))
				b.pair("cia@x.com")
				ana, _ := b.pair("ana@x.com")
				bia, contact := b.pair("bia@x.com")
				give(b, ana)
				b.edit(record.Left, bia, map[string]any{"email": "ana@x.com"})
				b.hint(record.Left, bia)
				b.settle()
				require.Empty(t, b.letters())
				require.Equal(t, "ana@x.com", text(b.get(record.Right, contact), "email"))
				require.Empty(t, b.openConflicts())
				before := b.writes(record.Left) + b.writes(record.Right)
				b.quiet()
				require.Equal(t, before, b.writes(record.Left)+b.writes(record.Right), "nothing happens, nothing is written")
			})
		}
	}
}

// TestKeysThatAreSwapped cannot be brought over one by one: both are parked, soon.
func TestKeysThatAreSwapped(t *testing.T) {
	b := start(t, setup{})
	ana, one := b.pair("ana@x.com")
	bia, two := b.pair("bia@x.com")
	b.edit(record.Left, ana, map[string]any{"email": "bia@x.com"})
	b.edit(record.Left, bia, map[string]any{"email": "ana@x.com"})
	b.hint(record.Left, ana)
	b.hint(record.Left, bia)
	b.settle()
	letters := b.letters()
	require.Len(t, letters, 2)
	for _, letter := range letters {
		require.Equal(t, 409, letter.Reason.Status)
	}
	require.Equal(t, "ana@x.com", text(b.get(record.Right, one), "email"))
	require.Equal(t, "bia@x.com", text(b.get(record.Right, two), "email"))
	b.edit(record.Left, ana, map[string]any{"email": "ana3@x.com"})
	b.hint(record.Left, ana)
	b.settle()
	letter := b.letters()
	require.Len(t, letter, 1, "the other one waits for a replay")
	_, err := b.store.ReplayDeadLetters(b.ctx, b.key, []string{letter[0].ID}, "")
	require.NoError(t, err)
	b.settle()
	require.Empty(t, b.letters())
	require.Equal(t, "ana@x.com", text(b.get(record.Right, two), "email"))
}

// TestNothingIsMadeBesideARecordThatIsLeftOut: `where` keeps a record out of the stream,
// and a second one with its key is not made for that.
func TestNothingIsMadeBesideARecordThatIsLeftOut(t *testing.T) {
	scoped := func() setup {
		return replaced("left: {object: leads}", "left: {object: leads, where: \"status != 'unqualified'\"}")
	}
	t.Run("found by live work", func(t *testing.T) {
		b := start(t, scoped())
		lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "status": "unqualified"})
		b.quiet()
		contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "Ana@x.com"})
		b.quietLong()
		require.Len(t, b.live(record.Left), 1)
		letters := b.letters()
		require.Len(t, letters, 1)
		require.Equal(t, contact, letters[0].Ref.ID)
		require.Equal(t, "ambiguous_match", letters[0].Reason.Code)
		b.edit(record.Left, lead, map[string]any{"status": "new"})
		b.hint(record.Left, lead)
		b.quiet()
		require.Equal(t, contact, b.other(record.Left, lead), "taken in: they are a pair")
		require.Empty(t, b.letters())
	})
	t.Run("found by a full listing", func(t *testing.T) {
		b := start(t, scoped())
		b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "status": "unqualified"})
		b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
		b.clock.advance(time.Hour)
		b.run(ledger.RunCompare)
		require.Len(t, b.live(record.Left), 1)
		require.Len(t, b.live(record.Right), 1)
		require.Len(t, b.letters(), 1)
	})
	t.Run("what another stream keeps in step is something else", func(t *testing.T) {
		b := start(t, setup{edit: func(yaml string) string {
			yaml = strings.Replace(yaml, "left: {object: leads}", "left: {object: leads, where: 'custom_fields?.kind != \"company\"'}", 1)
			return strings.Replace(yaml, "streams:\n", firms, 1)
		}})
		firm := b.create(record.Left, map[string]any{"name": "Lima", "email": "info@x.com", "custom_fields": map[string]any{"kind": "company"}})
		contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "info@x.com"})
		b.clock.advance(time.Hour)
		b.run(ledger.RunCompare)
		require.Empty(t, b.letters())
		require.NotEqual(t, firm, b.other(record.Right, contact))
		require.Len(t, b.live(record.Left), 2)
	})
}

// firms is a second stream of leads.
const firms = `streams:
  firms:
    left: {object: leads, where: 'custom_fields?.kind == "company"'}
    right: {object: companies}
    match: [name]
    fields:
      name: {left: name, right: name}
`
