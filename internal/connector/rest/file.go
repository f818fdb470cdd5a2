package rest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/format"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// hopeless is how many rows, all of them bad, are no rows but another kind of file.
const hopeless = 20

// mostRows is how large pages grow that a server sends no parts for.
const mostRows = 10_000

// neighbours is how many ids of the page before are remembered.
const neighbours = 20

// filePlace is a place in a file: a page of rows ends there.
type filePlace struct {
	// Since is what was asked for, unix milliseconds; 0: everything.
	Since int64 `json:"s,omitempty"`
	Size  int   `json:"l"`
	// Fixed keeps the size as it was asked for.
	Fixed bool `json:"x,omitempty"`
	// Offset is the byte that the next row begins with, Line its line; 0: the beginning.
	Offset int64 `json:"o,omitempty"`
	Line   int   `json:"n,omitempty"`
	// Heads are the columns, Encoding the file's.
	Heads    []string `json:"h,omitempty"`
	Encoding string   `json:"c,omitempty"`
	// Version is the file's ETag or Last-Modified; Before is the sum of the Reach
	// bytes before Offset. Where either is another one now, the listing begins anew.
	Version string `json:"v,omitempty"`
	Before  uint32 `json:"b,omitempty"`
	Reach   int    `json:"w,omitempty"`
	// Last are the sums of the last ids: rows of one id stand side by side.
	Last []uint64 `json:"i,omitempty"`
	// Anew is how often it began again.
	Anew int `json:"r,omitempty"`
}

func (p filePlace) encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // a struct of numbers and texts always encodes
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// errMoved is the end of a page whose file is not the one of the page before.
var errMoved = errors.New("the file has changed")

// listFile reads a page of the rows of a CSV file. Each page is a call of its own
// that goes on where the one before ended: by Range where the server knows that,
// else by reading over what was read.
func (c *client) listFile(ctx context.Context, object *manifest.Object, listing *manifest.Listing, at filePlace) (connector.Page, error) {
	for {
		page, err := c.filePage(ctx, object, listing, at)
		coded := fault.As(err)
		moved := errors.Is(err, errMoved) || coded != nil && coded.Status == http.StatusRequestedRangeNotSatisfiable
		if !moved {
			return page, err
		}
		if at.Offset == 0 || at.Anew >= maxAnew {
			return connector.Page{}, fault.New(fault.Transient, "the file of %s changes faster than %s can be read; it is tried again", object.Name, c.title)
		}
		at = filePlace{Since: at.Since, Size: at.Size, Fixed: at.Fixed, Anew: at.Anew + 1}
	}
}

// fileAt is where a listing of a file begins or goes on.
func (c *client) fileAt(object *manifest.Object, request connector.ListRequest) (filePlace, *manifest.Listing, error) {
	listing := object.List
	at := filePlace{}
	if request.Cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(request.Cursor)
		if err == nil {
			err = json.Unmarshal(text, &at)
		}
		if err != nil || at.Offset < 0 || at.Line < 0 || at.Size < 1 || at.Since < 0 || at.Reach < 0 || int64(at.Reach) > at.Offset || at.Reach > format.Reach ||
			at.Offset > 0 && (at.Line < 1 || len(at.Heads) == 0) {
			return at, nil, fault.New(fault.Usage, "the listing's cursor is not one of %s; start the listing anew", c.title)
		}
	}
	if changes := object.ChangesBy(); changes != nil && (at.Since != 0 || request.Cursor == "" && !request.Since.IsZero() && c.cfg.Capabilities.UpdatedFilter) {
		listing = changes
		if request.Cursor == "" {
			at.Since = max(1, request.Since.UnixMilli())
		}
	}
	if request.Cursor == "" {
		at.Size = listing.Size
		if request.Limit > 0 {
			at.Size, at.Fixed = min(request.Limit, listing.Size), true
		}
	}
	return at, listing, nil
}

// fileCall is the call for the rest of a file.
func (c *client) fileCall(object *manifest.Object, request *manifest.Request, listing *manifest.Listing, at filePlace) (transport.Call, error) {
	values := valuesOf(object)
	values["size"] = at.Size
	if at.Since != 0 && listing != nil {
		since := time.UnixMilli(at.Since)
		if listing.After {
			since = since.Add(-max(c.cfg.Capabilities.Granularity, step(listing.Since)))
		}
		values["since"] = stamp(since, listing.Since)
	}
	call, err := c.call(request, values, object.Name)
	if err != nil {
		return call, err
	}
	if at.Offset > 0 {
		call.Header.Set("Range", fmt.Sprintf("bytes=%d-", at.Offset-int64(at.Reach)))
		if at.Version != "" {
			call.Header.Set("If-Range", at.Version)
		}
	}
	return c.dressed(call, object, request)
}

func (c *client) filePage(ctx context.Context, object *manifest.Object, listing *manifest.Listing, at filePlace) (connector.Page, error) {
	call, err := c.fileCall(object, &listing.Request, listing, at)
	if err != nil {
		return connector.Page{}, err
	}
	page := connector.Page{Total: -1, Whole: at.Since == 0}
	var moved error
	err = c.api.Stream(ctx, call, func(reply transport.Reply, body io.Reader) error {
		page.ServerTime = reply.ServerTime
		reading, err := c.fileFrom(object, reply, body, at)
		if errors.Is(err, errMoved) {
			moved = err
			return nil
		}
		if err != nil {
			return err
		}
		return reading.page(&page)
	})
	if moved != nil {
		return connector.Page{}, moved
	}
	return page, reads(err)
}

// fileReading reads the rows of one file.
type fileReading struct {
	client *client
	object *manifest.Object
	rows   *format.Rows
	body   io.Reader
	place  filePlace
	// seen are the ids of the page, before the sums of the last ones of the page before.
	seen   map[string]bool
	before map[uint64]bool
}

// fileFrom goes to the place in the file, and makes sure that it is still there.
func (c *client) fileFrom(object *manifest.Object, reply transport.Reply, body io.Reader, at filePlace) (*fileReading, error) {
	version := reply.Header.Get("ETag")
	if version == "" || strings.HasPrefix(version, "W/") {
		version = reply.Header.Get("Last-Modified")
	}
	reading := &fileReading{client: c, object: object, body: body, place: at, seen: map[string]bool{}, before: map[uint64]bool{}}
	for _, sum := range at.Last {
		reading.before[sum] = true
	}
	if at.Offset > 0 {
		if at.Version != "" && version != at.Version {
			return nil, errMoved
		}
		return reading, reading.resume(reply, at)
	}
	var err error
	reading.rows, err = format.Start(body, reply.Header.Get("Content-Type"), object.CSV.Encoding, object.CSV.Comma())
	if err != nil {
		return nil, err
	}
	reading.place.Version, reading.place.Encoding = version, reading.rows.Encoding()
	return reading, reading.heads()
}

// resume reads over what was read, and the last bytes of that once more. Each page of a
// server that knows no parts costs what was read before it: the next one is twice as
// large, so that up to mostRows the whole costs no more than a few files.
func (f *fileReading) resume(reply transport.Reply, at filePlace) error {
	skip := at.Offset - int64(at.Reach)
	if reply.Status == http.StatusPartialContent {
		unit, said, _ := strings.Cut(reply.Header.Get("Content-Range"), " ")
		from, _, _ := strings.Cut(said, "-")
		if begins, err := strconv.ParseInt(from, 10, 64); err != nil || unit != "bytes" || begins != skip {
			return fault.New(fault.Transient, "%s answered another part of the file than it was asked for", f.client.title)
		}
	} else if _, err := io.CopyN(io.Discard, f.body, skip); err != nil {
		return ended(err)
	} else if !f.place.Fixed {
		f.place.Size = max(f.place.Size, min(2*f.place.Size, mostRows))
	}
	known := make([]byte, at.Reach)
	if _, err := io.ReadFull(f.body, known); err != nil {
		return ended(err)
	}
	if sumOf(string(known)) != at.Before {
		return errMoved
	}
	f.rows = format.NewRows(f.body, at.Encoding, f.object.CSV.Comma(), at.Line, at.Offset, known)
	f.rows.Columns = len(at.Heads)
	return nil
}

// ended tells a file that is shorter now from a broken connection.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errMoved
	}
	return err
}

// heads reads the header row, where the file has one.
func (f *fileReading) heads() error {
	f.place.Heads = f.object.CSV.Columns
	if !f.object.CSV.Header {
		f.rows.Columns = len(f.place.Heads)
		return nil
	}
	row, err := f.rows.Next()
	if err == nil && len(row.Cells) == 1 && strings.HasPrefix(strings.ToLower(row.Cells[0]), "sep=") {
		row, err = f.rows.Next() // what a spreadsheet writes for itself
	}
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "the file of %s is empty: not even its header row is there", f.object.Name)
	}
	if err != nil {
		return err
	}
	if f.place.Heads, err = format.Heads(row); err != nil {
		return err
	}
	if !slices.Contains(f.place.Heads, f.object.Records.ID) {
		return fault.New(fault.Invalid, "the file of %s has no column %s among its %d columns; is its delimiter %q?",
			f.object.Name, f.object.Records.ID, len(f.place.Heads), f.object.CSV.Delimiter)
	}
	f.rows.Columns = len(f.place.Heads)
	return nil
}

// page reads as many rows as a page has.
func (f *fileReading) page(page *connector.Page) error {
	for range f.place.Size {
		row, err := f.rows.Next()
		if errors.Is(err, io.EOF) {
			return f.plausible(page)
		}
		if err != nil {
			return err
		}
		if found, bad := f.read(row); bad != nil {
			page.Bad = append(page.Bad, *bad)
		} else {
			page.Records = append(page.Records, found)
		}
		f.place.Offset, f.place.Line = row.End, f.rows.Line()
	}
	tail := f.rows.Tail()
	if _, err := f.rows.Next(); errors.Is(err, io.EOF) {
		return f.plausible(page)
	} else if err != nil {
		return err
	}
	f.place.Before, f.place.Reach = sumOf(string(tail)), len(tail)
	page.Next = f.place.encode()
	return f.plausible(page)
}

// plausible refuses a file of which nothing can be read: that is no bad row.
func (f *fileReading) plausible(page *connector.Page) error {
	if len(page.Records) == 0 && len(page.Bad) >= hopeless {
		return fault.New(fault.Invalid, "no row of the file of %s can be read (line %d: %s); is it the file, the delimiter and the encoding that the manifest says?",
			f.object.Name, page.Bad[0].Line, page.Bad[0].Reason)
	}
	return nil
}

// read makes a record of a row, or tells why there is none.
func (f *fileReading) read(row format.Row) (record.Record, *connector.BadRow) {
	found, bad := f.recordOf(row)
	if bad != nil {
		bad.Line, bad.Mark = row.Line, row.Mark
	}
	return found, bad
}

func (f *fileReading) recordOf(row format.Row) (record.Record, *connector.BadRow) {
	fields, field, bad := format.Object(row, f.place.Heads, f.object.CSV, f.object.Types)
	if fields == nil {
		return record.Record{}, &connector.BadRow{Field: field, Reason: bad}
	}
	found, ok := f.client.row(f.object, fields, nil)
	switch {
	case !ok:
		return found, &connector.BadRow{Field: f.object.Records.ID, Reason: "it has no id"}
	case bad != "":
		return found, &connector.BadRow{ID: found.Ref.ID, Field: field, Reason: bad}
	}
	sum := fnv.New64a()
	_, _ = io.WriteString(sum, found.Ref.ID) // a hash takes everything
	if f.seen[found.Ref.ID] || f.before[sum.Sum64()] {
		return found, &connector.BadRow{Field: f.object.Records.ID, Reason: "its id is that of an earlier line"}
	}
	f.seen[found.Ref.ID] = true
	f.place.Last = append(f.place.Last[max(0, len(f.place.Last)-neighbours+1):len(f.place.Last):len(f.place.Last)], sum.Sum64())
	return found, nil
}

// getFile looks for one record in a file. It is believed not to be there only if
// each row could be read that might have been it.
func (c *client) getFile(ctx context.Context, object *manifest.Object, id string) (record.Record, error) {
	subject := record.Ref{Side: c.cfg.Side, Object: object.Name, ID: id}
	call, err := c.fileCall(object, &object.Get.Request, nil, filePlace{Size: 1})
	if err != nil {
		return record.Record{}, err
	}
	var found []record.Record
	var doubt *connector.BadRow
	err = c.api.Stream(ctx, call, func(reply transport.Reply, body io.Reader) error {
		reading, err := c.fileFrom(object, reply, body, filePlace{})
		if err != nil {
			return err
		}
		for {
			row, err := reading.rows.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			one, bad := reading.read(row)
			clear(reading.seen) // one id counts, below
			switch {
			case bad != nil && (bad.ID == "" || bad.ID == id) && (doubt == nil || bad.ID == id):
				doubt = bad
			case bad == nil && one.Ref.ID == id:
				found = append(found, one)
			}
		}
	})
	switch {
	case err != nil:
		return record.Record{}, reads(err)
	case len(found) > 1:
		return record.Record{}, fault.New(fault.Invalid, "%d rows of the file have this id; correct the file", len(found)).On(subject)
	case len(found) == 1:
		return found[0], nil
	case doubt != nil:
		return record.Record{}, fault.New(fault.Invalid, "it is not in the file, but line %d of it cannot be read (%s); correct the file", doubt.Line, doubt.Reason).On(subject)
	}
	return record.Record{}, fault.New(fault.Gone, "the file of %s has no such record", c.title).On(subject)
}
