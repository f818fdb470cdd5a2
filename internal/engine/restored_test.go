package engine_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/app"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

// ledgerFiles are the files of the bench's ledger, by their names.
func (b *bench) ledgerFiles() map[string][]byte {
	b.t.Helper()
	names, err := filepath.Glob(filepath.Join(b.dir, "ledger-*.db*"))
	require.NoError(b.t, err)
	files := map[string][]byte{}
	for _, name := range names {
		files[name], err = os.ReadFile(name)
		require.NoError(b.t, err)
	}
	return files
}

// swap closes the ledger, lets do change its files, and opens it again. What the
// workers remember of it stays.
func (b *bench) swap(do func()) {
	b.t.Helper()
	require.NoError(b.t, b.store.Close())
	do()
	name := ""
	for file := range b.ledgerFiles() {
		if strings.HasSuffix(file, ".db") {
			name = file
		}
	}
	log := b.options.Log
	var err error
	b.store, err = sqlstore.Open(b.ctx, "sqlite:"+name, sqlstore.Options{Key: []byte("0123456789abcdef0123456789abcdef"), Now: b.clock.now})
	require.NoError(b.t, err)
	require.NoError(b.t, b.store.Migrate(b.ctx))
	store := b.store
	b.close = append(b.close, func() { _ = store.Close() })
	opener := app.NewOpener(app.OpenerOptions{
		Store: b.store, Installer: app.NewInstaller(app.Drivers()), AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Lease: 10 * time.Second, Log: log, Now: b.clock.now,
	})
	b.options.Store, b.options.Open = b.store, opener.Open
	b.restart()
}

// backup copies the ledger as a backup does.
func (b *bench) backup() map[string][]byte {
	b.t.Helper()
	b.mark()
	var files map[string][]byte
	b.swap(func() { files = b.ledgerFiles() })
	return files
}

// mark is what Temporal remembers after a drain.
func (b *bench) mark() ledger.Mark {
	b.t.Helper()
	mark, err := b.engine.Witness(b.ctx, ledger.Mark{})
	require.NoError(b.t, err)
	return mark
}

// putBack puts the ledger back to a backup while Temporal remembers how far it
// had come, and shows that the first look stops the connection.
func (b *bench) putBack(files map[string][]byte) {
	b.t.Helper()
	b.clock.advance(time.Hour)
	remembered := b.mark()
	b.swap(func() {
		for name := range b.ledgerFiles() {
			require.NoError(b.t, os.Remove(name))
		}
		for name, body := range files {
			require.NoError(b.t, os.WriteFile(name, body, 0o600))
		}
	})
	writes := b.writes(record.Left) + b.writes(record.Right)
	_, err := b.engine.Witness(b.ctx, remembered)
	require.NoError(b.t, err)
	require.True(b.t, b.drain().Paused, "nothing is done until an operator accepts it")
	require.Equal(b.t, writes, b.writes(record.Left)+b.writes(record.Right))
}

// accept lets the connection go on and compares everything, as the command does.
func (b *bench) accept() {
	b.t.Helper()
	accepted, err := b.store.AcceptRestored(b.ctx, b.key, time.Time{})
	require.NoError(b.t, err)
	b.run(ledger.RunCompare)
	b.quiet()
	require.NoError(b.t, b.store.EndRestored(b.ctx, b.key, accepted.Epoch))
	b.quiet()
}

// rested shows that nothing is written when nothing happens.
func (b *bench) rested() {
	b.t.Helper()
	left, right := b.writes(record.Left), b.writes(record.Right)
	b.quiet()
	b.run(ledger.RunCompare)
	b.quiet()
	require.Equal(b.t, left, b.writes(record.Left))
	require.Equal(b.t, right, b.writes(record.Right))
}

// standIn is a ledger that can be put back under a worker that goes on.
type standIn struct{ ledger.Store }

// TestAWorkerNoticesThatTheLedgerIsPutBackUnderIt has nothing to go by but what
// this process has seen itself.
func TestAWorkerNoticesThatTheLedgerIsPutBackUnderIt(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	files := b.backup()
	b.clock.advance(time.Minute)
	b.mark()
	under := &standIn{b.store}
	options := b.options
	options.Store = under
	worker := engine.New(options)
	_, err := worker.Drain(b.ctx, b.key, engine.DrainRequest{})
	require.NoError(t, err)
	b.swap(func() {
		for name, body := range files {
			require.NoError(t, os.WriteFile(name, body, 0o600))
		}
	})
	under.Store = b.store
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.hint(record.Left, lead)
	result, err := worker.Drain(b.ctx, b.key, engine.DrainRequest{})
	require.NoError(t, err)
	require.True(t, result.Paused)
	require.Empty(t, text(b.get(record.Right, contact), "company_name"))
	connection, err := b.store.Connection(b.ctx, b.key)
	require.NoError(t, err)
	require.Equal(t, ledger.Failing, connection.State)
	require.Contains(t, connection.StateReason, "put back")
}

// TestAfterARestoreAPairIsRecreatedAsEver: the rules of a restored ledger end
// where its pairs are known again.
func TestAfterARestoreAPairIsRecreatedAsEver(t *testing.T) {
	b := start(t, setup{edit: func(yaml string) string { return strings.Replace(yaml, "edited: keep", "edited: recreate", 1) }})
	lead, _ := b.pair("ana@x.com")
	b.pair("rui@x.com")
	files := b.backup()
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.quiet()
	b.putBack(files)
	b.accept()
	contact := b.other(record.Left, lead)
	b.edit(record.Right, contact, map[string]any{"company_name": "Y"})
	b.remove(record.Left, lead)
	b.quiet()
	require.Empty(t, b.letters())
	require.Equal(t, "Y", text(b.get(record.Left, b.other(record.Right, contact)), "company"))
}

func TestAfterARestoreLostLinksAreFoundByTheirMarkers(t *testing.T) {
	b := start(t, setup{})
	b.pair("old@x.com")
	files := b.backup()
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
	contact := b.create(record.Right, map[string]any{"first_name": "Rui", "email": "rui@x.com"})
	b.quiet()
	ana, rui := b.other(record.Left, lead), b.other(record.Right, contact)
	// The natural keys are edited while the ledger is away: only the marker is left.
	b.putBack(files)
	b.edit(record.Right, ana, map[string]any{"email": "ana2@x.com"})
	b.edit(record.Left, rui, map[string]any{"email": "rui2@x.com"})
	b.accept()
	require.Equal(t, ana, b.other(record.Left, lead))
	require.Equal(t, rui, b.other(record.Right, contact))
	require.Len(t, b.live(record.Left), 3, "no duplicate")
	require.Len(t, b.live(record.Right), 3, "no duplicate")
	require.Empty(t, b.letters())
	b.rested()
}

func TestAfterARestoreNothingDeletedComesBack(t *testing.T) {
	for _, side := range record.Sides() {
		t.Run(string(side), func(t *testing.T) {
			b := start(t, setup{})
			b.pair("old@x.com")
			files := b.backup()
			b.clock.advance(20 * time.Minute)
			lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
			b.quiet()
			contact := b.other(record.Left, lead)
			b.putBack(files)
			survivor := contact
			if side == record.Left {
				b.remove(record.Left, lead)
			} else {
				b.remove(record.Right, contact)
				survivor = lead
			}
			b.accept()
			require.Len(t, b.live(record.Left), 1+btoi(side == record.Right))
			require.Len(t, b.live(record.Right), 1+btoi(side == record.Left))
			letters := b.letters()
			require.Len(t, letters, 1)
			require.Equal(t, "ledger_restored", letters[0].Reason.Code)
			require.Equal(t, survivor, letters[0].Ref.ID)
			require.Equal(t, side.Other(), letters[0].Ref.Side)
			b.edit(side.Other(), survivor, map[string]any{"phone": "+5511912345678"})
			b.rested()
			require.Len(t, b.letters(), 1, "an edit changes nothing of it")

			// A person may want it made anew all the same.
			_, err := b.store.ReplayDeadLetters(b.ctx, b.key, nil, "")
			require.NoError(t, err)
			b.quiet()
			require.Len(t, b.live(record.Left), 2)
			require.Len(t, b.live(record.Right), 2)
			require.Empty(t, b.letters())
			b.rested()
		})
	}
}

func btoi(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// TestAfterARestoreOwnWritesAreNotTakenForEdits: since the backup a user edited
// the left side and Accord wrote the right one; while the ledger is away the user
// puts the old value back. The old base would say that the right side was edited.
func TestAfterARestoreOwnWritesAreNotTakenForEdits(t *testing.T) {
	policy := func(word string) func(string) string {
		return func(yaml string) string { return strings.Replace(yaml, "policy: newest", "policy: "+word, 1) }
	}
	for word, want := range map[string]string{"newest": "first", "left": "first", "right": "second", "manual": ""} {
		t.Run(word, func(t *testing.T) {
			b := start(t, setup{edit: policy(word)})
			lead, contact := b.pair("ana@x.com")
			b.edit(record.Left, lead, map[string]any{"company": "first"})
			b.quiet()
			b.clock.advance(time.Hour)
			files := b.backup()
			b.clock.advance(time.Hour)
			b.edit(record.Left, lead, map[string]any{"company": "second"})
			b.quiet()
			require.Equal(t, "second", text(b.get(record.Right, contact), "company_name"))
			b.putBack(files)
			b.edit(record.Left, lead, map[string]any{"company": "first"})
			b.accept()
			left, right := text(b.get(record.Left, lead), "company"), text(b.get(record.Right, contact), "company_name")
			if want == "" {
				require.Equal(t, []string{"first", "second"}, []string{left, right})
				require.Len(t, b.openConflicts(), 1)
				return
			}
			require.Equal(t, []string{want, want}, []string{left, right})
			b.rested()
		})
	}
}

// TestAfterARestoreOneSidedEditsFlow: what was edited on one side only, and not
// touched on the other since the backup, needs no policy.
func TestAfterARestoreOneSidedEditsFlow(t *testing.T) {
	b := start(t, setup{edit: func(yaml string) string { return strings.Replace(yaml, "policy: newest", "policy: right", 1) }})
	lead, contact := b.pair("ana@x.com")
	other, otherContact := b.pair("rui@x.com")
	b.clock.advance(time.Hour)
	files := b.backup()
	b.clock.advance(time.Hour)
	b.edit(record.Left, other, map[string]any{"company": "synced"})
	b.quiet()
	b.putBack(files)
	b.edit(record.Left, lead, map[string]any{"company": "mine"})
	writes := b.writes(record.Right)
	b.accept()
	require.Equal(t, "mine", text(b.get(record.Right, contact), "company_name"), "the right side was not touched: the left one wins although the policy is right")
	require.Equal(t, "synced", text(b.get(record.Right, otherContact), "company_name"))
	require.Equal(t, writes+1, b.writes(record.Right), "what agrees is not written")
	require.Empty(t, b.openConflicts())
	b.edit(record.Left, other, map[string]any{"company": "later"})
	b.quiet()
	require.Equal(t, "later", text(b.get(record.Right, otherContact), "company_name"), "all is as ever afterwards")
	b.rested()
}

// TestAfterARestoreASurvivorThatMayBeEditedIsKept: the right record was deleted
// while the ledger was away, the left one was edited and synced after the backup.
func TestAfterARestoreASurvivorThatMayBeEditedIsKept(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	untouched, untouchedContact := b.pair("rui@x.com")
	b.pair("eva@x.com")
	b.clock.advance(time.Hour)
	files := b.backup()
	b.clock.advance(time.Hour)
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.quiet()
	b.edit(record.Left, lead, map[string]any{"company": ""})
	b.quiet()
	b.putBack(files)
	b.remove(record.Right, contact)
	b.remove(record.Right, untouchedContact)
	b.accept()
	require.Nil(t, b.get(record.Left, lead).DeletedAt, "it equals the old base, but it was touched since")
	require.Len(t, b.openConflicts(), 1)
	require.NotNil(t, b.get(record.Left, untouched).DeletedAt, "an ordinary delete")
}

// TestAfterARestoreACreateUnderWayIsNotRepeated: a create was open in the backup;
// it went through afterwards, and the record was deleted by a user since.
func TestAfterARestoreACreateUnderWayIsNotRepeated(t *testing.T) {
	b := start(t, setup{})
	b.pair("old@x.com")
	b.clock.advance(time.Hour)
	contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
	b.hint(record.Right, contact)
	b.killOn("before create")
	files := b.backup()
	b.quiet()
	b.putBack(files)
	made := b.live(record.Left)
	require.Len(t, made, 2)
	for _, one := range made {
		if text(one, "email") == "ana@x.com" {
			b.remove(record.Left, one.ID)
		}
	}
	b.accept()
	require.Len(t, b.live(record.Left), 1, "nothing deleted comes back")
	require.Len(t, b.letters(), 1)
	require.Equal(t, "ledger_restored", b.letters()[0].Reason.Code)
}

// TestALedgerAheadOfTemporalIsNoNews: a Temporal that was put back, or is new,
// remembers less than the ledger.
func TestALedgerAheadOfTemporalIsNoNews(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	old := b.mark()
	b.clock.advance(time.Hour)
	b.mark()
	b.restart()
	for _, remembered := range []ledger.Mark{old, {}} {
		_, err := b.engine.Witness(b.ctx, remembered)
		require.NoError(t, err)
	}
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.quiet()
	require.Equal(t, "X", text(b.get(record.Right, contact), "company_name"))
}
