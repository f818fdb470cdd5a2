package salesos

import (
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// matching keeps the rows that roughly hold the value at the path.
func matching(rows []record.Record, request connector.SearchRequest) []record.Record {
	var kept []record.Record
	for _, row := range rows {
		if value, ok := row.Fields.Get(request.Path); ok && transport.LooseEqual(value, request.Value) {
			kept = append(kept, row)
		}
	}
	return kept
}

// allHold reports whether every row holds a part of the text somewhere. A
// server that ignores `search` answers rows that do not.
func allHold(rows []record.Record, text string) bool {
	for _, row := range rows {
		if !holds(map[string]any(row.Fields), strings.ToLower(text)) {
			return false
		}
	}
	return true
}

// holds looks for the text in every string of a value, and for any of its
// words: full-text searches match words.
func holds(value any, text string) bool {
	switch typed := value.(type) {
	case string:
		if transport.LooseEqual(typed, text) {
			return true
		}
		lower := strings.ToLower(typed)
		for _, word := range strings.Fields(text) {
			if strings.Contains(lower, word) {
				return true
			}
		}
	case map[string]any:
		for _, inner := range typed {
			if holds(inner, text) {
				return true
			}
		}
	case []any:
		for _, inner := range typed {
			if holds(inner, text) {
				return true
			}
		}
	}
	return false
}
