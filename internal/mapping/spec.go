// Package mapping compiles the field mappings of an integration and applies them
// in both directions. It is pure: values in, values out.
package mapping

import (
	"fmt"

	"github.com/accord-sync/accord/internal/record"
)

// StreamSpec is what NewStream compiles.
type StreamSpec struct {
	Name string
	// LeftWhere and RightWhere are scope expressions; empty: every record is in scope.
	LeftWhere, RightWhere string
	// Match names the fields of the natural key.
	Match  []string
	Fields []FieldSpec
}

// FieldSpec is what NewField compiles.
type FieldSpec struct {
	Name        string
	Left, Right PlaceSpec
	Kind        record.Kind
	// Values are the left and right words of an enumeration; empty: no translation.
	Values []Pair
	// Also are further words of one side, read as words of Values and never written.
	Also []Also
	// ToLeft and ToRight say in which directions the field may be written.
	ToLeft, ToRight bool
	// LossyLeft and LossyRight: that server may store less than it is sent.
	LossyLeft, LossyRight bool
}

// PlaceSpec is where one side keeps the field: a dotted path, or a read expression
// and one write expression per target path.
type PlaceSpec struct {
	Path  string
	Read  string
	Write []TargetSpec
}

// TargetSpec is one written path and the expression that gives its value.
type TargetSpec struct {
	Path, Expression string
}

// Also is a word of one side that counts as another word of that side.
type Also struct {
	Side     record.Side
	Word, As any
}

// Pair is a left word and its right counterpart: strings, json.Numbers or bools.
type Pair struct {
	Left, Right any
}

// SpecError says which part of a spec does not compile.
type SpecError struct {
	// Part is "left.read", "right.write.first_name", "where.left", "values", "match".
	Part string
	// Err is an *ExpressionError or a plain error.
	Err error
}

// Error returns part and cause.
func (e *SpecError) Error() string { return fmt.Sprintf("%s: %v", e.Part, e.Err) }

// Unwrap returns the cause.
func (e *SpecError) Unwrap() error { return e.Err }
