package workflows

import (
	"strconv"

	"github.com/accord-sync/accord/internal/ledger"
)

// ConnectionID is the workflow id of a connection.
func ConnectionID(key ledger.Key) string { return "connection/" + key.String() }

// RunID is the workflow id of a run.
func RunID(key ledger.Key, kind ledger.RunKind, run string) string {
	return "run/" + key.String() + "/" + string(kind) + "/" + run
}

// ConflictID is the workflow id of a conflict.
func ConflictID(key ledger.Key, conflict string) string {
	return "conflict/" + key.String() + "/" + conflict
}

// ActivationID is the workflow id of bringing a connection up.
func ActivationID(key ledger.Key) string { return "activation/" + key.String() }

// DeactivationID is the workflow id of deleting a connection.
func DeactivationID(key ledger.Key) string { return "deactivation/" + key.String() }

// PollerID is the workflow id of the nth poller, from 0.
func PollerID(n int) string { return "poller/" + strconv.Itoa(n) }

// CompareScheduleID is the id of the schedule that compares a stream. Temporal
// names the runs it starts after ScheduledRunID and the time.
func CompareScheduleID(key ledger.Key, stream string) string {
	return "compare/" + key.String() + "/" + stream
}

// ScheduledRunID is the workflow id of the runs that a schedule starts, without the time.
func ScheduledRunID(key ledger.Key, stream string) string {
	return RunID(key, ledger.RunCompare, stream)
}
