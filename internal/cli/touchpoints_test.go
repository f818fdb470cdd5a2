package cli

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

func TestTouchPointsCommand(t *testing.T) {
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), sqlstore.Options{Key: make([]byte, 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(ctx))
	key := ledger.Key{Tenant: "t", Connection: "cn_1"}
	require.NoError(t, store.CreateConnection(ctx, ledger.Connection{Key: key, Name: "acme", State: ledger.Active, Version: 1}))
	point := func(id, day, user string) ledger.TouchPoint {
		return ledger.TouchPoint{Stream: "calls", Ref: record.Ref{Side: record.Right, Object: "calls", ID: id}, Kind: "call", Day: day, User: user, UserStream: "users"}
	}
	require.NoError(t, store.Commit(ctx, key, ledger.Commit{PutTouchPoints: []ledger.TouchPoint{
		point("1", "2026-03-01", "us_1"), point("2", "2026-03-01", "us_1"), point("3", "2026-03-02", "")}}))
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		command := touchPointsCommand(Options{Tenant: "t", Connect: func(context.Context) (*Session, error) {
			return &Session{Store: store, Close: func() {}}, nil
		}})
		command.SetArgs(append([]string{"acme"}, args...))
		command.SetOut(&out)
		command.SilenceErrors, command.SilenceUsage = true, true
		err := command.Execute()
		return out.String(), err
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "DAY         KIND  USER        CUSTOMER  COUNT\n2026-03-01  call  right/us_1  -         2\n2026-03-02  call  -           -         1\n"},
		{[]string{"--by", "day", "--from", "2026-03-02"}, "DAY         KIND  USER  CUSTOMER  COUNT\n2026-03-02  -     -     -         1\n"},
		{[]string{"--by", "day", "--kind", "call", "--user", "us_1"}, "DAY         KIND  USER  CUSTOMER  COUNT\n2026-03-01  call  us_1  -         2\n"},
		{[]string{"--by", "kind", "--user", "us_1"}, "DAY  KIND  USER  CUSTOMER  COUNT\n-    call  us_1  -         2\n"},
		{[]string{"--csv", "--user", "us_1", "--by", "kind,user"}, "kind,user,user_side,count\r\ncall,us_1,right,2\r\n"},
		{[]string{"--customer", "ct_1"}, "none\n"},
		{[]string{"--limit", "1", "--by", "user", "--to", "2026-03-01", "--json"},
			"{\n  \"items\": [\n    {\n      \"count\": 2,\n      \"user\": {\n        \"id\": \"us_1\",\n        \"side\": \"right\"\n      }\n    }\n  ]\n}\n"},
	} {
		got, err := run(tt.args...)
		require.NoError(t, err)
		require.Equal(t, tt.want, got, "%v", tt.args)
	}
	for _, args := range [][]string{{"--from", "yesterday"}, {"--to", "1.3.2026", "--csv"}, {"--by", "week"}} {
		_, err := run(args...)
		require.True(t, fault.Is(err, fault.Usage), "%v: %v", args, err)
	}
	_, err = run("--csv", "--json")
	require.ErrorContains(t, err, "csv json")
	_, err = run("--csv", "--limit", "1")
	require.ErrorContains(t, err, "csv limit")
}
