package integration

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/accord-sync/accord/internal/document"
	"github.com/accord-sync/accord/internal/fault"
)

// Bounds of a file.
const (
	// MaxSize is the largest file Parse takes, in bytes.
	MaxSize = document.MaxSize
	// maxMembers is how many keys an object, and elements a list, may have.
	maxMembers = 1000
	// maxProblems is how many problems one error lists.
	maxProblems = 100
)

// source is a file's text, split into lines for positions.
type source struct {
	text  string
	lines []string
}

// newSource checks size and encoding. A byte order mark is dropped, line ends become \n.
func newSource(text []byte) (*source, error) {
	if len(text) > MaxSize {
		return nil, fault.New(fault.TooLarge, "the integration file is larger than %d bytes", MaxSize)
	}
	clean, problem := document.Clean(text, isMask)
	if problem != nil {
		return nil, problemsError([]fault.Detail{detail(problem)})
	}
	return &source{text: clean, lines: strings.Split(clean, "\n")}, nil
}

func detail(problem *document.Problem) fault.Detail {
	return fault.Detail{Line: problem.Line, Column: problem.Column, Message: unmask(problem.Message)}
}

// root parses the text into its one YAML document.
func (s *source) root() (ast.Node, error) {
	node, problem := document.Root(mask(s.text))
	if problem != nil {
		return nil, problemsError([]fault.Detail{detail(problem)})
	}
	return node, nil
}

// problemsError is the one error of a bad file.
func problemsError(problems []fault.Detail) error {
	message := "the integration file has a mistake"
	if len(problems) > 1 {
		message = fmt.Sprintf("the integration file has %d mistakes", len(problems))
	}
	failure := fault.New(fault.Usage, "%s", message)
	failure.Details = problems
	if len(problems) > maxProblems {
		failure.Details = problems[:maxProblems]
	}
	return failure
}

// position finds where, in the file, an offset of a scalar's value stands. line and
// column are inside the value, from 1. Where the value does not stand in the file
// as it is (folded text), it is the beginning of the scalar.
func (s *source) position(node ast.Node, line, column int) (int, int) {
	at := node.GetToken().Position
	if literal, ok := node.(*ast.LiteralNode); ok {
		if !strings.HasPrefix(literal.Start.Value, "|") {
			return at.Line, at.Column
		}
		return at.Line + line, s.indentAfter(at.Line) + column
	}
	if line > 1 || at.Line > len(s.lines) || at.Column < 1 {
		return at.Line, at.Column
	}
	text := []rune(s.lines[at.Line-1])
	index := at.Column - 1
	if index >= len(text) {
		return at.Line, at.Column
	}
	switch quote := text[index]; quote {
	case '"', '\'':
		index++
		for range column - 1 {
			index += escapeLength(text, index, quote)
		}
	default:
		index += column - 1
	}
	if index > len(text) {
		return at.Line, at.Column
	}
	return at.Line, index + 1
}

// indentAfter is the indentation of the first line with text below line.
func (s *source) indentAfter(line int) int {
	for _, text := range s.lines[min(line, len(s.lines)):] {
		if trimmed := strings.TrimLeft(text, " "); trimmed != "" {
			return len(text) - len(trimmed)
		}
	}
	return 0
}

// escapeLength is how many characters of the file make the one at index.
func escapeLength(text []rune, index int, quote rune) int {
	if index+1 >= len(text) {
		return 1
	}
	switch {
	case quote == '\'' && text[index] == '\'' && text[index+1] == '\'':
		return 2
	case quote == '"' && text[index] == '\\':
		switch text[index+1] {
		case 'x':
			return 4
		case 'u':
			return 6
		case 'U':
			return 10
		}
		return 2
	}
	return 1
}
