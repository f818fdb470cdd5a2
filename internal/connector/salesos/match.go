package salesos

import (
	"slices"
	"strings"
	"unicode"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// allHold reports whether every row holds a part of the text somewhere. A
// server that ignores `search` answers rows that do not; one that searches by
// words answers rows with any of them, which is no reason to read everything.
func allHold(rows []record.Record, text string) bool {
	words := wordsOf(text)
	for _, row := range rows {
		if !holds(map[string]any(row.Fields), text, words) {
			return false
		}
	}
	return true
}

// wordsOf splits a text. Of an e-mail address only what stands before the @
// counts: half the rows may share the rest.
func wordsOf(text string) []string {
	local, _, _ := strings.Cut(strings.ToLower(text), "@")
	pieces := strings.FieldsFunc(local, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return slices.DeleteFunc(pieces, func(piece string) bool { return len(piece) < 2 })
}

// holds looks into every text of a value.
func holds(value any, text string, words []string) bool {
	switch typed := value.(type) {
	case string:
		lower := strings.ToLower(typed)
		return transport.LooseEqual(typed, text) ||
			slices.ContainsFunc(words, func(word string) bool { return strings.Contains(lower, word) })
	case map[string]any:
		for _, inner := range typed {
			if holds(inner, text, words) {
				return true
			}
		}
	case []any:
		for _, inner := range typed {
			if holds(inner, text, words) {
				return true
			}
		}
	}
	return false
}
