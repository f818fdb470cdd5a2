package engine

import (
	"context"
	"maps"
	"slices"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
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
			edited: slices.Collect(maps.Keys(intent.Sent)), wrote: record.Record{Ref: intent.Target},
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

// outcomeNow judges an update by the record as it is now. Between the write and
// now users may have edited: a value other than the one sent is ours only if it
// is a reduction of it and the version or the time leaves room for nobody else.
// The value of before means that the write never happened, or that a user
// restored it: see restored.
func (p *pass) outcomeNow(intent ledger.Intent, now view) confirmation {
	side := intent.Target.Side
	result := confirmation{holds: ledger.Values{}, wrote: now.record}
	last := p.lastWriter(intent, now.record)
	proven, moved := p.happened(intent, now), intent.ReadOthers != "" && intent.ReadOthers != othersPrint(now.values, intent.Sent)
	if last == byOurs && moved {
		// The one write since the read changed what ours does not touch: it was a user's.
		last = byOthers
	}
	var same []string
	for name, sent := range intent.Sent {
		field := p.stream.Mapping.Field(name)
		if field == nil {
			continue
		}
		got, before := now.values[name], intent.Before[name]
		asBefore := record.Equal(field.Kind(), got, before)
		switch {
		case record.Equal(field.Kind(), sent, got):
			result.holds[name] = got
		case asBefore && untouched(intent, now.record):
		case asBefore && moved && !proven:
			// A user's edit of other fields explains the touch; what stands here may be
			// the beginning of what we sent without having come from us.
			same = append(same, name)
		case ownLater(field, side, sent, got, asBefore, last):
			result.holds[name] = got
		case asBefore:
			same = append(same, name)
		default:
			result.edited = append(result.edited, name)
		}
	}
	if last == byOurs && !proven {
		// Written once since, and nothing of it is ours: it was somebody else, and
		// our write, bound to the version before, can never have been applied.
		result.edited = nil
	}
	result.ownTime = last != byOthers && len(result.edited)+len(same) == 0
	if last != byOurs && restored(intent, now, proven, len(result.edited) > 0) {
		for _, name := range same {
			// It stood there before a user put the old value back.
			result.holds[name] = intent.Sent[name]
		}
	}
	if arrived(intent, now, proven) {
		for _, name := range result.edited {
			// A user changed what our write had put there.
			result.holds[name] = intent.Sent[name]
		}
	}
	slices.Sort(result.edited)
	return result
}

// happened reports whether a field of an update shows that it was made.
func (p *pass) happened(intent ledger.Intent, now view) bool {
	for name, sent := range intent.Sent {
		field := p.stream.Mapping.Field(name)
		if field != nil && record.Equal(field.Kind(), sent, now.values[name]) && !record.Equal(field.Kind(), intent.Before[name], now.values[name]) {
			return true
		}
	}
	return false
}

// arrived reports whether a write whose value was changed since did reach its
// server: another field of it is there, or the version moved on by more than
// the changes which can be seen.
func arrived(intent ledger.Intent, now view, proven bool) bool {
	from, ok := number(intent.IfMatch)
	to, known := number(now.record.Version)
	if proven || !ok || !known {
		return proven
	}
	edits := int64(1)
	if intent.ReadOthers != othersPrint(now.values, intent.Sent) {
		edits++
	}
	return to-from > edits
}

// restored tells a user who put the old value back after our write from a write
// that never happened, on a record that was touched since. If another field of
// the write is there, the write happened. Else a change of another field
// explains the touch, and the write is made again; without one, the old value
// itself is what a user set.
func restored(intent ledger.Intent, now view, proven, edited bool) bool {
	if untouched(intent, now.record) {
		return false
	}
	return proven || !edited && intent.ReadOthers == othersPrint(now.values, intent.Sent)
}

// ownLater reports whether a value found some time after our write is still
// ours: a reduction of what was sent, on a field declared lossy, or under a
// version or a time that leaves room for nobody else. A blank is a reduction
// only where it is proven: clearing is an edit. So is the value of before.
func ownLater(field *mapping.Field, side record.Side, sent, got any, asBefore bool, last writer) bool {
	if !reduced(sent, got) {
		return false
	}
	if record.IsBlank(got) && last != byOurs {
		return false
	}
	if _, list := sent.([]any); list {
		// A shorter list is what people make by taking an element away.
		return false
	}
	proven := field.Lossy(side) || last == byOurs
	if asBefore || !proven {
		return !record.IsBlank(got) && last != byOthers
	}
	return true
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

// carries reports whether a record's marker field holds id.
func carries(found record.Record, path, id string) bool {
	value, _ := found.Fields.Get(path)
	text, _ := record.Canon(record.Kind{Name: record.KindRef}, value).(string)
	return text == id
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
