package transport

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
)

// VendorError is what an error body says, as far as it was understood.
type VendorError struct {
	// Known is true when the body is the vendor's own error envelope.
	Known bool
	// Code and RequestID are identifiers; Field is the refused field's path;
	// ExistingID the record a 409 points to.
	Code, RequestID, Field, ExistingID string
	// Message is the vendor's text; it may quote personal data.
	Message string
}

// refusal turns an answer with an error status into a coded error. The table
// is the one of both API pages; what they do not name goes by its class.
func (a *API) refusal(call Call, reply Reply) error {
	said := a.Explain(reply.Body)
	coded := a.meant(call, reply, said)
	coded.Status = reply.Status
	coded.VendorCode = said.Code
	coded.VendorMessage = said.Message
	coded.RequestID = said.RequestID
	if coded.RequestID == "" {
		coded.RequestID = requestID(reply.Header)
	}
	return coded
}

// meant goes by what the refusal is said to mean, else by its status.
func (a *API) meant(call Call, reply Reply, said VendorError) *fault.Error {
	if a.Means == nil {
		return a.classify(call, reply, said)
	}
	statuses := map[fault.Code]int{
		fault.Invalid: http.StatusUnprocessableEntity, fault.Auth: http.StatusUnauthorized, fault.Forbidden: http.StatusForbidden,
		fault.Gone: http.StatusNotFound, fault.Duplicate: http.StatusConflict, fault.Stale: http.StatusPreconditionFailed,
		fault.Throttled: http.StatusTooManyRequests, fault.Transient: http.StatusServiceUnavailable,
	}
	if status, known := statuses[a.Means(reply.Status, said)]; known {
		reply.Status = status
	}
	return a.classify(call, reply, said)
}

func (a *API) classify(call Call, reply Reply, said VendorError) *fault.Error {
	switch status := reply.Status; status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		coded := fault.New(fault.Invalid, "%s refuses the values; correct the record or the mapping", a.Title)
		coded.Field = said.Field
		return coded
	case http.StatusUnauthorized:
		return fault.New(fault.Auth, "%s refuses the access token; check client_id, client_secret, audience and scopes", a.Title)
	case http.StatusForbidden, http.StatusPaymentRequired, http.StatusUnavailableForLegalReasons:
		return fault.New(fault.Forbidden, "%s forbids this call; give the client the missing scope or right", a.Title)
	case http.StatusGone:
		// Nobody between us and the system says this of a record, with or without its envelope.
		said.Known = said.Known || call.Record
		return a.missing(call, said)
	case http.StatusNotFound:
		return a.missing(call, said)
	case http.StatusConflict:
		if !call.write() {
			return fault.New(fault.Transient, "%s answers a conflict to a read; it is tried again", a.Title)
		}
		coded := fault.New(fault.Duplicate, "%s says another record has the same unique value", a.Title)
		coded.ExistingID = said.ExistingID
		coded.Field = said.Field
		return coded
	case http.StatusPreconditionFailed:
		return fault.New(fault.Stale, "the record has changed in %s meanwhile; it is read again", a.Title)
	case http.StatusTooManyRequests:
		coded := fault.New(fault.Throttled, "%s asks to slow down; the side waits", a.Title)
		coded.After = ParseQuota(status, a.Plan.usual(reply.Header), a.Now()).PausedUntil.Sub(a.Now())
		coded.After = clampPause(coded.After)
		return coded
	}
	return a.classifyRest(call, reply, said)
}

// classifyRest covers statuses by their class.
func (a *API) classifyRest(call Call, reply Reply, said VendorError) *fault.Error {
	status := reply.Status
	waits := status == http.StatusRequestTimeout || status == http.StatusLocked || status == http.StatusTooEarly
	switch {
	case status >= 500, waits:
		coded := fault.New(fault.Transient, "%s cannot answer at the moment; it is tried again", a.Title)
		coded.After, _ = RetryAfter(reply.Header, a.Now())
		coded.MaybeApplied = call.write() && status != http.StatusLocked && status != http.StatusTooEarly
		return coded
	case status < 400:
		return fault.New(fault.Transient, "%s answers with a redirect; correct base_url", a.Title)
	case call.write() && said.Known:
		coded := fault.New(fault.Invalid, "%s refuses the request; correct the record or the mapping", a.Title)
		coded.Field = said.Field
		return coded
	}
	return fault.New(fault.Transient, "%s does not understand the call; is base_url its API?", a.Title)
}

// missing tells the vendor's "no such record" from everything else that
// answers 404: a proxy, a wrong base_url, a reference that does not exist.
func (a *API) missing(call Call, said VendorError) *fault.Error {
	switch {
	case said.Known && call.Record:
		return gone(a.Title)
	case said.Known && call.Method == http.MethodPost:
		coded := fault.New(fault.Invalid, "%s does not find something the record refers to", a.Title)
		coded.Field = said.Field
		return coded
	}
	return fault.New(fault.Transient, "%s answered 404, but not as it does for a missing record; is base_url its API?", a.Title)
}

func gone(title string) *fault.Error { return fault.New(fault.Gone, "%s has no such record", title) }

// AfterWrite codes a failed look at a record that was just written: the write
// was applied, so the caller must settle it before it tries again.
func AfterWrite(err error, title string) error {
	coded := fault.Wrap(fault.Transient, err, "%s took the write but did not show the record afterwards; it is looked at again", title)
	if seen := fault.As(err); seen != nil {
		coded.Subject, coded.Status, coded.VendorCode, coded.RequestID, coded.After = seen.Subject, seen.Status, seen.VendorCode, seen.RequestID, seen.After
	}
	coded.MaybeApplied = true
	return coded
}

// LocationID is the last step of the Location header's path; empty without one.
func LocationID(header http.Header) string {
	location, err := url.Parse(header.Get("Location"))
	if err != nil || location.Path == "" {
		return ""
	}
	id := path.Base(location.Path)
	if id == "." || id == "/" {
		return ""
	}
	return id
}

// WithReasons adds what a vendor says of one field, ["is invalid", …], to its
// message. What the message repeats of it after a colon is left out.
func WithReasons(message string, reasons any) string {
	list, _ := reasons.([]any)
	texts := make([]string, 0, len(list))
	for _, reason := range list {
		if text, ok := reason.(string); ok {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return message
	}
	message, _, _ = strings.Cut(message, ": ")
	return message + ": " + strings.Join(texts, ", ")
}
