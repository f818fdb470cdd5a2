// Package letters does to many dead letters at once what is done to one: replay,
// discard, correct. One that fails stops none of the others; the answer counts them
// by outcome. It also writes them as a table (CSV) and reads the corrections that a
// person made in it.
package letters

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
)

// Most is how many dead letters one call works on.
const Most = 10_000

// batch bounds one read and one replay.
const batch = 200

// The outcomes of one dead letter.
const (
	Done     = "done"
	NotFound = "not_found"
	NotOpen  = "not_open"
	Refused  = "refused"
)

// Chosen are the dead letters that something is done to: those named, or the open
// ones that the filter lets through. Neither is a mistake, unless All says so.
type Chosen struct {
	IDs    []string
	Filter ledger.DeadLetterFilter
	All    bool
}

// Outcome is what became of each.
type Outcome struct {
	// Counts are by outcome: Done, which is always there, NotFound, NotOpen, Refused.
	Counts map[string]int
	// Failed are those that are not done, in the order they were named.
	Failed []Failure
}

// Failure is one that is not done. Line is its place in a table, 0 elsewhere.
type Failure struct {
	ID, Outcome, Message string
	Line                 int
}

func (o *Outcome) count(outcome string, by int) {
	if o.Counts == nil {
		o.Counts = map[string]int{Done: 0}
	}
	o.Counts[outcome] += by
}

func (o *Outcome) fail(failure Failure) {
	o.count(failure.Outcome, 1)
	o.Failed = append(o.Failed, failure)
}

// Desk works on the dead letters of one connection.
type Desk struct {
	Store ledger.DeadLetters
	Key   ledger.Key
	// Replay makes open ones due; those that are not open are left out of the count.
	Replay func(ctx context.Context, ids []string) (int, error)
}

// Discard ends them, for the reason given.
func (d Desk) Discard(ctx context.Context, chosen Chosen, reason string) (Outcome, error) {
	return d.each(ctx, chosen, func(letter ledger.DeadLetter) error {
		return d.Store.DiscardDeadLetter(ctx, d.Key, letter.ID, reason)
	})
}

// Correct gives them values for their next replay, the same for all.
func (d Desk) Correct(ctx context.Context, chosen Chosen, values ledger.Values) (Outcome, error) {
	return d.each(ctx, chosen, func(letter ledger.DeadLetter) error {
		_, err := correct(ctx, d.Store, d.Key, letter, values)
		return err
	})
}

// Correct gives one of them values for its next replay. A field that its record has
// not is fault.Usage: nobody would ever see what was meant.
func Correct(ctx context.Context, store ledger.DeadLetters, key ledger.Key, id string, values ledger.Values) (ledger.DeadLetter, error) {
	_, letter, err := store.FindDeadLetter(ctx, id)
	if err != nil {
		return ledger.DeadLetter{}, err
	}
	return correct(ctx, store, key, letter, values)
}

func correct(ctx context.Context, store ledger.DeadLetters, key ledger.Key, letter ledger.DeadLetter, values ledger.Values) (ledger.DeadLetter, error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		_, known := letter.Values[name]
		if !known && len(letter.Values) > 0 && !strings.HasPrefix(letter.Stream, integration.RulePrefix) {
			return ledger.DeadLetter{}, fault.New(fault.Usage, "%s is no field of the stream %s: name a key under its fields", name, letter.Stream)
		}
	}
	return store.PatchDeadLetter(ctx, key, letter.ID, maps.Clone(values))
}

// Again replays them.
func (d Desk) Again(ctx context.Context, chosen Chosen) (Outcome, error) {
	var open []string
	outcome, err := d.each(ctx, chosen, func(letter ledger.DeadLetter) error {
		if letter.State != ledger.DeadLetterOpen {
			return fault.New(fault.Conflict, "the dead letter is not open any more, it is %s", letter.State)
		}
		open = append(open, letter.ID)
		return nil
	})
	if err != nil {
		return outcome, err
	}
	for ids := range slices.Chunk(open, batch) {
		replayed, err := d.Replay(ctx, ids)
		if err != nil {
			return outcome, err
		}
		if missed := len(ids) - replayed; missed > 0 {
			outcome.count(Done, -missed) // somebody else was quicker
			outcome.count(NotOpen, missed)
		}
	}
	return outcome, nil
}

// each does something to each, and tells what became of it. The error is one of the
// ledger's own, or of the choice.
func (d Desk) each(ctx context.Context, chosen Chosen, act func(letter ledger.DeadLetter) error) (Outcome, error) {
	var outcome Outcome
	outcome.count(Done, 0)
	ids, err := d.ids(ctx, chosen)
	if err != nil {
		return outcome, err
	}
	for _, id := range ids {
		failure, err := d.one(ctx, id, act)
		switch {
		case err != nil:
			return outcome, err
		case failure != nil:
			outcome.fail(*failure)
		default:
			outcome.count(Done, 1)
		}
	}
	return outcome, nil
}

// one does something to one dead letter of this connection.
func (d Desk) one(ctx context.Context, id string, act func(letter ledger.DeadLetter) error) (*Failure, error) {
	key, letter, err := d.Store.FindDeadLetter(ctx, id)
	if err == nil && key != d.Key {
		err = fault.New(fault.NotFound, "there is no dead letter %s of this connection", id)
	}
	if err == nil {
		err = act(letter)
	}
	coded := fault.As(err)
	switch {
	case err == nil:
		return nil, nil
	case coded == nil:
		return nil, err
	}
	switch coded.Code {
	case fault.NotFound:
		return &Failure{ID: id, Outcome: NotFound, Message: coded.Message}, nil
	case fault.Conflict:
		return &Failure{ID: id, Outcome: NotOpen, Message: coded.Message}, nil
	case fault.Usage, fault.Invalid:
		return &Failure{ID: id, Outcome: Refused, Message: coded.Message}, nil
	}
	return nil, err
}

// ids are those chosen, each once.
func (d Desk) ids(ctx context.Context, chosen Chosen) ([]string, error) {
	filtered := chosen.Filter != (ledger.DeadLetterFilter{})
	if len(chosen.IDs) > 0 && (filtered || chosen.All) || filtered && chosen.All || len(chosen.IDs) == 0 && !filtered && !chosen.All {
		return nil, fault.New(fault.Usage, "say which dead letters: ids, or a filter (stream, side, code, field), or all")
	}
	if len(chosen.IDs) > Most {
		return nil, fault.New(fault.Usage, "at most %d dead letters at once", Most)
	}
	var ids []string
	for _, id := range chosen.IDs {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 {
		return ids, nil
	}
	err := Every(ctx, d.Store, d.Key, chosen.Filter, func(letter ledger.DeadLetter) error {
		ids = append(ids, letter.ID)
		return nil
	})
	return ids, err
}

// Every calls each for the dead letters that a filter lets through, oldest first, at
// most Most of them.
func Every(ctx context.Context, store ledger.DeadLetters, key ledger.Key, filter ledger.DeadLetterFilter, each func(ledger.DeadLetter) error) error {
	options := ledger.ListOptions{Limit: batch}
	for read := 0; read < Most; {
		page, next, err := store.ListDeadLetters(ctx, key, filter, options)
		if err != nil {
			return err
		}
		for _, letter := range page {
			if err := each(letter); err != nil {
				return err
			}
		}
		if read += len(page); next == "" {
			return nil
		}
		options.Cursor = next
	}
	return nil
}
