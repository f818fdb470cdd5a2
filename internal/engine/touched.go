package engine

import (
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// writer is what a record's version and time tell of who wrote it last, after a
// write of ours that may have been applied.
type writer int

const (
	// byOthers: somebody else wrote it since, or nothing can be told.
	byOthers writer = iota
	// byOursMaybe: its last write lies in the time in which ours was on the wire.
	byOursMaybe
	// byOurs: it was written exactly once since the read, and if ours was
	// applied that was ours.
	byOurs
)

// skewDoubt is how far the measured skew of a server's clock may be off: it is
// measured in whole seconds and stored when it moves by two.
const skewDoubt = 2 * time.Second

// lastWriter judges a record found after a write. Versions that are numbers prove
// it; without them the time of the last change is all there is.
func (p *pass) lastWriter(intent ledger.Intent, found record.Record) writer {
	if from, ok := number(intent.IfMatch); ok {
		if to, ok := number(found.Version); ok {
			if to == from+1 {
				return byOurs
			}
			return byOthers
		}
	}
	if p.inSendWindow(intent, found) {
		return byOursMaybe
	}
	return byOthers
}

// number reads a version that counts.
func number(version string) (int64, bool) {
	value, err := strconv.ParseInt(strings.Trim(version, `v"`), 10, 64)
	return value, err == nil
}

// inSendWindow reports whether a record was last changed while our write may
// have been on the wire, as far as the two clocks can tell.
func (p *pass) inSendWindow(intent ledger.Intent, found record.Record) bool {
	if intent.SentAt.IsZero() || found.UpdatedAt.IsZero() {
		return false
	}
	doubt, at := p.timeDoubt(intent), p.ourTime(intent, found)
	return !at.Before(intent.SentAt.Add(-doubt)) && !at.After(intent.SentAt.Add(p.engine.callTime()+doubt))
}

// neverApplied reports whether a record proves that an update did not reach it: its
// version is the one that the update was planned for, or somebody else's write took
// the one after it, or its last change is older than the sending. Then what stands
// there was put there by a user, the values that we meant to send included.
func (p *pass) neverApplied(intent ledger.Intent, found record.Record) bool {
	if intent.IfMatch != "" && found.Version == intent.IfMatch {
		return true
	}
	if saves, counted := savesSince(intent, found); counted && saves == 1 && p.byAnother(found) {
		return true
	}
	if intent.SentAt.IsZero() || found.UpdatedAt.IsZero() {
		return false
	}
	return p.ourTime(intent, found).Before(intent.SentAt.Add(-p.timeDoubt(intent)))
}

// byAnother reports whether a server says that somebody else wrote a record last.
func (p *pass) byAnother(found record.Record) bool {
	side, ok := p.in.Connector(found.Ref.Side).(connector.Actor)
	return ok && side.Actor() != "" && found.UpdatedBy != "" && found.UpdatedBy != side.Actor()
}

// sameTime reports whether a record bears the time at which its target was read
// for an update. Where times are coarse it may have been written since, so this
// proves something of values only that are as they were.
func sameTime(intent ledger.Intent, found record.Record) bool {
	// An intent of an older ledger does not say when its target was read.
	return intent.IfMatch == "" && (intent.ReadAt.IsZero() || found.UpdatedAt.Equal(intent.ReadAt))
}

// ourTime is when a record was last changed, by our clock.
func (p *pass) ourTime(intent ledger.Intent, found record.Record) time.Time {
	return found.UpdatedAt.Add(-p.engine.sides.skew(p.key(), intent.Target.Side))
}

// timeDoubt is how far apart a server's times and ours can be told.
func (p *pass) timeDoubt(intent ledger.Intent) time.Duration {
	return p.in.Connector(intent.Target.Side).Capabilities().Granularity + skewDoubt
}

// lastWriterOfCreate is lastWriter for a record that our create made: one that was
// never changed since holds nothing but our own values.
func (p *pass) lastWriterOfCreate(intent ledger.Intent, found record.Record) writer {
	if !found.CreatedAt.IsZero() && found.UpdatedAt.Equal(found.CreatedAt) {
		if p.in.Connector(intent.Target.Side).Capabilities().Granularity < time.Second {
			return byOurs
		}
		return byOursMaybe
	}
	if p.inSendWindow(intent, found) {
		return byOursMaybe
	}
	return byOthers
}
