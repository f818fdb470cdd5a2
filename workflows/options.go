package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/accord-sync/accord/internal/fault"
)

// Tuning is what a deployment decides. It travels in the input of workflows.
type Tuning struct {
	// Lease is how long a record is held; 0: 30 s. Heartbeats follow from it.
	Lease time.Duration
	// SearchAttributes: the server knows ours. Without, nothing is set.
	SearchAttributes bool
	// Housekeeping is the pause between two rounds of housekeeping; 0: 5 min.
	Housekeeping time.Duration
	// Pollers is how many poller workflows run; 0: 1.
	Pollers int
}

// The times by which workflows go. All of them stand here.
const (
	// drainFor and listFor are the longest stays of a drain and of a step of a
	// listing: short enough that a drain reports and a stop is quick.
	drainFor = 20 * time.Second
	listFor  = 20 * time.Second
	// sweepFor is the longest stay of a sweep.
	sweepFor = 60 * time.Second
	// leastRest keeps a loop from spinning.
	leastRest = 50 * time.Millisecond
	// mostRest is the longest pause of a loop that finds nothing it may do now.
	mostRest = 5 * time.Second
	// pausedLook is how often a paused connection or run looks by itself; the
	// first looks come sooner, since workers keep a state for a moment.
	pausedLook  = time.Minute
	firstPaused = time.Second
	// failedRest and mostFailedRest are the first and the longest pause after
	// work failed for a reason that only time or a person mends.
	failedRest     = time.Second
	mostFailedRest = 5 * time.Minute
	// decidedLook is the first pause between looks at a decided conflict that
	// is not closed yet; it grows to mostDecidedLook.
	decidedLook     = time.Minute
	mostDecidedLook = time.Hour
	// sweepsPerRun is how many sweeps a poller makes before it continues as new.
	sweepsPerRun = 200
	// defaultHousekeeping is the pause between two rounds of housekeeping.
	defaultHousekeeping = 5 * time.Minute
	// refusedTries is how often credentials may be refused before an activation
	// gives up, refusedRest the pause between.
	refusedTries = 3
	refusedRest  = 2 * time.Second
	// unreachableRest and mostUnreachableRest are the pauses of an activation
	// whose systems do not answer.
	unreachableRest     = time.Second
	mostUnreachableRest = time.Minute
)

// The other bounds.
const (
	// bigBacklog is the backlog beyond which drainShards drains go side by side.
	bigBacklog  = 200
	drainShards = 4
	// pollsSideBySide bounds the polls of one sweep.
	pollsSideBySide = 16
	// reminderPercents of the time to the deadline are when a person is reminded.
	firstReminderPercent  = 50
	secondReminderPercent = 90
)

// step names a row of the table of activity options.
type step int

const (
	// ledgerStep: a few statements of the ledger or a call to Temporal.
	ledgerStep step = iota
	// drainStep and listStep: long work on records, with heartbeats.
	drainStep
	listStep
	// sweepStep and housekeepStep: the poller's.
	sweepStep
	housekeepStep
	// systemStep: some calls to the two systems.
	systemStep
	// undoStep: calls to the systems that are given up after a few tries.
	undoStep
	// decideStep: a person waits for the answer.
	decideStep
)

// policy is a row of the table.
type policy struct {
	// startToClose bounds one try, total all of them; zero: no bound.
	startToClose, total time.Duration
	// heartbeats: the step reports once a second and is moved when it falls silent.
	heartbeats bool
	// first and most are the pauses between tries; tries bounds them, 0: no bound.
	first, most time.Duration
	tries       int32
}

// policyOf is the one table of timeouts and retries. Which errors are retried
// is said by their codes (fault.Retryable).
func policyOf(s step) policy {
	switch s {
	case drainStep:
		return policy{startToClose: 2 * time.Minute, heartbeats: true, first: 200 * time.Millisecond, most: 10 * time.Second}
	case listStep:
		// The run itself shows why it waits and tries on, so it hears of failures early.
		return policy{startToClose: 3 * time.Minute, heartbeats: true, first: 500 * time.Millisecond, most: 5 * time.Second, tries: 5}
	case sweepStep:
		return policy{startToClose: 3 * time.Minute, heartbeats: true, first: 200 * time.Millisecond, most: 5 * time.Second}
	case housekeepStep:
		return policy{startToClose: 30 * time.Minute, heartbeats: true, first: time.Minute, most: 5 * time.Minute, tries: 3}
	case systemStep:
		return policy{startToClose: 5 * time.Minute, heartbeats: true, first: time.Second, most: time.Minute, tries: 5}
	case undoStep:
		return policy{startToClose: time.Minute, heartbeats: true, first: time.Second, most: 5 * time.Second, tries: 4}
	case decideStep:
		return policy{startToClose: 9 * time.Second, total: 9 * time.Second, first: 200 * time.Millisecond, most: 2 * time.Second}
	}
	return policy{startToClose: 30 * time.Second, first: 200 * time.Millisecond, most: 10 * time.Second}
}

// with puts the options of a step into ctx; summary is shown in Temporal's UI.
func with(ctx workflow.Context, tuning Tuning, s step, summary string) workflow.Context {
	row := policyOf(s)
	options := workflow.ActivityOptions{
		StartToCloseTimeout:    row.startToClose,
		ScheduleToCloseTimeout: row.total,
		Summary:                summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:        row.first,
			BackoffCoefficient:     2,
			MaximumInterval:        row.most,
			MaximumAttempts:        row.tries,
			NonRetryableErrorTypes: nonRetryable(),
		},
	}
	if row.heartbeats {
		options.HeartbeatTimeout = tuning.heartbeat()
	}
	return workflow.WithActivityOptions(ctx, options)
}

// nonRetryable lists the codes that no repetition mends.
func nonRetryable() []string {
	var codes []string
	for _, code := range []fault.Code{
		fault.Invalid, fault.Duplicate, fault.Gone, fault.Usage, fault.NotFound, fault.Conflict, fault.TooLarge, fault.Unauthorized,
	} {
		if !fault.Retryable(code) {
			codes = append(codes, string(code))
		}
	}
	return codes
}

// heartbeat is how long a step may be silent before it moves to another worker:
// a third of the lease, so that the work is taken up when its leases run out.
func (t Tuning) heartbeat() time.Duration {
	return min(max(t.lease()/3, 2*time.Second), 10*time.Second)
}

// pollHold is how long a poll may take before another poller may repeat it. One
// that takes longer is cut off and goes on from its cursor at its next turn.
func (t Tuning) pollHold() time.Duration {
	return min(max(2*t.lease(), 10*time.Second), time.Minute)
}

// sweep is how long a sweep stays: never longer than the pause between two rounds of
// housekeeping, which begin between sweeps.
func (t Tuning) sweep() time.Duration { return min(sweepFor, t.housekeeping()) }

// sweepsPerHousekeep is how many sweeps there are between two rounds of housekeeping.
func (t Tuning) sweepsPerHousekeep() int { return max(1, int(t.housekeeping()/sweepFor)) }

func (t Tuning) housekeeping() time.Duration {
	if t.Housekeeping <= 0 {
		return defaultHousekeeping
	}
	return t.Housekeeping
}

func (t Tuning) lease() time.Duration {
	if t.Lease <= 0 {
		return 30 * time.Second
	}
	return t.Lease
}

// WorkerOptions are the options of a worker; the caller adds versioning and
// interceptors. Workflow tasks of a worker that died move on after two seconds
// (the default is five), and a stopping worker lets calls to the systems end.
func WorkerOptions(tuning Tuning) worker.Options {
	return worker.Options{
		StickyScheduleToStartTimeout:           2 * time.Second,
		WorkerStopTimeout:                      tuning.lease()/3 + 5*time.Second,
		MaxConcurrentActivityExecutionSize:     200,
		MaxConcurrentWorkflowTaskExecutionSize: 100,
		MaxHeartbeatThrottleInterval:           time.Second,
		DefaultHeartbeatThrottleInterval:       time.Second,
	}
}
