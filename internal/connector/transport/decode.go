package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/accord-sync/accord/internal/fault"
)

// Bounds of one JSON text. A value of two bytes takes some fifty in memory, so
// the bytes alone bound nothing; and what is nested without end is walked over
// by more than the decoder.
const (
	// MaxValues is the most values, keys not counted: 2,500 for each row of a page of 200.
	MaxValues = 500_000
	// MaxDepth is the most objects and lists inside each other.
	MaxDepth = 200
)

// DecodeJSON reads exactly one JSON value, numbers as json.Number. Errors:
// fault.TooLarge beyond MaxValues or MaxDepth; those of encoding/json otherwise.
func DecodeJSON(body []byte) (any, error) {
	if err := bounded(body); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return value, nil
}

// bounded counts without decoding: each value but the first follows a comma or
// opens something.
func bounded(body []byte) error {
	values, depth, text := 1, 0, false
	for i := 0; i < len(body); i++ {
		char := body[i]
		switch {
		case text && char == '\\':
			i++
		case char == '"':
			text = !text
		case text:
		case char == '{' || char == '[':
			values++
			depth++
		case char == '}' || char == ']':
			depth--
		case char == ',':
			values++
		}
		if values > MaxValues {
			return fault.New(fault.TooLarge, "the JSON holds more than %d values; ask for smaller pages", MaxValues)
		}
		if depth > MaxDepth {
			return fault.New(fault.TooLarge, "the JSON is nested more than %d deep", MaxDepth)
		}
	}
	return nil
}
