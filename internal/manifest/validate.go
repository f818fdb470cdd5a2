package manifest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// validate checks what the types alone cannot say. It runs on a manifest whose
// parts are all of the right shape.
func (d *decoder) validate(m *Manifest) {
	at := func(key string) string { return join(d.root, key) }
	if !isName(m.Name) {
		d.wrong(at("manifest"), "%q is not a name: letters, digits, - _ .", m.Name)
	}
	if strings.TrimSpace(m.Title) == "" {
		d.wrong(at("title"), "must not be empty")
	}
	if m.Docs != "" {
		if address, err := url.Parse(m.Docs); err != nil || address.Host == "" || !strings.HasPrefix(address.Scheme, "http") {
			d.wrong(at("docs"), "must be an http or https address")
		}
	}
	d.auth(m.Auth, at("auth"))
	d.headers(m.Headers, at("headers"))
	d.errors(m.Errors, at("errors"))
	for key, name := range map[string]string{"limit": m.Limits.Limit, "remaining": m.Limits.Remaining, "reset": m.Limits.Reset} {
		if name != "" && !isHeader(name) {
			d.wrong(at("limits."+key), "%q is not the name of a header", name)
		}
	}
	for _, pace := range m.Limits.Pace {
		if pace.Calls < 1 || pace.Per < time.Millisecond {
			d.wrong(at("limits.pace"), "needs calls and per: {calls: 110, per: 10s}")
		}
	}
	d.choice(at("capabilities.custom_fields"), m.Capabilities.CustomFields, "merge", "replace")
	d.paths(at("capabilities.unique"), m.Capabilities.Unique...)
	d.paths(at("capabilities.merged"), m.Capabilities.Merged...)
	if len(m.Objects) == 0 {
		d.wrong(at("objects"), "at least one object is needed")
	}
	d.common(m.Common, d.root)
	for _, name := range m.Names() {
		d.object(m, m.Objects[name], at("objects."+name))
	}
	if m.Webhook != nil {
		d.webhook(m.Webhook, at("webhook"))
	}
}

func (d *decoder) choice(path, value string, options ...string) {
	if !slices.Contains(options, value) {
		d.wrong(path, "%q is not one of %s", value, strings.Join(options, ", "))
	}
}

// paths checks dotted paths; empty ones are absent.
func (d *decoder) paths(path string, values ...string) {
	for _, value := range values {
		if value == "" || value == "." {
			continue
		}
		for step := range strings.SplitSeq(value, ".") {
			if step == "" || strings.TrimSpace(step) != step || len(value) > 200 {
				d.wrong(path, "%q is not a dotted path", value)
				break
			}
		}
	}
}

func (d *decoder) auth(auth Auth, path string) {
	kinds := []string{AuthClientCredentials, AuthAuthorizationCode, AuthBearer, AuthBasic, AuthAPIKey, AuthNone}
	if len(auth.Kinds) == 0 {
		d.wrong(join(path, "kinds"), "at least one kind is needed")
	}
	for _, kind := range auth.Kinds {
		d.choice(join(path, "kinds"), kind, kinds...)
	}
	d.choice(join(path, "token_body"), auth.TokenBody, "form", "json")
	for _, name := range placeholders(auth.Actor) {
		if name != "client_id" {
			d.wrong(join(path, "actor"), "{%s} is not known: use {client_id}", name)
		}
	}
	keyed := slices.Contains(auth.Kinds, AuthAPIKey)
	switch key := auth.APIKey; {
	case keyed && key == nil:
		d.wrong(path, "the kind api_key needs the key api_key: {name: …}")
	case key != nil && !keyed:
		d.wrong(join(path, "api_key"), "is of no use without the kind api_key")
	case key != nil:
		d.choice(join(path, "api_key.in"), key.In, "header", "query")
		if key.In == "header" && !isHeader(key.Name) {
			d.wrong(join(path, "api_key.name"), "%q is not the name of a header", key.Name)
		}
	}
}

func (d *decoder) headers(headers map[string]string, path string) {
	for name, value := range headers {
		switch {
		case !isHeader(name):
			d.wrong(join(path, name), "%q is not the name of a header", name)
		case slices.Contains([]string{"Authorization", "Content-Type", "Content-Length", "Host", "If-Match", "Idempotency-Key"}, http.CanonicalHeaderKey(name)):
			d.wrong(join(path, name), "is set by Accord itself")
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			d.wrong(join(path, name), "may hold only printable ASCII")
		}
	}
}

func (d *decoder) errors(errors Errors, path string) {
	d.paths(path, append([]string{errors.Known, errors.Message, errors.RequestID, errors.Fields, errors.FieldName, errors.ExistingID}, errors.Code...)...)
	if errors.Known == "" || errors.Known == "." {
		d.wrong(join(path, "known"), "must be the path of a text in the system's own refusals")
	}
	if errors.ExistingMatch != "" {
		if pattern, err := regexp.Compile(errors.ExistingMatch); err != nil || pattern.NumSubexp() < 1 {
			d.wrong(join(path, "existing_match"), "must be a regular expression with one group in parentheses")
		}
	}
	for _, one := range errors.Cases {
		d.choice(join(path, "cases"), one.Means, "gone", "duplicate", "invalid", "stale", "throttled", "auth", "forbidden", "transient")
		if one.Status != 0 && (one.Status < 400 || one.Status > 599) {
			d.wrong(join(path, "cases"), "%d is not the status of a refusal", one.Status)
		}
		if one.Status == 0 && one.Code == "" {
			d.wrong(join(path, "cases"), "a case needs status, code or both")
		}
	}
}

func (d *decoder) object(m *Manifest, object *Object, path string) {
	if !isName(object.Name) {
		d.wrong(path, "%q is not a name: letters, digits, - _ .", object.Name)
	}
	if object.List == nil {
		d.wrong(path, "needs list, here or for all objects")
	}
	if object.Get == nil {
		d.wrong(path, "needs get, here or for all objects")
	}
	if len(object.Searchable) > 0 && object.Search == nil {
		d.wrong(join(path, "searchable"), "is of no use without search")
	}
	if object.ReadOnly && (object.Create != nil || object.Update != nil || object.Delete != nil) {
		d.wrong(path, "is read_only, but says how to write")
	}
	if (object.Create == nil) != (object.Update == nil) {
		d.wrong(path, "needs both create and update, or read_only: true")
	}
	if strings.HasPrefix(object.Path, "/") || strings.HasSuffix(object.Path, "/") || strings.ContainsAny(object.Path, "?# {}") ||
		strings.Contains("/"+object.Path+"/", "/../") {
		d.wrong(join(path, "path"), "%q is no part of an address", object.Path)
	}
	d.paths(join(path, "searchable"), object.Searchable...)
	for name, relation := range object.Relations {
		d.relation(object, name, relation, join(path, "relations."+name))
	}
	if versions := object.Records != nil && (object.Records.ETag || object.Records.Version != ""); m.Capabilities.Versions && !versions && !object.ReadOnly {
		d.wrong(path, "capabilities.versions is true, but records say neither version nor etag")
	}
	d.common(object.Common, path)
	d.shapes(object, path)
}

// common checks the operations of one object, or those of all. Operations that
// were taken over are checked again at no harm: a mistake is told once, where it stands.
func (d *decoder) common(common Common, path string) {
	at := func(key string) string {
		if _, own := d.at[join(path, key)]; own || path == d.root {
			return join(path, key)
		}
		return join(d.root, key)
	}
	d.formats(common, at)
	if records := common.Records; records != nil {
		d.paths(at("records"), records.ID, records.Version, records.CreatedAt, records.UpdatedAt, records.UpdatedBy)
		d.choice(join(at("records"), "times"), records.Times, "auto", "rfc3339", "epoch_s", "epoch_ms")
		if !strings.Contains(records.VersionForm, "{version}") {
			d.wrong(join(at("records"), "version_form"), "must hold {version}")
		}
	}
	for key, listing := range map[string]*Listing{"list": common.List, "changes": common.Changes, "search": common.Search, "deleted": common.Deleted} {
		if listing != nil {
			d.listing(key, listing, at(key))
		}
	}
	if common.Describe != nil {
		d.describing(common.Describe, at("describe"))
	}
	if common.Get != nil {
		needs := []string{"id"}
		if common.Get.Format == FormatCSV || common.Get.Format == "" && common.Format == FormatCSV {
			needs = nil // the file is read for the record
		}
		d.request(&common.Get.Request, at("get"), []string{"GET", "POST"}, needs...)
		d.paths(join(at("get"), "row"), common.Get.Row)
	}
	for key, writing := range map[string]*Writing{"create": common.Create, "update": common.Update} {
		if writing == nil {
			continue
		}
		needs := []string{}
		if key == "update" {
			needs = append(needs, "id")
		}
		d.request(&writing.Request, at(key), []string{"POST", "PUT", "PATCH"}, needs...)
		d.paths(at(key), append([]string{writing.Row, writing.Wrap}, writing.Omit...)...)
		d.choice(join(at(key), "clear"), writing.Clear, "null", "empty")
		d.choice(join(at(key), "returns"), writing.Returns, "record", "id", "nothing")
	}
	if common.Delete != nil {
		d.request(common.Delete, at("delete"), []string{"DELETE", "POST", "PUT", "PATCH"}, "id")
	}
}

func (d *decoder) listing(key string, listing *Listing, path string) {
	var needs []string
	switch key {
	case "changes", "deleted":
		needs = append(needs, "since")
	case "search":
		needs = append(needs, "value")
	}
	switch paging := listing.Paging; paging.Kind {
	case PagingCursor, PagingKeyset:
		needs = append(needs, "next")
		if (paging.Kind == PagingCursor && paging.Next == "") || (paging.Kind == PagingKeyset && paging.Field == "") {
			d.wrong(join(path, "paging"), "needs next (kind cursor) or field (kind keyset)")
		}
	case PagingPage:
		needs = append(needs, "page")
	case PagingOffset:
		needs = append(needs, "offset")
	}
	d.request(&listing.Request, path, []string{"GET", "POST"}, needs...)
	d.paths(path, listing.Rows, listing.ID, listing.Paging.Next, listing.Paging.Field, listing.Paging.More, listing.Paging.Total)
	d.choice(join(path, "paging.kind"), listing.Paging.Kind, PagingNone, PagingCursor, PagingPage, PagingOffset, PagingLink, PagingKeyset)
	d.choice(join(path, "since"), listing.Since, "rfc3339", "rfc3339_ms", "epoch_s", "epoch_ms", "epoch_ms_text", "date")
	counted := listing.Paging.Kind == PagingCursor || listing.Paging.Kind == PagingOffset
	if window := listing.Paging.Window; window != 0 && (window < 2*listing.Size || !counted || !listing.Holds("since")) {
		d.wrong(join(path, "paging.window"), "is for the kinds cursor and offset, in a request with {since}, and holds two pages at least")
	}
	if listing.Size < 1 || listing.Size > 10_000 {
		d.wrong(join(path, "size"), "must be a number from 1 to 10000")
	}
	if key == "deleted" && listing.Paging.Kind != PagingNone && listing.Paging.Kind != PagingCursor {
		d.wrong(join(path, "paging.kind"), "a list of deleted records goes on by cursor or not at all")
	}
}
