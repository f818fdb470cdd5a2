package transport

import (
	"encoding/json"
	"strings"
)

// Spellings are the ways to ask a server for a value whose search may be
// literal: as it is, in lower case, and a phone number by its digits.
// Nothing for a value that is no text.
func Spellings(path string, value any) []string {
	var text string
	switch typed := value.(type) {
	case string:
		text = strings.TrimSpace(typed)
	case json.Number:
		text = typed.String()
	}
	if text == "" {
		return nil
	}
	texts := []string{text}
	if lower := strings.ToLower(text); lower != text {
		texts = append(texts, lower)
	}
	if strings.HasSuffix(path, "phone") || strings.HasSuffix(path, "mobile") {
		numbers := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, text)
		if numbers != "" && numbers != text {
			texts = append(texts, numbers)
		}
	}
	return texts
}
