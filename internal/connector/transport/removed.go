package transport

import "github.com/accord-sync/accord/internal/record"

// Removed reports whether a row says of itself that its record was deleted: a time
// under deleted_at, or true under deleted or is_deleted. Servers that keep such rows
// may go on listing them, and answering them by their ids.
func Removed(fields record.Fields) bool {
	_, at := ParseTime(fields["deleted_at"])
	return at || fields["deleted"] == true || fields["is_deleted"] == true
}

// MergedInto is the id of the record that a row says it was merged into.
func MergedInto(fields record.Fields) (id string, merged bool) {
	own, _ := ParseID(fields["id"])
	id, merged = ParseID(fields["merged_into"])
	return id, merged && id != own
}

// Living leaves out the rows of records that are none any more.
func Living(rows []record.Record) []record.Record {
	living := make([]record.Record, 0, len(rows))
	for _, row := range rows {
		if _, merged := MergedInto(row.Fields); !merged && !Removed(row.Fields) {
			living = append(living, row)
		}
	}
	return living
}

// maxMerged bounds how often a record that was merged into another leads on.
const maxMerged = 3

// Present turns what a server answers for an id into the record that it stands for: a
// row that says it was merged leads on to the survivor, and one that says it was
// deleted is fault.Gone.
func Present(got record.Record, title string, get func(id string) (record.Record, error)) (record.Record, error) {
	for range maxMerged {
		survivor, merged := MergedInto(got.Fields)
		if !merged {
			break
		}
		var err error
		if got, err = get(survivor); err != nil {
			return record.Record{}, err
		}
	}
	if _, merged := MergedInto(got.Fields); merged || Removed(got.Fields) {
		return record.Record{}, gone(title).On(got.Ref)
	}
	return got, nil
}
