// Package document reads one YAML document, or the same as JSON, that somebody
// else wrote: bounded in size, depth and number of parts, without the parts of
// YAML that multiply or hide (anchors, aliases, tags, merge keys).
package document

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
)

// Bounds of a document. The parser is recursive, so nesting is bounded before it runs.
const (
	// MaxSize is the largest text that is taken, in bytes.
	MaxSize = 1 << 20
	// maxDepth is how deep objects and lists may nest.
	maxDepth = 24
	// maxTokens bounds what a dense text can cost.
	maxTokens = 200_000
)

// Problem is why a text is no document, and where; 0: no place. Lines and columns count from 1.
type Problem struct {
	Line, Column int
	Message      string
}

// Clean checks the encoding of a text, drops a byte order mark and makes line ends
// \n. Control characters are refused, and what forbidden says (nil: nothing more).
func Clean(text []byte, forbidden func(rune) bool) (string, *Problem) {
	if !utf8.Valid(text) {
		return "", notUTF8(text)
	}
	clean := strings.ReplaceAll(strings.TrimPrefix(string(text), "\ufeff"), "\r\n", "\n")
	if json.Valid([]byte(clean)) {
		// Outside its strings JSON may be indented with tabs, inside it has none.
		clean = strings.ReplaceAll(clean, "\t", " ")
	}
	for n, line := range strings.Split(clean, "\n") {
		for column, r := range []rune(line) {
			if (r < ' ' && r != '\t') || (forbidden != nil && forbidden(r)) {
				return "", &Problem{Line: n + 1, Column: column + 1, Message: fmt.Sprintf("the character %U is not allowed", r)}
			}
		}
	}
	return clean, nil
}

// notUTF8 finds the first bad byte.
func notUTF8(text []byte) *Problem {
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
	return &Problem{Line: line, Column: column, Message: "the file is not UTF-8 text"}
}

// Root parses a clean text into its one document.
func Root(text string) (node ast.Node, problem *Problem) {
	// The parser is somebody else's: a panic in it is a text it cannot read.
	defer func() {
		if recover() != nil {
			node, problem = nil, &Problem{Message: "the YAML parser cannot read the file"}
		}
	}()
	tokens := lexer.Tokenize(text)
	if refused := refuse(tokens); refused != nil {
		return nil, refused
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxDetail(err)
	}
	var bodies []ast.Node
	for _, document := range file.Docs {
		if document.Body != nil && document.Body.Type() != ast.DirectiveType {
			bodies = append(bodies, document.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, &Problem{Line: 1, Column: 1, Message: "the file is empty"}
	case 1:
		return bodies[0], nil
	}
	line, column := Start(bodies[1])
	return nil, &Problem{Line: line, Column: column, Message: "only one document is allowed in a file"}
}

func syntaxDetail(err error) *Problem {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) && syntax.Token != nil {
		at := syntax.Token.Position
		return &Problem{Line: at.Line, Column: at.Column, Message: "not valid YAML: " + syntax.Message}
	}
	return &Problem{Message: "not valid YAML"}
}

// refuse finds what our files have no use for and what could make parsing
// expensive: anchors and aliases (which multiply), tags, merge and complex keys, depth.
func refuse(tokens token.Tokens) *Problem {
	if len(tokens) > maxTokens {
		return &Problem{Message: "the file has too many parts"}
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
			return &Problem{Line: one.Position.Line, Column: one.Position.Column, Message: problem}
		}
	}
	return nil
}

// Start is where a node begins; 0, 0 for none. The own token of an object
// without braces is its first colon, so its first key stands for it.
func Start(node ast.Node) (line, column int) {
	switch n := node.(type) {
	case nil:
		return 0, 0
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return Start(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return Start(n.Key)
	}
	at := node.GetToken().Position
	return at.Line, at.Column
}

// KindOf says what a node is, for people: "an object", "a list", "text" …
func KindOf(node ast.Node) string {
	switch node.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "an object"
	case ast.SequenceType:
		return "a list"
	case ast.NullType:
		return "nothing"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "a number"
	case ast.BoolType:
		return "true or false"
	}
	return "text"
}
