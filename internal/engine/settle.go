package engine

import (
	"context"
	"maps"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// settle finds out what became of writes whose outcome is unknown, by looking
// at the record now. It reports whether it changed anything: then the pass
// begins again at the top with a clean slate.
func (p *pass) settle(ctx context.Context, link ledger.Link, left, right view) (bool, error) {
	link.Base = copyBase(link.Base)
	woken := p.wakeIgnored(&link, left, right)
	if len(p.state.Intents) == 0 && !woken {
		return false, nil
	}
	var commit ledger.Commit
	fieldsOf := map[record.Side]ledger.Values{}
	for _, intent := range p.state.Intents {
		fieldsOf[intent.Target.Side] = intent.Sent
	}
	for _, intent := range p.state.Intents {
		commit.CloseIntents = append(commit.CloseIntents, intent.ID)
		if intent.Op != ledger.OpUpdate || intent.LinkID != link.ID {
			continue
		}
		now := left
		if intent.Target.Side == record.Right {
			now = right
		}
		result := p.outcomeNow(intent, now)
		if len(result.holds) == 0 && len(result.edited) == 0 {
			continue
		}
		both := map[string]bool{}
		for name := range fieldsOf[intent.Target.Side.Other()] {
			both[name] = true
		}
		side := intent.Target.Side
		for name := range intent.Sent {
			both[name] = both[name] || p.halfWritten(intent, name)
		}
		intents, confirmed := map[record.Side]ledger.Intent{side: intent}, map[record.Side]confirmation{side: result}
		p.settleBase(&link, intents, confirmed, both)
		commit.History = append(commit.History, p.historyOf(intent, result)...)
		commit.PutConflicts = append(commit.PutConflicts, p.followOwnWrites(intents, confirmed)...)
	}
	commit.PutLinks = []ledger.Link{link}
	return true, p.commit(ctx, commit)
}

// untold are the history lines of open updates to records that are gone. Nobody can
// tell any more whether they were made; what they may have replaced must be found.
func (p *pass) untold(sides ...record.Side) []ledger.HistoryEntry {
	var entries []ledger.HistoryEntry
	for _, intent := range p.state.Intents {
		if intent.Op != ledger.OpUpdate || !slices.Contains(sides, intent.Target.Side) {
			continue
		}
		entries = append(entries, p.historyOf(intent, confirmation{
			edited: slices.Collect(maps.Keys(intent.Sent)), wrote: view{record: record.Record{Ref: intent.Target}},
		})...)
	}
	return entries
}

// halfWritten reports whether an open write carried a merged set, or a person's own
// value, that its source did not hold either: the write to the source was never
// made. The base stays, so that the next plan makes it.
func (p *pass) halfWritten(intent ledger.Intent, name string) bool {
	field := p.stream.Mapping.Field(name)
	if field == nil || field.Kind().Name != record.KindSet && intent.Causes[name].Kind != ledger.CauseDecision {
		return false
	}
	left, right := intent.Sent[name], intent.From[name]
	if intent.Target.Side == record.Right {
		left, right = right, left
	}
	return !equalAcross(field, left, right, p.refs.lookup)
}

// settleCreate finds out what became of a create. It either returns the record
// that it made, or reports that it surely made none, or asks to wait.
func (p *pass) settleCreate(ctx context.Context, intent ledger.Intent) (made record.Record, found bool, err error) {
	target := intent.Target
	capabilities := p.in.Connector(target.Side).Capabilities()
	if p.keyed(intent) {
		answer, err := p.post(ctx, intent)
		return answer, err == nil, err
	}
	if path := p.stream.Spec.Marker.Of(target.Side); path != "" {
		matches, err := p.search(ctx, connector.SearchRequest{
			Object: target.Object, Path: path, Value: intent.Source.ID, Since: intent.SentAt.Add(-clockDoubt),
		}, target.Side)
		if err != nil {
			return record.Record{}, false, err
		}
		if matches, err = p.ownFruits(ctx, matches, path, intent.Source); err != nil {
			return record.Record{}, false, err
		}
		if len(matches) > 1 {
			return record.Record{}, false, fault.New(fault.Duplicate, "%d records carry the marker of this one: merge or delete all but one, then replay", len(matches)).On(intent.Source)
		}
		if len(matches) == 1 {
			return matches[0], true, nil
		}
	}
	if p.unique(intent) {
		answer, err := p.post(ctx, intent)
		return answer, err == nil, err
	}
	visible := intent.SentAt.Add(p.engine.callTime() + max(capabilities.LateBy, capabilities.SearchLag))
	if wait := visible.Sub(p.engine.options.Now()); wait > 0 {
		return record.Record{}, false, later(min(wait, settlePause), "a record created just before a crash may not be visible yet")
	}
	return record.Record{}, false, nil
}

// ownFruits keeps the records whose marker names the source of our create.
func (p *pass) ownFruits(ctx context.Context, matches []record.Record, path string, source record.Ref) ([]record.Record, error) {
	var own []record.Record
	for _, one := range matches {
		if !carries(one, path, source.ID) {
			continue
		}
		foreign, err := p.foreign(ctx, one.Ref, source)
		if err != nil {
			return nil, err
		}
		if !foreign {
			own = append(own, one)
		}
	}
	return own, nil
}

// keyed reports whether the same POST can be sent again because the server
// honours our Idempotency-Key.
func (p *pass) keyed(intent ledger.Intent) bool {
	return p.in.Connector(intent.Target.Side).Capabilities().IdempotencyKey && intent.IdempotencyKey != "" &&
		p.engine.options.Now().Sub(intent.OpenedAt) < keyLife
}

// unique reports whether the same POST cannot make a second record because the
// server keeps one of its fields unique. A user may have changed that field of
// the record it made, so the marker is searched before.
func (p *pass) unique(intent ledger.Intent) bool {
	for _, path := range p.in.Connector(intent.Target.Side).Capabilities().Unique {
		if value, ok := intent.Patch[path]; ok && !record.IsBlank(value) {
			return true
		}
	}
	return false
}

func (p *pass) search(ctx context.Context, request connector.SearchRequest, side record.Side) ([]record.Record, error) {
	var matches []record.Record
	if err := p.step("before search"); err != nil {
		return nil, err
	}
	err := p.call(ctx, side, func(ctx context.Context, to connector.Connector) error {
		var err error
		matches, err = to.Search(ctx, request)
		return err
	})
	if err != nil {
		return nil, onRef(err, p.work.Ref)
	}
	return matches, nil
}
