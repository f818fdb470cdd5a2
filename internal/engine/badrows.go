package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// codeUnreadable is the reason of a row of a listing that could not be read.
const codeUnreadable = "unreadable_row"

// rowPrefix begins the id under which a row is parked whose own id could not be
// read: nobody can ask its server for it.
const rowPrefix = "row:"

// nameless reports whether an id is that of a row, not of a record.
func nameless(id string) bool { return strings.HasPrefix(id, rowPrefix) }

// listingOf tells one listing of a side from another, page for page the same.
func listingOf(cursor ledger.Cursor, runID string) string {
	if cursor.Begun != "" {
		return cursor.Begun
	}
	return fmt.Sprintf("%s %d", runID, cursor.PendingHighWater.UnixNano())
}

// begin notes what the first page of a listing tells of all of it.
func (e *Engine) begin(cursor *ledger.Cursor, page connector.Page) {
	if cursor.Page != "" {
		return
	}
	cursor.PendingHighWater, cursor.Begun = e.highWater(page), ""
	if page.Whole {
		cursor.Begun = e.options.NewID()
	}
}

// parkRows puts the rows of a page that could not be read into the dead letters,
// and, at the end of a whole listing, takes those out that it did not show any
// more. A record whose row is bad was seen: it is not looked for as if it were gone.
func (e *Engine) parkRows(ctx context.Context, in *Installed, stream Stream, side record.Side, page connector.Page, listing, scan string) ([]ledger.Seen, error) {
	var letters []ledger.DeadLetter
	ids := make([]string, 0, len(page.Bad))
	for _, bad := range page.Bad {
		ids = append(ids, rowID(bad))
	}
	if len(ids) > 0 {
		states, err := e.options.Store.LoadMany(ctx, in.Key, stream.Spec.Name, side, ids)
		if err != nil {
			return nil, err
		}
		told := map[string]bool{}
		for i, bad := range page.Bad {
			if told[ids[i]] {
				continue // a row that stands there several times is one letter
			}
			told[ids[i]] = true
			letter, discarded, err := e.rowLetter(ctx, in, stream, side, bad, states[ids[i]])
			if err != nil {
				return nil, err
			}
			if !discarded {
				letter.SourcePrint = listing
				letters = append(letters, letter)
			}
		}
		if err := e.options.Store.Commit(ctx, in.Key, ledger.Commit{PutDeadLetters: letters}); err != nil {
			return nil, err
		}
	}
	if page.Whole && page.Next == "" {
		if err := e.clearRows(ctx, in, stream, side, listing); err != nil {
			return nil, err
		}
	}
	return e.seenRows(ctx, in, stream, side, ids, scan)
}

func rowID(bad connector.BadRow) string {
	if bad.ID != "" {
		return bad.ID
	}
	return rowPrefix + bad.Mark
}

// rowLetter is the letter of a bad row: the one that its record has, else one whose
// id is that of the row as it stands, so that what a person discarded stays so.
func (e *Engine) rowLetter(ctx context.Context, in *Installed, stream Stream, side record.Side, bad connector.BadRow, state ledger.State) (letter ledger.DeadLetter, discarded bool, err error) {
	now := e.options.Now()
	ref := record.Ref{Side: side, Object: stream.object(side), ID: rowID(bad)}
	letter = ledger.DeadLetter{ID: "row_" + record.Hash(in.Key.String(), stream.Spec.Name, ref.String(), bad.Mark), Stream: stream.Spec.Name, Ref: ref, FirstAt: now}
	open := false
	for _, known := range state.DeadLetters {
		if known.Ref == ref {
			letter, open = known, true
		}
	}
	if !open {
		_, before, err := e.options.Store.FindDeadLetter(ctx, letter.ID)
		switch {
		case err == nil && before.State == ledger.DeadLetterDiscarded:
			return letter, true, nil
		case err == nil:
			letter = before
		case !fault.Is(err, fault.NotFound):
			return letter, false, err
		}
	}
	if state.Link != nil {
		letter.LinkID = state.Link.ID
	}
	letter.State, letter.LastAt, letter.TargetPrint = ledger.DeadLetterOpen, now, ""
	letter.Tries++
	letter.Reason = ledger.Reason{Code: codeUnreadable, Field: stream.fieldAt(bad.Field),
		Message: fmt.Sprintf("line %d of the file cannot be read: %s; correct the file, it is read again with the next listing", bad.Line, bad.Reason)}
	return letter, false, nil
}

// clearRows closes the letters of rows without an id that a whole listing did not
// show any more: they were corrected, or are gone.
func (e *Engine) clearRows(ctx context.Context, in *Installed, stream Stream, side record.Side, listing string) error {
	filter := ledger.DeadLetterFilter{Stream: stream.Spec.Name, Side: side, Code: codeUnreadable}
	options := ledger.ListOptions{Limit: lettersBatch}
	for {
		open, next, err := e.options.Store.ListDeadLetters(ctx, in.Key, filter, options)
		if err != nil {
			return err
		}
		var over []ledger.DeadLetter
		for _, letter := range open {
			if nameless(letter.Ref.ID) && letter.SourcePrint != listing {
				letter.State, letter.LastAt = ledger.DeadLetterResolved, e.options.Now()
				over = append(over, letter)
			}
		}
		if len(over) > 0 {
			if err := e.options.Store.Commit(ctx, in.Key, ledger.Commit{PutDeadLetters: over}); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		options.Cursor = next
	}
}

// seenRows marks records as seen by a scan that showed their rows, but not what
// stands in them.
func (e *Engine) seenRows(ctx context.Context, in *Installed, stream Stream, side record.Side, ids []string, scan string) ([]ledger.Seen, error) {
	if len(ids) == 0 || scan == "" {
		return nil, nil
	}
	known, err := e.options.Store.SeenMany(ctx, in.Key, stream.Spec.Name, side, ids)
	if err != nil {
		return nil, err
	}
	var seen []ledger.Seen
	for _, row := range known {
		row.ScanID = scan
		seen = append(seen, row)
	}
	return seen, nil
}

// parkRow opens the letters of a row again: somebody asked for it to be tried, and
// only the next listing can tell.
func (p *pass) parkRow(ctx context.Context) error {
	state, err := p.store().Load(ctx, p.key(), p.work.Stream, p.work.Ref)
	if err != nil {
		return err
	}
	var commit ledger.Commit
	for _, letter := range state.DeadLetters {
		if letter.State == ledger.DeadLetterReplayed {
			letter.State, letter.LastAt = ledger.DeadLetterOpen, p.engine.options.Now()
			commit.PutDeadLetters = append(commit.PutDeadLetters, letter)
		}
	}
	p.outcome = outcomeParked
	return p.finish(ctx, commit)
}

// fieldAt turns a path of a side's record into the name under `fields:` if it is mapped.
func (s Stream) fieldAt(path string) string {
	for _, field := range s.Mapping.Fields() {
		if field.Name() == path {
			return path
		}
	}
	for _, field := range s.Mapping.Fields() {
		for _, side := range record.Sides() {
			for _, own := range field.Paths(side) {
				if own == path {
					return field.Name()
				}
			}
		}
	}
	return path
}
