package engine

import (
	"slices"

	"github.com/accord-sync/accord/internal/mapping"
	"github.com/accord-sync/accord/internal/merge"
	"github.com/accord-sync/accord/internal/record"
)

// setFacts are the elements of a set on the two sides, left first, now and in the base.
func setFacts(field *mapping.Field, now, base [2]any, refs mapping.Resolver) *merge.SetFacts {
	facts := &merge.SetFacts{
		Left: elements(field, record.Left, now[0], refs), Right: elements(field, record.Right, now[1], refs),
		BaseLeft: elements(field, record.Left, base[0], refs), BaseRight: elements(field, record.Right, base[1], refs),
	}
	alike := alikeKeys(facts.BaseLeft, facts.BaseRight)
	for _, right := range [][]merge.Element{facts.Right, facts.BaseRight} {
		for i := range right {
			if key, ok := alike[right[i].Key]; ok {
				right[i].Key = key
			}
		}
	}
	return facts
}

// alikeKeys gives the right elements of a base that a server has made of left ones, or
// the other way round (cut, re-cased), the keys of those: they are the same element.
func alikeKeys(left, right []merge.Element) map[string]string {
	alike, taken := map[string]string{}, map[string]bool{}
	for _, element := range slices.Concat(left, right) {
		if has(left, element.Key) && has(right, element.Key) {
			taken[element.Key] = true
		}
	}
	for _, one := range right {
		for _, other := range left {
			if !taken[one.Key] && !taken[other.Key] && alike[one.Key] == "" && (reduced(one.Value, other.Value) || reduced(other.Value, one.Value)) {
				alike[one.Key], taken[other.Key] = other.Key, true
			}
		}
	}
	return alike
}

func has(elements []merge.Element, key string) bool {
	return slices.ContainsFunc(elements, func(one merge.Element) bool { return one.Key == key })
}

// elements lists the members of a set with their normal forms, values in the
// left system's form.
func elements(field *mapping.Field, side record.Side, raw any, refs mapping.Resolver) []merge.Element {
	list, ok := raw.([]any)
	if !ok {
		if record.IsBlank(raw) {
			return nil
		}
		list = []any{raw}
	}
	members := make([]merge.Element, 0, len(list))
	for _, one := range list {
		canon, err := field.Canonical(side, []any{one}, refs)
		if err != nil || canon == nil {
			continue
		}
		value := one
		if side == record.Right {
			if left, err := translated(field, record.Right, []any{one}, record.Fields{}, refs); err == nil {
				if inner, ok := left.([]any); ok && len(inner) == 1 {
					value = inner[0]
				}
			}
		}
		members = append(members, merge.Element{Key: record.Fingerprint(canon), Value: value})
	}
	return members
}
