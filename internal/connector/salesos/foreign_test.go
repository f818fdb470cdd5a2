package salesos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/salesos"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/record"
)

// quirks are the ways in which a server may fill what the vendor's pages leave open.
type quirks struct {
	// updated and created: honoured, inclusive, ignored or rejected.
	updated, created string
	// sorted: honoured, ignored or rejected.
	sorted string
	// meta: full, none or total.
	meta string
	// cap is the largest page the server gives.
	cap int
	// bare answers lists without an envelope.
	bare bool
	// unpaged ignores page and per_page.
	unpaged bool
}

type lead struct {
	ID, Email        string
	created, updated time.Time
}

// foreign is a listing server of somebody else's making.
type foreign struct {
	quirks
	leads []lead
	calls int
	// date is sent as the Date header; zero: none is.
	date time.Time
}

var _ http.RoundTripper = (*foreign)(nil)

// RoundTrip answers without a network.
func (f *foreign) RoundTrip(request *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	if !f.date.IsZero() {
		recorder.Header().Set("Date", f.date.UTC().Format(http.TimeFormat))
	}
	f.calls++
	f.serve(recorder, request)
	return recorder.Result(), nil
}

func (f *foreign) serve(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	rows := slices.Clone(f.leads)
	for name, mode := range map[string]string{"updated_after": f.updated, "created_after": f.created} {
		bound, err := time.Parse(time.RFC3339, query.Get(name))
		if err != nil || mode == "ignored" {
			continue
		}
		if mode == "rejected" {
			w.WriteHeader(400)
			return
		}
		rows = slices.DeleteFunc(rows, func(l lead) bool {
			at := l.created
			if name == "updated_after" {
				at = l.updated
			}
			return at.Before(bound) || mode == "honoured" && at.Equal(bound)
		})
	}
	if sort := query.Get("sort"); sort != "" && f.sorted != "ignored" {
		if f.sorted == "rejected" {
			w.WriteHeader(422)
			return
		}
		sortLeads(rows, sort)
	}
	f.answer(w, rows, query.Get("page"), query.Get("per_page"))
}

func sortLeads(rows []lead, sort string) {
	slices.SortStableFunc(rows, func(a, b lead) int {
		step := a.created.Compare(b.created)
		if strings.HasSuffix(sort, "updated_at") {
			step = a.updated.Compare(b.updated)
		}
		if strings.HasPrefix(sort, "-") {
			step = -step
		}
		return step
	})
}

func (f *foreign) answer(w http.ResponseWriter, rows []lead, pageText, sizeText string) {
	page, _ := strconv.Atoi(pageText)
	size, _ := strconv.Atoi(sizeText)
	size = min(size, f.cap)
	total := len(rows)
	if !f.unpaged {
		from := min((page-1)*size, total)
		rows = rows[from:min(from+size, total)]
	}
	data := make([]map[string]any, 0, len(rows))
	for _, row := range rows {
		data = append(data, map[string]any{"id": row.ID, "email": row.Email, "extra": []int{1},
			"created_at": row.created.Format(time.RFC3339), "updated_at": row.updated.Format(time.RFC3339)})
	}
	var body any = data
	if !f.bare {
		envelope := map[string]any{"data": data}
		switch f.meta {
		case "full":
			envelope["meta"] = map[string]any{"total": total, "page": page, "per_page": size, "total_pages": (total + size - 1) / size}
		case "total":
			envelope["meta"] = map[string]any{"total": total}
		}
		body = envelope
	}
	_ = json.NewEncoder(w).Encode(body) // a recorder never fails
}

func (f *foreign) open(t require.TestingT, updatedFilter bool) connector.Connector {
	conn, err := salesos.Driver{}.Open(connector.Config{
		Side: record.Left, BaseURL: "http://foreign.example/v1", Auth: connector.Auth{Kind: transport.KindStatic, Token: "sk_live_x"},
		Capabilities: connector.Capabilities{UpdatedFilter: updatedFilter, Granularity: time.Second},
		Objects:      []string{"leads"}, Client: transport.New(transport.Options{Transport: f}),
	})
	require.NoError(t, err)
	return conn
}

// populate makes n leads within span seconds, many of them in the same second.
func (f *foreign) populate(start time.Time, seconds []int) {
	for i, second := range seconds {
		at := start.Add(time.Duration(second) * time.Second)
		f.leads = append(f.leads, lead{ID: fmt.Sprintf("l-%04d", i), Email: fmt.Sprintf("p%d@example.com", i), created: at, updated: at})
	}
	// Created order is the server's own order; updates come in any.
	slices.SortStableFunc(f.leads, func(a, b lead) int { return a.created.Compare(b.created) })
}
