package mapping

import (
	"errors"
	"fmt"

	"github.com/accord-sync/accord/internal/record"
)

// vocabulary translates the words of an enumeration.
type vocabulary struct {
	toRight, toLeft map[string]any
	// first is, per word of either side, the left word that stands for it: where
	// several left words share a right word, the first of them.
	first map[record.Side]map[string]any
	names map[record.Side][]string
}

// newVocabulary checks that every direction the field is written in has one answer.
func newVocabulary(spec FieldSpec) (*vocabulary, error) {
	if len(spec.Values) == 0 {
		if len(spec.Also) > 0 {
			return nil, errors.New("further values need values to count as")
		}
		return nil, nil
	}
	words := &vocabulary{toRight: map[string]any{}, toLeft: map[string]any{},
		first: map[record.Side]map[string]any{record.Left: {}, record.Right: {}}, names: map[record.Side][]string{}}
	for _, pair := range spec.Values {
		left, right := wordKey(pair.Left), wordKey(pair.Right)
		if left == "" || right == "" {
			return nil, errors.New("a value cannot be empty")
		}
		if _, again := words.toRight[left]; again {
			return nil, fmt.Errorf("the left value %s appears twice", left)
		}
		words.toRight[left] = pair.Right
		words.names[record.Left] = append(words.names[record.Left], left)
		if _, again := words.toLeft[right]; again {
			if spec.ToLeft {
				return nil, fmt.Errorf("the right value %s appears twice, so that there is no way back to the left", right)
			}
		} else {
			words.toLeft[right] = pair.Left
			words.names[record.Right] = append(words.names[record.Right], right)
		}
		words.first[record.Right][right] = words.toLeft[right]
		words.first[record.Left][left] = words.toLeft[right]
	}
	for _, one := range spec.Also {
		if err := words.also(one); err != nil {
			return nil, err
		}
	}
	return words, nil
}

// also adds a word that is read as another one.
func (v *vocabulary) also(one Also) error {
	word, as := wordKey(one.Word), wordKey(one.As)
	there := v.toRight
	if one.Side == record.Right {
		there = v.toLeft
	}
	counterpart, ok := there[as]
	if !ok {
		return fmt.Errorf("the %s value %s is to count as %s, which is not among values", one.Side, word, as)
	}
	if _, again := there[word]; again || word == "" {
		return fmt.Errorf("the %s value %q appears twice or is empty", one.Side, word)
	}
	there[word] = counterpart
	v.first[one.Side][word] = v.first[one.Side][as]
	v.names[one.Side] = append(v.names[one.Side], word)
	return nil
}

// wordKey makes 1 and "1", true and "true" the same word: JSON objects have text keys only.
func wordKey(word any) string {
	switch canon := record.Canon(record.Kind{}, word).(type) {
	case string:
		return canon
	case bool:
		return fmt.Sprint(canon)
	}
	return ""
}

func (v *vocabulary) counterpart(from record.Side, word any) (any, bool) {
	words := v.toRight
	if from == record.Right {
		words = v.toLeft
	}
	found, ok := words[wordKey(word)]
	return found, ok
}

func (v *vocabulary) common(side record.Side, word any) any {
	if left, ok := v.first[side][wordKey(word)]; ok {
		return wordKey(left)
	}
	return map[string]any{string(side): record.Canon(record.Kind{}, word)}
}

func (v *vocabulary) words(side record.Side) []string { return v.names[side] }
