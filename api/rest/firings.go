package rest

import (
	"context"
	"encoding/json"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
)

// ListFirings answers GET …/firings.
func (s *Server) ListFirings(ctx context.Context, request ListFiringsRequestObject) (ListFiringsResponseObject, error) {
	options, err := paging(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	if given(request.Params.State) && !request.Params.State.Valid() {
		return nil, invalidParameter("state", "open, done, parked or cancelled is wanted")
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	filter := ledger.FiringFilter{Rule: value(request.Params.Rule), State: ledger.FiringState(value(request.Params.State))}
	items, next, err := s.options.Store.ListFirings(ctx, key, filter, options)
	if err != nil {
		return nil, err
	}
	return ListFirings200JSONResponse{Items: mapped(items, firingOf), NextCursor: optional(next)}, nil
}

// ListCounts answers GET …/counts.
func (s *Server) ListCounts(ctx context.Context, request ListCountsRequestObject) (ListCountsResponseObject, error) {
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	counted, err := s.options.Store.RuleCounts(ctx, key)
	if err != nil {
		return nil, err
	}
	items := make([]RuleCount, 0, len(counted))
	for _, one := range counted {
		answer := RuleCount{Rule: one.Rule, Metric: one.Metric, Labels: map[string]string{}, Count: one.Count}
		if err := json.Unmarshal([]byte(one.Labels), &answer.Labels); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "the labels of %s are not what they should be", one.Metric)
		}
		items = append(items, answer)
	}
	return ListCounts200JSONResponse{Items: items}, nil
}

func firingOf(firing ledger.Firing) Firing {
	answer := Firing{
		Id: firing.ID, Rule: firing.Rule, Side: Side(firing.Ref.Side), Ref: refOf(firing.Ref), Occurrence: firing.Occurrence,
		State: FiringState(firing.State), DecidedAt: firing.DecidedAt.UTC(), EndedAt: optionalTime(firing.EndedAt), Effects: []FiringEffect{},
	}
	for _, effect := range firing.Effects {
		answer.Effects = append(answer.Effects, FiringEffect{
			Kind: FiringEffectKind(effect.Kind), Name: optional(effect.Name), State: FiringState(effect.State), Tries: effect.Tries, At: optionalTime(effect.At),
			Code: optional(effect.Code), Status: optional(effect.Status),
		})
	}
	return answer
}
