package engine

import (
	"context"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// unseen are the events that the rule has not fired for.
func unseen(rule integration.Rule, book ledger.RuleBook) []string {
	if rule.Once != integration.OnceEvent {
		return nil
	}
	var ids []string
	for _, event := range book.Events {
		if !event.Known {
			ids = append(ids, event.ID)
		}
	}
	return ids
}

// eventsOf are the kept events of the record, for a commit that forgets them.
func (p *pass) eventsOf(book ledger.RuleBook) []ledger.Change {
	events := make([]ledger.Change, 0, len(book.Events))
	for _, event := range book.Events {
		events = append(events, ledger.Change{Stream: p.work.Stream, Ref: p.work.Ref, EventID: event.ID})
	}
	return events
}

// occur names the times that the rule fires now for a record as it is.
func occur(rule integration.Rule, found view, book ledger.RuleBook, match ledger.Match) []string {
	turn := strconv.Itoa(match.Turn + 1)
	switch {
	case !found.inScope:
		return nil
	case rule.Once == integration.OnceEvent:
		ids := unseen(rule, book)
		for n := range ids {
			ids[n] = ledger.EventOccurrence(ids[n])
		}
		return ids
	case rule.Once == integration.OnceRecord && match.Turn == 0 && !match.Matching:
		return []string{integration.OnceRecord}
	case rule.Once == integration.OnceVersion && (!match.Matching || match.Print != found.print):
		return []string{"version:" + turn}
	case rule.Once == integration.OnceMatch && !match.Matching:
		return []string{"match:" + turn}
	}
	return nil
}

// handOver ends the look at a record that the vendor merged into another: what was
// decided for it and is not done, and the events that were not seen, are that one's.
func (p *pass) handOver(ctx context.Context, survivor record.Ref, book ledger.RuleBook) error {
	seen := p.seen
	err := p.finish(ctx, p.handedOver(survivor, book, false))
	if fault.Is(err, fault.Conflict) {
		// The event was told of both of them, and the rule has fired for both.
		p.seen = seen
		err = p.finish(ctx, p.handedOver(survivor, book, true))
	}
	return err
}

// handedOver is the commit of handOver. Firings for an event keep its name, so that the
// event is no news when it comes again; the names of others would not be unique any more.
func (p *pass) handedOver(survivor record.Ref, book ledger.RuleBook, apart bool) ledger.Commit {
	commit := p.mergedInto(survivor)
	commit.DropEvents = p.eventsOf(book)
	for _, event := range book.Events {
		if !event.Known {
			commit.Enqueue = append(commit.Enqueue, ledger.Change{
				Stream: p.work.Stream, Ref: survivor, Lane: p.work.Lane, EventID: event.ID, KeepEvent: true, Trace: p.work.Trace,
			})
		}
	}
	if len(book.Events) == ledger.MaxRuleEvents {
		// There may be more of them than are read at once.
		commit.Enqueue = append(commit.Enqueue, p.sameChange())
	}
	for _, firing := range book.Waiting {
		if apart || !strings.HasPrefix(firing.Occurrence, ledger.EventOccurrence("")) {
			firing.Occurrence += " of " + p.work.Ref.ID
		}
		firing.Ref = survivor
		commit.PutFirings = append(commit.PutFirings, firing)
	}
	if book.Match != nil && book.Match.Matching {
		match := *book.Match
		match.Matching, match.Print = false, ""
		commit.PutMatches = []ledger.Match{match}
	}
	return commit
}
