package engine

import (
	"encoding/json"
	"math/big"
	"strings"

	"github.com/accord-sync/accord/internal/record"
)

// reduced reports whether got is what a server may make of sent by itself:
// blank, cut, re-cased, with spaces folded, rounded, or a list without some of
// its elements.
func reduced(sent, got any) bool {
	if record.IsBlank(got) {
		return true
	}
	switch from := sent.(type) {
	case string:
		to, ok := got.(string)
		return ok && reducedText(from, to)
	case []any:
		to, ok := got.([]any)
		return ok && reducedList(from, to)
	}
	return rounded(sent, got)
}

func reducedText(sent, got string) bool {
	from, to := folded(sent), folded(got)
	return from == to || strings.HasPrefix(from, strings.TrimRight(strings.TrimSuffix(to, "…"), ". "))
}

func folded(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

func reducedList(sent, got []any) bool {
	for _, kept := range got {
		found := false
		for _, one := range sent {
			found = found || record.Fingerprint(one) == record.Fingerprint(kept) || reduced(one, kept)
		}
		if !found {
			return false
		}
	}
	return true
}

// rounded allows a difference below one unit, or below a millionth of the value.
func rounded(sent, got any) bool {
	from, to := rational(sent), rational(got)
	if from == nil || to == nil {
		return false
	}
	difference := new(big.Rat).Sub(from, to)
	difference.Abs(difference)
	share := new(big.Rat).Mul(new(big.Rat).Abs(from), big.NewRat(1, 1_000_000))
	return difference.Cmp(big.NewRat(1, 1)) < 0 || difference.Cmp(share) <= 0
}

func rational(v any) *big.Rat {
	number, ok := record.Canon(record.Kind{Name: record.KindNumber}, v).(string)
	if !ok {
		if plain, isNumber := v.(json.Number); isNumber {
			number = plain.String()
		}
	}
	if number == "" || len(number) > 64 {
		return nil
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return nil
	}
	return value
}
