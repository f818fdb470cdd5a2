package ledger

import (
	"time"

	"github.com/accord-sync/accord/internal/record"
)

// ShapeState is what the last check of a stream's mapping against one server's own
// description of its fields has found.
type ShapeState struct {
	Stream string      `json:"stream"`
	Side   record.Side `json:"side"`
	// CheckedAt is when the server was last asked, Code why that failed; empty: it answered.
	CheckedAt time.Time `json:"checked_at"`
	Code      string    `json:"code,omitempty"`
	// Version is the integration's for which Types hold: the vendor's words for the types
	// of the mapped fields when that version was first checked.
	Version int               `json:"version"`
	Types   map[string]string `json:"types,omitempty"`
	// Findings are the ways in which they do not fit; none: they fit, or the server
	// does not describe its fields.
	Findings []ShapeFinding `json:"findings,omitempty"`
}

// ShapeFinding is one way in which a mapping does not fit a server any more.
type ShapeFinding struct {
	// Code is one of missing_field, read_only_field, new_required_field, value_gone,
	// value_new and type_changed; Field the mapping's, or the server's own.
	Code  string `json:"code"`
	Field string `json:"field"`
	// Text is for people; it tells names of fields and allowed values, none of a record's.
	Text string `json:"text"`
	// Since is when it was first seen.
	Since time.Time `json:"since"`
}
