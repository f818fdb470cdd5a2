package rest

import (
	"context"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// ListLinks answers GET …/links.
func (s *Server) ListLinks(ctx context.Context, request ListLinksRequestObject) (ListLinksResponseObject, error) {
	params := request.Params
	options, err := paging(params.Limit, params.Cursor)
	if err != nil {
		return nil, err
	}
	filter := ledger.LinkFilter{Stream: value(params.Stream), ID: value(params.Id)}
	if filter.Side, err = sideParameter(params.Side); err != nil {
		return nil, err
	}
	if given(params.State) {
		if !params.State.Valid() {
			return nil, invalidParameter("state", "active, tombstone or detached is wanted")
		}
		filter.State = ledger.LinkState(*params.State)
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	items, next, err := s.options.Store.Links(ctx, key, filter, options)
	if err != nil {
		return nil, err
	}
	return ListLinks200JSONResponse{Items: mapped(items, linkOf), NextCursor: optional(next)}, nil
}

// ListHistory answers GET …/history.
func (s *Server) ListHistory(ctx context.Context, request ListHistoryRequestObject) (ListHistoryResponseObject, error) {
	params := request.Params
	options, err := paging(params.Limit, params.Cursor)
	if err != nil {
		return nil, err
	}
	filter := ledger.HistoryFilter{Stream: value(params.Stream), ID: value(params.Id), Field: value(params.Field), RunID: value(params.Run)}
	if filter.Side, err = sideParameter(params.Side); err != nil {
		return nil, err
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	items, next, err := s.options.Store.ListHistory(ctx, key, filter, options)
	if err != nil {
		return nil, err
	}
	return ListHistory200JSONResponse{Items: mapped(items, historyOf), NextCursor: optional(next)}, nil
}

func sideParameter(side *Side) (record.Side, error) {
	if !given(side) {
		return "", nil
	}
	if !side.Valid() {
		return "", invalidParameter("side", "left or right is wanted")
	}
	return record.Side(*side), nil
}

// given reports whether a filter has a value: `?side=` filters as little as no side.
func given[T ~string](filter *T) bool { return filter != nil && *filter != "" }

// value is what a pointer points to, or the zero value.
func value[T any](pointer *T) T {
	var zero T
	if pointer == nil {
		return zero
	}
	return *pointer
}
