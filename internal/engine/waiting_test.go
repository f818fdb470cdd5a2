package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// TestARecordWithTheKeyOfAPairThatWaitsForAPerson is parked, and says so: it
// does not come back time and again while nobody decides.
func TestARecordWithTheKeyOfAPairThatWaitsForAPerson(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"position": "CTO"})
	b.remove(record.Right, contact)
	b.quiet()
	require.Len(t, b.openConflicts(), 1)
	fresh := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
	b.quiet()
	letters := b.letters()
	require.Len(t, letters, 1)
	require.Equal(t, fresh, letters[0].Ref.ID)
	require.Equal(t, "ambiguous_match", letters[0].Reason.Code)
	require.NoError(t, b.engine.Decide(b.ctx, b.key, b.openConflicts()[0].ID, ledger.Decision{Choose: ledger.ChooseLeft}, nil))
	b.quiet()
	b.run(ledger.RunCompare)
	require.Empty(t, b.letters())
	require.Equal(t, fresh, b.other(record.Left, lead), "made anew, it is the record with its key that is there already")
}

// TestARecordWithTheKeyOfAParkedPair: a lead takes over the e-mail address of a
// contact that nobody has told of yet. Both are parked, each with its reason, and
// neither comes back time and again.
func TestARecordWithTheKeyOfAParkedPair(t *testing.T) {
	b := start(t, setup{})
	fresh := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
	lead := b.create(record.Left, map[string]any{"name": "Bia", "email": "bia@x.com"})
	b.hint(record.Left, lead)
	b.settle()
	b.edit(record.Left, lead, map[string]any{"email": "ana@x.com"})
	b.hint(record.Left, lead)
	b.quiet()
	refs := []string{}
	for _, letter := range b.letters() {
		refs = append(refs, letter.Ref.ID)
	}
	require.ElementsMatch(t, []string{lead, fresh}, refs)
	b.edit(record.Left, lead, map[string]any{"email": "bia@x.com"})
	b.quiet()
	b.run(ledger.RunCompare)
	require.Empty(t, b.letters())
	require.Len(t, b.live(record.Left), 2)
	require.Len(t, b.live(record.Right), 2)
}

// TestAnEditOfWhatAKilledWriteLeft: a user changes what our write had just put
// there, before anybody could say that it arrived. That is a later edit, and no
// conflict, wherever a version or another field of the write tells.
func TestAnEditOfWhatAKilledWriteLeft(t *testing.T) {
	t.Run("a version tells", func(t *testing.T) {
		b := start(t, replaced("policy: newest", "policy: left"))
		lead, contact := b.pair("ana@x.com")
		b.edit(record.Left, lead, map[string]any{"company": "ours"})
		b.hint(record.Left, lead)
		b.killOn("after update")
		b.edit(record.Right, contact, map[string]any{"company_name": "theirs"})
		b.quiet()
		require.Equal(t, "theirs", text(b.get(record.Left, lead), "company"))
		require.Equal(t, "theirs", text(b.get(record.Right, contact), "company_name"))
	})
	t.Run("another field of the write tells", func(t *testing.T) {
		b := start(t, replaced("policy: newest", "policy: right"))
		lead, contact := b.pair("ana@x.com")
		b.edit(record.Right, contact, map[string]any{"company_name": "ours", "job_title": "CTO"})
		b.hint(record.Right, contact)
		b.killOn("after update")
		b.edit(record.Left, lead, map[string]any{"company": "theirs"})
		b.quiet()
		require.Equal(t, "theirs", text(b.get(record.Left, lead), "company"))
		require.Equal(t, "theirs", text(b.get(record.Right, contact), "company_name"))
	})
	t.Run("it never arrived", func(t *testing.T) {
		b := start(t, replaced("policy: newest", "policy: left"))
		lead, contact := b.pair("ana@x.com")
		b.edit(record.Left, lead, map[string]any{"company": "ours"})
		b.hint(record.Left, lead)
		b.killOn("before update")
		b.edit(record.Right, contact, map[string]any{"company_name": "theirs"})
		b.quiet()
		require.Equal(t, "ours", text(b.get(record.Left, lead), "company"))
		require.Equal(t, "ours", text(b.get(record.Right, contact), "company_name"))
	})
}
