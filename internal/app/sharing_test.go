package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

func openLedger(t *testing.T) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "accord.db"), sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	return store
}

// installed is a connection of the integration that users get.
func installed(t *testing.T, store ledger.Store) ledger.Connection {
	t.Helper()
	text, err := os.ReadFile("../../integrations/salesos-acme.yaml")
	require.NoError(t, err)
	connection := ledger.Connection{
		Key: ledger.Key{Tenant: "default", Connection: "cn_1"}, Name: "salesos-acme", State: ledger.Active, Version: 1, Integration: string(text),
		Variables: map[string]string{
			"SALESOS_CLIENT_ID": "id", "ACME_URL": "https://crm.example.com/api/2", "ACME_TOKEN_URL": "https://crm.example.com/oauth/token", "ACME_CLIENT_ID": "id",
		},
		Secrets: map[string]string{"salesos_client_secret": "a", "acme_client_secret": "b", "salesos_webhook": "c", "acme_webhook": "d"},
	}
	require.NoError(t, store.CreateConnection(t.Context(), connection))
	return connection
}

func TestOneMintForAllWorkers(t *testing.T) {
	store := openLedger(t)
	key := installed(t, store).Key
	var mints atomic.Int64
	mint := func(context.Context, connector.Token) (connector.Token, error) {
		mints.Add(1)
		// Longer than the lease: it is kept alive meanwhile.
		time.Sleep(300 * time.Millisecond)
		return connector.Token{Access: "fresh", Expires: time.Now().Add(time.Hour)}, nil
	}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			tokens := NewTokens(store, key, record.Left, 100*time.Millisecond, time.Now)
			token, err := tokens.Refresh(t.Context(), connector.Token{}, mint)
			if err != nil || token.Access != "fresh" {
				t.Errorf("token %q, error %v", token.Access, err)
			}
		})
	}
	workers.Wait()
	require.EqualValues(t, 1, mints.Load())

	tokens := NewTokens(store, key, record.Left, time.Second, time.Now)
	loaded, err := tokens.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, "fresh", loaded.Access)
	right, err := NewTokens(store, key, record.Right, time.Second, time.Now).Load(t.Context())
	require.NoError(t, err)
	require.Zero(t, right, "each side has its own")
	_, err = tokens.Refresh(t.Context(), loaded, mint)
	require.NoError(t, err)
	require.EqualValues(t, 2, mints.Load(), "the token that failed is replaced")
}

func TestAFailedMintFreesTheLease(t *testing.T) {
	store := openLedger(t)
	tokens := NewTokens(store, installed(t, store).Key, record.Left, time.Minute, time.Now)
	refused := fault.New(fault.Auth, "wrong secret")
	for range 2 {
		_, err := tokens.Refresh(t.Context(), connector.Token{}, func(context.Context, connector.Token) (connector.Token, error) {
			return connector.Token{}, refused
		})
		require.ErrorIs(t, err, refused)
	}
}

func TestWaitingForATokenEndsWithTheContext(t *testing.T) {
	store := openLedger(t)
	key := installed(t, store).Key
	_, err := store.Acquire(t.Context(), key, []string{"token/left"}, time.Minute)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = NewTokens(store, key, record.Left, time.Minute, time.Now).Refresh(ctx, connector.Token{}, nil)
	require.Error(t, err)
}

func TestAPauseReachesAllWorkers(t *testing.T) {
	store := openLedger(t)
	key := installed(t, store).Key
	var late atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	first := NewQuota(store, key, record.Left, ledger.QuotaSpec{}, clock)
	second := NewQuota(store, key, record.Left, ledger.QuotaSpec{}, clock)
	require.NoError(t, first.Take(t.Context(), connector.LaneLive))
	require.NoError(t, second.Take(t.Context(), connector.LaneLive))
	first.Observe(t.Context(), connector.QuotaSeen{PausedUntil: clock().Add(time.Hour)})
	err := first.Take(t.Context(), connector.LaneLive)
	require.Equal(t, fault.Throttled, fault.CodeOf(err))
	require.InDelta(t, time.Hour, fault.AfterOf(err), float64(time.Minute))
	late.Store(int64(lookEvery)) // the other one has calls in hand, and looks before it uses them
	require.Equal(t, fault.Throttled, fault.CodeOf(second.Take(t.Context(), connector.LaneLive)))
	require.True(t, second.Stopped(t.Context()))
	other := NewQuota(store, key, record.Right, ledger.QuotaSpec{}, clock)
	require.NoError(t, other.Take(t.Context(), connector.LaneLive), "the other side goes on")
	require.False(t, other.Stopped(t.Context()))
}

func TestThePlanIsSharedAndReported(t *testing.T) {
	store := openLedger(t)
	key := installed(t, store).Key
	now := time.Now()
	quota := NewQuota(store, key, record.Left, ledger.QuotaSpec{PerMinute: 2}, func() time.Time { return now })
	taken := 0
	for range 10 {
		if quota.Take(t.Context(), connector.LaneLive) == nil {
			taken++
		}
	}
	require.LessOrEqual(t, taken, 3)
	require.Positive(t, taken)
	for range taken - 1 {
		quota.Observe(t.Context(), connector.QuotaSeen{}) // answered, without a word about the plan
	}
	quota.Observe(t.Context(), connector.QuotaSeen{Known: true, Limit: 500, Remaining: 77, ResetAt: now.Add(time.Minute)})
	state, err := store.SideState(t.Context(), key, record.Left)
	require.NoError(t, err)
	require.True(t, state.QuotaKnown)
	require.Equal(t, []int{500, 77}, []int{state.QuotaLimit, state.QuotaRemaining})
	quota.Observe(t.Context(), connector.QuotaSeen{Known: true, Limit: 500, Remaining: 76})
	state, err = store.SideState(t.Context(), key, record.Left)
	require.NoError(t, err)
	require.Equal(t, 77, state.QuotaRemaining, "a plan that is not near its end is written down once a second")
}

func TestOpenerKeepsUntilSomethingChanges(t *testing.T) {
	store := openLedger(t)
	connection := installed(t, store)
	log, _ := test.NewNullLogger()
	opener := NewOpener(OpenerOptions{Store: store, Installer: NewInstaller(Drivers()), Lease: time.Second, Log: log, Now: time.Now})
	open := func() *connector.Capabilities {
		t.Helper()
		in, err := opener.Open(t.Context(), connection)
		require.NoError(t, err)
		require.Len(t, in.Streams, 3)
		require.Equal(t, 8, in.Concurrency)
		require.Equal(t, 500, in.LeftQuota.PerMinute)
		capabilities := in.Left.Capabilities()
		return &capabilities
	}
	first, err := opener.Open(t.Context(), connection)
	require.NoError(t, err)
	again, err := opener.Open(t.Context(), connection)
	require.NoError(t, err)
	require.Same(t, first, again)
	require.False(t, open().UpdatedFilter)

	_, err = store.UpdateSideState(t.Context(), connection.Key, record.Left, func(state *ledger.SideState) {
		state.Capabilities = `{"updated_filter":true}`
	})
	require.NoError(t, err)
	require.True(t, open().UpdatedFilter, "a new probe counts at once")

	connection.Version = 2
	connection.Integration = strings.Replace(connection.Integration, "updated_filter: probe", "updated_filter: false", 1)
	require.False(t, open().UpdatedFilter, "what the file declares beats the probe")

	connection.Integration = "integration: [\n"
	connection.Version = 3
	_, err = opener.Open(t.Context(), connection)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func TestCapabilities(t *testing.T) {
	all := integration.Capabilities{
		UpdatedFilter: integration.Probe, Versions: integration.Probe, IdempotencyKey: integration.Probe, Unique: integration.Names{Probe: true},
		SearchLag: integration.Span{Probe: true}, LateBy: integration.Span{Probe: true}, Granularity: integration.Span{Probe: true}, CustomFields: "probe",
	}
	require.Equal(t, acme.Driver{}.Defaults(), effective(all, acme.Driver{}, ""))
	require.Equal(t, acme.Driver{}.Defaults(), effective(all, acme.Driver{}, "not JSON"))
	require.False(t, effective(all, acme.Driver{}, `{"versions":false}`).Versions)
	declared := effective(integration.Capabilities{
		Versions: integration.No, UpdatedFilter: integration.Yes, Unique: integration.Names{List: []string{"email"}},
		SearchLag: integration.Span{Value: time.Second}, CustomFields: integration.Replace,
	}, acme.Driver{}, `{"versions":true,"updated_filter":false}`)
	require.Equal(t, connector.Capabilities{
		UpdatedFilter: true, Unique: []string{"email"}, SearchLag: time.Second, CustomFieldsReplace: true, IdempotencyKey: true, DeletedList: true,
	}, declared)
}

func TestPersistWaitsForWhatTimeMends(t *testing.T) {
	log, hook := test.NewNullLogger()
	tries := 0
	err := persist(t.Context(), log, "waiting", func(context.Context) error {
		if tries++; tries < 3 {
			return fault.New(fault.Unavailable, "gone")
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, tries)
	require.Len(t, hook.AllEntries(), 2)
	wrong := fault.New(fault.Usage, "wrong key")
	require.ErrorIs(t, persist(t.Context(), log, "", func(context.Context) error { return wrong }), wrong)
	ctx, cancel := context.WithCancel(t.Context())
	err = persist(ctx, log, "", func(context.Context) error {
		cancel()
		return fault.New(fault.Unavailable, "gone")
	})
	require.True(t, ended(ctx, err))
	require.False(t, ended(t.Context(), err))
	require.False(t, ended(ctx, errors.New("else")))
}
