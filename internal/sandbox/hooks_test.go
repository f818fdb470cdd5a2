package sandbox_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/sandbox"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

type delivery struct {
	header http.Header
	body   []byte
}

// receiver takes webhooks and answers with status.
type receiver struct {
	url string

	mu     sync.Mutex
	status int
	got    []delivery
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: 204}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, delivery{req.Header, raw})
		w.WriteHeader(r.status)
	}))
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) all() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) wait(t *testing.T, n int) []delivery {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.all()) >= n }, 10*time.Second, 2*time.Millisecond)
	return r.all()
}

// idle waits until nothing is on its way, and gives the state.
func (s *side) idle() wire.HookState {
	s.t.Helper()
	var st wire.HookState
	require.Eventually(s.t, func() bool {
		var err error
		st, err = s.admin.Webhooks(s.t.Context())
		return err == nil && st.Waiting == 0
	}, 10*time.Second, 2*time.Millisecond)
	return st
}

func (s *side) hook(url string, events ...string) string {
	s.t.Helper()
	a := s.do("POST", "/v1/webhooks", fields{"url": url, "events": events, "secret": "s3"})
	if a.status == http.StatusNotFound {
		a = s.do("POST", "/api/2/hooks", fields{"target_url": url, "events": events, "secret": "s3"})
		require.Equal(s.t, 201, a.status, string(a.raw))
		return a.text("id")
	}
	require.Equal(s.t, 201, a.status, string(a.raw))
	return a.text("data", "id")
}

func sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestSalesOSWebhookForms(t *testing.T) {
	p := start(t, sandbox.Options{})
	rcv := newReceiver(t)
	p.salesos.hook(rcv.url, "lead.updated", "lead.status_changed", "lead.created")
	rec, err := p.salesos.admin.CreateRecord(t.Context(), "leads", fields{"name": "A"})
	require.NoError(t, err)
	d := rcv.wait(t, 1)[0]
	require.Equal(t, "sha256="+sign("s3", string(d.body)), d.header.Get("x-salesos-signature"))
	require.Equal(t, "lead.created", d.header.Get("X-SalesOS-Event"))
	var body fields
	require.NoError(t, json.Unmarshal(d.body, &body))
	require.Equal(t, body["id"], d.header.Get("X-SalesOS-Event-Id"))
	require.Equal(t, rec.ID, idOf(body["data"]))

	p.salesos.set(fields{"webhook_form": "guide"})
	_, err = p.salesos.admin.EditRecord(t.Context(), "leads", rec.ID, fields{"status": "qualified"})
	require.NoError(t, err)
	var types []any
	for _, d := range rcv.wait(t, 3)[1:] {
		body = nil
		require.NoError(t, json.Unmarshal(d.body, &body))
		require.Len(t, body, 2)
		require.Empty(t, d.header.Get("X-SalesOS-Event-Id"))
		types = append(types, body["type"])
	}
	require.ElementsMatch(t, []any{"lead.updated", "lead.status_changed"}, types)
}

func TestAcmeWebhookBatches(t *testing.T) {
	p := start(t, sandbox.Options{})
	rcv := newReceiver(t)
	id := p.acme.hook(rcv.url, "contact.*")
	require.NoError(t, p.acme.admin.HoldWebhooks(t.Context()))
	var ids []string
	for i := range 3 {
		rec, err := p.acme.admin.CreateRecord(t.Context(), "contacts", fields{"email": fmt.Sprint(i, "@example.com")})
		require.NoError(t, err)
		ids = append(ids, rec.ID)
	}
	_, err := p.acme.admin.CreateRecord(t.Context(), "companies", fields{"name": "not asked for"})
	require.NoError(t, err)
	require.NoError(t, p.acme.admin.ReleaseWebhooks(t.Context(), wire.Release{Batch: 100}))
	var events []fields
	require.NoError(t, json.Unmarshal(rcv.wait(t, 1)[0].body, &events))
	require.Len(t, events, 3)
	require.Equal(t, "contact.created", events[0]["event"])
	require.Equal(t, "contacts", events[0]["object"])
	require.Equal(t, "user:operator", events[0]["actor"])
	require.EqualValues(t, p.clock.Now().UnixMilli(), events[0]["occurred_at"])

	// A new secret signs together with the old one.
	require.Equal(t, 200, p.acme.do("PATCH", "/api/2/hooks/"+id, fields{"secret": "s4"}).status)
	before := len(rcv.all())
	_, err = p.acme.admin.MergeRecords(t.Context(), "contacts", ids[0], ids[1])
	require.NoError(t, err)
	d := rcv.wait(t, before+1)[before]
	stamp := fmt.Sprint(p.clock.Now().Unix())
	require.Equal(t, "t="+stamp+",v1="+sign("s4", stamp+"."+string(d.body))+",v1="+sign("s3", stamp+"."+string(d.body)), d.header.Get("X-Acme-Signature"))
	events = nil
	require.NoError(t, json.Unmarshal(d.body, &events))
	require.Equal(t, "contact.merged", events[0]["event"])
	require.Equal(t, ids[1], events[0]["id"])
	require.Equal(t, ids[0], events[0]["merged_into"])
}

func TestRetriesThenLost(t *testing.T) {
	// 12 h and 38 min of pauses in about 45 ms.
	p := start(t, sandbox.Options{TimeScale: 1e6})
	rcv := newReceiver(t)
	rcv.answer(500)
	id := p.salesos.hook(rcv.url, "lead.created")
	_, err := p.salesos.admin.CreateRecord(t.Context(), "leads", fields{"name": "A"})
	require.NoError(t, err)
	got := rcv.wait(t, 6)
	require.Eventually(t, func() bool { return p.salesos.idle().Lost == 1 }, 10*time.Second, time.Millisecond)
	require.Len(t, rcv.all(), 6, "one attempt and five retries")
	for _, d := range got {
		require.Equal(t, got[0].header.Get("X-SalesOS-Event-Id"), d.header.Get("X-SalesOS-Event-Id"))
	}
	require.Equal(t, 6, p.salesos.idle().Hooks[0].Failures)
	require.Equal(t, id, p.salesos.idle().Hooks[0].ID)
}

func TestRetryNowDelivers(t *testing.T) {
	p := start(t, sandbox.Options{})
	rcv := newReceiver(t)
	rcv.answer(503)
	p.acme.hook(rcv.url, "contact.created")
	_, err := p.acme.admin.CreateRecord(t.Context(), "contacts", fields{"note": "A"})
	require.NoError(t, err)
	rcv.wait(t, 1)
	require.Equal(t, 1, p.acme.idle().Retrying)
	rcv.answer(200)
	require.NoError(t, p.acme.admin.RetryWebhooks(t.Context()))
	rcv.wait(t, 2)
	st := p.acme.idle()
	require.Equal(t, []int{0, 1}, []int{st.Retrying, st.Delivered})
	require.Equal(t, 2, st.Deliveries[0].Attempts)
}

func TestTenFailuresSwitchOff(t *testing.T) {
	p := start(t, sandbox.Options{})
	rcv := newReceiver(t)
	rcv.answer(500)
	id := p.salesos.hook(rcv.url, "lead.created")
	for i := range 10 {
		_, err := p.salesos.admin.CreateRecord(t.Context(), "leads", fields{"name": "A"})
		require.NoError(t, err)
		rcv.wait(t, i+1)
		p.salesos.idle()
	}
	show := func() answer { return p.salesos.do("GET", "/v1/webhooks/"+id, nil) }
	require.Equal(t, false, show().at("data", "active"))
	rcv.answer(200)
	_, err := p.salesos.admin.CreateRecord(t.Context(), "leads", fields{"name": "unheard"})
	require.NoError(t, err)
	p.salesos.idle()
	require.Len(t, rcv.all(), 10, "a switched-off hook gets nothing")
	require.Equal(t, 200, p.salesos.do("PATCH", "/v1/webhooks/"+id, fields{"active": true}).status)
	require.EqualValues(t, 0, show().at("data", "failure_count"))
	_, err = p.salesos.admin.CreateRecord(t.Context(), "leads", fields{"name": "heard"})
	require.NoError(t, err)
	rcv.wait(t, 11)
}

func TestHoldAndRelease(t *testing.T) {
	p := start(t, sandbox.Options{})
	ctx := t.Context()
	for _, c := range []struct {
		order string
		want  []string
	}{
		{wire.InOrder, []string{"0", "1", "2"}},
		{wire.Reversed, []string{"2", "1", "0"}},
		{wire.Shuffled, nil},
	} {
		t.Run(c.order, func(t *testing.T) {
			for _, s := range []*side{p.salesos, p.acme} {
				require.NoError(t, s.admin.Reset(ctx))
				s.login("accord", "accord-secret")
				rcv := newReceiver(t)
				object, events, name := "leads", "lead.created", "name"
				if s == p.acme {
					object, events, name = "contacts", "contact.created", "note"
				}
				s.hook(rcv.url, events)
				require.NoError(t, s.admin.HoldWebhooks(ctx))
				byID := map[string]string{}
				for i := range 3 {
					rec, err := s.admin.CreateRecord(ctx, object, fields{name: fmt.Sprint(i)})
					require.NoError(t, err)
					byID[rec.ID] = fmt.Sprint(i)
				}
				st := s.idle()
				require.Equal(t, 3, st.Held)
				require.Empty(t, rcv.all())
				require.NoError(t, s.admin.ReleaseWebhooks(ctx, wire.Release{Order: c.order, Seed: 7}))
				var got []string
				for _, d := range rcv.wait(t, 3) {
					for id, n := range byID {
						if strings.Contains(string(d.body), id) {
							got = append(got, n)
						}
					}
				}
				require.ElementsMatch(t, []string{"0", "1", "2"}, got)
				if c.want != nil {
					require.Equal(t, c.want, got)
				}
			}
		})
	}
}

func TestDropThenRepeat(t *testing.T) {
	p, ctx := start(t, sandbox.Options{}), t.Context()
	rcv := newReceiver(t)
	p.salesos.hook(rcv.url, "lead.created")
	require.NoError(t, p.salesos.admin.DropWebhooks(ctx, 1))
	require.NoError(t, p.salesos.admin.RepeatWebhooks(ctx, 3, 1))
	for range 3 {
		_, err := p.salesos.admin.CreateRecord(ctx, "leads", fields{"name": "A"})
		require.NoError(t, err)
	}
	st := p.salesos.idle()
	require.Equal(t, []int{1, 4}, []int{st.Dropped, st.Delivered}, "one lost, one three times, one once")
	ids := map[string]int{}
	for _, d := range rcv.all() {
		ids[d.header.Get("X-SalesOS-Event-Id")]++
	}
	require.Len(t, ids, 2)
}

func TestHookBodies(t *testing.T) {
	p := start(t, sandbox.Options{})
	for _, c := range []struct {
		url  string
		want int
	}{{"https://example.com/x", 201}, {"http://127.0.0.1:9/x", 201}, {"http://api:8080/x", 201}, {"http://example.com/x", 422}, {"http://8.8.8.8/x", 422}, {"ftp://example.com", 422}, {"", 422}} {
		require.Equal(t, c.want, p.salesos.do("POST", "/v1/webhooks", fields{"url": c.url, "events": []string{"lead.created"}}).status, c.url)
		require.Equal(t, c.want, p.acme.do("POST", "/api/2/hooks", fields{"target_url": c.url, "events": []string{"contact.*"}, "secret": "s"}).status, c.url)
	}
	require.Equal(t, 422, p.salesos.do("POST", "/v1/webhooks", fields{"url": "https://example.com", "events": []string{"lead.exploded"}}).status)
	require.Equal(t, 422, p.acme.do("POST", "/api/2/hooks", fields{"target_url": "https://example.com", "events": []string{"contact.exploded"}, "secret": "s"}).status)
	require.NotContains(t, string(p.salesos.do("GET", "/v1/webhooks", nil).raw), "secret")
	for _, v := range p.salesos.do("GET", "/v1/webhooks", nil).list("data") {
		require.Equal(t, 204, p.salesos.do("DELETE", "/v1/webhooks/"+idOf(v), nil).status)
	}
	require.Empty(t, p.salesos.do("GET", "/v1/webhooks", nil).list("data"))
	for _, v := range p.acme.do("GET", "/api/2/hooks", nil).list("items") {
		require.Equal(t, 204, p.acme.do("DELETE", "/api/2/hooks/"+idOf(v), nil).status)
	}
	require.Equal(t, 404, p.acme.do("GET", "/api/2/hooks/hk_none", nil).status)
}
