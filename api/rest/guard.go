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
	answer := GetGuard200JSONResponse{State: Clear, Held: mapped(held, heldOf), Streams: &streams, NextCursor: optional(next)}
	if len(held) > 0 {
		answer.State = Holding
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
		if stream.GuardOff {
			continue
		}
		used, err := s.options.Store.GuardUsed(ctx, connection.Key, stream.Name, stream.GuardPer)
		if err != nil {
			return nil, err
		}
		guards = append(guards, StreamGuard{Stream: stream.Name, Limit: stream.GuardMax, Per: stream.GuardPer.String(), Used: used})
	}
	return guards, nil
}

// nearestLimit is the stream with the fewest operations left; the first of several.
func nearestLimit(guards []StreamGuard) (StreamGuard, bool) {
	if len(guards) == 0 {
		return StreamGuard{}, false
	}
	nearest := guards[0]
	for _, guard := range guards[1:] {
		if guard.Limit-guard.Used < nearest.Limit-nearest.Used {
			nearest = guard
		}
	}
	return nearest, true
}

// ApproveGuard answers POST …/guard/approve.
func (s *Server) ApproveGuard(ctx context.Context, request ApproveGuardRequestObject) (ApproveGuardResponseObject, error) {
	decided, err := s.decideGuard(ctx, request.Connection, *request.Body, true)
	return ApproveGuard202JSONResponse(decided), err
}

// RejectGuard answers POST …/guard/reject.
func (s *Server) RejectGuard(ctx context.Context, request RejectGuardRequestObject) (RejectGuardResponseObject, error) {
	decided, err := s.decideGuard(ctx, request.Connection, *request.Body, false)
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
