package trial

import (
	"maps"
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// writing makes a record of the fields given, edits it and deletes it again.
func (t *trial) writing() {
	fields := t.Write[t.name]
	switch {
	case t.object.Create == nil:
		t.skip("create", "it is only read")
		return
	case len(fields) == 0:
		t.skip("create", "nothing was written: that takes --write, and --set with its fields")
		return
	}
	made, err := t.Connector.Create(t.ctx, t.name, fields, connector.WriteOptions{})
	if err != nil {
		mend := "create: path, wrap and row"
		if maybe := fault.As(err); maybe != nil && maybe.MaybeApplied {
			mend += "; look whether the record was made, and delete it"
		}
		t.wrong("create", err, mend)
		return
	}
	if lost := differing(fields, made); len(lost) > 0 {
		t.say("create", Wrong, "the new record does not hold what was sent at "+strings.Join(lost, ", "), "create: wrap, and the paths of the fields; what the server changes by itself is `lossy` in the mapping")
	} else {
		t.ok("create", "%s was made of %d fields", made.Ref.ID, len(fields))
	}
	t.duplicate(fields, made)
	t.update(fields, made)
	t.remove(made)
}

// differing lists the paths at which a record does not hold what was sent.
func differing(fields map[string]any, held record.Record) []string {
	var lost []string
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		value, _ := held.Fields.Get(path)
		if record.Fingerprint(map[string]any{"v": value}) != record.Fingerprint(map[string]any{"v": fields[path]}) {
			lost = append(lost, path)
		}
	}
	return lost
}

// duplicate makes the record once more where the server keeps a field unique.
func (t *trial) duplicate(fields map[string]any, made record.Record) {
	unique := ""
	for _, path := range t.Manifest.Capabilities.Unique {
		if _, given := fields[path]; given {
			unique = path
		}
	}
	if unique == "" {
		return
	}
	second, err := t.Connector.Create(t.ctx, t.name, fields, connector.WriteOptions{})
	switch {
	case err == nil:
		t.say("duplicate", Wrong, "a second record with the same "+unique+" was made", "capabilities.unique")
		t.remove(second)
	case !fault.Is(err, fault.Duplicate):
		t.say("duplicate", Wrong, text(err), "errors.cases: a row with means: duplicate")
	case t.Manifest.Errors.ExistingID != "" && fault.As(err).ExistingID != made.Ref.ID:
		t.say("duplicate", Wrong, "the refusal does not point to the record that is there", "errors.existing_id and existing_match")
	default:
		t.ok("duplicate", "a second one with the same %s is refused, and understood", unique)
	}
}

// update writes one field again, and then with a version that is too old.
func (t *trial) update(fields map[string]any, made record.Record) {
	path := ""
	for _, candidate := range slices.Sorted(maps.Keys(fields)) {
		if _, isText := fields[candidate].(string); isText && !slices.Contains(t.Manifest.Capabilities.Unique, candidate) {
			path = candidate
			break
		}
	}
	if path == "" {
		t.skip("update", "no text field beside the unique ones was given")
		return
	}
	before, _ := fields[path].(string)
	options := connector.WriteOptions{IfMatch: made.Version}
	edited, err := t.Connector.Update(t.ctx, made, map[string]any{path: before + " edited"}, options)
	if err != nil {
		t.wrong("update", err, "update: method, path and wrap; records.version_form")
		return
	}
	others := maps.Clone(fields)
	others[path] = before + " edited"
	if lost := differing(others, edited); len(lost) > 0 {
		t.say("update", Wrong, "after the edit the record does not hold what it should at "+strings.Join(lost, ", "), "update: method and wrap; capabilities.custom_fields and merged")
	} else {
		t.ok("update", "%s was edited, and everything else stayed", path)
	}
	if !t.Manifest.Capabilities.Versions {
		return
	}
	switch _, err = t.Connector.Update(t.ctx, made, map[string]any{path: before}, options); {
	case err == nil:
		t.say("stale", Wrong, "an edit with the version of before was taken", "capabilities.versions: does the server honour If-Match? records.version_form")
	case !fault.Is(err, fault.Stale):
		t.say("stale", Wrong, text(err), "errors.cases: a row with means: stale")
	default:
		t.ok("stale", "an edit with the version of before is refused, and understood")
	}
}

// remove deletes what was made, and looks whether it is gone.
func (t *trial) remove(made record.Record) {
	if t.object.Delete == nil {
		t.skip("delete", "the manifest does not say how; %s stays in the system", made.Ref.ID)
		return
	}
	if err := t.Connector.Delete(t.ctx, t.name, made.Ref.ID, connector.WriteOptions{}); err != nil {
		t.wrong("delete", err, "delete: method and path; "+made.Ref.ID+" stays in the system")
		return
	}
	switch _, err := t.Connector.Get(t.ctx, t.name, made.Ref.ID); {
	case err == nil:
		t.say("delete", Wrong, made.Ref.ID+" still answers", "delete: method and path. If deleted records go on answering, a delete cannot be seen")
	case !fault.Is(err, fault.Gone):
		t.say("delete", Wrong, text(err), "errors.cases: a row with means: gone for records that were deleted")
	default:
		t.ok("delete", "%s is gone", made.Ref.ID)
	}
}

// text of an error for people.
func text(err error) string {
	if coded := fault.As(err); coded != nil {
		return coded.Error()
	}
	return "an unexpected error"
}
