package rest

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
)

// GetGuard answers GET …/guard.
func (s *Server) GetGuard(ctx context.Context, request GetGuardRequestObject) (GetGuardResponseObject, error) {
	options, err := paging(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	connection, err := s.options.Store.Connection(ctx, s.key(request.Connection))
	if err != nil {
		return nil, err
	}
	held, next, err := s.options.Store.ListHeld(ctx, connection.Key, ledger.HeldWaiting, options)
	if err != nil {
		return nil, err
	}
	streams, err := s.streamGuards(ctx, connection)
	if err != nil {
		return nil, err
	}
	answer := GetGuard200JSONResponse{State: GuardStateClear, Held: mapped(held, heldOf), Streams: &streams, NextCursor: optional(next)}
	if len(held) > 0 {
		answer.State = GuardStateHolding
	}
	if tightest, ok := nearestLimit(streams); ok {
		answer.Limit, answer.Per, answer.Used = tightest.Limit, tightest.Per, tightest.Used
	}
	return answer, nil
}

func (s *Server) streamGuards(ctx context.Context, connection ledger.Connection) ([]StreamGuard, error) {
	described, err := s.options.Installer.Describe(ctx, connection)
	if err != nil {
		return nil, err
	}
	guards := make([]StreamGuard, 0, len(described.Streams))
	for _, stream := range described.Streams {
		for _, guard := range stream.Guards {
			used, err := s.options.Store.GuardUsed(ctx, connection.Key, stream.Name, guard.Op, guard.Per)
			if err != nil {
				return nil, err
			}
			guards = append(guards, StreamGuard{Stream: stream.Name, Op: GuardOp(guard.Op), Limit: guard.Max, Per: guard.Per.String(), Used: used})
		}
	}
	return guards, nil
}

// nearestLimit is the stream with the fewest deletes left, the first of several;
// where none guards deletes, the operation with the fewest left.
func nearestLimit(guards []StreamGuard) (nearest StreamGuard, found bool) {
	for _, guard := range guards {
		deletes, better := guard.Op == GuardOpDelete, guard.Limit-guard.Used < nearest.Limit-nearest.Used
		if !found || deletes && nearest.Op != GuardOpDelete || deletes == (nearest.Op == GuardOpDelete) && better {
			nearest, found = guard, true
		}
	}
	return nearest, found
}

// ApproveGuard answers POST …/guard/approve.
func (s *Server) ApproveGuard(ctx context.Context, request ApproveGuardRequestObject) (ApproveGuardResponseObject, error) {
	decided, err := s.decideGuard(ctx, request.Connection, *request.Body, true)
	return ApproveGuard202JSONResponse(decided), err
}

// RejectGuard answers POST …/guard/reject; without a body it rejects all.
func (s *Server) RejectGuard(ctx context.Context, request RejectGuardRequestObject) (RejectGuardResponseObject, error) {
	all := true
	input := GuardInput{All: &all}
	if request.Body != nil {
		input = *request.Body
	}
	decided, err := s.decideGuard(ctx, request.Connection, input, false)
	return RejectGuard202JSONResponse(decided), err
}

func (s *Server) decideGuard(ctx context.Context, id string, input GuardInput, approve bool) (GuardDecided, error) {
	ids := value(input.Ids)
	if value(input.All) == (len(ids) > 0) {
		return GuardDecided{}, invalidParameter("ids", `either ids or "all": true is wanted`)
	}
	key, err := s.existing(ctx, id)
	if err != nil {
		return GuardDecided{}, err
	}
	decided, err := s.options.Control.DecideGuard(ctx, key, ids, approve)
	return GuardDecided{Decided: decided}, err
}
