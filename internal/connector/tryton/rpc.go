package tryton

import (
	"context"
	"maps"
	"net/http"
	"strings"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

// envelope is a request. Tryton takes it only with exactly these three keys.
func envelope(method string, params []any) map[string]any {
	return map[string]any{"id": 1, "method": method, "params": params}
}

// procedure is one call of a model's method.
type procedure struct {
	// model and method: "party.party", "read".
	model, method string
	// params without the context, which is the last one.
	params []any
	// timestamps guard a write: "party.party,2" to what was read; nil: nothing.
	timestamps map[string]any
	// context is sent besides the usual one; nil: nothing.
	context map[string]any
	// subject names what is called in errors.
	subject string
	// write says that the call changes something.
	write bool
	// one says that the call is about one record: only then can it be gone.
	one bool
	// fieldOf finds the path that a refusal speaks of; nil: none.
	fieldOf func(message string) string
}

// call sends one procedure and reads its result. Everything in the result is
// plain JSON: decimals are numbers, dates and times are texts.
func (c *client) call(ctx context.Context, p procedure) (any, transport.Reply, error) {
	// Messages in English, whatever the user's own language, since the kind of a
	// refusal is in the message alone. Inactive records are records like others.
	settings := map[string]any{"language": "en", "active_test": false}
	maps.Copy(settings, p.context)
	if len(p.timestamps) > 0 {
		settings["_timestamp"] = p.timestamps
	}
	params := append(append(make([]any, 0, len(p.params)+1), p.params...), settings)
	call := transport.Call{Method: http.MethodPost, Path: "/", Body: envelope("model."+p.model+"."+p.method, params), Subject: p.subject}
	reply, err := c.api.Do(ctx, call)
	if err != nil {
		return nil, reply, p.settled(err)
	}
	value, err := c.api.Decode(call, reply)
	if err != nil {
		return nil, reply, p.settled(err)
	}
	body, ok := value.(map[string]any)
	if !ok {
		return nil, reply, p.settled(c.api.Malformed(call, reply, "a JSON-RPC answer"))
	}
	if failed, present := body["error"]; present {
		if name, details := named(failed); name != "" {
			return nil, reply, p.refusal(name, details)
		}
		return nil, reply, p.settled(c.api.Malformed(call, reply, "an error that can be read"))
	}
	result, ok := body["result"]
	if !ok {
		return nil, reply, p.settled(c.api.Malformed(call, reply, "a result"))
	}
	return plain(result), reply, nil
}

// settled takes the doubt off an error of a call that only read: over JSON-RPC
// reads are POSTs as well.
func (p procedure) settled(err error) error {
	coded := fault.As(err)
	if coded == nil || p.write || !coded.MaybeApplied {
		return err
	}
	certain := *coded
	certain.MaybeApplied = false
	return &certain
}

// rows reads a list of objects.
func (c *client) rows(ctx context.Context, p procedure) ([]map[string]any, transport.Reply, error) {
	result, reply, err := c.call(ctx, p)
	if err != nil {
		return nil, reply, err
	}
	list, ok := result.([]any)
	rows := make([]map[string]any, 0, len(list))
	for _, item := range list {
		row, isRow := item.(map[string]any)
		ok = ok && isRow
		rows = append(rows, row)
	}
	if !ok {
		return nil, reply, p.broken(reply, "a list of records")
	}
	return rows, reply, nil
}

// dictionary calls a procedure that answers with names and values; what says which, for the
// error of another answer.
func (c *client) dictionary(ctx context.Context, p procedure, what string) (map[string]any, error) {
	result, reply, err := c.call(ctx, p)
	if err != nil {
		return nil, err
	}
	found, ok := result.(map[string]any)
	if !ok {
		return nil, p.broken(reply, what)
	}
	return found, nil
}

func (p procedure) broken(reply transport.Reply, what string) error {
	coded := fault.New(fault.Transient, "%s answered without %s; it is tried again", title, what)
	coded.Subject, coded.Status, coded.MaybeApplied = p.subject, reply.Status, p.write
	return coded
}

// named reads an error: [name, details] of Tryton's own, [text, traceback] of
// anything else that went wrong inside. Empty when it is neither.
func named(failed any) (name string, details []string) {
	parts, ok := failed.([]any)
	if !ok || len(parts) == 0 {
		return "", nil
	}
	first, ok := parts[0].(string)
	if !ok || first == "" {
		return "", nil
	}
	switch first {
	case "UserError", "UserWarning", "ConcurrencyException", "LoginException":
	default:
		return "exception", []string{first}
	}
	if len(parts) < 2 {
		return first, nil
	}
	list, ok := parts[1].([]any)
	if !ok {
		list = parts[1:2]
	}
	for _, part := range list {
		text, _ := part.(string)
		details = append(details, text)
	}
	return first, details
}

// refusal codes an error that Tryton answered. Its transaction was rolled back:
// nothing was written.
func (p procedure) refusal(name string, details []string) error {
	message := strings.TrimSpace(strings.Join(details, " "))
	var coded *fault.Error
	switch name {
	case "ConcurrencyException":
		coded = fault.New(fault.Stale, "the record has changed in %s meanwhile; it is read again", title)
	case "LoginException":
		coded = badLogin()
	case "UserWarning":
		coded = fault.New(fault.Invalid, "%s asks for a confirmation that only a person can give; log in as the connection's user and confirm it for good, or correct the record", title)
	case "UserError":
		coded = p.userError(message)
	default:
		coded = p.exception(message)
	}
	coded.Subject, coded.Status, coded.VendorCode, coded.VendorMessage = p.subject, http.StatusOK, name, message
	return coded
}

// userError sorts by the words: all of Tryton's refusals have the same name. What
// is not recognised is no delete.
func (p procedure) userError(message string) *fault.Error {
	switch {
	case strings.Contains(message, "that don't exist anymore") && p.one:
		return fault.New(fault.Gone, "%s has no such record", title)
	case strings.Contains(message, "because of at le") && p.one:
		return fault.New(fault.Forbidden, "a record rule of %s hides the record from the user, or it was deleted: %s does not tell which; take the rule off the user, or delete the counterpart by hand", title, title)
	case strings.Contains(message, "You are not allowed to "), !p.write:
		return fault.New(fault.Forbidden, "%s forbids this call; give the user the missing right", title)
	}
	coded := fault.New(fault.Invalid, "%s refuses the values; correct the record or the mapping", title)
	if p.fieldOf != nil {
		coded.Field = p.fieldOf(message)
	}
	return coded
}

// exception is anything that broke inside of Tryton. What the database could not
// do at the moment may go well later; a value it chokes on will not.
func (p procedure) exception(message string) *fault.Error {
	for _, passing := range []string{"could not serialize", "deadlock", "could not obtain lock", "is locked", "connection", "timeout", "server closed", "terminat"} {
		if strings.Contains(strings.ToLower(message), passing) {
			return fault.New(fault.Transient, "the database of %s is busy; it is tried again", title)
		}
	}
	if !p.write {
		return fault.New(fault.Transient, "%s failed inside; see its log, and whether the module of this collection is activated", title)
	}
	coded := fault.New(fault.Invalid, "%s failed inside on this record; correct it, or see the log of trytond", title)
	if p.fieldOf != nil {
		coded.Field = p.fieldOf(message)
	}
	return coded
}
