package sqlstore

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// micros is the stored form of a time: microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// timeOf is the opposite of micros, in UTC.
func timeOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// flag is the stored form of a boolean.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// buckets is how finely inbox rows are spread over shards.
const buckets = 64

// bucketOf is the shard bucket of a ref.
func bucketOf(ref record.Ref) int64 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(ref.String())) // a hash never fails
	return int64(hash.Sum32() % buckets)
}

// page is a decoded list request: rows after (at, id), limit of them.
type page struct {
	limit int
	at    int64
	id    string
	// begun is false on the first page.
	begun bool
}

// mark is what a cursor holds.
type mark struct {
	List string `json:"l"`
	At   int64  `json:"a,omitempty"`
	ID   string `json:"i"`
}

// pageOf checks list options. list names the list, so that a cursor of one list
// is refused by another.
func pageOf(list string, options ledger.ListOptions) (page, error) {
	p := page{limit: options.Limit}
	if p.limit == 0 {
		p.limit = 50
	}
	if p.limit < 1 || p.limit > 200 {
		return p, fault.New(fault.Usage, "limit must be 1 to 200, not %d", options.Limit)
	}
	if options.Cursor == "" {
		return p, nil
	}
	var m mark
	text, err := base64.RawURLEncoding.DecodeString(options.Cursor)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil || m.List != list {
		return p, fault.New(fault.Usage, "the cursor is not one of this list; start without a cursor")
	}
	p.at, p.id, p.begun = m.At, m.ID, true
	return p, nil
}

// cursorOf makes the cursor after the row (at, id).
func cursorOf(list string, at int64, id string) string {
	text, _ := json.Marshal(mark{List: list, At: at, ID: id}) // two strings and a number never fail
	return base64.RawURLEncoding.EncodeToString(text)
}

// cut takes a list read with one row too many and returns the page and the
// cursor of the next one.
func cut[T any](items []T, p page, list string, key func(T) (int64, string)) ([]T, string) {
	if len(items) <= p.limit {
		return items, ""
	}
	items = items[:p.limit]
	at, id := key(items[p.limit-1])
	return items, cursorOf(list, at, id)
}
