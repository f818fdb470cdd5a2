package rest_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// prices is a system that has nothing but a file.
const prices = `manifest: prices
title: Prices
auth: {kinds: [none]}
errors: {known: error}
format: csv
csv: {delimiter: ";", decimal: ",", columns: [sku, name, price], lists: {tags: "|"}}
types: {price: number}
records: {id: sku}
list: {path: /prices.csv, size: 3}
get: {path: /prices.csv}
create: {path: /import, returns: nothing}
update: {method: PUT, path: "/import/{id}", returns: nothing}
objects: {prices: {singular: price}}
`

// shelf serves a file, in parts if ranges is on.
type shelf struct {
	mu     sync.Mutex
	file   string
	ranges bool
	tag    bool
	sent   []string
	read   int
}

func (s *shelf) put(file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file = file
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodGet {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			s.sent = append(s.sent, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+string(body))
		}
		w.Header().Set("Location", "/api/import/9")
		w.WriteHeader(http.StatusAccepted)
		return
	}
	s.read++
	w.Header().Set("Content-Type", "text/csv; charset=windows-1252")
	if s.tag {
		w.Header().Set("ETag", strconv.Quote(fmt.Sprint(len(s.file))))
	}
	if s.ranges {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(s.file))
		return
	}
	reply(w, s.file)
}

func (s *shelf) open(t *testing.T) connector.Connector {
	return open(t, prices, s.ServeHTTP, connector.Auth{Kind: transport.KindNone})
}

// pages reads a whole listing; between is called after each page.
func pages(t *testing.T, conn connector.Connector, between func(page int)) (rows []record.Record, bad []connector.BadRow) {
	t.Helper()
	request := connector.ListRequest{Object: "prices"}
	for n := 1; ; n++ {
		require.Less(t, n, 50)
		page, err := conn.List(t.Context(), request)
		require.NoError(t, err)
		require.True(t, page.Whole)
		rows, bad = append(rows, page.Records...), append(bad, page.Bad...)
		if page.Next == "" {
			return rows, bad
		}
		request.Cursor = page.Next
		if between != nil {
			between(n)
		}
	}
}

func idsOf(rows []record.Record) (ids []string) {
	for _, row := range rows {
		ids = append(ids, row.Ref.ID)
	}
	return ids
}

// TestAFileInPages: whatever the server knows of parts, each row is read once, and a
// bad one is told with its line while the rest goes on.
func TestAFileInPages(t *testing.T) {
	const file = "sku;name;price;tags\r\n1;Caf\xe9;1,50;a|b\r\n2;two\r\n3;\"three\r\n;four;4;\r\n5;five;dear;\r\n6;six;6;\r\n6;six;6;\r\n8;eight;;\r\n9;\"ni\nne\";-0,5;\r\n"
	for name, s := range map[string]*shelf{
		"whole": {}, "parts": {ranges: true}, "parts, tagged": {ranges: true, tag: true}, "whole, tagged": {tag: true},
	} {
		t.Run(name, func(t *testing.T) {
			s.put(file)
			rows, bad := pages(t, s.open(t), nil)
			require.Equal(t, []string{"1", "6", "8", "9"}, idsOf(rows))
			require.Equal(t, record.Fields{"sku": "1", "name": "Café", "price": jsonNumber("1.50"), "tags": []any{"a", "b"}}, rows[0].Fields)
			require.Equal(t, "ni\nne", rows[3].Fields["name"])
			marks := map[string]bool{}
			for i := range bad {
				marks[bad[i].Mark], bad[i].Mark = true, ""
			}
			require.Len(t, marks, 5)
			require.Equal(t, []connector.BadRow{
				{Line: 3, Reason: "it has 2 columns, the file has 4"},
				{Line: 4, Reason: "a quote is opened and not closed"},
				{Line: 5, Field: "sku", Reason: "it has no id"},
				{Line: 6, ID: "5", Field: "price", Reason: "price is not a number"},
				{Line: 8, Field: "sku", Reason: "its id is that of an earlier line"},
			}, bad)
		})
	}
}

// TestAFileOfAServerWithoutPartsIsReadInFewPages: each page reads what was before it
// once more, so they grow.
func TestAFileOfAServerWithoutPartsIsReadInFewPages(t *testing.T) {
	var file strings.Builder
	file.WriteString("sku;name;price;tags\n")
	for n := range 6000 {
		fmt.Fprintf(&file, "%d;n%d;1;\n", n, n)
	}
	for name, tagged := range map[string]bool{"tagged": true, "not tagged": false} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{tag: tagged}
			s.put(file.String())
			rows, bad := pages(t, s.open(t), nil)
			require.Empty(t, bad)
			require.Len(t, rows, 6000)
			for n, row := range rows {
				require.Equal(t, strconv.Itoa(n), row.Ref.ID)
			}
			require.Equal(t, 11, s.read, "3 + 6 + 12 + … rows")
		})
	}
	s := &shelf{}
	s.put(file.String())
	conn := s.open(t)
	first, err := conn.List(t.Context(), connector.ListRequest{Object: "prices", Limit: 2})
	require.NoError(t, err)
	second, err := conn.List(t.Context(), connector.ListRequest{Object: "prices", Limit: 2, Cursor: first.Next})
	require.NoError(t, err)
	require.Len(t, second.Records, 2, "who asks for two gets two")
}

// TestAFileThatChangesBetweenPages is read anew: no row is missed.
func TestAFileThatChangesBetweenPages(t *testing.T) {
	rowsOf := func(from, to int) (file string) {
		for i := from; i <= to; i++ {
			file += fmt.Sprintf("%d;row;%d\n", i, i)
		}
		return file
	}
	for name, s := range map[string]*shelf{"whole": {}, "parts": {ranges: true}, "parts, tagged": {ranges: true, tag: true}} {
		for what, after := range map[string]string{
			"rows before are gone": rowsOf(3, 8), "shorter": rowsOf(1, 2), "new in front": "0;new;0\n" + rowsOf(1, 8),
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				s.put("sku;name;price\n" + rowsOf(1, 8))
				middle := 2
				if !s.ranges {
					middle = 1 // the second page has the rest
				}
				rows, bad := pages(t, s.open(t), func(page int) {
					if page == middle {
						s.put("sku;name;price\n" + after)
					}
				})
				require.Empty(t, bad)
				for line := range strings.Lines(after) {
					require.Contains(t, idsOf(rows), line[:1])
				}
			})
		}
	}
}

// TestARecordOfAFile: it is gone only if nothing that cannot be read might be it.
func TestARecordOfAFile(t *testing.T) {
	s := &shelf{}
	conn := s.open(t)
	s.put("sku;name;price\n1;one;1\n2;two;2\n2;two;2\n3;three;x\n")
	got, err := conn.Get(t.Context(), "prices", "1")
	require.NoError(t, err)
	require.Equal(t, "one", got.Fields["name"])
	for id, code := range map[string]fault.Code{"2": fault.Invalid, "3": fault.Invalid, "4": fault.Gone} {
		_, err := conn.Get(t.Context(), "prices", id)
		require.Equal(t, code, fault.CodeOf(err), id)
	}
	s.put("sku;name;price\n1;one\n")
	_, err = conn.Get(t.Context(), "prices", "4")
	require.Equal(t, fault.Invalid, fault.CodeOf(err), "the row that cannot be read may be it")
	require.Contains(t, err.Error(), "line 2")
}

// TestNotTheFile: another kind of file is an error, and never a listing without rows.
func TestNotTheFile(t *testing.T) {
	for name, file := range map[string]string{
		"another delimiter": "sku,name,price\n1,one,1\n", "empty": "", "no id column": "name;price\none;1\n", "two of one name": "sku;name;name\n1;a;b\n",
		"a page": "<html>\n<body>\n</body></html>", "rubbish below a header": "sku;name;price\n" + strings.Repeat("1\n", 40),
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{file: file}
			text := strings.Replace(prices, "size: 3", "size: 50", 1)
			_, err := open(t, text, s.ServeHTTP, connector.Auth{Kind: transport.KindNone}).List(t.Context(), connector.ListRequest{Object: "prices"})
			require.Equal(t, fault.Invalid, fault.CodeOf(err))
			require.False(t, fault.As(err).MaybeApplied)
		})
	}
}

// TestRowsAreSentAsFiles: what is written in CSV is a header row and one row.
func TestRowsAreSentAsFiles(t *testing.T) {
	s := &shelf{file: "sku;name;price\n9;nine;9\n"}
	conn := s.open(t)
	made, err := conn.Create(t.Context(), "prices", map[string]any{"name": "Café; nine", "price": jsonNumber("9.50")}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, "9", made.Ref.ID, "of the Location")
	_, err = conn.Update(t.Context(), made, map[string]any{"price": nil}, connector.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{
		"POST /api/import text/csv; charset=utf-8; header=present name;price\r\n\"Café; nine\";9,50\r\n",
		"PUT /api/import/9 text/csv; charset=utf-8; header=present sku;name;price\r\n9;nine;\r\n",
	}, s.sent)
	_, err = conn.Create(t.Context(), "prices", map[string]any{"colour": "red"}, connector.WriteOptions{})
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
	require.Equal(t, "colour", fault.As(err).Field)
}

// long is a file of so many rows that is nowhere whole.
type long struct{ rows, at int64 }

const width = 64

func (l *long) row(i int64) string {
	if i == 0 {
		return fmt.Sprintf("%-62s\r\n", "sku;name;price")
	}
	return fmt.Sprintf("%08d;%-48s;%04d\r\n", i, "a name that takes some room", i%10_000)
}

func (l *long) Read(p []byte) (int, error) {
	if l.at >= (l.rows+1)*width {
		return 0, io.EOF
	}
	row := l.row(l.at / width)
	n := copy(p, row[l.at%width:])
	l.at += int64(n)
	return n, nil
}

func (l *long) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		l.at = offset
	case io.SeekEnd:
		l.at = (l.rows+1)*width + offset
	}
	return l.at, nil
}

// TestALongFileTakesNoMemory: 300,000 rows in pages of 1,000, each page a call that
// begins where the one before ended.
func TestALongFileTakesNoMemory(t *testing.T) {
	const rows = 300_000
	text := strings.NewReplacer("size: 3", "size: 10000", "types: {price: number}", "types: {price: number}").Replace(prices)
	conn := open(t, text, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(w, r, "", time.Time{}, &long{rows: rows})
	}, connector.Auth{Kind: transport.KindNone})
	request := connector.ListRequest{Object: "prices"}
	var most uint64
	read, calls := 0, 0
	for more := true; more; calls++ {
		page, err := conn.List(t.Context(), request)
		require.NoError(t, err)
		require.Empty(t, page.Bad)
		for i, row := range page.Records {
			require.Equal(t, fmt.Sprintf("%08d", read+i+1), row.Ref.ID)
		}
		read += len(page.Records)
		request.Cursor, more = page.Next, page.Next != ""
		require.Less(t, len(page.Next), 1000)
		page = connector.Page{}
		if calls%5 == 0 {
			var now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	require.Equal(t, rows, read)
	require.Equal(t, 30, calls)
	require.Less(t, most, uint64(64<<20), "bytes held between pages of a file of 19 million")
}

// TestAcmesFile: the contacts of the sandbox, in every encoding, with every fault.
func TestAcmesFile(t *testing.T) {
	for _, encoding := range []string{wire.EncodingUTF8, wire.EncodingLatin, wire.EncodingWindows, wire.EncodingUTF16} {
		t.Run(encoding, func(t *testing.T) {
			s := newServer(t, time.Now, "contacts")
			conn := s.openLegacy(t)
			require.NoError(t, s.admin.SetSwitches(t.Context(), map[string]any{"encoding": encoding}))
			ids := s.Seed(t, 8)
			s.Edit(t, ids[0], map[string]any{"first_name": "Zoë, \"Z\"\nLima", "score": 1.5})
			for i, kind := range []string{wire.RowColumns, wire.RowNoID, wire.RowQuote, wire.RowEncoding, wire.RowTwice} {
				if kind == wire.RowEncoding && encoding != wire.EncodingUTF8 {
					continue // there any byte is a character
				}
				require.NoError(t, s.admin.SpoilRow(t.Context(), wire.BadRow{Object: "contacts", ID: ids[i+1], Kind: kind}))
			}
			page, err := conn.List(t.Context(), connector.ListRequest{Object: "contacts"})
			require.NoError(t, err)
			good := len(ids) - 3
			if encoding == wire.EncodingUTF8 {
				good--
			}
			require.Len(t, page.Records, good)
			require.Len(t, page.Bad, len(ids)-good+1)
			for _, row := range page.Records {
				if row.Ref.ID == ids[0] {
					require.Equal(t, "Zoë, \"Z\"\nLima", row.Fields["first_name"])
					require.Equal(t, jsonNumber("1.5"), row.Fields["score"])
					require.Equal(t, []any{"seed"}, row.Fields["labels"])
				}
			}
			require.NoError(t, s.admin.MendRows(t.Context()))
			page, err = conn.List(t.Context(), connector.ListRequest{Object: "contacts", Since: time.Now().Add(-time.Hour)})
			require.NoError(t, err)
			require.Empty(t, page.Bad)
			require.Len(t, page.Records, len(ids))
			one, err := conn.Get(t.Context(), "contacts", ids[0])
			require.NoError(t, err)
			require.Equal(t, "Zoë, \"Z\"\nLima", one.Fields["first_name"])
		})
	}
}
