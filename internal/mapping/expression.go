package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// Bounds of one expression. An expression is written by a customer and runs for
// every record, so what it may cost is bounded when it is compiled and when it runs.
const (
	// maxSource is the length of an expression in bytes.
	maxSource = 4096
	// maxNodes is the number of operators and operands.
	maxNodes = 500
	// maxLoops and maxLoopNodes bound what runs once per element of a list.
	maxLoops, maxLoopNodes = 3, 32
	// maxLoopInput bounds the record data that an expression with loops may see, in bytes.
	maxLoopInput = 8 << 10
	// maxInput bounds the record data that any expression may see, in bytes.
	maxInput = 1 << 20
	// maxText bounds what +, replace and join give, in bytes; maxLoopText inside a loop.
	maxText, maxLoopText = 1 << 20, 4 << 10
	// memoryBudget is expr's own count of list elements made in one run.
	memoryBudget = 100_000
	// maxOutput is the number of values in a result.
	maxOutput = 100_000
)

// ExpressionError is an expression that does not compile.
type ExpressionError struct {
	// Line and Column are inside the expression, from 1.
	Line, Column int
	// Message says what is wrong.
	Message string
}

// Error returns the message with its position.
func (e *ExpressionError) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

// expression is a compiled, pure expression. It is safe for concurrent use.
type expression struct {
	program *vm.Program
	// paths are the dotted paths of the record that the expression mentions.
	paths []string
	loops bool
}

// CheckRead reports what is wrong with a `read` or `where` expression: nil or an
// *ExpressionError.
func CheckRead(source string) error {
	_, err := compile(source)
	return err
}

// CheckWrite reports what is wrong with a `write` expression, which sees `value`
// alone: nil or an *ExpressionError.
func CheckWrite(source string) error {
	_, err := compileWrite(source)
	return err
}

// Mentions are the dotted paths of the record that an expression reads, sorted;
// none of one that does not compile.
func Mentions(source string) []string {
	compiled, err := compile(source)
	if err != nil {
		return nil
	}
	return slices.Clone(compiled.paths)
}

// Expression is a compiled expression by itself. It is immutable and safe for
// concurrent use.
type Expression struct{ compiled *expression }

// NewExpression compiles an expression over a record's fields. The error is an
// *ExpressionError.
func NewExpression(source string) (*Expression, error) {
	compiled, err := compile(source)
	if err != nil {
		return nil, err
	}
	return &Expression{compiled: compiled}, nil
}

// Run evaluates over the fields of a record, and answers what JSON would give. The
// error is a fault.Invalid that quotes no data.
func (e *Expression) Run(fields record.Fields) (any, error) { return e.compiled.run(fields) }

func compileWrite(source string) (*expression, error) {
	compiled, err := compile(source)
	if err != nil {
		return nil, err
	}
	for _, path := range compiled.paths {
		if name, _, _ := strings.Cut(path, "."); name != "value" {
			return nil, &ExpressionError{Line: 1, Column: 1, Message: fmt.Sprintf("unknown name %s: a write expression sees only value", name)}
		}
	}
	return compiled, nil
}

func compile(source string) (*expression, error) {
	if strings.TrimSpace(source) == "" {
		return nil, &ExpressionError{Line: 1, Column: 1, Message: "the expression is empty"}
	}
	if len(source) > maxSource {
		return nil, &ExpressionError{Line: 1, Column: 1, Message: fmt.Sprintf("the expression is longer than %d bytes", maxSource)}
	}
	rules := &rules{}
	program, err := expr.Compile(source, options(rules)...)
	if err != nil {
		return nil, expressionError(err)
	}
	if rules.problem != "" {
		bound := (&file.Error{Location: rules.at}).Bind(file.NewSource(source))
		return nil, &ExpressionError{Line: bound.Line, Column: bound.Column + 1, Message: rules.problem}
	}
	slices.Sort(rules.paths)
	return &expression{program: program, paths: slices.Compact(rules.paths), loops: rules.loops > 0}, nil
}

// options switches off what is impure (now) and what can grow without bound
// (repeat, JSON and deep lists).
func options(rules *rules) []expr.Option {
	list := []expr.Option{expr.Env(map[string]any{}), expr.AllowUndefinedVariables(), expr.MaxNodes(maxNodes), expr.Patch(rules)}
	for suffix, limit := range map[string]int{"": maxText, shortSuffix: maxLoopText} {
		list = append(list,
			expr.Function(addName+suffix, func(params ...any) (any, error) { return boundedAdd(limit, params) }),
			expr.Function("replace"+suffix, func(params ...any) (any, error) { return boundedReplace(limit, params) },
				new(func(string, string, string) string)),
			expr.Function("join"+suffix, func(params ...any) (any, error) { return boundedJoin(limit, params) },
				new(func([]any, string) string), new(func([]any) string), new(func([]string, string) string), new(func([]string) string)))
	}
	for _, name := range []string{"now", "repeat", "toJSON", "fromJSON", "flatten"} {
		list = append(list, expr.DisableBuiltin(name))
	}
	return list
}

func expressionError(err error) error {
	var located *file.Error
	if errors.As(err, &located) {
		return &ExpressionError{Line: max(located.Line, 1), Column: located.Column + 1, Message: strings.ReplaceAll(located.Message, fieldMark, "")}
	}
	return &ExpressionError{Line: 1, Column: 1, Message: err.Error()}
}

// run evaluates over env. Errors never quote the data; the cause behind them may.
func (e *expression) run(env map[string]any) (any, error) {
	limit := maxInput
	if e.loops {
		limit = maxLoopInput
	}
	seen := map[string]any{}
	budget := limit
	for _, path := range e.paths {
		name, _, _ := strings.Cut(path, ".")
		value, ok := env[name]
		if _, done := seen[fieldMark+name]; done || !ok {
			continue
		}
		if e.loops {
			value = narrow(record.Fields(env), name, e.paths)
		}
		native, err := toNative(value, &budget)
		if err != nil {
			return nil, err
		}
		seen[fieldMark+name] = native
	}
	machine := vm.VM{MemoryBudget: memoryBudget}
	result, err := machine.Run(e.program, seen)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "its expression fails on this record: handle missing values with ?? and the like")
	}
	left := maxOutput
	return fromNative(result, &left)
}

// narrow keeps, of one top-level field, the paths that the expression mentions,
// so that large custom fields beside them do not count.
func narrow(fields record.Fields, name string, paths []string) any {
	kept := record.Fields{}
	for _, path := range paths {
		if path == name {
			return fields[name]
		}
		if strings.HasPrefix(path, name+".") {
			if value, ok := fields.Get(path); ok {
				kept.Set(path, value)
			}
		}
	}
	return kept[name]
}

var errTooMuch = errors.New("too much data for an expression")

// toNative turns JSON numbers into Go numbers, which expressions can add and compare.
func toNative(v any, budget *int) (any, error) {
	*budget -= 8
	switch value := record.Plain(v).(type) {
	case string:
		*budget -= len(value)
	case json.Number:
		return nativeNumber(value), nil
	case []any:
		list := make([]any, 0, min(len(value), max(*budget, 0)))
		for _, element := range value {
			native, err := toNative(element, budget)
			if err != nil {
				return nil, err
			}
			list = append(list, native)
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, member := range value {
			*budget -= len(key)
			native, err := toNative(member, budget)
			if err != nil {
				return nil, err
			}
			object[key] = native
		}
		return object, nil
	}
	if *budget < 0 {
		return nil, fault.Wrap(fault.Invalid, errTooMuch, "its record is too large for an expression")
	}
	return record.Plain(v), nil
}

func nativeNumber(number json.Number) any {
	text, ok := record.Canon(record.Kind{Name: record.KindNumber}, number).(string)
	if !ok {
		return number.String()
	}
	if whole, err := strconv.Atoi(text); err == nil {
		return whole
	}
	if float, err := strconv.ParseFloat(text, 64); err == nil {
		return float
	}
	return text
}

// fromNative turns a result into what JSON would have given.
func fromNative(v any, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, fault.Wrap(fault.Invalid, errTooMuch, "its expression gives too large a value")
	}
	switch value := record.Plain(v).(type) {
	case []any:
		list := make([]any, len(value))
		for i, element := range value {
			inner, err := fromNative(element, left)
			if err != nil {
				return nil, err
			}
			list[i] = inner
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, member := range value {
			inner, err := fromNative(member, left)
			if err != nil {
				return nil, err
			}
			object[key] = inner
		}
		return object, nil
	default:
		return value, nil
	}
}
