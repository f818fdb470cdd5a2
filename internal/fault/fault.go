// Package fault is the one error type of Accord: a code that decides what
// happens next, and a text a person can act on. Each code maps once to an HTTP
// status, to whether Temporal may retry, and to the exit code of a command.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is the class of an error.
type Code string

// The codes. The comment says what the caller does about it.
const (
	// Transient: time-outs, resets, 5xx. Try again later, from the top.
	Transient Code = "transient"
	// Throttled: 429 or a spent quota. That side waits for After.
	Throttled Code = "throttled"
	// Auth: 401 that survived a fresh token. The side waits for credentials.
	Auth Code = "auth"
	// Forbidden: 403, a missing scope. Retried like Auth, never taken for a delete.
	Forbidden Code = "forbidden"
	// Invalid: the vendor refuses the record (400, 422) or no value can be mapped. Park it.
	Invalid Code = "invalid"
	// Duplicate: 409 on create. Link to ExistingID or park.
	Duplicate Code = "duplicate"
	// Stale: a version or lease moved on (412). Start again from the top.
	Stale Code = "stale"
	// Gone: the vendor's own "no such record". Verify before believing.
	Gone Code = "gone"
	// Busy: somebody else holds the lease. Come back shortly.
	Busy Code = "busy"
	// Usage: bad input of ours: files, flags, requests. Details carry positions.
	Usage Code = "usage"
	// NotFound: no such thing in the ledger.
	NotFound Code = "not_found"
	// Conflict: the request contradicts the present state.
	Conflict Code = "conflict"
	// TooLarge: a size limit was passed.
	TooLarge Code = "too_large"
	// Unauthorized: a call on our own API without a valid token or signature.
	Unauthorized Code = "unauthorized"
	// Unavailable: our own database or Temporal does not answer. Wait and go on.
	Unavailable Code = "unavailable"
	// Internal: a defect of ours.
	Internal Code = "internal"
)

// Detail is one position in bad input.
type Detail struct {
	Path    string `json:"path"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
}

// Error is a coded error. None of the parts that Error() prints may hold
// personal data or secrets; the vendor's own words live in VendorMessage only,
// which goes to the ledger and nowhere else.
type Error struct {
	Code Code
	// Message says what failed and what to do.
	Message string
	// Subject is the record as a ref, or the thing that failed.
	Subject string
	// Status, VendorCode, RequestID: what the outside server answered.
	Status     int
	VendorCode string
	RequestID  string
	// Field is the field the vendor or the mapping refused, by the vendor's path.
	Field string
	// VendorMessage is the vendor's text. It may quote personal data: ledger only.
	VendorMessage string
	// ExistingID is the record a Duplicate points to; empty when the vendor does not say.
	ExistingID string
	// After is how long to wait; zero when unknown.
	After time.Duration
	// MaybeApplied is true when a write was sent and its outcome is unknown.
	MaybeApplied bool
	// Details are positions in bad input.
	Details []Detail
	// Err is the cause.
	Err error
}

// New makes an error with a formatted message. %w is not interpreted: use Wrap.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an error around a cause. The cause's text is not printed by Error,
// since it may quote data; errors.Is and errors.As still reach it.
func Wrap(code Code, err error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// Error returns the text for a person: subject, message, status, vendor's code.
func (e *Error) Error() string {
	var text strings.Builder
	if e.Subject != "" {
		text.WriteString(e.Subject + ": ")
	}
	text.WriteString(e.Message)
	var parts []string
	if e.Status != 0 {
		parts = append(parts, fmt.Sprintf("status %d", e.Status))
	}
	if e.VendorCode != "" {
		parts = append(parts, "code "+e.VendorCode)
	}
	if e.Field != "" {
		parts = append(parts, "field "+e.Field)
	}
	if e.RequestID != "" {
		parts = append(parts, "request "+e.RequestID)
	}
	if len(parts) > 0 {
		text.WriteString(" (" + strings.Join(parts, ", ") + ")")
	}
	for _, detail := range e.Details {
		text.WriteString("\n  ")
		if detail.Line > 0 {
			fmt.Fprintf(&text, "line %d, column %d: ", detail.Line, detail.Column)
		}
		if detail.Path != "" {
			text.WriteString(detail.Path + ": ")
		}
		text.WriteString(detail.Message)
	}
	return text.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// On returns a copy that names its subject.
func (e *Error) On(subject fmt.Stringer) *Error {
	copied := *e
	copied.Subject = subject.String()
	return &copied
}

// As returns the coded error inside err, or nil.
func As(err error) *Error {
	var coded *Error
	if errors.As(err, &coded) {
		return coded
	}
	return nil
}

// CodeOf returns the code of err: empty for nil, Internal for an uncoded error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if coded := As(err); coded != nil {
		return coded.Code
	}
	return Internal
}

// Is reports whether err carries one of the codes.
func Is(err error, codes ...Code) bool {
	have := CodeOf(err)
	for _, code := range codes {
		if have == code {
			return true
		}
	}
	return false
}

// AfterOf returns how long err asks to wait; zero when it does not say.
func AfterOf(err error) time.Duration {
	if coded := As(err); coded != nil {
		return coded.After
	}
	return 0
}
