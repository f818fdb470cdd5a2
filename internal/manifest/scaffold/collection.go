package scaffold

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// collection is a path whose rows can also be read one by one.
type collection struct {
	name, path, item string
	// list and one are the path items of the collection and of one record.
	list, one object
	rows      string
	row       any
}

// collection looks at a path; nil: it is none.
func (w *writer) collection(paths object, path string) *collection {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if strings.ContainsAny(path, "{}") || !regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`).MatchString(name) {
		return nil
	}
	found := &collection{name: name, path: path, list: w.api.object(paths[path])}
	if found.list == nil {
		found.list = w.api.object(paths[path+"/"])
	}
	for _, other := range slices.Sorted(maps.Keys(paths)) {
		inner, under := strings.CutPrefix(strings.TrimRight(other, "/"), path+"/")
		if under && strings.HasPrefix(inner, "{") && strings.HasSuffix(inner, "}") && strings.Count(inner, "{") == 1 {
			found.one, found.item = w.api.object(paths[other]), path+"/{id}"
		}
	}
	listing := w.api.object(found.list["get"])
	if listing == nil || w.api.object(found.one["get"]) == nil {
		return nil
	}
	if found.rows, found.row = w.api.rows(w.api.good(listing), name); found.rows == "" {
		return nil
	}
	return found
}

// object writes one collection.
func (w *writer) object(c *collection) {
	id := w.api.find(c.row, "id", "uuid", "key", strings.TrimSuffix(c.name, "s")+"_id", strings.TrimSuffix(c.name, "s")+"Id")
	w.line("  %s:", quote(c.name))
	w.records(c, id)
	if id == "" {
		id = "id"
	}
	w.listing(c)
	reading := w.api.object(c.one["get"])
	w.line("    get: {path: %s%s}", quote(c.item), part("row", w.api.wrapped(w.api.good(reading), id)))
	create := w.api.object(c.list["post"])
	method, update := "PATCH", w.api.object(c.one["patch"])
	if update == nil {
		method, update = "PUT", w.api.object(c.one["put"])
	}
	if create == nil || update == nil {
		w.line("    read_only: true")
		return
	}
	w.line("    create: {path: %s%s%s}", quote(c.path), part("wrap", w.wrap(create, id)), w.answers(create, id))
	w.line("    update: {method: %s, path: %s%s%s}", method, quote(c.item), part("wrap", w.wrap(update, id)), w.answers(update, id))
	if w.api.object(c.one["delete"]) != nil {
		w.line("    delete: {path: %s}", quote(c.item))
	}
}

func (w *writer) records(c *collection, id string) {
	w.line("    records:")
	if id == "" {
		w.line("      id: id # CHECK: the path of a record's id")
	} else {
		w.line("      id: %s", quote(id))
	}
	if created := w.api.find(c.row, "created_at", "createdAt", "created", "created_time", "date_created", "dateCreated", "add_time"); created != "" {
		w.line("      created_at: %s", quote(created))
	}
	updated := w.api.find(c.row, "updated_at", "updatedAt", "updated", "modified", "modified_at", "modifiedAt", "last_modified", "date_updated", "dateUpdated", "update_time", "updated_time", "changed", "changed_at")
	if updated == "" {
		w.line("      # CHECK: updated_at, the path of the time of the last change. Without it all records are read again and again.")
	} else {
		w.line("      updated_at: %s", quote(updated))
	}
	if version := w.api.find(c.row, "version", "revision", "lock_version"); version != "" {
		w.line("      version: %s # CHECK: capabilities.versions, if writes honour If-Match; version_form", quote(version))
	}
}

// listing writes list with what its query parameters are called.
func (w *writer) listing(c *collection) {
	operation := w.api.object(c.list["get"])
	names := w.api.queries(c.list, operation)
	pick := func(candidates ...string) string {
		for _, candidate := range candidates {
			for _, name := range names {
				if strings.EqualFold(strings.NewReplacer("_", "", "-", "", "[", "", "]", "").Replace(name), candidate) {
					return name
				}
			}
		}
		return ""
	}
	var query []string
	add := func(name, placeholder string) bool {
		if name != "" {
			query = append(query, quote(name)+": \"{"+placeholder+"}\"")
		}
		return name != ""
	}
	add(pick("limit", "perpage", "pagesize", "size", "maxresults", "count", "pagelimit", "top"), "size")
	since := add(pick("updatedsince", "updatedafter", "modifiedsince", "modifiedafter", "updatedatgte", "updatedatmin", "since", "changedsince"), "since")
	next := w.api.find(w.api.good(operation), "next_cursor", "nextCursor", "next_page_token", "nextPageToken", "cursor", "meta.next_cursor", "meta.cursor",
		"paging.next.after", "pagination.next_cursor", "additional_data.next_cursor")
	link := w.api.find(w.api.good(operation), "links.next", "_links.next.href", "next", "paging.next", "pagination.next")
	paging := `{kind: none} # CHECK: how the list goes on; all of it must be read`
	switch {
	case next != "" && add(pick("cursor", "after", "pagetoken", "nextcursor", "startafter", "pagecursor"), "next"):
		paging = "{kind: cursor, next: " + quote(next) + "}"
	case add(pick("startingafter", "afterid", "sinceid"), "next"):
		paging = "{kind: keyset, field: id}"
	case add(pick("offset", "start", "skip"), "offset"):
		paging = "{kind: offset}"
	case add(pick("page", "pagenumber", "pagenum"), "page"):
		paging = "{kind: page} # CHECK: first: 0 if pages count from 0"
	case link != "":
		paging = "{kind: link, next: " + quote(link) + "}"
	}
	w.line("    list:")
	w.line("      path: %s", quote(c.path))
	if len(query) > 0 {
		w.line("      query: {%s}", strings.Join(query, ", "))
	}
	if !since {
		w.line("      # CHECK: a parameter for what changed since a time, as \"{since}\". Without it everything is read each time.")
	}
	w.line("      size: 100 # CHECK: the largest page")
	w.line("      rows: %s", quote(c.rows))
	w.line("      paging: %s", paging)
}

func part(key, value string) string {
	if value == "." || value == "" {
		return ""
	}
	return ", " + key + ": " + quote(value)
}

// wrap is the key under which a request's body holds the fields.
func (w *writer) wrap(operation object, id string) string {
	schema := w.api.body(operation["requestBody"])
	if properties := w.api.properties(schema); len(properties) == 1 {
		return w.api.wrapped(schema, id)
	}
	return "."
}

// answers says what a write answers.
func (w *writer) answers(operation object, id string) string {
	schema := w.api.good(operation)
	switch properties := w.api.properties(schema); {
	case schema == nil:
		return ", returns: nothing"
	case len(properties) == 1 && properties[id] != nil:
		return ", returns: id"
	}
	return part("row", w.api.wrapped(schema, id))
}
