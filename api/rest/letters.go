package rest

import (
	"bytes"
	"context"
	"encoding/csv"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/letters"
	"github.com/accord-sync/accord/internal/ledger/sheet"
	"github.com/accord-sync/accord/internal/record"
)

// desk works on many dead letters of a connection.
func (s *Server) desk(ctx context.Context, connection ConnectionID) (letters.Desk, error) {
	key, err := s.existing(ctx, connection)
	return letters.Desk{Store: s.options.Store, Key: key, Enough: s.enough(ctx), Replay: func(ctx context.Context, ids []string) (int, error) {
		_, replayed, err := s.options.Control.ReplayDeadLetters(ctx, key, ids)
		return replayed, err
	}}, err
}

// lastBatch is the time that is kept for the last batch of bulk work, and the answer.
const lastBatch = 10 * time.Second

// enough reports whether the time of a call is nearly over.
func (s *Server) enough(ctx context.Context) func() bool {
	return func() bool {
		deadline, ok := ctx.Deadline()
		return ok && deadline.Sub(s.options.Now()) < lastBatch
	}
}

func chosen(ids *[]string, filter *LetterFilter, all *bool, cursor *string) (letters.Chosen, error) {
	found := letters.Chosen{IDs: value(ids), All: value(all), Cursor: value(cursor)}
	if filter == nil {
		return found, nil
	}
	side, err := sideParameter(filter.Side)
	found.Filter = ledger.DeadLetterFilter{Stream: value(filter.Stream), Side: side, Code: value(filter.Code), Field: value(filter.Field)}
	return found, err
}

func outcomeOf(outcome letters.Outcome) LetterOutcome {
	answer := LetterOutcome{Counts: outcome.Counts, NextCursor: optional(outcome.Next)}
	answer.Failed = make([]struct {
		Id string `json:"id"`

		// Line Its line in a table
		Line    *int   `json:"line,omitempty"`
		Message string `json:"message"`
		Outcome string `json:"outcome"`
	}, len(outcome.Failed))
	for i, failure := range outcome.Failed {
		answer.Failed[i].Id, answer.Failed[i].Line = failure.ID, optionalInt(failure.Line)
		answer.Failed[i].Message, answer.Failed[i].Outcome = failure.Message, failure.Outcome
	}
	return answer
}

// DiscardDeadLetters answers POST …/dead-letters/discard.
func (s *Server) DiscardDeadLetters(ctx context.Context, request DiscardDeadLettersRequestObject) (DiscardDeadLettersResponseObject, error) {
	desk, err := s.desk(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	if reason := request.Body.Reason; reason == "" || len(reason) > maxReason {
		return nil, invalidParameter("reason", "1 to 1000 bytes of text are wanted")
	}
	which, err := chosen(request.Body.Ids, request.Body.Filter, request.Body.All, request.Body.Cursor)
	if err != nil {
		return nil, err
	}
	outcome, err := desk.Discard(ctx, which, request.Body.Reason)
	return DiscardDeadLetters200JSONResponse(outcomeOf(outcome)), err
}

// CorrectDeadLetters answers POST …/dead-letters/correct.
func (s *Server) CorrectDeadLetters(ctx context.Context, request CorrectDeadLettersRequestObject) (CorrectDeadLettersResponseObject, error) {
	desk, err := s.desk(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	fields, err := correctionOf(request.Body.Fields)
	if err != nil {
		return nil, err
	}
	which, err := chosen(request.Body.Ids, request.Body.Filter, request.Body.All, request.Body.Cursor)
	if err != nil {
		return nil, err
	}
	outcome, err := desk.Correct(ctx, which, fields)
	return CorrectDeadLetters200JSONResponse(outcomeOf(outcome)), err
}

// GetDeadLetterTable answers GET …/dead-letters/table.
func (s *Server) GetDeadLetterTable(ctx context.Context, request GetDeadLetterTableRequestObject) (GetDeadLetterTableResponseObject, error) {
	params := request.Params
	filter, err := letterFilter(params.State, params.Stream, params.Side, params.Code, params.Field)
	if err != nil {
		return nil, err
	}
	desk, err := s.desk(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	var found []ledger.DeadLetter
	err = letters.Every(ctx, desk.Store, desk.Key, filter, func(letter ledger.DeadLetter) error {
		found = append(found, letter)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var table bytes.Buffer
	if err := letters.Write(&table, found); err != nil {
		return nil, err
	}
	return GetDeadLetterTable200TextcsvResponse{Body: &table, ContentLength: int64(table.Len())}, nil
}

// PutDeadLetterTable answers PUT …/dead-letters/table.
func (s *Server) PutDeadLetterTable(ctx context.Context, request PutDeadLetterTableRequestObject) (PutDeadLetterTableResponseObject, error) {
	desk, err := s.desk(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	outcome, err := desk.Import(ctx, request.Body)
	return PutDeadLetterTable200JSONResponse(outcomeOf(outcome)), err
}

func letterFilter(state *DeadLetterState, stream *string, side *Side, code, field *string) (ledger.DeadLetterFilter, error) {
	if given(state) && !state.Valid() {
		return ledger.DeadLetterFilter{}, invalidParameter("state", "open, replayed, resolved or discarded is wanted")
	}
	where, err := sideParameter(side)
	return ledger.DeadLetterFilter{State: ledger.DeadLetterState(value(state)), Stream: value(stream), Side: where, Code: value(code), Field: value(field)}, err
}

// GetHistoryTable answers GET …/history/table.
func (s *Server) GetHistoryTable(ctx context.Context, request GetHistoryTableRequestObject) (GetHistoryTableResponseObject, error) {
	params := request.Params
	side, err := sideParameter(params.Side)
	if err != nil {
		return nil, err
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	filter := ledger.HistoryFilter{Stream: value(params.Stream), Side: side, ID: value(params.Id), Field: value(params.Field), RunID: value(params.Run)}
	var table bytes.Buffer
	writer := csv.NewWriter(&table)
	rows := [][]string{{"at", "stream", "side", "object", "record", "field", "op", "old", "new", "cause", "run", "request_id"}}
	options := ledger.ListOptions{Limit: maxLimit}
	for len(rows) <= letters.Most {
		page, next, err := s.options.Store.ListHistory(ctx, key, filter, options)
		if err != nil {
			return nil, err
		}
		for _, entry := range page {
			rows = append(rows, historyCells(entry))
		}
		if next == "" {
			break
		}
		options.Cursor = next
	}
	if err := writer.WriteAll(rows); err != nil {
		return nil, err
	}
	return GetHistoryTable200TextcsvResponse{Body: &table, ContentLength: int64(table.Len())}, nil
}

func historyCells(entry ledger.HistoryEntry) []string {
	cells := []string{entry.At.UTC().Format(time.RFC3339Nano), entry.Stream, string(entry.Ref.Side), entry.Ref.Object, entry.Ref.ID, entry.Field, string(entry.Op),
		letters.Spell(record.Plain(entry.Old)), letters.Spell(record.Plain(entry.New)), string(entry.Cause.Kind), entry.RunID, entry.RequestID}
	for i := range cells {
		cells[i] = sheet.Harmless(cells[i])
	}
	return cells
}
