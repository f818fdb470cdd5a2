package manifest

import (
	"slices"
	"strings"
)

// known are the placeholders of calls.
func known() []string {
	return []string{"object", "singular", "path", "id", "fields", "size", "since", "next", "page", "offset", "field", "leaf", "value"}
}

func (d *decoder) request(request *Request, path string, methods []string, needs ...string) {
	d.choice(join(path, "method"), request.Method, methods...)
	if !strings.HasPrefix(request.Path, "/") || strings.HasPrefix(request.Path, "//") || strings.ContainsAny(request.Path, "?# ") ||
		strings.Contains(request.Path+"/", "/../") {
		d.wrong(join(path, "path"), "must begin with one / and hold no query: %q", request.Path)
	}
	request.texts(func(part, text string) {
		for _, name := range placeholders(text) {
			if !slices.Contains(known(), name) {
				d.wrong(join(path, part), "{%s} is not known: use %s", name, strings.Join(known(), ", "))
			}
		}
	})
	for _, name := range needs {
		if !request.Holds(name) {
			d.wrong(path, "{%s} must stand somewhere in its path, query or body", name)
		}
	}
	d.headers(request.Headers, join(path, "headers"))
}

func (d *decoder) relation(object *Object, name string, relation *Relation, path string) {
	if !isName(name) || strings.Contains(name, ".") {
		d.wrong(path, "%q is not a name: letters, digits, - _", name)
	}
	if object.ReadOnly {
		d.wrong(path, "is of no use where nothing is written: look it up instead")
	}
	d.paths(path, relation.Rows, relation.ID)
	d.request(&relation.Set, join(path, "set"), []string{"PUT", "POST", "PATCH"}, "id", "value")
	d.request(&relation.Unset, join(path, "unset"), []string{"DELETE", "PUT", "POST", "PATCH"}, "id", "value")
	held := false
	treeTexts(relation.Create, func(_, text string) {
		for _, inner := range placeholders(text) {
			held = held || inner == "value"
		}
	})
	if _, isObject := relation.Create.(map[string]any); !held || !isObject {
		d.wrong(join(path, "create"), "must be an object that holds {value}")
	}
	if batch := relation.Batch; batch != nil {
		d.request(&batch.Request, join(path, "batch"), []string{"POST", "GET"}, "id")
		d.paths(join(path, "batch"), batch.Rows, batch.From, batch.To, batch.ID)
	}
}

// describing checks what names the fields of a collection.
func (d *decoder) describing(said *Describing, path string) {
	d.listing("describe", &said.Listing, path)
	d.paths(path, said.Name, said.Type, said.Required, said.ReadOnly, said.Values, said.Value)
	if said.Name == "" || said.Name == "." {
		d.wrong(join(path, "name"), "must be the path of the field's name in a row")
	}
	if said.Prefix != "" && !strings.HasSuffix(said.Prefix, ".") {
		d.wrong(join(path, "prefix"), "must end with a dot: it makes a path of a record of the field's name")
	}
}

func (d *decoder) webhook(webhook *Webhook, path string) {
	d.signature(webhook.Signature, join(path, "signature"))
	events := webhook.Events
	d.paths(join(path, "events"), events.List, events.ID, events.Kind, events.Object, events.Row, events.Version, events.MergedInto, events.Merged, events.Actor)
	d.paths(join(path, "events"), events.Record...)
	if events.Kind == "" || events.Kind == "." || len(events.Record) == 0 || slices.Contains(events.Record, "") || slices.Contains(events.Record, ".") {
		d.wrong(join(path, "events"), "kind and record must be paths into an event")
	}
	if (events.Version != "" || events.Row != "") && events.Apps != "" && events.Actor == "" {
		d.wrong(join(path, "events.apps"), "is of no use without actor")
	}
	if webhook.Registration != nil {
		d.registration(webhook.Registration, join(path, "registration"))
	}
}

func (d *decoder) signature(signature Signature, path string) {
	d.choice(join(path, "kind"), signature.Kind, SignatureHMAC, SignatureStandard, SignatureToken)
	d.choice(join(path, "hash"), signature.Hash, "sha256", "sha1", "sha512")
	d.choice(join(path, "encoding"), signature.Encoding, "hex", "base64")
	d.choice(join(path, "secret"), signature.Secret, "text", "base64")
	if signature.Kind != SignatureStandard && !isHeader(signature.Header) {
		d.wrong(join(path, "header"), "needs the name of the header")
	}
	if signature.TimeHeader != "" && !isHeader(signature.TimeHeader) {
		d.wrong(join(path, "time_header"), "%q is not the name of a header", signature.TimeHeader)
	}
	for _, name := range placeholders(signature.Signed) {
		if name != "time" && name != "body" && name != "address" {
			d.wrong(join(path, "signed"), "{%s} is not known: use {time}, {body} and {address}", name)
		}
	}
	if !strings.Contains(signature.Signed, "{body}") {
		d.wrong(join(path, "signed"), "must hold {body}")
	}
	timed := signature.TimePart != "" || signature.TimeHeader != ""
	if strings.Contains(signature.Signed, "{time}") != timed {
		d.wrong(path, "a time that is sent must be signed, and the other way round: say time_part or time_header, and {time} in signed")
	}
	if signature.TimePart != "" && signature.Part == "" {
		d.wrong(join(path, "time_part"), "needs part: the name of the signature's own part")
	}
}

func (d *decoder) registration(registration *Registration, path string) {
	request := Request{Method: "GET", Path: registration.Path}
	d.request(&request, path, []string{"GET"})
	if len(placeholders(registration.Path)) > 0 {
		d.wrong(join(path, "path"), "can hold no placeholder")
	}
	d.paths(path, registration.Rows, registration.Next)
	d.choice(join(path, "update"), registration.Update, "PATCH", "PUT")
	if len(registration.Names) == 0 || registration.URL == "" || registration.Events == "" {
		d.wrong(path, "needs url, events and names")
	}
	for _, name := range registration.Names {
		for _, inner := range placeholders(name) {
			if inner != "object" && inner != "singular" && inner != "path" {
				d.wrong(join(path, "names"), "{%s} is not known: use {object}, {singular} or {path}", inner)
			}
		}
	}
}

// isName is the rule for names: they become part of workflow ids and addresses.
func isName(text string) bool {
	if text == "" || len(text) > 64 || strings.Trim(text, ".") == "" {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
		return !letter && !strings.ContainsRune("-_.", r)
	})
}

// isHeader is the rule for names of headers (RFC 9110, section 5.1), as far as they are used.
func isHeader(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
		return !letter && r != '-' && r != '_'
	})
}
