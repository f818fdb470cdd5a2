package engine

import (
	"context"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// gone handles a link of which at least one side answered "no such record". A
// delete is believed after two such answers, verify_after apart, while another
// known record of that side still answers.
func (p *pass) gone(ctx context.Context, link ledger.Link, left, right half) error {
	side := record.Left
	if !left.gone {
		side = record.Right
	}
	verified, err := p.verified(ctx, link, side)
	if err != nil || !verified {
		return err
	}
	if left.gone && right.gone {
		// Each side is doubted for itself: one may only be blind.
		if verified, err = p.othersAnswer(ctx, link, side.Other()); err != nil || !verified {
			return err
		}
		return p.bury(ctx, link, ledger.Commit{CloseIntents: p.openIntents(), History: append(p.deletes(), p.untold(record.Left, record.Right)...)}, outcomeDeleted)
	}
	survivor := left.view
	if left.gone {
		survivor = right.view
	}
	if survivor.record.Ref.ID != link.Ref(side.Other()).ID {
		// What answers is another record, into which the vendor merged ours: the
		// pair is over, and that record is not ours to delete.
		merges := []ledger.Merge{p.merged(link.Ref(side.Other()), survivor.record.Ref)}
		return p.bury(ctx, link, ledger.Commit{CloseIntents: p.openIntents(), History: p.untold(record.Left, record.Right), PutMerges: merges}, outcomeDeleted)
	}
	if len(p.state.Intents) > 0 {
		return p.settleGone(ctx, link, side, survivor)
	}
	return p.survive(ctx, link, side, survivor)
}

// verified takes the first "not found" down, and checks the second one. A record
// that we have just made, and nobody has read since, may only be late, unless the
// vendor says that it was deleted.
func (p *pass) verified(ctx context.Context, link ledger.Link, side record.Side) (bool, error) {
	now := p.engine.options.Now()
	wait := p.stream.Spec.Deletes.VerifyAfter
	if told := p.work.Deleted && p.work.Ref == link.Ref(side); link.Base.Unread == side && !told {
		visible := link.CreatedAt.Add(p.in.Connector(side).Capabilities().LateBy + p.engine.callTime())
		if left := visible.Sub(now); left > 0 {
			return false, later(min(left, settlePause), "a record made just now may not be visible yet")
		}
	}
	if link.GoneSide != side {
		link.GoneSide, link.GoneAt, link.Base.Unread = side, now, ""
		if err := p.commit(ctx, ledger.Commit{PutLinks: []ledger.Link{link}}); err != nil {
			return false, err
		}
		return false, later(wait, "a delete is verified by a second look")
	}
	if left := link.GoneAt.Add(wait).Sub(now); left > 0 {
		return false, later(left, "a delete is verified by a second look")
	}
	return p.othersAnswer(ctx, link, side)
}

const (
	// controls is how many other records are asked before a delete is doubted.
	controls = 10
	// listedControls is how many records of its listing a server is asked for by id.
	listedControls = 3
	// controlPages bounds the search for a record in its listing.
	controlPages = 20
)

// othersAnswer makes sure that the side still knows other records: a server
// that answers 404 for everything deletes nothing. Controls that are not found
// either are looked at themselves: they may be deleted too.
func (p *pass) othersAnswer(ctx context.Context, link ledger.Link, side record.Side) (bool, error) {
	ids, err := p.store().SomeLinked(ctx, p.key(), p.work.Stream, side, link.Ref(side).ID, controls)
	if err != nil {
		return false, err
	}
	return p.controlled(ctx, link.Ref(side), ids)
}

// controlled makes sure of the same for one record by others of its collection.
func (p *pass) controlled(ctx context.Context, gone record.Ref, ids []string) (bool, error) {
	var missing []ledger.Change
	for _, id := range ids {
		ref := record.Ref{Side: gone.Side, Object: gone.Object, ID: id}
		_, err := p.fetch(ctx, ref)
		switch {
		case err == nil || fault.Is(err, fault.Invalid):
			return true, p.lookAt(ctx, missing)
		case fault.Is(err, fault.Gone):
			missing = append(missing, ledger.Change{Stream: p.work.Stream, Ref: ref, Lane: p.work.Lane})
		case !fault.Is(err, fault.Forbidden):
			return false, err
		}
	}
	if err := p.lookAt(ctx, missing); err != nil {
		return false, err
	}
	listed, others, err := p.inListing(ctx, gone)
	if err != nil {
		return false, err
	}
	if !listed && len(others) == 0 && len(ids) == 0 {
		return true, nil // it was the last one
	}
	if !listed {
		if finds, err := p.findsAny(ctx, others); err != nil || finds {
			return finds, err
		}
	}
	return false, fault.New(fault.Transient, "the server does not find it by its id, and does not behave as if it were deleted: it is not believed").On(gone)
}

// findsAny reports whether the server finds by its id what it lists itself: one that
// does not finds nothing by an id, and its "no such record" says nothing.
func (p *pass) findsAny(ctx context.Context, listed []record.Ref) (bool, error) {
	for _, ref := range listed {
		_, err := p.fetch(ctx, ref)
		switch {
		case err == nil || fault.Is(err, fault.Invalid):
			return true, nil
		case !fault.Is(err, fault.Gone, fault.Forbidden):
			return false, err
		}
	}
	return false, nil
}

func (p *pass) lookAt(ctx context.Context, changes []ledger.Change) error {
	if len(changes) == 0 {
		return nil
	}
	return p.commit(ctx, ledger.Commit{Enqueue: changes})
}

// inListing reports whether the collection's listing shows the record, and some
// others that it shows.
func (p *pass) inListing(ctx context.Context, ref record.Ref) (listed bool, others []record.Ref, err error) {
	other := func(id string) {
		if id != ref.ID && len(others) < listedControls {
			others = append(others, record.Ref{Side: ref.Side, Object: ref.Object, ID: id})
		}
	}
	request := connector.ListRequest{Object: ref.Object}
	for range controlPages {
		var page connector.Page
		err := p.call(ctx, ref.Side, func(ctx context.Context, to connector.Connector) error {
			var err error
			page, err = to.List(ctx, request)
			return err
		})
		if err != nil {
			return false, nil, onRef(err, ref)
		}
		for _, found := range page.Records {
			listed = listed || found.Ref.ID == ref.ID
			other(found.Ref.ID)
		}
		for _, unread := range page.Unread {
			listed = listed || unread.ID == ref.ID
			other(unread.ID)
		}
		for _, bad := range page.Bad {
			// A row that cannot be read may be this record's.
			listed = listed || bad.ID == ref.ID || bad.ID == ""
		}
		if listed || page.Next == "" {
			break
		}
		request.Cursor = page.Next
	}
	return listed, others, nil
}

// settleGone ends intents on a link whose record is gone. An own delete that
// went through is finished as such; what became of our writes on the survivor
// is found out first, so that they are not taken for a user's edits.
func (p *pass) settleGone(ctx context.Context, link ledger.Link, side record.Side, survivor view) error {
	commit := ledger.Commit{CloseIntents: p.openIntents(), History: p.untold(side)}
	link.Base = copyBase(link.Base)
	for _, intent := range p.state.Intents {
		if intent.Op == ledger.OpDelete && intent.Target.Side == side {
			commit.History = append(commit.History, p.deletes()...)
			return p.bury(ctx, link, commit, outcomeDeleted)
		}
		if intent.Op != ledger.OpUpdate || intent.Target.Side == side {
			continue
		}
		alive := side.Other()
		result := p.outcomeNow(intent, survivor)
		intents, confirmed := map[record.Side]ledger.Intent{alive: intent}, map[record.Side]confirmation{alive: result}
		p.settleBase(&link, intents, confirmed, map[string]bool{})
		commit.History = append(commit.History, p.historyOf(intent, result)...)
	}
	commit.PutLinks = []ledger.Link{link}
	if err := p.commit(ctx, commit); err != nil {
		return err
	}
	return errAgain
}

// survive applies the delete policy to the record that is left.
func (p *pass) survive(ctx context.Context, link ledger.Link, goneSide record.Side, survivor view) error {
	alive := goneSide.Other()
	if p.stream.Spec.Deletes.Policy != "propagate" || !p.stream.writes(alive) || p.stream.matchOnly() {
		return p.detach(ctx, link)
	}
	if choice := p.deleteChoice(goneSide); choice != "" {
		if choice == goneSide {
			return p.remove(ctx, link, survivor, ledger.CauseDecision)
		}
		return p.recreate(ctx, link, goneSide)
	}
	if !p.edited(link, alive, survivor) {
		return p.remove(ctx, link, survivor, ledger.CauseChange)
	}
	switch p.stream.Spec.Deletes.Edited {
	case "delete":
		return p.remove(ctx, link, survivor, ledger.CausePolicy)
	case "recreate":
		return p.recreate(ctx, link, goneSide)
	}
	return p.keepAndFlag(ctx, link, goneSide, survivor)
}

// edited reports whether the survivor differs from what both sides agreed on.
func (p *pass) edited(link ledger.Link, side record.Side, survivor view) bool {
	if link.Base.Doubtful && p.touchedSince(survivor) {
		// By a user or by a write that the ledger has lost: nobody knows.
		return true
	}
	base := link.Base.Of(side)
	for _, field := range p.stream.Mapping.Fields() {
		value := survivor.values[field.Name()]
		known, settled := base[field.Name()]
		switch {
		case settled && changed(field, value, known):
			return true
		case !settled && !record.IsBlank(value) && !dangling(field, side, value, p.refs.lookup):
			return true
		}
	}
	return false
}

// deleteChoice returns the side that an operator chose in a delete conflict.
func (p *pass) deleteChoice(goneSide record.Side) record.Side {
	for _, conflict := range p.state.Conflicts {
		if conflict.Field != "" || conflict.State != ledger.ConflictDecided || conflict.Decision == nil {
			continue
		}
		switch conflict.Decision.Choose {
		case ledger.ChooseLeft:
			return record.Left
		case ledger.ChooseRight:
			return record.Right
		case ledger.ChooseValue:
			return goneSide.Other()
		}
	}
	return ""
}

// remove deletes the survivor, if the guard lets it pass. The image of the whole
// record is kept in the intent, and goes into the history when it is gone.
func (p *pass) remove(ctx context.Context, link ledger.Link, survivor view, cause ledger.CauseKind) error {
	passed, err := p.guardDelete(ctx, &link, survivor.record.Ref)
	if err != nil || !passed {
		return err
	}
	intent := ledger.Intent{
		ID: p.engine.options.NewID(), Stream: p.work.Stream, Op: ledger.OpDelete, LinkID: link.ID,
		Source: link.Ref(survivor.record.Ref.Side.Other()), Target: survivor.record.Ref, Before: ledger.Values(survivor.record.Fields),
		Cause: ledger.Cause{Kind: cause, Side: survivor.record.Ref.Side.Other(), EventID: p.work.EventID},
		RunID: p.work.RunID, OpenedAt: p.engine.options.Now(), SentAt: p.engine.options.Now(),
	}
	if err := p.commit(ctx, ledger.Commit{PutLinks: []ledger.Link{link}, OpenIntents: []ledger.Intent{intent}}); err != nil {
		return err
	}
	if err := p.step("before delete"); err != nil {
		return err
	}
	options := connector.WriteOptions{IfMatch: p.ifMatch(intent.Target.Side, survivor.record)}
	err = p.call(ctx, intent.Target.Side, func(ctx context.Context, to connector.Connector) error {
		return to.Delete(ctx, intent.Target.Object, intent.Target.ID, options)
	})
	if err != nil {
		return p.notDeleted(ctx, intent, err)
	}
	if err := p.step("after delete"); err != nil {
		return err
	}
	return p.bury(ctx, link, ledger.Commit{CloseIntents: []string{intent.ID}, History: []ledger.HistoryEntry{p.deleted(intent)}}, outcomeDeleted)
}

// deletes are the history of own deletes that turned out to be done.
func (p *pass) deletes() []ledger.HistoryEntry {
	var entries []ledger.HistoryEntry
	for _, intent := range p.state.Intents {
		if intent.Op == ledger.OpDelete {
			entries = append(entries, p.deleted(intent))
		}
	}
	return entries
}

func (p *pass) deleted(intent ledger.Intent) ledger.HistoryEntry {
	return ledger.HistoryEntry{
		ID: p.engine.options.NewID(), At: p.engine.options.Now(), Stream: intent.Stream, LinkID: intent.LinkID, Ref: intent.Target,
		Op: ledger.OpDelete, Old: map[string]any(intent.Before), Cause: intent.Cause, RunID: intent.RunID,
		WorkflowID: p.workflowID, IntentID: intent.ID,
	}
}

func (p *pass) notDeleted(ctx context.Context, intent ledger.Intent, cause error) error {
	if coded := fault.As(cause); isCrash(cause) || coded == nil || coded.MaybeApplied {
		return cause
	}
	if err := p.commit(ctx, ledger.Commit{CloseIntents: []string{intent.ID}}); err != nil {
		return err
	}
	return onRef(cause, intent.Target)
}

// bury turns a link into a tombstone: both ids stay known, so that nothing
// comes back however late an event arrives.
func (p *pass) bury(ctx context.Context, link ledger.Link, commit ledger.Commit, outcome string) error {
	link.Flagged = false
	link.State, link.UpdatedAt = ledger.LinkTombstone, p.engine.options.Now().UTC().Truncate(time.Microsecond)
	return p.endLink(ctx, link, commit, outcome)
}

// detach unlinks a pair for good.
func (p *pass) detach(ctx context.Context, link ledger.Link) error {
	link.State, link.UpdatedAt = ledger.LinkDetached, p.engine.options.Now().UTC().Truncate(time.Microsecond)
	return p.endLink(ctx, link, ledger.Commit{}, outcomeUnchanged)
}

func (p *pass) endLink(ctx context.Context, link ledger.Link, commit ledger.Commit, outcome string) error {
	commit.PutLinks = append(commit.PutLinks, link)
	commit.DropStream = p.work.Stream
	commit.PutConflicts = append(commit.PutConflicts, p.closeAll("gone")...)
	twins, err := p.twinsOf(ctx, link)
	if err != nil {
		return err
	}
	commit.Enqueue = append(commit.Enqueue, twins...)
	if link.State == ledger.LinkTombstone {
		commit.DropSeen = append(commit.DropSeen, link.Left, link.Right)
		p.seen = nil
	}
	for _, held := range p.state.Held {
		if held.State == ledger.HeldWaiting || held.State == ledger.HeldApproved {
			held.State = ledger.HeldDone
			commit.PutHeld = append(commit.PutHeld, held)
		}
	}
	p.outcome = outcome
	return p.finish(ctx, commit)
}
