package rest_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/rest"
	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// signing is a scheme and the headers that sign a body with it.
type signing struct {
	part string
	sign func(body []byte, secret string, at time.Time) http.Header
}

func mac(with func() hash.Hash, key string, parts ...string) []byte {
	sum := hmac.New(with, []byte(key))
	for _, part := range parts {
		sum.Write([]byte(part))
	}
	return sum.Sum(nil)
}

func signings() map[string]signing {
	seconds := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	return map[string]signing{
		"hex with a prefix": {`kind: hmac, header: X-Sign, prefix: "sha256="`, func(body []byte, secret string, _ time.Time) http.Header {
			return http.Header{"X-Sign": {"sha256=" + hex.EncodeToString(mac(sha256.New, secret, string(body)))}}
		}},
		"base64": {`kind: hmac, header: X-Sign, encoding: base64`, func(body []byte, secret string, _ time.Time) http.Header {
			return http.Header{"X-Sign": {base64.StdEncoding.EncodeToString(mac(sha256.New, secret, string(body)))}}
		}},
		"sha1": {`kind: hmac, header: X-Sign, hash: sha1`, func(body []byte, secret string, _ time.Time) http.Header {
			return http.Header{"X-Sign": {hex.EncodeToString(mac(sha1.New, secret, string(body)))}}
		}},
		"sha512 with a time of its own": {`kind: hmac, header: X-Sign, hash: sha512, time_header: X-Time, signed: "{body}|{time}"`, func(body []byte, secret string, at time.Time) http.Header {
			ms := strconv.FormatInt(at.UnixMilli(), 10)
			return http.Header{"X-Sign": {hex.EncodeToString(mac(sha512.New, secret, string(body), "|", ms))}, "X-Time": {ms}}
		}},
		"parts with a time": {`kind: hmac, header: X-Sign, part: v1, time_part: t, signed: "{time}.{body}"`, func(body []byte, secret string, at time.Time) http.Header {
			return http.Header{"X-Sign": {"t=" + seconds(at) + ",v1=" + strings.Repeat("0", 64) + ",v1=" + hex.EncodeToString(mac(sha256.New, secret, seconds(at), ".", string(body)))}}
		}},
		"standard webhooks": {`kind: standard_webhooks`, func(body []byte, secret string, at time.Time) http.Header {
			key, marked := strings.CutPrefix(secret, "whsec_")
			if plain, err := base64.StdEncoding.DecodeString(key); marked && err == nil {
				secret = string(plain)
			}
			sum := base64.StdEncoding.EncodeToString(mac(sha256.New, secret, "msg_1.", seconds(at), ".", string(body)))
			return http.Header{"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {seconds(at)}, "Webhook-Signature": {"v2,xx v1," + sum}}
		}},
		"token": {`kind: token, header: X-Token, prefix: "Token "`, func(_ []byte, secret string, _ time.Time) http.Header {
			return http.Header{"X-Token": {"Token " + secret}}
		}},
	}
}

func receiver(t testing.TB, part, events string) rest.Driver {
	t.Helper()
	read, err := manifest.Parse([]byte(habit(plainList + "webhook: {signature: {" + part + "}, events: {" + events + "}}\n")))
	require.NoError(t, err)
	return rest.New(read)
}

func TestSignatures(t *testing.T) {
	body := []byte(`{"type":"row.updated","id":"7"}`)
	timed := map[string]bool{"sha512 with a time of its own": true, "parts with a time": true, "standard webhooks": true}
	for name, scheme := range signings() {
		t.Run(name, func(t *testing.T) {
			driver := receiver(t, scheme.part, "kind: type")
			for _, secret := range []string{"s3cret", "whsec_" + base64.StdEncoding.EncodeToString([]byte("s3cret"))} {
				events, err := driver.ParseWebhook(scheme.sign(body, secret, noon()), body, []string{"older", secret}, noon())
				require.NoError(t, err)
				require.Len(t, events, 1)
				require.Equal(t, "7", events[0].RecordID)
			}
			for what, try := range map[string]func() (http.Header, []byte, []string){
				"wrong secret": func() (http.Header, []byte, []string) {
					return scheme.sign(body, "x", noon()), body, []string{"s3cret"}
				},
				"no secret": func() (http.Header, []byte, []string) { return scheme.sign(body, "", noon()), body, []string{""} },
				"no header": func() (http.Header, []byte, []string) { return http.Header{}, body, []string{"s3cret"} },
				"malformed": func() (http.Header, []byte, []string) {
					header := scheme.sign(body, "s3cret", noon())
					for key := range header {
						header.Set(key, header.Get(key)+"zz")
					}
					return header, body, []string{"s3cret"}
				},
				"twice": func() (http.Header, []byte, []string) {
					header := scheme.sign(body, "s3cret", noon())
					for key := range header {
						header.Add(key, header.Get(key))
					}
					return header, body, []string{"s3cret"}
				},
			} {
				header, body, secrets := try()
				_, err := driver.ParseWebhook(header, body, secrets, noon())
				require.Equal(t, fault.Unauthorized, fault.CodeOf(err), what)
			}
			_, err := driver.ParseWebhook(scheme.sign(body, "s3cret", noon()), append([]byte(" "), body...), []string{"s3cret"}, noon())
			require.Equal(t, name != "token", fault.Is(err, fault.Unauthorized), "a token signs no body")
			_, err = driver.ParseWebhook(scheme.sign(body, "s3cret", noon()), body, []string{"s3cret"}, noon().Add(6*time.Minute))
			require.Equal(t, timed[name], fault.Is(err, fault.Unauthorized), "an old event is refused where it tells its time")
		})
	}
}

// TestEventShapes: one event, a batch, a batch inside, and what they show.
func TestEventShapes(t *testing.T) {
	sign := signings()["token"]
	for _, row := range []struct {
		name, events, body string
		want               []connector.Event
	}{
		{"one, the collection in its kind", "id: eid, kind: type", `{"eid":"e1","type":"row.updated","id":7}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "row.updated"}}},
		{"a batch inside", "list: events, id: eid, kind: what, object: on, record: ref.id, merged_into: into",
			`{"events":[{"eid":"e1","what":"changed","on":"rows","ref":{"id":"7"}},{"eid":"e2","what":"merged","on":"row","ref":{"id":"8"},"into":"7"},{"what":"x","on":"dragons","ref":{"id":"1"}}]}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "changed"}, {ID: "e2", Object: "rows", RecordID: "8", Kind: "merged", MergedInto: "7"}}},
		{"the record in the event", "id: eid, kind: type, record: data.id, row: data", `{"eid":"e1","type":"row.updated","data":{"id":"7","name":"x"}}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "row.updated", Shown: &record.Record{Fields: record.Fields{"id": "7", "name": "x"}}}}},
		{"the record in a delete", "id: eid, kind: type, record: data.id, row: data", `{"eid":"e1","type":"row.deleted","data":{"id":"7"}}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "row.deleted", Deleted: true}}},
		{"a person's edit shows nothing", "id: eid, kind: type, row: data, record: data.id, actor: by, apps: 'app:'", `{"eid":"e1","type":"row.updated","by":"user:1","data":{"id":"7"}}`,
			[]connector.Event{{ID: "e1", Object: "rows", RecordID: "7", Kind: "row.updated"}}},
		{"a slash in the kind", "kind: type", `{"type":"rows/create","id":"7"}`, []connector.Event{{Object: "rows", RecordID: "7", Kind: "other"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			driver := receiver(t, sign.part, row.events)
			got, err := driver.ParseWebhook(sign.sign([]byte(row.body), "s", noon()), []byte(row.body), []string{"s"}, noon())
			require.NoError(t, err)
			for i := range got {
				require.NotEmpty(t, got[i].ID)
				if i < len(row.want) && row.want[i].ID == "" {
					got[i].ID = ""
				}
			}
			require.Equal(t, row.want, got)
		})
	}
}

// TestWebhooksByHand: a system whose webhooks a person registers, and one that has none.
func TestWebhooksByHand(t *testing.T) {
	spec := connector.WebhookSpec{URL: "https://x.example", Objects: []string{"rows"}}
	s := stock(1)
	serve := s.handler(func(s *shop, w http.ResponseWriter, _ *http.Request) { show(w, s.slice(0, 9)) })
	conn := open(t, habit(plainList+"webhook: {signature: {kind: standard_webhooks}, events: {kind: type}}\n"), serve, connector.Auth{Kind: transport.KindNone})
	state, err := conn.EnsureWebhook(t.Context(), spec)
	require.NoError(t, err)
	require.True(t, state.Active)
	require.True(t, state.ByHand, "nobody knows whether a person has done it")
	again, err := conn.WebhookStatus(t.Context(), state.ID)
	require.NoError(t, err)
	require.Equal(t, state, again)
	require.NoError(t, conn.RemoveWebhook(t.Context(), state.ID))

	conn = open(t, habit(plainList), serve, connector.Auth{Kind: transport.KindNone})
	_, err = conn.EnsureWebhook(t.Context(), spec)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	_, err = conn.WebhookStatus(t.Context(), "1")
	require.Equal(t, fault.Gone, fault.CodeOf(err))
	require.NoError(t, conn.RemoveWebhook(t.Context(), "1"))
	require.Empty(t, s.sent)
	_, err = rest.New(mustRead(t, habit(plainList))).ParseWebhook(http.Header{}, nil, []string{"s"}, noon())
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
}

// TestReadOnlyObjects: nothing is written, and nothing is called for it.
func TestReadOnlyObjects(t *testing.T) {
	s := stock(1)
	conn := open(t, habit(plainList), s.handler(func(s *shop, w http.ResponseWriter, _ *http.Request) { show(w, s.slice(0, 9)) }), connector.Auth{Kind: transport.KindNone})
	_, err := conn.Create(t.Context(), "rows", map[string]any{"a": 1}, connector.WriteOptions{})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	_, err = conn.Update(t.Context(), record.Record{Ref: record.Ref{Object: "rows", ID: "1"}}, map[string]any{"a": 1}, connector.WriteOptions{})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.Equal(t, fault.Usage, fault.CodeOf(conn.Delete(t.Context(), "rows", "1", connector.WriteOptions{})))
	require.Empty(t, s.sent)
}

func mustRead(t *testing.T, text string) *manifest.Manifest {
	t.Helper()
	read, err := manifest.Parse([]byte(text))
	require.NoError(t, err)
	return read
}
