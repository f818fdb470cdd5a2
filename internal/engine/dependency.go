package engine

import (
	"context"
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/record"
)

// A record waits for one that it refers to and that may get a counterpart soon:
// at most so many looks, each pause twice as long as the one before. It is woken
// earlier, when that counterpart is there (see wake).
const (
	dependencyLooks = 4
	dependencyWait  = time.Second
)

// openReference is a value that names a record without a counterpart.
type openReference struct {
	field *mapping.Field
	of    view
	id    string
}

func (r openReference) side() record.Side { return r.of.record.Ref.Side }

// openReferences lists what the references of the views point to in vain.
func (p *pass) openReferences(refs mapping.Resolver, views ...view) []openReference {
	var open []openReference
	for _, field := range p.stream.Mapping.Fields() {
		if field.Kind().Name != record.KindRef {
			continue
		}
		for _, v := range views {
			value := v.values[field.Name()]
			id, _ := record.Canon(field.Kind(), value).(string)
			if id != "" && dangling(field, v.record.Ref.Side, value, refs) {
				open = append(open, openReference{field: field, of: v, id: id})
			}
		}
	}
	return open
}

// dependenciesKnown sees to references without a counterpart. The record is
// remembered as one that waits for it. If the record that it refers to is under
// way, or was never looked at, that one goes first, for a while; else the
// reference stays unset until it is woken.
func (p *pass) dependenciesKnown(ctx context.Context, base ledger.Base, views ...view) error {
	open := p.openReferences(p.refs.lookup, views...)
	if len(open) == 0 {
		return nil
	}
	if err := p.rememberWaiting(ctx, open); err != nil {
		return err
	}
	// A link made since the first look, and before the record was remembered,
	// woke nobody.
	fresh := newResolver(ctx, p.store(), p.key())
	still := p.openReferences(fresh.lookup, views...)
	if err := fresh.err(); err != nil {
		return err
	}
	if len(still) < len(open) {
		return errAgain
	}
	if p.work.Claims > dependencyLooks {
		return nil
	}
	var first []ledger.Change
	wait := false
	for _, one := range still {
		side := one.side()
		if known, ok := base.Of(side)[one.field.Name()]; ok && !changed(one.field, one.of.values[one.field.Name()], known) {
			continue
		}
		change, goesFirst, err := p.goesFirst(ctx, one)
		if err != nil {
			return err
		}
		if goesFirst {
			first, wait = append(first, change), true
		}
	}
	if !wait {
		return nil
	}
	if err := p.commit(ctx, ledger.Commit{Enqueue: first}); err != nil {
		return err
	}
	return later(dependencyWait<<max(p.work.Claims-1, 0), "a record it refers to goes first")
}

// goesFirst decides whether the record that a reference points to may get a
// counterpart soon. One that was never looked at is looked at.
func (p *pass) goesFirst(ctx context.Context, one openReference) (ledger.Change, bool, error) {
	side := one.side()
	stream, ok := p.in.Stream(one.field.Kind().Stream)
	if !ok {
		return ledger.Change{}, false, nil
	}
	change := ledger.Change{
		Stream: stream.Spec.Name, Ref: record.Ref{Side: side, Object: stream.object(side), ID: one.id}, Lane: p.work.Lane, RunID: p.work.RunID, Patient: true,
	}
	seen, err := p.store().SeenMany(ctx, p.key(), stream.Spec.Name, side, []string{one.id})
	if err != nil {
		return change, false, err
	}
	row, known := seen[one.id]
	if !known {
		// Two looks are enough to find that it is not there at all.
		return change, p.work.Claims <= 2, nil
	}
	if stream.matchOnly() || !row.InScope || !stream.writes(side.Other()) {
		return change, false, nil
	}
	if p.work.Claims > 1 && !p.in.comesBefore(stream.Spec.Name, p.stream.Spec.Name) {
		// Records in a circle do not wait for each other.
		return change, false, nil
	}
	state, err := p.store().Load(ctx, p.key(), stream.Spec.Name, change.Ref)
	return change, err == nil && state.Link == nil && !buried(state, change.Ref) && !openLetter(state), err
}

// comesBefore reports whether a stream is loaded before another.
func (i *Installed) comesBefore(one, other string) bool {
	for _, stream := range i.dependenciesFirst() {
		if stream.Spec.Name == one || stream.Spec.Name == other {
			return stream.Spec.Name == one && one != other
		}
	}
	return false
}

// waitingStream is where the ledger remembers, beside match keys, which records
// wait for what a field of theirs points to.
func waitingStream(stream, field string) string { return stream + "#waits:" + field }

func waitingFor(stream, id string) string { return record.Hash("waits", stream, id) }

// rememberWaiting stores what is not known yet of the references that are open.
func (p *pass) rememberWaiting(ctx context.Context, open []openReference) error {
	var rows []ledger.Seen
	for _, one := range open {
		ref := one.of.record.Ref
		row := ledger.Seen{Stream: waitingStream(p.stream.Spec.Name, one.field.Name()), Ref: ref, MatchHash: waitingFor(one.field.Kind().Stream, one.id)}
		known, err := p.store().SeenMany(ctx, p.key(), row.Stream, ref.Side, []string{ref.ID})
		if err != nil {
			return err
		}
		if known[ref.ID].MatchHash != row.MatchHash {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return p.commit(ctx, ledger.Commit{PutSeen: rows})
}

// wakeBatch is how many waiting records of one field and side are woken at once:
// no more than Store.MatchCandidates gives.
const wakeBatch = 100

// wake adds to a commit the records that wait for the pair of a link: they can
// be given its ids now. They are no longer remembered; one that still waits
// remembers itself. full reports that more may wait.
func (p *pass) wake(ctx context.Context, link ledger.Link, commit *ledger.Commit) (full bool, err error) {
	for _, stream := range p.in.Streams {
		for _, field := range stream.Mapping.Fields() {
			if field.Kind().Name != record.KindRef || field.Kind().Stream != link.Stream {
				continue
			}
			for _, side := range record.Sides() {
				waiting := waitingStream(stream.Spec.Name, field.Name())
				found, err := p.store().MatchCandidates(ctx, p.key(), waiting, side, waitingFor(link.Stream, link.Ref(side).ID))
				if err != nil {
					return false, err
				}
				full = full || len(found) > wakeBatch
				for _, one := range found[:min(len(found), wakeBatch)] {
					commit.PutSeen = append(commit.PutSeen, ledger.Seen{Stream: waiting, Ref: one.Ref})
					commit.Enqueue = append(commit.Enqueue, ledger.Change{
						Stream: stream.Spec.Name, Ref: one.Ref, Lane: p.work.Lane, RunID: p.work.RunID, Trace: p.work.Trace,
					})
				}
			}
		}
	}
	return full, nil
}

// wakeWith lets the last commit of a pass over a linked record wake those that
// wait for it. made reports that this commit makes the link.
func (p *pass) wakeWith(ctx context.Context, commit *ledger.Commit) (link ledger.Link, made bool, err error) {
	at := slices.IndexFunc(commit.PutLinks, func(one ledger.Link) bool { return one.State == ledger.LinkActive })
	switch {
	case at >= 0:
		link = commit.PutLinks[at]
	case len(commit.PutLinks) == 0 && p.state.Link != nil && p.state.Link.State == ledger.LinkActive:
		link = *p.state.Link
	default:
		return ledger.Link{}, false, nil
	}
	full, err := p.wake(ctx, link, commit)
	if full {
		commit.Enqueue = append(commit.Enqueue, p.sameChange())
	}
	return link, p.outcome == outcomeCreated, err
}

// wakeLate looks again for records that began to wait while a new link was being
// committed. The work is done: an error costs them the time until a listing
// shows them.
func (p *pass) wakeLate(ctx context.Context, link ledger.Link) {
	var commit ledger.Commit
	if _, err := p.wake(ctx, link, &commit); err != nil || len(commit.Enqueue) == 0 {
		return
	}
	if err := p.store().Commit(ctx, p.key(), commit); err != nil {
		p.engine.options.Log.WithError(err).WithField("connection", p.key().String()).Warn("records that waited for a new link could not be woken; they are found by the next compare")
	}
}
