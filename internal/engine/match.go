package engine

import (
	"context"
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// codeAmbiguous is the reason of a record that could belong to several.
const codeAmbiguous = "ambiguous_match"

// markerStream is where listings remember markers beside match keys.
func markerStream(stream string) string { return stream + "#marker" }

// match finds the record on the other side that is this one already: by its own
// marker, by the other side's marker, then by the natural key if that is unique
// in both directions. nil: there is none. Ambiguity is fault.Duplicate.
func (p *pass) match(ctx context.Context, source view) (*view, error) {
	if found, err := p.byOwnMarker(ctx, source); found != nil || err != nil {
		return found, err
	}
	if found, err := p.byTheirMarker(ctx, source); found != nil || err != nil {
		return found, err
	}
	if err := p.orphan(ctx, source); err != nil {
		return nil, err
	}
	if source.match == "" || p.stream.Spec.Collision == "create" {
		return nil, nil
	}
	return p.byKey(ctx, source)
}

// byOwnMarker follows the id that the record itself carries. A foreign value
// leads nowhere and is left alone.
func (p *pass) byOwnMarker(ctx context.Context, source view) (*view, error) {
	ref := source.record.Ref
	origin, ok := p.markedOrigin(source)
	if !ok {
		return nil, nil
	}
	if err := p.notUnderWay(ctx, origin); err != nil {
		return nil, err
	}
	found, err := p.freeRecord(ctx, origin, func(other view) bool {
		theirs := p.stream.Spec.Marker.Of(other.record.Ref.Side)
		carried, _ := other.record.Fields.Get(theirs)
		return theirs == "" || record.IsBlank(carried) || carries(other.record, theirs, ref.ID)
	})
	return p.notForeign(ctx, found, ref, origin, err)
}

// notUnderWay puts a record off that looks like the fruit of a create which is
// not settled yet: the record it was made from goes first and links the two, or
// finds that it was deleted meanwhile.
func (p *pass) notUnderWay(ctx context.Context, origin record.Ref) error {
	state, err := p.store().Load(ctx, p.key(), p.work.Stream, origin)
	if err != nil {
		return err
	}
	for _, intent := range state.Intents {
		if intent.Op != ledger.OpCreate || intent.Source != origin {
			continue
		}
		change := ledger.Change{
			Stream: p.work.Stream, Ref: origin, Lane: p.work.Lane, Trace: p.work.Trace, DueAt: p.engine.options.Now().Add(settlePause / 4),
			Patient: true,
		}
		if err := p.commit(ctx, ledger.Commit{Enqueue: []ledger.Change{change}}); err != nil {
			return err
		}
		return later(settlePause/2, "the record it was made from is settled first")
	}
	return nil
}

// maxID bounds what is taken for an id out of a customer's own field.
const maxID = 200

// byTheirMarker finds a record of the other side that listings saw with this
// record's id in its marker: one that an earlier connection created.
func (p *pass) byTheirMarker(ctx context.Context, source view) (*view, error) {
	side := source.record.Ref.Side.Other()
	path := p.stream.Spec.Marker.Of(side)
	if path == "" {
		return nil, nil
	}
	candidates, err := p.store().MatchCandidates(ctx, p.key(), markerStream(p.work.Stream), side, record.Hash("marker", source.record.Ref.ID))
	if err != nil {
		return nil, err
	}
	for _, candidate := range candidates {
		found, err := p.freeRecord(ctx, candidate.Ref, func(other view) bool { return carries(other.record, path, source.record.Ref.ID) })
		found, err = p.notForeign(ctx, found, candidate.Ref, source.record.Ref, err)
		if found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// freeRecord reads a record and returns it if it is there, unlinked, and right.
func (p *pass) freeRecord(ctx context.Context, ref record.Ref, right func(view) bool) (*view, error) {
	state, err := p.store().Load(ctx, p.key(), p.work.Stream, ref)
	if err != nil {
		return nil, err
	}
	if state.Link != nil || buried(state, ref) {
		return nil, nil
	}
	found, ok, err := p.get(ctx, ref)
	if err != nil || !ok || found.record.Ref.ID != ref.ID || !right(found) {
		return nil, err
	}
	return &found, nil
}

// byKey takes the lease on the key first, so that two records with one key are
// never handled at the same time.
func (p *pass) byKey(ctx context.Context, source view) (*view, error) {
	if err := p.extend(ctx, []string{ledger.MatchLeaseKey(p.work.Stream, source.match)}); err != nil {
		return nil, err
	}
	ref := source.record.Ref
	twins, err := p.candidates(ctx, ref.Side, source, listedOnly)
	if err != nil {
		return nil, err
	}
	for _, twin := range twins {
		if twin.record.Ref.ID == ref.ID {
			continue
		}
		return nil, p.ambiguous(ref, twin.record.Ref)
	}
	others, err := p.candidates(ctx, ref.Side.Other(), source, searched)
	if err != nil {
		return nil, err
	}
	return p.choose(ctx, source, others)
}

// choose accepts exactly one free candidate.
func (p *pass) choose(ctx context.Context, source view, others []view) (*view, error) {
	var free, outside []view
	for _, other := range others {
		state, err := p.store().Load(ctx, p.key(), p.work.Stream, other.record.Ref)
		if err != nil {
			return nil, err
		}
		switch {
		case !other.inScope && state.Link == nil && !p.bears(source, other):
			if !buried(state, other.record.Ref) && !p.elsewhere(other.record) {
				outside = append(outside, other)
			}
		case buried(state, other.record.Ref) && p.stream.staysReadable(other.record.Ref.Side):
		case buried(state, other.record.Ref):
			// It was deleted, and is there again: nobody knows whose key it is now.
			return nil, p.ambiguous(source.record.Ref, other.record.Ref)
		case state.Link != nil && state.Link.State == ledger.LinkDetached:
			// A survivor of the ignore policy is not matched again.
		case state.Link == nil:
			free = append(free, other)
		default:
			return nil, p.taken(ctx, source, other, state)
		}
	}
	if len(free) == 0 && len(outside) > 0 && p.creates(source) {
		return nil, p.leftOut(source.record.Ref, outside[0].record.Ref)
	}
	if len(free) == 0 {
		return nil, p.waitForSearch(source)
	}
	if len(free) > 1 {
		return nil, p.ambiguous(source.record.Ref, free[0].record.Ref, free[1].record.Ref)
	}
	if p.stream.Spec.Collision == "ignore" && !p.stream.matchOnly() {
		return nil, fault.New(fault.Duplicate, "a record with the same key is there already (%s), and collision is ignore", free[0].record.Ref).On(source.record.Ref)
	}
	if err := p.noTwin(ctx, source, free[0]); err != nil {
		return nil, err
	}
	return &free[0], nil
}

// bears reports whether a candidate carries the source's id.
func (p *pass) bears(source, other view) bool {
	path := p.stream.Spec.Marker.Of(other.record.Ref.Side)
	return path != "" && carries(other.record, path, source.record.Ref.ID)
}

// creates reports whether a record without a counterpart is given one.
func (p *pass) creates(source view) bool {
	return p.stream.writes(source.record.Ref.Side.Other()) && !p.stream.matchOnly()
}

// elsewhere reports whether a record that is no part of this stream is one of another
// stream, of which the same collection holds the records too: it is something else.
func (p *pass) elsewhere(found record.Record) bool {
	for _, stream := range p.in.Streams {
		if stream.Spec.Name == p.stream.Spec.Name || stream.oneSided() || stream.follows() || stream.matchOnly() || stream.object(found.Ref.Side) != found.Ref.Object {
			continue
		}
		if inScope, err := stream.Mapping.InScope(found.Ref.Side, found.Fields); err == nil && inScope {
			return true
		}
	}
	return false
}

// leftOut refuses to make a second record beside one that is no part of the stream.
func (p *pass) leftOut(ref, other record.Ref) error {
	refused := fault.New(fault.Duplicate, "a record with the same key is there already (%s), and `where` leaves it out: nothing is made beside it. Take it in, correct or delete it", other).On(ref)
	refused.VendorCode = codeAmbiguous
	return refused
}

// noTwin asks the server of the source's own side, before a candidate is
// accepted, for a record with the same key that no listing has shown yet. A
// candidate that carries the source's id needs no key.
func (p *pass) noTwin(ctx context.Context, source, other view) error {
	ref := source.record.Ref
	if source.match == "" || p.bears(source, other) {
		return nil
	}
	twins, err := p.candidates(ctx, ref.Side, source, searched)
	if err != nil || len(twins) == 0 {
		return err
	}
	return p.ambiguous(ref, twins[0].record.Ref)
}

// taken says why a linked candidate cannot be had: it looks at the record that
// holds it. If that one is gone, or has another key by now, the candidate will be
// free or deleted soon: come back, unless a person has to say what becomes of it.
func (p *pass) taken(ctx context.Context, source view, other view, state ledger.State) error {
	holder := state.Link.Ref(source.record.Ref.Side)
	found, ok, err := p.get(ctx, holder)
	if err != nil {
		return err
	}
	if ok && found.match == source.match || waitsForPerson(state, ok) {
		return p.ambiguous(source.record.Ref, holder, other.record.Ref)
	}
	change := ledger.Change{Stream: p.work.Stream, Ref: holder, Lane: p.work.Lane, EventID: p.work.EventID, Trace: p.work.Trace, Patient: true}
	if err := p.commit(ctx, ledger.Commit{Enqueue: []ledger.Change{change}}); err != nil {
		return err
	}
	return later(max(p.stream.Spec.Deletes.VerifyAfter, busyPause)+busyPause, "the record that holds its match is being looked at first")
}

// waitsForPerson reports whether a pair stays as it is until somebody acts: it is
// parked, or in conflict; or one of its records is gone (not both are alive), and
// the other was kept because of an edit, or is held by the guard.
func waitsForPerson(state ledger.State, alive bool) bool {
	for _, conflict := range state.Conflicts {
		if conflict.State == ledger.ConflictOpen && (alive || conflict.Field == "") {
			return true
		}
	}
	for _, letter := range state.DeadLetters {
		if alive && letter.State == ledger.DeadLetterOpen {
			return true
		}
	}
	for _, held := range state.Held {
		if held.State == ledger.HeldWaiting {
			return true
		}
	}
	return false
}

// waitForSearch puts off a create on a server whose search may not show yet
// what a user has just made there.
func (p *pass) waitForSearch(source view) error {
	side := source.record.Ref.Side.Other()
	lag := p.in.Connector(side).Capabilities().SearchLag
	if lag <= 0 || !p.stream.writes(side) || p.keptUnique(side) {
		return nil
	}
	if wait := p.work.FirstAt.Add(lag).Sub(p.engine.options.Now()); wait > 0 {
		return later(wait, "the other side's search lags behind")
	}
	return nil
}

// keptUnique reports whether the server itself refuses a second record with the
// same key, so that nothing depends on its search.
func (p *pass) keptUnique(side record.Side) bool {
	unique := p.in.Connector(side).Capabilities().Unique
	for _, field := range p.stream.Mapping.Match() {
		if path, ok := field.Path(side); ok && slices.Contains(unique, path) {
			return true
		}
	}
	return false
}

func (p *pass) ambiguous(ref record.Ref, others ...record.Ref) error {
	names := ""
	for _, other := range others {
		names += " " + other.String()
	}
	refused := fault.New(fault.Duplicate, "its key is not unique, and nothing is guessed; the other records are:%s. Merge, correct or delete them", names).On(ref)
	refused.VendorCode = codeAmbiguous
	return refused
}

// firstLink joins two existing records. There is no common past: the merge that
// follows in the same pass applies the first-link rules.
func (p *pass) firstLink(ctx context.Context, source, other view) error {
	if err := p.takeForLink(ctx, other.record.Ref); err != nil {
		return err
	}
	link := p.newLink(source.record.Ref, other.record.Ref)
	if err := p.commit(ctx, ledger.Commit{PutLinks: []ledger.Link{link}, Counts: ledger.Counts{Linked: 1}}); err != nil {
		return err
	}
	p.outcome = outcomeLinked
	p.state.Link = &link
	left, right := source, other
	if source.record.Ref.Side == record.Right {
		left, right = other, source
	}
	return p.agree(ctx, link, left, right)
}

// takeForLink takes the lease on the counterpart and makes sure that nobody
// linked it meanwhile.
func (p *pass) takeForLink(ctx context.Context, ref record.Ref) error {
	if err := p.extend(ctx, []string{ledger.RefKey(ref)}); err != nil {
		return err
	}
	return p.linkable(ctx, ref)
}

// linkable refuses a counterpart that is linked already, and looks for what it was
// parked for.
func (p *pass) linkable(ctx context.Context, ref record.Ref) error {
	state, err := p.store().Load(ctx, p.key(), p.work.Stream, ref)
	if err != nil {
		return err
	}
	if state.Link != nil && state.Link.Ref(p.work.Ref.Side) != p.work.Ref {
		return fault.New(fault.Duplicate, "its counterpart %s is linked to %s already", ref, state.Link.Ref(p.work.Ref.Side)).On(p.work.Ref)
	}
	for _, letter := range state.DeadLetters {
		// What parked either of them is over when the two go through as a pair.
		if !slices.ContainsFunc(p.state.DeadLetters, func(known ledger.DeadLetter) bool { return known.ID == letter.ID }) {
			p.state.DeadLetters = append(p.state.DeadLetters, letter)
		}
	}
	return nil
}

func (p *pass) newLink(a, b record.Ref) ledger.Link {
	if a.Side == record.Right {
		a, b = b, a
	}
	at := p.engine.options.Now().UTC().Truncate(time.Microsecond)
	return ledger.Link{
		ID: p.engine.options.NewID(), Stream: p.work.Stream, Left: a, Right: b, State: ledger.LinkActive,
		Base: ledger.Base{Left: ledger.Values{}, Right: ledger.Values{}}, CreatedAt: at, UpdatedAt: at,
	}
}
