package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/engine"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func TestRestoringTheEarlierValueAfterALostAnswerIsAnEdit(t *testing.T) {
	t.Run("on the side with versions", func(t *testing.T) {
		b := start(t, setup{})
		lead, contact := b.pair("ana@x.com")
		b.edit(record.Left, lead, map[string]any{"company": "A"})
		b.quiet()
		b.edit(record.Left, lead, map[string]any{"company": "B"})
		b.hint(record.Left, lead)
		b.clock.advance(3 * time.Second)
		b.xKillOn("after update")
		require.Equal(t, "B", text(b.get(record.Right, contact), "company_name"))
		b.edit(record.Right, contact, map[string]any{"company_name": "A"})
		b.quiet()
		require.Equal(t, "A", text(b.get(record.Right, contact), "company_name"))
		require.Equal(t, "A", text(b.get(record.Left, lead), "company"))
	})
	t.Run("on the side without", func(t *testing.T) {
		b := start(t, setup{})
		lead, contact := b.pair("ana@x.com")
		b.edit(record.Right, contact, map[string]any{"company_name": "X"})
		_, err := b.left.InjectFault(b.ctx, wire.Fault{Kind: wire.FaultReset, When: wire.After, Times: 1, Method: "PATCH"})
		require.NoError(t, err)
		b.hint(record.Right, contact)
		b.drain()
		require.Equal(t, "X", text(b.get(record.Left, lead), "company"))
		b.edit(record.Left, lead, map[string]any{"company": ""})
		b.quiet()
		require.Empty(t, text(b.get(record.Left, lead), "company"), "the later clear wins")
		require.Empty(t, text(b.get(record.Right, contact), "company_name"))
	})
}

// A write that never reached the server is made again, even if a user touched
// another field of its target meanwhile.
func TestAWriteThatNeverHappenedIsMadeAgain(t *testing.T) {
	scenes := map[string]func(b *bench, lead string){
		"untouched":          func(*bench, string) {},
		"another field":      func(b *bench, lead string) { b.edit(record.Left, lead, map[string]any{"position": "CTO"}) },
		"a field not mapped": func(b *bench, lead string) { b.edit(record.Left, lead, map[string]any{"source": "fair"}) },
		"a custom field more": func(b *bench, lead string) {
			b.edit(record.Left, lead, map[string]any{"custom_fields": map[string]any{"colour": "red"}})
		},
	}
	for name, meanwhile := range scenes {
		for _, sent := range []string{"X", "A longer"} {
			for _, late := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, A becomes %s, late %t", name, sent, late), func(t *testing.T) {
					b := start(t, setup{})
					lead, contact := b.pair("ana@x.com")
					b.edit(record.Left, lead, map[string]any{"company": "A"})
					b.quiet()
					b.clock.advance(10 * time.Second)
					b.edit(record.Right, contact, map[string]any{"company_name": sent})
					b.hint(record.Right, contact)
					atOnce := func() { meanwhile(b, lead) }
					if late {
						atOnce = func() {}
					}
					b.xKillAt("before update", atOnce)
					if late {
						meanwhile(b, lead)
					}
					b.quiet()
					require.Equal(t, sent, text(b.get(record.Left, lead), "company"))
					require.Equal(t, sent, text(b.get(record.Right, contact), "company_name"))
					require.Equal(t, text(b.get(record.Left, lead), "position"), text(b.get(record.Right, contact), "job_title"))
				})
			}
		}
	}
}

// A save by which a user made one of our fields alike and another one different, while
// our write never arrived, is the user's: it counts as the newest edit.
func TestASaveInPlaceOfAWriteIsTheUsers(t *testing.T) {
	nameless := func(_ *engine.Installed, _ record.Side, inner connector.Connector) connector.Connector {
		return struct{ connector.Connector }{inner} // it does not say who wrote a record last
	}
	b := start(t, setup{connector: nameless})
	lead, contact := b.pair("ana@x.com")
	b.edit(record.Left, lead, map[string]any{"company": "A", "position": "P"})
	b.quiet()
	b.clock.advance(20 * time.Second)
	b.edit(record.Left, lead, map[string]any{"company": "B", "position": "Q"})
	b.hint(record.Left, lead)
	b.clock.advance(20 * time.Second)
	b.xKillOn("before update")
	require.Equal(t, "A", text(b.get(record.Right, contact), "company_name"))
	b.clock.advance(20 * time.Second)
	b.edit(record.Right, contact, map[string]any{"company_name": "C", "job_title": "Q"})
	b.quiet()
	require.Equal(t, "C", text(b.get(record.Right, contact), "company_name"), "the newest edit stays")
	require.Equal(t, "C", text(b.get(record.Left, lead), "company"))
}
