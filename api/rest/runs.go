package rest

import (
	"context"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// ListRuns answers GET …/runs.
func (s *Server) ListRuns(ctx context.Context, request ListRunsRequestObject) (ListRunsResponseObject, error) {
	options, err := paging(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	items, next, err := s.options.Store.ListRuns(ctx, key, options)
	if err != nil {
		return nil, err
	}
	return ListRuns200JSONResponse{Items: mapped(items, runOf), NextCursor: optional(next)}, nil
}

// StartRun answers POST …/runs.
func (s *Server) StartRun(ctx context.Context, request StartRunRequestObject) (StartRunResponseObject, error) {
	if !request.Body.Kind.Valid() {
		return nil, invalidParameter("kind", "poll, backfill, compare or replay is wanted")
	}
	connection, err := s.options.Store.Connection(ctx, s.key(request.Connection))
	if err != nil {
		return nil, err
	}
	stream := ""
	if request.Body.Stream != nil {
		stream = *request.Body.Stream
	}
	if err := s.checkStream(ctx, connection, stream); err != nil {
		return nil, err
	}
	if connection.State == ledger.Draft || connection.State == ledger.Paused {
		return nil, fault.New(fault.Conflict, "connection %s is %s: activate or resume it first", request.Connection, connection.State)
	}
	run, joined, err := s.options.Control.StartRun(ctx, connection.Key, ledger.RunKind(request.Body.Kind), stream)
	if err != nil {
		return nil, err
	}
	answer := runOf(run)
	answer.Joined = optional(joined)
	return StartRun202JSONResponse{
		Body: answer, Headers: StartRun202ResponseHeaders{Location: optional("/api/v1/runs/" + run.ID)},
	}, nil
}

// checkStream refuses a stream that the integration does not have.
func (s *Server) checkStream(ctx context.Context, connection ledger.Connection, stream string) error {
	if stream == "" {
		return nil
	}
	described, err := s.options.Installer.Describe(ctx, connection)
	if err != nil {
		return err
	}
	for _, have := range described.Streams {
		if have.Name == stream {
			return nil
		}
	}
	return invalidParameter("stream", "the integration has no stream of that name")
}

// GetRun answers GET /api/v1/runs/{id}.
func (s *Server) GetRun(ctx context.Context, request GetRunRequestObject) (GetRunResponseObject, error) {
	run, err := s.options.Store.Run(ctx, request.Id)
	if err != nil {
		return nil, err
	}
	if run.Key.Tenant != s.options.Tenant {
		return nil, fault.New(fault.NotFound, "there is no run %s", request.Id)
	}
	return GetRun200JSONResponse(runOf(run)), nil
}

// existing names a connection that is there.
func (s *Server) existing(ctx context.Context, id string) (ledger.Key, error) {
	connection, err := s.options.Store.Connection(ctx, s.key(id))
	return connection.Key, err
}
