package engine

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// A field that holds a customer's count is written under the leases of the customer
// and its counterpart, like any write to it: by the whole number, and only where it
// differs. Nobody adds to it, so that a write that is repeated does no harm.

// writesBack reports whether the stream is that of a field which holds counts.
func (s Stream) writesBack() bool { return s.Spec.Mode == integration.ModeWriteBack }

// working finds what a row of the inbox belongs to: a stream, or a field that holds
// counts, which has the two sides of its customers' stream.
func (i *Installed) working(name string) (Stream, bool) {
	if stream, ok := i.Stream(name); ok {
		return stream, true
	}
	back := i.writeBack(name)
	if back == nil {
		return Stream{}, false
	}
	customers, ok := i.Stream(back.Stream)
	empty, err := mapping.NewStream(mapping.StreamSpec{Name: name})
	if !ok || err != nil {
		return Stream{}, false
	}
	spec := integration.Stream{
		Name: name, Mode: integration.ModeWriteBack, Conflicts: customers.Spec.Conflicts,
		Left: integration.End{Object: customers.object(record.Left)}, Right: integration.End{Object: customers.object(record.Right)},
	}
	return Stream{Spec: spec, Mapping: empty}, true
}

func (i *Installed) writeBack(name string) *integration.WriteBack {
	if i.Integration == nil || i.Integration.TouchPoints == nil {
		return nil
	}
	return i.Integration.TouchPoints.WriteBack(name)
}

// gatherFor is how long a field waits in a first load, so that the touch-points of
// one customer, which are worked on side by side, make one write.
const gatherFor = 2 * time.Second

// lookBack is a look at the field of the customer that touch-points name by id.
func (i *Installed) lookBack(back *integration.WriteBack, id string, work ledger.Work, now time.Time) ledger.Change {
	customers, _ := i.Stream(back.Stream)
	side := back.Side.Other()
	change := ledger.Change{
		Stream: back.Name, Ref: record.Ref{Side: side, Object: customers.object(side), ID: id},
		Lane: work.Lane, RunID: work.RunID, EventID: work.EventID, Trace: work.Trace,
	}
	if change.Lane == ledger.LaneBackfill {
		change.DueAt = now.Add(gatherFor)
	}
	return change
}

// linkedCustomers adds to a commit the looks at the fields of customers whose link
// it makes, and of those that others were merged into.
func (p *pass) linkedCustomers(commit *ledger.Commit) {
	if p.in.Integration == nil || p.in.Integration.TouchPoints == nil || p.stream.writesBack() {
		return
	}
	backs := p.in.Integration.TouchPoints.WriteBacks
	for n := range backs {
		back := &backs[n]
		for _, link := range commit.PutLinks {
			if link.Stream == back.Stream && link.State == ledger.LinkActive && p.newPair(link) {
				commit.Enqueue = append(commit.Enqueue, p.in.lookBack(back, link.Ref(back.Side.Other()).ID, p.work, p.engine.options.Now()))
			}
		}
		for _, merge := range commit.PutMerges {
			if merge.Stream == back.Stream && merge.From.Side == back.Side.Other() {
				commit.Enqueue = append(commit.Enqueue, p.in.lookBack(back, merge.Into, p.work, p.engine.options.Now()))
			}
		}
	}
}

// newPair reports whether a link joins two records that were not joined before this pass.
func (p *pass) newPair(link ledger.Link) bool {
	before := p.state.Link
	return before == nil || before.State != ledger.LinkActive || before.Left != link.Left || before.Right != link.Right
}

// writeBack brings the field of one customer up to date.
func (p *pass) writeBack(ctx context.Context) error {
	back := p.in.writeBack(p.work.Stream)
	into, err := p.store().Survivor(ctx, p.key(), back.Stream, p.work.Ref)
	if err != nil {
		return err
	}
	if into != p.work.Ref.ID {
		return p.finish(ctx, ledger.Commit{Enqueue: []ledger.Change{p.in.lookBack(back, into, p.work, p.engine.options.Now())}})
	}
	customers, _ := p.in.Stream(back.Stream)
	state, err := p.store().Load(ctx, p.key(), back.Stream, p.work.Ref)
	if err != nil {
		return err
	}
	customers.forgetAmended(&state)
	if state.Link == nil || state.Link.State != ledger.LinkActive {
		// Its field is written when it gets a counterpart.
		return p.finish(ctx, ledger.Commit{CloseIntents: p.openIntents()})
	}
	if len(state.Intents) > 0 || state.Link.GoneSide != "" {
		return later(settlePause, "a write to the same record goes first")
	}
	count, err := p.store().CountCustomer(ctx, p.key(), back.Stream, p.work.Ref, back.Kinds)
	if err != nil {
		return err
	}
	target := state.Link.Ref(back.Side)
	written, err := p.store().SeenMany(ctx, p.key(), back.Name, back.Side, []string{target.ID})
	if err != nil {
		return err
	}
	if _, ever := written[target.ID]; !ever && count == 0 && len(p.state.Intents) == 0 {
		return p.finish(ctx, ledger.Commit{})
	}
	return p.putCount(ctx, back, state, count)
}

// putCount reads the customer's counterpart and writes the count if it holds another.
func (p *pass) putCount(ctx context.Context, back *integration.WriteBack, state ledger.State, count int) error {
	link := *state.Link
	target := link.Ref(back.Side)
	current, err := p.fetch(ctx, target)
	if fault.Is(err, fault.Gone) || err == nil && current.Ref.ID != target.ID {
		// The customers' own stream sees to that.
		return p.finish(ctx, ledger.Commit{CloseIntents: p.openIntents()})
	}
	if err != nil {
		return err
	}
	if err := p.editsFirst(ctx, back, state, current); err != nil {
		return err
	}
	held, _ := current.Fields.Get(back.Field)
	number := json.Number(strconv.Itoa(count))
	commit := ledger.Commit{
		CloseIntents: p.openIntents(), History: p.countsWritten(back, held),
		PutSeen: []ledger.Seen{{Stream: back.Name, Ref: target, Print: strconv.Itoa(count), UpdatedAt: current.UpdatedAt}},
	}
	if holdsCount(held, count) {
		return p.finish(ctx, commit)
	}
	now := p.engine.options.Now()
	intent := ledger.Intent{
		ID: p.engine.options.NewID(), Stream: back.Name, Op: ledger.OpUpdate, LinkID: link.ID, Source: p.work.Ref, Target: target,
		Sent: ledger.Values{back.Field: number}, Before: ledger.Values{back.Field: held}, Patch: map[string]any{back.Field: number},
		IfMatch: p.ifMatch(back.Side, current), Cause: ledger.Cause{Kind: ledger.CauseTouchPoints, Side: p.work.Ref.Side, EventID: p.work.EventID},
		RunID: p.work.RunID, OpenedAt: now, SentAt: now,
	}
	first := ledger.Commit{OpenIntents: []ledger.Intent{intent}, CloseIntents: commit.CloseIntents, History: commit.History}
	if err := p.commit(ctx, first); err != nil {
		return err
	}
	answer, direct, err := p.send(ctx, current, intent)
	if err != nil {
		return p.countNotSent(ctx, intent, err)
	}
	p.state.Intents = []ledger.Intent{intent}
	commit.CloseIntents, commit.History = []string{intent.ID}, []ledger.HistoryEntry{p.countWritten(back, intent)}
	if direct {
		commit.PutLinks = []ledger.Link{p.ownWrite(link, back.Side, current, answer)}
	}
	p.outcome = outcomeUpdated
	return p.finish(ctx, commit)
}

// editsFirst lets an edit of the same record that was not brought over yet go first:
// our own write would hide when it was made.
func (p *pass) editsFirst(ctx context.Context, back *integration.WriteBack, state ledger.State, current record.Record) error {
	customers, _ := p.in.Stream(back.Stream)
	seen, err := customers.look(back.Side, current, p.refs.lookup)
	if err != nil || p.work.Claims > dependencyLooks || !customers.needsLook(back.Side, seen, state, p.refs.lookup) {
		return p.refs.err()
	}
	first := ledger.Change{Stream: back.Stream, Ref: current.Ref, Lane: p.work.Lane, RunID: p.work.RunID, Patient: true}
	if err := p.commit(ctx, ledger.Commit{Enqueue: []ledger.Change{first}}); err != nil {
		return err
	}
	return later(dependencyWait, "an edit of the same record goes first")
}

// ownWrite notes on a link that the time of one side, and its version, are those of
// our own write, which changed none of the mapped fields.
func (p *pass) ownWrite(link ledger.Link, side record.Side, before, wrote record.Record) ledger.Link {
	p.markWrite(&link, side, wrote)
	known := &link.LeftVersion
	if side == record.Right {
		known = &link.RightVersion
	}
	if *known == before.Version {
		*known = wrote.Version
	}
	return link
}

// countNotSent ends the intent of a write that was refused; one whose outcome is
// unknown stays open, and is settled by the next look.
func (p *pass) countNotSent(ctx context.Context, intent ledger.Intent, cause error) error {
	coded := fault.As(cause)
	if isCrash(cause) || coded == nil || coded.MaybeApplied {
		return cause
	}
	if err := p.commit(ctx, ledger.Commit{CloseIntents: []string{intent.ID}}); err != nil {
		return err
	}
	if coded.Code == fault.Stale {
		return errAgain
	}
	return cause
}

// countsWritten are the history of own writes whose outcome was unknown: of those
// that the field shows.
func (p *pass) countsWritten(back *integration.WriteBack, held any) []ledger.HistoryEntry {
	var entries []ledger.HistoryEntry
	for _, intent := range p.state.Intents {
		if record.Equal(record.Kind{Name: record.KindNumber}, intent.Sent[back.Field], held) {
			entries = append(entries, p.countWritten(back, intent))
		}
	}
	return entries
}

func (p *pass) countWritten(back *integration.WriteBack, intent ledger.Intent) ledger.HistoryEntry {
	return ledger.HistoryEntry{
		ID: p.engine.options.NewID(), At: p.engine.options.Now(), Stream: intent.Stream, LinkID: intent.LinkID, Ref: intent.Target, Field: back.Field,
		Op: ledger.OpUpdate, Old: intent.Before[back.Field], New: intent.Sent[back.Field], Cause: intent.Cause, RunID: intent.RunID,
		WorkflowID: p.workflowID, IntentID: intent.ID,
	}
}

// holdsCount reports whether a field says a count: as a number, as text, or, of
// none, by being blank.
func holdsCount(held any, count int) bool {
	if record.IsBlank(held) {
		return count == 0
	}
	return record.Equal(record.Kind{Name: record.KindNumber}, held, json.Number(strconv.Itoa(count)))
}

// owedCounts enqueues the looks at the fields whose counts are not those that were
// last written: of a field that was added since, or after a ledger was put back. It
// is asked for at the end of a full listing.
func (l *lister) owedCounts(ctx context.Context, stream Stream) error {
	if !stream.touches() {
		return nil
	}
	points := l.in.Integration.TouchPoints
	for n := range points.WriteBacks {
		back := &points.WriteBacks[n]
		if points.LastOf(back) != stream.Spec.Name {
			continue
		}
		filter := ledger.TouchFilter{Kinds: back.Kinds, By: []ledger.Touch{ledger.TouchCustomer}}
		for cursor, last := "", false; !last; {
			items, next, err := l.engine.options.Store.CountTouchPoints(ctx, l.in.Key, filter, ledger.MaxTouchPage, cursor)
			if err != nil {
				return err
			}
			if err := l.oweSome(ctx, back, items); err != nil {
				return err
			}
			cursor, last = next, next == ""
		}
	}
	return nil
}

// oweSome enqueues those of some customers whose field was last given another count.
func (l *lister) oweSome(ctx context.Context, back *integration.WriteBack, items []ledger.TouchCount) error {
	counts, ids := map[string]int{}, make([]string, 0, len(items))
	for _, item := range items {
		if item.Customer.Side == back.Side {
			counts[item.Customer.ID] = item.Count
			ids = append(ids, item.Customer.ID)
		}
	}
	store := l.engine.options.Store
	sources, err := store.Counterparts(ctx, l.in.Key, back.Stream, back.Side, ids)
	if err != nil {
		return err
	}
	written, err := store.SeenMany(ctx, l.in.Key, back.Name, back.Side, ids)
	if err != nil {
		return err
	}
	work := ledger.Work{Change: ledger.Change{Lane: l.lane(), RunID: l.request.RunID}}
	var changes []ledger.Change
	for _, id := range ids {
		customer, linked := sources[id]
		if linked && written[id].Print != strconv.Itoa(counts[id]) {
			changes = append(changes, l.in.lookBack(back, customer, work, l.engine.options.Now()))
		}
	}
	if len(changes) == 0 {
		return nil
	}
	_, err = store.Enqueue(ctx, l.in.Key, changes, noNudge)
	l.result.Enqueued += len(changes)
	return err
}
