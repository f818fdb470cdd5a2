package engine

import (
	"context"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/merge"
	"github.com/accord-sync/accord/internal/record"
)

// sifted is what a page leaves: seen rows, and changes for those that need a look.
type sifted struct {
	seen    []ledger.Seen
	changes []ledger.Change
	// matches are what a rule that is new finds.
	matches []ledger.Match
	// records counts the rows of the page behind the changes.
	records int
}

// sift compares the full rows of a page with the base of each link. A row that
// equals its side's base, with nothing open, needs no look and no call.
func (e *Engine) sift(ctx context.Context, in *Installed, stream Stream, side record.Side, page connector.Page, lane ledger.Lane, runID string) (sifted, error) {
	ids := make([]string, 0, len(page.Records)+len(page.Unread))
	for _, found := range page.Records {
		ids = append(ids, found.Ref.ID)
	}
	for _, ref := range page.Unread {
		ids = append(ids, ref.ID)
	}
	states, err := e.options.Store.LoadMany(ctx, in.Key, stream.Spec.Name, side, ids)
	if err != nil {
		return sifted{}, err
	}
	listed, err := e.sifter(ctx, in, stream, side, ids)
	if err != nil {
		return sifted{}, err
	}
	refs := newResolver(ctx, e.options.Store, in.Key)
	if err := refs.prepare(stream, side, page.Records, states); err != nil {
		return sifted{}, err
	}
	var result sifted
	for _, found := range page.Records {
		v, err := stream.look(side, listed.withFound(side, found), refs.lookup)
		needsLook := err != nil
		if err == nil {
			row := stream.seenRow(v)
			row.ScanID = runID
			result.seen = append(result.seen, row)
			result.seen = append(result.seen, markerRows(stream, side, found)...)
			state := states[found.Ref.ID]
			stream.forgetAmended(&state)
			var noted *ledger.Match
			if needsLook, noted = listed.looks(side, v, state, refs.lookup); noted != nil {
				result.matches = append(result.matches, *noted)
			}
		}
		if needsLook && err == nil && lane == ledger.LanePoll && stream.waitsAsGone(states[found.Ref.ID], side, v) {
			needsLook = false
		}
		if needsLook {
			result.records++
			change := ledger.Change{Stream: stream.Spec.Name, Ref: found.Ref, Lane: lane, RunID: runID}
			if state := states[found.Ref.ID]; state.Link == nil && !stream.matchOnly() && (!stream.oneSided() || stream.touches() && lane == ledger.LaneBackfill) {
				shown := found
				change.Shown = &shown
			}
			result.changes = append(result.changes, change)
		}
	}
	if err := e.unread(ctx, in, stream, side, page.Unread, states, lane, runID, &result); err != nil {
		return sifted{}, err
	}
	return result, refs.err()
}

// unread has the records looked at that a page could not show whole. Those that are
// parked already wait for the next full listing.
func (e *Engine) unread(ctx context.Context, in *Installed, stream Stream, side record.Side, refs []record.Ref, states map[string]ledger.State, lane ledger.Lane, runID string, into *sifted) error {
	var ids []string
	for _, ref := range refs {
		ids = append(ids, ref.ID)
		if runID == "" && openLetter(states[ref.ID]) {
			continue
		}
		into.records++
		into.changes = append(into.changes, ledger.Change{Stream: stream.Spec.Name, Ref: ref, Lane: lane, RunID: runID})
	}
	seen, err := e.seenRows(ctx, in, stream, side, ids, runID)
	into.seen = append(into.seen, seen...)
	return err
}

// markerRows remembers the id that a record carries of its counterpart.
func markerRows(stream Stream, side record.Side, found record.Record) []ledger.Seen {
	id, ok := markedID(found, stream.Spec.Marker.Of(side))
	if !ok {
		return nil
	}
	return []ledger.Seen{{Stream: markerStream(stream.Spec.Name), Ref: found.Ref, MatchHash: record.Hash("marker", id), InScope: true}}
}

// markedID is the id of its counterpart that a record carries at path, if it does.
func markedID(found record.Record, path string) (id string, ok bool) {
	if path == "" {
		return "", false
	}
	value, _ := found.Fields.Get(path)
	id, _ = record.Canon(record.Kind{Name: record.KindRef}, value).(string)
	return id, id != "" && len(id) <= maxID
}

// carries reports whether a record's marker at path holds id.
func carries(found record.Record, path, id string) bool {
	marked, ok := markedID(found, path)
	return ok && marked == id
}

// needsLook reports whether a listed row asks for a reconcile.
func (s Stream) needsLook(side record.Side, v view, state ledger.State, refs mapping.Resolver) bool {
	link := state.Link
	switch {
	case link == nil && buried(state, v.record.Ref):
		// It may be a row from before the delete: undeleted asks for the record itself.
		return v.inScope && !s.staysReadable(v.record.Ref.Side) && !parkedAs(state, v)
	case link == nil:
		return (v.inScope || openLetter(state)) && !parkedAs(state, v)
	case link.State == ledger.LinkDetached:
		return false
	case openLetter(state) && !parkedAs(state, v):
		// It is not what was refused any more, even if it equals the base.
		return true
	case s.matchOnly():
		return link.GoneSide != ""
	}
	if len(state.Intents) > 0 || link.GoneSide != "" || link.Base.Doubtful || len(state.Held) > 0 && !s.heldAs(state, side, v) {
		return true
	}
	if len(state.Conflicts) > 0 {
		return !s.knownOpen(state, side, v)
	}
	base := link.Base.Of(side)
	for _, field := range s.Mapping.Fields() {
		value := v.values[field.Name()]
		known, ok := base[field.Name()]
		if held(state, field.Name()) {
			continue
		}
		if !ok && dangling(field, side, value, refs) {
			continue
		}
		if !ok || changed(field, value, known) || unsettled(field, side, link.Base, refs) {
			return !parkedAs(state, v)
		}
	}
	return false
}

// waitsAsGone reports whether a pair, one record of which is gone, waits for a person,
// in a delete conflict or at the guard, and the row is that of the other record, as it
// was when the pair began to wait.
func (s Stream) waitsAsGone(state ledger.State, side record.Side, v view) bool {
	link := state.Link
	if link == nil || link.State != ledger.LinkActive || link.GoneSide != side.Other() || len(state.Intents) > 0 || link.Base.Doubtful {
		return false
	}
	for _, conflict := range state.Conflicts {
		if conflict.Field == "" && conflict.State == ledger.ConflictOpen {
			return len(state.Held) == 0 && s.knownOpen(state, side, v)
		}
	}
	if len(state.Held) != 1 || state.Held[0].Op != ledger.GuardDelete || state.Held[0].State != ledger.HeldWaiting || len(state.Conflicts) > 0 {
		return false
	}
	base := link.Base.Of(side)
	for _, field := range s.Mapping.Fields() {
		if changed(field, v.values[field.Name()], base[field.Name()]) {
			return false
		}
	}
	return true
}

// openLetter reports whether the record or its counterpart is parked.
func openLetter(state ledger.State) bool {
	for _, letter := range state.DeadLetters {
		if letter.State == ledger.DeadLetterOpen {
			return true
		}
	}
	return false
}

// refused are the dead letters of what is not tried while it is as it was: the open ones,
// and those that a person has given up.
func refused(state ledger.State) []ledger.DeadLetter {
	open := slices.DeleteFunc(slices.Clone(state.DeadLetters), func(letter ledger.DeadLetter) bool { return letter.State != ledger.DeadLetterOpen })
	return append(open, state.Discarded...)
}

// mayClear reports whether a record that was parked may be taken without an edit of
// its own: a right was given, or another record with its key is there no more. What
// was given up is not.
func mayClear(letter ledger.DeadLetter) bool {
	if letter.State == ledger.DeadLetterDiscarded {
		return false
	}
	switch letter.Reason.Code {
	case string(fault.Forbidden), codeAmbiguous:
		return true
	}
	return letter.Reason.Code == string(fault.Duplicate) && letter.Reason.Status == 0
}

// parkedAs reports whether the record was refused exactly as it is. Answers that
// may be different next time (403, an ambiguity) are looked at again.
func parkedAs(state ledger.State, v view) bool {
	for _, letter := range refused(state) {
		if mayClear(letter) {
			continue
		}
		if letter.Ref == v.record.Ref && letter.SourcePrint == v.print || letter.Ref != v.record.Ref && letter.TargetPrint == v.print {
			return true
		}
	}
	return false
}

// knownOpen reports whether the row shows nothing but what the open conflicts
// of its link know already: their values, and the base in every other field. A
// value that was put back to the base is news: it closes its conflict. So is an
// edit of the integration after which no person has to decide any more.
func (s Stream) knownOpen(state ledger.State, side record.Side, v view) bool {
	open := map[string]any{}
	for _, conflict := range state.Conflicts {
		if conflict.State != ledger.ConflictOpen {
			return false
		}
		if conflict.Field != "" && !s.asksPerson(conflict.Field) {
			return false
		}
		open[conflict.Field] = conflict.Left
		if side == record.Right {
			open[conflict.Field] = conflict.Right
		}
	}
	if survivor, flagged := open[""]; flagged {
		return sameValue(survivor, map[string]any(v.values))
	}
	base := state.Link.Base.Of(side)
	for name, value := range v.values {
		known, ok := open[name]
		if !ok {
			known, ok = base[name]
		}
		if !ok || !sameValue(known, value) {
			return false
		}
	}
	return true
}

// asksPerson reports whether a field is mapped and its conflicts wait for a person.
func (s Stream) asksPerson(name string) bool {
	switch merge.Policy(s.Spec.Conflicts.PolicyOf(name)) {
	case merge.LeftWins, merge.RightWins, merge.Newest:
		return false
	}
	return s.Mapping.Field(name) != nil
}
