package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// pair makes a linked pair and returns both ids.
func (b *bench) pair(email string) (lead, contact string) {
	b.t.Helper()
	lead = b.create(record.Left, map[string]any{"name": "Ana Lima", "email": email, "phone": "+5511912345678"})
	b.quiet()
	return lead, b.other(record.Left, lead)
}

func replaced(pairs ...string) setup {
	return setup{edit: strings.NewReplacer(pairs...).Replace}
}

func TestRestoringAnEarlierValueIsAnEdit(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	for _, company := range []string{"A", "B", "A", ""} {
		b.edit(record.Left, lead, map[string]any{"company": company})
		b.quiet()
		require.Equal(t, company, text(b.get(record.Right, contact), "company_name"))
	}
	b.edit(record.Right, contact, map[string]any{"score": 0})
	b.quiet()
	require.EqualValues(t, "0", field(b.get(record.Left, lead), "custom_fields.score"), "0 is a value")
	b.edit(record.Right, contact, map[string]any{"score": nil})
	b.quiet()
	require.Nil(t, field(b.get(record.Left, lead), "custom_fields.score"), "clearing is an edit")
}

func TestTagsMergeByElement(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"tags": []any{"a", "b"}})
	b.quiet()
	b.edit(record.Left, lead, map[string]any{"tags": []any{"b", "l"}})
	b.edit(record.Right, contact, map[string]any{"labels": []any{"a", "b", "r"}})
	b.quiet()
	require.ElementsMatch(t, []any{"b", "l", "r"}, field(b.get(record.Left, lead), "tags"))
	require.ElementsMatch(t, []any{"b", "l", "r"}, field(b.get(record.Right, contact), "labels"))
}

func TestDeleteAgainstEdit(t *testing.T) {
	remove := func(b *bench) (lead, contact string) {
		b.pair("bia@x.com")
		lead, contact = b.pair("ana@x.com")
		b.edit(record.Right, contact, map[string]any{"job_title": "CTO"})
		b.remove(record.Left, lead)
		b.quiet()
		return lead, contact
	}
	t.Run("keep and flag, then delete", func(t *testing.T) {
		b := start(t, setup{})
		_, contact := remove(b)
		require.Nil(t, b.get(record.Right, contact).DeletedAt)
		open := b.openConflicts()
		require.Len(t, open, 1)
		require.Empty(t, open[0].Field)
		b.quiet()
		require.Len(t, b.openConflicts(), 1, "it is said once")
		require.NoError(t, b.engine.Decide(b.ctx, b.key, open[0].ID, ledger.Decision{Choose: ledger.ChooseLeft}, nil))
		b.quiet()
		require.NotNil(t, b.get(record.Right, contact).DeletedAt)
		require.Empty(t, b.openConflicts())
	})
	t.Run("keep and flag, then re-create", func(t *testing.T) {
		b := start(t, setup{})
		lead, contact := remove(b)
		require.NoError(t, b.engine.Decide(b.ctx, b.key, b.openConflicts()[0].ID, ledger.Decision{Choose: ledger.ChooseRight}, nil))
		b.quiet()
		fresh := b.other(record.Right, contact)
		require.NotEqual(t, lead, fresh)
		require.Equal(t, "CTO", text(b.get(record.Left, fresh), "position"))
		require.Empty(t, b.openConflicts())
		b.hint(record.Left, lead)
		b.quiet()
		require.Len(t, b.live(record.Left), 2, "a late event of the old record does nothing")
	})
	t.Run("delete wins", func(t *testing.T) {
		b := start(t, replaced("edited: keep", "edited: delete"))
		_, contact := remove(b)
		require.NotNil(t, b.get(record.Right, contact).DeletedAt)
	})
	t.Run("re-create", func(t *testing.T) {
		b := start(t, replaced("edited: keep", "edited: recreate"))
		_, contact := remove(b)
		require.Equal(t, "CTO", text(b.get(record.Left, b.other(record.Right, contact)), "position"))
		require.Len(t, b.live(record.Left), 2)
	})
	t.Run("ignore unlinks for good", func(t *testing.T) {
		b := start(t, replaced("policy: propagate", "policy: ignore"))
		_, contact := remove(b)
		require.Nil(t, b.get(record.Right, contact).DeletedAt)
		b.edit(record.Right, contact, map[string]any{"job_title": "CEO"})
		b.quiet()
		b.run(ledger.RunCompare)
		require.Len(t, b.live(record.Left), 1, "the survivor is not matched again")
		require.Empty(t, b.openConflicts())
	})
}

func TestTheGuardHoldsMassDeletes(t *testing.T) {
	b := start(t, setup{variables: map[string]string{"GUARD_MAX": "2"}})
	var leads []string
	for n := range 6 {
		leads = append(leads, b.create(record.Left, map[string]any{"name": "A", "email": fmt.Sprintf("u%d@x.com", n)}))
	}
	b.quiet()
	for _, lead := range leads[:5] {
		b.remove(record.Left, lead)
		b.hint(record.Left, lead)
	}
	b.quiet()
	require.Len(t, b.live(record.Right), 4, "two pass, three are held")
	held, _, err := b.store.ListHeld(b.ctx, b.key, ledger.HeldWaiting, ledger.ListOptions{})
	require.NoError(t, err)
	require.Len(t, held, 3)
	pending, err := b.store.Pending(b.ctx, b.key, ledger.PendingFilter{})
	require.NoError(t, err)
	require.Zero(t, pending.Changes, "held operations are not pending")
	_, err = b.store.DecideHeld(b.ctx, b.key, []string{held[0].ID}, ledger.HeldRejected)
	require.NoError(t, err)
	_, err = b.store.DecideHeld(b.ctx, b.key, nil, ledger.HeldApproved)
	require.NoError(t, err)
	b.quiet()
	require.Len(t, b.live(record.Right), 2, "approved ones go, the rejected one and the sixth stay")
}

func TestNothingButAVerifiedAnswerIsADelete(t *testing.T) {
	cases := map[string]wire.Fault{
		"404 for everything":      {Kind: wire.FaultStatus, Status: 404, Times: 1000, Method: "GET"},
		"403 for the record":      {Kind: wire.FaultStatus, Status: 403, Times: 1000, Method: "GET"},
		"an empty list":           {Kind: wire.FaultEmptyList, Times: 1000},
		"500":                     {Kind: wire.FaultStatus, Status: 500, Times: 1000, Method: "GET"},
		"404 without an envelope": {Kind: wire.FaultStatus, Status: 404, Times: 1000, Method: "GET", Body: "<html>not found</html>"},
	}
	for name, fault := range cases {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{})
			lead, contact := b.pair("ana@x.com")
			b.pair("bia@x.com")
			_, err := b.left.InjectFault(b.ctx, fault)
			require.NoError(t, err)
			b.hint(record.Left, lead)
			for range 12 {
				b.drain()
				b.poll()
				b.clock.advance(5 * time.Second)
			}
			require.Nil(t, b.get(record.Right, contact).DeletedAt)
			require.NoError(t, b.left.ClearFaults(b.ctx))
			b.clock.advance(time.Minute)
			b.quiet()
			require.Nil(t, b.get(record.Right, contact).DeletedAt)
			require.Equal(t, contact, b.other(record.Left, lead))
			b.edit(record.Left, lead, map[string]any{"company": "still in step"})
			b.quiet()
			require.Equal(t, "still in step", text(b.get(record.Right, contact), "company_name"))
		})
	}
}

func TestAmbiguityIsReportedNeverGuessed(t *testing.T) {
	b := start(t, setup{})
	first := b.create(record.Left, map[string]any{"name": "Ana One", "email": "ana@x.com"})
	second := b.create(record.Left, map[string]any{"name": "Ana Two", "email": "ANA@x.com"})
	contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com"})
	b.run(ledger.RunBackfill)
	b.quiet()
	require.Len(t, b.live(record.Right), 1)
	require.NotEmpty(t, b.letters())
	for _, letter := range b.letters() {
		require.Equal(t, "ambiguous_match", letter.Reason.Code)
	}
	b.remove(record.Left, second)
	b.hint(record.Left, first)
	b.hint(record.Left, second)
	b.quiet()
	b.run(ledger.RunCompare)
	require.Equal(t, contact, b.other(record.Left, first), "with the twin gone the match is clear")
	require.Empty(t, b.letters())
}

func TestConflictsCloseByThemselves(t *testing.T) {
	for name, last := range map[string]string{"agreed": "+5511900000002", "put back": "+5511912345678"} {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{})
			lead, contact := b.pair("ana@x.com")
			b.edit(record.Left, lead, map[string]any{"phone": "+5511900000001"})
			b.edit(record.Right, contact, map[string]any{"phone": "+5511900000002"})
			b.quiet()
			require.Len(t, b.openConflicts(), 1)
			writes := b.writes(record.Left) + b.writes(record.Right)
			b.quiet()
			require.Equal(t, writes, b.writes(record.Left)+b.writes(record.Right), "an open conflict writes nothing")
			b.edit(record.Left, lead, map[string]any{"phone": last})
			b.quiet()
			require.Empty(t, b.openConflicts())
			require.Equal(t, "+5511900000002", text(b.get(record.Left, lead), "phone"))
			require.Equal(t, "+5511900000002", text(b.get(record.Right, contact), "phone"))
		})
	}
}

func TestDecisionIsBoundToWhatWasSeen(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"phone": "+5511900000001"})
	b.edit(record.Right, contact, map[string]any{"phone": "+5511900000002"})
	b.quiet()
	open := b.openConflicts()[0]
	b.edit(record.Left, lead, map[string]any{"phone": "+5511900000003"})
	seen := &engine.SeenPrints{Left: record.Fingerprint(open.Left), Right: record.Fingerprint(open.Right)}
	require.Error(t, b.engine.Decide(b.ctx, b.key, open.ID, ledger.Decision{Choose: ledger.ChooseLeft}, seen))
	b.quiet()
	require.Equal(t, "+5511900000003", b.openConflicts()[0].Left)
	require.NoError(t, b.engine.Decide(b.ctx, b.key, open.ID, ledger.Decision{Choose: ledger.ChooseValue, Value: "+5511900000009"}, nil))
	b.quiet()
	require.Equal(t, "+5511900000009", text(b.get(record.Left, lead), "phone"))
	require.Equal(t, "+5511900000009", text(b.get(record.Right, contact), "phone"))
}

func TestFallbackAtTheDeadline(t *testing.T) {
	b := start(t, setup{variables: map[string]string{"CONFLICT_DEADLINE": "1h"}})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"phone": "+5511900000001"})
	b.edit(record.Right, contact, map[string]any{"phone": "+5511900000002"})
	b.quiet()
	open := b.openConflicts()[0]
	closed, err := b.engine.Fallback(b.ctx, b.key, open.ID)
	require.NoError(t, err)
	require.False(t, closed, "not before its deadline")
	b.clock.advance(2 * time.Hour)
	closed, err = b.engine.Fallback(b.ctx, b.key, open.ID)
	require.NoError(t, err)
	require.True(t, closed)
	b.quiet()
	require.Equal(t, "+5511900000001", text(b.get(record.Right, contact), "phone"))
	require.Empty(t, b.openConflicts())
}

func TestNewestWins(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Right, contact, map[string]any{"company_name": "older"})
	b.clock.advance(5 * time.Second)
	b.edit(record.Left, lead, map[string]any{"company": "newer"})
	b.quiet()
	require.Equal(t, "newer", text(b.get(record.Right, contact), "company_name"))
	b.edit(record.Left, lead, map[string]any{"company": "older again"})
	b.clock.advance(5 * time.Second)
	b.edit(record.Right, contact, map[string]any{"company_name": "newer again"})
	b.quiet()
	require.Equal(t, "newer again", text(b.get(record.Left, lead), "company"))
}

func TestForeignMarkersAndCustomFieldsSurvive(t *testing.T) {
	for _, semantics := range []string{wire.PatchMerge, wire.PatchReplace} {
		t.Run(semantics, func(t *testing.T) {
			b := start(t, setup{})
			require.NoError(t, b.left.SetSwitches(b.ctx, map[string]any{"custom_fields": semantics}))
			lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "custom_fields": map[string]any{"external_id": "erp-77", "colour": "red"}})
			b.quiet()
			contact := b.other(record.Left, lead)
			b.edit(record.Right, contact, map[string]any{"note": "hello"})
			b.quiet()
			found := b.get(record.Left, lead)
			require.Equal(t, "erp-77", text(found, "custom_fields.external_id"))
			require.Equal(t, "red", text(found, "custom_fields.colour"))
			require.Equal(t, "hello", text(found, "custom_fields.note"))
		})
	}
}

func TestAnEditBetweenReadAndWriteIsNotLost(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	require.NoError(t, b.right.AddRace(b.ctx, wire.Race{Object: "contacts", ID: contact, At: wire.BeforeWrite, Fields: map[string]any{"job_title": "CTO", "company_name": "theirs"}, Times: 1}))
	b.clock.advance(5 * time.Second)
	b.edit(record.Left, lead, map[string]any{"company": "ours"})
	b.quiet()
	l, r := b.get(record.Left, lead), b.get(record.Right, contact)
	require.Equal(t, text(l, "company"), text(r, "company_name"))
	require.Equal(t, "CTO", text(l, "position"))
	history, _, err := b.store.ListHistory(b.ctx, b.key, ledger.HistoryFilter{Stream: "leads", Field: "company"}, ledger.ListOptions{})
	require.NoError(t, err)
	olds := []any{text(l, "company")}
	for _, entry := range history {
		olds = append(olds, entry.Old)
	}
	require.Contains(t, olds, "theirs")
	require.Contains(t, olds, "ours")
}

func TestAConflictingCreateIsLinked(t *testing.T) {
	b := start(t, replaced("unique: [email, external_ref]", "unique: []"))
	contact := b.create(record.Right, map[string]any{"first_name": "Ana", "email": "ana@x.com", "job_title": "CTO"})
	require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{"search_lag_ms": 60000}))
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "Ana@X.com"})
	b.hint(record.Left, lead)
	b.settle()
	require.Len(t, b.live(record.Right), 1)
	require.Equal(t, contact, b.other(record.Left, lead))
	require.Equal(t, "CTO", text(b.get(record.Left, lead), "position"))
}

func TestThrottledAndBrokenSidesLoseNothing(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	_, err := b.right.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultStatus, Status: 429, RetryAfter: "7", Times: 1})
	require.NoError(t, err)
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.hint(record.Left, lead)
	result := b.drain()
	require.GreaterOrEqual(t, result.NextDue.Sub(b.clock.now()), 5*time.Second, "Retry-After is obeyed")
	b.settle()
	require.Equal(t, "X", text(b.get(record.Right, contact), "company_name"))
}

func TestOwnersAreTranslatedByEmailAndUsersNeverMade(t *testing.T) {
	b := start(t, setup{})
	_, err := b.left.CreateRecord(b.ctx, "users", map[string]any{"name": "Rep", "email": "Rep@x.com", "role": "sales_rep"})
	require.NoError(t, err)
	lonely, err := b.left.CreateRecord(b.ctx, "users", map[string]any{"name": "Lonely", "email": "lonely@x.com"})
	require.NoError(t, err)
	rep, err := b.right.CreateRecord(b.ctx, "users", map[string]any{"name": "Rep", "email": "rep@x.com"})
	require.NoError(t, err)
	leftRep := ""
	users, err := b.left.Records(b.ctx, "users")
	require.NoError(t, err)
	for _, user := range users {
		if text(user, "email") == "Rep@x.com" {
			leftRep = user.ID
		}
	}
	owned := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "owner_id": leftRep})
	unset := b.create(record.Left, map[string]any{"name": "Bia", "email": "bia@x.com", "owner_id": lonely.ID})
	run := b.run(ledger.RunBackfill)
	require.Equal(t, 2, run.Counts.Created)
	require.Equal(t, 1, run.Counts.Linked)
	require.Zero(t, run.Counts.Parked)
	contact := b.get(record.Right, b.other(record.Left, owned))
	require.Equal(t, rep.ID, text(contact, "owner_id"))
	require.Empty(t, text(b.get(record.Right, b.other(record.Left, unset)), "owner_id"), "no counterpart: left unset")
	rights, err := b.right.Records(b.ctx, "users")
	require.NoError(t, err)
	require.Len(t, rights, 1, "users are never created")
	require.Empty(t, b.letters())
	writes := b.writes(record.Left) + b.writes(record.Right)
	b.quiet()
	require.Equal(t, writes, b.writes(record.Left)+b.writes(record.Right))
	gone := b.other(record.Left, unset)
	b.remove(record.Left, unset)
	b.hint(record.Left, unset)
	b.quiet()
	require.NotNil(t, b.get(record.Right, gone).DeletedAt, "an unset reference is no edit")
}
