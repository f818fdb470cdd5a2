package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/api/console"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

const letterPath = "/console/connections/cn_1/dead-letters"

// letterSite is a site with some open dead letters; what it replays is remembered.
type letterSite struct {
	site
	replayed []string
}

func newLetterSite(t *testing.T, count int) *letterSite {
	s := &letterSite{site: newSite(t)}
	log := logrus.New()
	log.SetOutput(io.Discard)
	s.console = console.New(console.Options{Store: s.store, Token: "secret", Tenant: "default", PublicURL: "https://accord.example.com", Log: log,
		Now: func() time.Time { return time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC) },
		Replay: func(ctx context.Context, key ledger.Key, ids []string) (int, error) {
			s.replayed = append(s.replayed, ids...)
			return s.store.ReplayDeadLetters(ctx, key, ids, "")
		}})
	key := ledger.Key{Tenant: "default", Connection: "cn_1"}
	var put []ledger.DeadLetter
	for n := range count {
		field := []string{"company", "stage"}[n%2]
		put = append(put, ledger.DeadLetter{ID: fmt.Sprintf("dl-%d", n), Stream: "leads", Ref: record.Ref{Side: record.Left, Object: "leads", ID: fmt.Sprintf("l%d", n)},
			Reason: ledger.Reason{Code: "invalid", Field: field, Message: "<i>is not accepted</i>", Status: 422}, Tries: 1, State: ledger.DeadLetterOpen, Values: ledger.Values{"company": "Secret Ltd"}})
	}
	require.NoError(t, s.store.Commit(t.Context(), key, ledger.Commit{PutDeadLetters: put}))
	return s
}

// post sends a form as a browser does from a page of an origin.
func (s *letterSite) post(form url.Values, header http.Header) (int, http.Header, string) {
	request := httptest.NewRequest(http.MethodPost, letterPath, strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range header {
		request.Header[name] = values
	}
	request.SetBasicAuth("anybody", "secret")
	answer := httptest.NewRecorder()
	s.console.ServeHTTP(answer, request)
	return answer.Code, answer.Header(), answer.Body.String()
}

// form is what the page sends, with its proof.
func (s *letterSite) form(fields url.Values) url.Values {
	_, _, page := s.get(letterPath, "secret")
	proof := regexp.MustCompile(`name="proof" value="([0-9a-f]{64})"`).FindStringSubmatch(page)
	require.Len(s.t, proof, 2)
	fields.Set("proof", proof[1])
	return fields
}

func (s *letterSite) states() map[string]ledger.DeadLetter {
	states := map[string]ledger.DeadLetter{}
	for n := range 9 {
		if _, letter, err := s.store.FindDeadLetter(s.t.Context(), fmt.Sprintf("dl-%d", n)); err == nil {
			states[letter.ID] = letter
		}
	}
	return states
}

func TestDeadLettersAreShownWithoutValues(t *testing.T) {
	s := newLetterSite(t, 4)
	status, _, page := s.get(letterPath, "secret")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, `<input type="checkbox" name="id" value="dl-3"`)
	require.Contains(t, page, "invalid 422: &lt;i&gt;is not accepted")
	require.NotContains(t, page, "Secret Ltd")
	require.NotContains(t, page, "<script")
	_, _, narrow := s.get(letterPath+"?field=stage", "secret")
	require.Contains(t, narrow, "dl-1")
	require.NotContains(t, narrow, "dl-0")
	_, _, none := s.get(letterPath+"?code=elsewhere", "secret")
	require.Contains(t, none, "No dead letter is open for these")
	_, _, told := s.get(letterPath+"?did=discard&done=2&rest=1", "secret")
	require.Contains(t, told, "2 discarded, 1 not open any more.")
	_, _, nothing := s.get(letterPath+"?did=%3Cb%3E&done=2", "secret")
	require.NotContains(t, nothing, "role=\"status\"")
	status, _, _ = s.get("/console/connections/cn_9/dead-letters", "secret")
	require.Equal(t, http.StatusNotFound, status)
	status, _, _ = s.get(letterPath, "wrong")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestDeadLettersPage(t *testing.T) {
	s := newLetterSite(t, 130)
	_, _, page := s.get(letterPath+"?code=invalid", "secret")
	require.Equal(t, 100, strings.Count(page, `name="id"`))
	next := regexp.MustCompile(`<a href="([^"]+)">Further ones`).FindStringSubmatch(page)
	require.Len(t, next, 2)
	_, _, second := s.get(strings.ReplaceAll(next[1], "&amp;", "&"), "secret")
	require.Equal(t, 30, strings.Count(second, `name="id"`))
}

func TestManyAreReplayedOrDiscarded(t *testing.T) {
	s := newLetterSite(t, 5)
	status, header, _ := s.post(s.form(url.Values{"do": {"discard"}, "id": {"dl-0", "dl-1"}, "reason": {" made up by a bot "}, "field": {"stage"}}), http.Header{"Sec-Fetch-Site": {"same-origin"}})
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, letterPath+"?code=&did=discard&done=2&field=stage&rest=0", header.Get("Location"))
	require.Equal(t, ledger.DeadLetterDiscarded, s.states()["dl-1"].State)
	require.Equal(t, "made up by a bot", s.states()["dl-1"].DiscardReason)
	require.Equal(t, ledger.DeadLetterOpen, s.states()["dl-2"].State)

	// All of the page: one that somebody else has ended meanwhile stops none of the others.
	status, header, _ = s.post(s.form(url.Values{"do": {"replay"}, "all": {"page"}, "listed": {"dl-1", "dl-2", "dl-3"}}), nil)
	require.Equal(t, http.StatusSeeOther, status)
	require.Contains(t, header.Get("Location"), "did=replay&done=2&field=&rest=1")
	require.Equal(t, []string{"dl-2", "dl-3"}, s.replayed)
	require.Equal(t, ledger.DeadLetterReplayed, s.states()["dl-3"].State)
	require.Equal(t, ledger.DeadLetterOpen, s.states()["dl-4"].State)
}

func TestWhatIsSentWronglyDoesNothing(t *testing.T) {
	s := newLetterSite(t, 2)
	good := func(change func(url.Values)) url.Values {
		form := s.form(url.Values{"do": {"discard"}, "id": {"dl-0"}, "reason": {"a test"}})
		change(form)
		return form
	}
	same := func(url.Values) {}
	for name, one := range map[string]struct {
		form   url.Values
		header http.Header
		want   int
	}{
		"from a page of somebody else":     {good(same), http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		"from another origin, old browser": {good(same), http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden},
		"without the page's proof":         {good(func(f url.Values) { f.Del("proof") }), nil, http.StatusForbidden},
		"with another proof":               {good(func(f url.Values) { f.Set("proof", strings.Repeat("0", 64)) }), nil, http.StatusForbidden},
		"nothing chosen":                   {good(func(f url.Values) { f.Del("id") }), nil, http.StatusBadRequest},
		"nothing to do":                    {good(func(f url.Values) { f.Set("do", "delete") }), nil, http.StatusBadRequest},
		"no reason":                        {good(func(f url.Values) { f.Set("reason", " ") }), nil, http.StatusBadRequest},
		"a long reason":                    {good(func(f url.Values) { f.Set("reason", strings.Repeat("x", 1001)) }), nil, http.StatusBadRequest},
		"too many":                         {good(func(f url.Values) { f["id"] = many(101) }), nil, http.StatusBadRequest},
		"a form without an end":            {good(func(f url.Values) { f.Set("reason", strings.Repeat("x", 100_000)) }), nil, http.StatusBadRequest},
	} {
		status, _, page := s.post(one.form, one.header)
		require.Equal(t, one.want, status, "%s: %s", name, page)
		require.Equal(t, ledger.DeadLetterOpen, s.states()["dl-0"].State, name)
	}
	status, _, _ := s.post(good(same), http.Header{"Origin": {"https://accord.example.com"}})
	require.Equal(t, http.StatusSeeOther, status, "the public address is our own, whatever a proxy calls us by")
	require.Equal(t, ledger.DeadLetterDiscarded, s.states()["dl-0"].State)
}

func many(n int) []string {
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprint(i))
	}
	return ids
}

// TestOthersConnectionsAreNotWorkedOn: the id of a dead letter of another connection is none of this page's.
func TestOthersConnectionsAreNotWorkedOn(t *testing.T) {
	s := newLetterSite(t, 1)
	other := ledger.Key{Tenant: "default", Connection: "cn_2"}
	require.NoError(t, s.store.CreateConnection(t.Context(), ledger.Connection{Key: other, Name: "other", State: ledger.Active, Version: 1}))
	require.NoError(t, s.store.Commit(t.Context(), other, ledger.Commit{PutDeadLetters: []ledger.DeadLetter{{ID: "dl-8", Stream: "leads",
		Ref: record.Ref{Side: record.Left, Object: "leads", ID: "x"}, Reason: ledger.Reason{Code: "invalid"}, State: ledger.DeadLetterOpen}}}))
	_, header, _ := s.post(s.form(url.Values{"do": {"discard"}, "id": {"dl-8"}, "reason": {"a test"}}), nil)
	require.Contains(t, header.Get("Location"), "done=0&field=&rest=1")
	require.Equal(t, ledger.DeadLetterOpen, s.states()["dl-8"].State)
}
