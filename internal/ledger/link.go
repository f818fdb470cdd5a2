package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// Values holds one plain value per field, by the name under `fields:`.
type Values map[string]any

// Base is, for each mapped field and side, what that server was last known to
// hold: plain values as read, so that a new normal form changes nothing. A field
// that is absent has no common past (first-link rules apply).
type Base struct {
	Left  Values `json:"left"`
	Right Values `json:"right"`
	// LeftWrote and RightWrote are the server's times that our own last write
	// on that side caused: they never count as a user's edit (newest wins).
	LeftWrote  time.Time `json:"left_wrote,omitzero"`
	RightWrote time.Time `json:"right_wrote,omitzero"`
	// Unread is the side whose record we made and nobody has read since: it may
	// turn visible late.
	Unread record.Side `json:"unread,omitempty"`
	// Epoch is that of the restored ledger under which this pair was looked into,
	// and Doubtful is set until both its sides have been read since.
	Epoch    string `json:"epoch,omitempty"`
	Doubtful bool   `json:"doubtful,omitempty"`
	// Version is the connection's version under which the base was stored: fields
	// that are read from elsewhere since have no common past, and the versions of
	// the link tell nothing of what is mapped since. 0: not known.
	Version int `json:"version,omitempty"`
	// GuardTaken: the delete of this pair was counted by the guard already.
	GuardTaken bool `json:"guard_taken,omitempty"`
}

// Of returns the values of one side.
func (b Base) Of(side record.Side) Values {
	if side == record.Left {
		return b.Left
	}
	return b.Right
}

// LinkState is the state of a link.
type LinkState string

// The states of a link: in step; deleted (both ids kept, nothing comes back);
// unlinked for good by the ignore policy, the survivor is not matched again.
const (
	LinkActive    LinkState = "active"
	LinkTombstone LinkState = "tombstone"
	LinkDetached  LinkState = "detached"
)

// Link joins a left and a right record of a stream.
type Link struct {
	ID     string
	Stream string
	// Left and Right are the refs. Both are set in every state.
	Left, Right record.Ref
	State       LinkState
	Base        Base
	// LeftVersion and RightVersion are the servers' versions at which each side held
	// exactly the base, in every mapped field; empty where that is not known.
	LeftVersion, RightVersion string
	// GoneSide and GoneAt mark a first "not found" that waits to be verified.
	GoneSide record.Side
	GoneAt   time.Time
	// Flagged is set when a delete met an edit and both were kept.
	Flagged              bool
	CreatedAt, UpdatedAt time.Time
}

// Version returns the known version of one side.
func (l Link) Version(side record.Side) string {
	if side == record.Left {
		return l.LeftVersion
	}
	return l.RightVersion
}

// Ref returns the ref on one side.
func (l Link) Ref(side record.Side) record.Ref {
	if side == record.Left {
		return l.Left
	}
	return l.Right
}
