package acme_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/connector/acme"
	"github.com/accord-sync/accord/internal/connector/connectortest"
)

func harness() connectortest.Harness {
	capabilities := acme.Driver{}.Defaults()
	return connectortest.Harness{
		Driver: acme.Driver{}, Capabilities: capabilities,
		Object: "contacts", Key: "email", Text: "first_name", Other: "job_title",
		Inner: "properties.score", InnerOther: "properties.theirs", Marker: "external_ref",
		APIPath: "/api/2", TokenPath: "/oauth/token", HookPath: "/hooks", ListPath: "/contacts",
		GoneBody:    `{"error":{"type":"not_found"}}`,
		RefusedBody: `{"error":{"type":"validation","code":"invalid","message":"no","fields":{"email":["is invalid"]}}}`,
		Event: func(id string) []byte {
			return []byte(`[{"event_id":"e1","event":"contact.updated","object":"contact","id":"` + id + `","version":3,"changes":["email"],"occurred_at":1790000000000}]`)
		},
		Sign:  sign,
		Start: startSandbox,
	}
}

func sign(body []byte, secret string, at time.Time) http.Header {
	t := strconv.FormatInt(at.Unix(), 10)
	return http.Header{"X-Acme-Signature": {"t=" + t + ",v1=" + digest(t, body, "rotated-away") + ",v1=" + digest(t, body, secret)}}
}

func digest(t string, body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func TestSandbox(t *testing.T) {
	connectortest.Run(t, harness())
}
