package engine

import (
	"context"
	"maps"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// unlinked reconciles a record without a counterpart: it finds the one that is
// already there, or creates it, or leaves the record alone.
func (p *pass) unlinked(ctx context.Context) error {
	if waits, err := p.waitsForRule(ctx); waits || err != nil {
		if err != nil {
			return err
		}
		return p.finish(ctx, ledger.Commit{})
	}
	if made, err := p.unfinishedCreate(ctx); made || err != nil {
		return err
	}
	if err := p.ownCreateFirst(ctx); err != nil {
		return err
	}
	found, ok, listed, err := p.source(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return p.finish(ctx, ledger.Commit{DropSeen: []record.Ref{p.work.Ref}, DropStream: p.work.Stream})
	}
	if found.record.Ref.ID != p.work.Ref.ID {
		// The vendor merged this record into another: that one is the record now.
		change := p.sameChange()
		change.Ref.ID = found.record.Ref.ID
		return p.finish(ctx, ledger.Commit{Enqueue: []ledger.Change{change}, PutMerges: []ledger.Merge{p.merged(p.work.Ref, change.Ref)}})
	}
	if !found.inScope {
		return p.finish(ctx, ledger.Commit{})
	}
	if p.stillParkedAlone(found) {
		return p.finishParked(ctx)
	}
	counterpart, err := p.match(ctx, found)
	if err != nil {
		return err
	}
	creates := p.creates(found)
	if counterpart == nil && creates {
		counterpart, err = p.lostCounterpart(ctx, found)
		if err != nil {
			return err
		}
	}
	if counterpart != nil && listed {
		if found, err = p.stillAsListed(ctx, found); err != nil {
			return err
		}
	}
	if counterpart != nil {
		return p.firstLink(ctx, found, *counterpart)
	}
	if !creates {
		return p.finish(ctx, ledger.Commit{})
	}
	if err := p.dependenciesKnown(ctx, ledger.Base{}, found); err != nil {
		return err
	}
	return p.create(ctx, found)
}

// stillParkedAlone is stillParked for a record without a counterpart.
func (p *pass) stillParkedAlone(found view) bool {
	for _, letter := range p.state.DeadLetters {
		if letter.State == ledger.DeadLetterOpen && letter.Reason.Code == codeRestored && letter.Ref == found.record.Ref {
			return true
		}
	}
	for _, letter := range refused(p.state) {
		if letter.Ref == found.record.Ref && letter.SourcePrint == found.print && !mayClear(letter) {
			return true
		}
	}
	return false
}

// unfinishedCreate settles a create that a crash or a lost answer left open.
func (p *pass) unfinishedCreate(ctx context.Context) (bool, error) {
	for _, intent := range p.state.Intents {
		if intent.Op != ledger.OpCreate || intent.Source != p.work.Ref {
			continue
		}
		if intent.OpenedAt.Before(p.in.Restored.AcceptedAt) {
			// What became of it is as little known as anything else since.
			p.lostCreate = true
			return false, p.commit(ctx, ledger.Commit{CloseIntents: []string{intent.ID}})
		}
		answer, found, err := p.settleCreate(ctx, intent)
		if err == nil && found {
			return true, p.linkCreated(ctx, intent, answer, nil)
		}
		if err == nil {
			return false, p.commit(ctx, ledger.Commit{CloseIntents: []string{intent.ID}})
		}
		if coded := fault.As(err); fault.Is(err, fault.Duplicate) && coded.Status != 0 {
			return true, p.refusedAgain(ctx, intent, coded)
		}
		if fault.Is(err, fault.Duplicate, fault.Invalid) && !isCrash(err) {
			if closing := p.commit(ctx, ledger.Commit{CloseIntents: []string{intent.ID}}); closing != nil {
				return false, closing
			}
		}
		return false, err
	}
	return false, nil
}

// create makes the counterpart: intent, POST with the marker, link and base.
func (p *pass) create(ctx context.Context, source view) error {
	side := source.record.Ref.Side.Other()
	intent, err := p.createIntent(source, side)
	if err != nil {
		return onRef(err, source.record.Ref)
	}
	if len(intent.Patch) == 0 {
		return p.finish(ctx, ledger.Commit{})
	}
	if err := p.commit(ctx, ledger.Commit{OpenIntents: []ledger.Intent{intent}}); err != nil {
		return err
	}
	answer, err := p.post(ctx, intent)
	if err == nil {
		return p.linkCreated(ctx, intent, answer, &source)
	}
	if isCrash(err) {
		return err
	}
	coded := fault.As(err)
	if coded != nil && coded.Code == fault.Duplicate {
		return p.duplicate(ctx, intent, coded)
	}
	if coded != nil && !coded.MaybeApplied {
		if closing := p.commit(ctx, ledger.Commit{CloseIntents: []string{intent.ID}}); closing != nil {
			return closing
		}
	}
	return err
}

// createIntent maps a whole record. Blank fields are left out, so that the
// server's own defaults apply; references without a counterpart stay unset.
func (p *pass) createIntent(source view, side record.Side) (ledger.Intent, error) {
	from := source.record.Ref.Side
	opened := p.engine.options.Now()
	intent := ledger.Intent{
		ID: p.engine.options.NewID(), Stream: p.work.Stream, Op: ledger.OpCreate,
		Source: source.record.Ref, Target: record.Ref{Side: side, Object: p.stream.object(side)},
		Sent: ledger.Values{}, From: maps.Clone(source.values), Patch: map[string]any{},
		Cause: ledger.Cause{Kind: ledger.CauseChange, Side: from, EventID: p.work.EventID},
		RunID: p.work.RunID, OpenedAt: opened, SentAt: opened,
	}
	intent.IdempotencyKey = intent.ID
	values := maps.Clone(source.values)
	maps.Copy(values, p.corrections(source.record.Ref))
	for _, field := range p.stream.Mapping.Fields() {
		name := field.Name()
		if !field.Writable(side) || record.IsBlank(values[name]) {
			continue
		}
		patch, err := field.Convert(from, values[name], p.refs.lookup)
		if noCounterpart(err) {
			continue
		}
		if err != nil {
			return ledger.Intent{}, err
		}
		maps.Copy(intent.Patch, patch)
		sent, err := field.Expected(side, record.Fields{}, patch)
		if err != nil {
			return ledger.Intent{}, err
		}
		intent.Sent[name] = sent
	}
	if path := p.stream.Spec.Marker.Of(side); path != "" && len(intent.Patch) > 0 {
		intent.Patch[path] = source.record.Ref.ID
	}
	return intent, p.refs.err()
}

// corrections are the values a person gave for a parked record.
func (p *pass) corrections(ref record.Ref) ledger.Values {
	values := ledger.Values{}
	for _, letter := range p.state.DeadLetters {
		if letter.State == ledger.DeadLetterReplayed && letter.Ref == ref {
			maps.Copy(values, letter.Overrides)
		}
	}
	return values
}

// post sends a create; the same intent may be sent again only where repeatable.
func (p *pass) post(ctx context.Context, intent ledger.Intent) (record.Record, error) {
	options := connector.WriteOptions{}
	if p.in.Connector(intent.Target.Side).Capabilities().IdempotencyKey {
		options.IdempotencyKey = intent.IdempotencyKey
	}
	if err := p.step("before create"); err != nil {
		return record.Record{}, err
	}
	var answer record.Record
	err := p.call(ctx, intent.Target.Side, func(ctx context.Context, to connector.Connector) error {
		var err error
		answer, err = to.Create(ctx, intent.Target.Object, intent.Patch, options)
		return err
	})
	if err != nil {
		return record.Record{}, onRef(err, intent.Source)
	}
	if err := p.step("after create"); err != nil || p.tellsAll(intent, answer) {
		return answer, err
	}
	// An answer with the new id and little more says nothing of what was kept.
	return p.fetchWritten(ctx, answer.Ref)
}

// linkCreated joins the source with the record that our create made. The base
// of each sent field is what each side held then; fields that were not sent
// have no common past yet and follow the first-link rules: equal ones agree at
// once. source is the record it was made from if the answer is that of the POST
// itself; a record that was found later may have been edited since, and then the
// base is what was sent.
func (p *pass) linkCreated(ctx context.Context, intent ledger.Intent, answer record.Record, source *view) error {
	direct := source != nil
	made, err := p.look(answer.Ref.Side, answer)
	if err != nil {
		return onRef(err, answer.Ref)
	}
	link := p.newLink(intent.Source, answer.Ref)
	link.Base.Unread = answer.Ref.Side
	link.Base = copyBase(link.Base)
	result := confirmation{holds: ledger.Values{}, wrote: made}
	last, corrections, unkept := p.lastWriterOfCreate(intent, answer), p.corrections(intent.Source), false
	for name, sent := range intent.Sent {
		field := p.stream.Mapping.Field(name)
		if field == nil {
			continue
		}
		target := made.values[name]
		// What another call writes was not taken by this one, however surely nobody came between.
		born := !field.Lossy(answer.Ref.Side) && !record.Equal(field.Kind(), sent, target) && p.bornOtherwise(intent, field, last)
		if born || judge(field, answer.Ref.Side, sent, target, nil, last, direct) != keptSo {
			if direct || p.bornOtherwise(intent, field, last) {
				// Nobody can have edited it before its own answer.
				p.setBase(&link, answer.Ref.Side, name, target)
				p.setBase(&link, intent.Source.Side, name, nil)
				unkept = true
				continue
			}
			target = sent
		}
		result.holds[name] = target
		if _, corrected := corrections[name]; corrected && field.Writable(intent.Source.Side) {
			// The source still holds what was refused: the next pass corrects it.
			// Where it is never written, it stays until somebody edits it there.
			continue
		}
		p.setBase(&link, answer.Ref.Side, name, target)
		p.setBase(&link, intent.Source.Side, name, intent.From[name])
	}
	if direct || last != byOthers {
		p.markWrite(&link, answer.Ref.Side, answer)
	}
	p.agreeUnsent(&link, made, intent)
	p.knows(&link, made)
	if direct {
		p.knows(&link, *source)
	}
	intent.LinkID = link.ID
	commit := ledger.Commit{
		Take: []string{ledger.RefKey(answer.Ref)}, PutLinks: []ledger.Link{link}, CloseIntents: []string{intent.ID}, History: p.historyOf(intent, result),
	}
	p.outcome = outcomeCreated
	if !direct || unkept || p.needsMore(link, made, intent) {
		// The source may have been edited while the outcome was unknown.
		again := p.sameChange()
		commit.Enqueue = append(commit.Enqueue, again)
	}
	return p.finishCreated(ctx, intent, answer.Ref, commit)
}

// finishCreated ends the pass of a create. The record that it made may be in other
// hands for a moment, as its webhook is often faster than the answer: whoever looks
// at it finds the open create and leaves it. Coming back for that later would cost
// the create, or a search for it, once more.
func (p *pass) finishCreated(ctx context.Context, intent ledger.Intent, made record.Ref, commit ledger.Commit) error {
	seen, lookedUp := p.seen, p.lookedUp
	for look := 1; ; look++ {
		if err := p.linkable(ctx, made); err != nil {
			if !fault.Is(err, fault.Duplicate) {
				return err
			}
			if closing := p.commit(ctx, ledger.Commit{CloseIntents: []string{intent.ID}}); closing != nil {
				return closing
			}
			return err
		}
		p.seen, p.lookedUp = seen, lookedUp
		err := p.finish(ctx, commit)
		if !fault.Is(err, fault.Busy) || look >= madeLooks {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(madePause):
		}
	}
}

// A record that a create has just made is tried to be had for a second.
const (
	madePause = 20 * time.Millisecond
	madeLooks = 50
)

// agreeUnsent gives the fields that were not sent a base where the new record and
// its source agree in them already: blank on both sides, as a rule. So do
// references that were left unset because they have no counterpart: they are
// filled in when they get one, and until then an edit of the new record is an edit
// like any other.
func (p *pass) agreeUnsent(link *ledger.Link, made view, intent ledger.Intent) {
	for _, field := range p.stream.Mapping.Fields() {
		name := field.Name()
		if _, sent := intent.Sent[name]; sent {
			continue
		}
		from, to := intent.From[name], made.values[name]
		left, right := from, to
		if made.record.Ref.Side == record.Left {
			left, right = to, from
		}
		unset := field.Kind().Name == record.KindRef && !record.IsBlank(from) && record.IsBlank(to)
		if unset || equalAcross(field, left, right, p.refs.lookup) {
			p.setBase(link, record.Left, name, left)
			p.setBase(link, record.Right, name, right)
		}
	}
}

// needsMore reports whether the new record differs from its source in a field
// without a base: a default of the server, a correction, a field of the other
// direction.
func (p *pass) needsMore(link ledger.Link, made view, intent ledger.Intent) bool {
	for _, field := range p.stream.Mapping.Fields() {
		name := field.Name()
		left, right := intent.From[name], made.values[name]
		if dangling(field, intent.Source.Side, left, p.refs.lookup) && record.IsBlank(right) {
			continue
		}
		if made.record.Ref.Side == record.Left {
			left, right = right, left
		}
		if _, settled := link.Base.Left[name]; !settled && !equalAcross(field, left, right, p.refs.lookup) {
			return true
		}
	}
	return false
}
