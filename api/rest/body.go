package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/accord-sync/accord/internal/fault"
)

// The largest body of a call on the API, in bytes.
const (
	// MaxBody is that of all calls but one.
	MaxBody = 2 << 20
	// MaxTable is that of a table of dead letters, which holds what the table that was
	// asked for holds.
	MaxTable = 64 << 20
)

// tableCall is the call that takes a table.
const tableCall = "PUT /api/v1/connections/:connection/dead-letters/table"

// bodies says which calls take a body and of which shape; false means that it
// may be left out. Unknown keys in it are refused.
func bodies() map[string]body {
	return map[string]body{
		"POST /api/v1/connections":                                  {func() any { return new(ConnectionInput) }, true},
		"PUT /api/v1/connections/:connection":                       {func() any { return new(ConnectionUpdate) }, true},
		"POST /api/v1/connections/:connection/runs":                 {func() any { return new(RunInput) }, true},
		"POST /api/v1/conflicts/:id/resolve":                        {func() any { return new(ResolveInput) }, true},
		"POST /api/v1/connections/:connection/dead-letters/replay":  {func() any { return new(ReplayInput) }, false},
		"POST /api/v1/connections/:connection/dead-letters/discard": {func() any { return new(DiscardManyInput) }, true},
		"POST /api/v1/connections/:connection/dead-letters/correct": {func() any { return new(CorrectManyInput) }, true},
		"PATCH /api/v1/dead-letters/:id":                            {func() any { return new(DeadLetterPatch) }, true},
		"POST /api/v1/dead-letters/:id/discard":                     {func() any { return new(DiscardInput) }, true},
		"POST /api/v1/connections/:connection/guard/approve":        {func() any { return new(GuardInput) }, true},
		"POST /api/v1/connections/:connection/guard/reject":         {func() any { return new(GuardInput) }, false},
	}
}

type body struct {
	shape    func() any
	required bool
}

// readBody buffers the body within its limit and refuses what is not the shape
// of the call, with the position.
func (s *Server) readBody(c *gin.Context) {
	if c.Request.Body == nil || c.Request.Method == http.MethodGet {
		return
	}
	call, most := c.Request.Method+" "+c.FullPath(), int64(MaxBody)
	if call == tableCall {
		most = MaxTable
	}
	raw, err := readAtMost(c, most)
	if err != nil {
		s.fail(c, err)
		return
	}
	wanted, known := s.bodies[call]
	empty := len(bytes.TrimSpace(raw)) == 0
	switch {
	case known && empty && wanted.required:
		s.fail(c, fault.New(fault.Usage, "the body is missing: send a JSON object"))
		return
	case known && !empty:
		if err := checkShape(raw, wanted.shape()); err != nil {
			s.fail(c, err)
			return
		}
	case empty:
		raw = nil
	}
	c.Set(rawBodyKey, raw)
	c.Request.Body = io.NopCloser(bytes.NewReader(raw))
}

// maxSpill is how much of a body that is too large is read after all, in bytes.
const maxSpill = 16 << 20

// readAtMost reads a body of at most so many bytes. What is too large is read on for a
// while: a client that sends all before it listens is told, and not cut off.
func readAtMost(c *gin.Context, most int64) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, most))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		_, _ = io.CopyN(io.Discard, c.Request.Body, maxSpill) // whoever stops sending is told the same
		return nil, err
	case err != nil:
		return nil, fault.Wrap(fault.Usage, err, "the body broke off; send it again")
	}
	return raw, nil
}

// checkShape decodes raw strictly into target.
func checkShape(raw []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(target)
	offset := decoder.InputOffset()
	if err == nil {
		if _, extra := decoder.Token(); !errors.Is(extra, io.EOF) {
			err = errors.New("text after the JSON object")
		} else if bytes.TrimSpace(raw)[0] != '{' {
			err = errors.New("a JSON object is wanted")
		}
	}
	if err == nil {
		return nil
	}
	detail := fault.Detail{Message: "not valid JSON"}
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &wrongType):
		offset = wrongType.Offset
		detail.Path = wrongType.Field
		detail.Message = wrongType.Value + " is not allowed here, " + jsonKind(wrongType.Type.Kind().String()) + " is wanted"
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		detail.Path = strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		detail.Message = "unknown key"
		if at := bytes.Index(raw, []byte(`"`+detail.Path+`"`)); at >= 0 {
			offset = int64(at) + 1
		}
	case errors.Is(err, io.ErrUnexpectedEOF):
		offset = int64(len(raw))
		detail.Message = "the JSON breaks off"
	default:
		detail.Message = err.Error()
	}
	detail.Line, detail.Column = position(raw, offset)
	return &fault.Error{Code: fault.Usage, Message: "the body is not what this call takes", Details: []fault.Detail{detail}, Err: err}
}

// jsonKind names a Go kind in JSON's words.
func jsonKind(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "int", "int32", "int64", "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "slice", "array":
		return "a list"
	}
	return "an object"
}

// position is the line and column, from 1, of a byte offset.
func position(raw []byte, offset int64) (line, column int) {
	before := raw[:min(max(offset-1, 0), int64(len(raw)))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, len(before) - bytes.LastIndexByte(before, '\n')
}

// plainValue decodes one JSON value with its numbers as written; nil for none.
func plainValue(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fault.Wrap(fault.Usage, err, "a value in the body is not valid JSON")
	}
	return value, nil
}
