package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// xKillOn kills the process at the first occurrence of a step, restarts it and
// lets its lease end.
func (b *bench) xKillOn(step string) {
	b.t.Helper()
	b.xKillAt(step, func() {})
}

// xKillAt is xKillOn, with something that happens at that very moment.
func (b *bench) xKillAt(step string, meanwhile func()) {
	b.t.Helper()
	hit := false
	b.crash = func(at string) error {
		if at == step && !hit {
			hit = true
			meanwhile()
		}
		if hit {
			return engine.Killed()
		}
		return nil
	}
	b.drain()
	b.crash = nil
	require.True(b.t, hit, "the step %q was never reached", step)
	b.restart()
	b.clock.advance(11 * time.Second)
}

// xDuring calls act once, at the first occurrence of a step of what follows.
func (b *bench) xDuring(step string, act func()) {
	done := false
	b.crash = func(at string) error {
		if at == step && !done {
			done = true
			act()
		}
		return nil
	}
}

// xStoring is a server that stores something else than it is sent at one path.
type xStoring struct {
	connector.Connector
	path string
	as   func(any) any
	// atBirth is what a new record holds there, whatever is sent.
	atBirth any
	// dropped: the path is left out of updates, as a read-only field would be.
	dropped *bool
}

func (s xStoring) sent(fields map[string]any, update bool) map[string]any {
	stored := map[string]any{}
	for path, value := range fields {
		if path == s.path && update && s.dropped != nil && *s.dropped {
			continue
		}
		if path == s.path && s.as != nil {
			value = s.as(value)
		}
		stored[path] = value
	}
	return stored
}

func (s xStoring) Create(ctx context.Context, object string, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	stored := s.sent(fields, false)
	if s.atBirth != nil {
		stored[s.path] = s.atBirth
	}
	return s.Connector.Create(ctx, object, stored, options)
}

func (s xStoring) Update(ctx context.Context, current record.Record, fields map[string]any, options connector.WriteOptions) (record.Record, error) {
	stored := s.sent(fields, true)
	if len(stored) == 0 {
		return s.Connector.Get(ctx, current.Ref.Object, current.Ref.ID)
	}
	return s.Connector.Update(ctx, current, stored, options)
}

// xStore puts a server that stores something else on a side.
func (b *bench) xStore(side record.Side, how xStoring) {
	open := b.options.Open
	b.options.Open = func(ctx context.Context, connection ledger.Connection) (*engine.Installed, error) {
		in, err := open(ctx, connection)
		if err != nil {
			return nil, err
		}
		copied := *in
		if side == record.Left {
			how.Connector = in.Left
			copied.Left = how
		} else {
			how.Connector = in.Right
			copied.Right = how
		}
		return &copied, nil
	}
	b.restart()
}

func xCut(value any) any {
	if text, ok := value.(string); ok && len(text) > 10 {
		return text[:10]
	}
	return value
}

func xUpper(value any) any {
	if text, ok := value.(string); ok {
		return strings.ToUpper(text)
	}
	return value
}

// A pass that writes both sides leaves no gap in which a user is overwritten.
func TestAnEditWhileTheOtherSideIsWrittenIsNotLost(t *testing.T) {
	for name, versions := range map[string]string{"versions on the right": "versions: true", "no versions": "versions: false"} {
		scene := func(t *testing.T, meanwhile func(b *bench, lead, contact string)) (b *bench, lead, contact string) {
			b = start(t, replaced("versions: true", versions))
			lead, contact = b.pair("ana@x.com")
			b.edit(record.Left, lead, map[string]any{"company": "L"})
			b.edit(record.Right, contact, map[string]any{"job_title": "R"})
			b.hint(record.Left, lead)
			b.xDuring("after update", func() {
				b.clock.advance(2 * time.Second)
				meanwhile(b, lead, contact)
			})
			b.settle()
			b.crash = nil
			b.quiet()
			return b, lead, contact
		}
		t.Run("left, "+name, func(t *testing.T) {
			b, lead, contact := scene(t, func(b *bench, lead, _ string) {
				b.edit(record.Left, lead, map[string]any{"position": "USER"})
			})
			require.Equal(t, "USER", text(b.get(record.Left, lead), "position"))
			require.Equal(t, "USER", text(b.get(record.Right, contact), "job_title"))
		})
		t.Run("right, "+name, func(t *testing.T) {
			b, lead, contact := scene(t, func(b *bench, _, contact string) {
				b.edit(record.Right, contact, map[string]any{"company_name": "USER"})
			})
			now := text(b.get(record.Right, contact), "company_name")
			require.Equal(t, now, text(b.get(record.Left, lead), "company"))
			history, _, err := b.store.ListHistory(b.ctx, b.key, ledger.HistoryFilter{Stream: "leads", Field: "company"}, ledger.ListOptions{})
			require.NoError(t, err)
			found := []any{now}
			for _, entry := range history {
				found = append(found, entry.Old)
			}
			require.Contains(t, found, "USER", "replaced by the policy at most, and then it is in the history")
		})
	}
}

func TestAnUnknownFieldSetWhileTheOtherSideIsWrittenIsLeftAlone(t *testing.T) {
	for name, versions := range map[string]string{"versions on the right": "versions: true", "no versions": "versions: false"} {
		t.Run(name, func(t *testing.T) {
			b := start(t, replaced("versions: true", versions))
			require.NoError(t, b.left.SetSwitches(b.ctx, map[string]any{"custom_fields": "replace"}))
			lead, contact := b.pair("ana@x.com")
			b.edit(record.Left, lead, map[string]any{"company": "L"})
			b.edit(record.Right, contact, map[string]any{"score": 5})
			b.hint(record.Left, lead)
			b.xDuring("after update", func() {
				b.edit(record.Left, lead, map[string]any{"custom_fields": map[string]any{"colour": "red", "external_id": contact}})
			})
			b.settle()
			b.crash = nil
			b.quiet()
			require.Equal(t, "red", text(b.get(record.Left, lead), "custom_fields.colour"))
			require.Equal(t, "L", text(b.get(record.Right, contact), "company_name"))
		})
	}
}

func TestACutDoesNotFlowBackAfterACrash(t *testing.T) {
	b := start(t, setup{})
	b.xStore(record.Left, xStoring{path: "position", as: xCut})
	lead, contact := b.pair("ana@x.com")
	b.clock.advance(5 * time.Second)
	b.edit(record.Right, contact, map[string]any{"job_title": "0123456789ABC"})
	b.hint(record.Right, contact)
	b.clock.advance(3 * time.Second)
	b.xKillOn("after update")
	b.quiet()
	require.Equal(t, "0123456789ABC", text(b.get(record.Right, contact), "job_title"))
	require.Equal(t, "0123456789", text(b.get(record.Left, lead), "position"))
	// A user who shortens it later is no server that cuts.
	b.edit(record.Left, lead, map[string]any{"position": "0123"})
	b.quiet()
	require.Equal(t, "0123", text(b.get(record.Right, contact), "job_title"))
}

func TestNewestCountsAUsersTimeAfterACrash(t *testing.T) {
	b := start(t, setup{})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"company": "B"})
	b.hint(record.Left, lead)
	b.xKillOn("after update")
	b.edit(record.Left, lead, map[string]any{"position": "older"})
	b.clock.advance(20 * time.Second)
	b.edit(record.Right, contact, map[string]any{"job_title": "newer"})
	b.clock.advance(20 * time.Second)
	b.quiet()
	require.Equal(t, "newer", text(b.get(record.Left, lead), "position"))
}

func TestNewestCountsAUsersTimeAfterALostCreate(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com", "position": "first"})
	b.hint(record.Left, lead)
	b.xKillOn("after create")
	contacts := b.live(record.Right)
	require.Len(t, contacts, 1)
	b.edit(record.Left, lead, map[string]any{"position": "older"})
	b.clock.advance(20 * time.Second)
	b.edit(record.Right, contacts[0].ID, map[string]any{"job_title": "newer"})
	b.clock.advance(20 * time.Second)
	b.quiet()
	require.Equal(t, "newer", text(b.get(record.Left, lead), "position"))
	require.Equal(t, "newer", text(b.get(record.Right, contacts[0].ID), "job_title"))
}

func TestACutIsNoRefusal(t *testing.T) {
	b := start(t, setup{})
	b.xStore(record.Right, xStoring{path: "job_title", as: xCut})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"position": "0123456789ABC"})
	b.quiet()
	require.Equal(t, "0123456789", text(b.get(record.Right, contact), "job_title"))
	b.edit(record.Left, lead, map[string]any{"position": "0123456789XYZ"})
	b.quiet()
	require.Empty(t, b.letters())
	writes := b.writes(record.Right)
	b.edit(record.Right, contact, map[string]any{"company_name": "C"})
	b.quiet()
	require.Equal(t, "C", text(b.get(record.Left, lead), "company"))
	require.Equal(t, "0123456789XYZ", text(b.get(record.Left, lead), "position"))
	require.Equal(t, writes, b.writes(record.Right), "a user's edit causes no write on its own side")
}

func TestAnotherCaseIsNoRefusal(t *testing.T) {
	b := start(t, setup{})
	b.xStore(record.Right, xStoring{path: "company_name", as: xUpper})
	lead, contact := b.pair("ana@x.com")
	for _, company := range []string{"acme", "Acme"} {
		b.edit(record.Left, lead, map[string]any{"company": company})
		b.quiet()
		require.Equal(t, company, text(b.get(record.Left, lead), "company"))
		require.Equal(t, "ACME", text(b.get(record.Right, contact), "company_name"))
	}
	require.Empty(t, b.letters())
}

// A field that a server silently ignores is named, not written again by edits
// of other fields, and sent again by a replay.
func TestAnIgnoredFieldIsNamedAndQuiet(t *testing.T) {
	dropped := true
	b := start(t, setup{})
	b.xStore(record.Left, xStoring{path: "position", dropped: &dropped})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Right, contact, map[string]any{"job_title": "CTO", "company_name": "first"})
	b.quiet()
	require.Equal(t, "first", text(b.get(record.Left, lead), "company"), "the other fields of the write count")
	require.Len(t, b.letters(), 1)
	require.Equal(t, "position", b.letters()[0].Reason.Field)
	writes := b.writes(record.Left)
	b.edit(record.Left, lead, map[string]any{"company": "second"})
	b.quiet()
	require.Equal(t, writes, b.writes(record.Left), "a user's edit causes no write on its own side")
	require.Equal(t, "second", text(b.get(record.Right, contact), "company_name"))
	require.Equal(t, "CTO", text(b.get(record.Right, contact), "job_title"))
	require.Len(t, b.letters(), 1, "the two sides still differ, and it is said")

	replay := func() {
		_, err := b.store.ReplayDeadLetters(b.ctx, b.key, nil, "")
		require.NoError(t, err)
		b.quiet()
	}
	replay()
	require.Len(t, b.letters(), 1, "it was ignored again")
	dropped = false
	replay()
	require.Equal(t, "CTO", text(b.get(record.Left, lead), "position"))
	require.Empty(t, b.letters())
}

func TestATagThatTheServerKeepsIsNotWrittenAgain(t *testing.T) {
	b := start(t, setup{})
	require.NoError(t, b.left.SetSwitches(b.ctx, map[string]any{"tags": "merge"}))
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"tags": []any{"a", "b"}})
	b.quiet()
	b.edit(record.Right, contact, map[string]any{"labels": []any{"b"}})
	b.quiet()
	require.ElementsMatch(t, []any{"b"}, field(b.get(record.Right, contact), "labels"))
	require.Len(t, b.letters(), 1)
	writes := b.writes(record.Left)
	for _, company := range []string{"a", "b", "c"} {
		b.edit(record.Left, lead, map[string]any{"company": company})
		b.quiet()
	}
	require.Equal(t, writes, b.writes(record.Left), "edits on the left cause no writes on the left")
	require.Equal(t, "c", text(b.get(record.Right, contact), "company_name"))
}

func TestASourceEditedWhileItsCreateIsOpen(t *testing.T) {
	b := start(t, setup{})
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
	b.hint(record.Left, lead)
	b.xKillOn("after create")
	b.edit(record.Left, lead, map[string]any{"company": "X"})
	b.hint(record.Left, lead)
	b.settle()
	require.Equal(t, "X", text(b.get(record.Right, b.other(record.Left, lead)), "company_name"))
}

// Without an Idempotency-Key a unique field is no proof: a user may have changed
// it in the record that the lost create made.
func TestALostCreateIsFoundByItsMarkerFirst(t *testing.T) {
	b := start(t, replaced("idempotency_key: true, unique: [email, external_ref]", "idempotency_key: false, unique: [email]"))
	lead := b.create(record.Left, map[string]any{"name": "Ana", "email": "ana@x.com"})
	b.hint(record.Left, lead)
	b.xKillOn("after create")
	contacts := b.live(record.Right)
	require.Len(t, contacts, 1)
	b.edit(record.Right, contacts[0].ID, map[string]any{"email": "new@x.com"})
	b.quiet()
	require.Len(t, b.live(record.Right), 1)
	require.Len(t, b.live(record.Left), 1)
	require.Equal(t, "new@x.com", text(b.get(record.Left, lead), "email"))
}
