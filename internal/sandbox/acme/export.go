package acme

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/front"
	"github.com/accord-sync/accord/internal/sandbox/wire"
	"github.com/accord-sync/accord/internal/sandbox/world"
)

// export answers GET /export/{object}.csv: all records, or those changed since, in
// one file with a header row, in the order of their ids. It knows Range and If-Range
// while the switch csv_ranges is on.
func (s *Server) export(t *world.Table) handler {
	return func(r *front.Request) front.Response {
		r.Call.Object = t.Schema.Name
		_, _, from, wrong := paging(r.URL.Query(), "updated_since")
		if wrong != "" {
			return badRequest(wrong)
		}
		sw := s.World.Switches()
		if sw.UpdatedAfter == wire.FilterIgnored {
			from = time.Time{}
		}
		file := s.file(t, from)
		sum := sha256.Sum256(file)
		tag := `"` + hex.EncodeToString(sum[:8]) + `"`
		res := front.Response{Status: http.StatusOK, Body: file, Header: map[string]string{
			"Content-Type": "text/csv; charset=" + sw.Encoding, "ETag": tag}}
		if !sw.CSVRanges {
			return res
		}
		res.Header["Accept-Ranges"] = "bytes"
		begins, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
		begins, open := strings.CutSuffix(begins, "-")
		first, err := strconv.Atoi(begins)
		if same := r.Header.Get("If-Range"); !ok || !open || err != nil || same != "" && same != tag {
			return res
		}
		if first >= len(file) {
			res.Status, res.Body = http.StatusRequestedRangeNotSatisfiable, nil
			res.Header["Content-Range"] = fmt.Sprintf("bytes */%d", len(file))
			return res
		}
		res.Status, res.Body = http.StatusPartialContent, file[first:]
		res.Header["Content-Range"] = fmt.Sprintf("bytes %d-%d/%d", first, len(file)-1, len(file))
		return res
	}
}

// columns are those of an object's file.
func columns(schema *world.Schema) []string {
	names := []string{"id"}
	for _, field := range schema.Fields {
		if field.Type != world.Object && field.Type != world.List {
			names = append(names, field.Name)
		}
	}
	return append(names, "created_at", "updated_at")
}

// file writes the records, the spoiled ones as they are spoiled.
func (s *Server) file(t *world.Table, from time.Time) []byte {
	sw := s.World.Switches()
	recs, _ := t.List(world.Query{Sort: world.ByUpdated, UpdatedFrom: from, Limit: 1 << 30})
	slices.SortFunc(recs, func(a, b *world.Record) int { return strings.Compare(a.ID, b.ID) })
	names := columns(t.Schema)
	spoiled := map[string]string{}
	for _, one := range s.World.BadRows() {
		if one.Object == t.Schema.Name {
			spoiled[one.ID] = one.Kind
		}
	}
	file := encoded(strings.Join(names, sw.CSVDelimiter)+"\r\n", sw.Encoding, question)
	for _, rec := range recs {
		shown := s.render(rec)
		cells := make([]string, 0, len(names))
		for _, name := range names {
			cells = append(cells, cell(shown[name], sw.CSVDelimiter))
		}
		file = append(file, s.line(cells, spoiled[rec.ID])...)
	}
	return file
}

// line writes one row.
func (s *Server) line(cells []string, kind string) []byte {
	sw := s.World.Switches()
	whole := func(cells []string) []byte { return bare(strings.Join(cells, sw.CSVDelimiter)+"\r\n", sw.Encoding) }
	switch kind {
	case wire.RowColumns:
		return whole(cells[:len(cells)-1])
	case wire.RowNoID:
		return whole(append([]string{""}, cells[1:]...))
	case wire.RowQuote:
		return whole(append([]string{cells[0], `"` + cells[1]}, cells[2:]...))
	case wire.RowTwice:
		return append(whole(cells), whole(cells)...)
	case wire.RowEncoding:
		// Half of a character, in whatever encoding.
		return append(append(bare(cells[0]+sw.CSVDelimiter, sw.Encoding), 0xc3, 0x28, 0x81), whole(cells[2:])...)
	}
	return whole(cells)
}

// bare is a text in an encoding without a byte order mark.
func bare(text, name string) []byte {
	out := encoded(text, name, question)
	if name == wire.EncodingUTF16 {
		return out[2:]
	}
	return out
}

func question(rune) string { return "?" }

// cell is a value as it stands in the file.
func cell(value any, delimiter string) string {
	text := ""
	switch typed := value.(type) {
	case string:
		text = typed
	case json.Number:
		text = typed.String()
		if delimiter == ";" {
			text = strings.Replace(text, ".", ",", 1) // as a spreadsheet of those countries does
		}
	case bool:
		text = strconv.FormatBool(typed)
	case []any:
		var list []string
		for _, one := range typed {
			list = append(list, fmt.Sprint(one))
		}
		text = strings.Join(list, "|")
	}
	if strings.ContainsAny(text, "\"\r\n"+delimiter) {
		return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	return text
}
