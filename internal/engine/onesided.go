package engine

import (
	"context"

	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// A one-sided stream looks at the records of one side and links them with nothing.
// It shares all that brings a look about with the others: webhooks, polls, runs, the
// inbox, leases, quota, retries and dead letters. What a look does is told by the
// stream's mode.

// oneSided reports whether the stream has no other side.
func (s Stream) oneSided() bool { return s.Spec.OneSided() }

// lookAlone brings the record of a one-sided stream up to date in the ledger.
func (p *pass) lookAlone(ctx context.Context) error {
	if p.stream.touches() {
		return p.reconcile(ctx)
	}
	found, ok, err := p.alone(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return p.finish(ctx, p.forgotten())
	}
	if found.record.Ref.ID != p.work.Ref.ID {
		return p.finish(ctx, p.mergedInto(found.record.Ref))
	}
	return p.finish(ctx, ledger.Commit{})
}

// alone loads what is known of the record of a one-sided stream, and reads it from
// its server. ok is false where the vendor says that there is no such record.
func (p *pass) alone(ctx context.Context) (found view, ok bool, err error) {
	if p.state, err = p.known(ctx); err != nil {
		return view{}, false, err
	}
	if err := p.step("loaded"); err != nil {
		return view{}, false, err
	}
	return p.get(ctx, p.work.Ref)
}

// forgotten is the commit for a record that is gone.
func (p *pass) forgotten() ledger.Commit {
	return ledger.Commit{DropSeen: []record.Ref{p.work.Ref}, DropStream: p.work.Stream}
}

// mergedInto is the commit for a record that the vendor merged into another: that
// one is looked at.
func (p *pass) mergedInto(survivor record.Ref) ledger.Commit {
	change := p.sameChange()
	change.Ref = survivor
	commit := p.forgotten()
	commit.Enqueue = []ledger.Change{change}
	return commit
}

// news reports whether a listed row of a one-sided stream asks for a look: it is or
// was in scope, and differs from what was last seen of it.
func news(v view, before ledger.Seen, known bool) bool {
	if !known {
		return v.inScope
	}
	return (v.inScope || before.InScope) && (before.Print != v.print || before.InScope != v.inScope)
}

// sifter decides which listed rows of a stream ask for a look.
type sifter struct {
	stream Stream
	// seen are the rows of a one-sided stream as they were last seen; met is what the
	// rule of the stream knows, begin and once are the rule's.
	seen  map[string]ledger.Seen
	met   map[string]ledger.Match
	begin beginning
	once  string
	// in and points are those of a source of touch-points: what each is counted as.
	in     *Installed
	points map[string]ledger.TouchPoint
}

func (e *Engine) sifter(ctx context.Context, in *Installed, stream Stream, side record.Side, ids []string) (sifter, error) {
	s := sifter{stream: stream, in: in}
	var err error
	switch {
	case stream.Spec.Mode == integration.ModeRule:
		rule := in.Rules[stream.Spec.Rule]
		if rule == nil {
			return s, nil
		}
		s.once = rule.Spec.Once
		if !rule.Spec.Backfill {
			if s.begin, err = e.beginning(ctx, in, stream, side); err != nil {
				return s, err
			}
		}
		s.met, err = e.met(ctx, in, stream, side, ids)
	case stream.follows():
		s.met, err = e.met(ctx, in, stream, side, ids)
	case stream.touches():
		s.points, err = e.options.Store.TouchPointsOf(ctx, in.Key, stream.Spec.Name, side, ids)
	case stream.oneSided():
		s.seen, err = e.options.Store.SeenMany(ctx, in.Key, stream.Spec.Name, side, ids)
	}
	return s, err
}

// looks reports whether a row asks for a look, and what is only noted of it.
func (s sifter) looks(side record.Side, v view, state ledger.State, refs mapping.Resolver) (looks bool, noted *ledger.Match) {
	corrected := openLetter(state) && !parkedAs(state, v)
	switch {
	case s.stream.Spec.Mode == integration.ModeRule:
		var known *ledger.Match
		if match, ok := s.met[v.record.Ref.ID]; ok {
			known = &match
		}
		looks, noted = s.stream.ruleLook(v, s.begin, known, s.once)
		return looks || corrected, noted
	case s.stream.touches():
		return touchNews(s.in, s.stream, v, s.points, state), nil
	case s.stream.oneSided():
		before, known := s.seen[v.record.Ref.ID]
		return news(v, before, known) || corrected, nil
	case s.stream.follows() && state.Link == nil && s.met[v.record.Ref.ID].Turn == 0:
		return corrected, nil
	}
	return s.stream.needsLook(side, v, state, refs), nil
}
