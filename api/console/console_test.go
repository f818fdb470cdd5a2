package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/console"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/ledger/sqlstore"
	"github.com/accord-sync/accord/internal/record"
)

// site is a console over a ledger with one connection and some touch-points.
type site struct {
	t       *testing.T
	console *console.Console
	store   *sqlstore.Store
}

func newSite(t *testing.T, points ...ledger.TouchPoint) site {
	ctx := context.Background()
	log := logrus.New()
	log.SetOutput(io.Discard)
	now := func() time.Time { return time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC) }
	store, err := sqlstore.Open(ctx, "sqlite::memory:", sqlstore.Options{Key: []byte("0123456789abcdef0123456789abcdef"), Now: now, Log: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(ctx))
	key := ledger.Key{Tenant: "default", Connection: "cn_1"}
	require.NoError(t, store.CreateConnection(ctx, ledger.Connection{Key: key, Name: "<b>acme</b>", State: ledger.Active, Version: 1}))
	require.NoError(t, store.Commit(ctx, key, ledger.Commit{PutTouchPoints: points}))
	return site{t: t, store: store, console: console.New(console.Options{Store: store, Token: "secret", Tenant: "default", Log: log, Now: now})}
}

func (s site) get(path, password string) (int, http.Header, string) {
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	if password != "" {
		request.SetBasicAuth("anybody", password)
	}
	answer := httptest.NewRecorder()
	s.console.ServeHTTP(answer, request)
	return answer.Code, answer.Header(), answer.Body.String()
}

func point(id, kind, day, user string) ledger.TouchPoint {
	return ledger.TouchPoint{Stream: kind, Ref: record.Ref{Side: record.Right, Object: "calls", ID: id}, Kind: kind, Day: day,
		User: user, UserStream: "users", Customer: "ct_1", CustomerStream: "leads"}
}

const touchPath = "/console/connections/cn_1/touch-points"

func TestOnlyWithTheToken(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/console/", "/console/style.css", touchPath, touchPath + ".csv", "/console/elsewhere"} {
		for _, password := range []string{"", "wrong"} {
			status, header, _ := s.get(path, password)
			require.Equal(t, http.StatusUnauthorized, status, path)
			require.Contains(t, header.Get("WWW-Authenticate"), "Basic")
		}
	}
	open := console.New(console.Options{})
	request := httptest.NewRequest(http.MethodGet, "/console/", http.NoBody)
	request.SetBasicAuth("anybody", "")
	answer := httptest.NewRecorder()
	open.ServeHTTP(answer, request)
	require.Equal(t, http.StatusUnauthorized, answer.Code, "without a token nobody is let in")
}

func TestPagesLoadNothingButTheirStyle(t *testing.T) {
	s := newSite(t, point("1", "call", "2026-03-29", "u1"))
	for _, path := range []string{"/console/", touchPath} {
		status, header, page := s.get(path, "secret")
		require.Equal(t, http.StatusOK, status, page)
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
		require.NotContains(t, page, "<script")
		require.NotContains(t, page, "style=")
		require.NotContains(t, page, "<b>acme</b>")
		require.Contains(t, page, "&lt;b&gt;acme&lt;/b&gt;")
	}
	status, header, _ := s.get("/console/style.css", "secret")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, header.Get("Content-Type"), "text/css")
}

func TestTouchPoints(t *testing.T) {
	s := newSite(t, point("1", "call", "2026-03-29", "u1"), point("2", "call", "2026-03-29", "u1"), point("3", "email", "2026-03-29", "u2"),
		point("4", "email", "2026-03-30", "u2"), point("5", "email", "2026-02-01", ""), point("6", "email", "2026-03-02", ""))
	_, _, page := s.get(touchPath, "secret")
	for _, part := range []string{
		`<input type="date" name="from" value="2026-03-01" required>`, `name="to" value="2026-03-30"`, `<h2 id="by-day">5 by day</h2>`,
		`role="img" aria-labelledby="chart-title chart-text"`, `<title>2026-03-29, call: 2</title>`, `<title>2026-03-30, email: 1</title>`,
		`<th scope="row">2026-03-29</th><td class="count">2</td><td class="count">1</td><td class="count">3</td>`,
		`<th scope="row">u1</th><td>right</td><td class="count">2</td>`, `<th scope="row">nobody</th>`, `<th scope="row">ct_1</th><td>right</td><td class="count">5</td>`,
		`href="` + touchPath + `.csv?from=2026-03-01&amp;to=2026-03-30"`,
	} {
		require.Contains(t, page, part)
	}
	require.Equal(t, 4, strings.Count(page, "<rect x="), "a piece for each kind of each day")
	_, _, page = s.get(touchPath+"?from=2026-02-01&to=2026-02-28&kind=email", "secret")
	require.Contains(t, page, `<h2 id="by-day">1 by day</h2>`)
	_, _, page = s.get(touchPath+"?kind=visit", "secret")
	require.Contains(t, page, "There is none in these days of what was asked for.")
	status, header, table := s.get(touchPath+".csv?user=u1", "secret")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "text/csv; charset=utf-8", header.Get("Content-Type"))
	require.Equal(t, "day,kind,user,user_side,customer,customer_side,count\r\n2026-03-29,call,u1,right,ct_1,right,2\r\n", table)
}

func TestWhatIsRefused(t *testing.T) {
	s := newSite(t)
	for path, want := range map[string]int{
		"/console/connections/cn_2/touch-points":  http.StatusNotFound,
		"/console/elsewhere":                      http.StatusNotFound,
		touchPath + "?from=yesterday":             http.StatusBadRequest,
		touchPath + "?to=31.03.2026":              http.StatusBadRequest,
		touchPath + "?from=2026-04-01":            http.StatusBadRequest,
		touchPath + "?from=2020-01-01":            http.StatusBadRequest,
		touchPath + ".csv?from=2026-13-01":        http.StatusBadRequest,
		touchPath + "?from=2025-03-30":            http.StatusOK,
		touchPath + "?user=%00&customer=%ff%fe<b": http.StatusOK,
	} {
		status, _, body := s.get(path, "secret")
		require.Equal(t, want, status, "%s: %s", path, body)
	}
	request := httptest.NewRequest(http.MethodPost, touchPath, http.NoBody)
	request.SetBasicAuth("anybody", "secret")
	answer := httptest.NewRecorder()
	s.console.ServeHTTP(answer, request)
	require.Equal(t, http.StatusMethodNotAllowed, answer.Code)
}

func TestManyKindsAndBigCounts(t *testing.T) {
	var points []ledger.TouchPoint
	for n := range 90 {
		points = append(points, point(fmt.Sprint("p", n), fmt.Sprintf("kind%d", n%9), "2026-03-15", ""))
	}
	_, _, page := newSite(t, points...).get(touchPath, "secret")
	require.Equal(t, 9, strings.Count(page, "<rect x="))
	require.Contains(t, page, ">100</text>", "the grid ends above the highest bar")
	require.NotContains(t, page, "NaN")
	require.NotContains(t, page, "kind6\"/>")
}
