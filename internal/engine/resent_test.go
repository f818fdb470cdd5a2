package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// TestACreateThatIsRefusedWhenSentAgain: the answer to a create is lost on a server that
// knows no idempotency keys and shows the new record late. Sent again it is refused, as
// the address is taken: by the record that was made then.
func TestACreateThatIsRefusedWhenSentAgain(t *testing.T) {
	for _, named := range []bool{true, false} {
		t.Run(map[bool]string{true: "named", false: "not named"}[named], func(t *testing.T) {
			b := start(t, setup{edit: func(yaml string) string {
				at := strings.Index(yaml, "connector: acme")
				return yaml[:at] + strings.Replace(yaml[at:], "idempotency_key: true", "idempotency_key: false", 1)
			}})
			require.NoError(t, b.right.SetSwitches(b.ctx, map[string]any{
				"existing_id": named, "idempotency_keys": false, "search_lag_ms": 30000, "visible_late_ms": 30000,
			}))
			require.NoError(t, b.right.Alter(b.ctx, wire.Alteration{Object: "contacts", Field: "company_name", How: "cut", To: 4}))
			lead := b.create(record.Left, map[string]any{"name": "Ana Lima", "email": "ana@x.com", "company": "Lima and Sons"})
			b.clock.advance(time.Minute)
			b.hint(record.Left, lead)
			b.killOn("after create")
			b.settle()
			contact := b.other(record.Left, lead)
			require.Len(t, b.live(record.Right), 1)
			b.quietLong()
			require.Equal(t, "Lima", text(b.get(record.Right, contact), "company_name"))
			require.Equal(t, "Lima and Sons", text(b.get(record.Left, lead), "company"), "what was cut does not flow back")
			require.Zero(t, b.writes(record.Left))
			require.Empty(t, b.letters())
		})
	}
}
