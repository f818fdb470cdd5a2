// Package record holds the words every other package speaks: a side, a ref, a
// record and its fields, and the normal forms in which two values are compared.
// It is pure: no I/O, no clock, no randomness.
package record

import (
	"maps"
	"strings"
	"time"
)

// Side names one of the two systems of a connection.
type Side string

// The two sides. Left is SalesOS, right is the other system.
const (
	Left  Side = "left"
	Right Side = "right"
)

// Sides lists both sides in their fixed order.
func Sides() [2]Side { return [2]Side{Left, Right} }

// Other returns the opposite side.
func (s Side) Other() Side {
	if s == Left {
		return Right
	}
	return Left
}

// Valid reports whether s is left or right.
func (s Side) Valid() bool { return s == Left || s == Right }

// Ref points to one record on one side. It carries no personal data, so it may
// appear in logs, errors and workflow histories.
type Ref struct {
	// Side is the system that holds the record.
	Side Side `json:"side"`
	// Object is the vendor's collection, "leads" or "contacts".
	Object string `json:"object"`
	// ID is the vendor's own identifier.
	ID string `json:"id"`
}

// String returns "side/object/id", the form used in logs and errors.
func (r Ref) String() string { return string(r.Side) + "/" + r.Object + "/" + r.ID }

// IsZero reports whether the ref points to nothing.
func (r Ref) IsZero() bool { return r.ID == "" }

// Fields is a JSON object as a server holds it. Numbers are json.Number, so that
// 75000.00 stays what it was; nested objects are map[string]any, lists []any.
type Fields map[string]any

// Get reads a dotted path ("custom_fields.external_id"). The boolean is false
// when the path does not exist, which is not the same as an explicit null.
func (f Fields) Get(path string) (any, bool) {
	var node any = map[string]any(f)
	for _, key := range strings.Split(path, ".") {
		object, ok := asObject(node)
		if !ok {
			return nil, false
		}
		if node, ok = object[key]; !ok {
			return nil, false
		}
	}
	return node, true
}

// Set writes value at a dotted path and creates the objects on the way.
// A non-object on the way is replaced.
func (f Fields) Set(path string, value any) {
	keys := strings.Split(path, ".")
	node := map[string]any(f)
	for _, key := range keys[:len(keys)-1] {
		next, ok := asObject(node[key])
		if !ok {
			next = map[string]any{}
		}
		node[key] = next
		node = next
	}
	node[keys[len(keys)-1]] = value
}

// Clone returns a deep copy.
func (f Fields) Clone() Fields {
	if f == nil {
		return nil
	}
	copied, _ := cloneValue(map[string]any(f)).(map[string]any)
	return Fields(copied)
}

func asObject(v any) (map[string]any, bool) {
	switch object := v.(type) {
	case map[string]any:
		return object, object != nil
	case Fields:
		return map[string]any(object), object != nil
	}
	return nil, false
}

func cloneValue(v any) any {
	switch value := v.(type) {
	case map[string]any:
		copied := maps.Clone(value)
		for key, inner := range copied {
			copied[key] = cloneValue(inner)
		}
		return copied
	case Fields:
		return cloneValue(map[string]any(value))
	case []any:
		copied := make([]any, len(value))
		for i, inner := range value {
			copied[i] = cloneValue(inner)
		}
		return copied
	}
	return v
}

// Record is one object as a server answered it.
type Record struct {
	// Ref says where it was read. Its ID is the one the server answered, which
	// differs from the one asked for when the vendor merged two records.
	Ref Ref
	// Fields is the whole object, custom fields included.
	Fields Fields
	// Version is what If-Match takes; empty where the API has no versions.
	Version string
	// CreatedAt and UpdatedAt are the server's clock; zero when it does not say.
	CreatedAt, UpdatedAt time.Time
	// UpdatedBy is the vendor's actor of the last write; empty when unknown.
	UpdatedBy string
	// RequestID is the vendor's id of the call that answered this record.
	RequestID string
}
