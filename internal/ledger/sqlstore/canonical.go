package sqlstore

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
)

// sameValue compares two JSON values in canonical form: keys in order, numbers
// by what they are worth (1, 1.0 and 1e0 are equal).
func sameValue(a, b any) bool {
	left, ok := canonical(a)
	if !ok {
		return false
	}
	right, ok := canonical(b)
	return ok && bytes.Equal(left, right)
}

func canonical(value any) ([]byte, bool) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, false
	}
	var plain any
	if err := decodeJSON(text, &plain); err != nil {
		return nil, false
	}
	text, err = json.Marshal(canonicalNumbers(plain))
	return text, err == nil
}

func canonicalNumbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = canonicalNumbers(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = canonicalNumbers(inner)
		}
	case json.Number:
		return canonicalNumber(v.String())
	}
	return value
}

// maxExactDigits bounds the numbers compared by worth; longer ones, and those
// with an exponent that would need more memory, are compared as written.
const maxExactDigits = 64

func canonicalNumber(text string) any {
	_, exponent, scientific := strings.Cut(strings.ToLower(text), "e")
	if len(text) > maxExactDigits || (scientific && len(exponent) > 3) {
		return json.Number(text)
	}
	rat, ok := new(big.Rat).SetString(text)
	if !ok {
		return json.Number(text)
	}
	// A list cannot be mistaken for a string that looks like the number.
	return []any{"number", rat.RatString()}
}
