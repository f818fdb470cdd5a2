package sqlstore

import (
	"context"
	"strconv"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Load implements ledger.Records.
func (s *Store) Load(ctx context.Context, key ledger.Key, stream string, ref record.Ref) (ledger.State, error) {
	states, err := s.LoadMany(ctx, key, stream, ref.Side, []string{ref.ID})
	return states[ref.ID], err
}

// LoadMany implements ledger.Records. Every id asked for is in the map; an
// unknown one has an empty state.
func (s *Store) LoadMany(ctx context.Context, key ledger.Key, stream string, side record.Side, ids []string) (map[string]ledger.State, error) {
	if !side.Valid() {
		return nil, fault.New(fault.Usage, "a side is left or right, not %q", string(side))
	}
	states := make(map[string]ledger.State, len(ids))
	err := s.read(ctx, func(t *txn) error {
		return chunks(sortedKeys(ids, nil), func(part []string) error {
			loaded := loading{t: t, key: key, stream: stream, side: side, states: map[string]*ledger.State{}}
			for _, id := range part {
				loaded.states[id] = &ledger.State{}
			}
			if err := loaded.load(part); err != nil {
				return err
			}
			for id, state := range loaded.states {
				states[id] = *state
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

// loading gathers the states of some ids of one side.
type loading struct {
	t      *txn
	key    ledger.Key
	stream string
	side   record.Side
	states map[string]*ledger.State
	// byLink and byOther find the state by link id and by counterpart id.
	byLink, byOther map[string]*ledger.State
}

func (l *loading) load(ids []string) error {
	l.byLink, l.byOther = map[string]*ledger.State{}, map[string]*ledger.State{}
	if err := l.links(ids); err != nil {
		return err
	}
	if err := l.tombstones(ids); err != nil {
		return err
	}
	if err := l.intents(ids); err != nil {
		return err
	}
	if err := l.deadLetters(ids); err != nil {
		return err
	}
	linkIDs := make([]string, 0, len(l.byLink))
	for id := range l.byLink {
		linkIDs = append(linkIDs, id)
	}
	if len(linkIDs) == 0 {
		return nil
	}
	if err := l.conflicts(linkIDs); err != nil {
		return err
	}
	return l.held(linkIDs)
}

func (l *loading) links(ids []string) error {
	in, args := inList([]any{l.key.Tenant, l.key.Connection, l.stream}, ids)
	found, err := l.t.selectLinks(l.key, "stream = $3 AND state <> 'tombstone' AND "+string(l.side)+"_id IN "+in, args[2:]...)
	for _, link := range found {
		state := l.states[link.Ref(l.side).ID]
		state.Link = &link
		l.byLink[link.ID] = state
		l.byOther[link.Ref(l.side.Other()).ID] = state
	}
	return err
}

func (l *loading) tombstones(ids []string) error {
	var unlinked []string
	for _, id := range ids {
		if l.states[id].Link == nil {
			unlinked = append(unlinked, id)
		}
	}
	if len(unlinked) == 0 {
		return nil
	}
	in, args := inList([]any{l.key.Tenant, l.key.Connection, l.stream}, unlinked)
	// The newest comes last and stays.
	found, err := l.t.selectLinks(l.key, "stream = $3 AND state = 'tombstone' AND "+string(l.side)+"_id IN "+in+" ORDER BY updated_at, id", args[2:]...)
	for _, link := range found {
		l.states[link.Ref(l.side).ID].Tombstone = &link
	}
	return err
}

// CreatesUnderWay implements ledger.Records.
func (s *Store) CreatesUnderWay(ctx context.Context, key ledger.Key, stream string, side record.Side, at time.Time) (bool, error) {
	var found bool
	err := s.read(ctx, func(t *txn) error {
		var one int64
		var err error
		found, err = t.row(`SELECT 1 FROM intents WHERE tenant_id = $1 AND connection_id = $2 AND target_id = '' AND target_side = $3
			AND stream = $4 AND opened_at <= $5 LIMIT 1`, []any{key.Tenant, key.Connection, string(side), stream, micros(at)}, &one)
		return err
	})
	return found, err
}

// intents finds the open ones of the links and of the records themselves.
func (l *loading) intents(ids []string) error {
	in, args := inList([]any{l.key.Tenant, l.key.Connection, l.stream, string(l.side)}, ids)
	condition := "(source_side = $4 AND source_id IN " + in + ") OR (target_side = $4 AND target_id IN " + in + ")"
	if len(l.byLink) > 0 {
		linkIDs := make([]string, 0, len(l.byLink))
		for id := range l.byLink {
			linkIDs = append(linkIDs, id)
		}
		in, args = inList(args, linkIDs)
		condition += " OR link_id IN " + in
	}
	return l.t.rows(`SELECT id, source_side, source_id, target_side, target_id, link_id, body FROM intents
		WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND (`+condition+`) ORDER BY opened_at, id`, args,
		func(scan func(...any) error) error {
			var id, linkID string
			var source, target record.Ref
			var body []byte
			if err := scan(&id, &source.Side, &source.ID, &target.Side, &target.ID, &linkID, &body); err != nil {
				return err
			}
			var intent ledger.Intent
			if err := l.t.s.box.openJSON(body, place("intents", l.key.Tenant, id), &intent); err != nil {
				return err
			}
			for _, state := range l.owners(linkID, source, target) {
				state.Intents = append(state.Intents, intent)
			}
			return nil
		})
}

// owners are the states an intent belongs to, each once.
func (l *loading) owners(linkID string, refs ...record.Ref) []*ledger.State {
	var owners []*ledger.State
	add := func(state *ledger.State) {
		for _, known := range owners {
			if known == state {
				return
			}
		}
		owners = append(owners, state)
	}
	if state, ok := l.byLink[linkID]; ok {
		add(state)
	}
	for _, ref := range refs {
		if state, ok := l.states[ref.ID]; ok && ref.Side == l.side {
			add(state)
		}
	}
	return owners
}

func (l *loading) conflicts(linkIDs []string) error {
	in, args := inList([]any{nil, nil}, linkIDs)
	found, err := l.t.selectConflicts(l.key, "state IN ('open', 'decided') AND link_id IN "+in+" ORDER BY opened_at, id", args[2:]...)
	for _, conflict := range found {
		state := l.byLink[conflict.LinkID]
		state.Conflicts = append(state.Conflicts, conflict)
	}
	return err
}

func (l *loading) held(linkIDs []string) error {
	in, args := inList([]any{nil, nil}, linkIDs)
	found, err := l.t.selectHeld(l.key, "state IN ('held', 'approved', 'rejected') AND link_id IN "+in+" ORDER BY since, id", args[2:]...)
	for _, held := range found {
		state := l.byLink[held.LinkID]
		state.Held = append(state.Held, held)
	}
	return err
}

// deadLetters finds the open, replayed and discarded ones of the records and of their counterparts.
func (l *loading) deadLetters(ids []string) error {
	find := func(side record.Side, ids []string, states map[string]*ledger.State) error {
		if len(ids) == 0 {
			return nil
		}
		// The key takes $1 and $2.
		in, args := inList([]any{nil, nil, l.stream, string(side)}, ids)
		found, err := l.t.selectDeadLetters(l.key, "stream = $3 AND side = $4 AND state IN ('open', 'replayed', 'discarded') AND record_id IN "+in+" ORDER BY first_at, id", args[2:]...)
		for _, letter := range found {
			state := states[letter.Ref.ID]
			if letter.State == ledger.DeadLetterDiscarded {
				state.Discarded = append(state.Discarded, letter)
				continue
			}
			state.DeadLetters = append(state.DeadLetters, letter)
		}
		return err
	}
	if err := find(l.side, ids, l.states); err != nil {
		return err
	}
	others := make([]string, 0, len(l.byOther))
	for id := range l.byOther {
		others = append(others, id)
	}
	return find(l.side.Other(), others, l.byOther)
}
