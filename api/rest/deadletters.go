package rest

import (
	"context"
	"encoding/json"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/letters"
)

// ListDeadLetters answers GET …/dead-letters.
func (s *Server) ListDeadLetters(ctx context.Context, request ListDeadLettersRequestObject) (ListDeadLettersResponseObject, error) {
	options, err := paging(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	params := request.Params
	filter, err := letterFilter(params.State, params.Stream, params.Side, params.Code, params.Field)
	if err != nil {
		return nil, err
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	items, next, err := s.options.Store.ListDeadLetters(ctx, key, filter, options)
	if err != nil {
		return nil, err
	}
	tell := func(letter ledger.DeadLetter) DeadLetter { return deadLetterOf(key, letter) }
	return ListDeadLetters200JSONResponse{Items: mapped(items, tell), NextCursor: optional(next)}, nil
}

// GetDeadLetter answers GET /api/v1/dead-letters/{id}.
func (s *Server) GetDeadLetter(ctx context.Context, request GetDeadLetterRequestObject) (GetDeadLetterResponseObject, error) {
	key, letter, err := s.deadLetter(ctx, request.Id)
	if err != nil {
		return nil, err
	}
	answer := deadLetterOf(key, letter)
	if len(letter.Values) > 0 {
		fields := map[string]any(letter.Values)
		answer.Record = &fields
	}
	return GetDeadLetter200JSONResponse(answer), nil
}

// PatchDeadLetter answers PATCH /api/v1/dead-letters/{id}.
func (s *Server) PatchDeadLetter(ctx context.Context, request PatchDeadLetterRequestObject) (PatchDeadLetterResponseObject, error) {
	key, _, err := s.deadLetter(ctx, request.Id)
	if err != nil {
		return nil, err
	}
	fields, err := correctionOf(request.Body.Fields)
	if err != nil {
		return nil, err
	}
	letter, err := s.options.Control.PatchDeadLetter(ctx, request.Id, fields)
	if err != nil {
		return nil, err
	}
	return PatchDeadLetter200JSONResponse(deadLetterOf(key, letter)), nil
}

// correctionOf reads the values of a correction.
func correctionOf(raw json.RawMessage) (map[string]any, error) {
	plain, err := plainValue(raw)
	if err != nil {
		return nil, err
	}
	fields, ok := plain.(map[string]any)
	if !ok || len(fields) == 0 {
		return nil, invalidParameter("fields", "an object of field names and values is wanted")
	}
	return fields, nil
}

// ReplayDeadLetter answers POST /api/v1/dead-letters/{id}/replay.
func (s *Server) ReplayDeadLetter(ctx context.Context, request ReplayDeadLetterRequestObject) (ReplayDeadLetterResponseObject, error) {
	key, letter, err := s.deadLetter(ctx, request.Id)
	if err != nil {
		return nil, err
	}
	if letter.State != ledger.DeadLetterOpen {
		return nil, fault.New(fault.Conflict, "dead letter %s is %s, not open: there is nothing to replay", request.Id, letter.State)
	}
	if _, _, err := s.options.Control.ReplayDeadLetters(ctx, key, []string{request.Id}); err != nil {
		return nil, err
	}
	accepted, err := s.deadLetterState(ctx, request.Id)
	return ReplayDeadLetter202JSONResponse(accepted), err
}

// DiscardDeadLetter answers POST /api/v1/dead-letters/{id}/discard.
func (s *Server) DiscardDeadLetter(ctx context.Context, request DiscardDeadLetterRequestObject) (DiscardDeadLetterResponseObject, error) {
	if _, _, err := s.deadLetter(ctx, request.Id); err != nil {
		return nil, err
	}
	if reason := request.Body.Reason; reason == "" || len(reason) > maxReason {
		return nil, invalidParameter("reason", "1 to 1000 bytes of text are wanted")
	}
	if err := s.options.Control.DiscardDeadLetter(ctx, request.Id, request.Body.Reason); err != nil {
		return nil, err
	}
	accepted, err := s.deadLetterState(ctx, request.Id)
	return DiscardDeadLetter202JSONResponse(accepted), err
}

const maxReason = 1000

// ReplayDeadLetters answers POST …/dead-letters/replay.
func (s *Server) ReplayDeadLetters(ctx context.Context, request ReplayDeadLettersRequestObject) (ReplayDeadLettersResponseObject, error) {
	if request.Body != nil && (len(value(request.Body.Ids)) > 0 || request.Body.Filter != nil) {
		return s.replaySome(ctx, request)
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	runID, replayed, err := s.options.Control.ReplayDeadLetters(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	return ReplayDeadLetters202JSONResponse{Replayed: replayed, Run: optional(runID)}, nil
}

// replaySome replays those that are named, or that a filter lets through.
func (s *Server) replaySome(ctx context.Context, request ReplayDeadLettersRequestObject) (ReplayDeadLettersResponseObject, error) {
	desk, err := s.desk(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	which, err := chosen(request.Body.Ids, request.Body.Filter, nil, request.Body.Cursor)
	if err != nil {
		return nil, err
	}
	outcome, err := desk.Again(ctx, which)
	if err != nil {
		return nil, err
	}
	return ReplayDeadLetters202JSONResponse{Replayed: outcome.Counts[letters.Done], Counts: &outcome.Counts, NextCursor: optional(outcome.Next)}, nil
}

func (s *Server) deadLetterState(ctx context.Context, id string) (Accepted, error) {
	_, letter, err := s.deadLetter(ctx, id)
	return Accepted{Id: id, State: string(letter.State)}, err
}

// deadLetter finds one of the caller's tenant.
func (s *Server) deadLetter(ctx context.Context, id string) (ledger.Key, ledger.DeadLetter, error) {
	key, letter, err := s.options.Store.FindDeadLetter(ctx, id)
	if err == nil && key.Tenant != s.options.Tenant {
		err = fault.New(fault.NotFound, "there is no dead letter %s", id)
	}
	return key, letter, err
}
