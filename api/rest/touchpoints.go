package rest

import (
	"bytes"
	"context"
	"mime"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	openapi "github.com/oapi-codegen/runtime/types"

	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sheet"
)

// ListTouchPoints answers GET …/touch-points.
func (s *Server) ListTouchPoints(ctx context.Context, request ListTouchPointsRequestObject) (ListTouchPointsResponseObject, error) {
	params := request.Params
	options, err := paging(params.Limit, params.Cursor)
	if err != nil {
		return nil, err
	}
	filter := ledger.TouchFilter{
		From: dayOf(params.From), To: dayOf(params.To), User: value(params.User), Customer: value(params.Customer),
	}
	if kind := value(params.Kind); kind != "" {
		filter.Kinds = []string{kind}
	}
	if filter.By, err = touchesOf(value(params.By)); err != nil {
		return nil, err
	}
	if params.Format != nil && !params.Format.Valid() {
		return nil, invalidParameter("format", "json or csv is wanted")
	}
	key, err := s.existing(ctx, request.Connection)
	if err != nil {
		return nil, err
	}
	if wantsCSV(ctx, params.Format) {
		var table bytes.Buffer
		if err := sheet.Touch(ctx, &table, s.options.Store, key, filter); err != nil {
			return nil, err
		}
		return ListTouchPoints200TextcsvResponse{Body: &table, ContentLength: int64(table.Len())}, nil
	}
	limit := options.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	items, next, err := s.options.Store.CountTouchPoints(ctx, key, filter, limit, options.Cursor)
	if err != nil {
		return nil, err
	}
	return ListTouchPoints200JSONResponse{Items: mapped(items, touchCountOf), NextCursor: optional(next)}, nil
}

// defaultLimit is how long a page is that nobody bounded.
const defaultLimit = 50

func dayOf(day *openapi.Date) string {
	if day == nil {
		return ""
	}
	return day.Format(openapi.DateFormat)
}

// touchesOf reads what is counted apart; empty: everything.
func touchesOf(text string) ([]ledger.Touch, error) {
	if text == "" {
		return nil, nil
	}
	var by []ledger.Touch
	for word := range strings.SplitSeq(text, ",") {
		if !slices.Contains(ledger.Touches(), ledger.Touch(word)) {
			return nil, invalidParameter("by", "day, kind, user and customer are known, with commas between")
		}
		by = append(by, ledger.Touch(word))
	}
	return by, nil
}

// wantsCSV reports whether the caller asks for a table: by format, or by the first
// of the types that it accepts.
func wantsCSV(ctx context.Context, format *ListTouchPointsParamsFormat) bool {
	if format != nil {
		return *format == Csv
	}
	call, ok := ctx.(*gin.Context)
	if !ok {
		return false
	}
	first, _, _ := strings.Cut(call.GetHeader("Accept"), ",")
	accepted, _, err := mime.ParseMediaType(first)
	return err == nil && accepted == "text/csv"
}

func touchCountOf(item ledger.TouchCount) TouchPointCount {
	answer := TouchPointCount{Kind: optional(item.Kind), User: partyOf(item.User), Customer: partyOf(item.Customer), Count: item.Count}
	if item.Day != "" {
		answer.Day = &openapi.Date{}
		_ = answer.Day.UnmarshalText([]byte(item.Day)) // the ledger holds days only
	}
	return answer
}

func partyOf(party ledger.Party) *TouchPointParty {
	if party.ID == "" {
		return nil
	}
	return &TouchPointParty{Side: Side(party.Side), Id: party.ID}
}
