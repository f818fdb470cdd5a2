package caldav

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

// survey is what a listing is about to read: the objects of the calendar, or those
// that changed, in the order of their keys, which no edit and no delete moves.
type survey struct {
	rows []resource
	// at is the server's time, taken our time of it.
	at, taken time.Time
}

// mark is a sync token with a time before which it was surely given: it tells all
// that changed since then, and perhaps not what changed before.
type mark struct {
	at    time.Time
	token string
}

// memory spares calls: a listing that is resumed elsewhere makes its survey again,
// and without a token everything is surveyed.
type memory struct {
	mu      sync.Mutex
	surveys map[int64]survey
	marks   []mark
}

const (
	// surveyLife is how long a survey serves the pages of its listing.
	surveyLife = 10 * time.Minute
	maxSurveys = 8
	// maxMarks tokens, one each markEvery, reach further back than polls overlap.
	maxMarks  = 64
	markEvery = 20 * time.Second
	// markDoubt is how much later than its answer says a token may have been given.
	markDoubt = time.Minute
	// maxSteps bounds a report of changes that comes in parts.
	maxSteps = 100
)

// key places an object in a listing without telling its name.
func key(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// place is where a listing stands.
type place struct {
	since time.Time
	size  int
	// after is the key of the last object read.
	after string
}

func (p place) text() string {
	return strings.Join([]string{"c1", strconv.FormatInt(stampOf(p.since), 10), strconv.Itoa(p.size), p.after}, ".")
}

func stampOf(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMicro()
}

func readPlace(cursor string) (place, error) {
	parts := strings.Split(cursor, ".")
	if len(parts) == 4 && parts[0] == "c1" {
		since, err := strconv.ParseInt(parts[1], 10, 64)
		size, sizeErr := strconv.Atoi(parts[2])
		after, keyErr := hex.DecodeString(parts[3])
		if err == nil && sizeErr == nil && keyErr == nil && len(after) == 8 && since >= 0 && size > 0 && size <= maxPage {
			at := place{size: size, after: parts[3]}
			if since > 0 {
				at.since = time.UnixMicro(since).UTC()
			}
			return at, nil
		}
	}
	return place{}, fault.New(fault.Usage, "the listing's cursor is not one of a calendar; start the listing anew")
}

// List reads a page of events. What changed since is found by a sync token of an
// earlier listing of this process if there is one old enough, else by the server's
// times of change in a full survey. Tasks, and what is no readable iCalendar, are
// left out: read by itself, such an object says what is wrong with it.
func (c *client) List(ctx context.Context, request connector.ListRequest) (connector.Page, error) {
	if err := known(request.Object); err != nil {
		return connector.Page{}, err
	}
	at := place{since: request.Since, size: maxPage}
	if request.Limit > 0 && request.Limit < maxPage {
		at.size = request.Limit
	}
	if request.Cursor != "" {
		var err error
		if at, err = readPlace(request.Cursor); err != nil {
			return connector.Page{}, err
		}
	}
	surveyed, err := c.survey(ctx, at.since, request.Cursor != "")
	if err != nil {
		return connector.Page{}, err
	}
	from := 0
	if at.after != "" {
		from, _ = slices.BinarySearchFunc(surveyed.rows, at.after, func(row resource, after string) int { return strings.Compare(key(row.name), after) })
		for from < len(surveyed.rows) && key(surveyed.rows[from].name) == at.after {
			from++
		}
	}
	rows := surveyed.rows[from:min(from+at.size, len(surveyed.rows))]
	page := connector.Page{Total: -1, ServerTime: surveyed.at}
	if at.since.IsZero() {
		page.Total = len(surveyed.rows)
	}
	if page.Records, err = c.records(ctx, rows); err != nil {
		return connector.Page{}, err
	}
	if from+len(rows) < len(surveyed.rows) {
		page.Next = place{since: at.since, size: at.size, after: key(rows[len(rows)-1].name)}.text()
	}
	return page, nil
}

// survey finds the objects of a listing; kept: one that was made for its earlier
// pages will do. What appears after it was made belongs to the next listing.
func (c *client) survey(ctx context.Context, since time.Time, kept bool) (survey, error) {
	c.memory.mu.Lock()
	held, ok := c.memory.surveys[stampOf(since)]
	from, hasMark := c.memory.before(since)
	c.memory.mu.Unlock()
	if kept && ok && c.cfg.Now().Sub(held.taken) < surveyLife {
		return held, nil
	}
	made, next := survey{}, mark{}
	var err error
	if hasMark {
		made, _, next, err = c.changes(ctx, from.token)
	}
	if !hasMark || tokenRefused(err) {
		made, next, err = c.everything(ctx, since)
	}
	if err != nil {
		return survey{}, err
	}
	made.taken = c.cfg.Now()
	slices.SortFunc(made.rows, func(a, b resource) int { return strings.Compare(key(a.name), key(b.name)) })
	c.memory.keep(stampOf(since), made, next)
	return made, nil
}

// tokenRefused reports whether the server does not know a token any more, or knows
// no such report (RFC 6578, 3.2).
func tokenRefused(err error) bool {
	coded := fault.As(err)
	return coded != nil && (coded.VendorCode == "valid-sync-token" || coded.VendorCode == "supported-report" ||
		fault.Is(err, fault.Forbidden, fault.Invalid, fault.Stale))
}

// before is the newest token that was given at or before a time.
func (m *memory) before(at time.Time) (mark, bool) {
	for n := len(m.marks) - 1; n >= 0; n-- {
		if !at.IsZero() && !m.marks[n].at.After(at) {
			return m.marks[n], true
		}
	}
	return mark{}, false
}

func (m *memory) keep(since int64, made survey, next mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.surveys == nil || len(m.surveys) >= maxSurveys {
		m.surveys = map[int64]survey{}
	}
	m.surveys[since] = made
	m.add(next)
}

func (m *memory) add(next mark) {
	if next.token == "" || next.at.IsZero() || len(m.marks) > 0 && next.at.Sub(m.marks[len(m.marks)-1].at) < markEvery {
		return
	}
	if m.marks = append(m.marks, next); len(m.marks) > maxMarks {
		m.marks = m.marks[1:]
	}
}

// everything surveys the whole calendar and leaves out what the server says has
// not changed since.
func (c *client) everything(ctx context.Context, since time.Time) (survey, mark, error) {
	answer, reply, err := c.ask(ctx, "PROPFIND", "1", askListing, objectName)
	if err != nil {
		return survey{}, mark{}, err
	}
	made := survey{at: reply.ServerTime}
	since = since.Truncate(time.Second)
	for _, one := range answer.Responses {
		row, ok := one.read()
		if ok && !row.gone && (row.modified.IsZero() || !row.modified.Before(since)) {
			made.rows = append(made.rows, row)
		}
	}
	token, isCalendar := answer.itself()
	if !isCalendar {
		coded := fault.New(fault.Transient, "base_url is not the address of a calendar; correct it")
		coded.Subject, coded.Status = objectName, reply.Status
		return survey{}, mark{}, coded
	}
	if reply.ServerTime.IsZero() {
		return made, mark{}, nil
	}
	return made, mark{at: reply.ServerTime.Add(markDoubt), token: token}, nil
}

// changes surveys what changed after a token was given, and names what is gone.
// An empty token stands for everything.
func (c *client) changes(ctx context.Context, token string) (made survey, gone []string, next mark, err error) {
	for range maxSteps {
		answer, reply, err := c.ask(ctx, "REPORT", "0", askChanges(token), objectName)
		if err != nil {
			return survey{}, nil, mark{}, err
		}
		if made.at.IsZero() {
			made.at = reply.ServerTime
		}
		more := false
		for _, one := range answer.Responses {
			row, ok := one.read()
			switch {
			case !ok:
				// The calendar itself: 507 says that this is a part (RFC 6578, 3.6).
				more = more || status(one.Status) == "507"
			case row.gone:
				gone = append(gone, row.name)
			default:
				made.rows = append(made.rows, row)
			}
		}
		if strings.TrimSpace(answer.Token) == "" {
			coded := fault.New(fault.Transient, "%s answered its changes without a token; they are asked for again", title)
			coded.Subject, coded.Status = objectName, reply.Status
			return survey{}, nil, mark{}, coded
		}
		token = strings.TrimSpace(answer.Token)
		if !more {
			if !made.at.IsZero() {
				next = mark{at: made.at.Add(markDoubt), token: token}
			}
			return made, gone, next, nil
		}
	}
	return survey{}, nil, mark{}, fault.New(fault.Transient, "%s tells its changes in endless parts; they are asked for again", title)
}

// Deleted names the events that are gone, by the sync token that is old enough, or
// by none: some servers tell then too what was deleted. Hints only.
func (c *client) Deleted(ctx context.Context, object string, since time.Time, _ string) ([]string, string, error) {
	if err := known(object); err != nil {
		return nil, "", err
	}
	c.memory.mu.Lock()
	from, hasMark := c.memory.before(since)
	c.memory.mu.Unlock()
	_, gone, next, err := c.changes(ctx, from.token)
	if hasMark && tokenRefused(err) {
		_, gone, next, err = c.changes(ctx, "")
	}
	if tokenRefused(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	c.memory.mu.Lock()
	c.memory.add(next)
	c.memory.mu.Unlock()
	return gone, "", nil
}

// records reads the events behind rows, in halves where the answer would be too large.
func (c *client) records(ctx context.Context, rows []resource) ([]record.Record, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	names := make([]string, 0, len(rows))
	for _, row := range rows {
		names = append(names, row.name)
	}
	found, _, err := c.objects(ctx, names, objectName)
	if fault.Is(err, fault.TooLarge) && len(rows) > 1 {
		first, err := c.records(ctx, rows[:len(rows)/2])
		if err != nil {
			return nil, err
		}
		second, err := c.records(ctx, rows[len(rows)/2:])
		return append(first, second...), err
	}
	if err != nil {
		return nil, err
	}
	var records []record.Record
	for _, row := range rows {
		one, ok, err := c.listed(ctx, row, found[row.name])
		if err != nil {
			return nil, err
		}
		if ok {
			records = append(records, one)
		}
	}
	return records, nil
}

// listed makes a record of an object out of a report. What the report lacks (some
// servers leave out the time of the change, or an object altogether) is the
// survey's, if that saw the same version, or is asked for.
func (c *client) listed(ctx context.Context, row, found resource) (record.Record, bool, error) {
	if found.gone {
		return record.Record{}, false, nil
	}
	if found.modified.IsZero() && row.etag == found.etag {
		found.modified = row.modified
	}
	if found.data == "" || found.modified.IsZero() || found.etag == "" {
		read, e, err := c.get(ctx, row.name)
		if fault.Is(err, fault.Gone, fault.Invalid, fault.TooLarge) {
			return record.Record{}, false, nil
		}
		return c.record(read, e), err == nil, err
	}
	e, isEvent, err := parseEvent(found.data)
	if err != nil || !isEvent {
		return record.Record{}, false, nil
	}
	return c.record(found, e), true, nil
}
