package cli_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func TestTheGuardIsListedAndAnswered(t *testing.T) {
	s := newConsole(t, "crm")
	require.Zero(t, s.run("guard", "crm"), s.err.String())
	require.Equal(t, "none\n", s.out.String())
	key := ledger.Key{Tenant: "default", Connection: "cn_a"}
	var held []ledger.Held
	for i, id := range []string{"hd1", "hd2", "hd3"} {
		held = append(held, ledger.Held{
			ID: id, Stream: "leads", LinkID: "lk" + id, Ref: record.Ref{Side: record.Right, Object: "contacts", ID: id}, Op: ledger.GuardDelete,
			Since: time.Unix(int64(100+i), 0), State: ledger.HeldWaiting,
		})
	}
	held[1].Op, held[1].Fields = ledger.GuardClear, []string{"note", "phone"}
	require.NoError(t, s.store.Commit(t.Context(), key, ledger.Commit{PutHeld: held}))
	require.Zero(t, s.run("guard", "crm"))
	require.Regexp(t, `hd1 +leads +right/contacts/hd1 +delete +- `, s.out.String())
	require.Regexp(t, `hd2 +leads +right/contacts/hd2 +clear +note, phone `, s.out.String())
	require.Zero(t, s.run("guard", "crm", "--json"))
	require.Contains(t, s.out.String(), `"phone"`)

	for _, wrong := range [][]string{{"approve", "crm"}, {"reject"}, {"reject", "crm", "hd1", "--all"}} {
		require.Equal(t, fault.ExitCode(fault.Usage), s.run(wrong...))
	}
	require.Zero(t, s.run("reject", "crm", "hd1"))
	require.Equal(t, "1 held operation is rejected\n", s.out.String())
	for _, again := range []string{"hd1", "no-such"} {
		require.Equal(t, fault.ExitCode(fault.Conflict), s.run("approve", "crm", again), "what does not wait must not look approved")
		require.Equal(t, "0 held operations are approved\n", s.out.String())
		require.Contains(t, s.err.String(), "1 of 1 named are not operations of this connection that wait (any more): the command guard lists them")
	}
	require.Zero(t, s.run("approve", "crm", "--all", "--json"))
	require.JSONEq(t, `{"decided": 2}`, s.out.String())
	require.Zero(t, s.run("guard", "crm"))
	require.Equal(t, "none\n", s.out.String())
}
