//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// mostMemory is what one worker may have taken at its worst, in MiB, however many
// records a first load has.
const mostMemory = 768

// TestLargeFirstLoad loads -leads leads into an empty Acme within a plan of -plan
// calls a minute: its workers are killed while it lists and while it creates, it is
// paused and resumed, and people edit all the time. From the servers' own logs: no page
// is listed twice but the ones in work at a kill, no record is created twice, no call
// is over the plan, and what people do arrives while the load goes on.
//
//	go test -tags e2e ./e2e -run TestLargeFirstLoad -v -timeout 0 -args -leads 100000 -plan 30000
func TestLargeFirstLoad(t *testing.T) {
	n := *leads
	s := newStack(t, stackOptions{})
	each := strconv.Itoa(*plan)
	w := newWorld(t, s, variable("SALESOS_REQUESTS_PER_MINUTE", each), variable("ACME_REQUESTS_PER_MINUTE", each))
	w.seed(t, n, 0, 0)
	for _, on := range w.systems() {
		require.NoError(t, on.admin.SetLimits(t.Context(), wire.Limits{Requests: *plan, WindowMS: 60_000}))
	}
	log := w.readLogs(t)
	began := time.Now()
	w.slow(t, 200)
	w.install(t)
	w.activate(t)
	listing := w.killedWhileListing(t, n)
	w.slow(t, 0)
	w.awaitTotal(t, n)
	t.Logf("listed after %s; %s", time.Since(began).Round(time.Second), listing)

	people := w.letPeopleEditLeads(t, n)
	w.awaitMade(t, n/4)
	stood := w.pausedFor(t)
	w.awaitMade(t, n/2)
	s.strike(t, s.workers)
	run := w.awaitLongRun(t)
	people.end()
	took := time.Since(began)
	require.Equal(t, "succeeded", run.State)
	require.Equal(t, run.Progress.Done, *run.Progress.Total)
	w.awaitIdle(t)
	require.Equal(t, n, w.created(t, w.right), "creates in Acme, one for each lead")
	require.Zero(t, w.created(t, w.left))
	require.Empty(t, w.differences(t.Context(), n))

	log.end()
	require.Empty(t, log.over, "calls that the servers refused as over the plan")
	// Two kills, of which one while it listed; each worker lists one page at a time.
	require.LessOrEqual(t, log.again(), len(s.workers), "pages listed again: %v", log.pages)
	worst := people.verify(t)
	for _, one := range s.workers {
		peak := peakMemory(t, one)
		require.Less(t, peak, mostMemory, "%s took %d MiB at its worst", one.name, peak)
		t.Logf("%s took %d MiB at its worst", one.name, peak)
	}
	t.Logf("%d leads in %s (%s of it paused; %d calls a minute and side allowed): %d calls by the service, %.2f for each lead; %d pages listed, %d of them again; %d edits meanwhile, the slowest across in %s",
		n, took.Round(time.Second), stood.Round(time.Second), *plan, log.calls, float64(log.calls)/float64(n), len(log.pages), log.again(), people.made.Load(), worst.Round(time.Millisecond))
}

// killedWhileListing kills the workers in the middle of the listing, and tells what
// the run said of its progress before.
func (w *world) killedWhileListing(t *testing.T, n int) string {
	t.Helper()
	var seen runStatus
	eventually(t, "some pages of leads are listed", func(ctx context.Context) (bool, string) {
		run, _, err := w.run(ctx, "backfill")
		at := run.Progress.Listing
		if err != nil || at == nil || at.Stream != "leads" || at.Done < 300 {
			return false, fmt.Sprintf("%+v, error %v", run.Progress, err)
		}
		seen = run
		return true, ""
	})
	require.Nil(t, seen.Progress.Total, "nobody knows before all is listed")
	require.Equal(t, "left", seen.Progress.Listing.Side)
	require.NotNil(t, seen.Progress.Listing.Total, "SalesOS says how many there are")
	require.Equal(t, n, *seen.Progress.Listing.Total)
	w.s.strike(t, w.s.workers)
	return fmt.Sprintf("killed the workers at %d of %d rows", seen.Progress.Listing.Done, n)
}

// awaitTotal waits until the run says how many records it has, which is before it
// creates the first.
func (w *world) awaitTotal(t *testing.T, n int) {
	t.Helper()
	seen := -1
	w.keepsMoving(t, "the total is known", func(ctx context.Context) (bool, int, error) {
		made := w.createdSoFar(ctx)
		run, _, err := w.run(ctx, "backfill")
		if run.Progress.Total != nil {
			seen = *run.Progress.Total
		}
		if err == nil && run.Progress.Total == nil && made > 0 {
			t.Errorf("%d leads were created before the total was known", made)
		}
		return run.Progress.Total != nil, run.Counts.Read, err
	})
	require.GreaterOrEqual(t, seen, n)
}

func (w *world) createdSoFar(ctx context.Context) int {
	_, made, err := w.right.admin.WriteTotals(ctx, sandboxclient.Filter{Actor: service, Object: w.right.object, Op: "create"})
	if err != nil {
		return 0
	}
	return made
}

// awaitMade waits until so many leads were created.
func (w *world) awaitMade(t *testing.T, want int) {
	t.Helper()
	w.keepsMoving(t, fmt.Sprintf("%d leads are created", want), func(ctx context.Context) (bool, int, error) {
		made := w.createdSoFar(ctx)
		return made >= want, made, nil
	})
}

// pausedFor pauses the connection, sees that nothing is created meanwhile, and resumes it.
func (w *world) pausedFor(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	w.s.api.post(t, w.path("/pause"), nil, nil)
	last, still := -1, 0
	eventually(t, "the paused load stands still", func(ctx context.Context) (bool, string) {
		made := w.createdSoFar(ctx)
		if still++; made != last {
			last, still = made, 0
		}
		time.Sleep(100 * time.Millisecond)
		return still >= 20, fmt.Sprintf("%d created", made)
	})
	run, _, err := w.run(t.Context(), "backfill")
	require.NoError(t, err)
	require.Nil(t, run.EndedAt)
	w.s.api.post(t, w.path("/resume"), nil, nil)
	return time.Since(began)
}

// awaitLongRun waits for the end of the first load, as long as it moves, and sees
// that it tells pace and time left on its way.
func (w *world) awaitLongRun(t *testing.T) runStatus {
	t.Helper()
	var run runStatus
	paced := 0
	w.keepsMoving(t, "the first load has ended", func(ctx context.Context) (bool, int, error) {
		found, _, err := w.run(ctx, "backfill")
		if err != nil {
			return false, run.Progress.Done, err
		}
		run = found
		if run.Progress.PerMinute != nil && run.Progress.SecondsLeft != nil {
			paced++
		}
		return run.EndedAt != nil, run.Progress.Done, nil
	})
	require.Positive(t, paced, "pace and time left were told")
	return run
}

// keepsMoving looks until look is satisfied; it gives up when what moves (a count)
// stands still for longer than patience.
func (w *world) keepsMoving(t *testing.T, what string, look func(context.Context) (bool, int, error)) {
	t.Helper()
	last, moved := -1, time.Now()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		ok, now, err := look(ctx)
		cancel()
		if ok {
			return
		}
		if now != last {
			last, moved = now, time.Now()
		}
		if time.Since(moved) > patience || t.Context().Err() != nil {
			t.Fatalf("waited in vain until %s: it stands at %d, error %v", what, now, err)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// logs is what both servers' request logs say of the service, read all the time as
// they keep the latest calls only.
type logs struct {
	stop  chan struct{}
	group sync.WaitGroup
	mutex sync.Mutex
	// pages counts the pages of full listings, over are calls that were refused.
	pages map[string]int
	over  []string
	calls int
}

func (w *world) readLogs(t *testing.T) *logs {
	l := &logs{stop: make(chan struct{}), pages: map[string]int{}}
	for _, on := range w.systems() {
		l.group.Go(func() {
			since := int64(0)
			for last := false; ; {
				found, err := on.admin.AllCalls(context.WithoutCancel(t.Context()), since)
				if err != nil {
					t.Errorf("read the log of the %s: %v", on.side, err)
				}
				since = l.add(t, on, found, since)
				if last {
					return
				}
				select {
				case <-l.stop:
					last = true
				case <-time.After(time.Second):
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *logs) add(t *testing.T, on *system, found []wire.Call, since int64) int64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, one := range found {
		if since > 0 && one.Seq != since+1 {
			t.Errorf("calls %d to %d of the %s are not in its log any more", since+1, one.Seq-1, on.side)
		}
		since = one.Seq
		if one.Actor != service {
			continue
		}
		l.calls++
		if one.Status == 429 {
			l.over = append(l.over, fmt.Sprint(on.side, one.Seq, one.Method, one.Path))
		}
		if one.Method == "GET" && one.Path == on.lists && one.Status == 200 && !partial(one.Query) {
			l.pages[on.side+" "+one.Query]++
		}
	}
	return since
}

func (l *logs) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.group.Wait()
}

// again is how many pages were listed more than once.
func (l *logs) again() int {
	count := 0
	for _, times := range l.pages {
		if times > 1 {
			count++
		}
	}
	return count
}

// partial reports whether a listing asks for what changed, or for a look only.
func partial(query string) bool {
	return strings.Contains(query, "updated_") || strings.Contains(query, "search=") || strings.Contains(query, "per_page=1&") ||
		strings.HasSuffix(query, "per_page=1") || query == "limit=1" || strings.Contains(query, "sort=-created_at") || lookingForNew(query)
}

// lookingForNew reports whether a listing asks for what was created just now, as who
// looks for the fruit of a create does that a kill left open. Seeded records, which a
// first load lists by the time of their creation, are a day old.
func lookingForNew(query string) bool {
	values, err := url.ParseQuery(query)
	if err != nil {
		return false
	}
	since, err := time.Parse(time.RFC3339, values.Get("created_after"))
	return err == nil && time.Since(since) < 12*time.Hour
}

// visitors edit leads one after the other while a load goes on, and wait for each
// edit to arrive in Acme.
type visitors struct {
	editors
	took []time.Duration
	late []string
}

// letPeopleEditLeads begins with the leads that are loaded last.
func (w *world) letPeopleEditLeads(t *testing.T, n int) *visitors {
	v := &visitors{editors: editors{w: w, stop: make(chan struct{})}}
	_, ids, err := w.left.people(t.Context())
	require.NoError(t, err)
	v.group.Go(func() {
		ctx := context.WithoutCancel(t.Context())
		for at := 1; ; at++ {
			select {
			case <-v.stop:
				return
			case <-time.After(time.Second):
			}
			number := 1 + at*7919%n
			v.visit(ctx, t, ids[w.email(number)], number)
		}
	})
	t.Cleanup(v.end)
	return v
}

func (v *visitors) visit(ctx context.Context, t *testing.T, lead string, number int) {
	company := v.w.word("Visita")
	if _, err := v.w.left.admin.EditRecord(ctx, v.w.left.object, lead, map[string]any{"company": company}); err != nil {
		t.Errorf("edit as a user: %v", err)
		return
	}
	v.made.Add(1)
	began := time.Now()
	for {
		if run, _, err := v.w.run(ctx, "backfill"); err == nil && run.EndedAt != nil {
			// What was edited last may arrive behind the end.
			return
		}
		if v.arrived(ctx, lead, company) {
			v.took = append(v.took, time.Since(began))
			return
		}
		if time.Since(began) > patience {
			v.late = append(v.late, fmt.Sprintf("lead %d after %s", number, time.Since(began).Round(time.Second)))
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// arrived reports whether a lead has a contact with that company.
func (v *visitors) arrived(ctx context.Context, lead, company string) bool {
	found, err := all[link](ctx, v.w.s.api, v.w.path("/links"), url.Values{"stream": {"leads"}, "side": {"left"}, "id": {lead}})
	if err != nil || len(found) != 1 {
		return false
	}
	contact, err := v.w.right.admin.Record(ctx, v.w.right.object, found[0].Right.ID)
	return err == nil && contact.Fields["company_name"] == company
}

// verify checks that edits arrived while the load went on, and gives the slowest.
func (v *visitors) verify(t *testing.T) time.Duration {
	t.Helper()
	v.end()
	require.Empty(t, v.late, "edits that did not arrive beside the load")
	require.NotEmpty(t, v.took, "no edit arrived before the load was over")
	slices.Sort(v.took)
	t.Logf("edits beside the load came across in %s (median of %d), %s (slowest)",
		v.took[len(v.took)/2].Round(time.Millisecond), len(v.took), v.took[len(v.took)-1].Round(time.Millisecond))
	return v.took[len(v.took)-1]
}

// peakMemory is the most that a process has held at once, in MiB.
func peakMemory(t *testing.T, p *process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if os.IsNotExist(err) {
		t.Log("this system does not tell how much memory a process took")
		return 0
	}
	require.NoError(t, err)
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	require.NotNil(t, found)
	kilobytes, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	return kilobytes / 1024
}
