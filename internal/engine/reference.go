package engine

import (
	"slices"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// dangling reports whether a reference is blank or has no counterpart yet: such
// a field stays unset and asks for nothing.
func dangling(field *mapping.Field, side record.Side, value any, refs mapping.Resolver) bool {
	if field.Kind().Name != record.KindRef {
		return false
	}
	if record.IsBlank(value) {
		return true
	}
	id, _ := record.Canon(field.Kind(), value).(string)
	_, known := refs(field.Kind().Stream, side, id)
	return !known
}

// turnedUp reports whether a reference that was left unset for want of a
// counterpart can be translated by now: then it is filled like at a first link.
func turnedUp(field *mapping.Field, now pair) bool {
	name := field.Name()
	for _, side := range record.Sides() {
		base, other := now.base.Of(side)[name], now.base.Of(side.Other())[name]
		if !changed(field, now.of(side).values[name], base) && !changed(field, now.of(side.Other()).values[name], other) &&
			appeared(field, side, base, other, now.refs) {
			return true
		}
	}
	return false
}

// appeared reports whether the base of a side is a reference which the other
// side's does not hold although it has a counterpart there now.
func appeared(field *mapping.Field, side record.Side, base, other any, refs mapping.Resolver) bool {
	if field.Kind().Name != record.KindRef || record.IsBlank(base) || !record.IsBlank(other) {
		return false
	}
	to := side.Other()
	return field.Writable(to) && !field.Lossy(to) && !dangling(field, side, base, refs)
}

// prepare translates what the references of a listed page point to, one question
// for each stream and side instead of one for each id.
func (r *resolver) prepare(stream Stream, side record.Side, records []record.Record, states map[string]ledger.State) error {
	asked := map[string]map[record.Side][]string{}
	for _, field := range stream.Mapping.Fields() {
		kind := field.Kind()
		if kind.Name != record.KindRef {
			continue
		}
		if asked[kind.Stream] == nil {
			asked[kind.Stream] = map[record.Side][]string{}
		}
		ask := func(side record.Side, value any) {
			if id, _ := record.Canon(kind, value).(string); id != "" {
				asked[kind.Stream][side] = append(asked[kind.Stream][side], id)
			}
		}
		for _, found := range records {
			if raw, _, err := field.Read(side, found.Fields); err == nil {
				ask(side, raw)
			}
			if link := states[found.Ref.ID].Link; link != nil {
				ask(side.Other(), link.Base.Of(side.Other())[field.Name()])
			}
		}
	}
	for name, sides := range asked {
		for side, ids := range sides {
			if err := r.learn(name, side, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

// learn translates many ids of a stream and side at once.
func (r *resolver) learn(stream string, from record.Side, ids []string) error {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	found, err := r.store.Counterparts(r.ctx, r.key, stream, from, ids)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		r.known[memoOf(stream, from, id)] = found[id]
	}
	return nil
}

func memoOf(stream string, from record.Side, id string) string {
	return stream + "/" + string(from) + "/" + id
}

// strayed reports whether only one side's reference still leads to a pair, while
// neither was edited: the other's was deleted and made anew, or merged away. The
// side returned is the one that knows.
func strayed(field *mapping.Field, now pair) (source record.Side, ok bool) {
	name := field.Name()
	for _, side := range record.Sides() {
		base, known := now.base.Of(side)[name]
		if !known || changed(field, now.of(side).values[name], base) {
			return "", false
		}
	}
	for _, side := range record.Sides() {
		if strayedFrom(field, side, now.base, now.refs) {
			return side, true
		}
	}
	return "", false
}

// strayedFrom reports whether the base of a side leads to a pair, and that of
// the other side to none although it is not blank.
func strayedFrom(field *mapping.Field, side record.Side, base ledger.Base, refs mapping.Resolver) bool {
	own, other := base.Of(side)[field.Name()], base.Of(side.Other())[field.Name()]
	if field.Kind().Name != record.KindRef || record.IsBlank(own) || record.IsBlank(other) || !field.Writable(side.Other()) || field.Lossy(side.Other()) {
		return false
	}
	return dangling(field, side.Other(), other, refs) && !dangling(field, side, own, refs)
}

// unsettled reports whether a reference asks for a write although its side
// holds what it held: it has a counterpart by now, or only one of the two has.
func unsettled(field *mapping.Field, side record.Side, base ledger.Base, refs mapping.Resolver) bool {
	name := field.Name()
	return appeared(field, side, base.Of(side)[name], base.Of(side.Other())[name], refs) || strayedFrom(field, side, base, refs)
}
