package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/cli"
	"github.com/accord-sync/accord/internal/control"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

// runner is a control whose runs end as told, after a few looks.
type runner struct {
	cli.Control
	store    ledger.Store
	end      ledger.RunState
	joined   bool
	asked    ledger.Run
	resolved control.Resolution
	replayed []string
	status   control.Status
	// stands keeps the run from moving, with the problem that it tells, if any.
	stands  bool
	problem *ledger.RunProblem
	// unknown is how many of the distinct ids are not open.
	unknown int
	// activations counts those that were asked for.
	activations int
}

func (r *runner) StartRun(_ context.Context, key ledger.Key, kind ledger.RunKind, stream string) (ledger.Run, bool, error) {
	r.asked = ledger.Run{ID: "rn_1", Key: key, Kind: kind, Stream: stream, State: ledger.RunRunning, StartedAt: time.Unix(100, 0), Total: -1}
	return r.asked, r.joined, nil
}

func (r *runner) WaitRun(ctx context.Context, _ string, onProgress func(ledger.Run)) (ledger.Run, error) {
	run := r.asked
	for look := 0; r.stands; look++ {
		if r.problem != nil {
			told := *r.problem
			told.Message += fmt.Sprintf(" (status 503, request rq_%d)", look)
			run.Problem = &told
		}
		if onProgress(run); ctx.Err() != nil {
			return run, fault.Wrap(fault.Unavailable, ctx.Err(), "stopped waiting")
		}
	}
	for _, done := range []int{0, 40, 100} {
		run.Done, run.Total = done, 100
		onProgress(run)
	}
	run.State, run.EndedAt, run.Counts = r.end, time.Unix(102, 0), ledger.Counts{Read: 100, Created: 60, Linked: 40}
	if r.end == ledger.RunFailed {
		run.Error = "the left side refuses the credentials"
	}
	return run, nil
}

// Activate does what the activation of a worker would do, which refuses the first try.
func (r *runner) Activate(ctx context.Context, key ledger.Key) error {
	r.activations++
	if r.activations == 1 {
		return r.store.SetConnectionState(ctx, key, ledger.Failing, "the left side refuses the credentials")
	}
	return r.store.SetConnectionState(ctx, key, ledger.Active, "")
}

func (r *runner) Status(context.Context, ledger.Key) (control.Status, error) { return r.status, nil }

func (r *runner) Resolve(_ context.Context, _ string, resolution control.Resolution) error {
	r.resolved = resolution
	return nil
}

func (r *runner) ReplayDeadLetters(_ context.Context, _ ledger.Key, ids []string) (int, error) {
	r.replayed = ids
	return len(slices.Compact(slices.Clone(ids))) - r.unknown, nil
}

func (r *runner) PatchDeadLetter(ctx context.Context, id string, overrides ledger.Values) (ledger.DeadLetter, error) {
	key, _, err := r.store.FindDeadLetter(ctx, id)
	if err != nil {
		return ledger.DeadLetter{}, err
	}
	return r.store.PatchDeadLetter(ctx, key, id, overrides)
}

func (r *runner) Discard(ctx context.Context, id, reason string) error {
	key, _, err := r.store.FindDeadLetter(ctx, id)
	if err != nil {
		return err
	}
	return r.store.DiscardDeadLetter(ctx, key, id, reason)
}

func (r *runner) ApproveGuard(ctx context.Context, key ledger.Key, ids []string) (int, error) {
	return r.store.DecideHeld(ctx, key, ids, ledger.HeldApproved)
}

func (r *runner) RejectGuard(ctx context.Context, key ledger.Key, ids []string) (int, error) {
	return r.store.DecideHeld(ctx, key, ids, ledger.HeldRejected)
}

type console struct {
	t       *testing.T
	runner  *runner
	store   ledger.Store
	out     bytes.Buffer
	err     bytes.Buffer
	watched bool
}

func newConsole(t *testing.T, names ...string) *console {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a.db"), sqlstore.Options{Key: bytes.Repeat([]byte("k"), 32)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	for i, name := range names {
		require.NoError(t, store.CreateConnection(t.Context(), ledger.Connection{
			Key: ledger.Key{Tenant: "default", Connection: "cn_" + string(rune('a'+i))}, Name: name, State: ledger.Active, Version: 1,
		}))
	}
	return &console{t: t, store: store, runner: &runner{store: store, end: ledger.RunSucceeded}}
}

// run runs one command and returns its exit code.
func (s *console) run(args ...string) int {
	s.t.Helper()
	s.out.Reset()
	s.err.Reset()
	root := cli.New(cli.Options{
		Name: "starter", Tenant: "default", Out: &s.out, Err: &s.err, Terminal: s.watched,
		Connect: func(context.Context) (*cli.Session, error) {
			return &cli.Session{Store: s.store, Control: s.runner, Close: func() {}, Describe: func(context.Context, ledger.Connection) (string, []string, error) {
				return "crm", []string{"leads", "users"}, nil
			}}, nil
		},
	})
	return cli.Run(s.t.Context(), root, args)
}

func TestSyncWaits(t *testing.T) {
	s := newConsole(t, "crm")
	require.Zero(t, s.run("sync", "crm", "--kind", "backfill", "--stream", "leads", "--wait"), s.err.String())
	require.Equal(t, ledger.RunBackfill, s.runner.asked.Kind)
	require.Equal(t, "leads", s.runner.asked.Stream)
	require.Equal(t, "started run rn_1 (backfill)\nsucceeded in 2s: 100 read, 60 created, 0 updated, 0 deleted, 40 linked, 0 unchanged, 0 conflicts, 0 parked, 0 held\n", s.out.String())
	require.Empty(t, s.err.String(), "no bar without a terminal")

	s.watched = true
	require.Zero(t, s.run("sync", "cn_a", "--wait"))
	require.Contains(t, s.err.String(), "poll", "a bar on a terminal")

	s.watched, s.runner.joined = false, true
	require.Zero(t, s.run("sync", "crm", "--json"))
	var printed map[string]any
	require.NoError(t, json.Unmarshal(s.out.Bytes(), &printed))
	require.Equal(t, "running", printed["state"])
	require.Nil(t, printed["ended_at"])
	require.Zero(t, s.run("sync", "crm"))
	require.Contains(t, s.out.String(), "joined run rn_1")
}

func TestSyncThatFails(t *testing.T) {
	s := newConsole(t, "crm")
	s.runner.end = ledger.RunFailed
	require.Equal(t, fault.ExitCode(fault.Invalid), s.run("sync", "crm", "--wait"))
	require.Equal(t, "starter sync: run rn_1 failed: the left side refuses the credentials\n", s.err.String())
	require.Equal(t, fault.ExitCode(fault.Usage), s.run("sync", "crm", "--stream", "deals"))
	require.Contains(t, s.err.String(), "--stream is one of leads, users")
}

func TestSyncGivesUpARunThatStandsStill(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, code string
		args       []string
		exit       int
		says       string
	}{
		{"a system that does not answer", "transient", nil, 75, "it waits: stream leads cannot be listed on the left side: no answer (status 503, request rq_0); since 2026-11-22T13:00:00Z, next try by 2026-11-22T13:05:00Z\n"},
		{"credentials that are refused", "auth", nil, 5, "has not moved for 0s: stream leads"},
		{"a paused connection", "conflict", nil, 4, "the run goes on"},
		{"a listing that is refused", "invalid", nil, 1, "the run goes on"},
		{"no worker", "", nil, 75, "does not say why: is a worker running?"},
		{"the time is over", "transient", []string{"--give-up", "0", "--timeout", "1ms"}, 75, "stopped waiting for run rn_1 after 1ms: stream leads"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newConsole(t, "crm")
			s.runner.stands = true
			if test.code != "" {
				s.runner.problem = &ledger.RunProblem{Code: test.code, Message: "stream leads cannot be listed on the left side: no answer", Since: at, Tries: 3, NextTry: at.Add(5 * time.Minute)}
			}
			require.Equal(t, test.exit, s.run(append([]string{"sync", "crm", "--wait", "--give-up", "5ms"}, test.args...)...))
			require.Contains(t, s.err.String(), test.says)
			require.LessOrEqual(t, strings.Count(s.err.String(), "it waits"), 1, "told once, whatever the request")
		})
	}
	s := newConsole(t, "crm")
	require.Equal(t, 2, s.run("sync", "crm", "--timeout", "1m"))
	require.Equal(t, 2, s.run("sync", "crm", "--wait", "--timeout", "-1m"))
}

func TestStatusTellsOfBrokersAndRuns(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	s := newConsole(t, "crm")
	s.runner.status.Sides.Right = control.SideStatus{Reachable: true, Webhook: control.WebhookStatus{State: "none"},
		Broker: &control.BrokerStatus{State: "failed", Reason: "usage", Since: &at, Unreadable: 2, UnreadableCode: "invalid", UnreadableAt: &at}}
	s.runner.status.Runs = []control.RunStatus{{Kind: ledger.RunCompare, Problem: &ledger.RunProblem{Code: "auth", Message: "the left side refuses the credentials (auth)", Since: at}}}
	require.Zero(t, s.run("status", "crm"))
	require.Contains(t, s.out.String(), "right broker: failed (usage) since 2026-11-22T13:00:00Z, 2 messages refused as unreadable, the last at 2026-11-22T13:00:00Z (invalid)\n")
	require.Contains(t, s.out.String(), "run compare of all streams: 0 done\n  it waits: the left side refuses the credentials (auth); since 2026-11-22T13:00:00Z\n")
}

// TestSyncIsPatientWithAPlanOfCalls: how long a system is to be left alone counts for
// nothing.
func TestSyncIsPatientWithAPlanOfCalls(t *testing.T) {
	s := newConsole(t, "crm")
	s.runner.stands = true
	s.runner.problem = &ledger.RunProblem{Code: "throttled", Message: "the left side asks to wait (throttled)", NextTry: time.Now().Add(time.Hour)}
	require.Equal(t, 75, s.run("sync", "crm", "--wait", "--give-up", "1ms", "--timeout", "50ms"))
	require.Contains(t, s.err.String(), "stopped waiting for run rn_1 after 50ms")
}

func TestNamesMustBeUnique(t *testing.T) {
	s := newConsole(t, "crm", "crm", "other")
	require.Equal(t, fault.ExitCode(fault.Usage), s.run("sync", "crm"))
	require.Contains(t, s.err.String(), `2 connections are called "crm"`)
	require.Zero(t, s.run("sync", "cn_b"))
	require.Zero(t, s.run("sync", "other"))
}

func TestDecisionsAndReplays(t *testing.T) {
	s := newConsole(t, "crm")
	key := ledger.Key{Tenant: "default", Connection: "cn_a"}
	left, right := record.Ref{Side: record.Left, Object: "leads", ID: "1"}, record.Ref{Side: record.Right, Object: "contacts", ID: "2"}
	require.NoError(t, s.store.Commit(t.Context(), key, ledger.Commit{
		PutLinks: []ledger.Link{{ID: "lk", Stream: "leads", Left: left, Right: right, State: ledger.LinkActive}},
		PutConflicts: []ledger.Conflict{{ID: "cf", Stream: "leads", LinkID: "lk", LeftRef: left, RightRef: right, Field: "score", Left: json.Number("1"),
			Right: json.Number("2"), OpenedAt: time.Unix(1, 0), Deadline: time.Unix(2, 0), State: ledger.ConflictOpen}},
	}))
	require.Zero(t, s.run("resolve", "cf", "value", "--value", "75000.00", "--seen-left", "1", "--seen-right", "null"), s.err.String())
	require.Equal(t, ledger.ChooseValue, s.runner.resolved.Choose)
	require.Equal(t, json.Number("75000.00"), s.runner.resolved.Value)
	require.Equal(t, json.Number("1"), s.runner.resolved.Seen.Left)
	require.Nil(t, s.runner.resolved.Seen.Right)
	require.Contains(t, s.out.String(), "conflict cf is open")
	require.Zero(t, s.run("conflicts", "crm"))
	require.Regexp(t, `cf +leads +score +1 +2 +null`, s.out.String())
	require.Zero(t, s.run("replay", "crm", "dl1", "dl2", "--json"))
	require.JSONEq(t, `{"replayed": 2}`, s.out.String())
	require.Equal(t, []string{"dl1", "dl2"}, s.runner.replayed)
	s.runner.unknown = 1
	require.Equal(t, fault.ExitCode(fault.Conflict), s.run("replay", "crm", "dl1", "dl2", "dl2"))
	require.Equal(t, "1 parked record is tried again\n", s.out.String())
	require.Contains(t, s.err.String(), "1 of 2 named are not open dead letters of this connection (any more)")
}
