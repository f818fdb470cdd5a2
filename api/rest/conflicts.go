package rest

import (
	"context"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// ListConflicts answers GET …/conflicts.
func (s *Server) ListConflicts(ctx context.Context, request ListConflictsRequestObject) (ListConflictsResponseObject, error) {
	options, err := paging(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	if given(request.Params.State) && !request.Params.State.Valid() {
		return nil, invalidParameter("state", "open, decided or closed is wanted")
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	items, next, err := s.options.Store.ListConflicts(ctx, key, ledger.ConflictState(value(request.Params.State)), options)
	if err != nil {
		return nil, err
	}
	tell := func(conflict ledger.Conflict) Conflict { return conflictOf(key, conflict) }
	return ListConflicts200JSONResponse{Items: mapped(items, tell), NextCursor: optional(next)}, nil
}

// GetConflict answers GET /api/v1/conflicts/{id}.
func (s *Server) GetConflict(ctx context.Context, request GetConflictRequestObject) (GetConflictResponseObject, error) {
	key, conflict, err := s.conflict(ctx, request.Id)
	if err != nil {
		return nil, err
	}
	return GetConflict200JSONResponse(conflictOf(key, conflict)), nil
}

// ResolveConflict answers POST /api/v1/conflicts/{id}/resolve.
func (s *Server) ResolveConflict(ctx context.Context, request ResolveConflictRequestObject) (ResolveConflictResponseObject, error) {
	if _, _, err := s.conflict(ctx, request.Id); err != nil {
		return nil, err
	}
	decided, err := decisionOf(*request.Body)
	if err != nil {
		return nil, err
	}
	if err := s.options.Control.Resolve(ctx, request.Id, decided); err != nil {
		return nil, err
	}
	_, conflict, err := s.conflict(ctx, request.Id)
	if err != nil {
		return nil, err
	}
	return ResolveConflict202JSONResponse{Id: request.Id, State: string(conflict.State)}, nil
}

func decisionOf(input ResolveInput) (Decided, error) {
	if !input.Choose.Valid() {
		return Decided{}, invalidParameter("choose", "left, right or value is wanted")
	}
	decided := Decided{Choose: ledger.Choice(input.Choose)}
	hasValue := len(input.Value) > 0
	if decided.Choose == ledger.ChooseValue && !hasValue {
		return Decided{}, invalidParameter("value", "is missing; null clears the field")
	}
	if decided.Choose != ledger.ChooseValue {
		if hasValue && string(input.Value) != "null" {
			return Decided{}, invalidParameter("value", "is only for choose: value")
		}
		input.Value = nil // some clients send every key they know
	}
	var err error
	if decided.Value, err = plainValue(input.Value); err != nil || input.Seen == nil {
		return decided, err
	}
	if len(input.Seen.Left) == 0 || len(input.Seen.Right) == 0 {
		return decided, invalidParameter("seen", "wants both left and right; null for an empty value")
	}
	var seen [2]any
	if seen[0], err = plainValue(input.Seen.Left); err != nil {
		return decided, err
	}
	if seen[1], err = plainValue(input.Seen.Right); err != nil {
		return decided, err
	}
	decided.Seen = &seen
	return decided, nil
}

// conflict finds one of the caller's tenant.
func (s *Server) conflict(ctx context.Context, id string) (ledger.Key, ledger.Conflict, error) {
	key, conflict, err := s.options.Store.FindConflict(ctx, id)
	if err == nil && key.Tenant != s.options.Tenant {
		err = fault.New(fault.NotFound, "there is no conflict %s", id)
	}
	return key, conflict, err
}
