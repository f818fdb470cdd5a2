package integration

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// The conflict policies.
const (
	PolicyLeft   = "left"
	PolicyRight  = "right"
	PolicyNewest = "newest"
	PolicyManual = "manual"
)

// Conflicts says what happens to a field that both sides changed.
type Conflicts struct {
	// Policy is PolicyLeft, PolicyRight, PolicyNewest or PolicyManual (default).
	Policy string
	// Tie is the side that wins under PolicyNewest at the same time. Default left.
	Tie record.Side
	// Deadline is how long a manual conflict waits for a person. Default 72h.
	Deadline time.Duration
	// Fallback is PolicyLeft (default), PolicyRight or PolicyNewest: who wins at the deadline.
	Fallback string
	// Fields are exceptions, by field name.
	Fields map[string]string
}

// PolicyOf returns the policy of a field.
func (c Conflicts) PolicyOf(field string) string {
	if policy, ok := c.Fields[field]; ok {
		return policy
	}
	return c.Policy
}

// The delete policies.
const (
	DeletePropagate = "propagate"
	DeleteIgnore    = "ignore"
	EditedKeep      = "keep"
	EditedDelete    = "delete"
	EditedRecreate  = "recreate"
)

// Deletes says what a verified delete does on the other side.
type Deletes struct {
	// Policy is DeletePropagate, or DeleteIgnore (default): the pair is unlinked for good.
	Policy string
	// Edited is for a survivor that was edited: EditedKeep (default: keep and flag),
	// EditedDelete or EditedRecreate.
	Edited string
	// VerifyAfter is the pause between the two checks of a delete. Default 10s.
	VerifyAfter time.Duration
	// Guard holds mass deletes.
	Guard Guard
}

// Guard holds operations beyond a number per window until an operator approves.
type Guard struct {
	// Off is `guard: off`: nothing is held.
	Off bool
	// Max is how many pass per window; 0 holds every one. Default 10.
	Max int
	// Per is the window. Default 1h.
	Per time.Duration
}

// Guards holds edits of one side that take values from many records of the
// other. Each written side and each field is counted by itself.
type Guards struct {
	// Clears are values that become blank. Default {500, 1h}.
	Clears Guard
	// Rewrites are values that are replaced by others. Default off.
	Rewrites Guard
}

// Check is the key `check`: how often a live check warns of fields that a vendor changed.
type Check struct {
	// Every is the pause between two checks of a connection. Default 24h.
	Every time.Duration
}
