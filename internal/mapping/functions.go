package mapping

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr/vm/runtime"

	"github.com/accord-sync/accord/internal/record"
)

// The functions that make text out of text. Each is bounded, since a few of them
// in a row could otherwise fill the memory.

func boundedAdd(limit int, params []any) (any, error) {
	left, leftText := params[0].(string)
	right, rightText := params[1].(string)
	if leftText && rightText {
		if len(left)+len(right) > limit {
			return nil, errTooMuch
		}
		return left + right, nil
	}
	return runtime.Add(params[0], params[1]), nil
}

func boundedReplace(limit int, params []any) (any, error) {
	text, old, with, err := threeTexts(params)
	if err != nil {
		return nil, err
	}
	if len(text)+strings.Count(text, old)*len(with) > limit {
		return nil, errTooMuch
	}
	return strings.ReplaceAll(text, old, with), nil
}

func threeTexts(params []any) (a, b, c string, err error) {
	var texts [3]string
	for i := range texts {
		text, ok := params[i].(string)
		if !ok {
			return "", "", "", errors.New("replace takes three texts")
		}
		texts[i] = text
	}
	return texts[0], texts[1], texts[2], nil
}

func boundedJoin(limit int, params []any) (any, error) {
	glue := ""
	if len(params) > 1 {
		text, ok := params[1].(string)
		if !ok {
			return nil, errors.New("join takes a list of texts and a text")
		}
		glue = text
	}
	elements, _ := record.Plain(params[0]).([]any)
	var joined strings.Builder
	for i, element := range elements {
		text, ok := element.(string)
		if !ok {
			return nil, errors.New("join takes a list of texts")
		}
		if i > 0 {
			joined.WriteString(glue)
		}
		if joined.WriteString(text); joined.Len() > limit {
			return nil, errTooMuch
		}
	}
	return joined.String(), nil
}
