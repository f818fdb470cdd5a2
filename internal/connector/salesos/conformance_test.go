package salesos_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/connectortest"
	"github.com/accord-sync/accord/internal/connector/salesos"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

func harness(start func(t *testing.T, now func() time.Time) connectortest.Server, updatedFilter bool) connectortest.Harness {
	return connectortest.Harness{
		Driver:       salesos.Driver{},
		Capabilities: connector.Capabilities{UpdatedFilter: updatedFilter, CustomFieldsReplace: true, Granularity: time.Second},
		Object:       "leads", Key: "email", Text: "name", Other: "company",
		Inner: "custom_fields.score", InnerOther: "custom_fields.theirs", Marker: "custom_fields.external_id",
		APIPath: "/v1", TokenPath: "/oauth/token", HookPath: "/webhooks", ListPath: "/leads",
		GoneBody:    `{"error":{"code":"NOT_FOUND","message":"Lead not found"}}`,
		RefusedBody: `{"error":{"code":"VALIDATION_ERROR","message":"no","details":[{"field":"email","message":"is invalid"}]}}`,
		Event: func(id string) []byte {
			return []byte(`{"type":"lead.updated","data":{"id":"` + id + `","value":75000.00}}`)
		},
		Sign:  sign,
		Start: start,
	}
}

func sign(body []byte, secret string, _ time.Time) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return http.Header{"X-Salesos-Signature": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}}
}

func TestSandboxWithChangeFilter(t *testing.T) {
	connectortest.Run(t, harness(startSandbox, true))
}

func TestSandboxWithoutChangeFilter(t *testing.T) {
	for _, mode := range []string{wire.FilterIgnored, wire.FilterRejected} {
		t.Run(mode, func(t *testing.T) {
			connectortest.Run(t, harness(func(t *testing.T, now func() time.Time) connectortest.Server {
				started := startSandbox(t, now)
				started.(*server).set(t, "updated_after", mode)
				return started
			}, false))
		})
	}
}
