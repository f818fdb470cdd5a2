// Package letters does to many dead letters at once what is done to one: replay,
// discard, correct. One that fails stops none of the others; the answer counts them
// by outcome. It also writes them as a table (CSV) and reads the corrections that a
// person made in it.
package letters

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/ledger"
)

// Most is how many dead letters may be named at once, and stand in a table.
const Most = 10_000

// batch bounds one read and one replay.
const batch = 200

// The outcomes of one dead letter.
const (
	Done     = "done"
	NotFound = "not_found"
	NotOpen  = "not_open"
	Refused  = "refused"
	// Left are rows of a table that the time did not reach: read it once more.
	Left = "left"
)

// Chosen are the dead letters that something is done to: those named, or the open
// ones that the filter lets through. Neither is a mistake, unless All says so.
type Chosen struct {
	IDs    []string
	Filter ledger.DeadLetterFilter
	All    bool
	// Cursor is where an earlier call over the same choice stopped; empty: the beginning.
	Cursor string
}

// Outcome is what became of each.
type Outcome struct {
	// Counts are by outcome: Done, which is always there, NotFound, NotOpen, Refused.
	Counts map[string]int
	// Failed are those that are not done, in the order they were named.
	Failed []Failure
	// Next is the cursor to go on from where the time was over; empty: all are done.
	Next string
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
	// Enough is asked between batches whether it is time to stop; nil: it never is.
	// What was done stays done, and the outcome says where to go on.
	Enough func() bool
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
		if err := nameable(letter, name); err != nil {
			return ledger.DeadLetter{}, err
		}
	}
	return store.PatchDeadLetter(ctx, key, letter.ID, maps.Clone(values))
}

// nameable refuses a name that is no field of a parked record. The record of a rule,
// and one that could not be read, may have any.
func nameable(letter ledger.DeadLetter, name string) error {
	_, known := letter.Values[name]
	if known || len(letter.Values) == 0 || strings.HasPrefix(letter.Stream, integration.RulePrefix) {
		return nil
	}
	return fault.New(fault.Usage, "%s is no field of the stream %s: name a key under its fields", name, letter.Stream)
}

// Again replays them.
func (d Desk) Again(ctx context.Context, chosen Chosen) (Outcome, error) {
	return d.batches(ctx, chosen, func(ids []string, outcome *Outcome) error {
		var open []string
		err := d.all(ctx, ids, outcome, func(letter ledger.DeadLetter) error {
			if letter.State != ledger.DeadLetterOpen {
				return fault.New(fault.Conflict, "the dead letter is not open any more, it is %s", letter.State)
			}
			open = append(open, letter.ID)
			return nil
		})
		if err != nil || len(open) == 0 {
			return err
		}
		replayed, err := d.Replay(ctx, open)
		if missed := len(open) - replayed; err == nil && missed > 0 {
			outcome.count(Done, -missed) // somebody else was quicker
			outcome.count(NotOpen, missed)
		}
		return err
	})
}

// each does something to each, and tells what became of it. The error is one of the
// ledger's own, or of the choice.
func (d Desk) each(ctx context.Context, chosen Chosen, act func(letter ledger.DeadLetter) error) (Outcome, error) {
	return d.batches(ctx, chosen, func(ids []string, outcome *Outcome) error { return d.all(ctx, ids, outcome, act) })
}

func (d Desk) all(ctx context.Context, ids []string, outcome *Outcome, act func(letter ledger.DeadLetter) error) error {
	for _, id := range ids {
		failure, err := d.one(ctx, id, act)
		switch {
		case err != nil:
			return err
		case failure != nil:
			outcome.fail(*failure)
		default:
			outcome.count(Done, 1)
		}
	}
	return nil
}

// batches hands the chosen ones over, batch by batch, until all are done or it is enough.
func (d Desk) batches(ctx context.Context, chosen Chosen, do func(ids []string, outcome *Outcome) error) (Outcome, error) {
	var outcome Outcome
	outcome.count(Done, 0)
	if err := chosen.check(); err != nil {
		return outcome, err
	}
	cursor := chosen.Cursor
	for {
		ids, next, err := d.page(ctx, chosen, cursor)
		if err == nil {
			err = do(ids, &outcome)
		}
		if err != nil || next == "" {
			return outcome, err
		}
		if cursor = next; d.Enough != nil && d.Enough() {
			outcome.Next = next
			return outcome, nil
		}
	}
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

// check refuses a choice that says too little, too much, or more than one thing.
func (c Chosen) check() error {
	filtered := c.Filter != (ledger.DeadLetterFilter{})
	if len(c.IDs) > 0 && (filtered || c.All) || filtered && c.All || len(c.IDs) == 0 && !filtered && !c.All {
		return fault.New(fault.Usage, "say which dead letters: ids, or a filter (stream, side, code, field), or all")
	}
	if len(c.IDs) > Most {
		return fault.New(fault.Usage, "at most %d dead letters at once", Most)
	}
	return nil
}

// page are the chosen ones from cursor on, each once, and the cursor of those behind.
func (d Desk) page(ctx context.Context, chosen Chosen, cursor string) (ids []string, next string, err error) {
	if len(chosen.IDs) == 0 {
		found, next, err := d.Store.ListDeadLetters(ctx, d.Key, chosen.Filter, ledger.ListOptions{Limit: batch, Cursor: cursor})
		for _, letter := range found {
			ids = append(ids, letter.ID)
		}
		return ids, next, err
	}
	named := once(chosen.IDs)
	from := 0
	if cursor != "" {
		if from, err = strconv.Atoi(cursor); err != nil || from < 0 || from > len(named) {
			return nil, "", fault.New(fault.Usage, "the cursor is not one of a call with these ids")
		}
	}
	to := min(from+batch, len(named))
	if to < len(named) {
		next = strconv.Itoa(to)
	}
	return named[from:to], next, nil
}

// once leaves out repeats.
func once(ids []string) []string {
	known := map[string]bool{}
	var found []string
	for _, id := range ids {
		if !known[id] {
			known[id] = true
			found = append(found, id)
		}
	}
	return found
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
