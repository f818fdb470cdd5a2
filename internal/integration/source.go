package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/accord-sync/accord/internal/fault"
)

// Bounds of a file. The parser is recursive, so nesting is bounded before it runs.
const (
	// MaxSize is the largest file Parse takes, in bytes.
	MaxSize = 1 << 20
	// maxDepth is how deep objects and lists may nest; the format needs 7.
	maxDepth = 24
	// maxTokens bounds what a dense file can cost.
	maxTokens = 200_000
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
	if !utf8.Valid(text) {
		return nil, problemsError([]fault.Detail{notUTF8(text)})
	}
	clean := strings.ReplaceAll(strings.TrimPrefix(string(text), "\ufeff"), "\r\n", "\n")
	if json.Valid([]byte(clean)) {
		// Outside its strings JSON may be indented with tabs, inside it has none.
		clean = strings.ReplaceAll(clean, "\t", " ")
	}
	for n, line := range strings.Split(clean, "\n") {
		for column, r := range []rune(line) {
			if isMask(r) || (r < ' ' && r != '\t') {
				return nil, problemsError([]fault.Detail{{Line: n + 1, Column: column + 1,
					Message: fmt.Sprintf("the character %U is not allowed", r)}})
			}
		}
	}
	return &source{text: clean, lines: strings.Split(clean, "\n")}, nil
}

// notUTF8 finds the first bad byte.
func notUTF8(text []byte) fault.Detail {
	line, column := 1, 1
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
		text = text[size:]
	}
	return fault.Detail{Line: line, Column: column, Message: "the file is not UTF-8 text"}
}

// root parses the text into its one YAML document.
func (s *source) root() (node ast.Node, err error) {
	// The parser is somebody else's: a panic in it is a file it cannot read.
	defer func() {
		if recover() != nil {
			node, err = nil, problemsError([]fault.Detail{{Message: "the YAML parser cannot read the file"}})
		}
	}()
	tokens := lexer.Tokenize(mask(s.text))
	if detail, ok := refuse(tokens); ok {
		return nil, problemsError([]fault.Detail{detail})
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, problemsError([]fault.Detail{syntaxDetail(err)})
	}
	var bodies []ast.Node
	for _, document := range file.Docs {
		if document.Body != nil && document.Body.Type() != ast.DirectiveType {
			bodies = append(bodies, document.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, problemsError([]fault.Detail{{Line: 1, Column: 1, Message: "the file is empty"}})
	case 1:
		return bodies[0], nil
	}
	line, column := startOf(bodies[1])
	return nil, problemsError([]fault.Detail{{Line: line, Column: column, Message: "only one document is allowed in a file"}})
}

func syntaxDetail(err error) fault.Detail {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) && syntax.Token != nil {
		at := syntax.Token.Position
		return fault.Detail{Line: at.Line, Column: at.Column, Message: "not valid YAML: " + unmask(syntax.Message)}
	}
	return fault.Detail{Message: "not valid YAML"}
}

// refuse finds what the format has no use for and what could make parsing
// expensive: anchors and aliases (which multiply), tags, merge and complex keys, depth.
func refuse(tokens token.Tokens) (fault.Detail, bool) {
	if len(tokens) > maxTokens {
		return fault.Detail{Message: "the file has too many parts"}, true
	}
	depth, dashes, line := 0, 0, 0
	for _, one := range tokens {
		if one.Position.Line != line {
			line, dashes = one.Position.Line, 0
		}
		problem := ""
		switch one.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			problem = "anchors, aliases and merge keys are not supported: write the value out"
		case token.TagType:
			problem = "tags are not supported"
		case token.MappingKeyType:
			problem = "complex keys (?) are not supported"
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType:
			dashes++
		}
		if depth > maxDepth || dashes > maxDepth {
			problem = "the file is nested too deeply"
		}
		if problem != "" {
			return fault.Detail{Line: one.Position.Line, Column: one.Position.Column, Message: problem}, true
		}
	}
	return fault.Detail{}, false
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
