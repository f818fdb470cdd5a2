package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// The outcomes of one pass, as metrics and run counts name them.
const (
	outcomeUnchanged = "unchanged"
	outcomeUpdated   = "updated"
	outcomeCreated   = "created"
	outcomeLinked    = "linked"
	outcomeDeleted   = "deleted"
	outcomeConflict  = "conflict"
	outcomeParked    = "parked"
	outcomeHeld      = "held"
	outcomeRetry     = "retry"
	outcomeFired     = "fired"
)

// callShare is the part of a lease that one outside call may take: the rest is
// for the commit that follows.
const callShare = 0.6

// maxCall is the longest an outside call may take.
const maxCall = 10 * time.Second

// pass is one try to reconcile one record. It may be abandoned at any step and
// done again from the top.
type pass struct {
	engine *Engine
	in     *Installed
	stream Stream
	work   ledger.Work
	state  ledger.State
	// loaded is the state that came with the claim, until it is used.
	loaded *ledger.State
	refs   *resolver
	// leasing guards lease and until: both sides of a pair are read at once.
	leasing sync.Mutex
	lease   ledger.Lease
	// until is when the lease ends by our own monotonic clock, counted from
	// before it was asked for: a process that was frozen sees that it is late.
	until time.Time

	outcome string
	// seen waits for the next commit; seenAll is everything read in this pass.
	seen, seenAll []ledger.Seen
	// values are the mapped fields of what was read in this pass, by ref.
	values map[record.Ref]ledger.Values
	// opened and closedIDs are conflicts for the workflows to know of.
	opened, closedIDs []string
	workflowID        string
	// readBothSides: a way that spares a read has been tried in this pass.
	readBothSides bool
	// lookedUp is what was looked up anew, for the next commit.
	lookedUp []ledger.Match
	// called: this pass has made an outside call.
	called atomic.Bool
	// order: what was known before the first of several calls; nil: nothing more.
	order *order
	// keyLeft is the key that the pair had until this pass; empty: it has it still.
	keyLeft string
	// lostCreate: a create was under way when the ledger was put back.
	lostCreate bool
}

func (e *Engine) newPass(ctx context.Context, in *Installed, stream Stream, work ledger.Work, claimedAt time.Time, workflowID string) *pass {
	return &pass{
		engine: e, in: in, stream: stream, work: work, lease: work.Lease, until: claimedAt.Add(e.options.Lease),
		refs: newResolver(ctx, e.options.Store, in.Key), outcome: outcomeUnchanged, workflowID: workflowID,
	}
}

func (p *pass) key() ledger.Key     { return p.in.Key }
func (p *pass) store() ledger.Store { return p.engine.options.Store }

// step is a point where a test may kill the pass.
func (p *pass) step(name string) error { return p.engine.probe(name) }

// probe is a point where a test may kill the process.
func (e *Engine) probe(step string) error {
	if e.options.Probe == nil {
		return nil
	}
	return e.options.Probe(step)
}

// callTime is how long one outside call may take under this engine's lease.
func (e *Engine) callTime() time.Duration {
	return min(maxCall, time.Duration(float64(e.options.Lease)*callShare))
}

// renew makes sure that the lease outlives one more outside call.
func (p *pass) renew(ctx context.Context) error {
	if p.leaseLeft() >= p.engine.callTime() {
		return nil
	}
	return p.extend(ctx, nil)
}

// leaseLeft is for how long the lease is still ours.
func (p *pass) leaseLeft() time.Duration {
	p.leasing.Lock()
	defer p.leasing.Unlock()
	return p.until.Sub(p.engine.options.Now())
}

// extend renews the lease and takes more keys into it.
func (p *pass) extend(ctx context.Context, keys []string) error {
	p.leasing.Lock()
	defer p.leasing.Unlock()
	asked := p.engine.options.Now()
	lease, err := p.store().Extend(ctx, p.key(), p.lease, keys, p.engine.options.Lease)
	if err != nil {
		return err
	}
	p.lease, p.until = lease, asked.Add(p.engine.options.Lease)
	return nil
}

// call runs one outside call within the lease, and tells the breaker of its side.
func (p *pass) call(ctx context.Context, side record.Side, do func(ctx context.Context, to connector.Connector) error) error {
	if err := p.renew(ctx); err != nil {
		return err
	}
	// A span and not a time: the clock of the ledger need not be the machine's.
	callCtx, cancel := context.WithTimeout(ctx, min(p.engine.callTime(), p.leaseLeft()))
	defer cancel()
	if p.called.Swap(true) {
		callCtx = connector.WithPatience(callCtx)
	}
	err := do(callCtx, p.in.Connector(side))
	p.engine.sides.observeOf(ctx, p.key(), side, p.subject(), err, func(ctx context.Context) error { return p.probe(ctx, side) })
	return err
}

// probe asks a side for the shortest listing of the stream, within the lease.
func (p *pass) probe(ctx context.Context, side record.Side) error {
	probeCtx, cancel := context.WithTimeout(ctx, p.leaseLeft())
	defer cancel()
	object := p.stream.object(side)
	if object == "" {
		return nil
	}
	_, err := p.in.Connector(side).List(probeCtx, connector.ListRequest{Object: object, Limit: 1})
	return err
}

// fetch reads one record from its server.
func (p *pass) fetch(ctx context.Context, ref record.Ref) (record.Record, error) {
	if err := p.step("before get"); err != nil {
		return record.Record{}, err
	}
	var answer record.Record
	err := p.call(ctx, ref.Side, func(ctx context.Context, to connector.Connector) error {
		var err error
		answer, err = to.Get(ctx, ref.Object, ref.ID)
		return err
	})
	if err != nil {
		return record.Record{}, onRef(err, ref)
	}
	return answer, p.step("after get")
}

// look reads the mapped fields and remembers the row for the next commit.
func (p *pass) look(side record.Side, answer record.Record) (view, error) {
	answer, err := p.withFound(side, answer)
	if err != nil {
		return view{}, err
	}
	found, err := p.stream.look(side, answer, p.refs.lookup)
	if err != nil {
		return view{}, onRef(err, answer.Ref)
	}
	if err := p.refs.err(); err != nil {
		return view{}, err
	}
	p.saw(found)
	return found, nil
}

// get reads one record. A fault.Gone comes back as ok == false.
func (p *pass) get(ctx context.Context, ref record.Ref) (found view, ok bool, err error) {
	answer, err := p.fetch(ctx, ref)
	if fault.Is(err, fault.Gone) {
		return view{}, false, nil
	}
	if err != nil {
		return view{}, false, err
	}
	found, err = p.look(ref.Side, answer)
	return found, err == nil, err
}

// saw remembers a read for the next commit; a later read replaces an earlier one.
func (p *pass) saw(v view) {
	row := p.stream.seenRow(v)
	p.seen, p.seenAll = putSeen(p.seen, row), putSeen(p.seenAll, row)
	if p.values == nil {
		p.values = map[record.Ref]ledger.Values{}
	}
	p.values[v.record.Ref] = v.values
}

func putSeen(rows []ledger.Seen, row ledger.Seen) []ledger.Seen {
	for i := range rows {
		if rows[i].Ref == row.Ref {
			rows[i] = row
			return rows
		}
	}
	return append(rows, row)
}

// commit writes a step under the lease.
func (p *pass) commit(ctx context.Context, commit ledger.Commit) error {
	commit.Lease = p.lease
	for i := range commit.PutLinks {
		p.refit(&commit.PutLinks[i])
	}
	commit.RunID = p.work.RunID
	p.linkedCustomers(&commit)
	p.keepInRun(commit.Enqueue)
	commit.PutSeen = append(commit.PutSeen, p.seen...)
	commit.PutMatches = append(commit.PutMatches, p.lookedUp...)
	p.seen, p.lookedUp = nil, nil
	if err := p.step("before commit"); err != nil {
		return err
	}
	if err := p.store().Commit(ctx, p.key(), commit); err != nil {
		return err
	}
	return p.step("after commit")
}

// keepInRun gives what a run finds on its way to that run: in the lane of first loads
// nobody works on what belongs to none.
func (p *pass) keepInRun(changes []ledger.Change) {
	for i := range changes {
		switch one := &changes[i]; {
		case one.Lane != ledger.LaneBackfill || one.RunID != "":
		case p.work.RunID != "":
			one.RunID = p.work.RunID
		default:
			one.Lane = ledger.LanePoll
		}
	}
}

// finish ends the pass: the row is done, with whatever is still to be stored.
func (p *pass) finish(ctx context.Context, commit ledger.Commit) error {
	commit.Done = &p.work
	commit.RunDone++
	resolved := p.resolvedLetters()
	commit.PutDeadLetters = append(commit.PutDeadLetters, resolved...)
	twins, err := p.freedTwins(ctx, resolved)
	if err != nil {
		return err
	}
	commit.Enqueue = append(commit.Enqueue, twins...)
	commit.Counts = commit.Counts.Add(countOf(p.outcome))
	link, made, err := p.wakeWith(ctx, &commit)
	if err != nil {
		return err
	}
	if err := p.commit(ctx, commit); err != nil {
		return err
	}
	if made {
		p.wakeLate(ctx, link)
	}
	return nil
}

// resolvedLetters closes the open dead letters of a record that went through, and the
// discarded ones: what was given up is done now.
func (p *pass) resolvedLetters() []ledger.DeadLetter {
	if p.outcome == outcomeParked {
		return nil
	}
	var letters []ledger.DeadLetter
	for _, letter := range slices.Concat(p.state.DeadLetters, p.state.Discarded) {
		if p.outcome == outcomeCreated && p.stream.takesBack(letter) {
			// Its corrections have yet to reach the source.
			continue
		}
		letter.State, letter.LastAt = ledger.DeadLetterResolved, p.engine.options.Now()
		letters = append(letters, letter)
	}
	return letters
}

// takesBack reports whether a correction goes to the record that it was made on too.
func (s Stream) takesBack(letter ledger.DeadLetter) bool {
	for name := range letter.Overrides {
		if field := s.Mapping.Field(name); field != nil && !s.touches() && field.Writable(letter.Ref.Side) {
			return true
		}
	}
	return false
}

func countOf(outcome string) ledger.Counts {
	switch outcome {
	case outcomeCreated:
		return ledger.Counts{Created: 1}
	case outcomeFired:
		// What it did is counted with the firings.
		return ledger.Counts{}
	case outcomeLinked:
		// Counted with the commit that made the link.
		return ledger.Counts{}
	case outcomeUpdated:
		return ledger.Counts{Updated: 1}
	case outcomeDeleted:
		return ledger.Counts{Deleted: 1}
	case outcomeConflict:
		return ledger.Counts{Conflicts: 1}
	case outcomeParked:
		return ledger.Counts{Parked: 1}
	case outcomeHeld:
		return ledger.Counts{Held: 1}
	}
	return ledger.Counts{Unchanged: 1}
}

// onRef names the record in a coded error.
func onRef(err error, ref record.Ref) error {
	if coded := fault.As(err); coded != nil && coded.Subject == "" {
		return coded.On(ref)
	}
	return err
}
