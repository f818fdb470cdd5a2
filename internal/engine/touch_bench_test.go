package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// touchSection counts calls and e-mails of Acme and writes the sum to the lead.
const touchSection = `
touch_points:
  time_zone: America/Sao_Paulo
  sources:
    calls:
      side: right
      object: calls
      kind: call
      at: at
      user: {id: owner_id, ref: users}
      customer: {id: contact_id, ref: leads}
      where: 'outcome != "wrong number"'
      verify_after: 1s
      poll: {every: 1s}
    emails: {side: right, object: emails, kind: email, at: at, user: {id: owner_id, ref: users}, customer: {id: contact_id, ref: leads}, verify_after: 1s}
  write_back:
    total: {stream: leads, side: left, field: custom_fields.touch_points}
`

// touching adds the section to the file of a bench.
func touching(with setup) setup {
	edit := with.edit
	with.edit = func(yaml string) string {
		if edit != nil {
			yaml = edit(yaml)
		}
		return strings.TrimRight(yaml, "\n") + "\n" + touchSection
	}
	return with
}

// log makes a call (or e-mail) of Acme and returns its id.
func (b *bench) log(object string, fields map[string]any) string {
	b.t.Helper()
	made, err := b.right.CreateRecord(b.ctx, object, fields)
	require.NoError(b.t, err)
	return made.ID
}

func (b *bench) relog(object, id string, fields map[string]any) {
	b.t.Helper()
	_, err := b.right.EditRecord(b.ctx, object, id, fields)
	require.NoError(b.t, err)
}

func (b *bench) unlog(object, id string) {
	b.t.Helper()
	_, err := b.right.DeleteRecord(b.ctx, object, id)
	require.NoError(b.t, err)
}

// tell is what a webhook about a call or e-mail leaves.
func (b *bench) tell(object, id string) {
	b.t.Helper()
	b.enqueue(ledger.Change{Stream: object, Ref: record.Ref{Side: record.Right, Object: object, ID: id}})
}

// told looks at calls and e-mails as polls do, until nothing waits.
func (b *bench) told() {
	b.t.Helper()
	for range 2 {
		b.clock.advance(2 * time.Second)
		b.poll()
		for _, object := range []string{"calls", "emails"} {
			_, err := b.engine.Poll(b.ctx, b.key, object)
			require.NoError(b.t, err)
		}
		b.settle()
	}
}

// counts are the touch-points, by everything.
func (b *bench) counts() []ledger.TouchCount {
	b.t.Helper()
	items, next, err := b.store.CountTouchPoints(b.ctx, b.key, ledger.TouchFilter{}, 100, "")
	require.NoError(b.t, err)
	require.Empty(b.t, next)
	return items
}

// held is what the lead's field says.
func (b *bench) held(lead string) any {
	return field(b.get(record.Left, lead), "custom_fields.touch_points")
}

func of(side record.Side, id string) ledger.Party { return ledger.Party{Side: side, ID: id} }

// colleague is a user of both systems, and returns its ids.
func (b *bench) colleague(email string) (left, right string) {
	b.t.Helper()
	one, err := b.left.CreateRecord(b.ctx, "users", map[string]any{"name": "Rui", "email": email})
	require.NoError(b.t, err)
	other, err := b.right.CreateRecord(b.ctx, "users", map[string]any{"name": "Rui", "email": email})
	require.NoError(b.t, err)
	b.quiet()
	return one.ID, other.ID
}

// startTouching is a bench with a linked customer and a linked user.
type touchBench struct {
	*bench
	lead, contact, leftUser, rightUser string
}

func startTouching(t *testing.T, with setup) touchBench {
	b := start(t, touching(with))
	tb := touchBench{bench: b}
	tb.leftUser, tb.rightUser = b.colleague("rui@corp.example")
	tb.lead = b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com"})
	b.quiet()
	tb.contact = b.other(record.Left, tb.lead)
	return tb
}

// aCall is a call with the customer at two in the morning UTC: the day before in São Paulo.
func (tb touchBench) aCall() map[string]any {
	return map[string]any{"contact_id": tb.contact, "owner_id": tb.rightUser, "direction": "out", "at": "2026-03-02T02:00:00Z", "outcome": "reached"}
}
