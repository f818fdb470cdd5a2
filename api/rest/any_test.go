package rest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The tests of this file put anything before the API. They are random tests and
// not fuzz targets: a fuzzer instruments what it tests, which takes the database
// driver behind the API many minutes to compile.

// anything is a text that was nearly one of the seeds, or is none at all.
func anything(seeds ...string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		text := rapid.SampledFrom(seeds).Draw(t, "seed")
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			return rapid.String().Draw(t, "text")
		case 1:
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			return text[:at] + rapid.StringN(0, 5, -1).Draw(t, "put in") + text[at:]
		case 2:
			from := rapid.IntRange(0, len(text)).Draw(t, "from")
			return text[:from] + text[rapid.IntRange(from, len(text)).Draw(t, "to"):]
		}
		return text
	})
}

// header is anything that a client would send in a header.
func header(seeds ...string) *rapid.Generator[string] {
	return rapid.Map(anything(seeds...), func(text string) string {
		return strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return -1
			}
			return r
		}, text)
	})
}

// busy is an API with an active connection, and the calls on it that read lists.
func busy(t *testing.T) (h *harness, lists []string) {
	h = start(t)
	at := "/api/v1/connections/" + h.active().Connection
	return h, []string{"/api/v1/connections", at, at + "/status", at + "/runs", at + "/links", at + "/conflicts", at + "/dead-letters", at + "/history", at + "/guard", at + "/firings", at + "/counts", at + "/touch-points"}
}

// judge is what no input may lead to: a defect of ours, an outage that is none,
// or a refusal that does not say why. The harness compares all answers with
// openapi.yaml besides.
func judge(t *rapid.T, what string, got answer) {
	t.Helper()
	if got.status >= http.StatusInternalServerError {
		t.Fatalf("%s answered %d: %s", what, got.status, got.raw)
	}
	if detail, _ := got.body["detail"].(string); got.status >= http.StatusBadRequest && detail == "" {
		t.Fatalf("%s answered %d without a reason: %s", what, got.status, got.raw)
	}
}

func TestAnyQuery(t *testing.T) {
	h, lists := busy(t)
	names := rapid.SampledFrom([]string{"cursor", "limit", "side", "state", "id", "stream", "field", "run", "nonsense", "from", "to", "by", "format", "user", "customer", "kind"})
	values := anything("eyJsIjoiY29ubmVjdGlvbnMiLCJpIjoiYyJ9", "e30", "0", "9223372036854775808", "-1", "200", "left", "open", "active", "\x00", "leads' OR 1=1", "2026-03-01", "day,user", "csv", "\xff", "%", "")
	rapid.Check(t, func(t *rapid.T) {
		query := url.Values{names.Draw(t, "name"): {values.Draw(t, "value")}, names.Draw(t, "name"): {values.Draw(t, "value")}}.Encode()
		path := rapid.SampledFrom(lists).Draw(t, "path")
		judge(t, path, h.call("GET", path+"?"+query, nil))
		one := rapid.SampledFrom([]string{"/api/v1/connections/", "/api/v1/runs/", "/api/v1/conflicts/", "/api/v1/dead-letters/"}).Draw(t, "path")
		judge(t, one, h.call("GET", one+url.PathEscape(values.Draw(t, "id")), nil))
	})
}

func TestAnyBody(t *testing.T) {
	h, lists := busy(t)
	at := lists[1]
	calls := rapid.SampledFrom([]string{"POST /api/v1/connections", "PUT " + at, "POST " + at + "/runs", "POST " + at + "/dead-letters/replay", "POST " + at + "/guard/approve",
		"POST " + at + "/guard/reject", "POST /api/v1/conflicts/none/resolve", "PATCH /api/v1/dead-letters/none", "POST /api/v1/dead-letters/none/discard"})
	bodies := anything(`{"integration":"x","variables":{"A":"b"},"secrets":{}}`, `{"integration":{"streams":{"leads":[]}},"expected_version":1}`, `{"kind":"poll","stream":"leads"}`,
		`{"ids":["\u0000",""]}`, `{"ids":[]}`, `{"all":true}`, `{"choose":"value","value":{"a":[1e999]},"seen":{"left":1}}`, `{"overrides":{"left":{"a.b":null}}}`, `{"reason":"x\ud800"}`,
		`{"a":`, `[]`, `7`, strings.Repeat("[", 20000), ``)
	keys := header("", "key", strings.Repeat("k", 201))
	rapid.Check(t, func(t *rapid.T) {
		method, path, _ := strings.Cut(calls.Draw(t, "call"), " ")
		judge(t, path, h.call(method, path, bodies.Draw(t, "body"), "Idempotency-Key", keys.Draw(t, "key")))
	})
}

// TestAnyDelivery sends signed events through the door that vendors use, into the ledger.
func TestAnyDelivery(t *testing.T) {
	h, lists := busy(t)
	connection := strings.TrimPrefix(lists[1], "/api/v1/connections/")
	bodies := anything(`{"type":"lead.created","data":{"id":"l-1"}}`, `{"id":"e","type":"lead.updated","data":{"id":"\u0000"}}`,
		`[{"event_id":"e","event":"contact.updated","object":"contacts","id":"ct_1","merged_into":"ct_2"}]`, `[{"event":"contact.merged","id":".."}]`, `[]`, `{`, ``)
	headers := header("lead.updated", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	sum := func(secret, text string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(text))
		return hex.EncodeToString(mac.Sum(nil))
	}
	rapid.Check(t, func(t *rapid.T) {
		body, kind, now := bodies.Draw(t, "body"), headers.Draw(t, "kind"), strconv.FormatInt(time.Now().Unix(), 10)
		for side, signature := range map[string][2]string{"left": {"X-SalesOS-Signature", "sha256=" + sum("hook-left", body)}, "right": {"X-Acme-Signature", "t=" + now + ",v1=" + sum("hook-right", now+"."+body)}} {
			path := "/webhooks/" + connection + "/" + side
			good := h.send("POST", path, body, signature[0], signature[1], "X-SalesOS-Event", kind, "X-SalesOS-Event-Id", kind, "traceparent", headers.Draw(t, "trace"))
			judge(t, side, good)
			if good.status == http.StatusUnauthorized {
				t.Fatalf("a good signature is refused: %s", good.raw)
			}
			bad := h.send("POST", path, body, signature[0], signature[1][:len(signature[1])-1]+"z", "X-SalesOS-Event", kind)
			if bad.status != http.StatusUnauthorized {
				t.Fatalf("a bad signature answered %d: %s", bad.status, bad.raw)
			}
		}
	})
}
