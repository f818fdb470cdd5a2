package tryton

import (
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// The models of a party's children.
const (
	mechanismModel  = "party.contact_mechanism"
	identifierModel = "party.identifier"
)

// row makes a record of what Tryton read; false without an id.
func (c *client) row(o object, read map[string]any) (record.Record, bool) {
	id, ok := transport.ParseID(read["id"])
	if !ok {
		return record.Record{}, false
	}
	made := record.Record{Ref: record.Ref{Side: c.cfg.Side, Object: o.Name, ID: id}, Fields: record.Fields{"id": id}}
	made.CreatedAt, _ = transport.ParseTime(read["create_date"])
	made.UpdatedAt = changedAt(read)
	author := read["write_uid"]
	if author == nil {
		author = read["create_uid"]
	}
	if uid, ok := transport.ParseID(author); ok {
		made.UpdatedBy = "user:" + uid
	}
	for _, known := range o.fields {
		made.Fields[known.path] = shown(known, read)
	}
	marks := []string{mark(o.model, read)}
	if o.children {
		marks = append(marks, fillChildren(&made, read)...)
	}
	made.Fields["created_at"], made.Fields["updated_at"] = stamp(made.CreatedAt), stamp(made.UpdatedAt)
	made.Version = strings.Join(marks, " ")
	return made, true
}

// shown is a field as the record has it.
func shown(known field, read map[string]any) any {
	value := read[known.path]
	switch known.kind {
	case language:
		related, _ := read[known.path+"."].(map[string]any)
		return related["code"]
	case link:
		if id, ok := transport.ParseID(value); ok {
			return id
		}
		return nil
	}
	return value
}

// fillChildren flattens mechanisms and identifiers and answers their marks. An
// inactive mechanism does not show, but it counts for the time of the change.
func fillChildren(made *record.Record, read map[string]any) []string {
	var marks []string
	for _, path := range mechanismTypes() {
		made.Fields[path] = nil
	}
	listed := []any{}
	for _, child := range childrenOf(read, mechanisms) {
		marks = append(marks, mark(mechanismModel, child))
		if at := changedAt(child); at.After(made.UpdatedAt) {
			made.UpdatedAt = at
		}
		if active, isFlag := child["active"].(bool); isFlag && !active {
			continue
		}
		id, _ := transport.ParseID(child["id"])
		listed = append(listed, map[string]any{"id": id, "type": child["type"], "value": child["value"], "name": child["name"]})
		kind, _ := child["type"].(string)
		if value, _ := child["value"].(string); value != "" && isMechanism(kind) && made.Fields[kind] == nil {
			made.Fields[kind] = value
		}
	}
	made.Fields[mechanisms] = listed
	called := []any{}
	for _, category := range childrenOf(read, categories) {
		called = append(called, category["name"])
	}
	made.Fields[categories] = called
	flat, rows := map[string]any{}, []any{}
	for _, child := range childrenOf(read, identifiers) {
		marks = append(marks, mark(identifierModel, child))
		if at := changedAt(child); at.After(made.UpdatedAt) {
			made.UpdatedAt = at
		}
		id, _ := transport.ParseID(child["id"])
		rows = append(rows, map[string]any{"id": id, "type": child["type"], "code": child["code"]})
		if key, value, ok := identifierOf(child); ok && flat[key] == nil {
			flat[key] = value
		}
	}
	made.Fields[identifiers], made.Fields[identifierRows] = flat, rows
	return marks
}

func childrenOf(read map[string]any, name string) []map[string]any {
	list, _ := read[name+"."].([]any)
	children := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if child, ok := item.(map[string]any); ok {
			children = append(children, child)
		}
	}
	return children
}

// changedAt is the last write, or the creation of what was never written.
func changedAt(read map[string]any) time.Time {
	if at, ok := transport.ParseTime(read["write_date"]); ok {
		return at
	}
	at, _ := transport.ParseTime(read["create_date"])
	return at
}

func stamp(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.Format(time.RFC3339Nano)
}

// mark is "model,id=timestamp". A version is the marks of a record and its
// children: an edit of an e-mail address does not touch the party itself.
func mark(model string, read map[string]any) string {
	id, _ := transport.ParseID(read["id"])
	timestamp, _ := read["_timestamp"].(string)
	return model + "," + id + "=" + timestamp
}

// timestampsOf is a version as Tryton compares it: of each record that a call
// writes or deletes, children included, in the same transaction.
func timestampsOf(version string) map[string]any {
	held := map[string]any{}
	for part := range strings.FieldsSeq(version) {
		if name, timestamp, ok := strings.Cut(part, "="); ok && timestamp != "" {
			held[name] = timestamp
		}
	}
	return held
}
